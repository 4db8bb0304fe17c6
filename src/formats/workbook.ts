import { SaxesParser } from "saxes";
import { DAY_MS } from "../core/calendar.ts";
import { formatTimestamp } from "../core/time.ts";
import { ReadError } from "./read_error.ts";
import type { Stage } from "./stage.ts";

/*
 * Excel workbooks (.xlsx, ECMA-376): a zip archive of XML. A sheet becomes the text that a person would
 * get who saves it as CSV, a row a line, so that its rows keep their numbers.
 */

/** What the sheets of a workbook share. */
export type Workbook = {
  readonly sheets: readonly { readonly name: string; readonly member: string }[];
  readonly strings: readonly string[];
  /** Of each cell format: whether its numbers are dates or times. */
  readonly isDate: readonly boolean[];
  /** The day that a date of 0 is, in days from 1970 on. */
  readonly dayZero: number;
};

/** Formats that a workbook does not describe: dates and times among them. */
const BUILT_IN_DATES = [[14, 22], [27, 36], [45, 47], [50, 58]];
const DAY_ZERO_1900 = -25_569;
const DAY_ZERO_1904 = -24_107;
const ROWS_MAX = 1 << 20;
const COLUMNS_MAX = 1 << 14;

/** Whether these are the files of a workbook. */
export function isWorkbook(names: readonly string[]): boolean {
  return names.includes("xl/workbook.xml");
}

/**
 * Reads what the sheets share.
 *
 * @throws {ReadError} when a part of it is missing or damaged
 */
export function readWorkbook(
  file: string,
  bytesOf: (member: string) => Uint8Array | null,
): Workbook {
  const scan = (member: string, handlers: XmlHandlers): boolean => {
    const bytes = bytesOf(member);
    if (bytes === null) return false;
    const xml = newXmlScan(file, handlers);
    xml(new TextDecoder().decode(bytes), true);
    return true;
  };
  const targets = new Map<string, string>();
  scan("xl/_rels/workbook.xml.rels", {
    open: (name, { Id = "", Target = "" }) => {
      if (name === "Relationship") targets.set(Id, pathOf(Target));
    },
  });
  const sheets: { name: string; member: string }[] = [];
  let dayZero = DAY_ZERO_1900;
  scan("xl/workbook.xml", {
    open: (name, attributes) => {
      if (name === "workbookPr" && /^(1|true)$/.test(attributes.date1904 ?? "")) {
        dayZero = DAY_ZERO_1904;
      }
      if (name !== "sheet" || /hidden/i.test(attributes.state ?? "")) return;
      const member = targets.get(attributes.id ?? "");
      if (member !== undefined) sheets.push({ name: attributes.name ?? "", member });
    },
  });
  return { sheets, strings: readStrings(scan), isDate: readFormats(scan), dayZero };
}

const pathOf = (target: string) => target.startsWith("/") ? target.slice(1) : `xl/${target}`;

type Scan = (member: string, handlers: XmlHandlers) => boolean;

function readStrings(scan: Scan): string[] {
  const strings: string[] = [];
  let text = "";
  let isText = false;
  // How a text is pronounced is no part of it.
  let isPhonetic = false;
  scan("xl/sharedStrings.xml", {
    open: (name) => {
      if (name === "si") text = "";
      if (name === "rPh") isPhonetic = true;
      isText = name === "t" && !isPhonetic;
    },
    text: (more) => {
      if (isText) text += more;
    },
    close: (name) => {
      if (name === "si") strings.push(text);
      if (name === "rPh") isPhonetic = false;
      isText = false;
    },
  });
  return strings;
}

function readFormats(scan: Scan): boolean[] {
  const codes = new Map<number, string>();
  const isDate: boolean[] = [];
  let isCell = false;
  scan("xl/styles.xml", {
    open: (name, { numFmtId = "0", formatCode = "" }) => {
      if (name === "numFmt") codes.set(Number(numFmtId), formatCode);
      if (name === "cellXfs") isCell = true;
      if (name === "xf" && isCell) {
        const id = Number(numFmtId);
        const code = codes.get(id);
        isDate.push(code === undefined ? isBuiltInDate(id) : isDateCode(code));
      }
    },
    close: (name) => {
      if (name === "cellXfs") isCell = false;
    },
  });
  return isDate;
}

const isBuiltInDate = (id: number) =>
  BUILT_IN_DATES.some(([first, last]) => id >= first && id <= last);

/** Whether a format, without its texts, colours and conditions, has letters of dates or times. */
function isDateCode(code: string): boolean {
  return /[dmyhs]/i.test(code.replace(/"[^"]*"|\\.|\[(?![hms]+\])[^\]]*\]|general/gi, ""));
}

/** Makes CSV of a sheet's XML, a line a row; rows that are not there are blank lines. */
export function sheetStage(file: string, workbook: Workbook): Stage {
  const sheet = newSheet(workbook);
  const xml = newXmlScan(file, sheet);
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return {
    push: (bytes, isLast, emit) => {
      xml(decoder.decode(bytes, { stream: !isLast }), isLast);
      const text = sheet.take();
      if (text !== "") emit(encoder.encode(text));
    },
  };
}

function newSheet({ strings, isDate, dayZero }: Workbook): XmlHandlers & { take(): string } {
  let made = "";
  let row = 0;
  let cells: string[] = [];
  let column = 0;
  let type = "";
  let style = 0;
  let value = "";
  let isValue = false;
  const textOf = (): string => {
    if (type === "s") return strings[Number(value)] ?? "";
    if (type === "b") return value === "1" ? "true" : "false";
    if (type !== "" && type !== "n" || value === "" || isDate[style] !== true) return value;
    return dateText(Number(value), dayZero) ?? value;
  };
  return {
    open: (name, { r = "", t = "", s = "0" }) => {
      if (name === "row") {
        const next = Number(r) || row + 1;
        if (next > row && next <= ROWS_MAX) made += "\n".repeat(next - row - 1);
        row = Math.max(next, row + 1);
        cells = [];
        column = -1;
      } else if (name === "c") {
        column = columnOf(r) ?? column + 1;
        type = t;
        style = Number(s);
        value = "";
      }
      isValue = name === "v" || name === "t";
    },
    text: (more) => {
      if (isValue) value += more;
    },
    close: (name) => {
      isValue = false;
      if (name === "c" && column < COLUMNS_MAX) cells[column] = textOf();
      else if (name === "row") made += `${Array.from(cells, csvCell).join(",")}\n`;
    },
    take: () => {
      const text = made;
      made = "";
      return text;
    },
  };
}

/** The column, from 0 on, of a cell that is named as `AB12`; null: it is not named. */
function columnOf(name: string): number | null {
  const letters = /^[A-Z]{1,3}/.exec(name)?.[0];
  if (letters === undefined) return null;
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

const SECOND_MS = 1000;

/** A date as days from day 0 on, a part of a day alone as a time; null: it is no date. */
function dateText(days: number, dayZero: number): string | null {
  if (!(days >= 0 && days < 3_000_000)) return null;
  // A double of days is some microseconds off: seconds are what sheets have.
  const ofDayMs = Math.round((days % 1) * DAY_MS / SECOND_MS) * SECOND_MS;
  const text = formatTimestamp((Math.floor(days) + dayZero) * DAY_MS + ofDayMs);
  return days < 1 ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 19)}`;
}

function csvCell(text = ""): string {
  return /[",\r\n]/.test(text) ? `"${text.replace(/[\r\n]+/g, " ").replaceAll('"', '""')}"` : text;
}

type XmlHandlers = {
  open(name: string, attributes: Readonly<Record<string, string | undefined>>): void;
  text?(text: string): void;
  close?(name: string): void;
};

/** Scans XML, a piece each call; names without their prefixes. */
function newXmlScan(
  file: string,
  { open, text = () => {}, close = () => {} }: XmlHandlers,
): (piece: string, isLast: boolean) => void {
  const parser = new SaxesParser();
  const bare = (name: string) => name.slice(name.indexOf(":") + 1);
  parser.on("opentag", ({ name, attributes }) => {
    const entries = Object.entries(attributes).map(([key, value]) => [bare(key), value]);
    open(bare(name), Object.fromEntries(entries));
  });
  parser.on("text", text);
  parser.on("closetag", ({ name }) => close(bare(name)));
  parser.on("error", (cause) => {
    throw new ReadError(
      `Cannot read "${file}": the workbook is damaged (${cause.message})`,
      "open it, and save it again",
      { cause },
    );
  });
  return (piece, isLast) => {
    parser.write(piece);
    if (isLast) parser.close();
  };
}
