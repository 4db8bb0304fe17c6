import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { type PipelineOptions, playRecords, type Progress } from "../../src/engine/pipeline.ts";
import type { Commit } from "../../src/engine/ports.ts";
import { createRandom } from "../../src/generate/random.ts";
import { FaultyStore, StoreFault } from "../simulation/faulty_store.ts";
import { fleetStream } from "../simulation/fleet_stream.ts";
import { coreOptions } from "../simulation/fold.ts";
import {
  answerOf,
  assertSameAnswer,
  fakeClock,
  metricSums,
  openTasks,
  pipelineOptions,
  type RawRecord,
  toChunk,
  toChunks,
} from "../simulation/playback.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";

const MINUTE_MS = 60_000;
const SEED = 11;
const PARTITIONS = 2;
const options = [coreOptions(PLAIN_SETTINGS, 0), coreOptions(PLAIN_SETTINGS, 1)];
const records = fleetStream(createRandom(SEED), {
  settings: PLAIN_SETTINGS,
  partitionCount: PARTITIONS,
  meterCount: 6,
  recordsMax: 200,
});

/** Opens tasks on the store and plays the records once. */
async function play(
  store: MemoryStore,
  from: readonly RawRecord[],
  changes: Partial<PipelineOptions> = {},
  chunkRecordsMax = Infinity,
): Promise<boolean> {
  const tasks = await openTasks(options, store);
  const pipeline = pipelineOptions(PARTITIONS, changes);
  return await playRecords(toChunks(from, chunkRecordsMax), tasks, store, pipeline);
}

function sumsOf(store: MemoryStore): Record<string, number> {
  return metricSums([...store.partitions.values()].flatMap(({ outputs }) => outputs.metrics));
}

/** A signal that says stop from the n-th time on that it is looked at. */
function signalAfter(looks: number): { signal: AbortSignal; stopped: () => boolean } {
  let looked = 0;
  const signal = {
    get aborted() {
      return ++looked > looks;
    },
  };
  return { signal: signal as AbortSignal, stopped: () => looked > looks };
}

Deno.test("playRecords() says the same whatever the chunks its records come in", async () => {
  const straight = new MemoryStore();
  await play(straight, records, { endsAfterMs: 0 });
  const expected = await answerOf(straight, options);
  for (const chunkRecordsMax of [1, 7, 16, 199, 200]) {
    const store = new MemoryStore();
    await play(store, records, { endsAfterMs: 0 }, chunkRecordsMax);
    assertSameAnswer(await answerOf(store, options), expected, `chunks of ${chunkRecordsMax}`);
  }
});

Deno.test("playRecords() takes a chunk without records for nothing", async () => {
  const store = new MemoryStore();
  const chunks = async function* () {
    yield toChunk([]);
    yield* toChunks(records, 50);
    yield toChunk([]);
  };
  await playRecords(chunks(), await openTasks(options, store), store, pipelineOptions(PARTITIONS));
  const straight = new MemoryStore();
  await play(straight, records);
  assertSameAnswer(
    await answerOf(store, options),
    await answerOf(straight, options),
    "empty chunks",
  );
});

Deno.test("playRecords() says the same, but for the counts per commit, however often it commits", async () => {
  const straight = new MemoryStore();
  await play(straight, records, { commitRecordsMax: 1_000_000, endsAfterMs: 0 });
  const expected = await answerOf(straight, options, "none");
  for (const commitRecordsMax of [1, 2, 3, 64]) {
    const store = new MemoryStore();
    await play(store, records, { commitRecordsMax, endsAfterMs: 0 });
    assertSameAnswer(await answerOf(store, options, "none"), expected, `by ${commitRecordsMax}`);
    assert.deepEqual(sumsOf(store), sumsOf(straight));
  }
});

Deno.test("playRecords() stopped at any record commits what it folded, and resumes from there", async () => {
  const straight = new MemoryStore();
  await play(straight, records, { endsAfterMs: PLAIN_SETTINGS.gapGraceMs });
  const expected = await answerOf(straight, options, "none");
  for (let looks = 0;; looks++) {
    const store = new MemoryStore();
    const { signal, stopped } = signalAfter(looks);
    const changes = { endsAfterMs: PLAIN_SETTINGS.gapGraceMs };
    const tasks = await openTasks(options, store);
    const pipeline = pipelineOptions(PARTITIONS, { ...changes, signal });
    const finished = await playRecords(toChunks(records, 40), tasks, store, pipeline);
    assert.equal(finished, !stopped());
    for (const { partition, nextOffset } of tasks) {
      assert.equal(store.partitions.get(partition)?.nextOffset ?? 0, nextOffset);
    }
    assert.equal(await play(store, records, changes, 40), true);
    assertSameAnswer(await answerOf(store, options, "none"), expected, `stopped at look ${looks}`);
    assert.deepEqual(sumsOf(store), sumsOf(straight));
    if (finished) return assert.ok(looks > records.length);
  }
});

Deno.test("playRecords() stopped before it began folds nothing and sends no last tick", async () => {
  const store = new MemoryStore();
  const signal = AbortSignal.abort();
  assert.equal(await play(store, records, { signal, endsAfterMs: 0 }), false);
  assert.equal(store.partitions.size, 0);
});

/** A store that notes at which time of the clock each commit came. */
function timedStore(nowMs: () => number): { store: MemoryStore; commits: [number, Commit][] } {
  const store = new MemoryStore();
  const commits: [number, Commit][] = [];
  const commit = store.commit.bind(store);
  store.commit = (of) => {
    commits.push([nowMs(), of]);
    return commit(of);
  };
  return { store, commits };
}

Deno.test("playRecords() paced at 2 a second commits once a commit interval of its clock", async () => {
  const clock = fakeClock();
  const { store, commits } = timedStore(clock.nowMs);
  const readings = records.filter(({ partition }) => partition >= 0).slice(0, 21);
  const progress: Progress[] = [];
  await play(store, readings, {
    clock,
    ratePerSecond: 2,
    commitIntervalMs: 1000,
    commitRecordsMax: 1_000_000,
    onProgress: (at) => progress.push(at),
  });
  // Reading n is due n/2 seconds after the start; the last one ends the run at once.
  assert.equal(clock.nowMs(), 10_000);
  assert.deepEqual(clock.sleepsMs, new Array(200).fill(50));
  const timesMs = [...new Set(commits.map(([atMs]) => atMs))];
  assert.deepEqual(timesMs, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seconds) => seconds * 1000));
  for (const [atMs, { partition, nextOffset }] of commits) {
    const due = readings.slice(0, atMs / 500 + 1);
    const folded = due.filter((record) => record.partition === partition).length;
    assert.equal(nextOffset, folded, `partition ${partition} at ${atMs} ms`);
  }
  const folded = progress.map((at) => at.readingsFolded);
  assert.deepEqual(folded, [3, 5, 7, 9, 11, 13, 15, 17, 19, 21]);
});

Deno.test("playRecords() at any rate says the same, but for the counts per commit", async () => {
  const straight = new MemoryStore();
  await play(straight, records);
  const expected = await answerOf(straight, options, "none");
  for (const ratePerSecond of [0.01, 2, 1000]) {
    const store = new MemoryStore();
    const clock = fakeClock();
    await play(store, records, { ratePerSecond, clock });
    assertSameAnswer(await answerOf(store, options, "none"), expected, `rate ${ratePerSecond}`);
    assert.deepEqual(sumsOf(store), sumsOf(straight));
    const readings = records.filter(({ partition }) => partition >= 0).length;
    const dueMs = (readings - 1) / ratePerSecond * 1000;
    assert.ok(clock.nowMs() >= dueMs - 1e-6 && clock.nowMs() < dueMs + 51, `${clock.nowMs()} ms`);
  }
});

Deno.test("playRecords() resumed at a rate does not wait for what it passes over", async () => {
  const store = new MemoryStore();
  await play(store, records.slice(0, 150));
  const clock = fakeClock();
  await play(store, records, { ratePerSecond: 1, clock });
  const left = records.slice(150).filter(({ partition }) => partition >= 0).length;
  assert.equal(clock.nowMs(), (left - 1) * 1000);
});

Deno.test("playRecords() stopped while it waits for the next reading ends, and has committed", async () => {
  const store = new MemoryStore();
  const controller = new AbortController();
  const clock = fakeClock();
  const sleep = (durationMs: number) => {
    if (clock.nowMs() >= 3000) controller.abort();
    return clock.sleep(durationMs);
  };
  const changes = { ratePerSecond: 1, signal: controller.signal, clock: { ...clock, sleep } };
  assert.equal(await play(store, records, changes), false);
  assert.equal(clock.nowMs(), 3050);
  const fourth = records.flatMap(({ partition }, r) => partition < 0 ? [] : [r])[3];
  const straight = new MemoryStore();
  await play(straight, records.slice(0, fourth + 1));
  assertSameAnswer(
    await answerOf(store, options, "none"),
    await answerOf(straight, options, "none"),
    "four readings",
  );
});

const reading = (partition: number, minute: number): RawRecord => ({
  partition,
  text: JSON.stringify({
    meter_id: `P${partition}`,
    timestamp: new Date(Date.UTC(2024, 0, 1) + minute * MINUTE_MS).toISOString(),
    consumption_kwh: 1,
  }),
});

Deno.test("playRecords() ends a recorded topic with one tick for all, after the latest reading of any", async () => {
  const store = new MemoryStore();
  const topic = [reading(0, 0), reading(1, 0), reading(0, 30), reading(0, 60)];
  await play(store, topic, { endsAfterMs: 15 * MINUTE_MS });
  const [first, second] = [store.partitions.get(0)!, store.partitions.get(1)!];
  assert.equal(first.ledger.tick, 1);
  assert.equal(second.ledger.tick, 1);
  assert.equal(first.watermarkMs, Date.UTC(2024, 0, 1, 1, 15));
  assert.equal(second.watermarkMs, first.watermarkMs);
  assert.deepEqual(first.outputs.gaps, []);
  assert.deepEqual(second.outputs.gaps.map((gap) => [gap.state, gap.missingIntervals]), [
    ["OPEN", 2],
  ]);
  const tasks = await openTasks(options, store);
  await playRecords(toChunks(topic), tasks, store, pipelineOptions(2, { endsAfterMs: 900_000 }));
  assert.equal(store.partitions.get(0)!.ledger.tick, 1, "resumed after its end it sends no other");
});

Deno.test("playRecords() sends no last tick after that of a recording", async () => {
  const store = new MemoryStore();
  const tick = `{"type":"tick","timestamp":"2024-01-01T00:15:00Z","final":true}`;
  const topic = [reading(0, 0), { partition: -1, text: tick }];
  await play(store, topic, { endsAfterMs: 15 * MINUTE_MS });
  assert.equal(store.partitions.get(0)!.ledger.tick, 1);
  await play(store, [...topic, reading(0, 30), {
    partition: -1,
    text: tick.replace("00:15", "00:30"),
  }]);
  assert.equal(store.partitions.get(0)!.ledger.tick, 2);
});

Deno.test("playRecords() sends no last tick after a topic without an accepted reading", async () => {
  const store = new MemoryStore();
  await play(store, [{ partition: 0, text: "not json" }], { endsAfterMs: 0 });
  assert.equal(store.partitions.get(0)!.ledger.tick, 0);
  assert.equal(store.partitions.has(1), false);
});

Deno.test("playRecords() never rejects its own last tick, at the end of all years", async () => {
  const store = new MemoryStore();
  const text = `{"meter_id":"M1","timestamp":"9999-12-31T23:50:00Z","consumption_kwh":1}`;
  await play(store, [{ partition: 0, text }], { endsAfterMs: 15 * MINUTE_MS });
  const { ledger, watermarkMs } = store.partitions.get(0)!;
  assert.deepEqual([ledger.ok, ledger.tick, ledger.rejected], [1, 1, 0]);
  assert.equal(watermarkMs, Date.UTC(9999, 11, 31, 23, 59, 59, 999));
});

Deno.test("playRecords() resumes between the partitions' last ticks to the same answer", async () => {
  const changes = { commitRecordsMax: records.length, endsAfterMs: PLAIN_SETTINGS.gapGraceMs };
  const straight = new MemoryStore();
  await play(straight, records, changes);
  const expected = await answerOf(straight, options);
  // Two loads, the commit of all records by both, then the last ticks alone.
  for (const [step, committed] of [[4, 0], [5, 1]]) {
    for (const kind of ["before", "after"] as const) {
      const store = new FaultyStore(new MemoryStore(), {
        faultAt: (at) => at === step ? kind : null,
      });
      const tasks = await openTasks(options, store);
      const played = playRecords(
        toChunks(records),
        tasks,
        store,
        pipelineOptions(PARTITIONS, changes),
      );
      await assert.rejects(played, StoreFault);
      const ended = [...store.inner.partitions.values()].filter(({ watermarkMs }) =>
        watermarkMs === straight.partitions.get(0)!.watermarkMs
      );
      assert.equal(ended.length, committed + (kind === "after" ? 1 : 0));
      assert.equal(await play(store.inner, records, changes), true);
      assertSameAnswer(await answerOf(store.inner, options), expected, `step ${step} ${kind}`);
    }
  }
});

Deno.test("playRecords() of a second input goes on where the first one ended", async () => {
  const store = new MemoryStore();
  await play(store, records.slice(0, 120));
  const ends = [0, 1].map((p) => store.partitions.get(p)!.nextOffset);
  const second = records.slice(120);
  for (const stopAt of [10, Infinity]) {
    const { signal } = signalAfter(stopAt);
    await play(store, second, { baseOffsets: ends, signal });
  }
  const straight = new MemoryStore();
  await play(straight, records);
  assertSameAnswer(
    await answerOf(store, options, "none"),
    await answerOf(straight, options, "none"),
    "two inputs",
  );
});

Deno.test("playRecords() tells the lag and the duration of the commit before in the next one", async () => {
  const store = new MemoryStore();
  await play(store, records, { rowsTotal: records.length + 5, commitRecordsMax: 50 }, 50);
  const { metrics } = store.partitions.get(0)!.outputs;
  const lags = metrics.filter(({ metricType }) => metricType === "consumer_lag_records");
  const durations = metrics.filter(({ metricType }) => metricType === "commit_duration_ms");
  assert.ok(lags.length >= 4 && durations.length === lags.length - 1);
  assert.ok(lags.every(({ value }) => value >= 5));
  assert.ok(durations.every(({ value, meterId }) => value === 0 && meterId === null));
});
