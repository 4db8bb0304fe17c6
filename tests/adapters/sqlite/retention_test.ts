/** Days that retention drops: their rows and nothing else, for good, and told by whoever proves. */
import assert from "node:assert/strict";
import { checkFile } from "../../../src/adapters/sqlite/check.ts";
import type { Finding } from "../../../src/tables/finding.ts";
import { namedRows, readCells } from "../../../src/adapters/sqlite/cells.ts";
import { DigestBook } from "../../../src/adapters/sqlite/digest_book.ts";
import { openFile } from "../../../src/adapters/sqlite/library.ts";
import { dropOldDays } from "../../../src/adapters/sqlite/retention.ts";
import { openReader, STORE_FILE } from "../../../src/adapters/sqlite/store.ts";
import { createRandom, randomInteger } from "../../../src/generate/random.ts";
import { readBalance } from "../../../src/tables/balance.ts";
import { readFleet, readSeries } from "../../../src/tables/meters.ts";
import { SQLITE } from "../../../src/tables/dialect.ts";
import { queryOf } from "../../../src/tables/query.ts";
import { emptyLedger, type Ledger } from "../../../src/core/ledger.ts";
import { commitOf, outputsOf, validatedOf } from "../commits.ts";
import { answersOf, playFleet, SessionStore, undisturbed } from "./fleet.ts";
import { killAfter } from "./kill.ts";

const DAYS = 3;
const DAY_MS = 86_400_000;
const KILLS = Number(Deno.env.get("GRIDWATCH_KILLS") ?? 4);

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-retention-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function query(
  path: string,
  sql: string,
  params: readonly unknown[] = [],
): Record<string, unknown>[] {
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    return namedRows(readCells(database, sql, params)).rows;
  } finally {
    database.close();
  }
}

function findingsOf(path: string): readonly Finding[] {
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    return checkFile(database);
  } finally {
    database.close();
  }
}

/** Whether the ledger is that of the rows, and of what was dropped. */
async function isBalanced(path: string): Promise<boolean | null> {
  const ask = (sql: string) => Promise.resolve(query(path, sql));
  return (await readBalance(Object.assign(ask, { dialect: SQLITE }), "store")).balanced;
}

/** Rows of a table, of days from a partition's first one kept on or of all, in any order. */
function rowsOf(path: string, table: string, kept: ReadonlyMap<number, string> | null): string[] {
  return query(path, `SELECT * FROM ${table}`)
    .filter((row) => kept === null || String(row.time) >= kept.get(Number(row.source_partition))!)
    .map((row) => JSON.stringify(row)).sort();
}

Deno.test("retention drops whole days before the watermark's, and keeps sums, gaps and the ledger", async (t) => {
  await inFolder(async (folder) => {
    const all = `${folder}/all.db`;
    const some = `${folder}/some.db`;
    for (const [path, retentionDays] of [[all, 0], [some, DAYS]] as const) {
      const store = new SessionStore(path, { retentionDays });
      await playFleet(store);
      store.session.close();
    }
    const kept = new Map(
      query(all, "SELECT partition, watermark FROM positions").map(({ partition, watermark }) => {
        const dayMs = Math.floor(Date.parse(String(watermark)) / DAY_MS) * DAY_MS;
        const firstKept = new Date(dayMs - DAYS * DAY_MS).toISOString().slice(0, 10);
        return [Number(partition), firstKept];
      }),
    );
    const ageing = [
      ...["validated_readings", "late_readings", "late_events", "rejected_readings", "metrics"],
    ];
    for (const table of ageing) {
      await t.step(`${table} from the first day kept on`, () => {
        const rows = rowsOf(some, table, null);
        assert.ok(rows.length > 0 && rows.length < rowsOf(all, table, null).length);
        const expected = rowsOf(all, table, kept);
        assert.ok(rows.join() === expected.join(), "other rows");
      });
    }
    for (const table of ["readings_meter_daily", "gap_alerts", "meter_totals", "ledger"]) {
      await t.step(`${table} as without retention`, () => {
        assert.ok(rowsOf(some, table, null).join() === rowsOf(all, table, null).join());
      });
    }
    await t.step("what is there and what was dropped is what was there", async () => {
      const [dropped] = query(
        some,
        `SELECT sum(ok) + sum(late) AS readings, sum(late) AS late, sum(too_late) AS too_late,
           sum(duplicate) + sum(rejected) AS rejected, sum(metrics) AS metrics FROM dropped`,
      );
      for (const [name, table] of Object.entries(dropped).map(([name], at) => [name, ageing[at]])) {
        const count = rowsOf(all, table, null).length - rowsOf(some, table, null).length;
        assert.equal(dropped[name], count, table);
      }
      assert.deepEqual(findingsOf(some), []);
      assert.equal(await isBalanced(some), true);
    });
    await t.step(
      "a meter's account, and its consumption by day, are as without retention",
      async () => {
        const answers = [all, some].map(async (path) => {
          const asked = (sql: string, params: unknown[] = []) =>
            Promise.resolve(query(path, sql, params));
          const ask = Object.assign(asked, { dialect: SQLITE });
          const { meters } = await readFleet(ask, 0);
          const { meter_id: meterId, first_at, last_at } = meters[0];
          const fromMs = Math.floor(Date.parse(first_at!) / DAY_MS) * DAY_MS;
          const toMs = (Math.floor(Date.parse(last_at!) / DAY_MS) + 1) * DAY_MS;
          const days = await readSeries(ask, { meterId, step: "day", fromMs, toMs });
          const accounts = meters.map((meter) => ({
            ...meter,
            too_late: 0,
            rejected: 0,
            duplicates: 0,
            identical: 0,
            conflicting: 0,
          }));
          return { days, accounts };
        });
        const [whole, kept] = await Promise.all(answers);
        assert.ok(whole.days.length > DAYS + 1);
        assert.deepEqual(kept, whole);
      },
    );
    await t.step("a setting that is new drops as the store is opened, and to the same rows", () => {
      new SessionStore(all, { retentionDays: DAYS }).session.close();
      for (const table of [...ageing, "dropped"].filter((name) => name !== "metrics")) {
        assert.ok(rowsOf(all, table, null).join() === rowsOf(some, table, null).join(), table);
      }
      assert.deepEqual(findingsOf(all), []);
    });
  });
});

Deno.test("days dropped in steps are whole after each step, and end at the rows of one step", async () => {
  await inFolder(async (folder) => {
    const [one, steps] = [`${folder}/one.db`, `${folder}/steps.db`];
    const store = new SessionStore(one);
    await playFleet(store);
    store.session.close();
    await Deno.copyFile(one, steps);
    new SessionStore(one, { retentionDays: DAYS }).session.close();
    const database = openFile(steps, { readOnly: false, busyMs: 0 });
    const digests = new DigestBook(database);
    let count = 0;
    for (const partition of [0, 1]) {
      for (let isMore = true; isMore; count++) {
        database.exec("BEGIN");
        isMore = dropOldDays(database, digests, { partition, days: DAYS, rowsMax: 100 });
        database.exec("COMMIT");
        assert.deepEqual(checkFile(database), [], `step ${count}`);
        assert.equal(await isBalanced(steps), true, `step ${count}`);
      }
    }
    database.close();
    assert.ok(count > 6, `${count} steps`);
    assert.ok(answersOf(steps) === answersOf(one), "other rows");
  });
});

Deno.test("a compaction cut off anywhere leaves a whole store, and goes on to a smaller file", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/a.db`;
    const store = new SessionStore(path);
    await playFleet(store);
    store.session.close();
    const { size } = await Deno.stat(path);
    const session = new SessionStore(path, { retentionDays: 1 }).session;
    const expected = answersOf(path);
    for (let left = Infinity, step = 0; left > 0; step++) {
      left = session.compact(8);
      const [file, wal] = [await Deno.readFile(path), await Deno.readFile(`${path}-wal`)];
      for (const cut of [0, 512, 4096, 12_345]) {
        const copy = `${folder}/cut.db`;
        await Deno.writeFile(copy, file);
        await Deno.writeFile(`${copy}-wal`, wal.subarray(0, Math.max(0, wal.length - cut)));
        const next = new SessionStore(copy, { boot: "the next one", retentionDays: 1 });
        assert.deepEqual(findingsOf(copy), [], `step ${step}, cut ${cut}`);
        for (let more = 1; more > 0;) more = next.session.compact(100);
        next.session.close();
        assert.ok(answersOf(copy) === expected, `step ${step}, cut ${cut}: another answer`);
      }
    }
    session.close();
    assert.ok(answersOf(path) === expected, "another answer");
    const { size: after } = await Deno.stat(path);
    // Of what the rows take: the tables themselves stay, with a page each.
    new SessionStore(`${folder}/empty.db`).session.close();
    const { size: empty } = await Deno.stat(`${folder}/empty.db`);
    assert.ok(after - empty < 0.6 * (size - empty), `${size} bytes, then ${after}, empty ${empty}`);
    assert.deepEqual(query(path, "PRAGMA freelist_count"), [{ freelist_count: 0 }]);
  });
});

Deno.test(`a store with retention, killed ${KILLS} times, ends at the tables of one run`, async () => {
  await inFolder(async (folder) => {
    const expected = await undisturbed(folder, { retentionDays: 1 });
    const path = `${folder}/${STORE_FILE}`;
    for (let seed = 1; seed <= KILLS; seed++) {
      const commits = randomInteger(createRandom(seed), 1, Math.ceil(80 / KILLS));
      if (!await killAfter(folder, commits, { retentionDays: 1 })) break;
      const reader = await openReader(folder);
      await reader.transaction(async (moment) => {
        assert.equal((await readBalance(queryOf(moment), "store")).balanced, true, `seed ${seed}`);
        assert.deepEqual(await moment.check(), [], `seed ${seed}`);
      });
      await reader.close();
    }
    const store = new SessionStore(path, { retentionDays: 1 });
    await playFleet(store);
    store.session.close();
    assert.ok(answersOf(path) === expected, "another answer");
  });
});

const ledgerOf = (counts: Partial<Ledger>): Ledger => ({ ...emptyLedger(), ...counts });

/** A store whose first day, of two readings, was dropped. */
async function withDroppedDay(path: string): Promise<void> {
  const store = new SessionStore(path, { retentionDays: 1 });
  const day = (n: number, changes = {}) =>
    validatedOf(n, { timestampMs: Date.UTC(2024, 0, 1 + n), ...changes });
  const late = { status: "LATE", delayMs: 1000 } as const;
  await store.commit(commitOf(0, 0, { outputs: outputsOf({ validated: [day(0)] }) }));
  await store.commit(commitOf(0, 1, {
    watermarkMs: Date.UTC(2024, 0, 3),
    outputs: outputsOf({ validated: [day(1)] }),
  }));
  const ledger = ledgerOf({ raw: 3, ok: 2, late: 1 });
  await store.commit(commitOf(0, 2, {
    ledger,
    watermarkMs: Date.UTC(2024, 0, 3),
    outputs: outputsOf({
      validated: [validatedOf(2, { timestampMs: Date.UTC(2024, 0, 1, 12), ...late })],
    }),
  }));
  store.session.close();
}

Deno.test("what still comes for a dropped day is in its sums and dropped, whatever the setting is then", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/a.db`;
    await withDroppedDay(path);
    const store = new SessionStore(path, { retentionDays: 0 });
    const ledger = ledgerOf({ raw: 4, ok: 2, late: 2 });
    await store.commit(commitOf(0, 3, {
      ledger,
      watermarkMs: Date.UTC(2024, 0, 9),
      outputs: outputsOf({
        validated: [
          validatedOf(3, { timestampMs: Date.UTC(2024, 0, 1, 13), status: "LATE", delayMs: 1000 }),
        ],
      }),
    }));
    store.session.close();
    const days = "SELECT bucket, readings, late_readings FROM readings_meter_daily ORDER BY 1";
    assert.deepEqual(query(path, days), [
      { bucket: "2024-01-01T00:00:00Z", readings: 3, late_readings: 2 },
      { bucket: "2024-01-02T00:00:00Z", readings: 1, late_readings: 0 },
    ]);
    assert.deepEqual(query(path, "SELECT time FROM validated_readings"), [
      { time: "2024-01-02T00:00:00Z" },
    ]);
    assert.deepEqual(query(path, "SELECT * FROM late_readings"), []);
    assert.deepEqual(
      query(path, "SELECT ok, late, before_day * 86400 AS seconds FROM dropped"),
      [{ ok: 1, late: 2, seconds: Date.UTC(2024, 0, 2) / 1000 }],
    );
    assert.deepEqual(findingsOf(path), []);
    assert.equal(await isBalanced(path), true);
  });
});

Deno.test("what a metric says of a single meter stays, and is proved", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/a.db`;
    const store = new SessionStore(path, { retentionDays: 1 });
    const metric = { timestampMs: Date.UTC(2024, 0, 1), value: 1, tags: {}, offset: 1 };
    await store.commit(commitOf(0, 0, {
      outputs: outputsOf({
        validated: [validatedOf(0)],
        metrics: [
          { ...metric, metricType: "meter_retired", meterId: "M1" },
          { ...metric, metricType: "event_processed", meterId: null },
        ],
      }),
    }));
    const watermarkMs = Date.UTC(2024, 0, 9);
    const next = {
      watermarkMs,
      outputs: outputsOf({}),
      ledger: ledgerOf({ raw: 2, ok: 1, tick: 1 }),
    };
    await store.commit(commitOf(0, 1, next));
    store.session.close();
    assert.deepEqual(query(path, "SELECT metric_type FROM metrics"), [
      { metric_type: "meter_retired" },
    ]);
    assert.deepEqual(query(path, "SELECT ok, metrics FROM dropped"), [{ ok: 1, metrics: 1 }]);
    assert.deepEqual(findingsOf(path), []);
    const database = openFile(path, { readOnly: false, busyMs: 0 });
    database.exec("DELETE FROM metrics");
    database.close();
    assert.ok(findingsOf(path).some(({ table }) => table === "metrics"));
  });
});

Deno.test("what is done by hand to a dropped day is told, with the table and the day", async (t) => {
  await inFolder(async (folder) => {
    const path = `${folder}/a.db`;
    await withDroppedDay(path);
    const whole = await Deno.readFile(path);
    const hands: Record<string, string> = {
      "UPDATE meter_days SET consumption_mwh = 1 WHERE day = 19723": "meter_days",
      "DELETE FROM meter_days WHERE day = 19723": "meter_days",
      "INSERT INTO meter_days VALUES (19722, 'M1', '', 0, 1, 0, 0, 1, 0, 0, 0, 0, -1)":
        "meter_days",
      "INSERT INTO reading_days VALUES (19723, 'M1', '', 0, '[[0,1,9]]')": "validated_readings",
    };
    for (const [sql, table] of Object.entries(hands)) {
      await t.step(sql, async () => {
        await Deno.writeFile(path, whole);
        const database = openFile(path, { readOnly: false, busyMs: 0 });
        assert.equal(Number(database.prepare(sql).run().changes), 1);
        database.close();
        const told = findingsOf(path).find((one) => one.table === table && one.day !== null);
        assert.ok(told !== undefined, JSON.stringify(findingsOf(path)));
      });
    }
    await t.step("a row of `dropped` that is gone", async () => {
      await Deno.writeFile(path, whole);
      const database = openFile(path, { readOnly: false, busyMs: 0 });
      database.exec("DELETE FROM dropped");
      database.close();
      assert.ok(findingsOf(path).some(({ table }) => table === "dropped"));
    });
  });
});
