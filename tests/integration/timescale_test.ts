import assert from "node:assert/strict";
import { openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, type PipelineOptions, terminate, withPipeline } from "./pipeline.ts";
import { findTimescale, type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";
import {
  aggregatesOf,
  announceGaps,
  assertBalanced,
  assertSameSummaries,
  compress,
  holdReadings,
  jobsOf,
  materialise,
  migrate,
  play,
  settle,
  sinkAll,
  sinkGaps,
  SLOW_COMMITS,
  startSink,
  untilSameSummaries,
  untilWritten,
  writtenTo,
} from "./timescale_site.ts";

/** On a real TimescaleDB, where there is one. */

const found = await findTimescale();
const { serverTest, beforeAll } = await serverTests("kafka", "postgres");
let kafka: Kafka;
let server: Postgres;

beforeAll(async () => {
  if (!found.running) return;
  [kafka, server] = await Promise.all([startKafka(), startPostgres({ timescale: "timescale" })]);
});

Deno.test.afterAll(async () => {
  await kafka?.stop();
  await server?.stop();
});

type Needs = "running" | "installed";

/** `installed`: the test starts servers of its own. */
function timescaleTest(name: string, test: () => Promise<void>, needs: Needs = "running"): void {
  const ignore = !found[needs];
  const why = needs === "running"
    ? "no TimescaleDB: GRIDWATCH_TIMESCALE_URL names a server that has it"
    : "TimescaleDB is not installed: its site has packages for every system";
  const shownName = ignore ? `${name} [skipped: ${why}]` : name;
  serverTest(shownName, async () => {
    try {
      await test();
    } catch (error) {
      console.error(await server.log());
      throw error;
    }
  }, { ignore });
}

/** A database with TimescaleDB in it, migrated. */
async function timescale(on: Postgres = server): Promise<string> {
  const url = await on.createDatabase({ extension: true });
  await migrate(url);
  return url;
}

/** The same, where no job runs: what is written behind one is not seen until the next. */
async function withoutJobs(): Promise<string> {
  const url = await server.createDatabase({ extension: true });
  await rowsOf(url, "SELECT _timescaledb_functions.stop_background_workers()");
  await migrate(url);
  return url;
}

const onPipeline = (test: (pipeline: Pipeline) => Promise<void>, options: PipelineOptions = {}) =>
  withPipeline(kafka.brokers, options, async (pipeline) => {
    await pipeline.createTopics();
    await test(pipeline);
  });

const HYPERTABLES = [
  ...["gap_alerts", "late_events", "metrics", "rejected_readings", "validated_readings"],
];
const AGGREGATES = [
  ...["gap_summary_hourly", "late_events_summary_hourly", "metrics_summary_hourly"],
  "readings_daily",
];

async function hypertablesOf(url: string): Promise<unknown[]> {
  const rows = await rowsOf(
    url,
    "SELECT hypertable_name AS name FROM timescaledb_information.hypertables " +
      "WHERE hypertable_schema = 'public' ORDER BY 1",
  );
  return rows.map(({ name }) => name);
}

timescaleTest("gridwatch migrate makes hypertables, aggregates and jobs, once", async () => {
  const url = await server.createDatabase({ extension: true });
  assert.deepEqual(await migrate(url), [
    ...["001_init", "003_summaries", "004_digests", "005_completeness", "006_identity"],
    ...["007_health", "009_validation", "010_incidents", "011_estimates", "012_local_days"],
    ...["timescale_001_hypertables", "timescale_002_aggregates", "timescale_003_columnstore"],
    "timescale_004_dropped",
  ]);
  assert.deepEqual(await hypertablesOf(url), HYPERTABLES);
  assert.deepEqual(await aggregatesOf(url), AGGREGATES.map((view) => ({ view, open: true })));
  const jobs = await jobsOf(url);
  const ageing = HYPERTABLES.filter((table) => table !== "gap_alerts");
  assert.deepEqual(
    jobs.map(({ relation, what }) => `${relation}: ${what}`),
    [
      ...AGGREGATES.map((view) => `${view}: start`),
      ...ageing.map((table) => `${table}: columns 336:00:00`),
    ].sort(),
  );
  const order = "SELECT config->'refresh_newest_first' AS newest_first " +
    "FROM timescaledb_information.jobs WHERE hypertable_name = 'readings_daily'";
  assert.deepEqual(await rowsOf(url, order), [{ newest_first: false }]);
  assert.deepEqual(await migrate(url), []);
  assert.deepEqual(await jobsOf(url), jobs, "jobs that are as they should be are left alone");
});

const CHUNKS = `SELECT (range_end - range_start)::text AS width
  FROM timescaledb_information.chunks WHERE hypertable_name = 'validated_readings'
  ORDER BY range_start`;

const insertReading = (url: string, time: string, offset: number) =>
  rowsOf(
    url,
    "INSERT INTO validated_readings (time, meter_id, consumption_kwh, status, source_partition, " +
      `source_offset) VALUES ('${time}', 'M', 1, 'OK', 0, ${offset})`,
  );

timescaleTest(
  "gridwatch migrate brings a changed setting to new chunks and to the jobs",
  async () => {
    const url = await timescale();
    await insertReading(url, "2024-01-01T12:00:00Z", 1);
    await migrate(url, { chunkDays: 7, columnstoreAfterDays: 3, retentionDays: 10_000 });
    await insertReading(url, "2024-03-01T12:00:00Z", 2);
    const widths = (await rowsOf(url, CHUNKS)).map(({ width }) => width);
    assert.deepEqual(widths, ["1 day", "7 days"]);
    const whats = async (relation: string) =>
      (await jobsOf(url)).filter((job) => job.relation === relation).map(({ what }) => what);
    assert.deepEqual(await whats("validated_readings"), ["columns 72:00:00", "drop 240000:00:00"]);
    assert.deepEqual(await whats("readings_daily"), ["start 240000:00:00"], "not what was dropped");
    assert.deepEqual(await whats("gap_alerts"), [], "a day without its gaps would look complete");
    assert.deepEqual(await whats("gap_summary_hourly"), ["start"]);
    await migrate(url, { columnstoreAfterDays: 0 });
    assert.deepEqual(await whats("validated_readings"), []);
    assert.deepEqual(await whats("readings_daily"), ["start"]);
  },
);

timescaleTest("Views say the same on PostgreSQL and on TimescaleDB, refreshed or not", async () => {
  await onPipeline(async (pipeline) => {
    const plain = await server.createDatabase();
    await migrate(plain);
    const url = await withoutJobs();
    await play(pipeline);
    await sinkAll(pipeline, plain);
    await sinkAll(pipeline, url);
    await assertSameSummaries(url, plain);
    await materialise(url);
    await assertSameSummaries(url, plain);
    for (const table of HYPERTABLES.slice(1)) assert.ok(await compress(url, table) > 0);
    await assertSameSummaries(url, plain);
    await assertBalanced(pipeline, url);
    const grown = await server.createDatabase();
    await migrate(grown);
    await sinkAll(pipeline, grown);
    await rowsOf(grown, "CREATE EXTENSION timescaledb");
    assert.equal((await migrate(grown)).length, 3);
    assert.deepEqual(await hypertablesOf(grown), HYPERTABLES);
    await assertSameSummaries(grown, plain);
    await materialise(grown);
    await assertSameSummaries(grown, plain);
    await assertBalanced(pipeline, grown);
  });
});

timescaleTest("Rows behind what is materialised are seen once the sink has settled", async () => {
  await onPipeline(async (pipeline) => {
    const plain = await server.createDatabase();
    await migrate(plain);
    const url = await timescale();
    await play(pipeline, { days: 6 });
    await sinkAll(pipeline, url);
    await materialise(url);
    // Other meters in the same time, and the same ones too late: a replay of old data.
    await play(pipeline, { days: 3, meters: 60, seed: 2 });
    await sinkAll(pipeline, plain);
    const sink = startSink(pipeline, url);
    await untilWritten(pipeline, url);
    await untilSameSummaries(url, plain);
    assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_errors"), []);
    // One that cannot go on does not keep the sink from ending.
    const holder = holdReadings(url, 8);
    await play(pipeline, { days: 1, meters: 70, seed: 3 });
    const isWaiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' " +
      "AND query LIKE 'CALL refresh%' AND datname = current_database()";
    await until("it waits", async () => (await rowsOf(url, isWaiting)).length > 0);
    const { ms, code } = await terminate(sink);
    assert.equal(code, 0);
    assert.ok(ms < 5000, `SIGTERM took ${ms} ms`);
    await holder;
  });
});

timescaleTest("settle() makes up for what another refresh kept it from", async () => {
  const url = await withoutJobs();
  await insertReading(url, "2024-01-01T12:00:00Z", 1);
  await materialise(url);
  await insertReading(url, "2024-01-01T13:00:00Z", 2);
  const readings = async () =>
    Number((await rowsOf(url, "SELECT * FROM readings_daily"))[0].readings);
  assert.equal(await readings(), 1, "it is behind what is materialised");
  const database = openForSchema(url);
  const sink = new PostgresSink(database, {
    answerMsMax: 30_000,
    gapGraceMs: 900_000,
    stateTtlMs: 604_800_000,
  });
  try {
    await sink.load([{ topic: "t", topicId: crypto.randomUUID(), partition: 0, offset: 0 }]);
    const holder = holdReadings(url, 2);
    const locks = "SELECT 1 FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation'";
    await until("it is held", async () => (await rowsOf(url, locks)).length > 0);
    const other = rowsOf(url, "CALL refresh_continuous_aggregate('readings_daily', NULL, NULL)");
    const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted";
    await until("the other waits", async () => (await rowsOf(url, waiting)).length > 0);
    await assert.rejects(() => sink.settle(), { name: "StoreAwayError", message: /concurrent/ });
    await Promise.all([holder, other]);
    await insertReading(url, "2024-01-01T14:00:00Z", 3);
    await sink.settle();
    assert.equal(await readings(), 3);
  } finally {
    await database.close();
  }
});

/** Reached at once: what is sent is one transaction of more rows than it may unpack. */
const UNPACKED_MAX = 100;

timescaleTest("A replay into compressed chunks is written, however much it unpacks", async () => {
  await onPipeline(async (pipeline) => {
    const url = await timescale();
    await play(pipeline);
    await sinkAll(pipeline, url);
    await announceGaps(pipeline, "OPEN");
    await sinkGaps(pipeline, url, "OPEN");
    // Gaps are the one table that is written over: by hand it can be stored by columns too.
    await rowsOf(
      url,
      "ALTER TABLE gap_alerts SET (timescaledb.enable_columnstore, " +
        "timescaledb.segmentby = 'meter_id', timescaledb.orderby = 'time')",
    );
    for (const table of HYPERTABLES) assert.ok(await compress(url, table) > 0);
    const limit = "timescaledb.max_tuples_decompressed_per_dml_transaction";
    const name = new URL(url).pathname.slice(1);
    await rowsOf(url, `ALTER DATABASE ${name} SET ${limit} = ${UNPACKED_MAX}`);
    await assert.rejects(
      () => rowsOf(url, "UPDATE gap_alerts SET state = 'CLOSED' WHERE meter_id LIKE 'gap%'"),
      /tuple decompression limit exceeded/,
    );
    await announceGaps(pipeline, "CLOSED");
    await sinkGaps(pipeline, url, "CLOSED");
    await play(pipeline, { meters: 60, seed: 2 });
    await sinkAll(pipeline, url);
    assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_errors"), []);
    const counted = await rowsOf(
      url,
      `SELECT (SELECT count(*)::int FROM validated_readings) AS rows,
         (SELECT sum(ok + late)::int FROM ledger) AS ledger`,
    );
    assert.equal(counted[0].rows, counted[0].ledger);
  });
});

const KILLS = 5;
/** Chunks of an hour: there is always one to be made, and locks to be waited for. */
const NARROW = { chunkDays: 1 / 24, columnstoreAfterDays: 1 };

timescaleTest(
  "No row is lost and none is there twice when sink and TimescaleDB are killed five times each",
  async () => {
    await using own = await startPostgres({ owned: true, timescale: "timescale" });
    await onPipeline(async (pipeline) => {
      const plain = await server.createDatabase();
      await migrate(plain);
      await play(pipeline, { meters: 100, days: 12 });
      const url = await own.createDatabase({ extension: true });
      await migrate(url, NARROW);
      await rowsOf(url, SLOW_COMMITS);
      let sink = startSink(pipeline, url);
      let written = 0;
      const untilWrites = async () => {
        written = await until("it writes", async () => {
          const n = await writtenTo(url);
          return n > written ? n : undefined;
        }, 30_000);
      };
      for (let kill = 0; kill < KILLS; kill++) {
        await untilWrites();
        await compress(url, "validated_readings");
        sink.kill("SIGKILL");
        await sink.ended;
        sink = startSink(pipeline, url);
        await untilWrites();
        await own.kill();
        await own.restart();
      }
      await untilWrites(); // there was something left to write after each kill
      await rowsOf(url, "DROP TRIGGER slow ON sink_positions");
      await untilWritten(pipeline, url, 240_000);
      await assertBalanced(pipeline, url);
      await sinkAll(pipeline, plain);
      await untilSameSummaries(url, plain);
      assert.equal((await terminate(sink)).code, 0);
      assert.doesNotMatch(sink.stderr, /deadlock/);
    }, { settings: { SINK_COMMIT_RECORDS_MAX: 300, COMMIT_RECORDS_MAX: 300 } });
  },
  "installed",
);

/** What a release says of every job that has done its work, on a later PostgreSQL than it knew. */
const KNOWN_FAULT = "cannot drop portal";

timescaleTest("Background jobs run, and what retention drops stays in the summaries", async () => {
  await onPipeline(async (pipeline) => {
    const url = await timescale();
    await play(pipeline);
    await sinkAll(pipeline, url);
    await settle(pipeline, url);
    const before = await rowsOf(url, "SELECT * FROM readings_daily ORDER BY bucket, meter_id");
    const completeness = await rowsOf(url, COMPLETENESS);
    await migrate(url, { retentionDays: 30 });
    const runs = `SELECT min(coalesce(total_runs, 0))::int AS runs
      FROM timescaledb_information.job_stats WHERE job_id = ANY (
        SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL)`;
    await until("each job has run", async () => (await rowsOf(url, runs))[0].runs as number > 0);
    for (const { id } of await jobsOf(url)) await rowsOf(url, `CALL run_job(${id})`);
    const errors = await rowsOf(
      url,
      `SELECT proc_name, err_message FROM timescaledb_information.job_errors
       WHERE err_message NOT LIKE '%${KNOWN_FAULT}%'`,
    );
    assert.deepEqual(errors, []);
    const [{ n }] = await rowsOf(url, "SELECT count(*)::int AS n FROM validated_readings");
    assert.equal(n, 0, "all of it is older than that");
    const after = await rowsOf(url, "SELECT * FROM readings_daily ORDER BY bucket, meter_id");
    assert.deepEqual(after, before);
    await settle(pipeline, url);
    assert.deepEqual(
      await rowsOf(url, "SELECT * FROM readings_daily ORDER BY bucket, meter_id"),
      before,
      "a sink that begins computes nothing anew of which the rows are gone",
    );
    assert.deepEqual(await rowsOf(url, COMPLETENESS), completeness);
  });
});

const COMPLETENESS = "SELECT bucket, missing_intervals FROM completeness_fleet_daily ORDER BY 1";

timescaleTest(
  "The Apache edition has hypertables and plain views, and doctor says so",
  async () => {
    await using own = await startPostgres({ owned: true, timescale: "apache" });
    await onPipeline(async (pipeline) => {
      const url = await own.createDatabase({ extension: true });
      assert.deepEqual(await migrate(url), [
        "001_init",
        "003_summaries",
        "004_digests",
        "005_completeness",
        "006_identity",
        "007_health",
        "009_validation",
        "010_incidents",
        "011_estimates",
        "012_local_days",
        "timescale_001_hypertables",
        "timescale_004_dropped",
      ]);
      assert.deepEqual(await migrate(url), []);
      assert.deepEqual(await hypertablesOf(url), HYPERTABLES);
      assert.deepEqual(await aggregatesOf(url), []);
      const plain = await server.createDatabase();
      await migrate(plain);
      await play(pipeline);
      await sinkAll(pipeline, plain);
      await sinkAll(pipeline, url);
      await assertSameSummaries(url, plain);
      await assertBalanced(pipeline, url);
      assert.match(await editionSaid(pipeline, url), /licence apache: no columnstore/);
      assert.match(await editionSaid(pipeline, await timescale()), /licence timescale/);
      assert.match(await editionSaid(pipeline, plain), /plain PostgreSQL/);
    });
  },
  "installed",
);

async function editionSaid(pipeline: Pipeline, url: string): Promise<string> {
  const { stdout } = await pipeline.run("doctor", "--json", "--database", url, ...pipeline.brokers);
  // deno-lint-ignore no-explicit-any -- a result of the doctor
  const checks: any[] = JSON.parse(stdout).checks;
  return checks.find(({ check }) => check === "TimescaleDB edition").found;
}
