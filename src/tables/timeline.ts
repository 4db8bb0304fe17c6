import { dialectOf, type Query, type Row } from "./query.ts";
import { isoFromMs, toMsOrNull, toNumber } from "./values.ts";

const DAY_MS = 86_400_000;

/** A day of the fleet, in UTC. */
export type TimelineDay = {
  readonly day: string;
  /** Slots of that day that are missing; an open gap counts up to the watermark. */
  readonly missing_intervals: number;
  readonly meters_missing: number;
  readonly too_late: number;
  readonly rejected: number;
};

/** Days together, from a midnight on: how many meters miss readings in them. */
export type TimelineCell = { readonly from: string | null; readonly meters_missing: number };

/** The days that had anything, and the cells with missing readings, each in order of time. */
export type Timeline = { readonly days: TimelineDay[]; readonly cells: TimelineCell[] };

/**
 * What went wrong on each day of `[fromMs, toMs)`, both at midnight UTC; and of so many days together
 * from the first on, how many meters miss readings: one that does so on several of them is one.
 */
export async function readTimeline(
  query: Query,
  { fromMs, toMs, cellDays }: {
    readonly fromMs: number;
    readonly toMs: number;
    readonly cellDays: number;
  },
): Promise<Timeline> {
  const { beginning, dayNumber, missing, order, time } = dialectOf(query);
  const within = (at: string) => `${at} >= ${order(time("$1"))} AND ${at} < ${order(time("$2"))}`;
  const daily = (kind: string, table: string, at: string, where = "true") =>
    `SELECT '${kind}' AS kind, ${beginning("day", at)} AS day, count(*) AS n, 0 AS meters
     FROM ${table} WHERE ${within(order(at))} AND ${where} GROUP BY 2`;
  const cell = `(${dayNumber("bucket")} - ${dayNumber(time("$1"))}) / ${cellDays}`;
  const rows = await query(
    `WITH missing AS ${cellDays === 1 ? "" : "MATERIALIZED"} (
       SELECT bucket, meter_id, missing_intervals FROM ${missing}
       WHERE missing_intervals > 0 AND ${within("bucket")}
     )
     SELECT 'missing' AS kind, bucket AS day, sum(missing_intervals) AS n,
       count(DISTINCT meter_id) AS meters FROM missing GROUP BY bucket
     UNION ALL
     ${
      cellDays === 1 ? "" : `SELECT 'cell', min(bucket), 0, count(DISTINCT meter_id) FROM missing
     GROUP BY ${cell} UNION ALL`
    }
     ${daily("too late", "late_events", "event_timestamp")} UNION ALL
     ${daily("rejected", "rejected_readings", "time", "reason NOT IN ('DUPLICATE', 'CONFLICT')")}`,
    [isoFromMs(fromMs), isoFromMs(toMs)],
  );
  const cells = rows.filter(({ kind }) => kind === (cellDays === 1 ? "missing" : "cell"));
  const cellMs = cellDays * DAY_MS;
  return {
    days: daysOf(rows.filter(({ kind }) => kind !== "cell")),
    cells: cells.map((row) => ({
      from: isoFromMs(fromMs + Math.floor((dayMs(row) - fromMs) / cellMs) * cellMs),
      meters_missing: toNumber(row.meters),
    })).sort((a, b) => (a.from ?? "") < (b.from ?? "") ? -1 : 1),
  };
}

function dayMs(row: Row): number {
  return toMsOrNull(row.day) ?? 0;
}

function daysOf(rows: readonly Row[]): TimelineDay[] {
  const days = new Map<number, Map<string, Row>>();
  for (const row of rows) {
    const kinds = days.get(dayMs(row)) ?? new Map<string, Row>();
    days.set(dayMs(row), kinds.set(String(row.kind), row));
  }
  return [...days].sort(([a], [b]) => a - b).map(([ms, kinds]) => ({
    day: (isoFromMs(ms) ?? "").slice(0, 10),
    missing_intervals: toNumber(kinds.get("missing")?.n),
    meters_missing: toNumber(kinds.get("missing")?.meters),
    too_late: toNumber(kinds.get("too late")?.n),
    rejected: toNumber(kinds.get("rejected")?.n),
  }));
}
