import assert from "node:assert/strict";
import { migrate } from "../../../src/tables/migrations.ts";
import { TestPostgres } from "../../pglite.ts";
import { doctor, type DoctorPorts } from "../../../src/commands/doctor/doctor.ts";
import { type CheckResult, failed, ok, runChecks } from "../../../src/commands/doctor/checks.ts";
import { databaseChecks, type MigrationStanding } from "../../../src/commands/doctor/database.ts";
import { authorizationOf, grafanaChecks } from "../../../src/commands/doctor/grafana.ts";
import { kafkaChecks, type KafkaPorts } from "../../../src/commands/doctor/kafka.ts";
import { ConfigError, readConfig } from "../../../src/config.ts";
import type { LogAdmin, LogBatch, LogReader, TopicFound } from "../../../src/engine/log/ports.ts";
import { topicNames } from "../../../src/engine/log/records.ts";
import { shownUrl } from "../../../src/setup/database.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const topics = topicNames("smartmeter_");
const noSpans = { starts: new Int32Array(), ends: new Int32Array() };

/** A Kafka that says what it is told to; `committed` is asked for again and again. */
function fakeKafka(
  { missing = [], partitions = 2, end = 1000, committed = () => 500, newestMs = NOW_MS, tail = 1 }:
    {
      missing?: readonly string[];
      partitions?: number;
      end?: number;
      committed?: (partition: number) => number;
      newestMs?: number;
      /** Records that a reader near the end finds; the rest are markers. */
      tail?: number;
    } = {},
): KafkaPorts & { close(): Promise<void> } {
  let nowMs = NOW_MS;
  const spec = (name: string): TopicFound => ({
    name,
    id: "0",
    partitions: name === topics.metrics ? partitions : 2,
    replication: 1,
    configs: {},
    settings: {
      "cleanup.policy": name === topics.changelog ? "compact" : "delete",
      "message.timestamp.type": "LogAppendTime",
    },
  });
  const admin: LogAdmin = {
    describeTopics: (names) =>
      Promise.resolve(names.filter((name) => !missing.includes(name)).map(spec)),
    identify: () => Promise.resolve([]),
    createTopics: () => Promise.resolve([]),
    deleteTopics: () => Promise.resolve(),
    setTopic: () => Promise.resolve(),
    listOffsets: (refs, at) =>
      Promise.resolve(refs.map((ref) => ({ ...ref, offset: at === "start" ? 0 : end }))),
    groupOffsets: (_, refs) =>
      Promise.resolve(
        refs.map((ref) => ({ ...ref, nextOffset: committed(ref.partition), metadata: "" })),
      ),
    close: () => Promise.resolve(),
  };
  const batch: LogBatch = {
    topic: topics.raw,
    partition: 0,
    count: tail,
    bytes: new Uint8Array(),
    values: noSpans,
    offsets: new Float64Array(tail).fill(end - 1),
    timesMs: new Float64Array(tail).fill(newestMs),
    keys: null,
    origins: null,
    nextOffset: end,
    logEndOffset: end,
    lastStableOffset: end,
  };
  const reader: LogReader = {
    assign: () => {},
    unassign: () => {},
    pause: () => {},
    resume: () => {},
    next: () => Promise.resolve(batch),
    ends: () => null,
    bufferedBytes: 0,
    close: () => Promise.resolve(),
  };
  return {
    brokers: "broker:9092",
    areBrokersGiven: true,
    group: "gridwatch",
    topics,
    reach: () => Promise.resolve(),
    admin,
    openReader: () => reader,
    clock: {
      nowMs: () => nowMs,
      sleep: (ms) => {
        nowMs += ms;
        return Promise.resolve();
      },
    },
    close: () => Promise.resolve(),
  };
}

const stateOf = (results: readonly CheckResult[], check: string) =>
  results.find((result) => result.check === check);

Deno.test("runChecks() lets a check that hangs fail in time, and skips what needs it", async () => {
  const results = await runChecks([[
    { name: "hangs", limitMs: 20, needs: [], fix: "pull", run: () => new Promise(() => {}) },
    { name: "behind it", limitMs: 20, needs: ["hangs"], fix: "", run: () => ok("") },
    { name: "free", limitMs: 20, needs: [], fix: "", run: () => ok("fine") },
  ]]);
  assert.deepEqual(results.map(({ state }) => state), ["failed", "skipped", "ok"]);
  assert.deepEqual(results[0], {
    check: "hangs",
    state: "failed",
    found: "no answer in 0.02 s",
    fix: "pull",
  });
});

Deno.test("runChecks() makes one line of an error and takes its hint for the fix", async () => {
  const error = Object.assign(new Error("no\n    at x.ts:1"), { hint: "yes" });
  const check = { name: "throws", limitMs: 1000, needs: [], fix: "else" };
  const [thrown, plain] = await runChecks([[
    { ...check, run: () => Promise.reject(error) },
    { ...check, run: () => failed("f", "own") },
  ]]);
  assert.deepEqual([thrown.found, thrown.fix, plain.fix], ["no", "yes", "own"]);
});

Deno.test("kafkaChecks() finds a healthy pipeline healthy", async () => {
  const results = await runChecks([kafkaChecks(fakeKafka({ committed: () => 1000 }))]);
  assert.deepEqual(results.map(({ state }) => state), ["ok", "ok", "ok", "ok"]);
  assert.equal(stateOf(results, "topics and partitions")?.found.startsWith("8 topics of 2"), true);
});

Deno.test("kafkaChecks() names missing topics and unequal partitions", async () => {
  const missing = await runChecks([kafkaChecks(fakeKafka({ missing: [topics.rejected] }))]);
  const found = stateOf(missing, "topics and partitions");
  assert.deepEqual([found?.state, found?.found, found?.fix], [
    "failed",
    "missing: smartmeter_rejected",
    "gridwatch topics --create",
  ]);
  assert.equal(stateOf(missing, "consumer lag")?.state, "skipped");
  const unequal = await runChecks([kafkaChecks(fakeKafka({ partitions: 3 }))]);
  assert.match(stateOf(unequal, "topics and partitions")?.found ?? "", /smartmeter_metrics 3$/);
});

Deno.test("kafkaChecks() tells a processor that is behind from one that stands", async () => {
  let next = 10;
  const [, , moving] = await runChecks([kafkaChecks(fakeKafka({ committed: () => next++ }))]);
  assert.deepEqual([moving.state, moving.found], [
    "ok",
    "1,979 records behind (group gridwatch), and moving",
  ]);
  const [, , standing] = await runChecks([kafkaChecks(fakeKafka({ committed: () => 500 }))]);
  assert.deepEqual([standing.state, standing.found], [
    "failed",
    "1,000 records behind (group gridwatch), nothing moves",
  ]);
  const [, , never] = await runChecks([kafkaChecks(fakeKafka({ committed: () => -1 }))]);
  assert.match(never.found, /nothing was ever processed$/);
});

Deno.test("kafkaChecks() finds the partition that stands among others that move", async () => {
  let next = 10;
  const committed = (partition: number) => partition === 0 ? 500 : next++;
  const [, , lag] = await runChecks([kafkaChecks(fakeKafka({ committed }))]);
  assert.equal(lag.state, "failed");
  assert.match(lag.found, /partition 0 does not move$/);
});

Deno.test("kafkaChecks() counts no markers of transactions as records", async () => {
  const kafka = (tail: number) => fakeKafka({ committed: () => 997, tail });
  const [, , lag, clock] = await runChecks([kafkaChecks(kafka(0))]);
  assert.deepEqual([lag.state, lag.found], ["ok", "0 records behind (group gridwatch)"]);
  assert.equal(clock.found, "no records to tell by");
  const [, , behind] = await runChecks([kafkaChecks(kafka(2))]);
  assert.equal(behind.found, "4 records behind (group gridwatch), nothing moves");
});

Deno.test("kafkaChecks() reports records from the future, and none from the past", async () => {
  for (const [aheadMs, state] of [[60_000, "failed"], [5_000, "ok"], [-1e12, "ok"]] as const) {
    const kafka = fakeKafka({ committed: () => 1000, newestMs: NOW_MS + aheadMs });
    const results = await runChecks([kafkaChecks(kafka)]);
    assert.equal(stateOf(results, "clock skew, Kafka")?.state, state, `${aheadMs}`);
  }
});

const APPLIED: readonly MigrationStanding[] = [{ name: "001_init", state: "applied" }];
const systemNow = { nowMs: () => Date.now(), sleep: () => Promise.resolve() };

/** The checks over an in-memory PGlite that `prepare` has made ready. */
async function checkPglite(
  prepare: (client: TestPostgres) => Promise<void>,
  { skewMs = 0, migrations = [], processed = null, onSleep }: {
    skewMs?: number;
    migrations?: readonly MigrationStanding[];
    processed?: number | null;
    onSleep?: (client: TestPostgres) => Promise<void>;
  } = {},
): Promise<CheckResult[]> {
  const client = new TestPostgres();
  await prepare(client);
  let sleptMs = 0;
  const { chain, close } = databaseChecks({
    url: "postgres://me:secret@db/gridwatch",
    open: () => Promise.resolve(client),
    readMigrations: () => Promise.resolve(migrations),
    processed: () => Promise.resolve(processed),
    stalledSeconds: 45,
    clock: {
      nowMs: () => Date.now() + skewMs + sleptMs,
      sleep: async (ms) => {
        sleptMs += ms;
        await onSleep?.(client);
      },
    },
  });
  try {
    return await runChecks([chain]);
  } finally {
    await close();
  }
}

Deno.test("databaseChecks() of an empty database say to migrate it", async () => {
  const results = await checkPglite(() => Promise.resolve());
  assert.equal(stateOf(results, "database reachable")?.state, "ok");
  assert.equal(stateOf(results, "migrations")?.found, "no tables yet");
  assert.equal(stateOf(results, "TimescaleDB edition")?.state, "ok");
  assert.equal(stateOf(results, "ledger")?.state, "skipped");
});

Deno.test("databaseChecks() hold the ledger's rows and the clock against it", async () => {
  const fill = (sql: string) => async (client: TestPostgres) => {
    await migrate(client);
    await client.script(sql);
  };
  /** A row of each disposition, and one of the day, of five raw records and a tick. */
  const rows = (partition: number) => `
    INSERT INTO validated_readings VALUES
      (now(), 'A', 1, 'OK', '{}', NULL, ${partition}, 0),
      (now(), 'A', 1, 'LATE', '{}', 9, ${partition}, 1);
    INSERT INTO readings_meter_daily VALUES
      (now(), 'A', ${partition}, 2, 1, 0, 2, now(), now());
    INSERT INTO late_events VALUES (now(), 'A', now(), 1, 9999, ${partition}, 2);
    INSERT INTO rejected_readings (time, reason, detail, raw, source_partition, source_offset)
      VALUES (now(), 'CONFLICT', '', '', ${partition}, 3), (now(), 'FUTURE', '', '', ${partition}, 4);
    INSERT INTO positions VALUES (${partition}, 20, now());`;
  const good = await checkPglite(
    fill(`INSERT INTO ledger VALUES (0, 6, 1, 1, 1, 1, 1, 1); ${rows(0)}`),
    { migrations: APPLIED },
  );
  assert.deepEqual(
    good.map(({ state }) => state),
    ["ok", "ok", "ok", "ok", "ok", "skipped", "skipped"],
  );
  assert.doesNotMatch(JSON.stringify(good), /secret/);
  const bad = await checkPglite(
    fill(`INSERT INTO ledger VALUES (3, 9, 1, 1, 1, 1, 1, 1); ${rows(3)}`),
    { migrations: APPLIED, skewMs: 60_000 },
  );
  const ledger = stateOf(bad, "ledger");
  assert.deepEqual([ledger?.state, ledger?.found], [
    "failed",
    "out of balance: partition 3: sum: ledger 9, found 6",
  ]);
  const lost = await checkPglite(
    fill(`INSERT INTO ledger VALUES (0, 6, 1, 1, 1, 1, 1, 1); ${rows(0)}
      DELETE FROM late_events`),
    { migrations: APPLIED },
  );
  assert.equal(
    stateOf(lost, "ledger")?.found,
    "out of balance: partition 0: too_late: ledger 1, found 0",
  );
  const unread = await checkPglite(
    fill(`INSERT INTO ledger VALUES (0, 6, 1, 1, 1, 1, 1, 1); ${rows(0)}
      INSERT INTO sink_positions VALUES ('smartmeter_metrics', 7, 5, 5)`),
    { migrations: APPLIED },
  );
  assert.equal(stateOf(unread, "ledger")?.state, "warning");
  assert.match(stateOf(unread, "ledger")?.found ?? "", /^not compared: partition 7 has no account/);
  assert.match(stateOf(bad, "clock skew, database")?.found ?? "", /clock is 60\.\d s behind/);
});

Deno.test("databaseChecks() tell a sink that is behind from one that stands", async () => {
  const at = (offset: number) =>
    `INSERT INTO positions VALUES (0, ${offset}, now())
    ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset`;
  const check = async (processed: number, onSleep?: (client: TestPostgres) => Promise<void>) => {
    const prepare = async (client: TestPostgres) => {
      await migrate(client);
      await client.script(at(100));
    };
    const options = { migrations: APPLIED, processed, onSleep };
    const found = stateOf(await checkPglite(prepare, options), "sink lag");
    return [found?.state, found?.found];
  };
  assert.deepEqual(await check(100), ["ok", "0 records behind the processors"]);
  assert.deepEqual(await check(1100, (client) => client.script(at(101))), [
    "ok",
    "1,000 records behind the processors, and moving",
  ]);
  assert.deepEqual(await check(101), [
    "failed",
    "1 record behind the processors, nothing moves",
  ]);
});

/** The checks over a database that says it has this extension and these migrations. */
async function checkAnswers(
  { version = null, license = null, migrations = [] }: {
    version?: string | null;
    license?: string | null;
    migrations?: readonly MigrationStanding[];
  },
): Promise<CheckResult[]> {
  const query = (sql: string) => {
    if (sql.includes("pg_extension")) return Promise.resolve({ rows: [{ version, license }] });
    return Promise.resolve({ rows: [{ version: "17.2", number: 170_002, now_ms: NOW_MS }] });
  };
  const { chain } = databaseChecks({
    url: "postgres://db",
    open: () => Promise.resolve({ query, close: () => Promise.resolve() }),
    readMigrations: () => Promise.resolve(migrations),
    processed: () => Promise.resolve(null),
    stalledSeconds: 45,
    clock: { ...systemNow, nowMs: () => NOW_MS },
  });
  return await runChecks([chain]);
}

Deno.test("databaseChecks() tell migrations to make from those of another version", async () => {
  const cases = [
    ["pending", /^not applied: 9$/],
    ["changed", /^applied with another text: 9$/],
    ["unknown", /^of a later version: 9$/],
  ] as const;
  for (const [state, said] of cases) {
    const results = await checkAnswers({ migrations: [...APPLIED, { name: "9", state }] });
    assert.match(stateOf(results, "migrations")?.found ?? "", said);
  }
});

Deno.test("databaseChecks() judge TimescaleDB by licence and by its scheduler", async () => {
  const cases = [
    ["2.32.1", "timescale", "ok"],
    ["2.32.0", "timescale", "warning"],
    ["2.29.5", "timescale", "warning"],
    ["2.27.3", "timescale", "ok"],
    ["2.32.1", "apache", "warning"],
  ] as const;
  for (const [version, license, state] of cases) {
    const found = stateOf(await checkAnswers({ version, license }), "TimescaleDB edition");
    assert.equal(found?.state, state, `${version} ${license}: ${found?.found}`);
  }
});

Deno.test("shownUrl() shows no password", () => {
  assert.equal(shownUrl("postgres://a:b@h:1/d"), "postgres://a:***@h:1/d");
  assert.equal(shownUrl("host=h password=b"), "(not a URL)");
});

/** The checks against a Grafana of these answers; a path that is not there is a 404. */
async function checkGrafana(
  answers: Readonly<Record<string, [status: number, body: unknown]>>,
  authorization: string | null = "Bearer t",
): Promise<CheckResult[]> {
  return await runChecks([grafanaChecks({
    url: "http://grafana:3000/",
    authorization,
    fetch: (url) => {
      const [status, body] = answers[new URL(url).pathname] ?? [404, {}];
      return Promise.resolve(new Response(JSON.stringify(body), { status }));
    },
  })]);
}

Deno.test("grafanaChecks() follow the data source to its database", async () => {
  const health = { "/api/health": [200, { version: "12.0.0", database: "ok" }] } as const;
  const uid = "/api/datasources/uid/gridwatch";
  const known = { ...health, [uid]: [200, { name: "Gridwatch" }] } as const;
  type Answers = Parameters<typeof checkGrafana>[0];
  const found = async (answers: unknown, authorization?: string | null) =>
    (await checkGrafana(answers as Answers, authorization)).map(({ state }) => state);
  assert.deepEqual(await found({ ...known, [`${uid}/health`]: [200, { status: "OK" }] }), [
    "ok",
    "ok",
  ]);
  const down = [400, { status: "ERROR", message: "connection refused" }];
  assert.deepEqual(await found({ ...known, [`${uid}/health`]: down }), ["ok", "failed"]);
  assert.deepEqual(await found(health), ["ok", "failed"]);
  assert.deepEqual(await found({ ...health, [uid]: [401, {}] }), ["ok", "failed"]);
  assert.deepEqual(await found(known, null), ["ok", "skipped"]);
  assert.deepEqual(await found({ "/api/health": [200, "<html>"] }), ["failed", "skipped"]);
});

Deno.test("authorizationOf() takes a token before a password", () => {
  assert.equal(authorizationOf({ token: "t", user: "u", password: "p" }), "Bearer t");
  assert.equal(authorizationOf({ token: "", user: "u", password: "p" }), "Basic dTpw");
  assert.equal(authorizationOf({ token: "", user: "u", password: "" }), null);
});

/** Runs the command against fakes; gives its exit code and what it printed. */
async function run(args: string[], ports: Partial<DoctorPorts> = {}) {
  let printed = "";
  const code = await doctor(args, {
    denoVersion: "2.9.6",
    loadConfig: () => Promise.resolve(readConfig(null, () => undefined)),
    openKafka: () => Promise.resolve(fakeKafka({ committed: () => 1000 })),
    openDatabase: () => Promise.reject(new Error("connection refused")),
    fetch: () => Promise.reject(new Error("connection refused")),
    store: {
      open: () => Promise.resolve(null),
      standing: () => Promise.reject(new Error("there is no store")),
      holder: () => Promise.resolve(null),
      freeBytes: () => Promise.resolve(1e12),
    },
    print: (text) => printed += text,
    widthMax: undefined,
    ...ports,
  });
  return { code, printed };
}

Deno.test("doctor() exits with 0 when nothing failed, though not all is configured", async () => {
  const { code, printed } = await run(["--json"]);
  assert.equal(code, 0);
  const { ok, checks } = JSON.parse(printed) as { ok: boolean; checks: CheckResult[] };
  assert.equal(ok, true);
  assert.equal(stateOf(checks, "database reachable")?.state, "not used");
  assert.equal(stateOf(checks, "migrations"), undefined);
  assert.equal(stateOf(checks, "store")?.state, "not used");
  assert.equal(stateOf(checks, "store pages"), undefined);
});

Deno.test("doctor() calls a Kafka that nobody named and that is not there not used, not failed", async () => {
  const away = (areBrokersGiven: boolean) => ({
    openKafka: () =>
      Promise.resolve({
        ...fakeKafka(),
        areBrokersGiven,
        reach: () => Promise.reject(new Error("connection refused")),
      }),
  });
  const guessed = await run([], { ...away(false), widthMax: 80 });
  assert.equal(guessed.code, 0);
  assert.match(guessed.printed, /^Kafka reachable +not used +none is configured/m);
  assert.doesNotMatch(guessed.printed, /consumer lag|failed/);
  const given = await run([], { ...away(true), widthMax: 80 });
  assert.equal(given.code, 1);
  assert.match(given.printed, /^Kafka reachable +failed +connection refused/m);
  assert.match(given.printed, /^consumer lag +skipped/m);
});

Deno.test("doctor() keeps to a terminal of 80 columns, with each fix whole", async () => {
  const args = ["--database", "postgres://u:p@db/x", "--grafana", "http://g"];
  const { printed } = await run(args, { widthMax: 80 });
  const lines = printed.trimEnd().split("\n");
  assert.match(lines[0], /^check +state +found +fix$/);
  for (const line of lines) assert.ok(line.length <= 80, line);
  const fix = printed.split("\n").map((line) => line.slice(lines[0].indexOf("fix"))).join(" ");
  assert.match(
    fix.replace(/ +/g, " "),
    /is Grafana there\? grafana\.url \(GRIDWATCH_GRAFANA_URL\)/,
  );
});

Deno.test("doctor() exits with 1 and gives a fix for each thing that failed", async () => {
  const args = ["--database", "postgres://u:secret@db/x", "--grafana", "http://g", "--json"];
  const { code, printed } = await run(args, { denoVersion: "1.46.0" });
  assert.equal(code, 1);
  const { checks } = JSON.parse(printed) as { checks: CheckResult[] };
  const bad = checks.filter(({ state }) => state === "failed");
  assert.deepEqual(bad.map(({ check }) => check), ["Deno", "database reachable", "Grafana"]);
  for (const { check, fix } of bad) assert.ok(fix, check);
  assert.doesNotMatch(printed, /secret|\bat .*\.ts/);
});

Deno.test("doctor() goes no further than a config that cannot be read", async () => {
  const refused = new ConfigError("Cannot use x=1: must be 2", "set it");
  const { code, printed } = await run([], { loadConfig: () => Promise.reject(refused) });
  assert.equal(code, 1);
  assert.match(printed, /config +failed +Cannot use x=1: must be 2 +set it/);
  assert.doesNotMatch(printed, /Kafka/);
});
