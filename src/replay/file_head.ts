import type { CsvColumns } from "../formats/csv_header.ts";
import { parseCsvHeader } from "../formats/csv_header.ts";
import { decide, type Decided } from "../formats/decided.ts";
import { detect } from "../formats/detect.ts";
import { ReadError } from "../formats/read_error.ts";
import type { ReplayFiles } from "./files.ts";

const HEAD_BYTES = 1 << 16;
const SHORT_BYTES = 1 << 14;
/** A header line may be long; one that is longer is none. */
const HEAD_BYTES_MAX = 1 << 20;
const LF = 0x0a;

/** A name as whoever is told to type it types it. */
export type QuoteWord = (word: string) => string;

/** Why a file is no plain CSV, and what to do; null: it is. */
export function unreadError(
  path: string,
  head: Pick<FileHead, "head" | "isWhole">,
  { columns, quote }: { readonly columns: CsvColumns; readonly quote: QuoteWord },
): ReadError | null {
  const made = (ending: string) => madeOf(path, ending);
  const names = { file: quote(path), made: (ending: string) => quote(made(ending)) };
  const look = { names, columns, isWhole: head.isWhole };
  // Of a file that plain CSV begins, a short beginning says as much as a long one.
  const short = head.head.subarray(0, SHORT_BYTES);
  const isShort = short.length < head.head.length && short.includes(LF);
  if (isShort && detect(short, { ...look, isWhole: false }) === null) return null;
  const unread = detect(head.head, look);
  if (unread === null) return null;
  const { reason, ways: [hint, ...more], again } = unread;
  const instead = again === null || again.made === null ? path : made(again.made);
  return new ReadError(`Cannot read "${path}": ${reason}`, hint, {
    more,
    again: again === null ? undefined : { add: again.add, file: path, instead },
  });
}

/** The name of what is made of a file: never its own. */
function madeOf(path: string, ending: string): string {
  const made = path.replace(/\.[^./\\]+$/, "") + ending;
  return made === path ? `${path}.csv` : made;
}

/** The first bytes of a file. */
export type FileHead = {
  readonly head: Uint8Array;
  readonly isWhole: boolean;
  /** Of the file. */
  readonly sizeBytes: number;
};

/** The first lines of a file, the last of them perhaps cut. */
export function readHeadLines(files: Pick<ReplayFiles, "open">, path: string): string[] {
  return new TextDecoder().decode(readHead(files, path).head).split(/\r?\n/);
}

/** The first bytes of a file, with its first line whole. */
export function readHead(files: Pick<ReplayFiles, "open">, path: string): FileHead {
  const file = files.open(path);
  try {
    const head = new Uint8Array(HEAD_BYTES_MAX);
    let length = 0;
    for (;;) {
      const isEnough = length >= HEAD_BYTES && head.subarray(0, length).includes(LF);
      if (isEnough || length === head.length) {
        const isWhole = length === file.sizeBytes;
        return { head: head.subarray(0, length), isWhole, sizeBytes: file.sizeBytes };
      }
      const count = file.read(head.subarray(length, Math.min(length + HEAD_BYTES, head.length)));
      if (count === null) {
        return { head: head.subarray(0, length), isWhole: true, sizeBytes: file.sizeBytes };
      }
      length += count;
    }
  } finally {
    file.close();
  }
}

/** What is decided of plain CSV. */
export function plainDecided({ head }: FileHead, columns: CsvColumns): Decided {
  const [line] = new TextDecoder().decode(head).trimStart().split("\n", 1);
  const { delimiter, names } = parseCsvHeader(line, "", columns);
  return {
    format: decide("csv", `its first line: ${names.slice(0, 6).join(", ")}`),
    encoding: decide("utf-8", "its beginning decodes"),
    delimiter: decide(String.fromCharCode(delimiter), `it makes ${names.length} columns of line 1`),
    decimal: decide("point", "no value has another mark"),
    date_order: decide("ymd", "ISO 8601: the year comes first"),
    label: decide("start", "times are taken as they are written"),
    unit: decide("kWh", "the unit of plain CSV"),
    timezone: decide(null, "not said"),
    channels: decide(null, "no channel column"),
  };
}
