import { headerOf, newRowWriter, rowText, type RowWriter } from "./row_writer.ts";
import { lineStage } from "./stage.ts";
import type { RowStage } from "./table_stage.ts";

/*
 * NEM12 and NEM13, the files in which Australian meter data are exchanged (AEMO, Meter Data File Format
 * Specification): a record a line, its kind first. Times are those of the market, ten hours before UTC.
 */

/** The zone of the market's times: no summer time. */
export const MARKET_ZONE = "Etc/GMT-10";

/** Whether lines are of NEM12 or NEM13, also where the header is missing; null: they are not. */
export function nemOf(lines: readonly string[]): "nem12" | "nem13" | null {
  const [first = "", second = ""] = lines.filter((line) => line.trim() !== "");
  const header = /^\s*"?100"?\s*,\s*"?(NEM1[23])"?/i.exec(first);
  if (header !== null) return header[1].toLowerCase() as "nem12" | "nem13";
  if (/^\s*200,/.test(first) && /^\s*[34]00,/.test(second)) return "nem12";
  return /^\s*250,([^,\n]*,){12}/.test(first) ? "nem13" : null;
}

const DAY_MINUTES = 1440;
/** Of an energy in kWh; others (reactive, apparent) stay as they are, a channel of their own. */
const FACTORS: Readonly<Record<string, number>> = { wh: 0.001, kwh: 1, mwh: 1000 };

/** What the 200 record before says of the days below it. */
type Stream = { meter: string; channel: string; minutes: number; factor: number };

/** What 400 records say of the day before them. */
type Ranges = { line: number; isWanted: boolean; covered: number; expected: number };

type Nem = {
  readonly writer: RowWriter;
  stream: Stream | null;
  ranges: Ranges | null;
  hasHeader: boolean;
};

/** Reads NEM12 and NEM13. What breaks the rules is noted with record, line and counts, and left out. */
export function nemStage(meterId: string | undefined): RowStage {
  const writer = newRowWriter();
  const nem: Nem = { writer, stream: null, ranges: null, hasHeader: false };
  const line = (text: string, number: number): string => {
    const cells = text.split(",").map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
    if (cells[0] !== "400") endRanges(nem);
    switch (cells[0]) {
      case "100":
        nem.hasHeader = true;
        return "";
      case "200":
        return takeStream(nem, cells, number, meterId);
      case "300":
        return takeDay(nem, cells, number);
      case "400":
        return takeRange(nem, cells, number);
      case "250":
        return takeAccumulated(nem, cells, number, meterId);
      case "500":
      case "550":
      case "900":
      case "":
        return "";
      default:
        writer.faults.push(`line ${number}: no record of NEM12 or NEM13: ${text.slice(0, 40)}`);
        return "";
    }
  };
  const end = (): string => {
    endRanges(nem);
    if (!nem.hasHeader) writer.notes.push("its header (record 100) is missing; read all the same");
    return headerOf(writer);
  };
  return { stage: lineStage(line, end), writer };
}

function takeStream(
  nem: Nem,
  [, nmi = "", , register = "", suffix = "", , , unit = "", length = ""]: readonly string[],
  number: number,
  meterId: string | undefined,
): "" {
  const minutes = Number(length);
  const isLength = Number.isInteger(minutes) && minutes > 0 && DAY_MINUTES % minutes === 0;
  if (!isLength) {
    nem.stream = null;
    nem.writer.faults.push(
      `line ${number}, record 200: an interval length that parts a day expected, "${length}" found`,
    );
    return "";
  }
  nem.stream = {
    meter: meterId ?? nmi,
    channel: suffix || register,
    minutes,
    factor: FACTORS[unit.toLowerCase()] ?? 1,
  };
  return "";
}

/** A day of values: as many as its intervals, then a quality. */
function takeDay(nem: Nem, cells: readonly string[], number: number): string {
  const { writer, stream } = nem;
  if (stream === null) {
    writer.faults.push(`line ${number}, record 300: no usable record 200 before it`);
    return "";
  }
  const expected = DAY_MINUTES / stream.minutes;
  let found = 0;
  while (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cells[2 + found] ?? "")) found++;
  // A date may stand behind the values, where the quality is left out.
  const quality = cells[2 + found] ?? "";
  if (found !== expected) {
    writer.faults.push(`line ${number}, record 300: ${expected} values expected, ${found} found`);
    return "";
  }
  const date = dateOf(cells[1]);
  if (date === null) {
    writer.faults.push(`line ${number}, record 300: a day expected, "${cells[1]}" found`);
    return "";
  }
  nem.ranges = { line: number, isWanted: /^v/i.test(quality), covered: 0, expected };
  let rows = "";
  for (let n = 0; n < expected; n++) {
    const at = n * stream.minutes;
    const time = `${date} ${two(Math.floor(at / 60))}:${two(at % 60)}:00`;
    rows += rowText(writer, number, { ...stream, time, value: kwhText(cells[2 + n], stream) });
  }
  return rows;
}

/** Qualities of some of a day's intervals. */
function takeRange(nem: Nem, [, from = "", to = ""]: readonly string[], number: number): "" {
  const { ranges, writer } = nem;
  if (ranges === null) return "";
  ranges.line = number;
  const [first, last] = [Number(from), Number(to)];
  const isNext = first === ranges.covered + 1 && last >= first && last <= ranges.expected;
  if (isNext) ranges.covered = last;
  else if (ranges.isWanted || last > ranges.expected) {
    writer.faults.push(
      `line ${number}, record 400: intervals from ${ranges.covered + 1} to at most ` +
        `${ranges.expected} expected, ${from} to ${to} found`,
    );
    nem.ranges = null;
  }
  return "";
}

function endRanges(nem: Nem): void {
  const { ranges, writer } = nem;
  nem.ranges = null;
  if (ranges === null || !ranges.isWanted || ranges.covered === ranges.expected) return;
  writer.faults.push(
    `line ${ranges.line}, record 400: qualities of ${ranges.expected} intervals expected, of ` +
      `${ranges.covered} found`,
  );
}

/** What a register counted from one reading of it to the next. */
function takeAccumulated(
  { writer }: Nem,
  cells: readonly string[],
  number: number,
  meterId: string | undefined,
): string {
  const [, nmi = "", , register = "", suffix = ""] = cells;
  const time = timeOf(cells[9] ?? "");
  if (cells.length < 20 || time === null) {
    writer.faults.push(
      `line ${number}, record 250: 20 fields and a time expected, ${cells.length} and ` +
        `"${cells[9] ?? ""}" found`,
    );
    return "";
  }
  const factor = FACTORS[(cells[19] ?? "").toLowerCase()] ?? 1;
  const value = kwhText(cells[18], { factor });
  return rowText(writer, number, {
    meter: meterId ?? nmi,
    channel: suffix || register,
    time,
    value,
  });
}

function kwhText(text: string, { factor }: Pick<Stream, "factor">): string {
  return factor === 1 ? text : String(Number((Number(text) * factor).toPrecision(12)));
}

const two = (number: number) => String(number).padStart(2, "0");

function dateOf(text = ""): string | null {
  const found = /^(\d{4})(\d\d)(\d\d)$/.exec(text);
  return found === null ? null : `${found[1]}-${found[2]}-${found[3]}`;
}

function timeOf(text: string): string | null {
  const found = /^(\d{8})(\d\d)?(\d\d)?(\d\d)?$/.exec(text);
  const date = found === null ? null : dateOf(found[1]);
  if (found === null || date === null) return null;
  return `${date} ${found[2] ?? "00"}:${found[3] ?? "00"}:${found[4] ?? "00"}`;
}
