/** A store's file cut, mixed, flipped and altered by hand: told, or no answer differs. */
import assert from "node:assert/strict";
import { checkFile } from "../../../src/adapters/sqlite/check.ts";
import type { Finding } from "../../../src/tables/finding.ts";
import { codeOf, StoreError } from "../../../src/adapters/sqlite/errors.ts";
import { openFile } from "../../../src/adapters/sqlite/library.ts";
import { identityOf } from "../../../src/adapters/sqlite/schema.ts";
import { createRandom, type Random } from "../../../src/generate/random.ts";
import { answersOf, playFleet, SessionStore, undisturbed } from "./fleet.ts";

const SECTOR_BYTES = 512;
const SEEDS = 200;
/** Records of a partition, where the rest is played again and again. */
const RECORDS_MAX = 600;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-damage-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A file with its WAL, as they lie on a disk. */
type Image = { readonly file: Uint8Array; readonly wal: Uint8Array };

async function readImage(path: string): Promise<Image> {
  return { file: await Deno.readFile(path), wal: await Deno.readFile(`${path}-wal`) };
}

async function writeImage(path: string, { file, wal }: Image): Promise<void> {
  await Deno.writeFile(path, file);
  await Deno.writeFile(`${path}-wal`, wal);
  await Deno.remove(`${path}-shm`).catch(() => {});
}

/** Bytes whose sectors are of the one or of the other. */
function mixed(random: Random, before: Uint8Array, after: Uint8Array): Uint8Array {
  const bytes = after.slice();
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (random() < 0.5) continue;
    const sector = before.subarray(at, at + SECTOR_BYTES);
    bytes.fill(0, at, at + SECTOR_BYTES);
    bytes.set(sector, at);
  }
  return bytes;
}

/** Opens what a power cut left under another start of the machine, and plays on to the end. */
async function goOn(path: string): Promise<"finished" | "refused"> {
  let store: SessionStore;
  try {
    store = new SessionStore(path, { boot: "the next one" });
  } catch (error) {
    if (!(error instanceof StoreError) && codeOf(error) === null) throw error;
    return "refused";
  }
  await playFleet(store, { recordsMax: RECORDS_MAX });
  store.session.close();
  return "finished";
}

Deno.test("a store whose WAL was cut anywhere opens at an earlier commit, and ends at the same tables", async () => {
  await inFolder(async (folder) => {
    const expected = await undisturbed(folder, { recordsMax: RECORDS_MAX });
    const path = `${folder}/cut.db`;
    const store = new SessionStore(path);
    const lengths: number[] = [];
    for (let commits = 0; commits < 6; commits++) {
      await playFleet(store, { commitsMax: 1 });
      lengths.push((await Deno.stat(`${path}-wal`)).size);
    }
    const image = await readImage(path);
    store.session.close();
    assert.ok(lengths[3] < lengths[5], "the last two commits are in the WAL");
    for (let length = lengths[3]; length <= lengths[5]; length += SECTOR_BYTES) {
      await writeImage(path, { file: image.file, wal: image.wal.slice(0, length) });
      assert.equal(await goOn(path), "finished", `cut at ${length}`);
      assert.ok(answersOf(path) === expected, `cut at ${length}: another answer`);
    }
  });
});

Deno.test("a store whose WAL is of before and after goes on, or is refused", async () => {
  await inFolder(async (folder) => {
    const expected = await undisturbed(folder, { recordsMax: RECORDS_MAX });
    const path = `${folder}/mixed.db`;
    const store = new SessionStore(path);
    await playFleet(store, { commitsMax: 4 });
    const before = await readImage(path);
    await playFleet(store, { commitsMax: 2 });
    const after = await readImage(path);
    store.session.close();
    const ends = { finished: 0, refused: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = createRandom(seed);
      await writeImage(path, { file: after.file, wal: mixed(random, before.wal, after.wal) });
      const end = await goOn(path);
      ends[end]++;
      if (end === "finished") {
        assert.ok(answersOf(path) === expected, `seed ${seed}: another answer`);
      }
    }
    assert.ok(ends.finished > 0);
  });
});

Deno.test("a bit flipped in a store's file is told by the check, or no answer differs", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/undisturbed.db`;
    const expected = await undisturbed(folder);
    const file = await Deno.readFile(path);
    let told = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = createRandom(seed);
      const bit = Math.floor(random() * file.length * 8);
      const flipped = file.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      await Deno.writeFile(path, flipped);
      if (findingsOf(path).length > 0) told++;
      else assert.ok(answersOf(path) === expected, `seed ${seed}, bit ${bit}: not told`);
    }
    assert.ok(told > SEEDS / 5, `${told} told`);
  });
});

function findingsOf(path: string): readonly Pick<Finding, "what" | "table" | "day">[] {
  let database = null;
  try {
    database = openFile(path, { readOnly: true, busyMs: 0 });
    identityOf(database, path);
    return checkFile(database);
  } catch (error) {
    if (!(error instanceof StoreError) && codeOf(error) === null) throw error;
    return [{ what: (error as Error).message, table: null, day: null }];
  } finally {
    database?.close();
  }
}

/** What a hand may do to a row of each table; where a day is named, the finding names it too. */
const SOME_ROW = "rowid = (SELECT min(rowid) FROM";
const HANDS: readonly (readonly [sql: string, table: string, hasDay: boolean])[] = [
  [
    "DELETE FROM late_readings WHERE source_offset = (SELECT min(source_offset) FROM late_readings)",
    "late_readings",
    true,
  ],
  ["UPDATE late_readings SET delay_seconds = 1", "late_readings", true],
  [
    "DELETE FROM reading_days WHERE day = (SELECT min(day) FROM reading_days)",
    "validated_readings",
    true,
  ],
  [
    `UPDATE reading_days SET slots = json_remove(slots, '$[0]') WHERE (day, meter_id) IN
    (SELECT day, meter_id FROM reading_days ORDER BY 1, 2 LIMIT 1)`,
    "validated_readings",
    true,
  ],
  [
    `UPDATE reading_days SET slots = json_insert(slots, '$[#]', json_extract(slots, '$[0]'))
    WHERE (day, meter_id) IN (SELECT day, meter_id FROM reading_days ORDER BY 1, 2 LIMIT 1)`,
    "validated_readings",
    true,
  ],
  [
    `UPDATE reading_days SET slots = json_set(slots, '$[0][1]', 0.123456) WHERE (day, meter_id) IN
    (SELECT day, meter_id FROM reading_days ORDER BY 1, 2 LIMIT 1)`,
    "validated_readings",
    true,
  ],
  [
    "UPDATE reading_days SET meter_id = meter_id || 'x' WHERE day = (SELECT min(day) FROM reading_days)",
    "validated_readings",
    true,
  ],
  [
    "UPDATE meter_days SET consumption_mwh = consumption_mwh + 1 WHERE day = (SELECT min(day) FROM meter_days)",
    "meter_days",
    true,
  ],
  ["DELETE FROM meter_days WHERE day = (SELECT min(day) FROM meter_days)", "meter_days", true],
  [
    "INSERT INTO meter_days SELECT day, meter_id || 'x', channel, source_partition, 1, 0, 0, 1, 0, 0, 0, 0, -1 FROM meter_days LIMIT 1",
    "meter_days",
    false,
  ],
  [
    "DELETE FROM gap_alerts WHERE gap_id = (SELECT min(gap_id) FROM gap_alerts)",
    "gap_alerts",
    true,
  ],
  [
    "UPDATE gap_alerts SET missing_intervals = missing_intervals + 1 WHERE gap_id = (SELECT min(gap_id) FROM gap_alerts)",
    "gap_alerts",
    true,
  ],
  [
    "UPDATE gap_alerts SET state = 'OPEN' WHERE gap_id = (SELECT min(gap_id) FROM gap_alerts WHERE state = 'CLOSED')",
    "gap_alerts",
    true,
  ],
  [
    "INSERT INTO gap_alerts SELECT time, meter_id || 'x', missing_from, missing_to, gap_minutes, missing_intervals, rejected_intervals, state, gap_id, detected_at, source_partition, source_offset, filled_intervals, channel FROM gap_alerts LIMIT 1",
    "gap_alerts",
    true,
  ],
  [
    "DELETE FROM late_events WHERE source_offset = (SELECT min(source_offset) FROM late_events)",
    "late_events",
    true,
  ],
  [
    "UPDATE late_events SET consumption_kwh = consumption_kwh + 1 WHERE source_offset = (SELECT min(source_offset) FROM late_events)",
    "late_events",
    true,
  ],
  [
    "INSERT INTO late_events SELECT time, meter_id, event_timestamp, consumption_kwh, delay_seconds, source_partition, source_offset + 1000000, channel FROM late_events LIMIT 1",
    "late_events",
    true,
  ],
  [`DELETE FROM rejected_readings WHERE ${SOME_ROW} rejected_readings)`, "rejected_readings", true],
  [
    `UPDATE rejected_readings SET reason = 'TOO_LARGE' WHERE ${SOME_ROW} rejected_readings)`,
    "rejected_readings",
    true,
  ],
  [
    `UPDATE rejected_readings SET raw = raw || ' ' WHERE ${SOME_ROW} rejected_readings)`,
    "rejected_readings",
    true,
  ],
  [
    `INSERT INTO rejected_readings SELECT time, reason, detail, raw, raw_encoding, meter_id, event_timestamp, consumption_kwh, source_partition, source_offset + 1000000, source, slot, held_kwh, channel FROM rejected_readings LIMIT 1`,
    "rejected_readings",
    true,
  ],
  [`DELETE FROM metrics WHERE ${SOME_ROW} metrics)`, "metrics", true],
  [`UPDATE metrics SET value = value + 1 WHERE ${SOME_ROW} metrics)`, "metrics", true],
  ["INSERT INTO metrics SELECT * FROM metrics LIMIT 1", "metrics", true],
  ["DELETE FROM ledger WHERE partition = 0", "ledger", false],
  ["UPDATE ledger SET raw = raw + 1, tick = tick + 1 WHERE partition = 0", "ledger", false],
  [
    "INSERT INTO ledger SELECT 9, raw, ok, late, too_late, duplicate, rejected, tick FROM ledger LIMIT 1",
    "ledger",
    false,
  ],
  [
    "UPDATE positions SET watermark = '2030-01-01T00:00:00Z' WHERE partition = 0",
    "positions",
    false,
  ],
  ["DELETE FROM positions WHERE partition = 0", "positions", false],
  ["UPDATE task_state SET state = x'00' WHERE partition = 0", "task_state", false],
  ["DELETE FROM task_state", "task_state", false],
  [`DELETE FROM state_changelog WHERE ${SOME_ROW} state_changelog)`, "state_changelog", false],
  [
    `UPDATE state_changelog SET payload = x'00' WHERE ${SOME_ROW} state_changelog)`,
    "state_changelog",
    false,
  ],
  ["INSERT INTO inputs VALUES (7, 'f', 'd', '[]', '2024-01-01T00:00:00Z', 1)", "inputs", false],
  ["INSERT INTO settings VALUES ('a', 'b')", "settings", false],
  ["UPDATE store SET id = 'x'", "store", false],
  ["DELETE FROM store", "store", false],
  ["DELETE FROM digests WHERE table_name = 'metrics'", "metrics", true],
  ["INSERT INTO dropped VALUES (0, 1, 1, 0, 0, 0, 0, 0)", "dropped", false],
  [
    "DELETE FROM meter_totals WHERE meter_id IN (SELECT min(meter_id) FROM meter_totals)",
    "meter_totals",
    false,
  ],
  ["UPDATE meter_totals SET late_readings = late_readings + 1", "meter_totals", false],
  [
    "INSERT INTO meter_totals SELECT meter_id || 'x', channel, source_partition, 0, 0, 0, 0, 0, 0, 0, 0 FROM meter_totals LIMIT 1",
    "meter_totals",
    false,
  ],
];

Deno.test("rows deleted, doubled and altered by hand are told, with the table and the day", async (t) => {
  await inFolder(async (folder) => {
    await undisturbed(folder);
    const whole = await Deno.readFile(`${folder}/undisturbed.db`);
    const path = `${folder}/altered.db`;
    await Deno.writeFile(path, whole);
    assert.deepEqual(findingsOf(path), []);
    for (const [sql, table, hasDay] of HANDS.filter(([, table]) => table !== "")) {
      await t.step(sql.slice(0, 70), async () => {
        await Deno.writeFile(path, whole);
        const database = openFile(path, { readOnly: false, busyMs: 0 });
        const { changes } = database.prepare(sql).run();
        database.close();
        assert.ok(Number(changes) > 0, "nothing was changed");
        const findings = findingsOf(path);
        const told = findings.find((one) => one.table === table && (one.day !== null) === hasDay);
        assert.ok(told !== undefined, JSON.stringify(findings));
      });
    }
  });
});

Deno.test("a table or a view that is not as it was made is told", async () => {
  await inFolder(async (folder) => {
    await undisturbed(folder);
    const path = `${folder}/undisturbed.db`;
    const database = openFile(path, { readOnly: false, busyMs: 0 });
    database.exec("DROP VIEW gap_recovery; CREATE VIEW gap_recovery AS SELECT 1 AS gap_id");
    database.close();
    assert.match(JSON.stringify(findingsOf(path)), /view gap_recovery is not as/);
  });
});
