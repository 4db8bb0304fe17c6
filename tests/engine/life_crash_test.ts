/**
 * Rung 3 over one meter's life: whichever I/O step fails within a silence, a return, a change of the
 * interval, a revision, a retirement, the run that goes on says what it would have said.
 */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import {
  FAULT_KINDS,
  type Faults,
  FaultyStore,
  isStoreFailure,
} from "../simulation/faulty_store.ts";
import { coreOptions } from "../simulation/fold.ts";
import {
  answerOf,
  assertSameAnswer,
  openTasks,
  pipelineOptions,
  type RawRecord,
  toChunks,
} from "../simulation/playback.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2024, 0, 1);

const OPTIONS = [coreOptions({
  ...PLAIN_SETTINGS,
  expectedIntervalMs: "auto",
  learningReadings: 48,
  allowedLatenessMs: 12 * HOUR_MS,
  stateTtlMs: DAY_MS,
  forgetAfterMs: 3 * DAY_MS,
  revisions: "last",
})];

/** What happens to meter M, one record after the other. */
function life(): RawRecord[] {
  const records: RawRecord[] = [];
  const put = (fields: Record<string, unknown>, atMs: number) => {
    const text = JSON.stringify({ timestamp: new Date(atMs).toISOString(), ...fields });
    records.push({ partition: "meter_id" in fields ? 0 : -1, text });
  };
  let atMs = START_MS;
  let kwh = 0;
  const say = (to: number, more: Record<string, unknown> = {}) => {
    atMs = to;
    put({ meter_id: "M", consumption_kwh: ++kwh, ...more }, atMs);
  };
  const late = (at: number) => put({ meter_id: "M", consumption_kwh: ++kwh }, at);
  const tick = (at: number) => put({ type: "tick" }, at);
  for (let n = 0; n < 7; n++) say(START_MS + n * 30 * MINUTE_MS); // learns 30
  late(atMs - HOUR_MS); // revises
  say(atMs + 2 * HOUR_MS); // a hole of three
  late(atMs - HOUR_MS); // splits it
  put({ meter_id: "M", consumption_kwh: null }, atMs - 30 * MINUTE_MS);
  for (let n = 0; n < 12; n++) say(atMs + 15 * MINUTE_MS); // shrinks
  say(atMs + HOUR_MS); // a hole of three
  for (let n = 0; n < 12; n++) say(atMs + HOUR_MS); // grows: gaps are taken back
  for (const hours of [2, 12, 23, 24, 25, 40]) tick(atMs + hours * HOUR_MS); // falls silent
  late(atMs + 39 * HOUR_MS); // returns, late
  say(atMs + 41 * HOUR_MS);
  late(atMs - 3 * HOUR_MS); // splits what was the silence
  say(atMs + 30 * HOUR_MS); // is silent, and returns, in one record
  say(atMs + 2 * HOUR_MS, { interval_minutes: 30 });
  say(atMs + 2 * HOUR_MS, { skipped_intervals: 2 });
  for (const hours of [20, 30, 71, 72, 73]) tick(atMs + hours * HOUR_MS); // is forgotten
  for (let n = 0; n < 8; n++) say(atMs + (n === 0 ? 80 : 1) * HOUR_MS);
  tick(atMs + 3 * HOUR_MS);
  put({ type: "retire", meter_id: "M" }, atMs + 3 * HOUR_MS);
  say(atMs + 5 * HOUR_MS);
  return records;
}

const records = life();

/** Plays all records to the end, a commit each, with a new task after each failure of the store. */
async function play(faultAt: Faults["faultAt"]) {
  const store = new FaultyStore(new MemoryStore(), { faultAt });
  for (let attempt = 1;; attempt++) {
    try {
      const tasks = await openTasks(OPTIONS, store, 500);
      const pipeline = pipelineOptions(1, { commitRecordsMax: 1, endsAfterMs: null });
      assert.equal(await playRecords(toChunks(records, 10), tasks, store, pipeline), true);
      return { store, attempt, answer: await answerOf(store.inner, OPTIONS) };
    } catch (error) {
      if (!isStoreFailure(error) || attempt === 3) throw error;
    }
  }
}

Deno.test("the life that the crash tests play has every state in it", async () => {
  const { store } = await play(() => null);
  const { outputs, ledger } = store.inner.partitions.get(0)!;
  assert.equal(ledger.raw, records.length);
  const states = new Set(outputs.gaps.map(({ state }) => state));
  assert.deepEqual([...states].sort(), ["CLOSED", "EXPIRED", "FILLED", "OPEN"]);
  assert.ok(outputs.validated.some(({ flags }) => flags.includes("REVISES")));
  const told = outputs.metrics.filter(({ meterId }) => meterId === "M");
  assert.deepEqual(told.map(({ metricType, value }) => [metricType, value]), [
    ["interval_unknown", 1],
    ["interval_learned", 30],
    ["interval_changed", 15],
    ["interval_changed", 60],
    ["interval_changed", 30],
    ["meter_forgotten", 1],
    ["interval_unknown", 1],
    ["interval_learned", 60],
    ["meter_retired", 1],
    ["interval_unknown", 1],
  ]);
  const lengths = outputs.gaps.filter(({ state }) => state === "EXPIRED")
    .map(({ missingIntervals }) => missingIntervals);
  assert.deepEqual(lengths, [23, 47, 143, 2]);
});

for (const kind of FAULT_KINDS) {
  Deno.test(`a meter's life goes on to the same answer whichever I/O step fails: ${kind}`, async () => {
    const { answer, store: { steps } } = await play(() => null);
    for (let at = 0; at < steps; at++) {
      const disturbed = await play((step) => step === at ? kind : null);
      assert.equal(disturbed.attempt, 2, `step ${at}`);
      assertSameAnswer(disturbed.answer, answer, `fault ${kind} at step ${at}`);
    }
  });
}
