/** What stands between a meter and its channel in a row's first cell; no id has it of its own. */
export const CHANNEL_MARK = "\x1f";

/** The first line of what every stage hands on that makes rows. */
const HEADER = "meter_id,timestamp,consumption_kwh\n";

/** Of rows in the order they are handed on: the line of the file that each began in. */
export type LineMap = { lines: Int32Array; count: number; first: number };

/** Writes rows as plain CSV, and keeps from which line each is. */
export type RowWriter = {
  readonly map: LineMap;
  isBegun: boolean;
  /** What could not be read, with its place: what is wrong with the file. */
  readonly faults: string[];
  /** What is out of order, and was read all the same. */
  readonly notes: string[];
};

/** A writer before its first row. */
export function newRowWriter(): RowWriter {
  return {
    map: { lines: new Int32Array(1024), count: 0, first: 0 },
    isBegun: false,
    faults: [],
    notes: [],
  };
}

/** A row from a line; `channel` null: its source has none. */
export function rowText(
  writer: RowWriter,
  line: number,
  { meter, channel = null, time, value }: {
    readonly meter: string;
    readonly channel?: string | null;
    readonly time: string;
    readonly value: string;
  },
): string {
  const { map } = writer;
  if (map.count === map.lines.length) {
    const grown = new Int32Array(map.count * 2);
    grown.set(map.lines);
    map.lines = grown;
  }
  map.lines[map.count++] = line;
  const id = channel === null ? meter : `${meter}${CHANNEL_MARK}${channel}`;
  return `${headerOf(writer)}${cell(id)},${cell(time)},${cell(value)}\n`;
}

/** The header, once. */
export function headerOf(writer: RowWriter): string {
  const header = writer.isBegun ? "" : HEADER;
  writer.isBegun = true;
  return header;
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replace(/[\r\n]+/g, " ").replaceAll('"', '""')}"` : text;
}

/** The line of the file that row `n` of all is from, of rows that have been handed on. */
export function lineOf(map: LineMap, n: number): number {
  return map.lines[n - map.first] ?? 0;
}

/** Forgets the lines of the rows before row `n` of all. */
export function forgetLines(map: LineMap, n: number): void {
  const gone = n - map.first;
  if (gone < map.count >> 1 || gone === 0) return;
  map.lines.copyWithin(0, gone, map.count);
  map.count -= gone;
  map.first = n;
}
