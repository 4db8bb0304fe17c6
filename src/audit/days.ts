import { dateMs, dateOf, DAY_MS, MONTH } from "../core/calendar.ts";
import type { Zone } from "../core/zone.ts";
import type { SeriesWalk } from "./walk.ts";

/** How many of a series' days, or months, are complete, partly there, or missing altogether. */
export type DateCounts = { complete: number; partial: number; missing: number };

/**
 * The days (`DAY_MS`) or months (`MONTH`) of a series that are not complete, each with the share of
 * them that is missing: 1 is all of it. A first or last one that its readings do not fill is partly
 * there.
 */
export function incompleteDates(
  { gaps, firstSlotMs, lastSlotMs, intervalMs }: SeriesWalk,
  date: typeof DAY_MS | typeof MONTH,
  zone: Zone,
): Map<number, number> {
  const incomplete = new Map<number, number>();
  const note = (at: number, fromMs: number, toMs: number) => {
    const startMs = dateMs(date, at, zone);
    const endMs = dateMs(date, at + 1, zone);
    const lostMs = Math.min(toMs, endMs) - Math.max(fromMs, startMs);
    const share = lostMs / (endMs - startMs);
    incomplete.set(at, Math.min(1, (incomplete.get(at) ?? 0) + share));
  };
  const widthMs = intervalMs === MONTH ? 28 * DAY_MS : intervalMs;
  const first = dateOf(date, firstSlotMs, zone);
  const startMs = dateMs(date, first, zone);
  if (firstSlotMs - startMs >= widthMs) note(first, startMs, firstSlotMs);
  for (const { fromMs, toMs } of gaps) {
    const last = dateOf(date, toMs - 1, zone);
    for (let at = dateOf(date, fromMs, zone); at <= last; at++) note(at, fromMs, toMs);
  }
  const last = dateOf(date, lastSlotMs, zone);
  const endMs = dateMs(date, last + 1, zone);
  if (intervalMs !== MONTH && endMs - lastSlotMs > widthMs) {
    note(last, lastSlotMs + widthMs, endMs);
  }
  return incomplete;
}

/** Counts the days or months of a series. */
export function countDates(
  walk: SeriesWalk,
  date: typeof DAY_MS | typeof MONTH,
  zone: Zone,
): DateCounts {
  const all = dateOf(date, walk.lastSlotMs, zone) - dateOf(date, walk.firstSlotMs, zone) + 1;
  const incomplete = incompleteDates(walk, date, zone);
  let missing = 0;
  // A day that is missing altogether lies within one gap; slots off the clock leave an edge of it.
  for (const share of incomplete.values()) if (share > 1 - 1e-9) missing++;
  return { complete: all - incomplete.size, partial: incomplete.size - missing, missing };
}
