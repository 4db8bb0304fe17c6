import { denoFiles } from "../adapters/deno/files.ts";
import { quoteWord } from "../console/quote.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import { detect } from "../formats/detect.ts";
import { ReadError } from "../formats/read_error.ts";

const HEAD_BYTES = 1 << 16;
/** A header line may be long; one that is longer is none. */
const HEAD_BYTES_MAX = 1 << 20;
const LF = 0x0a;

/**
 * Looks at the beginning of each file, so that one that cannot be read is named as what it is
 * before anything is made. A recorded raw topic is played as it stands.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export function refuseUnread(paths: readonly string[], columns: CsvColumns): void {
  for (const path of paths.filter((each) => !each.endsWith(".jsonl"))) {
    const { head, isWhole } = readHead(path);
    const made = (ending: string) => madeOf(path, ending);
    const names = { file: quoteWord(path), made: (ending: string) => quoteWord(made(ending)) };
    const unread = detect(head, { names, columns, isWhole });
    if (unread === null) continue;
    const { reason, ways: [hint, ...more], again } = unread;
    const instead = again === null || again.made === null ? path : made(again.made);
    throw new ReadError(`Cannot read "${path}": ${reason}`, hint, {
      more,
      again: again === null ? undefined : { add: again.add, file: path, instead },
    });
  }
}

/** The name of what is made of a file: never its own. */
function madeOf(path: string, ending: string): string {
  const made = path.replace(/\.[^./\\]+$/, "") + ending;
  return made === path ? `${path}.csv` : made;
}

/** The first lines of a file, the last of them perhaps cut. */
export function readHeadLines(path: string): string[] {
  return new TextDecoder().decode(readHead(path).head).split(/\r?\n/);
}

/** The first bytes of a file, with its first line whole. */
function readHead(path: string): { head: Uint8Array; isWhole: boolean } {
  const file = denoFiles.open(path);
  try {
    const head = new Uint8Array(HEAD_BYTES_MAX);
    let length = 0;
    for (;;) {
      const isEnough = length >= HEAD_BYTES && head.subarray(0, length).includes(LF);
      if (isEnough || length === head.length) {
        return { head: head.subarray(0, length), isWhole: length === file.sizeBytes };
      }
      const count = file.read(head.subarray(length, Math.min(length + HEAD_BYTES, head.length)));
      if (count === null) return { head: head.subarray(0, length), isWhole: true };
      length += count;
    }
  } finally {
    file.close();
  }
}
