import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { PGlite } from "@electric-sql/pglite";
import { openEmpty, openFilled } from "../api/fixture.ts";
import { alertRules, DASHBOARDS } from "../grafana/dashboards.ts";
import { type Balance, balanceSql, readBalance, type TablesOf } from "../../src/tables/balance.ts";
import { queryOf, type Row } from "../../src/tables/query.ts";

const balanceOf = (db: PGlite, of: TablesOf = "store") =>
  readBalance(queryOf({ query: async (sql) => ({ rows: (await db.query<Row>(sql)).rows }) }), of);

const said = ({ differences }: Balance) =>
  differences.map(({ partition, what, ledger, found }) =>
    `${partition} ${what}: ${ledger}, ${found}`
  );

/** What is said of one fault of the tables. */
const FAULTS: readonly (readonly [fault: string, sql: string, said: readonly string[]])[] = [
  [
    "a row is lost",
    "DELETE FROM late_events WHERE source_partition = 1",
    ["1 too_late: 1, 0"],
  ],
  [
    "a row is there twice",
    "INSERT INTO late_events SELECT time, 'X', event_timestamp, 1, 1, 1, 33 FROM late_events LIMIT 1",
    ["1 too_late: 1, 2", "1 raw records with a row: 34, 33"],
  ],
  [
    "a row lost and another twice, in one partition and of one disposition",
    "UPDATE validated_readings SET source_offset = 3 WHERE source_partition = 0 AND source_offset = 4",
    ["0 raw records with a row: 102, 101"],
  ],
  [
    "two tables claim one raw record",
    "UPDATE late_events SET source_offset = 102 WHERE source_partition = 0",
    ["0 raw records with a row: 102, 101"],
  ],
  [
    "a reading is in another partition",
    "UPDATE validated_readings SET source_partition = 1, source_offset = 0 " +
    "WHERE source_partition = 0 AND source_offset = 4",
    ["0 ok: 98, 97", "1 ok: 30, 31"],
  ],
  [
    "a row comes from beyond what is read",
    "UPDATE validated_readings SET source_offset = 500 WHERE source_partition = 0 AND source_offset = 4",
    ["0 end of the rows: 110, 501"],
  ],
  [
    "a row has no disposition",
    "UPDATE validated_readings SET status = '?' WHERE source_partition = 0 AND source_offset = 4",
    ["0 ok: 98, 97", "0 rows with a disposition: 102, 101"],
  ],
  [
    "the days do not have a reading",
    "UPDATE readings_meter_daily SET readings = readings - 1 WHERE meter_id = '$1'",
    ["1 readings by day: 32, 31"],
  ],
  [
    "two ledgers that do not add up cancel each other out",
    "UPDATE ledger SET tick = tick + CASE partition WHEN 0 THEN 1 ELSE -1 END",
    ["0 sum: 110, 111", "1 sum: 34, 33"],
  ],
  [
    "a ledger counts more than is read",
    "UPDATE positions SET next_offset = 109 WHERE partition = 0",
    ["0 position: 110, 109"],
  ],
  ["a position is lost", "DELETE FROM positions WHERE partition = 1", [
    "1 position: 34, 0",
    "1 end of the rows: 0, 34",
  ]],
  ["a ledger is lost", "DELETE FROM ledger WHERE partition = 1", [
    ...["1 ok: 0, 30", "1 late: 0, 2", "1 too_late: 0, 1", "1 position: 0, 34"],
    "1 readings by day: 0, 32",
  ]],
  ["a position has no ledger", "INSERT INTO positions VALUES (7, 5, NULL)", [
    "7 position: 0, 5",
  ]],
];

Deno.test("readBalance() names the fault of the tables, by partition, whoever wrote them", async (t) => {
  const db = await openFilled();
  for (const keeper of ["store", "sinks"] as const) {
    for (const [fault, sql, differences] of FAULTS) {
      await t.step(`${keeper}: ${fault}`, async () => {
        assert.deepEqual([(await balanceOf(db, keeper)).balanced], [true]);
        await db.exec("BEGIN");
        await db.exec(sql);
        const balance = await balanceOf(db, keeper);
        await db.exec("ROLLBACK");
        assert.deepEqual(said(balance), differences);
        assert.equal(balance.balanced, false);
      });
    }
  }
  await db.close();
});

Deno.test("readBalance() takes holes between offsets from sinks alone", async () => {
  const db = await openFilled();
  await db.exec("UPDATE positions SET next_offset = next_offset + 7");
  assert.equal((await balanceOf(db, "sinks")).balanced, true);
  assert.deepEqual(said(await balanceOf(db, "store")), [
    "0 position: 110, 117",
    "1 position: 34, 41",
  ]);
  await db.close();
});

/** The queries of grafana/ that answer the same question. */
const PANEL_SQL = DASHBOARDS.get("system-health")!.panels
  .find(({ title }) => title === "Ledger")!.targets![0].rawSql;
const RULE_SQL = alertRules().find(({ uid }) => uid === "gridwatch-ledger")!.data[0].model.rawSql!;

Deno.test("The panel and the alert of the ledger ask what verify asks", async () => {
  const days = balanceSql("sinks", { by: "days" });
  for (const sql of [PANEL_SQL, RULE_SQL]) assert.ok(sql.includes(days));
  const db = await openFilled();
  const shown = async () => {
    const answers = [];
    for (const sql of [PANEL_SQL, RULE_SQL]) {
      const { rows: [row] } = await db.query<{ differences: unknown }>(sql);
      answers.push(row.differences === null ? null : Number(row.differences));
    }
    return answers;
  };
  assert.deepEqual(await shown(), [0, 0]);
  await db.exec("INSERT INTO sink_positions VALUES ('smartmeter_metrics', 7, 5, 5)");
  assert.deepEqual(await shown(), [null, null]);
  await db.exec("DELETE FROM late_events WHERE source_partition = 1");
  assert.deepEqual(await shown(), [1, 1]);
  await db.close();
  const empty = await openEmpty();
  for (const sql of [PANEL_SQL, RULE_SQL]) {
    assert.deepEqual((await empty.query(sql)).rows, [{ differences: null }]);
  }
  await empty.close();
});

Deno.test("readBalance() says of which partitions nothing was compared, and never that they balance", async () => {
  const db = await openFilled();
  await db.exec(`INSERT INTO sink_positions VALUES
    ('smartmeter_metrics', 7, 5, 5), ('smartmeter_gap_alerts', 7, 1, 1),
    ('smartmeter_metrics', 8, 0, 0), ('smartmeter_metrics', 1, 9, 9)`);
  const { balanced, notCompared, partitions } = await balanceOf(db, "sinks");
  assert.deepEqual([balanced, notCompared, partitions], [null, [7], 2]);
  await db.exec("DELETE FROM late_events WHERE source_partition = 1");
  assert.equal((await balanceOf(db, "sinks")).balanced, false);
  await db.close();
});

Deno.test("readBalance() sums up what it compared", async () => {
  const db = await openFilled();
  const { ledger, tables } = await balanceOf(db);
  const counts = { ok: 128, late: 2, too_late: 2, duplicate: 1, rejected: 2 };
  assert.deepEqual(ledger, { raw: 144, ...counts, tick: 9 });
  assert.deepEqual(tables, {
    ...{ validated_ok: 128, validated_late: 2, late_events: 2, duplicate: 1, rejected: 2 },
  });
  await db.close();
});

Deno.test("balanceSql() is as good in SQLite", async () => {
  const db = new DatabaseSync(":memory:");
  db.exec(`
    CREATE TABLE validated_readings (status, source_partition, source_offset);
    CREATE TABLE late_events (source_partition, source_offset);
    CREATE TABLE rejected_readings (reason, source_partition, source_offset);
    CREATE TABLE readings_meter_daily (readings, source_partition);
    CREATE TABLE ledger (partition, raw, ok, late, too_late, duplicate, rejected, tick);
    CREATE TABLE positions (partition, next_offset, watermark);
    CREATE TABLE sink_positions (topic, partition, next_offset, messages);
    CREATE TABLE dropped (partition, ok, late, too_late, duplicate, rejected);
    INSERT INTO validated_readings VALUES ('OK', 0, 0), ('LATE', 0, 1), ('OK', 1, 0);
    INSERT INTO late_events VALUES (0, 2);
    INSERT INTO rejected_readings VALUES ('CONFLICT', 0, 3), ('FUTURE', 0, 4);
    INSERT INTO readings_meter_daily VALUES (2, 0), (1, 1);
    INSERT INTO ledger VALUES (0, 6, 1, 1, 1, 1, 1, 1), (1, 1, 1, 0, 0, 0, 0, 0);
    INSERT INTO positions VALUES (0, 6, NULL), (1, 1, NULL)`);
  const read = (of: TablesOf) =>
    readBalance((sql) => Promise.resolve(db.prepare(sql).all() as Row[]), of);
  assert.equal((await read("store")).balanced, true);
  db.exec("INSERT INTO sink_positions VALUES ('metrics', 7, 5, 5)");
  assert.deepEqual((await read("sinks")).notCompared, [7]);
  db.exec("DELETE FROM validated_readings WHERE status = 'LATE'");
  db.exec("INSERT INTO validated_readings VALUES ('OK', 1, 0)");
  assert.deepEqual(said(await read("store")), [
    "0 late: 1, 0",
    "1 ok: 1, 2",
    "1 raw records with a row: 2, 1",
  ]);
  db.close();
});
