import type { GapState, RejectReason } from "../core/outputs.ts";
import { dialectOf, type ListPage, type Query, type Row } from "./query.ts";
import { isoFromMs, toIsoOrNull, toNumber, toNumberOrNull, toTextOrNull } from "./values.ts";

/** The states of a gap, as the store has them. */
export const GAP_STATES = ["OPEN", "CLOSED", "FILLED", "EXPIRED"] as const satisfies GapState[];

/** The reasons of a rejection, as the store has them. */
export const REJECT_REASONS = [
  "MALFORMED",
  "MISSING_FIELD",
  "BAD_METER_ID",
  "BAD_TIMESTAMP",
  "BAD_VALUE",
  "NEGATIVE",
  "TOO_LARGE",
  "TOO_OLD",
  "FUTURE",
  "TOO_MANY_METERS",
  "DUPLICATE",
  "CONFLICT",
] as const satisfies RejectReason[];

/** How many gaps stand in each state, and the missing intervals as stored. */
export type GapsByState = Record<GapState, { gaps: number; missing_intervals: number }>;

/** Gaps by state; a state without gaps is there with zeros. */
export async function countGaps(query: Query): Promise<GapsByState> {
  const rows = await query(
    `SELECT state, count(*) AS gaps, sum(missing_intervals) AS missing_intervals
     FROM gap_alerts GROUP BY state`,
  );
  const found = new Map(rows.map((row) => [row.state, row]));
  const of = (state: GapState) => ({
    gaps: toNumber(found.get(state)?.gaps),
    missing_intervals: toNumber(found.get(state)?.missing_intervals),
  });
  return { OPEN: of("OPEN"), CLOSED: of("CLOSED"), FILLED: of("FILLED"), EXPIRED: of("EXPIRED") };
}

/** Rejected rows by reason, the commonest first. */
export async function countRejected(query: Query): Promise<{ reason: string; count: number }[]> {
  const rows = await query(
    `SELECT reason, count(*) AS count FROM rejected_readings
     GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 100`,
  );
  return rows.map((row) => ({ reason: String(row.reason), count: toNumber(row.count) }));
}

/** A gap. `known_minutes` is its length up to the watermark while it goes on. */
export type GapRow = {
  readonly gap_id: string;
  readonly meter_id: string;
  readonly missing_from: string | null;
  readonly missing_to: string | null;
  readonly gap_minutes: number;
  readonly known_minutes: number;
  readonly missing_intervals: number;
  /** As many are missing by now, as far as slots are judged. */
  readonly known_intervals: number;
  /** Of a FILLED gap: the most slots that it ever had. */
  readonly filled_intervals: number | null;
  readonly rejected_intervals: number;
  readonly state: string;
  /** Of an EXPIRED gap whose meter has not reported since: `silent`, or `forgotten`. */
  readonly silence: string | null;
  readonly detected_at: string | null;
  readonly partition: number;
  /** The shared outage that it is a part of. */
  readonly incident_id: string | null;
};

/** One more than the limit is asked for, to learn whether there are more. */
export type List<T> = { readonly rows: T[]; readonly more: boolean };

/** Which gaps are wanted; null is all. A span of event time takes every gap that touches it. */
export type GapFilter = {
  readonly state: GapState | null;
  readonly meterId: string | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly sort: "recent" | "longest";
};

/** Gaps, by default those found last first. */
export async function listGaps(
  query: Query,
  filter: GapFilter & ListPage,
): Promise<List<GapRow>> {
  const { order, seconds, time } = dialectOf(query);
  const where = conditions([
    ["state = $?", filter.state],
    ["meter_id = $?", filter.meterId],
    [`known_minutes * 60 > ${seconds("missing_from", time("$?"))}`, isoFromMs(filter.fromMs)],
    [`${order("missing_from")} < ${order(time("$?"))}`, isoFromMs(filter.toMs)],
  ]);
  const first = filter.sort === "longest" ? "known_minutes" : order("detected_at");
  const rows = await query(
    `SELECT * FROM gap_status ${where.sql}
     ORDER BY ${first} DESC, ${order("time")} DESC, meter_id
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    gap_id: String(row.gap_id),
    meter_id: String(row.meter_id),
    missing_from: toIsoOrNull(row.missing_from),
    missing_to: toIsoOrNull(row.missing_to),
    gap_minutes: toNumber(row.gap_minutes),
    known_minutes: Math.round(toNumber(row.known_minutes) * 100) / 100,
    missing_intervals: toNumber(row.missing_intervals),
    known_intervals: toNumber(row.known_intervals),
    filled_intervals: toNumberOrNull(row.filled_intervals),
    rejected_intervals: toNumber(row.rejected_intervals),
    state: String(row.state),
    silence: toTextOrNull(row.silence),
    detected_at: toIsoOrNull(row.detected_at),
    partition: toNumber(row.source_partition),
    incident_id: toTextOrNull(row.incident_id),
  }));
}

/** A silent meter: since when it is, and what is missing by now. */
export type SilenceRow = {
  readonly gap_id: string;
  readonly meter_id: string;
  /** `forgotten`: it is counted no further. */
  readonly silence: "silent" | "forgotten";
  readonly missing_from: string | null;
  readonly known_minutes: number;
  readonly missing_intervals: number;
  readonly partition: number;
};

/** The silent meters, those first that have been for longest. */
export async function listSilences(
  query: Query,
  filter: ListPage & { readonly meterId: string | null },
): Promise<List<SilenceRow>> {
  const where = conditions([["meter_id = $?", filter.meterId]]);
  const rows = await query(
    `SELECT * FROM silences ${where.sql} ORDER BY known_minutes DESC, meter_id
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    gap_id: String(row.gap_id),
    meter_id: String(row.meter_id),
    silence: row.silence as SilenceRow["silence"],
    missing_from: toIsoOrNull(row.missing_from),
    known_minutes: Math.round(toNumber(row.known_minutes) * 100) / 100,
    missing_intervals: toNumber(row.missing_intervals),
    partition: toNumber(row.source_partition),
  }));
}

/** A late reading. `judged_at` is the watermark it met: its timestamp plus the delay. */
export type LateRow = {
  readonly meter_id: string;
  readonly timestamp: string | null;
  readonly consumption_kwh: number;
  readonly delay_seconds: number;
  readonly judged_at: string | null;
  readonly status: "TOO_LATE" | "LATE";
};

/** Late readings, the last first: those too late for the tables, or those still accepted. */
export async function listLate(
  query: Query,
  filter: ListPage & { readonly meterId: string | null; readonly status: LateRow["status"] },
): Promise<List<LateRow>> {
  const { status } = filter;
  const { order, later, lateReadings } = dialectOf(query);
  const where = conditions(
    [["meter_id = $?", filter.meterId]],
    status === "LATE" ? ["status = 'LATE'"] : [],
  );
  const from = status === "LATE"
    ? `SELECT meter_id, time AS event_timestamp, consumption_kwh, delay_seconds,
         ${later("time", "delay_seconds")} AS judged_at, source_offset
       FROM ${lateReadings} AS late ${where.sql}`
    : `SELECT meter_id, event_timestamp, consumption_kwh, delay_seconds, time AS judged_at,
         source_offset FROM late_events ${where.sql}`;
  const rows = await query(
    `SELECT * FROM (${from}) AS listed ORDER BY ${order("judged_at")} DESC, source_offset DESC
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    meter_id: String(row.meter_id),
    timestamp: toIsoOrNull(row.event_timestamp),
    consumption_kwh: toNumber(row.consumption_kwh),
    delay_seconds: toNumber(row.delay_seconds),
    judged_at: toIsoOrNull(row.judged_at),
    status,
  }));
}

/** A record that was not taken. `raw` is text; base64 where it was not, see `raw_encoding`. */
export type RejectedRow = {
  readonly reason: string;
  readonly detail: string;
  readonly raw: string;
  readonly raw_encoding: string;
  readonly meter_id: string | null;
  readonly timestamp: string | null;
  readonly consumption_kwh: number | null;
  readonly at: string | null;
  readonly partition: number;
  readonly offset: number;
  /** Where its row came from: `file.csv:123`. */
  readonly source: string | null;
  /** Of a repeat: the interval that is taken, and the value that holds it. */
  readonly slot: string | null;
  readonly held_kwh: number | null;
};

/** Rejected records, the last in event time first. */
export async function listRejected(
  query: Query,
  filter: ListPage & { readonly meterId: string | null; readonly reason: RejectReason | null },
): Promise<List<RejectedRow>> {
  const where = conditions([["meter_id = $?", filter.meterId], ["reason = $?", filter.reason]]);
  const rows = await query(
    `SELECT * FROM rejected_readings ${where.sql}
     ORDER BY ${dialectOf(query).order("time")} DESC, source_partition, source_offset DESC
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    reason: String(row.reason),
    detail: String(row.detail),
    raw: String(row.raw),
    raw_encoding: String(row.raw_encoding),
    meter_id: toTextOrNull(row.meter_id),
    timestamp: toIsoOrNull(row.event_timestamp),
    consumption_kwh: toNumberOrNull(row.consumption_kwh),
    at: toIsoOrNull(row.time),
    partition: toNumber(row.source_partition),
    offset: toNumber(row.source_offset),
    source: toTextOrNull(row.source),
    slot: toIsoOrNull(row.slot),
    held_kwh: toNumberOrNull(row.held_kwh),
  }));
}

/** WHERE over the conditions whose value, at `$?`, is not null. `fixed` ones take no value. */
export function conditions(
  wanted: readonly (readonly [string, unknown])[],
  fixed: readonly string[] = [],
): { readonly sql: string; readonly params: unknown[] } {
  const params: unknown[] = [];
  const parts = [...fixed];
  for (const [condition, value] of wanted) {
    if (value === null) continue;
    params.push(value);
    parts.push(condition.replaceAll("$?", () => `$${params.length}`));
  }
  return { sql: parts.length === 0 ? "" : `WHERE ${parts.join(" AND ")}`, params };
}

/** A page of rows, and whether there are more: one more than the limit was asked for. */
export function cutToLimit<T>(rows: readonly Row[], limit: number, read: (row: Row) => T): List<T> {
  return { rows: rows.slice(0, limit).map(read), more: rows.length > limit };
}
