/** Unbounded state survives every test of equality, so its bound is tested here. */
import assert from "node:assert/strict";
import { encodeAll, encodeChanges, encodeTask } from "../../src/core/codec.ts";
import { heldReadings } from "../../src/core/held.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { Processor } from "../../src/core/processor.ts";
import { BASE_MS, DAY_MS, DEFAULTS, HOUR_MS, MINUTE_MS } from "./harness.ts";
import { rawOf } from "../simulation/fold.ts";

/** How much state there is, in things and in bytes. */
function stateSize(processor: Processor) {
  const { meters } = processor;
  let bytes = 0;
  for (const part of encodeAll(processor, 1 << 20)) bytes += part.length;
  const inMaps = (map: ReadonlyMap<number, readonly unknown[]>) =>
    [...map.values()].reduce((sum, list) => sum + list.length, 0);
  return {
    count: meters.count,
    capacity: meters.serial.length,
    holes: inMaps(meters.holes),
    marks: inMaps(meters.marks),
    learning: [...meters.indexes()].filter((i) => meters.intervalMs[i] === 0).length,
    bytes,
    task: encodeTask(processor).length,
  };
}

function record(processor: Processor, text: string): void {
  processor.record(rawOf(text, processor.state.nextOffset));
}

function reading(processor: Processor, meterId: string, timestampMs: number, kwh: number): void {
  const { nextOffset: offset } = processor.state;
  processor.reading({ meterId, timestampMs, consumptionKwh: kwh, offset });
}

/** One commit, of which only the size of its changelog matters here. */
function commit(processor: Processor): number {
  processor.takeOutputs();
  return encodeChanges(processor).length;
}

/** 200 rounds of 1,000 fresh meters with 5 readings each, 8 days apart: a million readings. */
function churn(changes: Partial<ProcessorOptions>) {
  const processor = new Processor({ ...DEFAULTS, ...changes });
  let changelogMax = 0;
  for (let round = 0; round < 200; round++) {
    const startMs = BASE_MS + round * 8 * DAY_MS;
    for (const slot of [0, 1, 3, 2, 6]) {
      for (let meter = 0; meter < 1000; meter++) {
        const atMs = startMs + slot * 30 * MINUTE_MS;
        reading(processor, `R${round}-${meter}`, atMs, slot);
      }
    }
    changelogMax = Math.max(changelogMax, commit(processor));
  }
  return { processor, changelogMax };
}

Deno.test("Processor forgets meters that have left: a million readings of 200,000 meters", () => {
  for (const expectedIntervalMs of [30 * MINUTE_MS, "auto"] as const) {
    const forgetAfterMs = 7 * DAY_MS;
    const { processor, changelogMax } = churn({ expectedIntervalMs, forgetAfterMs });
    const { ledger } = processor.state;
    assert.equal(ledger.raw, 1_000_000);
    assert.ok(ledger.ok + ledger.late === ledger.raw, "every reading taken");
    const size = stateSize(processor);
    assert.equal(size.count, 1000, "the last round's");
    assert.equal(size.capacity, 1024, "no column has grown");
    assert.ok(size.holes <= 2000, `${size.holes} holes`);
    assert.equal(size.learning, expectedIntervalMs === "auto" ? 1000 : 0);
    assert.ok(size.bytes <= 300_000, `${size.bytes} bytes of state`);
    assert.ok(changelogMax <= 350_000, `${changelogMax} bytes in a commit`);
    const lastMs = BASE_MS + 200 * 8 * DAY_MS;
    record(processor, `{"type":"tick","timestamp":${lastMs}}`);
    const tombstones = commit(processor);
    assert.ok(tombstones > 0 && tombstones <= 20_000, `${tombstones} bytes of tombstones`);
    const { count, holes, marks, learning, bytes } = stateSize(processor);
    assert.deepEqual([count, holes, marks, learning], [0, 0, 0, 0]);
    assert.equal(bytes, 10, "the names of the sections alone");
    assert.equal(commit(processor), 0);
  }
});

Deno.test("Processor keeps nothing of meters whose readings are all rejected or too late", () => {
  const processor = new Processor(DEFAULTS);
  record(processor, `{"meter_id":"M","timestamp":"2024-01-02T00:00:00Z","consumption_kwh":1}`);
  for (let n = 0; n < 20_000; n++) {
    const head = `{"meter_id":"M${n}","timestamp"`;
    record(processor, `${head}:"2024-01-02T00:00:00Z","consumption_kwh":-1}`);
    record(processor, `${head}:"2024-01-01T00:00:00Z","consumption_kwh":1}`);
  }
  commit(processor);
  assert.equal(processor.state.ledger.raw, 40_001);
  const { count, capacity, marks } = stateSize(processor);
  assert.deepEqual([count, capacity, marks], [1, 1024, 0]);
});

/** Numbers that are the same in every run. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

/**
 * One meter that never goes silent and does everything else, for 50,000 records: gaps of any length,
 * bad values for slots behind and ahead of it, late readings into its gaps, ticks.
 */
function endlessMeter(changes: Partial<ProcessorOptions>) {
  const processor = new Processor({ ...DEFAULTS, maxFutureMs: 365 * DAY_MS, ...changes });
  const random = randomBelow(7);
  const intervalMs = 30 * MINUTE_MS;
  let lastMs = BASE_MS;
  const max = { holes: 0, marks: 0, bytes: 0, changelog: 0 };
  const send = (atMs: number, kwh: number) =>
    record(processor, `{"meter_id":"M","timestamp":${atMs},"consumption_kwh":${kwh}}`);
  for (let step = 0; step < 50_000; step++) {
    const slots = 1 + random(4);
    switch (random(6)) {
      case 0:
      case 1:
        lastMs += slots * intervalMs;
        send(lastMs, slots);
        break;
      case 2:
        send(lastMs - slots * intervalMs, slots);
        break;
      case 3:
        send(lastMs + (slots - 2) * intervalMs, -1);
        break;
      case 4:
        send(lastMs + random(400) * intervalMs, -1);
        break;
      default:
        record(processor, `{"type":"tick","timestamp":${lastMs + slots * 10 * MINUTE_MS}}`);
    }
    if (step % 8 > 0) continue;
    const changelog = commit(processor);
    const { holes, marks, bytes } = stateSize(processor);
    max.holes = Math.max(max.holes, holes);
    max.marks = Math.max(max.marks, marks);
    max.bytes = Math.max(max.bytes, bytes);
    max.changelog = Math.max(max.changelog, changelog);
  }
  return { processor, max };
}

/** A mark stands at most a time to live ahead of the latest reading (336 slots), or in a hole. */
const MARKS_MAX = 336 + 25;

Deno.test("Processor marks no slot further ahead of a silent meter than its time to live", () => {
  const processor = new Processor({ ...DEFAULTS, watermarkScope: "meter" });
  const send = (slot: number, kwh: number) => {
    const atMs = BASE_MS + slot * 30 * MINUTE_MS;
    record(processor, `{"meter_id":"M","timestamp":${atMs},"consumption_kwh":${kwh}}`);
  };
  send(0, 1);
  for (let round = 0; round < 3; round++) {
    for (let slot = 1; slot <= 3000; slot++) send(slot, -1);
    assert.equal(stateSize(processor).marks, 336);
  }
  send(1, 1);
  send(335, 1);
  assert.equal(processor.takeOutputs().gaps.at(-1)?.rejectedIntervals, 333);
  for (let slot = 336; slot < 342; slot++) send(slot, 1);
  assert.equal(stateSize(processor).marks, 0, "no reading can reach that gap any more");
});

Deno.test("Processor bounds the state of one meter with endless gaps, rejects and late fills", () => {
  const table: [name: string, changes: Partial<ProcessorOptions>, holesMax: number][] = [
    ["defaults", {}, 3],
    ["meter scope", { watermarkScope: "meter" }, 3],
    // 20 slots or a few more can be judged or reached, and every other one be missing.
    ["a grace of 10 hours", { gapGraceMs: 10 * HOUR_MS }, 12],
    ["a lateness of 10 hours", { allowedLatenessMs: 10 * HOUR_MS }, 12],
    ["out of order by 10 hours", { outOfOrdernessMs: 10 * HOUR_MS }, 13],
  ];
  for (const [name, changes, holesMax] of table) {
    const { processor, max } = endlessMeter(changes);
    const { ledger } = processor.state;
    assert.ok(ledger.ok > 15_000 && ledger.rejected > 15_000, name);
    assert.ok(ledger.late > 2000 || changes.outOfOrdernessMs !== undefined, name);
    assert.equal(processor.meters.count, 1);
    assert.ok(max.holes > 0 && max.holes <= holesMax, `${name}: ${max.holes} holes`);
    assert.ok(max.marks > 20 && max.marks <= MARKS_MAX, `${name}: ${max.marks} marks`);
    assert.ok(max.bytes <= 2800, `${name}: ${max.bytes} bytes`);
    assert.ok(max.changelog <= 2800, `${name}: ${max.changelog} bytes in a commit`);
  }
});

Deno.test("Processor bounds what it learns from", () => {
  const processor = new Processor({ ...DEFAULTS, expectedIntervalMs: "auto" });
  for (let n = 0; n < 5; n++) {
    for (let repeat = 0; repeat < 2000; repeat++) {
      reading(processor, "M", BASE_MS + n * HOUR_MS, repeat);
    }
  }
  const { meters } = processor;
  assert.equal(heldReadings(meters, 0).length, 2 * 5);
  for (let n = 0; n < 5000; n++) {
    const at = new Date(BASE_MS + 4 * HOUR_MS + n * 1000).toISOString();
    record(processor, `{"meter_id":"M","timestamp":"${at}","consumption_kwh":null}`);
  }
  assert.equal(meters.unusable.get(0)?.length, 1024, "the latest ones");
  for (let n = 5; n < 48; n++) {
    // No step is a second time what it was, and none a whole minute.
    reading(processor, "M", BASE_MS + n * HOUR_MS + n * n * 1001, 0);
    assert.equal(meters.intervalMs[0] === 0, n < 47, `reading ${n + 1}`);
    assert.equal(meters.heldMany.size, n >= 8 && n < 47 ? 1 : 0);
  }
  assert.equal(meters.unusable.size, 0);
});
