import { dialectOf, type Query, type Row } from "./query.ts";
import { percentOf, toMsOrNull, toNumber } from "./values.ts";

/** How a meter stands; where several fit, the first of them. One vocabulary everywhere. */
export const METER_STATUSES = [
  ...["retired", "silent", "gap", "unusable", "unjudged", "late", "healthy"] as const,
];
export type MeterStatus = typeof METER_STATUSES[number];

/** Slots that should have a reading, and those that have one. */
export type SlotCounts = { readonly valid: number; readonly expected: number };

/** What the accounts of all meters come to. */
export type FleetTotals = {
  readonly meters: number;
  readonly byStatus: { readonly [status in MeterStatus]: number };
  readonly readings: number;
  /** Of all meters, and of those that are neither silent nor retired. */
  readonly slots: SlotCounts;
  readonly slotsReporting: SlotCounts;
  /** Slots missing in silences, up to the watermark; part of the slots without a reading. */
  readonly silentIntervals: number;
  readonly duplicates: DuplicateCounts;
  readonly firstAtMs: number | null;
  readonly lastAtMs: number | null;
};

/** Readings for a slot that was taken: sent again, or with another value. */
export type DuplicateCounts = { readonly identical: number; readonly conflicting: number };

/** How complete all is, and its two causes. The names are public. */
export type Completeness = {
  /** Valid readings of the slots that should have one; null where there is none. */
  readonly completeness_percent: number | null;
  /** The same of the meters that report. */
  readonly completeness_reporting_percent: number | null;
  readonly silent_meters: number;
  /** Slots missing in their silences, up to the watermark. */
  readonly silent_intervals: number;
};

/** What the accounts of all meters come to, of one instant. */
export async function readTotals(query: Query): Promise<FleetTotals> {
  const { later } = dialectOf(query);
  // Times that are all written alike are put in order as texts, too.
  const rows = await query(
    `SELECT status, count(*) AS meters, sum(readings) AS readings, sum(valid_intervals) AS valid_intervals,
       sum(expected_intervals) AS expected_intervals, sum(silent_intervals) AS silent_intervals,
       sum(identical) AS identical, sum(conflicting) AS conflicting,
       min(${later("first_at", "0")}) AS first_at, max(${later("last_at", "0")}) AS last_at
     FROM meter_status GROUP BY status`,
  );
  return totalsOf(rows);
}

/**
 * The same of rows of `meter_status`, one of a meter or, with `meters` and sums, one of several of
 * the same status.
 */
export function totalsOf(rows: readonly Row[]): FleetTotals {
  const sum = (column: string, of = rows) =>
    of.reduce((total, row) => total + toNumber(row[column]), 0);
  const reporting = rows.filter(({ status }) => status !== "silent" && status !== "retired");
  const slots = (of = rows) => ({
    valid: sum("valid_intervals", of),
    expected: sum("expected_intervals", of),
  });
  return {
    meters: metersOf(rows),
    byStatus: byStatus(rows),
    readings: sum("readings"),
    slots: slots(),
    slotsReporting: slots(reporting),
    silentIntervals: sum("silent_intervals"),
    duplicates: { identical: sum("identical"), conflicting: sum("conflicting") },
    firstAtMs: extremeOf(rows, "first_at", Math.min),
    lastAtMs: extremeOf(rows, "last_at", Math.max),
  };
}

function metersOf(rows: readonly Row[]): number {
  return rows.reduce(
    (total, { meters }) => total + (meters === undefined ? 1 : toNumber(meters)),
    0,
  );
}

function extremeOf(
  rows: readonly Row[],
  column: string,
  choose: (a: number, b: number) => number,
): number | null {
  const times = rows.map((row) => toMsOrNull(row[column])).filter((ms) => ms !== null);
  return times.length === 0 ? null : times.reduce((a, b) => choose(a, b));
}

function byStatus(rows: readonly Row[]): FleetTotals["byStatus"] {
  const counts = METER_STATUSES.map((status) => {
    return [status, metersOf(rows.filter((row) => row.status === status))] as const;
  });
  return Object.fromEntries(counts) as FleetTotals["byStatus"];
}

/** How complete all is. */
export function completenessOf(
  { slots, slotsReporting, byStatus, silentIntervals }: FleetTotals,
): Completeness {
  return {
    completeness_percent: percentOfSlots(slots),
    completeness_reporting_percent: percentOfSlots(slotsReporting),
    silent_meters: byStatus.silent,
    silent_intervals: silentIntervals,
  };
}

/** Valid slots in percent of the expected; null where none is expected. */
export function percentOfSlots({ valid, expected }: SlotCounts): number | null {
  return percentOf(valid, expected - valid);
}
