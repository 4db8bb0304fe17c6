import type { SinkKind } from "../engine/sink_ports.ts";
import type { PostgresDatabase } from "./postgres_database.ts";

/** What TimescaleDB is told beyond the tables. */
export type TimescaleOptions = {
  /** Event time in one chunk of a table. */
  readonly chunkDays: number;
  /** Older chunks are stored by columns; 0: never. */
  readonly columnstoreAfterDays: number;
  /** Older rows are dropped; 0: never. */
  readonly retentionDays: number;
};

/** null: plain PostgreSQL. `licensed` is false for the Apache edition. */
export type TimescaleEdition = { readonly version: string; readonly licensed: boolean };

/** A continuous aggregate, and the messages whose rows it sums up. */
export type Aggregate = {
  readonly view: string;
  readonly kind: SinkKind;
  readonly bucketMs: number;
};

/** Those of `sql/timescale/002_aggregates.sql`. */
export const AGGREGATES: readonly Aggregate[] = [
  { view: "gap_summary_hourly", kind: "gap", bucketMs: 3_600_000 },
  { view: "late_events_summary_hourly", kind: "late", bucketMs: 3_600_000 },
  { view: "metrics_summary_hourly", kind: "metric", bucketMs: 3_600_000 },
  { view: "readings_daily", kind: "validated", bucketMs: 86_400_000 },
];

const HYPERTABLES = [
  ...["validated_readings", "gap_alerts", "late_events", "rejected_readings", "metrics"],
];
/** Gaps are written over as long as they live: they stay in rows. */
const BY_COLUMNS = HYPERTABLES.filter((table) => table !== "gap_alerts");
const REFRESH_EVERY = "10 minutes";

/** Which TimescaleDB a database has: the extension in it, not only on its server. */
export async function timescaleEdition(
  database: PostgresDatabase,
): Promise<TimescaleEdition | null> {
  const { rows: [row] } = await database.query(
    `SELECT extversion AS version, current_setting('timescaledb.license', true) AS license
     FROM pg_extension WHERE extname = 'timescaledb'`,
  );
  if (row === undefined) return null;
  return { version: String(row.version), licensed: row.license === "timescale" };
}

/**
 * Brings chunk intervals and background jobs to what the settings say; each of them may be set again.
 * The aggregates' jobs begin at the beginning of time: only windows that were touched since the last
 * run are computed, however old, so late rows and replays of old data are seen.
 */
export async function applyTimescaleOptions(
  database: PostgresDatabase,
  options: TimescaleOptions,
  { licensed }: TimescaleEdition,
): Promise<void> {
  const { chunkDays, columnstoreAfterDays, retentionDays } = options;
  for (const table of HYPERTABLES) {
    await database.query(
      `SELECT set_chunk_time_interval('${table}', INTERVAL '${chunkDays} days')`,
    );
  }
  if (!licensed) return;
  for (const { view, bucketMs } of AGGREGATES) {
    await database.query(
      `SELECT add_continuous_aggregate_policy('${view}', start_offset => NULL,
         end_offset => INTERVAL '${2 * bucketMs / 3_600_000} hours',
         schedule_interval => INTERVAL '${REFRESH_EVERY}', if_not_exists => true)`,
    );
  }
  for (const table of BY_COLUMNS) {
    await database.query(`CALL remove_columnstore_policy('${table}', if_exists => true)`);
    if (columnstoreAfterDays === 0) continue;
    await database.query(
      `CALL add_columnstore_policy('${table}', after => INTERVAL '${columnstoreAfterDays} days')`,
    );
  }
  for (const table of HYPERTABLES) {
    await database.query(`SELECT remove_retention_policy('${table}', if_exists => true)`);
    if (retentionDays === 0) continue;
    await database.query(
      `SELECT add_retention_policy('${table}', drop_after => INTERVAL '${retentionDays} days')`,
    );
  }
}

/** Event times that rows were written at since they were last computed. */
export type Touched = Map<Aggregate, { readonly first: number; readonly last: number }>;

/**
 * Computes the buckets that rows were written into, up to the one that the watermark stands in:
 * rows behind what is materialised are not seen before. What is not computed yet stays touched: what
 * is materialised later must not leave it out. Nothing to do where they are plain views.
 */
export async function refreshAggregates(
  database: PostgresDatabase,
  touched: Touched,
): Promise<void> {
  const edition = await timescaleEdition(database);
  if (edition === null || !edition.licensed) return touched.clear();
  const { rows: [{ watermark }] } = await database.query(
    "SELECT max(watermark) AS watermark FROM positions",
  );
  if (!(watermark instanceof Date)) return;
  for (const [aggregate, { first, last }] of [...touched]) {
    const { view, bucketMs } = aggregate;
    const floor = (ms: number) => Math.floor(ms / bucketMs) * bucketMs;
    const end = Math.min(floor(last) + bucketMs, floor(watermark.getTime()));
    if (end <= floor(first)) continue;
    await database.query(
      `CALL refresh_continuous_aggregate('${view}', '${isoOf(floor(first))}', '${isoOf(end)}')`,
    );
    const now = touched.get(aggregate) ?? { first, last }; // rows may have come meanwhile
    touched.delete(aggregate);
    const from = now.first < first ? now.first : end;
    if (now.last >= from) touched.set(aggregate, { first: from, last: now.last });
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
