import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import { PostgresStore } from "../../src/adapters/postgres/store.ts";
import { FencedError } from "../../src/engine/ports.ts";
import { openDatabase } from "../../src/setup/database.ts";
import { startPgbouncer } from "./pgbouncer_harness.ts";
import { rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";

/** Behind Debian's pgbouncer in transaction mode, where a session is nobody's for long. */

const { serverTest } = await serverTests("postgres", "pgbouncer");

const TIMESCALE = { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 };
const LOCKS = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'";

/** A database by the pooler, and by its server. */
async function openSite(settings = "") {
  const server = await startPostgres();
  const direct = await server.createDatabase();
  const pooler = await startPgbouncer(direct, settings);
  return {
    direct,
    pooled: pooler.url,
    async [Symbol.asyncDispose]() {
      await pooler.stop();
      await server.stop();
    },
  };
}

async function migrated(url: string, embedded = false): Promise<string[]> {
  const database = openForSchema(url);
  try {
    return await migrateDatabase(database, { ...TIMESCALE, embedded });
  } finally {
    await database.close();
  }
}

serverTest("gridwatch migrate leaves no lock behind a pooler, and runs again", async () => {
  await using site = await openSite();
  assert.ok((await migrated(site.pooled)).length > 0);
  assert.deepEqual(await rowsOf(site.direct, LOCKS), [{ n: 0 }]);
  const again = await Promise.all([migrated(site.pooled), migrated(site.pooled)]);
  assert.deepEqual(again, [[], []]);
});

for (const settings of ["", "ignore_startup_parameters = jit, statement_timeout"]) {
  serverTest(`A database that is read changes nothing behind a pooler [${settings}]`, async () => {
    await using site = await openSite(settings);
    const database = await openDatabase(site.pooled, { statementMsMax: 700 });
    try {
      for (
        const sql of ["CREATE TABLE t (n integer)", "SELECT 1; COMMIT; CREATE TABLE t (n int)"]
      ) {
        await assert.rejects(database.query(sql), sql);
        await assert.rejects(database.transaction((tx) => tx.query(sql)), sql);
      }
      const setting =
        "SELECT current_setting('jit') AS jit, current_setting('TimeZone') AS zone, " +
        "current_setting('statement_timeout') AS timeout";
      const expected = [{ jit: "off", zone: "UTC", timeout: "700ms" }];
      assert.deepEqual((await database.query(setting)).rows, expected);
      const inside = await database.transaction((tx) => tx.query(setting));
      assert.deepEqual(inside.rows, expected);
      assert.deepEqual(await rowsOf(site.direct, "SELECT to_regclass('t') AS t"), [{ t: null }]);
      const after = "SELECT current_setting('statement_timeout') AS timeout, " +
        "current_setting('transaction_read_only') AS read_only";
      assert.deepEqual(
        await rowsOf(site.pooled, after),
        [{ timeout: "0", read_only: "off" }],
        "whoever comes next has none of it",
      );
    } finally {
      await database.close();
    }
  });
}

serverTest("PostgresStore keeps a second run out behind a pooler, until it is closed", async () => {
  await using site = await openSite();
  await migrated(site.pooled, true);
  const open = () =>
    new PostgresDatabase(site.pooled, { connections: 2, name: "t", statementMsMax: 0 });
  const [first, second] = [open(), open()];
  const options = { answerMsMax: 10_000, lockMsMax: 200 };
  try {
    await PostgresStore.open(first, options);
    await assert.rejects(PostgresStore.open(second, options), FencedError);
    await first.close();
    await PostgresStore.open(second, { ...options, lockMsMax: 5000 });
  } finally {
    await second.close();
  }
  const ended = { answerMsMax: 10_000, lockMsMax: 5000 };
  const third = open();
  await PostgresStore.open(third, ended).finally(() => third.close());
});

serverTest(
  "PostgresSink writes behind a pooler, also on connections of an older schema",
  async () => {
    await using site = await openSite();
    await migrated(site.pooled);
    // What a sink of another version has left on the pooler's connections.
    await rowsOf(site.pooled, "CREATE TEMPORARY TABLE gap_alerts_stage (n integer)");
    const database = new PostgresDatabase(site.pooled, {
      ...{ connections: 3, name: "gridwatch sink", statementMsMax: 5000 },
    });
    try {
      const sink = new PostgresSink(database, {
        answerMsMax: 10_000,
        gapGraceMs: 900_000,
        stateTtlMs: 7 * 86_400_000,
      });
      const topics = ["gaps", "log"];
      const topicId = crypto.randomUUID();
      await sink.load(topics.map((topic) => ({ topic, topicId, partition: 0, offset: 0 })));
      const gap = new TextEncoder().encode(JSON.stringify({
        ...{
          gap_id: "M@2024-01-01T00:00:00Z",
          meter_id: "M",
          state: "OPEN",
          rejected_intervals: 0,
        },
        ...{ missing_from: "2024-01-01T00:00:00Z", missing_to: "2024-01-01T00:30:00Z" },
        ...{ gap_minutes: 30, missing_intervals: 1, detected_at: "2024-01-01T01:00:00Z" },
      }));
      const one = { starts: Int32Array.of(0), ends: Int32Array.of(gap.length) };
      for (let at = 0; at < 6; at++) {
        const batch = {
          ...{ topic: "gaps", partition: 0, count: 1, bytes: gap, values: one, keys: null },
          ...{ offsets: Float64Array.of(at), timesMs: Float64Array.of(0), nextOffset: at + 1 },
          ...{ logEndOffset: at + 1, lastStableOffset: at + 1 },
          origins: {
            partitions: Int32Array.of(0),
            offsets: Float64Array.of(at),
            indexes: Int32Array.of(0),
          },
        };
        const written = await sink.commit({
          partition: 0,
          moves: [{ topic: "gaps", partition: 0, from: at, to: at + 1, messages: 1 }],
          runs: [{ kind: "gap", batch, first: 0, end: 1 }],
          account: null,
        });
        assert.deepEqual(written, { rows: 1, refused: 0, incidents: [] });
      }
      const found = await rowsOf(site.direct, "SELECT source_offset::int AS at FROM gap_alerts");
      assert.deepEqual(found, [{ at: 5 }]);
    } finally {
      await database.close();
    }
  },
);
