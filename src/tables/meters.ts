import { conditions } from "./lists.ts";
import {
  type FleetTotals,
  type MeterStatus,
  percentOfSlots,
  readTotals,
  totalsOf,
} from "./meter_status.ts";
import { dialectOf, type Query, type Row } from "./query.ts";
import { isoFromMs, toMsOrNull, toNumber, toTexts } from "./values.ts";

/** Meters kept in memory for lists; those with the most missing intervals when there are more. */
const METERS_MAX = 100_000;

/** A meter's account. `gaps` are those that still miss intervals: all but the filled. */
export type MeterSummary = {
  readonly meter_id: string;
  readonly status: MeterStatus;
  /** All accepted ones, those that replace another among them. */
  readonly readings: number;
  readonly first_at: string | null;
  readonly last_at: string | null;
  /** A gap that goes on counts as far as slots are judged. */
  readonly missing_intervals: number;
  /** Those of them that are missing in silence. */
  readonly silent_intervals: number;
  readonly gaps: number;
  readonly open_gaps: number;
  /** Accepted late; part of `readings`. */
  readonly late: number;
  readonly too_late: number;
  readonly rejected: number;
  /** Identical and conflicting ones. */
  readonly duplicates: number;
  readonly identical: number;
  readonly conflicting: number;
  /** Those that replace another; part of `readings`. */
  readonly revised_readings: number;
  readonly expected_intervals: number;
  /** Valid readings of the slots expected; null where there are none. */
  readonly completeness_percent: number | null;
};

/** All meters, the least complete first, and what their accounts come to. */
export type Fleet = {
  readonly meters: readonly MeterSummary[];
  /** Its meters can be more than `meters.length`, see METERS_MAX. */
  readonly totals: FleetTotals;
  /** When the scan began, by the wall clock. */
  readonly countedAtMs: number;
};

/** Every meter's account, of the readings by their days. */
export async function readFleet(query: Query, countedAtMs: number): Promise<Fleet> {
  const rows = await query(
    `SELECT * FROM meter_status ORDER BY missing_intervals DESC, meter_id LIMIT ${METERS_MAX}`,
  );
  const meters = rows.map(meterFromRow);
  meters.sort(leastCompleteFirst);
  const totals = rows.length < METERS_MAX ? totalsOf(rows) : await readTotals(query);
  return { meters, totals, countedAtMs };
}

/** One meter's account; null when no table knows it. */
export async function readMeter(query: Query, meterId: string): Promise<MeterSummary | null> {
  const rows = await query("SELECT * FROM meter_status WHERE meter_id = $1", [meterId]);
  return rows.length === 0 ? null : meterFromRow(rows[0]);
}

function meterFromRow(row: Row): MeterSummary {
  const valid = toNumber(row.valid_intervals);
  const expected = toNumber(row.expected_intervals);
  const identical = toNumber(row.identical);
  const conflicting = toNumber(row.conflicting);
  return {
    meter_id: String(row.meter_id),
    status: row.status as MeterStatus,
    readings: toNumber(row.readings),
    first_at: isoFromMs(toMsOrNull(row.first_at)),
    last_at: isoFromMs(toMsOrNull(row.last_at)),
    missing_intervals: toNumber(row.missing_intervals),
    silent_intervals: toNumber(row.silent_intervals),
    gaps: toNumber(row.gaps),
    open_gaps: toNumber(row.open_gaps),
    late: toNumber(row.late),
    too_late: toNumber(row.too_late),
    rejected: toNumber(row.rejected),
    duplicates: identical + conflicting,
    identical,
    conflicting,
    revised_readings: toNumber(row.revised_readings),
    expected_intervals: expected,
    completeness_percent: percentOfSlots({ valid, expected }),
  };
}

function leastCompleteFirst(a: MeterSummary, b: MeterSummary): number {
  const left = a.completeness_percent ?? Infinity;
  const right = b.completeness_percent ?? Infinity;
  if (left !== right) return left - right;
  if (a.missing_intervals !== b.missing_intervals) return b.missing_intervals - a.missing_intervals;
  return a.meter_id < b.meter_id ? -1 : 1;
}

/**
 * The last accepted reading of each meter that has one, by its sums: cheap, and so newer than a scan.
 */
export async function readLastTimes(
  query: Query,
  meterIds: readonly string[],
): Promise<Map<string, string | null>> {
  const { lastTimes, texts } = dialectOf(query);
  const rows = await query(lastTimes(`WHERE meter_id IN (${texts("$1")})`), [
    JSON.stringify(meterIds),
  ]);
  return new Map(rows.map((row) => [String(row.meter_id), isoFromMs(toMsOrNull(row.last_at))]));
}

/** Part of a meter's history without readings, up to the watermark while it goes on. */
export type GapSpan = { readonly from: string | null; readonly to: string | null; state: string };

/** The longest gaps of each of the given meters, in order of time. */
export async function readGapSpans(
  query: Query,
  options: { readonly meterIds: readonly string[]; readonly spansPerMeterMax: number },
): Promise<Map<string, GapSpan[]>> {
  const dialect = dialectOf(query);
  const rows = await query(
    `SELECT meter_id, missing_from, state, known_to FROM (
       SELECT meter_id, missing_from, state, known_to, row_number() OVER (
         PARTITION BY meter_id ORDER BY known_minutes DESC, time) AS place
       FROM gap_status WHERE state <> 'FILLED'
         AND meter_id IN (${dialect.texts("$1")})
     ) AS longest WHERE place <= ${options.spansPerMeterMax}
     ORDER BY ${dialect.order("missing_from")}`,
    [JSON.stringify(options.meterIds)],
  );
  const spans = new Map<string, GapSpan[]>();
  for (const row of rows) {
    const meterId = String(row.meter_id);
    const span = {
      from: isoFromMs(toMsOrNull(row.missing_from)),
      to: isoFromMs(toMsOrNull(row.known_to)),
      state: String(row.state),
    };
    const known = spans.get(meterId);
    if (known === undefined) spans.set(meterId, [span]);
    else known.push(span);
  }
  return spans;
}

/** A meter's last accepted readings, the newest first. */
export async function listReadings(
  query: Query,
  options: { readonly meterId: string; readonly limit: number },
): Promise<Row[]> {
  const { order, lastReadings } = dialectOf(query);
  const where = conditions([["meter_id = $?", options.meterId]]);
  const rows = await query(
    `SELECT time, consumption_kwh, status, flags, delay_seconds
     FROM ${lastReadings("$1", options.limit)} AS readings
     ${where.sql} ORDER BY ${order("time")} DESC, source_offset DESC LIMIT ${options.limit}`,
    where.params,
  );
  return rows.map((row) => ({
    timestamp: isoFromMs(toMsOrNull(row.time)),
    consumption_kwh: toNumber(row.consumption_kwh),
    status: String(row.status),
    flags: toTexts(row.flags),
    delay_seconds: row.delay_seconds === null ? 0 : toNumber(row.delay_seconds),
  }));
}

/** Energy and readings of one step; a step without readings is not there. */
export type SeriesPoint = { readonly at: string; readonly kwh: number; readonly readings: number };

/**
 * A meter's consumption by hour or day (UTC) in `[fromMs, toMs)`. Days come of their sums, which stay
 * when retention has dropped the readings: both ends are at midnight then.
 */
export async function readSeries(
  query: Query,
  options: {
    readonly meterId: string;
    readonly step: "hour" | "day";
    readonly fromMs: number;
    readonly toMs: number;
  },
): Promise<SeriesPoint[]> {
  const { beginning, order, readingsOf, time } = dialectOf(query);
  const rows = await query(
    options.step === "day"
      ? `SELECT bucket AS at, sum(consumption_kwh) AS kwh, sum(readings) AS readings
         FROM readings_meter_daily
         WHERE meter_id = $1 AND ${order("bucket")} >= ${order(time("$2"))}
           AND ${order("bucket")} < ${order(time("$3"))}
         GROUP BY bucket ORDER BY bucket`
      : `SELECT ${beginning("hour", "time")} AS at, count(*) AS readings,
           sum(consumption_kwh - coalesce(revises_kwh, 0)) AS kwh
         FROM ${readingsOf({ from: "$2", to: "$3" })} AS readings
         WHERE meter_id = $1 GROUP BY 1 ORDER BY 1`,
    [options.meterId, isoFromMs(options.fromMs), isoFromMs(options.toMs)],
  );
  return rows.map((row) => ({
    at: isoFromMs(toMsOrNull(row.at)) ?? "",
    kwh: Math.round(toNumber(row.kwh) * 10_000) / 10_000,
    readings: toNumber(row.readings),
  }));
}

/** How many late readings came within each delay. The last one has no end. */
export type DelayCount = {
  readonly up_to_seconds: number | null;
  readonly late: number;
  readonly too_late: number;
};

const DELAY_BOUNDS_SECONDS = [60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400];

/** A histogram of how late late readings were. On PostgreSQL it scans `validated_readings`. */
export async function countDelays(query: Query): Promise<DelayCount[]> {
  const bounds = DELAY_BOUNDS_SECONDS.map((seconds, bucket) =>
    `WHEN delay_seconds <= ${seconds} THEN ${bucket}`
  );
  const bucket = `CASE ${bounds.join(" ")} ELSE ${bounds.length} END`;
  const rows = await query(
    `SELECT bucket, sum(late) AS late, sum(too_late) AS too_late FROM (
       SELECT ${bucket} AS bucket, count(*) AS late, 0 AS too_late
       FROM ${dialectOf(query).lateReadings} AS late
       WHERE status = 'LATE' AND delay_seconds IS NOT NULL GROUP BY 1
       UNION ALL
       SELECT ${bucket}, 0, count(*) FROM late_events GROUP BY 1
     ) AS counted GROUP BY bucket`,
  );
  const found = new Map(rows.map((row) => [toNumber(row.bucket), row]));
  return [...DELAY_BOUNDS_SECONDS, null].map((upToSeconds, bucket) => ({
    up_to_seconds: upToSeconds,
    late: toNumber(found.get(bucket)?.late),
    too_late: toNumber(found.get(bucket)?.too_late),
  }));
}
