/** What the tables say of meters and completeness, against the specification on generated streams. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { batchOf } from "../../src/adapters/sqlite/batch.ts";
import { openFile } from "../../src/adapters/sqlite/library.ts";
import { migrateFile } from "../../src/adapters/sqlite/schema.ts";
import { Writer } from "../../src/adapters/sqlite/writer.ts";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { SQLITE } from "../../src/tables/dialect.ts";
import { METER_STATUSES, readTotals } from "../../src/tables/meter_status.ts";
import { readFleet } from "../../src/tables/meters.ts";
import type { Query } from "../../src/tables/query.ts";
import { Task } from "../../src/engine/task.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { optionsArbitrary, streamArbitrary } from "../specification/arbitraries.ts";
import { oracle, type OracleOptions } from "../specification/oracle.ts";

const SEED = 20_240_101;
const RUNS = Number(Deno.env.get("GRIDWATCH_TEST_RUNS") ?? 300);

/** Plays records into an embedded store in memory, committed in batches. */
async function playInto(
  records: readonly string[],
  options: OracleOptions,
  batchRecords: number,
): Promise<{ query: Query; close: () => void }> {
  const database = openFile(":memory:", { readOnly: false, busyMs: 0 });
  migrateFile(database, "2024-01-01T00:00:00Z");
  const writer = new Writer(database);
  const task = await Task.open(coreOptions(options), new MemoryStore());
  for (let at = 0; at < records.length; at += batchRecords) {
    for (const text of records.slice(at, at + batchRecords)) {
      task.fold(rawOf(text, task.nextOffset));
    }
    writer.write(batchOf(task.takeCommit()!).batch);
  }
  const query = (sql: string) => Promise.resolve(database.prepare(sql).all());
  return {
    query: Object.assign(query, { dialect: SQLITE }),
    close: () => database.close(),
  };
}

Deno.test("meter_status says of every meter what the specification says", async () => {
  const found = new Map<string, number>();
  const cases = optionsArbitrary.chain((options) =>
    fc.record({
      options: fc.constant(options),
      records: streamArbitrary(options),
      batchRecords: fc.constantFrom(1, 7, 1000),
    })
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ options, records, batchRecords }) => {
      const expected = oracle(records, null, options);
      const { query, close } = await playInto(records, options, batchRecords);
      try {
        const { meters } = await readFleet(query, 0);
        const statuses = meters.map(({ meter_id, status }) => [meter_id, status] as const);
        for (const [, status] of statuses) found.set(status, (found.get(status) ?? 0) + 1);
        // A retirement of a meter that nobody knows makes none.
        const known = [...expected.status].filter(([meterId, status]) =>
          status !== "retired" ||
          expected.dispositions.some((one) => one.meterId === meterId && one.disposition !== "tick")
        );
        assert.deepEqual(statuses.toSorted(), known.toSorted());
      } finally {
        close();
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
  for (const status of METER_STATUSES) assert.ok((found.get(status) ?? 0) > RUNS / 50, status);
});

Deno.test("readTotals() counts the slots that the specification counts", async () => {
  // What is learned may lay two readings into one slot, and two may not be judged yet.
  const drawn = optionsArbitrary.filter(({ expectedIntervalMs, intervalMsByMeter, ...options }) =>
    expectedIntervalMs !== "auto" &&
    [expectedIntervalMs, ...intervalMsByMeter.values()].every((ms) =>
      ms >= options.gapGraceMs + options.outOfOrdernessMs
    )
  );
  const cases = drawn.chain((options) =>
    fc.record({ options: fc.constant(options), records: streamArbitrary(options) })
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ options, records }) => {
      const expected = oracle(records, null, options);
      // Of two gaps of one id the tables keep the later.
      fc.pre(expected.reusedGapIds.size === 0);
      const { query, close } = await playInto(records, options, 1000);
      try {
        const { slots, slotsReporting, meters } = await readTotals(query);
        const histories = meters + records.filter((text) => text.includes("retire")).length;
        for (
          const [found, right] of [
            [slots, expected.completeness],
            [slotsReporting, expected.completenessReporting],
          ]
        ) {
          assert.equal(found.expected - found.valid, right.expected - right.valid, "missing");
          // A slot begins a little off its reading: the last ones may be judged, or not yet.
          const off = Math.abs(found.valid - right.valid);
          assert.ok(off <= 2 * histories, JSON.stringify([found, right]));
        }
      } finally {
        close();
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
});
