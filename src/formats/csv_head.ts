import type { CsvReader, CsvRows } from "./csv.ts";
import { parseCsvHeader } from "./csv_header.ts";
import { ReadError } from "./read_error.ts";

const LF = 0x0a;
const QUOTE = 0x22;

/** Reads the header line into `reader.layout`; false when more bytes are needed. */
export function readHeader(reader: CsvReader): boolean {
  const { file, columns } = reader.options;
  for (;;) {
    const unread = reader.bytes.subarray(reader.start, reader.end);
    const isTooLong = unread.length > reader.recordBytesMax;
    let end = headerEnd(unread.subarray(0, reader.recordBytesMax + 1));
    if (end < 0 && !reader.isEnded && !isTooLong) return false;
    // A quote that never closes: the first line, whatever it holds.
    if (end < 0) end = unread.indexOf(LF);
    if (end < 0) end = unread.length;
    if (end === 0 && unread.length === 0) throw new ReadError(`Cannot read "${file}": it is empty`);
    if (end > reader.recordBytesMax) throw unusableHeader(reader, unread);
    const taken = Math.min(end + 1, unread.length);
    reader.start += taken;
    reader.line += countLines(unread, 0, taken);
    // The decoder drops a byte order mark.
    const text = new TextDecoder().decode(unread.subarray(0, end));
    if (text.trim() === "") continue;
    if (text.includes("\0")) throw binaryFile(file);
    try {
      reader.layout = parseCsvHeader(text, file, columns);
    } catch (error) {
      throw error instanceof ReadError && unread.includes(0) ? binaryFile(file) : error;
    }
    return true;
  }
}

/** The first line end outside quotes; -1: none. */
function headerEnd(bytes: Uint8Array): number {
  let isQuoted = false;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === QUOTE) isQuoted = !isQuoted;
    else if (bytes[i] === LF && !isQuoted) return i;
  }
  return -1;
}

function unusableHeader(reader: CsvReader, unread: Uint8Array): ReadError {
  const { file } = reader.options;
  if (unread.includes(0)) return binaryFile(file);
  return new ReadError(
    `Cannot read "${file}": its first line is longer than ${reader.recordBytesMax} bytes`,
    "the first line must name the columns",
  );
}

function binaryFile(file: string): ReadError {
  return new ReadError(
    `Cannot read "${file}": it is a binary file, not CSV`,
    "unpack it first, or save it as CSV in UTF-8",
  );
}

/** Whether a row is the header once more; counts it then. */
export function isRepeatedHeader(reader: CsvReader, { cells }: CsvRows, base: number): boolean {
  const { names, fieldOfColumn } = reader.layout!;
  for (let column = 0; column < fieldOfColumn.length; column++) {
    const field = fieldOfColumn[column];
    if (field < 0) continue;
    const at = base + 2 * field;
    // The decoder drops a byte order mark, which each of the files may have had.
    const text = new TextDecoder().decode(reader.bytes.subarray(cells[at], cells[at + 1]));
    if (text !== names[column]) return false;
  }
  reader.repeatedHeaders++;
  return true;
}

/** How many line ends there are. */
export function countLines(bytes: Uint8Array, start: number, end: number): number {
  let lines = 0;
  for (let position = start; position < end; position++) if (bytes[position] === LF) lines++;
  return lines;
}
