import assert from "node:assert/strict";
import type { LogRecords } from "../../src/engine/log/ports.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, type PipelineOptions, terminate, withPipeline } from "./pipeline.ts";
import { freePort } from "./ports.ts";
import { assertServedAlike } from "./served.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import type { Finding } from "../../src/tables/finding.ts";
import { assertAnswer } from "../schemas.ts";
import { postgresPrograms } from "./postgres_programs.ts";
import { lackOf, serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("kafka", "postgres");
/** What a backup is made and restored by; null: these programs of PostgreSQL are not here. */
const DUMPS = await lackOf("postgres") === null ? await findDumps() : null;
let kafka: Kafka;
let server: Postgres;

beforeAll(async () => {
  [kafka, server] = await Promise.all([startKafka(), startPostgres()]);
});

Deno.test.afterAll(async () => {
  await kafka?.stop(); // undefined when it did not start
  await server?.stop();
});

const DEFECTS = [
  ...["--delay-probability", "0.05", "--duplicate-probability", "0.02"],
  ...["--gap-probability", "0.02", "--seed", "7"],
];

type Site = {
  readonly pipeline: Pipeline;
  readonly url: string;
  readonly csv: string;
  readonly server: Postgres;
};

type SinkTestOptions = PipelineOptions & {
  readonly meters?: number;
  readonly days?: number;
  /** True: the test has a server of its own, to be killed. */
  readonly owned?: boolean;
  readonly ignore?: boolean;
};

/** A fleet's readings in the raw topic, and an empty database of this schema. */
function sinkTest(
  name: string,
  test: (site: Site) => Promise<void>,
  { owned = false, ignore = false, meters = 40, days = 4, ...options }: SinkTestOptions = {},
): void {
  serverTest(name, async () => {
    if (owned) {
      await using own = await startPostgres({ owned });
      await runOn(own);
    } else await runOn(server);
  }, { ignore });
  const runOn = (server: Postgres) =>
    withPipeline(kafka.brokers, options, async (pipeline) => {
      const url = await server.createDatabase();
      const csv = `${pipeline.folder}/fleet.csv`;
      await assertOk(pipeline.run("migrate", "--database", url));
      const size = ["--meters", String(meters), "--days", String(days), "--quiet"];
      await assertOk(pipeline.run("generate", "--output", csv, ...size));
      await pipeline.createTopics();
      await pipeline.onKafka("replay", csv, "--kafka", ...DEFECTS);
      try {
        await test({ pipeline, url, csv, server });
      } catch (error) {
        console.error(await server.log());
        throw error;
      }
    });
}

async function assertOk(ended: Promise<{ code: number; stderr: string }>): Promise<void> {
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
}

const sinkOf = ({ pipeline, url }: Site, ...args: string[]) =>
  pipeline.start("sink", "--database", url, ...args, ...pipeline.brokers);

/** Judges everything in the raw topic. */
async function judge(pipeline: Pipeline): Promise<void> {
  const processor = pipeline.process();
  await pipeline.untilJudged();
  assert.equal((await terminate(processor)).code, 0);
}

const WRITTEN = "SELECT coalesce(sum(next_offset), 0)::int AS n FROM positions";

/** Waits until the account of everything judged is in the tables. */
async function untilWritten({ pipeline, url }: Site, deadlineMs = 60_000): Promise<void> {
  const refs = pipeline.partitionNumbers.map((partition) => ({
    topic: pipeline.topics.raw,
    partition,
  }));
  const stored = await pipeline.admin.groupOffsets(pipeline.group, refs);
  const judged = stored.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
  await until("all is written", async () => {
    const [{ n }] = await rowsOf(url, WRITTEN);
    return Number(n) === judged;
  }, deadlineMs);
}

/** The tables balance, and are those of the topics, row by row as many. */
async function assertBalanced({ pipeline, url }: Site): Promise<void> {
  const { code, found, stderr } = await pipeline.verify(url);
  assert.equal(code, 0, stderr);
  assert.deepEqual(found.tables, {
    ...{ ledger: found.ledger, differences: [], refused: 0, dropped: null },
    ...{ not_digested: [], digested_since: null },
  });
  const [{ metrics }] = await rowsOf(url, "SELECT count(*)::int AS metrics FROM metrics");
  assert.equal(metrics, (await pipeline.messages(pipeline.topics.metrics)).length);
}

const KEYED = "source_partition, source_offset, time, meter_id";
/** What must be the same in every store, in an order that does not depend on it. */
const TABLES: readonly string[] = [
  `SELECT * FROM validated_readings ORDER BY ${KEYED}`,
  "SELECT * FROM gap_alerts ORDER BY gap_id, source_partition",
  `SELECT * FROM late_events ORDER BY ${KEYED}`,
  "SELECT * FROM rejected_readings ORDER BY source_partition, source_offset",
  "SELECT bucket, source_partition, readings, late_readings, flagged_readings, " +
  "CAST(round(consumption_kwh * 1000000) AS bigint) AS mwh FROM readings_fleet_daily ORDER BY 1, 2",
  "SELECT * FROM ledger ORDER BY partition",
  "SELECT partition, watermark FROM positions ORDER BY partition",
  "SELECT metric_type, CAST(tags AS text) AS tags, sum(value) AS value FROM metrics WHERE metric_type IN " +
  "('event_processed', 'too_late_event', 'duplicate_event', 'gap_detected') " +
  "GROUP BY 1, 2 ORDER BY 1, 2",
  "SELECT bucket, meter_id, readings, missing_intervals FROM completeness_daily ORDER BY 1, 2",
];

sinkTest("gridwatch sink writes the rows of the embedded run", async (site) => {
  const { pipeline, url, csv } = site;
  const port = freePort();
  const sink = sinkOf(site, "--health-port", String(port));
  await judge(pipeline);
  await untilWritten(site);
  await assertBalanced(site);
  const directory = `${pipeline.folder}/store`;
  const store = ["--data", directory];
  const partitions = ["--scope", "meter", "--partitions", String(pipeline.partitions)];
  await assertOk(pipeline.run("replay", csv, ...DEFECTS, ...partitions, ...store, "--json"));
  for (const sql of TABLES) {
    const embedded = await pipeline.run("query", sql, "--json", ...store);
    assert.equal(embedded.code, 0, embedded.stderr);
    const expected = JSON.parse(embedded.stdout).map(plainRow);
    const found = JSON.parse(JSON.stringify(await rowsOf(url, sql))).map(plainRow);
    assert.ok(expected.length > 0, sql);
    assertSameRows(found, expected, sql);
  }
  assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_errors"), []);
  await assertHealth(port);
  await assertServedAlike(pipeline, { url, directory });
  const { ms, code } = await terminate(sink);
  assert.equal(code, 0);
  assert.ok(ms < 5000, `SIGTERM took ${ms} ms`);
  await assertTamperingIsSeen(site);
});

async function assertHealth(port: number): Promise<void> {
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  for (const path of ["/healthz", "/readyz"]) {
    const answer = await get(path);
    assert.equal(answer.status, 200, path);
    await answer.body?.cancel();
  }
  const metrics = await (await get("/metrics")).text();
  assert.match(metrics, /^gridwatch_consumer_lag_records\{partition="0"\} 0$/m);
  assert.match(metrics, /^# TYPE gridwatch_rows_written_total counter$/m);
  assert.match(metrics, /^gridwatch_rows_written_total\{partition="1"\} [1-9]/m);
  assert.doesNotMatch(metrics, /gridwatch_meters/);
}

async function assertTamperingIsSeen({ pipeline, url }: Site): Promise<void> {
  const [{ closed }] = await rowsOf(
    url,
    "SELECT count(*)::int AS closed FROM gap_alerts WHERE state = 'CLOSED' AND source_partition = 2",
  );
  await rowsOf(
    url,
    "DELETE FROM validated_readings WHERE (source_partition, source_offset) IN " +
      "(SELECT source_partition, source_offset FROM validated_readings " +
      "WHERE status = 'OK' AND source_partition = 1 LIMIT 2)",
  );
  await rowsOf(
    url,
    "DELETE FROM gap_alerts WHERE gap_id = (SELECT min(gap_id) FROM gap_alerts " +
      "WHERE state = 'CLOSED' AND source_partition = 2)",
  );
  const byTables = await pipeline.run("verify", "--database", url, "--json");
  assert.equal(byTables.code, 3, byTables.stderr);
  const { differences } = JSON.parse(byTables.stdout);
  assert.deepEqual(
    [...new Set(differences.map((one: Finding) => `${one.table} ${one.partition}`))],
    ["gap_alerts 2", "validated_readings 1", "readings_meter_daily 1"],
  );
  await assertAnswer("verify.json", JSON.parse(byTables.stdout));
  const byTopics = await pipeline.verify(url);
  assert.equal(byTopics.code, 3, byTopics.stderr);
  assert.deepEqual([byTopics.found.balanced, byTopics.found.differences], [false, []]);
  const what = "CLOSED gaps, by the topics";
  assert.deepEqual(byTopics.found.tables.differences, [
    { partition: 2, what, ledger: Number(closed), found: Number(closed) - 1 },
    ...differences,
  ]);
}

/** Drivers give numbers of 64 bits as text or as numbers, and times with and without a fraction. */
/** Row by row: what tells of thousands of rows at once takes gigabytes to say how they differ. */
function assertSameRows(
  found: readonly unknown[],
  expected: readonly unknown[],
  sql: string,
): void {
  assert.equal(found.length, expected.length, sql);
  expected.forEach((row, n) => assert.deepEqual(found[n], row, `row ${n} of ${sql}`));
}

/** A row as both databases say it: JSON is text in the embedded store, and a channel a column more. */
function plainRow(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).filter(([name, value]) => name !== "channel" || value !== "").map((
      [name, value],
    ) => {
      if (typeof value === "number") return [name, String(value)];
      if (typeof value === "string" && /^[[{]/.test(value) && name !== "raw") {
        return [name, JSON.parse(value)];
      }
      const isTime = typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value);
      return [name, isTime ? new Date(value).toISOString() : value];
    }),
  );
}

const SMALL_STEPS = { SINK_COMMIT_RECORDS_MAX: 100, COMMIT_RECORDS_MAX: 100 };
/** Commits take a while, so that there is time to kill in. */
const SLOW_COMMITS = `
  CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
  CREATE TRIGGER slow AFTER UPDATE ON sink_positions FOR EACH STATEMENT EXECUTE FUNCTION take_time()`;

sinkTest(
  "No row is lost and none is there twice when sink and PostgreSQL are killed ten times each",
  async (site) => {
    const { pipeline, url, server } = site;
    await judge(pipeline);
    await rowsOf(url, SLOW_COMMITS);
    let sink = sinkOf(site);
    let written = 0;
    const untilWrites = async () => {
      written = await until("it writes", async () => {
        const [{ n }] = await rowsOf(url, WRITTEN);
        return Number(n) > written ? Number(n) : undefined;
      }, 30_000);
    };
    for (let n = 0; n < 10; n++) {
      await untilWrites();
      sink.kill("SIGKILL");
      await sink.ended;
      sink = sinkOf(site);
      await untilWrites();
      await server.kill();
      await server.restart();
    }
    await untilWrites(); // there was something left to write after each kill
    await untilWritten(site, 120_000);
    await assertBalanced(site);
    assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_errors"), []);
    assert.equal((await terminate(sink)).code, 0);
  },
  { settings: SMALL_STEPS, meters: 200, days: 30, owned: true },
);

sinkTest("The tables balance at every look while two sinks share the work", async (site) => {
  const { pipeline, url } = site;
  const processor = pipeline.process();
  const sinks = [sinkOf(site), sinkOf(site)];
  const looks: unknown[] = [];
  const done = pipeline.untilJudged().then(() => untilWritten(site));
  let isDone = false;
  done.finally(() => isDone = true).catch(() => {});
  const verifying = (async () => {
    // A partition that is not read yet is missing, and told as that.
    await until("each partition has an account", async () => {
      const [{ n }] = await rowsOf(url, "SELECT count(*)::int AS n FROM positions");
      return Number(n) === pipeline.partitions;
    });
    do {
      const { code, stderr } = await pipeline.verify(url);
      assert.equal(code, 0, stderr);
    } while (!isDone);
  })();
  verifying.catch(() => {}); // it is awaited below
  while (!isDone) {
    const [look] = await rowsOf(
      url,
      `SELECT (SELECT coalesce(sum(ok + late), 0)::int FROM ledger) AS ledger,
         (SELECT count(*)::int FROM validated_readings) AS rows,
         (SELECT coalesce(sum(duplicate + rejected), 0)::int FROM ledger) AS ledger_rejected,
         (SELECT count(*)::int FROM rejected_readings) AS rejected`,
    );
    assert.deepEqual([look.rows, look.rejected], [look.ledger, look.ledger_rejected]);
    looks.push(look);
  }
  await done;
  await verifying;
  assert.ok(new Set(looks.map((look) => JSON.stringify(look))).size > 3, "it was one commit");
  sinks[0].kill("SIGKILL");
  await pipeline.onKafka("replay", site.csv, "--kafka", "--seed", "9");
  await pipeline.untilJudged();
  await untilWritten(site);
  await assertBalanced(site);
  assert.equal((await terminate(sinks[1])).code, 0);
  assert.equal((await terminate(processor)).code, 0);
}, { settings: SMALL_STEPS });

sinkTest(
  "Messages that are refused are kept with their reason, and the rest is written",
  async (site) => {
    const { pipeline, url } = site;
    await rowsOf(url, "ALTER TABLE validated_readings ADD CHECK (meter_id NOT LIKE '%7')");
    const producer = pipeline.log.producer({
      compression: "none",
      batchBytesMax: 65_536,
      deadlineMs: 10_000,
    });
    await producer.send([record(pipeline.topics.validated, "not JSON"), {
      ...record(pipeline.topics.lateEvents, '{"meter_id":"M","timestamp":"soon"}'),
      origins: { partition: 0, offsets: [0], indexes: [0] },
    }]);
    await producer.close();
    await judge(pipeline);
    const sink = sinkOf(site);
    await untilWritten(site);
    const lines = (await pipeline.lines(pipeline.topics.validated)).filter((l) => l.endsWith("}"));
    const refused = lines.filter((line) => /"meter_id":"[^"]*7"/.test(line)).length;
    assert.ok(refused > 10);
    const [{ rows }] = await rowsOf(url, "SELECT count(*)::int AS rows FROM validated_readings");
    assert.equal(rows, lines.length - refused);
    const errors = await rowsOf(
      url,
      `SELECT topic, sqlstate, error LIKE '%check constraint%' AS checked, count(*)::int AS n,
       min(value) AS value FROM sink_errors GROUP BY 1, 2, 3 ORDER BY sqlstate, value`,
    );
    assert.deepEqual(
      errors.map(({ topic, sqlstate, checked, n }) => ({ topic, sqlstate, checked, n })),
      [
        { topic: pipeline.topics.validated, sqlstate: "23514", checked: true, n: refused },
        { topic: pipeline.topics.validated, sqlstate: null, checked: false, n: 1 },
        { topic: pipeline.topics.lateEvents, sqlstate: null, checked: false, n: 1 },
      ],
    );
    const [{ days }] = await rowsOf(
      url,
      "SELECT sum(readings)::int AS days FROM readings_fleet_daily",
    );
    assert.equal(days, rows, "the fleet's days count only what was written");
    assert.equal((await terminate(sink)).code, 0);
  },
);

function record(topic: string, value: string): LogRecords {
  const values = new TextEncoder().encode(value);
  return {
    topic,
    partition: 0,
    count: 1,
    values,
    valueEnds: [values.length],
    keys: null,
    keyEnds: null,
    timesMs: 1_700_000_000_000,
    origins: null,
  };
}

sinkTest(
  "A sink waits for a database that is away at the start and in the middle",
  async (site) => {
    const { pipeline, server } = site;
    await judge(pipeline);
    await server.kill();
    const sink = sinkOf(site);
    await until("it says so", () => Promise.resolve(sink.said("database_away").length > 0));
    await server.restart();
    await untilWritten(site);
    assert.equal(sink.said("database_back").length, 1);
    await server.kill();
    await pipeline.onKafka("replay", site.csv, "--kafka", "--seed", "9");
    await judge(pipeline);
    await until("it says so", () => Promise.resolve(sink.said("database_away").length > 1));
    await server.restart();
    await untilWritten(site);
    await assertBalanced(site);
    assert.equal(sink.said("database_away").length, 2, "said once, not each try");
    assert.equal((await terminate(sink)).code, 0);
  },
  { owned: true },
);

sinkTest("SIGTERM ends a sink in time while its database hangs", async (site) => {
  const { pipeline, url } = site;
  await judge(pipeline);
  const [{ n: before }] = await rowsOf(url, WRITTEN);
  // Holds every commit up, as a database that does not answer would.
  const holder = rowsOf(url, "BEGIN; LOCK TABLE validated_readings; SELECT pg_sleep(8); COMMIT")
    .catch(() => []);
  await until("the lock is held", async () => {
    const locks = await rowsOf(url, "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock'");
    return locks.length > 0;
  });
  const sink = sinkOf(site);
  await until("it waits", async () => {
    const waiting = await rowsOf(url, "SELECT 1 FROM pg_locks WHERE NOT granted");
    return waiting.length > 0;
  });
  const { ms, code } = await terminate(sink);
  assert.equal(code, 0, sink.stderr);
  assert.ok(ms < 5000, `SIGTERM took ${ms} ms`);
  assert.deepEqual(await rowsOf(url, WRITTEN), [{ n: before }]);
  await holder;
});

serverTest(
  "gridwatch migrate applies each step once, whoever else does, and says how they stand",
  async () => {
    await withPipeline(kafka.brokers, {}, async (pipeline) => {
      const url = await server.createDatabase();
      const database = ["--database", url];
      const status = () => pipeline.run("migrate", "--status", "--json", ...database);
      const before = await status();
      assert.equal(before.code, 1);
      assert.deepEqual(JSON.parse(before.stdout).current, false);
      assert.deepEqual(await rowsOf(url, "SELECT to_regclass('schema_migrations')::text AS t"), [
        { t: null },
      ], "--status changes nothing");
      const runs = [1, 2, 3].map(() => pipeline.run("migrate", "--json", ...database));
      const applied = (await Promise.all(runs)).flatMap(({ stdout }) => JSON.parse(stdout).applied);
      assert.deepEqual(applied, [
        ...["001_init", "003_summaries", "004_digests", "005_completeness"],
        ...["006_identity", "007_health", "009_validation", "010_incidents", "011_estimates"],
        ...["012_local_days", "013_quality"],
      ]);
      assert.equal((await status()).code, 0);
      await rowsOf(url, "UPDATE schema_migrations SET sha256 = 'x' WHERE name = '001_init'");
      assert.equal((await status()).code, 1);
      const refused = await pipeline.run("migrate", ...database);
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /^error: Cannot migrate: migration 001_init was applied with ano/,
      );
      const sink = await pipeline.run("sink", ...database, "--brokers", kafka.brokers.join());
      assert.match(sink.stderr, /error: Cannot use the (topics|database)/);
      const nowhere = await pipeline.run("migrate", "--database", "postgres://x@127.0.0.1:1/y");
      assert.equal(nowhere.code, 1);
      assert.match(nowhere.stderr, /error: Cannot migrate the database: .*REFUSED/);
      assert.equal((await pipeline.run("migrate", "--database", "mysql://x")).code, 2);
    });
  },
);

const BACKUP =
  "a dump of the middle of a load is restored, and the sink goes on to the same tables";
sinkTest(DUMPS === null ? `${BACKUP} [skipped: no pg_dump]` : BACKUP, async (site) => {
  const { pipeline, url } = site;
  await judge(pipeline);
  await rowsOf(url, SLOW_COMMITS);
  const sink = sinkOf(site);
  await until("it has begun", async () => Number((await rowsOf(url, WRITTEN))[0].n) > 0);
  const copy = { ...site, url: await site.server.createDatabase() };
  const file = `${pipeline.folder}/dump`;
  await runs(DUMPS!.dump, "--format=custom", `--file=${file}`, url);
  await rowsOf(url, "DROP TRIGGER slow ON sink_positions");
  await untilWritten(site);
  assert.equal((await terminate(sink)).code, 0);
  await runs(DUMPS!.restore, "--no-owner", `--dbname=${copy.url}`, file);
  const [[{ n: restored }], [{ n: whole }]] = [
    await rowsOf(copy.url, WRITTEN),
    await rowsOf(url, WRITTEN),
  ];
  assert.ok(0 < Number(restored) && Number(restored) < Number(whole), "it was no middle");
  await rowsOf(copy.url, "DROP TRIGGER slow ON sink_positions");
  const again = sinkOf(copy);
  await untilWritten(copy);
  assert.equal((await terminate(again)).code, 0);
  await assertBalanced(copy);
  for (const sql of TABLES) {
    assertSameRows(await rowsOf(copy.url, sql), await rowsOf(url, sql), sql);
  }
}, { settings: SMALL_STEPS, ignore: DUMPS === null });

async function runs(program: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(program, { args }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

async function findDumps(): Promise<{ readonly dump: string; readonly restore: string } | null> {
  const folder = await postgresPrograms();
  const [dump, restore] = [`${folder}/pg_dump`, `${folder}/pg_restore`];
  const isThere = await Deno.stat(restore).then(() => true, () => false);
  return isThere ? { dump, restore } : null;
}

sinkTest("topics made anew are refused by a sink that wrote the former ones", async (site) => {
  const { pipeline, url } = site;
  const { topics } = pipeline;
  await judge(pipeline);
  const sink = sinkOf(site);
  await untilWritten(site);
  assert.equal((await terminate(sink)).code, 0);
  const { raw: _, ...others } = topics;
  const validated = async () => (await pipeline.lines(topics.validated)).length;
  const before = await validated();
  await pipeline.admin.deleteTopics(Object.values(others));
  await until("they are gone", async () => {
    return (await pipeline.admin.describeTopics(Object.values(others))).length === 0;
  });
  await pipeline.createTopics();
  const processor = pipeline.process();
  await until("all is judged anew", async () => await validated() === before);
  assert.equal((await terminate(processor)).code, 0);
  const again = sinkOf(site);
  const said = await until("it refuses every partition", () => {
    const stopped = again.said("partition_stopped");
    return stopped.length === pipeline.partitions ? stopped : undefined;
  });
  for (const { error, hint } of said) {
    assert.match(String(error), /"\w+" was deleted and made anew since the tables were written/);
    assert.match(String(hint), /an empty database/);
  }
  await terminate(again);
  // Another database gets all of it.
  const anew = { ...site, url: await site.server.createDatabase() };
  await assertOk(pipeline.run("migrate", "--database", anew.url));
  const other = sinkOf(anew);
  await untilWritten(anew);
  assert.equal((await terminate(other)).code, 0);
  await assertBalanced(anew);
  assert.notEqual(url, anew.url);
}, { meters: 5, days: 2 });

sinkTest("two databases have sinks at the same time, and each gets everything", async (site) => {
  const { pipeline } = site;
  await judge(pipeline);
  const second = { ...site, url: await site.server.createDatabase() };
  await assertOk(pipeline.run("migrate", "--database", second.url));
  const missing = await pipeline.verify(second.url);
  assert.equal(missing.code, 3, "nothing of it is written there");
  assert.deepEqual(missing.found.not_compared, [0, 1, 2]);
  const sinks = [site, second].map((each) => sinkOf(each));
  for (const each of [site, second]) {
    await untilWritten(each);
    await assertBalanced(each);
  }
  for (const sink of sinks) assert.equal((await terminate(sink)).code, 0);
  // One group for both by name is refused.
  const first = sinkOf(site, "--group", `${pipeline.name}-both`);
  await until("it has begun", () => first.said("partition_loaded").length === 3);
  const refused = await sinkOf(second, "--group", `${pipeline.name}-both`).ended;
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /its members work on another topic, or write another database/);
  await terminate(first);
}, { meters: 5, days: 2 });
