import assert from "node:assert/strict";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import type { TimescaleOptions } from "../../src/adapters/postgres/timescale.ts";
import { until } from "./kafka_broker.ts";
import { type Pipeline, type Running, terminate } from "./pipeline.ts";
import { rowsOf } from "./postgres_harness.ts";

/** What the tests of TimescaleDB share. */

export const OPTIONS: TimescaleOptions = {
  chunkDays: 1,
  columnstoreAfterDays: 14,
  retentionDays: 0,
};

const DEFECTS = [
  ...["--delay-probability", "0.05", "--duplicate-probability", "0.02"],
  ...["--gap-probability", "0.02"],
];

/** Every table and view of summaries, in an order that does not depend on the store. */
export const SUMMARIES: readonly string[] = [
  ...["gap_summary_hourly", "late_events_summary_hourly", "metrics_summary_hourly"],
  ...["readings_daily", "readings_fleet_daily", "missing_daily", "completeness_daily"],
  ...["completeness_fleet_daily", "gap_status", "gap_recovery"],
];

/** Brings a database to this build's schema; the steps that were applied. */
export async function migrate(
  url: string,
  options: Partial<TimescaleOptions> = {},
): Promise<string[]> {
  const database = openForSchema(url);
  try {
    return await migrateDatabase(database, { ...OPTIONS, ...options });
  } finally {
    await database.close();
  }
}

/** A generated fleet's readings, with defects, into the raw topic; judged. */
export async function play(
  pipeline: Pipeline,
  fleet: { meters?: number; days?: number; start?: string; seed?: number } = {},
): Promise<void> {
  const { meters = 40, days = 4, start = "2024-11-01T00:00:00Z", seed = 1 } = fleet;
  const csv = `${pipeline.folder}/fleet-${seed}.csv`;
  const made = await pipeline.run(
    ...["generate", "--output", csv, "--meters", String(meters), "--days", String(days)],
    ...["--start", start, "--seed", String(seed), "--quiet"],
  );
  assert.equal(made.code, 0, made.stderr);
  await pipeline.onKafka("replay", csv, "--kafka", ...DEFECTS, "--seed", String(seed));
  const processor = pipeline.process();
  await pipeline.untilJudged();
  assert.equal((await terminate(processor)).code, 0);
}

/** A sink into a database, in a group of its own. */
export function startSink(pipeline: Pipeline, url: string): Running {
  const group = `${pipeline.group}-${new URL(url).pathname.slice(1)}`;
  return pipeline.start("sink", "--database", url, "--group", group, ...pipeline.brokers);
}

const WRITTEN = "SELECT coalesce(sum(next_offset), 0)::int AS n FROM positions";

export async function writtenTo(url: string): Promise<number> {
  const [{ n }] = await rowsOf(url, WRITTEN);
  return Number(n);
}

/** Waits until every message, and the account of everything judged, is in the tables. */
export async function untilWritten(
  pipeline: Pipeline,
  url: string,
  deadlineMs = 120_000,
): Promise<void> {
  const { raw, validated, gapAlerts, lateEvents, rejected, metrics } = pipeline.topics;
  const refs = pipeline.partitionNumbers.map((partition) => ({ topic: raw, partition }));
  const stored = await pipeline.admin.groupOffsets(pipeline.group, refs);
  const judged = stored.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
  let messages = 0;
  for (const topic of [validated, gapAlerts, lateEvents, rejected, metrics]) {
    messages += (await pipeline.read(topic)).flat().reduce((sum, { count }) => sum + count, 0);
  }
  const sql =
    `SELECT sum(messages)::int AS n FROM sink_positions WHERE topic NOT LIKE '%state_changelog'`;
  await until("all is written", async () => {
    if (await writtenTo(url) !== judged) return false;
    return Number((await rowsOf(url, sql))[0].n) === messages;
  }, deadlineMs);
}

/** Writes all that is judged, and ends. */
export async function sinkAll(pipeline: Pipeline, url: string): Promise<void> {
  const sink = startSink(pipeline, url);
  const isLoaded = () => sink.said("partition_loaded").length === pipeline.partitions;
  await until("it has begun", () => Promise.resolve(isLoaded()));
  await untilWritten(pipeline, url);
  assert.equal((await terminate(sink)).code, 0);
}

/** The topics are what the raw records say, and the tables what the topics say. */
export async function assertBalanced(pipeline: Pipeline, url: string): Promise<void> {
  const { code, stdout, stderr } = await pipeline.run(
    ...["verify", "--kafka", "--database", url, "--json"],
    ...pipeline.brokers,
  );
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_errors LIMIT 1"), []);
  const { topics } = pipeline;
  const gaps = new Set((await pipeline.messages(topics.gapAlerts)).map(({ gap_id }) => gap_id));
  const metrics = (await pipeline.messages(topics.metrics)).length;
  const sql = "SELECT (SELECT count(*)::int FROM gap_alerts) AS gaps, " +
    "(SELECT count(*)::int FROM metrics) AS metrics";
  assert.deepEqual(await rowsOf(url, sql), [{ gaps: gaps.size, metrics }]);
}

/** Rows of a summary; sums of doubles are rounded: their last bits depend on the order. */
export async function summaryOf(url: string, view: string): Promise<string[]> {
  const rows = await rowsOf(url, `SELECT * FROM ${view}`);
  return rows.map((row) =>
    JSON.stringify(row, (_, value) => typeof value === "number" ? Number(value.toFixed(6)) : value)
  ).sort();
}

/** Every summary of the two is the same; those that must not be empty are not. */
export async function assertSameSummaries(url: string, expected: string): Promise<void> {
  for (const view of SUMMARIES) {
    const rows = await summaryOf(expected, view);
    assert.ok(rows.length > 0, `${view} is empty`);
    assert.deepEqual(await summaryOf(url, view), rows, view);
  }
}

/** Computes every aggregate as far as its rows go. */
export async function materialise(url: string): Promise<void> {
  for (const { view } of await aggregatesOf(url)) {
    await until(
      "no job does the same",
      () =>
        rowsOf(url, `CALL refresh_continuous_aggregate('${view}', NULL, NULL)`)
          .then(() => true, (error) => {
            if (!/concurrent refresh/.test(error.message)) throw error;
          }),
    );
  }
}

export async function aggregatesOf(url: string): Promise<{ view: string; open: boolean }[]> {
  const rows = await rowsOf(
    url,
    `SELECT view_name AS view, NOT materialized_only AS open
     FROM timescaledb_information.continuous_aggregates ORDER BY 1`,
  );
  return rows.map(({ view, open }) => ({ view: String(view), open: Boolean(open) }));
}

/** Stores every chunk of a table by columns; how many. */
export async function compress(url: string, table: string): Promise<number> {
  const sql = `SELECT compress_chunk(c, true) FROM show_chunks('${table}') AS c`;
  return (await rowsOf(url, sql)).length;
}

/** The background jobs of our own, by what they work on. */
export async function jobsOf(url: string): Promise<Record<string, unknown>[]> {
  return await rowsOf(
    url,
    `SELECT job_id AS id, hypertable_name AS relation,
       coalesce('start ' || (config->>'start_offset'), 'columns ' || (config->>'compress_after'),
         'drop ' || (config->>'drop_after'), 'start') AS what
     FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL ORDER BY 2, 3`,
  );
}

/** Holds the refreshes of `readings_daily` up, as one under way does. */
export async function holdReadings(url: string, seconds: number): Promise<void> {
  const [{ held }] = await rowsOf(
    url,
    "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) " +
      "AS held FROM timescaledb_information.continuous_aggregates WHERE view_name = 'readings_daily'",
  );
  await rowsOf(
    url,
    `BEGIN; LOCK TABLE ${held} IN EXCLUSIVE MODE; SELECT pg_sleep(${seconds}); COMMIT`,
  );
}

const GAPS = 3000;

/** Gaps of a processor that is not there: of one partition, in the state given. */
export async function announceGaps(pipeline: Pipeline, state: string): Promise<void> {
  const gaps = Array.from({ length: GAPS }, (_, n) => {
    const meter_id = `gap${n % 30}`;
    const from = Date.UTC(2024, 10, 1) + Math.floor(n / 30) * 3_600_000;
    const [missing_from, missing_to] = [from, from + 1_800_000].map((ms) =>
      new Date(ms).toISOString()
    );
    return {
      ...{ gap_id: `${meter_id}@${missing_from}`, meter_id, missing_from, missing_to, state },
      ...{ gap_minutes: 30, missing_intervals: 1, rejected_intervals: 0 },
      detected_at: missing_to,
    };
  });
  const texts = gaps.map((gap) => new TextEncoder().encode(JSON.stringify(gap)));
  let end = 0;
  const valueEnds = texts.map(({ length }) => end += length);
  const values = new Uint8Array(end);
  texts.forEach((text, n) => values.set(text, valueEnds[n] - text.length));
  const producer = pipeline.log.producer({
    ...{ compression: "none" as const, batchBytesMax: 4 << 20, deadlineMs: 10_000 },
  });
  const offset = state === "OPEN" ? 1_000_000 : 2_000_000;
  await producer.send([{
    ...{ topic: pipeline.topics.gapAlerts, partition: 0, count: GAPS, values, valueEnds },
    ...{ keys: null, keyEnds: null, timesMs: Date.UTC(2024, 10, 10) },
    origins: {
      partition: 0,
      offsets: texts.map((_, n) => offset + n),
      indexes: texts.map(() => 0),
    },
  }]);
  await producer.close();
}

/** Writes until all those gaps are in that state, and ends. */
export async function sinkGaps(pipeline: Pipeline, url: string, state: string): Promise<void> {
  const sink = startSink(pipeline, url);
  await until(`all gaps are ${state}`, async () => {
    const [{ n }] = await rowsOf(
      url,
      "SELECT count(*)::int AS n FROM gap_alerts WHERE meter_id LIKE 'gap%' " +
        `AND state = '${state}'`,
    );
    return n === GAPS;
  }, 30_000);
  assert.equal((await terminate(sink)).code, 0);
}

/** Commits take a while, so that there is time to kill in. */
export const SLOW_COMMITS = `
  CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
  CREATE TRIGGER slow AFTER UPDATE ON sink_positions FOR EACH STATEMENT EXECUTE FUNCTION take_time()`;

/** Waits until every summary of the two is the same. */
export async function untilSameSummaries(url: string, expected: string): Promise<void> {
  await until(
    "all that was written is seen",
    () =>
      assertSameSummaries(url, expected).then(() => true, (error) => {
        if (error.name !== "AssertionError") throw error;
      }),
    60_000,
  );
}

/** What a sink does that begins and finds nothing to write. */
export async function settle(pipeline: Pipeline, url: string): Promise<void> {
  const database = openForSchema(url);
  try {
    const sink = new PostgresSink(database, {
      answerMsMax: 30_000,
      gapGraceMs: 900_000,
      stateTtlMs: 604_800_000,
    });
    const [{ name: topic, id: topicId }] = await pipeline.admin.identify([
      pipeline.topics.validated,
    ]);
    await sink.load([{ topic, topicId, partition: 0, offset: 0 }]);
    await sink.settle();
  } finally {
    await database.close();
  }
}
