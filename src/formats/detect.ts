import { type CsvColumns, parseCsvHeader, splitHeader } from "./csv_header.ts";
import { findMissing, type MissingColumns } from "./missing_columns.ts";
import { ReadError } from "./read_error.ts";
import { type Column, type Shape, shapeOf } from "./shape.ts";
import { latin1Of, recognize } from "./signature.ts";
import { type Fact, type FileNames, type Look, ROWS, type Unread } from "./unread.ts";
import { wideOf } from "./wide.ts";

/* What a file is that cannot be read, told by its first bytes before anything is made of it. */

/** Says why a file cannot be read, by its first bytes, and what to do; null: it can. */
export function detect(head: Uint8Array, look: Look): Unread | null {
  const facts: Fact[] = [];
  const encoding = wideEncodingOf(head);
  let text: string;
  if (encoding === null) {
    const known = recognize(latin1Of(head), look.names);
    if (known !== null) return known;
    if (head.includes(0)) {
      const ways = ["unpack it first, or save it as CSV in UTF-8"];
      return { reason: "it is a binary file, not CSV", ways, again: null };
    }
    text = decodeBytes(head, look.isWhole);
  } else {
    text = decodeWide(head, encoding);
    const known = recognize(text, look.names);
    if (known !== null) return known;
    facts.push({
      what: `${encoding} text`,
      filter: `iconv -f ${encoding} -t UTF-8`,
      isWhole: true,
    });
  }
  const lines = linesOf(text, look.isWhole);
  const first = lines.findIndex((line) => line.trim() !== "");
  if (first < 0) return look.isWhole ? { reason: "it is empty", ways: [], again: null } : null;
  const isUtf8 = encoding !== null || isDecodable(head, look.isWhole);
  const isMac = !text.includes("\n");
  const hasMark = latin1Of(head.subarray(0, 3)) === "\xef\xbb\xbf";
  return describe(lines, { first, before: facts, look, isUtf8, isMac, hasMark });
}

type Text = {
  /** The first line with something in it. */
  readonly first: number;
  /** What is known of it already. */
  readonly before: readonly Fact[];
  readonly look: Look;
  readonly isUtf8: boolean;
  /** Lines end as on old Macs. */
  readonly isMac: boolean;
  /** It begins with a byte order mark of UTF-8. */
  readonly hasMark: boolean;
};

function describe(
  lines: readonly string[],
  { first, before, look, isUtf8, isMac, hasMark }: Text,
): Unread | null {
  const header = readableHeader(lines[first], look.columns);
  const facts = [...before];
  const known = { hasMark, names: look.names };
  if (!isUtf8 && (header === null || hasForeignIds(lines.slice(first), header))) {
    const what = "text that is not UTF-8, Windows-1252 most likely";
    facts.push({ what, filter: "iconv -f WINDOWS-1252 -t UTF-8", isWhole: true });
  }
  if (isMac && lines.length > first + 1) {
    facts.push({ what: "line ends of old Macs", filter: "tr '\\r' '\\n'" });
  }
  if (header !== null) {
    const comma = commaOf(lines.slice(first + 1), header);
    if (comma !== null) facts.push(commaFact(comma, header.delimiter));
    const { delimiter } = header;
    return facts.length === 0 ? null : unreadOf(facts, { ...known, missing: null, delimiter });
  }
  const blanks = shapeOf(lines) === null ? blankSeparated(lines) : null;
  if (blanks !== null) {
    facts.push({ what: "blanks between its columns", filter: "tr -s ' ' '\\t'" });
  }
  const table = shapeOf(lines) ?? blanks ?? noShape(lines[first]);
  facts.push(...factsOf(table, lines), ...unitOf(table, lines));
  const missing = findMissing(namedColumns(table), look.columns);
  if (facts.length === 0 && missing === null) return null;
  return unreadOf(facts, { ...known, missing, delimiter: table.delimiter });
}

/** The shape of lines whose columns are parted by blanks; words of a text are none. */
function blankSeparated(lines: readonly string[]): Shape | null {
  const shape = shapeOf(lines.map((line) => line.trim().replace(/ +/g, "\t")));
  return shape?.columns.some(({ kind }) => kind === "number") ? shape : null;
}

const noShape = (line: string): Shape => ({
  delimiter: ",",
  linesBefore: 0,
  header: [line.trim()],
  columns: [{ name: line.trim(), kind: "text" }],
  decimalComma: null,
});

const KNOWN_BY = "columns are known by these names:";

/**
 * All that was found, in one message: what the file is; one pipeline that makes it readable, where
 * that is enough; and how to play what it makes.
 */
function unreadOf(
  facts: readonly Fact[],
  { missing, hasMark, names, delimiter }: {
    readonly missing: MissingColumns | null;
    readonly hasMark: boolean;
    readonly names: FileNames;
    readonly delimiter: string;
  },
): Unread {
  const first = facts[0]?.isWhole ? "" : "CSV with ";
  const what = facts.map(({ what }) => what).join(", with ");
  const reason = facts.length === 0 ? missing?.said ?? "" : `this is ${first}${what}; not read yet`;
  const notes = facts.flatMap(({ note }) => note ?? []);
  if (facts.some(({ filter }) => filter === null)) {
    return { reason, ways: [...new Set([...notes, ROWS])], again: null };
  }
  const filters = facts.flatMap(({ filter }) => filter ?? []);
  if (missing?.isOneMeter) {
    const d = delimiter === "\t" ? "\\t" : delimiter;
    filters.push(`sed '1s/^/meter_id${d}/; 1!s/^/M1${d}/'`);
  }
  // Behind other text a byte order mark would be a part of a name.
  if (hasMark && filters.length > 0) filters.unshift("tail -c +4");
  const [start, ...rest] = filters;
  const made = ".readable.csv";
  const pipeline = start === undefined
    ? []
    : [`${[`${start} < ${names.file}`, ...rest].join(" | ")} > ${names.made(made)}`];
  const isOther = facts.length > 0 && missing !== null && missing.add === null;
  const isGuessed = missing !== null && missing.add !== null;
  const more = [
    ...isOther ? [`then: ${missing.said}`] : [],
    ...isGuessed && start === undefined ? [`or name it in the first line: ${missing.known}`] : [],
    ...isGuessed || missing === null ? [] : [KNOWN_BY, ...missing.lookedFor],
  ];
  const add = missing === null ? [] : missing.add;
  const again = add === null ? null : { add, made: start === undefined ? null : made };
  return { reason, ways: [...pipeline, ...more], again };
}

/** UTF-16 and UTF-32, by their mark or by the zeros between ASCII characters. */
function wideEncodingOf(head: Uint8Array): "UTF-16" | "UTF-16LE" | "UTF-16BE" | null {
  const start = latin1Of(head.subarray(0, 4));
  if (/^(\xff\xfe(?!\0\0)|\xfe\xff)/.test(start)) return "UTF-16";
  const pairs = head.subarray(0, 2000 & ~1);
  let low = 0;
  let high = 0;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    if (pairs[i] === 0 && pairs[i + 1] !== 0) high++;
    if (pairs[i] !== 0 && pairs[i + 1] === 0) low++;
  }
  const half = pairs.length / 2;
  if (half < 4) return null;
  if (low >= 0.9 * half) return "UTF-16LE";
  return high >= 0.9 * half ? "UTF-16BE" : null;
}

function decodeWide(head: Uint8Array, encoding: "UTF-16" | "UTF-16LE" | "UTF-16BE"): string {
  const isBig = encoding === "UTF-16BE" || encoding === "UTF-16" && head[0] === 0xfe;
  return new TextDecoder(isBig ? "utf-16be" : "utf-16le").decode(head);
}

function decodeBytes(head: Uint8Array, isWhole: boolean): string {
  return new TextDecoder(isDecodable(head, isWhole) ? "utf-8" : "windows-1252").decode(head);
}

/** Whether bytes are UTF-8; a character may be cut where the file goes on. */
function isDecodable(head: Uint8Array, isWhole: boolean): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: !isWhole });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Whole lines; the last is cut, unless the file ends there. */
function linesOf(text: string, isWhole: boolean): string[] {
  const lines = text.split(/\r\n|\n|\r/);
  if (!isWhole && lines.length > 1) lines.pop();
  return lines;
}

type Header = {
  readonly delimiter: string;
  readonly width: number;
  readonly meter: number;
  readonly value: number;
};

/** Where the columns are, when the header can be used as it stands. */
function readableHeader(line: string, columns: CsvColumns): Header | null {
  try {
    const { delimiter, fieldOfColumn, names } = parseCsvHeader(line, "", columns);
    return {
      delimiter: String.fromCharCode(delimiter),
      width: names.length,
      meter: fieldOfColumn.indexOf(0),
      value: fieldOfColumn.indexOf(2),
    };
  } catch (error) {
    if (error instanceof ReadError) return null;
    throw error;
  }
}

/** Whether ids have letters beyond ASCII, of which two would become one when not read rightly. */
function hasForeignIds(lines: readonly string[], { delimiter, meter }: Header): boolean {
  const isForeign = (text: string) => /[^\0-\x7f]/.test(text);
  return lines.some((line) =>
    isForeign(line) && isForeign(splitHeader(line, delimiter)[meter] ?? "")
  );
}

/** A value with a decimal comma, where no value has a point; null: none. */
function commaOf(lines: readonly string[], { delimiter, width, value }: Header): string | null {
  const isLast = value === width - 1;
  const valuesOf = (some: readonly string[]) =>
    some.map((line) => splitHeader(line, delimiter))
      .filter((row) => row.length >= width)
      // Not in quotes, the comma makes two cells of the value.
      .map((row) => isLast && delimiter === "," ? row.slice(value).join(",") : row[value]);
  // Of most files no line has a comma too many, and none needs to be taken apart.
  const commas = delimiter === "," ? width : 1;
  const withComma = lines.filter((line) => line.includes('"') || line.split(",").length > commas);
  const comma = valuesOf(withComma).find((text) => /^[+-]?\d+,\d+$/.test(text));
  if (comma === undefined) return null;
  return valuesOf(lines).some((text) => /^[+-]?\d*\.\d+$/.test(text)) ? null : comma;
}

function commaFact(example: string, delimiter: string): Fact {
  const what = `decimal commas (${example})`;
  if (delimiter !== ",") return { what, filter: "sed '1!s/,/./g'" };
  return { what, filter: null, note: "save it with decimal points where it comes from" };
}

/** What keeps a table from being read, besides the names of its columns. */
function factsOf(shape: Shape, lines: readonly string[]): Fact[] {
  const { header, linesBefore, columns, delimiter, decimalComma } = shape;
  const facts: Fact[] = [];
  if (lines.slice(0, linesBefore).some((line) => line.trim() !== "")) {
    const before = linesBefore === 1 ? "a line" : `${linesBefore} lines`;
    const place = header === null ? "its rows" : `its header on line ${linesBefore + 1}`;
    facts.push({ what: `${before} before ${place}`, filter: `tail -n +${linesBefore + 1}` });
  }
  const wide = header === null ? null : wideOf(columns);
  if (wide !== null) return [wide, ...facts, ...commas(decimalComma, delimiter)];
  if (header === null) facts.push(headless(shape));
  else facts.push(...apart(columns));
  return [...facts, ...commas(decimalComma, delimiter)];
}

const commas = (example: string | null, delimiter: string): Fact[] =>
  example === null ? [] : [commaFact(example, delimiter)];

/** Another unit than kWh, by the lines above the table or the names of its columns. */
function unitOf({ linesBefore, delimiter, columns }: Shape, lines: readonly string[]): Fact[] {
  const above = lines.slice(0, linesBefore).flatMap((line) => splitHeader(line, delimiter));
  const named = columns.filter(({ kind }) => kind === "number")
    .flatMap(({ name }) => /(?:[([ _])([kM]?Wh?)[)\]]?$/.exec(name)?.[1] ?? []);
  const said = [
    ...named,
    ...above.flatMap((cell) => /^(?:UOM: ?|Unit: ?)?([kM]?Wh?)$/i.exec(cell)?.[1] ?? []),
  ];
  if (said.length === 0 || said.some((unit) => unit.toLowerCase() === "kwh")) return [];
  const note = /h$/i.test(said[0])
    ? "give the values in kWh"
    : "give the values in kWh: a mean of so many kW times the hours of its interval";
  return [{ what: `values in ${said[0]}`, filter: null, note }];
}

/** Rows without a header line; it can be made where it is clear what stands in them. */
function headless(shape: Shape): Fact {
  const names = namedColumns(shape).map(({ name }) => name);
  const isClear = names.includes("timestamp") && names.includes("consumption_kwh");
  const what = "no header line";
  if (!isClear) return { what, filter: null, note: "put the columns' names into a line before it" };
  const header = names.join(shape.delimiter === "\t" ? "\\t" : shape.delimiter);
  return { what, filter: `(printf '${header}\\n'; cat)` };
}

/** The columns by their names; where there is no header, by what they hold. */
function namedColumns({ header, columns }: Shape): readonly Column[] {
  if (header !== null) return columns;
  const time = columns.findIndex(({ kind }) => kind === "instant" || kind === "date");
  const value = columns.findLastIndex(({ kind }, i) => kind === "number" && i !== time);
  const meter = columns.findIndex(({ kind }, i) => kind !== "empty" && i !== time && i !== value);
  const known: Readonly<Record<number, string>> = {
    [meter]: "meter_id",
    [value]: "consumption_kwh",
    [time]: "timestamp",
  };
  return columns.map(({ kind }, i) => ({ kind, name: known[i] ?? `column_${i + 1}` }));
}

/** Day and time of day in two columns. */
function apart(columns: readonly Column[]): Fact[] {
  if (columns.some(({ kind }) => kind === "instant")) return [];
  const date = columns.find(({ kind }) => kind === "date");
  const clock = columns.find(({ kind }) => kind === "clock");
  if (date === undefined || clock === undefined) return [];
  const what = `date and time in two columns ("${date.name}", "${clock.name}")`;
  const note = "put date and time into one column, such as 2024-01-31 13:30";
  return [{ what, filter: null, note }];
}
