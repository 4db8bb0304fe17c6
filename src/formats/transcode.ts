import type { Stage } from "./stage.ts";

/** Encodings that text is known to come in, by the names that decoders have for them. */
export type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";

/** Makes UTF-8 of text in another encoding. */
export function transcodeStage(encoding: Exclude<Encoding, "utf-8">): Stage {
  const decoder = new TextDecoder(encoding);
  const encoder = new TextEncoder();
  return {
    push: (bytes, isLast, emit) => {
      const text = decoder.decode(bytes, { stream: !isLast });
      if (text !== "") emit(encoder.encode(text));
    },
  };
}

/** UTF-16 by its mark, or by the zeros between ASCII characters; null: it is not. */
export function wideEncodingOf(head: Uint8Array): "utf-16le" | "utf-16be" | null {
  const [first, second, third, fourth] = head;
  if (first === 0xff && second === 0xfe && !(third === 0 && fourth === 0)) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  const pairs = head.subarray(0, 2000 & ~1);
  let low = 0;
  let high = 0;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i] === 0 && pairs[i + 1] !== 0) high++;
    if (pairs[i] !== 0 && pairs[i + 1] === 0) low++;
  }
  const half = pairs.length / 2;
  if (half < 4) return null;
  if (low >= 0.9 * half) return "utf-16le";
  return high >= 0.9 * half ? "utf-16be" : null;
}

/** Whether bytes are UTF-8; a character may be cut where the file goes on. */
export function isUtf8(head: Uint8Array, isWhole: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: !isWhole });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
