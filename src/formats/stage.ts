/**
 * A part of the way from a file's bytes to rows: it takes bytes, piece by piece, and hands on what
 * they become. The last stage of a file hands on plain CSV.
 */
export type Stage = {
  /** Takes the next bytes; after those that are the last nothing more comes. */
  push(bytes: Uint8Array, isLast: boolean, emit: Emit): void;
};

/** Takes what a stage hands on; the bytes are the taker's own. */
export type Emit = (bytes: Uint8Array) => void;

/** Several stages, one behind the other, as one. */
export function joinStages(stages: readonly Stage[]): Stage {
  if (stages.length === 1) return stages[0];
  const [first, ...rest] = stages;
  const behind = joinStages(rest);
  return {
    push: (bytes, isLast, emit) => {
      first.push(bytes, false, (made) => behind.push(made, false, emit));
      if (!isLast) return;
      first.push(NOTHING, true, (made) => behind.push(made, false, emit));
      behind.push(NOTHING, true, emit);
    },
  };
}

const NOTHING = new Uint8Array(0);

/**
 * Takes the first bytes of a file through stages, as far as they go: what comes out of a beginning
 * that is cut anywhere.
 */
export function headThrough(stages: readonly Stage[], head: Uint8Array, isWhole: boolean) {
  if (stages.length === 0) return head;
  const pieces: Uint8Array[] = [];
  joinStages(stages).push(head, isWhole, (piece) => pieces.push(piece));
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** A stage that takes text a line at a time, without its end; `end` may give more behind the last. */
export function lineStage(
  line: (text: string, number: number) => string,
  end: () => string = () => "",
): Stage {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = "";
  let number = 0;
  return {
    push: (bytes, isLast, emit) => {
      const lines = (rest + decoder.decode(bytes, { stream: !isLast })).split("\n");
      rest = lines.pop()!;
      if (rest.length > LINE_CHARS_MAX) {
        lines.push(rest.slice(0, LINE_CHARS_MAX));
        rest = "";
      }
      if (isLast && rest !== "") lines.push(rest);
      let made = "";
      for (const text of lines) {
        made += line(text.endsWith("\r") ? text.slice(0, -1) : text, ++number);
      }
      if (isLast) made += end();
      if (made !== "") emit(encoder.encode(made));
    },
  };
}

/** A longer line is cut: it must not take the memory. */
const LINE_CHARS_MAX = 1 << 22;
