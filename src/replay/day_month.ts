import { DAY_MS } from "../core/calendar.ts";
import { utcToLocalMs, type Zone } from "../core/zone.ts";

/**
 * By what day and month look swapped: the dates have days 1 to 12 alone, days 13 to 31 alone, or have
 * holes that close when day and month of the former are exchanged, as of the rows in their order.
 */
export type DayMonthSign = "days 1 to 12" | "days 13 to 31" | "holes" | "order";

/** Below a year's end and from here on a number can be no month. */
const MONTHS = 12;
/** Fewer days with readings tell nothing. */
const DAYS_MIN = 4;
/** Days of one kind alone are a sign in so many months, or in two with a hole of just the others. */
const MONTHS_MIN = 3;
/** So many days must be missing, or leaps be made, and so few of them be left. */
const CHANGES_MIN = 4;
const LEFT_SHARE = 1 / 4;
/** Of a series that reads so often a day, a day with one reading is the end of the day before. */
const OFTEN = 4;
/** Of each day, so many times that its rows begin: of more, they were shuffled one by one. */
const STRETCHES_MAX = 4;

/** A day with readings, by its number from 1970 on. */
type Day = { readonly day: number; readonly month: number; readonly ofMonth: number };

/**
 * Whether somebody took the days of a series' dates for their months, on the way here; null: nothing
 * shows it. Only of series that read every day: monthly ones have such dates of their own.
 *
 * @param timesMs ascending and distinct
 * @param inOrderMs the same times and their repeats as the rows stand; null: they ascend
 */
export function dayMonthSign(
  timesMs: Float64Array,
  { zone, inOrderMs }: { readonly zone: Zone; readonly inOrderMs: Float64Array | null },
): DayMonthSign | null {
  // Most series end here: they have neither a hole of days nor rows out of order.
  if (inOrderMs === null && !timesMs.some((ms, n) => n > 0 && ms - timesMs[n - 1] > DAY_MS)) {
    return null;
  }
  const days = daysOf(timesMs, zone);
  if (days.length < DAYS_MIN || !isDaily(days, timesMs.length)) return null;
  const months = new Set(days.map(({ month }) => month)).size;
  if (days.every(isLow) && (months >= MONTHS_MIN || months > 1 && haveOnlyHolesOf(days, 13, 1))) {
    return "days 1 to 12";
  }
  if (!days.some(isLow) && months > 1 && haveOnlyHolesOf(days, 1, 13)) return "days 13 to 31";
  if (heals(missingDays(days), missingDays(daysOf(swapped(days), null)))) return "holes";
  if (inOrderMs === null || stretches(inOrderMs) > STRETCHES_MAX * days.length) return null;
  const inOrder = daysOf(inOrderMs, zone);
  const exchanged = Array.from(swapped(inOrder), (ms) => ms / DAY_MS);
  return heals(leaps(inOrder.map(({ day }) => day)), leaps(exchanged)) ? "order" : null;
}

/** How often in a row the day is another than before. */
function stretches(timesMs: Float64Array): number {
  let count = 0;
  let last = NaN;
  for (let n = 0; n < timesMs.length; n++) {
    const day = Math.floor(timesMs[n] / DAY_MS);
    if (day !== last) count++;
    last = day;
  }
  return count;
}

/** The days of times in a row, each once; `zone` null: they are local already. */
function daysOf(timesMs: Float64Array, zone: Zone | null): Day[] {
  const days: Day[] = [];
  const counts: number[] = [];
  for (const ms of timesMs) {
    const day = Math.floor((zone === null ? ms : utcToLocalMs(zone, ms)) / DAY_MS);
    if (day === days[days.length - 1]?.day) {
      counts[counts.length - 1]++;
      continue;
    }
    const date = new Date(day * DAY_MS);
    const month = date.getUTCFullYear() * MONTHS + date.getUTCMonth();
    days.push({ day, month, ofMonth: date.getUTCDate() });
    counts.push(1);
  }
  return timesMs.length < OFTEN * days.length ? days : days.filter((_, d) => counts[d] > 1);
}

/** Readings of a day at least, but for holes. */
function isDaily(days: readonly Day[], readings: number): boolean {
  const next = days.filter(({ day }, d) => d > 0 && day - days[d - 1].day === 1).length;
  return readings >= 2 * days.length || next >= days.length / 2;
}

/** Its number might be a month. */
function isLow({ ofMonth }: Day): boolean {
  return ofMonth <= MONTHS;
}

/** Whether each hole between days begins at one day of a month and ends before another. */
function haveOnlyHolesOf(days: readonly Day[], from: number, to: number): boolean {
  return days.every(({ day, ofMonth }, d) => {
    if (d === 0 || day - days[d - 1].day === 1) return true;
    return new Date((days[d - 1].day + 1) * DAY_MS).getUTCDate() === from && ofMonth === to;
  });
}

/** When the days would be if day and month were exchanged where they can be, in the same order. */
function swapped(days: readonly Day[]): Float64Array {
  const swappedMs = Float64Array.from(days, (day) => {
    if (!isLow(day)) return day.day * DAY_MS;
    return Date.UTC(Math.floor(day.month / MONTHS), day.ofMonth - 1, day.month % MONTHS + 1);
  });
  return swappedMs;
}

function missingDays(days: readonly Day[]): number {
  const all = new Set(days.map(({ day }) => day));
  let [first, last] = [Infinity, -Infinity];
  for (const day of all) {
    first = Math.min(first, day);
    last = Math.max(last, day);
  }
  return last - first + 1 - all.size;
}

/** From one day in a row to the next how often neither the next nor the one before follows. */
function leaps(days: readonly number[]): number {
  return days.filter((day, d) => d > 0 && Math.abs(day - days[d - 1]) > 1).length;
}

function heals(before: number, after: number): boolean {
  return before >= CHANGES_MIN && after <= before * LEFT_SHARE;
}
