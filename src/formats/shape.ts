import { splitHeader } from "./csv_header.ts";

/* What lines of text look like: where their table begins, and what stands in its columns. */

/** What a column holds, by its cells. */
export type ColumnKind = "instant" | "date" | "clock" | "number" | "text" | "empty";

export type Column = { readonly name: string; readonly kind: ColumnKind };

/** A table in lines of text. */
export type Shape = {
  readonly delimiter: string;
  /** Lines before the header, or before the rows where there is none. */
  readonly linesBefore: number;
  /** Null: the first line of the table is a row already. */
  readonly header: readonly string[] | null;
  readonly columns: readonly Column[];
  /** A number with a decimal comma, as it stands; null: there is none. */
  readonly decimalComma: string | null;
};

const DELIMITERS = [",", ";", "\t", "|"];
/** Lines that the shape is told by. */
const LINES_MAX = 200;
/** Of a column's cells, so many tell its kind. */
const KIND_SHARE = 0.8;

const YEAR_FIRST = String.raw`\d{4}[-/.]\d{1,2}[-/.]\d{1,2}`;
const DAY_FIRST = String.raw`\d{1,2}[-/. ](?:\d{1,2}|[a-z]{3,9})[-/. ,]+\d{2,4}`;
const MONTH_FIRST = String.raw`[a-z]{3,9} \d{1,2},? \d{4}`;
const DATE = `(?:${YEAR_FIRST}|${DAY_FIRST}|${MONTH_FIRST})`;
const CLOCK = String.raw`\d{1,2}[:h]\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?`;
const ZONE = String.raw`(?: ?(?:z|utc|gmt|[+-]\d{2}:?\d{2}))?`;
const DIGITS = String.raw`(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`;
const IS_DATE = new RegExp(`^(?:${DATE}|${DIGITS})$`, "i");
const IS_CLOCK = new RegExp(`^${CLOCK}(?: ?(?:-|–|to) ?${CLOCK})?$`, "i");
const IS_INSTANT = new RegExp(`^(?:${DATE}[ t,]+${CLOCK}${ZONE}|${DIGITS} ?\\d{4,6})$`, "i");
const IS_NUMBER = /^[+-]?(\d[\d  ']*([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?$/i;
const IS_DECIMAL_COMMA = /^[+-]?\d{1,3}((\.| )?\d{3})*,\d+$/;
const IS_DECIMAL_POINT = /^[+-]?\d*\.\d+$/;

/** Whether a cell is a moment or a day. */
export const isDated = (cell: string): boolean => IS_INSTANT.test(cell) || IS_DATE.test(cell);
/** Whether a cell is a time of day, or from one to another. */
export const isClock = (cell: string): boolean => IS_CLOCK.test(cell);

/** The shape of some lines; null: they are no table. */
export function shapeOf(lines: readonly string[]): Shape | null {
  const sample = lines.slice(0, LINES_MAX);
  const found = DELIMITERS.map((delimiter) => tableOf(sample, delimiter))
    .filter((table) => table !== null)
    .sort((a, b) => b.share - a.share || b.width - a.width)[0];
  if (found === undefined) return null;
  const { delimiter, cells, first } = found;
  const header = isRow(cells[first]) ? null : cells[first];
  const rows = cells.slice(header === null ? first : first + 1)
    .filter((row) => row.some((cell) => cell !== ""));
  const names = header ?? cells[first].map((_, i) => `column ${i + 1}`);
  const values = rows.flatMap((row) => row.filter((cell) => IS_DECIMAL_COMMA.test(cell)));
  const hasPoint = rows.some((row) => row.some((cell) => IS_DECIMAL_POINT.test(cell)));
  return {
    delimiter,
    linesBefore: first,
    header,
    columns: names.map((name, i) => ({ name, kind: kindOf(rows.map((row) => row[i] ?? "")) })),
    decimalComma: hasPoint ? null : values[0] ?? null,
  };
}

type Table = {
  readonly delimiter: string;
  readonly cells: readonly (readonly string[])[];
  /** The table's first line. */
  readonly first: number;
  readonly width: number;
  /** Of the lines, how many have as many cells as most have. */
  readonly share: number;
};

/** The table that lines make under a delimiter; null: none. */
function tableOf(lines: readonly string[], delimiter: string): Table | null {
  const cells = lines.map((line) => splitHeader(line, delimiter));
  const rest = cells.filter((row) => row.some((cell) => cell !== ""));
  if (rest.length === 0) return null;
  const width = commonest(rest.map((row) => row.length));
  if (width < 2) return null;
  const alike = rest.filter((row) => row.length === width);
  const filledOf = (row: readonly string[]) => row.filter((cell) => cell !== "").length;
  const filled = commonest(alike.slice(alike.length >> 1).map(filledOf));
  // Above a table stand lines of fewer cells, or of as many with nothing in them.
  const first = cells.findIndex((row) =>
    row.length === width && filledOf(row) >= Math.max(1, filled - 1)
  );
  return first < 0 ? null : { delimiter, cells, first, width, share: alike.length / rest.length };
}

function commonest(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 0;
}

/** Names are neither moments nor all numbers; many moments in one line are columns of them. */
function isRow(cells: readonly string[]): boolean {
  const filled = cells.filter((cell) => cell !== "");
  const dated = filled.filter(isDated).length;
  return dated > 0 && dated <= 3 || filled.every((cell) => IS_NUMBER.test(cell));
}

function kindOf(cells: readonly string[]): ColumnKind {
  const filled = cells.filter((cell) => cell !== "");
  if (filled.length === 0) return "empty";
  const is = (pattern: RegExp) =>
    filled.filter((cell) => pattern.test(cell)).length >= KIND_SHARE * filled.length;
  if (is(IS_INSTANT)) return "instant";
  if (is(IS_DATE)) return "date";
  if (is(IS_CLOCK)) return "clock";
  return is(IS_NUMBER) ? "number" : "text";
}
