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
export const ALIASES: { readonly [field in CsvField]: readonly string[] } = {
  meter: ["meter_id", "meterId", "id", "LCLid"],
  time: ["timestamp", "time", "datetime", "tstp"],
  value: ["consumption_kwh", "consumption", "kwh", "energy(kWh/hh)", "KWH/hh (per half hour)"],
  received_at: ["received_at"],
};

const DELIMITERS = [",", ";", "\t", "|"];
const SHOWN_NAMES_MAX = 12;
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
    const found = findColumns(names, columns);
    if (missingFields(names, columns).length > 0) continue;
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
  const { said, lookedFor } = describeMissing(names, columns);
  return new ReadError(
    `Cannot read "${file}": ${said}`,
    "name the columns so in the first line, or give theirs:",
    { more: lookedFor },
  );
}

/** The column of each of CSV_FIELDS, -1 where there is none. */
export function findColumns(names: readonly string[], columns: CsvColumns): number[] {
  return CSV_FIELDS.map((field) => findColumn(names, field, columns));
}

/** The columns that are needed and not there, in the order of CSV_FIELDS. */
export function missingFields(names: readonly string[], columns: CsvColumns): CsvField[] {
  const found = findColumns(names, columns);
  const isNeeded = (field: CsvField) => field !== "received_at" || columns[field] !== undefined;
  return CSV_FIELDS.filter((field, i) => found[i] === -1 && isNeeded(field));
}

/** What is missing, and what was found; and by which names each of the missing is looked for. */
export function describeMissing(
  names: readonly string[],
  columns: CsvColumns,
): { readonly said: string; readonly lookedFor: readonly string[] } {
  const missing = missingFields(names, columns);
  const found = names.slice(0, SHOWN_NAMES_MAX).map(shownName).join(", ") +
    (names.length > SHOWN_NAMES_MAX ? `, and ${names.length - SHOWN_NAMES_MAX} more` : "");
  const listed = missing.join(", ").replace(/, (\w+)$/, " and no $1").replaceAll(", ", ", no ");
  const lookedFor = missing.map((field) => {
    const given = columns[field];
    if (given !== undefined) return `  ${field}: there is no ${shownName(given)}`;
    return `  ${field}: ${ALIASES[field].join(", ")}; or --${field}-column NAME`;
  });
  return { said: `no ${listed} column: found ${found}`, lookedFor };
}

function shownName(name: string): string {
  const cut = name.length > SHOWN_NAME_LENGTH_MAX
    ? `${name.slice(0, SHOWN_NAME_LENGTH_MAX)}…`
    : name;
  // JSON's escapes keep a stray control character from reaching a terminal.
  return JSON.stringify(cut).replace(/[\u007f-\u009f]/g, "\ufffd");
}

/** The cells of one line, quotes taken off. */
export function splitHeader(text: string, delimiter: string): string[] {
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
