import { ReadError } from "./read_error.ts";

/** The columns Gridwatch reads, in the order of a row's cells. */
export const CSV_FIELDS = ["meter", "time", "value", "received_at"] as const;
export type CsvField = typeof CSV_FIELDS[number];

/** Column names given by a person; they win over the aliases. */
export type CsvColumns = { readonly [field in CsvField]?: string };

/** Where a file's columns are. */
export type CsvLayout = {
  /** The delimiter's byte. */
  readonly delimiter: number;
  /** Column index → index into CSV_FIELDS, or -1. */
  readonly fieldOfColumn: Int8Array;
  readonly names: readonly string[];
  /** What the name of the time column begins with: few rows begin their time so, a header does. */
  readonly timeNameByte: number;
};

/** Names a column is known by, the best first; upper and lower case are the same. */
const ALIASES: { readonly [field in CsvField]: readonly string[] } = {
  meter: ["meter_id", "meterId", "id", "LCLid"],
  time: ["timestamp", "time", "datetime", "tstp"],
  value: ["consumption_kwh", "consumption", "kwh", "energy(kWh/hh)", "KWH/hh (per half hour)"],
  received_at: ["received_at"],
};

const DELIMITERS = [",", ";", "\t", "|"];
const SHOWN_NAMES_MAX = 20;
const SHOWN_NAME_LENGTH_MAX = 40;

/**
 * Finds the columns in a header line. The delimiter is the one under which all columns are found,
 * or else the commonest.
 *
 * @throws {ReadError} naming the columns found and those looked for, when one is missing.
 */
export function parseCsvHeader(text: string, file: string, columns: CsvColumns = {}): CsvLayout {
  const layouts = DELIMITERS
    .map((delimiter) => ({ delimiter, names: splitHeader(text, delimiter) }))
    .sort((a, b) => b.names.length - a.names.length);
  for (const { delimiter, names } of layouts) {
    const found = CSV_FIELDS.map((field) => findColumn(names, field, columns));
    if (found.slice(0, 3).includes(-1)) continue;
    if (columns.received_at !== undefined && found[3] === -1) continue;
    const fieldOfColumn = new Int8Array(names.length).fill(-1);
    found.forEach((column, field) => column >= 0 && (fieldOfColumn[column] = field));
    const [timeNameByte] = new TextEncoder().encode(names[found[1]]);
    return { delimiter: delimiter.charCodeAt(0), fieldOfColumn, names, timeNameByte };
  }
  throw missingColumn(layouts[0].names, file, columns);
}

function findColumn(names: readonly string[], field: CsvField, columns: CsvColumns): number {
  const wanted = columns[field] === undefined ? ALIASES[field] : [columns[field]];
  for (const name of wanted) {
    const exact = names.indexOf(name);
    if (exact >= 0) return exact;
    const lower = name.trim().toLowerCase();
    const alike = names.findIndex((other) => other.toLowerCase() === lower);
    if (alike >= 0) return alike;
  }
  return -1;
}

function missingColumn(names: readonly string[], file: string, columns: CsvColumns): ReadError {
  const field = CSV_FIELDS.find((field) => findColumn(names, field, columns) === -1)!;
  const found = names.slice(0, SHOWN_NAMES_MAX).map(shownName).join(", ") +
    (names.length > SHOWN_NAMES_MAX ? `, and ${names.length - SHOWN_NAMES_MAX} more` : "");
  const lookedFor = columns[field] === undefined
    ? ALIASES[field].join(", ")
    : shownName(columns[field]);
  const hint = columns[field] === undefined
    ? `name that column "${
      ALIASES[field][0]
    }" in the file's first line, or use --${field}-column NAME`
    : "give the column's name as it stands in the file's first line";
  return new ReadError(
    `Cannot read "${file}": no ${field} column: found ${found}; looked for ${lookedFor}`,
    hint,
  );
}

function shownName(name: string): string {
  const cut = name.length > SHOWN_NAME_LENGTH_MAX
    ? `${name.slice(0, SHOWN_NAME_LENGTH_MAX)}…`
    : name;
  // JSON's escapes keep a stray control character from reaching a terminal.
  return JSON.stringify(cut).replace(/[\u007f-\u009f]/g, "\ufffd");
}

/** The cells of one line, quotes taken off. */
function splitHeader(text: string, delimiter: string): string[] {
  const names: string[] = [];
  let cell = "";
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    else if (char === delimiter && !quoted) {
      names.push(cell.trim());
      cell = "";
    } else cell += char;
  }
  names.push(cell.trim());
  return names;
}
