import assert from "node:assert/strict";
import { checkRows } from "../../src/adapters/postgres/check.ts";
import { PostgresDatabase, type Transaction } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import type { Finding } from "../../src/tables/finding.ts";
import { LAYOUTS, RUN_TABLES } from "../../src/tables/table_digests.ts";
import { assertAnswer } from "../schemas.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";
import { commitMessages } from "./sink_commits.ts";

const { serverTest, beforeAll } = await serverTests("postgres");
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres();
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
});

const OPTIONS = { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 };
const START_MS = Date.UTC(2024, 0, 1, 20);

async function migrated(url: string): Promise<void> {
  const database = openForSchema(url);
  try {
    await migrateDatabase(database, OPTIONS);
  } finally {
    await database.close();
  }
}

/** A database that a sink has written in ten commits a partition, over two days. */
async function ofSink(): Promise<string> {
  const url = await server.createDatabase();
  await migrated(url);
  await commitMessages(url, { first: 0, end: 10, startMs: START_MS });
  return url;
}

/** One that files with defects were played into. */
async function ofRun(folder: string): Promise<string> {
  const url = await server.createDatabase();
  const csv = `${folder}/fleet.csv`;
  const size = ["--meters", "5", "--days", "4", "--seed", "5", "--quiet"];
  await passes("generate", "--output", csv, ...size);
  await passes(
    ...["run", csv, "--database", url, "--exit", "--quiet", "--now", "2030-01-01", "--seed", "7"],
    ...["--delay-probability", "0.1", "--max-delay-seconds", "864000"],
    ...["--duplicate-probability", "0.05", "--gap-probability", "0.05"],
  );
  return url;
}

async function passes(...args: string[]): Promise<void> {
  const { code, stderr } = await gridwatch(...args);
  assert.equal(code, 0, stderr);
}

/** What the check finds after a change by hand, which is then undone. */
async function findingsAfter(url: string, ...changes: string[]): Promise<readonly Finding[]> {
  let findings: readonly Finding[] = [];
  await inTransaction(url, async (tx) => {
    for (const sql of changes) {
      const { touched } = await tx.query(sql);
      assert.ok(touched > 0, `nothing was changed: ${sql}`);
    }
    findings = (await checkRows(tx)).findings;
  });
  return findings;
}

async function inTransaction(
  url: string,
  work: (tx: Transaction) => Promise<void>,
): Promise<void> {
  const database = new PostgresDatabase(url, { connections: 1, name: "t", statementMsMax: 0 });
  const undone = new Error("undone");
  try {
    await database.transaction(async (tx) => {
      await work(tx);
      throw undone;
    });
  } catch (error) {
    if (error !== undone) throw error;
  } finally {
    await database.close();
  }
}

/** Where days and keys of a table are; what is written over when a row is doubled. */
const TABLES: Readonly<Record<string, { readonly time?: string; readonly double: string }>> = {
  validated_readings: { time: "time", double: "source_offset" },
  gap_alerts: { time: "time", double: "meter_id" },
  late_events: { time: "time", double: "source_offset" },
  rejected_readings: { time: "time", double: "source_offset" },
  metrics: { time: "time", double: "" },
  readings_meter_daily: { time: "bucket", double: "meter_id" },
  sink_errors: { time: "time", double: "topic" },
  sink_positions: { double: "topic" },
  positions: { double: "partition" },
  ledger: { double: "partition" },
  task_state: { double: "partition" },
  state_changelog: { double: "part" },
  inputs: { double: "id" },
  settings: { double: "key" },
};

/**
 * What says nothing of the rows, and may differ: a clock of the server, what nobody writes, and the
 * identity of a topic, which sinks hold the topic against.
 */
const NOT_DIGESTED = [
  ...["sink_positions.written_at", "inputs.rows_total", "sink_positions.topic_id"],
];

/** Another value than the one of a column. */
const OTHER: Readonly<Record<string, (column: string) => string>> = {
  text: (it) => `coalesce(${it}, '') || 'x'`,
  int4: (it) => `coalesce(${it}, 0) + 100000`,
  int8: (it) => `coalesce(${it}, 0) + 100000`,
  float8: (it) => `coalesce(${it}, 0) + 0.001`,
  timestamptz: (it) => `coalesce(${it}, '2024-01-01') + interval '1 second'`,
  jsonb: (it) => `${it} || '{"x": "y"}'`,
  bytea: (it) => `${it} || '\\x00'`,
  bool: (it) => `NOT ${it}`,
  _text: (it) => `${it} || 'x'::text`,
  _int8: (it) => `${it} || 1::bigint`,
};

type Column = { readonly name: string; readonly type: string };

async function columnsOf(url: string, table: string): Promise<Column[]> {
  const rows = await rowsOf(
    url,
    `SELECT column_name AS name, udt_name AS type FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = '${table}' ORDER BY ordinal_position`,
  );
  return rows.map(({ name, type }) => ({ name: String(name), type: String(type) }));
}

/** Holds that a change of one row is told with its table and its day. */
async function assertTold(url: string, table: string, change: string): Promise<void> {
  const { time } = TABLES[table];
  const findings = await findingsAfter(url, change);
  const days = await rowsOf(
    url,
    time === undefined
      ? "SELECT NULL AS day"
      : `SELECT to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day FROM ${table} ${ONE}`,
  );
  const told = findings.filter((one) => one.table === table);
  assert.ok(
    told.some(({ day }) => day === days[0].day),
    `${change}\nday ${days[0].day}: ${JSON.stringify(findings)}`,
  );
}

/** One row of a table, always the same. */
const ONE = "ORDER BY ctid LIMIT 1";

async function assertAllTold(url: string, tables: readonly string[]): Promise<void> {
  assert.deepEqual(await findingsAfter(url), []);
  for (const table of tables) {
    const columns = await columnsOf(url, table);
    const one = `ctid = (SELECT ctid FROM ${table} ${ONE})`;
    await assertTold(url, table, `DELETE FROM ${table} WHERE ${one}`);
    const doubled = columns.map(({ name, type }) =>
      name === TABLES[table].double ? OTHER[type](`"${name}"`) : `"${name}"`
    );
    await assertTold(
      url,
      table,
      `INSERT INTO ${table} SELECT ${doubled.join(", ")} FROM ${table} WHERE ${one}`,
    );
    for (const { name, type } of columns) {
      if (NOT_DIGESTED.includes(`${table}.${name}`)) continue;
      // A state is one of four, which the table itself holds.
      const other = `${table}.${name}` === "gap_alerts.state"
        ? "CASE state WHEN 'OPEN' THEN 'FILLED' ELSE 'OPEN' END"
        : OTHER[type](`"${name}"`);
      await assertTold(url, table, `UPDATE ${table} SET "${name}" = ${other} WHERE ${one}`);
    }
  }
}

const sinkTables = Object.keys(TABLES).filter((table) => !RUN_TABLES.some((one) => one === table));

serverTest(
  "a row lost, doubled or altered in any table of a sink is told, with its day",
  async () => {
    await assertAllTold(await ofSink(), sinkTables);
  },
);

serverTest(
  "a row lost, doubled or altered in any table of a run is told, with its day",
  async () => {
    await inFolder(async (folder) => {
      const url = await ofRun(folder);
      await assertAllTold(url, Object.keys(TABLES).filter((table) => !table.startsWith("sink_")));
    });
  },
);

serverTest("every table of rows is digested, or made of one that is", async () => {
  const url = await server.createDatabase();
  const database = openForSchema(url);
  try {
    await migrateDatabase(database, { ...OPTIONS, embedded: true });
  } finally {
    await database.close();
  }
  const rows = await rowsOf(
    url,
    "SELECT table_name AS name FROM information_schema.tables " +
      "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
  );
  const kept = [
    ...["schema_migrations", "digests", "undigested", "readings_meter_daily", "database_identity"],
    "raw_ends", // what a sink sees now and then, by the server's clock
    "zone_offsets", // of the settings
    ...["gap_starts", "incidents", "meters"], // made of gaps, and of what metrics say of meters
    // Made of readings and gaps, and made anew at any time.
    ...["estimated_readings", "estimate_refusals"],
  ];
  assert.deepEqual(
    rows.map(({ name }) => String(name)).sort(),
    [...Object.keys(LAYOUTS), ...kept].sort(),
  );
});

serverTest("digests hold where a commit is too much for the server and is split", async () => {
  const whole = await ofSink();
  const url = await server.createDatabase();
  await migrated(url);
  await rowsOf(
    url,
    `CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
       IF (SELECT count(*) FROM added) > 1 THEN
         RAISE 'out of shared memory' USING ERRCODE = '53200';
       END IF;
       RETURN NULL;
     END $$`,
  );
  for (const table of ["validated_readings", "rejected_readings"]) {
    await rowsOf(
      url,
      `CREATE TRIGGER refuse_many AFTER INSERT ON ${table} REFERENCING NEW TABLE AS added
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()`,
    );
  }
  await commitMessages(url, { first: 0, end: 10, startMs: START_MS });
  assert.deepEqual(await findingsAfter(url), []);
  // When a message was refused is a clock's.
  const digests = "SELECT * FROM digests WHERE table_name <> 'sink_errors' " +
    "ORDER BY table_name, source_partition, day";
  assert.deepEqual(await rowsOf(url, digests), await rowsOf(whole, digests));
});

serverTest("two changes that make up for each other in number are told", async () => {
  const url = await ofSink();
  const swap = `UPDATE validated_readings v SET consumption_kwh = o.consumption_kwh
    FROM validated_readings o WHERE v.source_partition = 0 AND o.source_partition = 0
      AND v.source_offset = 1 - o.source_offset AND o.source_offset IN (0, 1)`;
  const [finding] = await findingsAfter(url, swap);
  assert.deepEqual([finding.table, finding.partition, finding.day], [
    ...["validated_readings", 0, "2024-01-01"],
  ]);
  const twice = "UPDATE late_events SET source_offset = 0 WHERE source_offset = 6";
  const findings = await findingsAfter(url, twice);
  assert.ok(findings.some(({ what }) => what === "1 raw records have two rows"));
});

serverTest("what was altered stays told when a gap or a sum is written over", async () => {
  const url = await server.createDatabase();
  await migrated(url);
  await commitMessages(url, { first: 0, end: 1, startMs: START_MS });
  await rowsOf(url, "UPDATE gap_alerts SET detected_at = detected_at + interval '1 day'");
  await rowsOf(url, "UPDATE sink_positions SET messages = messages + 1 WHERE topic = 'late'");
  await commitMessages(url, { first: 1, end: 2, startMs: START_MS });
  const tables = (await findingsAfter(url)).map(({ table }) => table);
  assert.deepEqual(tables, ["gap_alerts", "gap_alerts", "sink_positions", "sink_positions"]);
});

serverTest("verify --database ends with 3 and names the table and the day", async () => {
  const url = await ofSink();
  const { code } = await gridwatch("verify", "--database", url);
  assert.equal(code, 0);
  await rowsOf(url, "UPDATE metrics SET value = 5 WHERE time = (SELECT min(time) FROM metrics)");
  const wrong = await gridwatch("verify", "--database", url, "--json");
  assert.equal(wrong.code, 3);
  const answer = JSON.parse(wrong.stdout);
  assert.equal(answer.balanced, false);
  assert.deepEqual(
    answer.differences.map((one: Finding) => [one.table, one.partition, one.day]),
    [["metrics", 0, "2024-01-01"], ["metrics", 1, "2024-01-01"]],
  );
  await assertAnswer("verify.json", answer);
  assert.match(wrong.stderr, /^partition 0: metrics on 2024-01-01: a row of 8 is not as it was/m);
  assert.match(wrong.stderr, /^the tables do not balance$/m);
});

/** As a database of the version before is. */
const VERSION_BEFORE = `DROP VIEW dropped; DROP VIEW dropped_days;
  DROP TABLE undigested; DROP TABLE digests;
  DROP TABLE validation_records;
  DELETE FROM schema_migrations WHERE name IN ('004_digests', '009_validation')`;

serverTest("rows from before the digests are told of, and neither wrong nor proven", async () => {
  const url = await ofSink();
  await rowsOf(url, VERSION_BEFORE);
  await migrated(url);
  const before = await gridwatch("verify", "--database", url, "--json");
  assert.equal(before.code, 0, before.stderr);
  assert.match(before.stderr, /^validated_readings: 120 rows are not digested: they were written/m);
  const { not_digested: [first], digested_since: since } = JSON.parse(before.stdout);
  assert.deepEqual(first, { table: "gap_alerts", partition: 0, rows: 5, before_offset: 85 });
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 3_600_000);

  // Commit 9 wrote of gap 8; 10 begins a gap, which 11 replaces; 11 of 10 is digested as a whole.
  await commitMessages(url, { first: 10, end: 13, startMs: START_MS });
  assert.deepEqual(await findingsAfter(url), []);
  const alter = (offsets: string) =>
    `UPDATE validated_readings SET consumption_kwh = consumption_kwh
       WHERE source_offset ${offsets}`.replace("= consumption_kwh", "= consumption_kwh + 1e-12");
  assert.deepEqual(await findingsAfter(url, alter("< 90")), []);
  const findings = await findingsAfter(url, alter("= 90"));
  assert.deepEqual(
    findings.map(({ table, partition }) => [table, partition]),
    [["validated_readings", 0], ["validated_readings", 1]],
  );
  const after = await gridwatch("verify", "--database", url, "--json");
  assert.equal(after.code, 0, after.stderr);
  const tables = JSON.parse(after.stdout).not_digested.map((one: { table: string }) => one.table);
  assert.ok(!tables.includes("ledger") && tables.includes("metrics"), String(tables));
});

serverTest(
  "a gap from before the digests that is told of again is digested from then on",
  async () => {
    const url = await server.createDatabase();
    await migrated(url);
    await commitMessages(url, { first: 0, end: 9, startMs: START_MS });
    await rowsOf(url, VERSION_BEFORE);
    await migrated(url);
    await commitMessages(url, { first: 9, end: 10, startMs: START_MS });
    assert.deepEqual(await findingsAfter(url), []);
    const [finding] = await findingsAfter(
      url,
      "UPDATE gap_alerts SET state = 'FILLED' WHERE source_offset = 84 AND source_partition = 1",
    );
    assert.deepEqual([finding.table, finding.partition], ["gap_alerts", 1]);
  },
);
