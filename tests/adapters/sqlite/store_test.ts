import assert from "node:assert/strict";
import { SqlError } from "../../../src/adapters/sqlite/errors.ts";
import { SqliteStore } from "../../../src/adapters/sqlite/store.ts";
import type { GapAlert, Metric } from "../../../src/core/outputs.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import { readOutputs } from "../../golden/tables.ts";
import { commitOf, loadAll, outputsOf, validatedOf } from "../commits.ts";

const START_MS = Date.UTC(2024, 0, 1);
const MINUTE_MS = 60_000;

const gapOf = (offset: number, changes: Partial<GapAlert> = {}): GapAlert => ({
  offset,
  meterId: "M1",
  idMs: START_MS,
  missingFromMs: START_MS,
  missingToMs: START_MS + 30 * MINUTE_MS,
  missingIntervals: 1,
  rejectedIntervals: 0,
  state: "OPEN",
  detectedAtMs: START_MS + 45 * MINUTE_MS,
  ...changes,
});

async function count(store: SqliteStore, table: string, partition: number): Promise<number> {
  const column = ["positions", "ledger", "task_state", "state_changelog"].includes(table)
    ? "partition"
    : "source_partition";
  const sql = `SELECT count(*) AS n FROM ${table} WHERE ${column} = $1`;
  return Number((await store.query(sql, [partition])).rows[0].n);
}

/** All that the store holds of a partition. */
async function everything(store: SqliteStore, partition: number): Promise<unknown> {
  const tables: unknown[] = [await loadAll(store, partition), await readOutputs(store, partition)];
  for (const table of ["positions", "ledger", "task_state"]) {
    const sql = `SELECT * FROM ${table} WHERE partition = $1`;
    tables.push((await store.query(sql, [partition])).rows);
  }
  return tables;
}

/** Each claim has a partition of its own; opening a database takes longer than all of them. */
const claims: Record<string, (store: SqliteStore, partition: number) => Promise<void>> = {
  "load() knows nothing of a partition without a commit": async (store, partition) => {
    assert.equal(await store.load(partition), null);
  },

  "load() gives what commit() was given, payloads in their order": async (store, partition) => {
    // More payloads than a page of the changelog has, of several commits, with several parts.
    const expected: number[][] = [];
    for (let offset = 0; offset < 25; offset++) {
      const changelog = Array.from({ length: offset % 4 }, (_, p) => Uint8Array.of(1, offset, p));
      expected.push(...changelog.map((payload) => [...payload]));
      await store.commit(commitOf(partition, offset * 300, {
        nextOffset: offset * 300 + 300,
        changelog,
        task: Uint8Array.of(0, 255, offset),
        outputs: outputsOf({}),
      }));
    }
    assert.deepEqual(await loadAll(store, partition), {
      nextOffset: 7500,
      task: Uint8Array.of(0, 255, 24),
      changelog: expected,
    });
    const { rows } = await store.query("SELECT * FROM positions WHERE partition = $1", [partition]);
    const times = { watermark: "2024-01-01T00:00:00Z", judged_to: "2023-12-31T23:45:00Z" };
    assert.deepEqual(rows[0], { partition, next_offset: 7500, ...times });
  },

  "commit() keeps the ledger, and a watermark that is not known": async (store, partition) => {
    const ledger = { raw: 21, ok: 1, late: 2, too_late: 3, duplicate: 4, rejected: 5, tick: 6 };
    const times = { watermarkMs: null, judgedToMs: null };
    await store.commit(commitOf(partition, 0, { nextOffset: 21, ledger, ...times }));
    const { rows } = await store.query("SELECT * FROM ledger WHERE partition = $1", [partition]);
    assert.deepEqual(rows, [{ partition, ...ledger }]);
    const position = await store.query("SELECT * FROM positions WHERE partition = $1", [partition]);
    assert.deepEqual(position.rows, [
      { partition, next_offset: 21, watermark: null, judged_to: null },
    ]);
  },

  "commit() rejects a stale commit as fenced, and nothing of it shows": async (
    store,
    partition,
  ) => {
    await store.commit(commitOf(partition, 0));
    await store.commit(commitOf(partition, 1, { changelog: [Uint8Array.of(1)] }));
    const before = await everything(store, partition);
    const stale = { changelog: [Uint8Array.of(2)], compacts: true, task: Uint8Array.of(9) };
    for (const fromOffset of [0, 1, 3]) {
      const commit = commitOf(partition, fromOffset, { ...stale, nextOffset: 5 });
      await assert.rejects(store.commit(commit), FencedError);
    }
    assert.deepEqual(await everything(store, partition), before);
    await store.commit(commitOf(partition, 2));
  },

  "commit() rejects a commit of a partition that others have begun, or that has not begun": async (
    store,
    partition,
  ) => {
    await assert.rejects(store.commit(commitOf(partition, 7)), FencedError);
    assert.equal(await store.load(partition), null);
    const [first, second] = [commitOf(partition, 0), commitOf(partition, 0)];
    const both = await Promise.allSettled([store.commit(first), store.commit(second)]);
    assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
    assert.equal(await count(store, "validated_readings", partition), 1);
  },

  "commit() with one failing row leaves everything as it was, and the store usable": async (
    store,
    partition,
  ) => {
    await store.commit(commitOf(partition, 0, { changelog: [Uint8Array.of(1)] }));
    const before = await everything(store, partition);
    const twice = { metricType: "m", meterId: null, timestampMs: START_MS, tags: {} };
    const late = { meterId: "M1", timestampMs: START_MS, consumptionKwh: 1, delayMs: 1000 };
    const unusable = [
      outputsOf({
        validated: [validatedOf(1)],
        late: [{ ...late, offset: 1 }, { ...late, offset: 1 }],
      }),
      outputsOf({
        validated: [validatedOf(1)],
        gaps: [gapOf(1), gapOf(1, { idMs: 1, missingIntervals: 0.5 })],
      }),
      outputsOf({ gaps: [gapOf(1)], metrics: [{ ...twice, offset: 0.5, value: 1 }] }),
    ];
    for (const outputs of unusable) {
      const changelog = [Uint8Array.of(2)];
      const commit = commitOf(partition, 1, { outputs, changelog, compacts: true });
      await assert.rejects(store.commit(commit), SqlError);
      assert.deepEqual(await everything(store, partition), before);
    }
    await store.commit(commitOf(partition, 1));
    assert.equal(await count(store, "validated_readings", partition), 2);
  },

  "commit() that compacts replaces its own partition's changelog": async (store, partition) => {
    const other = partition + 1000;
    await store.commit(commitOf(other, 0, { changelog: [Uint8Array.of(77)] }));
    for (let offset = 0; offset < 20; offset++) {
      const changelog = [Uint8Array.of(offset)];
      await store.commit(commitOf(partition, offset, { changelog, outputs: outputsOf({}) }));
    }
    const parts = Array.from({ length: 20 }, (_, part) => Uint8Array.of(100, part));
    await store.commit(commitOf(partition, 20, { changelog: parts, compacts: true }));
    await store.commit(commitOf(partition, 21, { changelog: [Uint8Array.of(22)] }));
    const loaded = await loadAll(store, partition);
    assert.deepEqual(loaded?.changelog, [...parts.map((part) => [...part]), [22]]);
    await store.commit(commitOf(partition, 22, { changelog: [], compacts: true }));
    assert.deepEqual((await loadAll(store, partition))?.changelog, []);
    assert.deepEqual((await loadAll(store, other))?.changelog, [[77]]);
  },

  "commit() keeps one row a gap, as last said, within a commit and over commits": async (
    store,
    partition,
  ) => {
    const half = 30 * MINUTE_MS;
    const doubled = gapOf(0, { missingIntervals: 2, missingToMs: START_MS + 2 * half });
    const elsewhere = gapOf(0, { meterId: "M2", state: "EXPIRED", rejectedIntervals: 3 });
    await store.commit(commitOf(partition, 0, {
      outputs: outputsOf({ gaps: [gapOf(0), elsewhere, doubled] }),
    }));
    assert.deepEqual((await readOutputs(store, partition)).gaps, [doubled, elsewhere]);
    const shrunk = gapOf(1, {
      missingFromMs: START_MS + half,
      missingToMs: START_MS + 2 * half,
      state: "CLOSED",
    });
    const later = gapOf(1, { idMs: START_MS + 9 * half, missingFromMs: START_MS + 9 * half });
    await store.commit(commitOf(partition, 1, { outputs: outputsOf({ gaps: [later, shrunk] }) }));
    assert.deepEqual((await readOutputs(store, partition)).gaps, [shrunk, later, elsewhere]);
    const { rows } = await store.query(
      "SELECT time, gap_id, gap_minutes FROM gap_alerts WHERE source_partition = $1 AND time = $2",
      [partition, "2024-01-01T00:00:00Z"],
    );
    assert.deepEqual(rows.find((row) => row.gap_id === "M1@2024-01-01T00:00:00Z"), {
      time: "2024-01-01T00:00:00Z",
      gap_id: "M1@2024-01-01T00:00:00Z",
      gap_minutes: 30,
    });
    // One that was told of before is passed over, and so is its row in the digest.
    await store.commit(commitOf(partition, 2, { outputs: outputsOf({ gaps: [doubled] }) }));
    assert.deepEqual((await readOutputs(store, partition)).gaps, [shrunk, later, elsewhere]);
  },

  "commit() writes tags that SQL can ask for": async (store, partition) => {
    const metric = { metricType: "invalid_event", meterId: null, timestampMs: START_MS, value: 2 };
    const metrics: Metric[] = [
      { ...metric, offset: 1, tags: { error: "BAD_VALUE", 'a"b': "ä ☼ \\ '" } },
      { ...metric, offset: 1, tags: {}, meterId: "M1", metricType: "x", value: -0.25 },
    ];
    await store.commit(commitOf(partition, 0, { outputs: outputsOf({ metrics }) }));
    assert.deepEqual((await readOutputs(store, partition)).metrics, metrics);
    const { rows } = await store.query(
      "SELECT sum(value) AS n FROM metrics WHERE source_partition = $1 AND tags ->> 'error' = $2",
      [partition, "BAD_VALUE"],
    );
    assert.deepEqual(rows, [{ n: 2 }]);
  },

  "a reading of any value, delay and flags reads back as it was given": async (
    store,
    partition,
  ) => {
    const validated = [
      validatedOf(0, { consumptionKwh: 1 / 3, timestampMs: START_MS + 1 }),
      validatedOf(1, { consumptionKwh: -1e-9, flags: ["NEGATIVE", 'a"b,☼'] }),
      validatedOf(2, { consumptionKwh: 12345678.901, status: "LATE", delayMs: 1 }),
      validatedOf(3, { consumptionKwh: 5e-324, status: "LATE", delayMs: 90_000, flags: ["X"] }),
      validatedOf(2 ** 45, { meterId: "ä'☼\u{1F600}", timestampMs: -1, consumptionKwh: 1e11 }),
      validatedOf(2 ** 45 + 1, { timestampMs: Date.UTC(1000, 0, 1), consumptionKwh: 0 }),
    ];
    const nextOffset = 2 ** 45 + 2;
    await store.commit(commitOf(partition, 0, { nextOffset, outputs: outputsOf({ validated }) }));
    assert.deepEqual((await readOutputs(store, partition)).validated, validated);
  },

  "a commit adds to the day that one before has begun": async (store, partition) => {
    for (const offset of [0, 1, 2]) await store.commit(commitOf(partition, offset));
    const { rows } = await store.query(
      "SELECT * FROM readings_meter_daily WHERE source_partition = $1",
      [partition],
    );
    assert.deepEqual(rows, [{
      bucket: "2024-01-01T00:00:00Z",
      meter_id: "M1",
      source_partition: partition,
      readings: 3,
      late_readings: 0,
      flagged_readings: 0,
      consumption_kwh: 1.5,
      first_at: "2024-01-01T00:00:00Z",
      last_at: "2024-01-01T01:00:00Z",
      revised_readings: 0,
      consumption_mwh: 1_500_000,
      last_offset: 2,
      last_late_offset: -1,
      channel: "",
    }]);
  },

  "query() only reads, and says so": async (store, partition) => {
    const refused = [
      "INSERT INTO settings VALUES ('a', 'b')",
      "DELETE FROM ledger",
      "CREATE TABLE x (a)",
      "COMMIT",
      "BEGIN",
      "ATTACH '/tmp/x' AS y",
      "PRAGMA journal_mode = DELETE",
      "PRAGMA query_only = OFF",
      "VACUUM INTO '/tmp/x'",
      "SELECT load_extension('x')",
      "SELECT 1; DELETE FROM ledger",
    ];
    for (const sql of refused) await assert.rejects(store.query(sql), SqlError, sql);
    assert.equal(await count(store, "positions", partition), 0);
    const { columns, rows } = await store.query("SELECT 1 AS a, NULL AS b; -- and no more");
    assert.deepEqual([columns, rows], [["a", "b"], [{ a: 1, b: null }]]);
    const large = await store.query("SELECT 9007199254740993 AS large, 2 AS small");
    assert.deepEqual(large.rows, [{ large: 9007199254740993n, small: 2 }]);
  },

  "inputs and settings are kept as they were given": async (store) => {
    assert.equal(await store.lastInput(), null);
    const input = { fingerprint: "f", description: "'; DROP", nowMs: START_MS, finished: false };
    await store.beginInput({ ...input, id: 1, baseOffsets: [0, 2 ** 40] });
    await store.beginInput({ ...input, id: 2, baseOffsets: [] });
    assert.deepEqual(await store.lastInput(), { ...input, id: 2, baseOffsets: [] });
    await store.finishInput(2);
    assert.equal((await store.lastInput())?.finished, true);
    await store.saveSettings({ a: "1", b: "☼" });
    await store.saveSettings({ a: "2" });
    assert.deepEqual(await store.settings(), { a: "2", b: "☼" });
  },
};

Deno.test("SqliteStore holds every claim of a store, and its check finds nothing amiss", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-store-" });
  const store = await SqliteStore.open(directory);
  try {
    for (const [partition, [claim, check]] of Object.entries(claims).entries()) {
      await t.step(claim, () => check(store, partition));
    }
    await t.step("check() finds every row as it was written", async () => {
      const findings = await store.reader.transaction((moment) => moment.check());
      assert.deepEqual(findings, []);
    });
  } finally {
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});
