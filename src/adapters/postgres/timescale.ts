import type { SinkKind } from "../../engine/sink/ports.ts";
import type { PostgresDatabase } from "./database.ts";

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
/**
 * Gaps stay in rows, as they are written over as long as they live, and they stay for good: a day
 * whose gaps were dropped would look complete.
 */
const AGEING = HYPERTABLES.filter((table) => table !== "gap_alerts");
const HOUR_MS = 3_600_000;
const REFRESH_EVERY = "10 minutes";
/** Buckets that the aggregates' jobs leave to be computed as they are read. */
const BUCKETS_OPEN = 2;
/** TimescaleDB refuses a job whose window may hold less than two. */
const BUCKETS_MIN = 3;

/**
 * From 2.28 on a refresh goes in batches, the newest first: where it stands then says of the older
 * ones that they are computed, and until they are their rows are not seen. The oldest first
 * instead.
 */
function isBatched({ version }: TimescaleEdition): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 28);
}

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

/** A background job of a table or an aggregate. */
type Policy = {
  readonly relation: string;
  /** The parameter by which it is known. */
  readonly key: "start_offset" | "compress_after" | "drop_after";
  /** Its value; null: none. */
  readonly hours: number | null;
  readonly remove: string;
  /** Null: there is to be no such job. */
  readonly add: string | null;
};

/**
 * Brings chunk intervals and background jobs to what the settings say. A job that is as it should
 * be is left alone: one made anew would forget when it ran last, and run at once.
 */
export async function applyTimescaleOptions(
  database: PostgresDatabase,
  options: TimescaleOptions,
  edition: TimescaleEdition,
): Promise<void> {
  for (const table of HYPERTABLES) {
    await database.query(
      `SELECT set_chunk_time_interval('${table}', INTERVAL '${options.chunkDays} days')`,
    );
  }
  if (!edition.licensed) return;
  for (const policy of policiesOf(options, edition)) await applyPolicy(database, policy);
}

function policiesOf(
  { columnstoreAfterDays, retentionDays }: TimescaleOptions,
  edition: TimescaleEdition,
): Policy[] {
  const order = isBatched(edition) ? ", refresh_newest_first => false" : "";
  return [
    ...AGGREGATES.map((aggregate) => refreshPolicy(aggregate, { retentionDays, order })),
    ...AGEING.map((table): Policy => ({
      relation: table,
      key: "compress_after",
      hours: 24 * columnstoreAfterDays,
      remove: `CALL remove_columnstore_policy('${table}', if_exists => true)`,
      add: columnstoreAfterDays === 0
        ? null
        : `CALL add_columnstore_policy('${table}', after => ${hoursOf(24 * columnstoreAfterDays)})`,
    })),
    ...AGEING.map((table): Policy => ({
      relation: table,
      key: "drop_after",
      hours: 24 * retentionDays,
      remove: `SELECT remove_retention_policy('${table}', if_exists => true)`,
      add: retentionDays === 0
        ? null
        : `SELECT add_retention_policy('${table}', drop_after => ${hoursOf(24 * retentionDays)})`,
    })),
  ];
}

/**
 * Begins at the beginning of time: only windows that were touched since the last run are computed,
 * however old, so late rows and replays of old data are seen. Where rows are dropped it begins
 * there: a window that has lost its rows would be computed as empty.
 */
function refreshPolicy(
  { view, kind, bucketMs }: Aggregate,
  { retentionDays, order }: { readonly retentionDays: number; readonly order: string },
): Policy {
  const bucketHours = bucketMs / HOUR_MS;
  const hours = retentionDays === 0 || kind === "gap"
    ? null
    : Math.max(24 * retentionDays, (BUCKETS_OPEN + BUCKETS_MIN) * bucketHours);
  return {
    relation: view,
    key: "start_offset",
    hours,
    remove: `SELECT remove_continuous_aggregate_policy('${view}', if_exists => true)`,
    add: `SELECT add_continuous_aggregate_policy('${view}',
      start_offset => ${hours === null ? "NULL" : hoursOf(hours)},
      end_offset => ${hoursOf(BUCKETS_OPEN * bucketHours)},
      schedule_interval => INTERVAL '${REFRESH_EVERY}'${order})`,
  };
}

async function applyPolicy(database: PostgresDatabase, policy: Policy): Promise<void> {
  const { relation, key, hours, remove, add } = policy;
  const { rows } = await database.query(
    `SELECT (config->>'${key}')::interval IS NOT DISTINCT FROM
       ${hours === null ? "NULL" : hoursOf(hours)} AS same
     FROM timescaledb_information.jobs
     WHERE to_regclass(quote_ident(hypertable_schema) || '.' || quote_ident(hypertable_name))
       = '${relation}'::regclass
       AND jsonb_exists(config, '${key}')`,
  );
  if (add !== null && rows.length === 1 && rows[0].same === true) return;
  if (rows.length > 0) await database.call(remove);
  if (add !== null) await database.call(add);
}

function hoursOf(hours: number): string {
  return `INTERVAL '${hours} hours'`;
}

/** Event times that rows were written at since they were last computed. */
export type Touched = Map<Aggregate, Span>;

/** When it is not known what an earlier sink has left. */
export const EVER: Span = { first: Date.UTC(1900), last: Date.UTC(2200) };

type Span = { readonly first: number; readonly last: number };

/** Says that rows were written. */
export function touch(touched: Touched, aggregate: Aggregate, { first, last }: Span): void {
  const known = touched.get(aggregate) ?? { first, last };
  touched.set(aggregate, {
    first: Math.min(known.first, first),
    last: Math.max(known.last, last),
  });
}

/** Buckets of one aggregate to be computed: `[from, end)`. */
export type StaleWindow = {
  readonly aggregate: Aggregate;
  /** The server goes in batches. */
  readonly batched: boolean;
  readonly from: number;
  readonly end: number;
};

/**
 * The buckets that rows were written into, as far as they may be materialised: rows behind that
 * are not seen before these are computed. That is up to the one that the watermark stands in, and
 * as far as the aggregates' jobs go, which of old data compute all. What comes later stays
 * touched. Of rows that retention is to drop nothing is computed: others of their bucket may be
 * gone already.
 */
export async function findStaleWindows(
  database: PostgresDatabase,
  touched: Touched,
): Promise<StaleWindow[]> {
  const edition = await timescaleEdition(database);
  const states = edition?.licensed ? await readAggregates(database) : [];
  const batched = edition !== null && isBatched(edition);
  const windows: StaleWindow[] = [];
  for (const [aggregate, { first, last }] of [...touched]) {
    const { bucketMs } = aggregate;
    const floor = (ms: number) => Math.floor(ms / bucketMs) * bucketMs;
    const state = states.find(({ view }) => view === aggregate.view);
    const oldest = state === undefined ? Infinity : floor(state.keptFromMs) + bucketMs;
    // A plain view has nothing to be computed, nor has what is about to be dropped.
    if (state === undefined || last < oldest) touched.delete(aggregate);
    else {
      const newest = Math.max(state.watermarkMs, state.nowMs - BUCKETS_OPEN * bucketMs);
      const from = Math.max(floor(first), oldest);
      const end = Math.min(floor(last) + bucketMs, floor(newest));
      if (end > from) windows.push({ aggregate, batched, from, end });
    }
  }
  return windows;
}

type AggregateState = {
  readonly view: string;
  readonly nowMs: number;
  /** -Infinity: there is none yet, nor is anything dropped. */
  readonly watermarkMs: number;
  readonly keptFromMs: number;
};

async function readAggregates(database: PostgresDatabase): Promise<AggregateState[]> {
  const { rows } = await database.query(
    `SELECT a.view_name AS view, now() AS now, (SELECT max(watermark) FROM positions) AS watermark,
       (SELECT now() - max((j.config->>'drop_after')::interval)
        FROM timescaledb_information.jobs j
        WHERE j.hypertable_schema = a.hypertable_schema
          AND j.hypertable_name = a.hypertable_name) AS kept_from
     FROM timescaledb_information.continuous_aggregates a`,
  );
  const msOf = (time: unknown) => time instanceof Date ? time.getTime() : -Infinity;
  return rows.map(({ view, now, watermark, kept_from }) => ({
    view: String(view),
    nowMs: msOf(now),
    watermarkMs: msOf(watermark),
    keptFromMs: msOf(kept_from),
  }));
}

/** Only an aggregate's owner may refresh it; for others its job does. */
const NOT_OWNER = "42501";

/** Computes a window. It is taken off before: rows that come meanwhile touch it again. */
export async function refreshWindow(
  database: PostgresDatabase,
  touched: Touched,
  { aggregate, batched, from, end }: StaleWindow,
): Promise<void> {
  const order = batched ? `, options => '{"refresh_newest_first": false}'` : "";
  const { last } = touched.get(aggregate) ?? { last: from };
  touched.delete(aggregate);
  if (last >= end) touched.set(aggregate, { first: end, last });
  try {
    await database.call(
      `CALL refresh_continuous_aggregate('${aggregate.view}', '${isoOf(from)}', '${
        isoOf(end)
      }'${order})`,
    );
  } catch (error) {
    if ((error as { code?: unknown }).code === NOT_OWNER) return;
    touch(touched, aggregate, { first: from, last: end - 1 });
    throw error;
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
