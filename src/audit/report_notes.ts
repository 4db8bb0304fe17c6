import { dateOf, DAY_MS, MONTH } from "../core/calendar.ts";
import { utcToLocalMs, type Zone } from "../core/zone.ts";
import { type AuditedSeries, idOf } from "./audit.ts";
import { incompleteDates } from "./days.ts";
import type { SeriesReadings } from "./readings.ts";

/* What a report shows beside the answer, noted while the readings of each series are at hand. */

/** The days of a series, each a letter: `a` nothing of it is there, `j` all, between them a share. */
export type DayRow = {
  readonly name: string;
  /** Its first day, in days from 1970 on. */
  readonly from: number;
  /** A letter a day; a number behind one says how often it comes. */
  readonly days: string;
  /** What is there of what is expected: 1 is all. */
  readonly share: number;
};

/** How much is taken over a day: kWh in an hour, on average over all series. */
export type LoadShape = {
  /** Two rows of `SLOTS`: weekdays, then Saturdays and Sundays. */
  readonly sumsKw: Float64Array;
  readonly counts: Float64Array;
};

export type ReportNotes = { readonly rows: DayRow[]; readonly shape: LoadShape };

/** Half hours of a day. */
export const SLOTS = 48;
const SLOT_MS = DAY_MS / SLOTS;
const HOUR_MS = 3_600_000;
const ALL = 9;
const LETTERS = "abcdefghij";

/** Nothing noted yet. */
export function newReportNotes(): ReportNotes {
  return {
    rows: [],
    shape: { sumsKw: new Float64Array(2 * SLOTS), counts: new Float64Array(2 * SLOTS) },
  };
}

/** Notes a series. */
export function noteSeries(
  notes: ReportNotes,
  audited: AuditedSeries,
  readings: SeriesReadings,
  zone: Zone,
): void {
  const { walk } = audited;
  if (walk === null || walk.intervalMs === MONTH) return;
  const from = dateOf(DAY_MS, walk.firstSlotMs, zone);
  const to = dateOf(DAY_MS, walk.lastSlotMs, zone);
  const missing = incompleteDates(walk, DAY_MS, zone);
  let days = "";
  let letter = "";
  let count = 0;
  const put = () => days += count === 0 ? "" : count === 1 ? letter : `${letter}${count}`;
  for (let day = from; day <= to; day++) {
    const next = letterOf(missing.get(day) ?? 0);
    if (next !== letter) {
      put();
      letter = next;
      count = 0;
    }
    count++;
  }
  put();
  const share = walk.accepted / (walk.accepted + walk.missing);
  notes.rows.push({ name: idOf(audited), from, days, share });
  if (walk.intervalMs <= HOUR_MS) noteShape(notes.shape, readings, walk.intervalMs, zone);
}

function letterOf(missing: number): string {
  if (missing === 0) return LETTERS[ALL];
  return missing > 1 - 1e-9
    ? LETTERS[0]
    : LETTERS[Math.max(1, Math.ceil((1 - missing) * (ALL - 1)))];
}

function noteShape(
  { sumsKw, counts }: LoadShape,
  { timesMs, kwhs }: SeriesReadings,
  intervalMs: number,
  zone: Zone,
): void {
  const perHour = HOUR_MS / intervalMs;
  const slots = Math.max(1, Math.round(intervalMs / SLOT_MS));
  for (let n = 0; n < timesMs.length; n++) {
    const localMs = utcToLocalMs(zone, timesMs[n]);
    const day = Math.floor(localMs / DAY_MS);
    // 1970-01-01 was a Thursday.
    const isWeekend = (day + 4) % 7 % 6 === 0;
    const first = Math.floor((localMs - day * DAY_MS) / SLOT_MS);
    for (let slot = first; slot < first + slots; slot++) {
      const at = (isWeekend ? SLOTS : 0) + slot % SLOTS;
      sumsKw[at] += kwhs[n] * perHour;
      counts[at]++;
    }
  }
}

/** Rows that take no more than so many characters: of many, neighbours are put together. */
export function fittingRows(rows: readonly DayRow[], charsMax: number): DayRow[] {
  const sorted = [...rows].sort((a, b) => a.share - b.share || (a.name < b.name ? -1 : 1));
  for (let each = 1;; each *= 2) {
    const put = each === 1 ? sorted : joined(sorted, each);
    const chars = put.reduce((sum, { name, days }) => sum + name.length + days.length + 24, 0);
    if (chars <= charsMax || put.length === 1) return put;
  }
}

function joined(rows: readonly DayRow[], each: number): DayRow[] {
  const all: DayRow[] = [];
  for (let r = 0; r < rows.length; r += each) {
    const group = rows.slice(r, r + each);
    const from = group.reduce((least, row) => Math.min(least, row.from), Infinity);
    all.push({
      name: `${group[0].name} … ${group[group.length - 1].name}`,
      from,
      days: meanDays(group, from),
      share: group.reduce((sum, { share }) => sum + share, 0) / group.length,
    });
  }
  return all;
}

/** The days of several series as one row: of each day the share of those that have it. */
function meanDays(rows: readonly DayRow[], from: number): string {
  const levels: number[] = [];
  const counts: number[] = [];
  for (const row of rows) {
    let day = row.from - from;
    for (const [, letter, times] of row.days.matchAll(/([a-j])(\d*)/g)) {
      for (let n = Number(times || 1); n > 0; n--, day++) {
        levels[day] = (levels[day] ?? 0) + LETTERS.indexOf(letter);
        counts[day] = (counts[day] ?? 0) + 1;
      }
    }
  }
  // A day of none lies between the spans of two.
  return Array.from(counts, (count = 0, day) => {
    if (count === 0) return "-";
    const level = levels[day] / count;
    return LETTERS[level === ALL ? ALL : Math.min(ALL - 1, Math.ceil(level))];
  }).join("").replace(/(.)\1+/g, (run, letter) => `${letter}${run.length}`);
}
