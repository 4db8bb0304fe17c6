import { localToUtcMs, utcToLocalMs, type Zone } from "./zone.ts";

/** A day: as an interval it is a calendar day, whatever its length in hours. */
export const DAY_MS = 86_400_000;
/** The interval of calendar months, which have no length of their own. */
export const MONTH = -1;

/** Dates are counted from 1970 on: days from its first day, months from its January. */
export function isCalendar(intervalMs: number): boolean {
  return intervalMs === DAY_MS || intervalMs === MONTH;
}

/** When a date begins. */
export function dateMs(intervalMs: number, date: number, zone: Zone): number {
  return localToUtcMs(zone, intervalMs === MONTH ? Date.UTC(1970, date, 1) : date * DAY_MS);
}

/** The date that a time lies in. */
export function dateOf(intervalMs: number, atMs: number, zone: Zone): number {
  const localMs = utcToLocalMs(zone, atMs);
  if (intervalMs !== MONTH) return Math.floor(localMs / DAY_MS);
  const local = new Date(localMs);
  return (local.getUTCFullYear() - 1970) * 12 + local.getUTCMonth();
}

/** The date that begins nearest to a time; of two equally near ones the later. */
export function nearestDate(intervalMs: number, atMs: number, zone: Zone): number {
  const date = dateOf(intervalMs, atMs, zone);
  const sinceMs = atMs - dateMs(intervalMs, date, zone);
  return sinceMs < dateMs(intervalMs, date + 1, zone) - atMs ? date : date + 1;
}
