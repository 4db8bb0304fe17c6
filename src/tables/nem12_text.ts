import { nem12Of } from "./quality.ts";
import type { ExportRow } from "./export_days.ts";

/*
 * Readings as NEM12, by AEMO's Meter Data File Format: days of the market's time, which is UTC+10 all
 * year, each with the values of all its intervals and a quality; where that differs, with ranges.
 */

const DAY_MS = 86_400_000;
const MARKET_MS = 10 * 3_600_000;
/** The lengths of interval that the format knows, minutes. */
export const NEM12_MINUTES: readonly number[] = [5, 15, 30];
/** Where readings of a meter have no channel: its first register of imported energy. */
const PLAIN_SUFFIX = "E1";
/** A quality that is a substitution needs a reason: this one is told in words. */
const REASON = "0,estimated";

/** A meter's day that is being gathered: an interval's reading, or null. */
type OpenDay = {
  readonly meterId: string;
  readonly channel: string;
  readonly minutes: number;
  readonly day: number;
  readonly rows: (ExportRow | null)[];
};

/** A meter whose interval the format does not know. */
export class Nem12IntervalError extends Error {
  override readonly name = "Nem12IntervalError";
}

/**
 * Writes pages of readings, each series in order of time, as lines of NEM12.
 *
 * @throws {Nem12IntervalError} for a meter with an interval that is none of `NEM12_MINUTES`
 */
export async function* nem12Text(
  pages: AsyncIterable<readonly ExportRow[]>,
  { minutesOf, writtenMs }: {
    /** The interval of a meter, minutes. */
    readonly minutesOf: (meterId: string) => number;
    readonly writtenMs: number;
  },
): AsyncGenerator<string> {
  const written = marketTime(writtenMs);
  yield `100,NEM12,${written.slice(0, 12)},GRIDWATCH,GRIDWATCH\n`;
  const open = new Map<string, OpenDay>();
  for await (const page of pages) {
    let text = "";
    for (const row of page) {
      const key = `${row.meterId}\n${row.channel}`;
      const ms = Date.parse(row.time) + MARKET_MS;
      const day = Math.floor(ms / DAY_MS);
      let at = open.get(key);
      if (at === undefined || at.day !== day) {
        if (at !== undefined) text += dayText(at, written);
        at = beginDay(row, day, minutesOf(row.meterId));
        open.set(key, at);
      }
      const interval = Math.floor((ms - day * DAY_MS) / 60_000 / at.minutes);
      if (at.rows[interval]?.kind !== "measured") at.rows[interval] = row;
    }
    if (text !== "") yield text;
  }
  for (const day of open.values()) yield dayText(day, written);
  yield "900\n";
}

function beginDay({ meterId, channel }: ExportRow, day: number, minutes: number): OpenDay {
  if (!NEM12_MINUTES.includes(minutes)) {
    throw new Nem12IntervalError(
      `the interval of ${meterId} is ${minutes} minutes, and NEM12 knows ${
        NEM12_MINUTES.join(", ")
      }`,
    );
  }
  return { meterId, channel, minutes, day, rows: Array(1440 / minutes).fill(null) };
}

/** A day's records: the stream, its values, and the ranges of quality where there are several. */
function dayText({ meterId, channel, minutes, day, rows }: OpenDay, written: string): string {
  // A register's series carries its channel behind the meter.
  const [nmi, register = ""] = channel === "" ? meterId.split(/\/(?=[^/]*$)/) : [meterId, channel];
  const suffix = register || PLAIN_SUFFIX;
  const qualities = rows.map((row) => row === null ? "N" : nem12Of(row.code, row.method));
  const values = rows.map((row, i) =>
    row === null || qualities[i] === "N" ? "0" : decimalOf(row.kwh)
  );
  const ranges = rangesOf(qualities);
  const all = ranges.length === 1 ? qualities[0] : "V";
  const date = marketTime(day * DAY_MS - MARKET_MS).slice(0, 8);
  let text = `200,${nmi},${suffix},${suffix},${suffix},,,KWH,${minutes},\n` +
    `300,${date},${values.join(",")},${all},${reasonOf(all)},${written},\n`;
  if (all !== "V") return text;
  for (const { from, to, quality } of ranges) {
    text += `400,${from},${to},${quality},${reasonOf(quality)}\n`;
  }
  return text;
}

function reasonOf(quality: string): string {
  return quality.startsWith("S") ? REASON : ",";
}

/** Intervals of the same quality one behind the other, counted from 1. */
function rangesOf(qualities: readonly string[]) {
  const ranges: { from: number; to: number; quality: string }[] = [];
  for (const [i, quality] of qualities.entries()) {
    const last = ranges.at(-1);
    if (last?.quality === quality) last.to = i + 1;
    else ranges.push({ from: i + 1, to: i + 1, quality });
  }
  return ranges;
}

/** Kilowatt-hours to the milliwatt-hour, never with an exponent. */
function decimalOf(kwh: number): string {
  return kwh.toFixed(6).replace(/\.?0+$/, "");
}

/** `yyyymmddHHMMSS` in the market's time. */
function marketTime(ms: number): string {
  return new Date(ms + MARKET_MS).toISOString().replace(/\D/g, "").slice(0, 14);
}
