import assert from "node:assert/strict";
import { SqlError } from "../../../src/adapters/pglite/client.ts";
import { PgliteStore } from "../../../src/adapters/pglite/store.ts";
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

async function count(store: PgliteStore, table: string, partition: number): Promise<number> {
  const column = ["positions", "ledger", "task_state", "state_changelog"].includes(table)
    ? "partition"
    : "source_partition";
  const sql = `SELECT count(*) AS n FROM ${table} WHERE ${column} = $1`;
  return Number((await store.query(sql, [partition])).rows[0].n);
}

/** All that the store holds of a partition. */
async function everything(store: PgliteStore, partition: number): Promise<unknown> {
  const tables: unknown[] = [await loadAll(store, partition), await readOutputs(store, partition)];
  for (const table of ["positions", "ledger", "task_state"]) {
    const sql = `SELECT * FROM ${table} WHERE partition = $1`;
    tables.push((await store.query(sql, [partition])).rows);
  }
  return tables;
}

/** Each claim has a partition of its own; opening a database takes longer than all of them. */
const claims: Record<string, (store: PgliteStore, partition: number) => Promise<void>> = {
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
    assert.deepEqual(rows[0], { partition, next_offset: 7500, watermark: new Date(START_MS) });
  },

  "commit() keeps the ledger, and a watermark that is not known": async (store, partition) => {
    const ledger = { raw: 21, ok: 1, late: 2, too_late: 3, duplicate: 4, rejected: 5, tick: 6 };
    await store.commit(commitOf(partition, 0, { nextOffset: 21, ledger, watermarkMs: null }));
    const { rows } = await store.query("SELECT * FROM ledger WHERE partition = $1", [partition]);
    assert.deepEqual(rows, [{ partition, ...ledger }]);
    const position = await store.query("SELECT * FROM positions WHERE partition = $1", [partition]);
    assert.deepEqual(position.rows, [{ partition, next_offset: 21, watermark: null }]);
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
    const twice = validatedOf(1);
    const unusable = [
      outputsOf({ validated: [validatedOf(1), twice, twice] }),
      outputsOf({ validated: [validatedOf(1)], gaps: [gapOf(1, { meterId: "a\0b" })] }),
      outputsOf({ validated: [validatedOf(1, { flags: ["\0"] })], gaps: [gapOf(1)] }),
      outputsOf({
        ...{ validated: [validatedOf(1)], gaps: [gapOf(1)] },
        metrics: [{
          ...{ offset: 1, metricType: "m", meterId: null, timestampMs: 0, value: 1 },
          tags: { error: "\0" },
        }],
      }),
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
      [partition, new Date(START_MS)],
    );
    assert.deepEqual(rows.find((row) => row.gap_id === "M1@2024-01-01T00:00:00Z"), {
      time: new Date(START_MS),
      gap_id: "M1@2024-01-01T00:00:00Z",
      gap_minutes: 30,
    });
    await store.commit(commitOf(partition, 2));
    const { rows: stage } = await store.query("SELECT * FROM gap_alerts_stage");
    assert.deepEqual(stage, [], "a staged gap would be said again");
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

  "query() that only reads cannot write, and says so": async (store, partition) => {
    const write = "INSERT INTO settings VALUES ('a', 'b')";
    await assert.rejects(store.query(write, [], { readOnly: true }), SqlError);
    assert.equal(await count(store, "positions", partition), 0);
    const { columns, rows } = await store.query("SELECT 1 AS a, NULL AS b", [], { readOnly: true });
    assert.deepEqual([columns, rows], [["a", "b"], [{ a: 1, b: null }]]);
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

Deno.test("PgliteStore in memory holds every claim of a store", async (t) => {
  const store = await PgliteStore.open(null);
  try {
    for (const [partition, [claim, check]] of Object.entries(claims).entries()) {
      await t.step(claim, () => check(store, partition));
    }
  } finally {
    await store.close();
  }
});
