import assert from "node:assert/strict";
import { MONTH } from "../../src/core/calendar.ts";
import { learnInterval } from "../../src/core/learning.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

const AUTO = { expectedIntervalMs: "auto" } as const;

function timesOf(stepsMinutes: readonly number[]): number[] {
  const timesMs = [ms("0:00")];
  for (const step of stepsMinutes) timesMs.push(timesMs[timesMs.length - 1] + step * MINUTE_MS);
  return timesMs;
}

const learned = (stepsMinutes: readonly number[], learningReadings = 48): number =>
  learnInterval(timesOf(stepsMinutes), {
    learningReadings,
    gapGraceMs: 15 * MINUTE_MS,
    zone: UTC_ZONE,
  });

const six = (minutes: number) => Array(6).fill(minutes);

Deno.test("learnInterval() takes any whole-minute step that five of six steps are", () => {
  for (const minutes of [1, 5, 7, 15, 20, 30, 59, 60, 61, 90, 120, 180, 720, 1440, 2880, 10_080]) {
    assert.equal(learned(six(minutes)), minutes * MINUTE_MS, `${minutes}`);
    for (let other = 0; other < 6; other++) {
      const steps = six(minutes).with(other, minutes * 3);
      assert.equal(learned(steps), minutes * MINUTE_MS, `${minutes}, step ${other} is another`);
    }
  }
  assert.equal(learned([30, 30, 60, 60, 30, 30]), 0, "four of six are not three quarters");
  assert.equal(learned(six(0.5)), 0, "no whole minutes");
  assert.equal(learned(six(40_000)), 0, "longer than an interval can be");
  for (let steps = 0; steps < 6; steps++) assert.equal(learned(six(30).slice(0, steps)), 0);
  assert.equal(learned(Array(7).fill(30)), 0, "the six were judged when they came");
});

Deno.test("learnInterval() takes a month from three steps of 28 to 31 days", () => {
  const days = (...steps: number[]) => steps.map((step) => step * 1440);
  assert.equal(learned(days(31, 29, 31)), MONTH);
  assert.equal(learned(days(28, 31, 30)), MONTH);
  assert.equal(learned(days(30.5, 29.25, 31)), MONTH, "at any hour");
  assert.equal(learned(days(31, 32, 31)), 0);
  assert.equal(learned(days(31, 27.9, 31)), 0);
  assert.equal(learned(days(31, 29)), 0);
});

Deno.test("learnInterval() takes at the last reading what costs least in conflicts and holes", () => {
  const last = (stepsMinutes: number[]) => learned(stepsMinutes, stepsMinutes.length + 1);
  assert.equal(last([30, 30, 60, 60, 30, 30, 90]), 30 * MINUTE_MS);
  assert.equal(last([20, 20, 60, 20, 20, 60, 20]), 20 * MINUTE_MS, "a candidate of its own");
  assert.equal(last([60, 60, 30, 60, 60, 30, 60, 60, 60]), 30 * MINUTE_MS, "8 holes against 16");
  assert.equal(last([14.5, 15.2, 15.4, 14.9, 15.3, 14.7]), 15 * MINUTE_MS, "jitter");
  assert.equal(last([60, 60, 120, 60, 120, 120, 60]), HOUR_MS, "3 holes against 24");
  assert.equal(last([59, 61, 59, 61, 59, 61, 59]), 61 * MINUTE_MS, "of equals the longer");
});

Deno.test("Processor judges a learned meter by the interval its first readings show", () => {
  for (const minutes of [1, 5, 20, 30, 60, 120, 1440]) {
    const stepMs = minutes * MINUTE_MS;
    const core = startHarness({ ...AUTO, stateTtlMs: 30 * DAY_MS });
    let atMs = ms("0:00");
    for (let reading = 1; reading <= 7; reading++, atMs += stepMs) core.reading("M1", atMs);
    assert.equal(core.processor.meters.intervalMs[0], stepMs);
    assert.equal(core.reading("M1", atMs + stepMs), "OK");
    core.tick(atMs + stepMs + DAY_MS);
    const closed = core.readOutputs().gaps.find((gap) => gap.state === "CLOSED");
    assert.equal(closed?.missingFromMs, atMs);
    assert.equal(closed?.missingToMs, atMs + stepMs);
    assert.equal(closed?.missingIntervals, 1);
  }
});

Deno.test("Processor judges no gap while it learns, and then those of the learning span", () => {
  const core = startHarness(AUTO);
  for (const at of ["0:00", "0:30", "1:00", "1:30", "3:30", "4:00"]) {
    core.reading("M1", at);
    assert.deepEqual(core.readGaps(), [], at);
  }
  core.reading("M1", "2:30", `"x"`);
  core.tick("4:20");
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "4:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@2:00 2:00..3:30 3"], "too late for a mark");
  core.reading("M1", "5:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@5:00 5:00..5:30 1"]);
  assert.equal(core.reading("M1", "5:00"), "LATE 1800");
  assert.deepEqual(core.readGaps(), ["FILLED M1@5:00 5:00..5:00 0"]);
});

Deno.test("Processor counts unusable readings from before the interval was known", () => {
  const core = startHarness({ ...AUTO, allowedLatenessMs: DAY_MS });
  for (const at of ["0:00", "0:30", "1:00", "1:30", "3:30", "4:00"]) core.reading("M1", at);
  for (const at of ["2:30", "2:30", "0:00", "-1:00"]) core.reading("M1", at, `"x"`);
  core.reading("M1", "4:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@2:00 2:00..3:30 3 rejected 1"]);
});

Deno.test("Processor learns from late readings too, in the order of their times", () => {
  const core = startHarness({ ...AUTO, allowedLatenessMs: DAY_MS });
  for (const at of ["5:00", "1:00", "3:00", "2:00", "4:00", "7:00"]) core.reading("M1", at);
  assert.equal(core.reading("M1", "3:00"), "DUPLICATE");
  assert.equal(core.reading("M1", "3:00", 2), "CONFLICT");
  assert.equal(core.processor.meters.intervalMs[0], 0, "a duplicate teaches nothing");
  core.reading("M1", "6:00");
  assert.equal(core.processor.meters.intervalMs[0], HOUR_MS);
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.reading("M1", "3:00"), "DUPLICATE", "what was learned from is remembered");
  assert.equal(core.reading("M1", "2:00", 2), "CONFLICT");
});

Deno.test("Processor sets no TIME_SHIFT while it learns", () => {
  const core = startHarness({ ...AUTO, learningReadings: 6 });
  for (const at of ["0:00", "0:30", "1:07", "1:20", "2:00", "2:30"]) {
    assert.equal(core.reading("M1", at), "OK", at);
  }
  assert.equal(core.processor.meters.intervalMs[0], 30 * MINUTE_MS);
  assert.equal(core.reading("M1", "3:07"), "OK TIME_SHIFT");
});

Deno.test("Processor takes the interval that a reading says, at once and without learning", () => {
  const core = startHarness(AUTO);
  assert.equal(core.reading("M1", "0:00", 1, `,"interval_minutes":20`), "OK");
  assert.equal(core.processor.meters.intervalMs[0], 20 * MINUTE_MS);
  core.reading("M1", "1:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:20 0:20..1:00 2"]);
  for (const at of ["0:00", "1:00", "2:00"]) core.reading("M2", at);
  assert.equal(core.reading("M2", "2:00", 1, `,"interval_minutes":"30"`), "DUPLICATE");
  const gaps = core.readGaps().filter((gap) => gap.includes("M2"));
  assert.deepEqual(gaps, ["CLOSED M2@0:30 0:30..1:00 1", "CLOSED M2@1:30 1:30..2:00 1"]);
});

Deno.test("Processor passes over an interval that is none, and any where it is fixed", () => {
  for (const said of ["0", "-30", "1.5", `"x"`, "null", "true", "1e9", "[30]"]) {
    const core = startHarness(AUTO);
    assert.equal(core.reading("M1", "0:00", 1, `,"interval_minutes":${said}`), "OK");
    assert.equal(core.processor.meters.intervalMs[0], 0, said);
  }
  const fixed = startHarness();
  fixed.reading("M1", "0:00", 1, `,"interval_minutes":15`);
  fixed.reading("M1", "0:30", 1, `,"interval_minutes":15`);
  assert.equal(fixed.processor.meters.intervalMs[0], 30 * MINUTE_MS);
});
