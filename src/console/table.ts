import { visible } from "./visible.ts";

/** A value as a database or a computation hands it over. */
export type Cell = unknown;
export type Rows = readonly (readonly Cell[])[];

export type TableOptions = {
  /** How many columns the terminal has; default: as many as the table needs. */
  readonly widthMax?: number;
  /** Columns of sentences, by index: where the table is too wide they are broken over lines. */
  readonly wrapped?: readonly number[];
};

/** A column of sentences is not made narrower than this. */
const WRAPPED_WIDTH_MIN = 20;
const GUTTER = "  ";

/**
 * An aligned table for a terminal: a header, a rule, a line a row. Columns of numbers are right
 * aligned. Null is blank, as in psql. A table that is too wide even with its sentences broken over
 * lines is given as records, a line a cell, as psql does: a cut cell is a wrong one. Control
 * characters are written out, so that data cannot move the cursor, set colours, or turn the
 * direction of the text.
 */
export function formatTable(
  columns: readonly string[],
  rows: Rows,
  { widthMax = Infinity, wrapped = [] }: TableOptions = {},
): string {
  const headers = columns.map((column) => visible(column));
  const cells = rows.map((row) => columns.map((_, i) => visible(cellText(row[i]) ?? "")));
  const widths = headers.map((header, i) =>
    cells.reduce((width, row) => Math.max(width, lengthOf(row[i])), lengthOf(header))
  );
  const fits = shrink(widths, wrapped, widthMax - GUTTER.length * (columns.length - 1));
  if (!fits && rows.length > 0) return formatRecords(headers, cells, widthMax);
  const isNumeric = columns.map((_, i) => isNumericColumn(rows, i));
  const line = (texts: readonly string[]): string =>
    texts.map((text, i) => align(text, widths[i], isNumeric[i])).join(GUTTER).trimEnd() + "\n";
  const row = (texts: readonly string[]): string => {
    const parts = texts.map((text, i) => wrap(text, widths[i]));
    const height = parts.reduce((most, { length }) => Math.max(most, length), 1);
    return Array.from({ length: height }, (_, n) => line(parts.map((part) => part[n] ?? "")))
      .join("");
  };
  const rule = widths.map((width) => "─".repeat(width)).join(GUTTER) + "\n";
  return line(headers) + rule + cells.map(row).join("");
}

/** Narrows the columns that may be wrapped, the widest first; false: that is not enough. */
function shrink(widths: number[], wrapped: readonly number[], sumMax: number): boolean {
  const excess = widths.reduce((sum, width) => sum + width, 0) - sumMax;
  const isWidest = (i: number) => wrapped.every((other) => widths[i] >= widths[other]);
  for (let n = 0; n < excess; n++) {
    const widest = wrapped.find(isWidest);
    if (widest === undefined || widths[widest] <= WRAPPED_WIDTH_MIN) return false;
    widths[widest]--;
  }
  return true;
}

/** A record a row: its number, then a line a cell, broken where the terminal ends. */
function formatRecords(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  widthMax: number,
): string {
  const nameWidth = headers.reduce((width, header) => Math.max(width, lengthOf(header)), 0);
  const width = Math.max(WRAPPED_WIDTH_MIN, widthMax - nameWidth - GUTTER.length);
  return rows.map((row, n) => {
    const title = `── ${n + 1} `;
    const cells = row.flatMap((text, i) =>
      wrap(text, width).map((part, p) =>
        `${(p === 0 ? headers[i] : "").padEnd(nameWidth)}${GUTTER}${part}`.trimEnd()
      )
    );
    return [title.padEnd(Math.min(widthMax, nameWidth + GUTTER.length + 20), "─"), ...cells]
      .join("\n") + "\n";
  }).join("");
}

/** A text in lines of at most `width` characters, broken behind a blank where there is one. */
function wrap(text: string, width: number): string[] {
  if (lengthOf(text) <= width) return [text];
  const chars = [...text];
  const lines: string[] = [];
  for (let start = 0; start < chars.length;) {
    // A blank right behind the line may be its last: it is not seen.
    const line = chars.slice(start, start + width + 1);
    const isLast = start + width >= chars.length;
    const length = isLast ? width : line.lastIndexOf(" ") + 1 || width;
    lines.push(line.slice(0, length).join("").trimEnd());
    start += length;
  }
  return lines;
}

/** Numbers, bigints and numbers as text (SQL `numeric`), and at least one of them. */
function isNumericColumn(rows: Rows, column: number): boolean {
  let some = false;
  for (const row of rows) {
    const cell = row[column];
    if (cell === null || cell === undefined) continue;
    const isNumber = typeof cell === "number" || typeof cell === "bigint" ||
      (typeof cell === "string" && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(cell));
    if (!isNumber) return false;
    some = true;
  }
  return some;
}

function align(text: string, width: number, toTheRight: boolean): string {
  const blank = " ".repeat(Math.max(0, width - lengthOf(text)));
  return toTheRight ? blank + text : text + blank;
}

/** Characters, counting a surrogate pair once. Wide and combining ones are not known here. */
function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** A cell as text, null for null: times as ISO 8601 `Z`, bytes as `\x…`, the rest as JSON. */
function cellText(cell: Cell): string | null {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === "string") return cell;
  if (cell instanceof Date) return dateText(cell);
  if (cell instanceof Uint8Array) return "\\x" + cell.toHex();
  if (typeof cell === "object") return jsonText(cell);
  return String(cell);
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "invalid date" : date.toISOString().replace(".000Z", "Z");
}

export type CsvOptions = {
  /** Columns whose cells are numbers, also where they come as text (SQL `numeric`). */
  readonly areNumbers?: readonly boolean[];
  /** Texts go as they are, also those that a spreadsheet would take for a formula. */
  readonly isRaw?: boolean;
  /** False: the rows go on where others ended. */
  readonly hasHeader?: boolean;
};

/**
 * CSV by RFC 4180 with LF line ends, header first. Null is an empty field and the empty text `""`,
 * so that the two can be told apart (as PostgreSQL writes and reads them). A text that a spreadsheet
 * would run as a formula gets an apostrophe before it; a number never does.
 */
export function formatCsv(
  columns: readonly string[],
  rows: Rows,
  { areNumbers = [], isRaw = false, hasHeader = true }: CsvOptions = {},
): string {
  const field = (cell: Cell, isNumber = false) => {
    const isText = typeof cell === "string" && !isNumber;
    return csvField(isText && !isRaw ? unrunnable(cell) : cellText(cell));
  };
  const header = hasHeader ? columns.map((column) => field(column)).join(",") + "\n" : "";
  const record = (cells: readonly Cell[]) =>
    columns.map((_, i) => field(cells[i], areNumbers[i])).join(",") + "\n";
  return header + rows.map(record).join("");
}

/**
 * What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"): its first character,
 * the full-width forms of it, or a tab or a line's end, which are skipped before it is looked at.
 */
const FORMULA_START = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

function unrunnable(text: string): string {
  return FORMULA_START.test(text) ? `'${text}` : text;
}

function csvField(text: string | null): string {
  if (text === null) return "";
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A JSON array, an object a row and line. Bigints are numbers where a number holds them and text
 * where not; NaN and infinities, which JSON lacks, are text. A column name that comes again gets
 * `_2`, `_3`, …: no column is lost.
 */
export function formatJson(columns: readonly string[], rows: Rows): string {
  const lines = jsonObjects(columns, rows);
  return lines.length === 0 ? "[]\n" : `[\n${lines.join(",\n")}\n]\n`;
}

/** The objects of such an array, for rows that come part by part. */
export function jsonObjects(columns: readonly string[], rows: Rows): string[] {
  const names = distinct(columns);
  return rows.map((row) =>
    `{${names.map((name, i) => `${JSON.stringify(name)}:${jsonText(row[i] ?? null)}`).join(",")}}`
  );
}

function distinct(names: readonly string[]): string[] {
  const taken = new Set<string>(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let free = name;
    for (let n = 2; seen.has(free) || (free !== name && taken.has(free)); n++) {
      free = `${name}_${n}`;
    }
    seen.add(free);
    return free;
  });
}

function jsonText(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, json) {
    const raw = this[key]; // `json` is what toJSON made of it
    if (raw instanceof Date) return Number.isNaN(raw.getTime()) ? null : dateText(raw);
    if (raw instanceof Uint8Array) return "\\x" + raw.toHex();
    if (typeof raw === "bigint") return Number.isSafeInteger(Number(raw)) ? Number(raw) : `${raw}`;
    if (typeof raw === "number" && !Number.isFinite(raw)) return String(raw);
    return json;
  });
}
