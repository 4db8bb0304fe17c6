import assert from "node:assert/strict";
import { MINUTE_MS, ms, startHarness } from "./harness.ts";
import type { Harness } from "./harness.ts";

/** Readings of M1 from a time on, step by step; the last one's time. */
function send(core: Harness, from: string | number, minutes: number, count: number, kwh = 1) {
  let atMs = ms(from);
  const said: string[] = [];
  for (let n = 0; n < count; n++, atMs += minutes * MINUTE_MS) {
    said.push(core.reading("M1", atMs, kwh + n));
  }
  return said;
}

const intervalOf = (core: Harness): number => core.processor.meters.intervalMs[0] / MINUTE_MS;

/** A meter that has learned its interval by readings up to the given time. */
function learnedMeter(minutes: number, to: string, changes = {}): Harness {
  const core = startHarness({ expectedIntervalMs: "auto", ...changes });
  send(core, ms(to) - 6 * minutes * MINUTE_MS, minutes, 7);
  assert.equal(intervalOf(core), minutes);
  core.readOutputs();
  return core;
}

Deno.test("Processor finds a shorter interval after twelve equal steps, and what is lost in it", () => {
  const core = learnedMeter(30, "3:00");
  const said = send(core, "3:15", 15, 12, 2);
  assert.equal(said.filter((one) => one === "CONFLICT").length, 6, "by the old interval");
  assert.equal(intervalOf(core), 15);
  assert.equal(core.reading("M1", "6:00", 13), "CONFLICT", "what holds the slot goes along");
  assert.equal(core.reading("M1", "6:00", 12), "DUPLICATE");
  assert.equal(core.reading("M1", "6:15"), "OK");
  assert.equal(core.reading("M1", "6:45"), "OK");
  const { gaps, metrics } = core.readOutputs();
  assert.deepEqual(gaps.map(({ missingFromMs }) => missingFromMs), [ms("6:30")]);
  const changes = metrics.filter(({ metricType }) => metricType === "interval_changed");
  assert.deepEqual(
    changes.map(({ meterId, value, tags, timestampMs }) => [meterId, value, tags, timestampMs]),
    [["M1", 15, { from_minutes: "30" }, ms("6:00")]],
  );
});

Deno.test("Processor takes the gaps of a run back when the interval has become longer", () => {
  const core = learnedMeter(15, "1:30");
  core.reading("M1", "2:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@1:45 1:45..2:00 1"]);
  send(core, "2:15", 15, 4);
  send(core, "3:30", 30, 11);
  const closed = core.readGaps();
  assert.equal(closed.length, 11);
  assert.ok(closed.every((gap) => gap.startsWith("CLOSED")));
  core.reading("M1", "9:00");
  const { gaps } = core.readOutputs();
  assert.deepEqual(
    gaps.map(({ state, missingIntervals, filledIntervals }) => [
      ...[state, missingIntervals, filledIntervals],
    ]),
    Array(12).fill(["FILLED", 0, 1]),
    "those of the run; the one that closes with it was never said otherwise",
  );
  assert.equal(intervalOf(core), 30);
  core.reading("M1", "10:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@9:30 9:30..10:00 1"]);
});

Deno.test("Processor breaks a run at a step that is another, and counts none while it learns", () => {
  const core = learnedMeter(30, "3:00");
  send(core, "3:15", 15, 11);
  core.reading("M1", "6:30");
  send(core, "6:45", 15, 11);
  assert.equal(intervalOf(core), 30);
  core.reading("M1", "9:30");
  assert.equal(intervalOf(core), 15);
});

Deno.test("Processor counts unusable and too late readings in a run, and waits for a usable one", () => {
  const core = learnedMeter(30, "3:00");
  send(core, "3:15", 15, 11);
  assert.equal(core.reading("M1", "6:00", `"x"`), "BAD_VALUE");
  assert.equal(intervalOf(core), 30);
  core.reading("M1", "6:15");
  assert.equal(intervalOf(core), 15);
});

Deno.test("Processor keeps holes of the interval before, which late readings can still fill", () => {
  const core = learnedMeter(30, "3:00", { allowedLatenessMs: 24 * 60 * MINUTE_MS });
  core.reading("M1", "5:00"); // 3:30, 4:00, 4:30 are missing
  send(core, "5:15", 15, 12);
  assert.equal(intervalOf(core), 15);
  core.readGaps();
  assert.equal(core.reading("M1", "4:00"), "LATE 13500");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@3:30 3:30..4:00 1",
    "CLOSED M1@4:30 4:30..5:00 1",
  ]);
  assert.equal(core.reading("M1", "4:00"), "TOO_LATE 13500", "remembered are holes alone");
  assert.equal(core.reading("M1", "4:20"), "LATE 12300 TIME_SHIFT", "by the old grid: 4:30");
  assert.deepEqual(core.readGaps(), ["FILLED M1@4:30 4:30..4:30 0"]);
});

Deno.test("Processor begins a new piece with a reading that says another interval", () => {
  const core = learnedMeter(30, "3:00");
  assert.equal(core.reading("M1", "5:00", 1, `,"interval_minutes":15`), "OK");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@3:30 3:30..5:00 3"], "missing by the old one");
  assert.equal(intervalOf(core), 15);
  core.reading("M1", "5:30", 1, `,"interval_minutes":15`);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@5:15 5:15..5:30 1"]);
  assert.equal(core.reading("M1", "5:15", 1, `,"interval_minutes":60`), "LATE 900");
  assert.equal(intervalOf(core), 15, "a late reading says nothing");
});

Deno.test("Processor tells once that a fixed interval is contradicted, and changes nothing", () => {
  const core = startHarness();
  send(core, "0:00", 15, 60);
  assert.equal(intervalOf(core), 30);
  const told = core.readOutputs().metrics.filter(({ metricType }) =>
    metricType === "interval_contradicted"
  );
  assert.deepEqual(told.map(({ meterId, value, tags }) => [meterId, value, tags]), [
    ["M1", 15, { from_minutes: "30" }],
  ]);
});

Deno.test("Processor takes slots out that a reading says its source's clock never had", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.reading("M1", "0:30");
  assert.equal(core.reading("M1", "2:00", 1, `,"skipped_intervals":2`), "OK");
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.reading("M1", "2:30"), "OK");
  assert.equal(core.reading("M1", "5:00", 1, `,"skipped_intervals":2`), "OK");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@3:00 3:00..4:00 2"]);
  assert.equal(core.reading("M1", "5:30", 1, `,"skipped_intervals":2`), "OK", "it has no room");
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.processor.meters.ordinal[0], 7);
});

Deno.test("Processor finds the slots before those that never were, for what comes late", () => {
  const core = startHarness({ allowedLatenessMs: 24 * 60 * MINUTE_MS });
  core.reading("M1", "0:00", 1);
  core.reading("M1", "1:00", 2);
  core.reading("M1", "2:30", 3, `,"skipped_intervals":2`);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..1:00 1"]);
  assert.equal(core.reading("M1", "1:00", 2), "DUPLICATE");
  assert.equal(core.reading("M1", "0:00", 1), "DUPLICATE");
  assert.equal(core.reading("M1", "0:30", 1), "LATE 7200");
  assert.deepEqual(core.readGaps(), ["FILLED M1@0:30 0:30..0:30 0"]);
});
