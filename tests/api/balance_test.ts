import assert from "node:assert/strict";
import { createBench, openFilled } from "./fixture.ts";

Deno.test("/api/ledger does not balance when a row or a record is lost", async () => {
  const db = await openFilled();
  const bench = createBench(db);
  await db.exec("DELETE FROM validated_readings WHERE meter_id = '$1'");
  const lost = (await bench.get("/api/ledger")).body;
  assert.equal(lost.balanced, false);
  assert.equal(lost.difference, 0);
  assert.equal(lost.table_differences.validated_ok, 1);
  await db.exec(`
    UPDATE ledger SET ok = ok - 1, tick = tick + 1 WHERE partition = 1;
    UPDATE readings_meter_daily SET readings = readings - 1 WHERE meter_id = '$1'`);
  bench.nowMs += 60_000;
  assert.equal((await bench.get("/api/ledger")).body.balanced, true);
  // Two wrong partitions whose differences cancel out are still wrong.
  await db.exec("UPDATE ledger SET raw = raw + CASE partition WHEN 0 THEN 1 ELSE -1 END");
  bench.nowMs += 60_000;
  const { body } = await bench.get("/api/ledger");
  assert.equal(body.difference, 0);
  assert.equal(body.balanced, false);
  await db.close();
});

Deno.test("a row lost in one partition is not made up for by one twice in another", async () => {
  const db = await openFilled();
  await db.exec(`
    DELETE FROM validated_readings WHERE source_partition = 0 AND source_offset = 7;
    INSERT INTO validated_readings SELECT time, 'TWICE', consumption_kwh, status, flags, NULL, 1, 7
    FROM validated_readings WHERE source_partition = 1 AND source_offset = 7`);
  const bench = createBench(db);
  const { body } = await bench.get("/api/ledger");
  assert.equal(body.balanced, false);
  assert.deepEqual(body.differences, [
    { partition: 0, what: "ok", ledger: 98, found: 97 },
    { partition: 1, what: "ok", ledger: 30, found: 31 },
    { partition: 1, what: "raw records with a row", ledger: 34, found: 33 },
  ]);
  const { ledger } = (await bench.get("/api/status")).body;
  assert.equal(ledger.balanced, false);
  assert.deepEqual(ledger.differences, body.differences);
  await db.close();
});

Deno.test("/api/status says of how many records it is known that they balance, and since when", async () => {
  const db = await openFilled();
  const bench = createBench(db, { state: "running" });
  const ledgerNow = async () => (await bench.get("/api/status")).body.ledger;
  // Nothing is compared yet: what the ledger says by itself is no balance.
  const first = await ledgerNow();
  assert.deepEqual([first.balanced, first.tables_checked_at, first.tables_checked_raw], [
    null,
    null,
    null,
  ]);
  assert.deepEqual([first.differences, first.difference], [null, 0]);
  await bench.get("/api/ledger");
  await db.exec(`
    INSERT INTO validated_readings VALUES ('2013-01-03T12:00Z', 'MAC2', 1, 'OK', '{}', NULL, 1, 34);
    UPDATE readings_meter_daily SET readings = readings + 1
    WHERE meter_id = 'MAC2' AND bucket = '2013-01-03T00:00Z';
    UPDATE ledger SET raw = raw + 1, ok = ok + 1 WHERE partition = 1;
    UPDATE positions SET next_offset = 35 WHERE partition = 1`);
  bench.nowMs += 2000; // the ledger is asked for anew, the tables are not read through again
  bench.live = { ...bench.live, lastProgressAtMs: bench.nowMs };
  const later = await ledgerNow();
  assert.equal(later.total.raw, 145);
  assert.deepEqual([later.balanced, later.tables_checked_raw], [true, 144]);
  assert.equal(later.tables_checked_at, "2026-01-01T00:00:00Z");
  // That the ledger does not add up is seen without a check.
  await db.exec("UPDATE ledger SET raw = raw + 1 WHERE partition = 1");
  bench.nowMs += 2000;
  bench.live = { ...bench.live, lastProgressAtMs: bench.nowMs };
  assert.equal((await ledgerNow()).balanced, false);
  await bench.get("/api/ledger"); // waits for the check that is under way
  await db.close();
});

Deno.test("/api/ledger of tables that sinks write never calls balanced what has no account", async () => {
  const db = await openFilled();
  await db.exec(`
    UPDATE positions SET next_offset = next_offset + 9;
    INSERT INTO sink_positions VALUES ('smartmeter_metrics', 7, 5, 5)`);
  const { body } = await createBench(db, { source: "database" }).get("/api/ledger");
  assert.deepEqual([body.balanced, body.not_compared, body.differences], [null, [7], []]);
  await db.close();
});
