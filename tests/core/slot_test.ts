import assert from "node:assert/strict";
import { commonestStepMs } from "../../src/core/meter.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

Deno.test("Processor counts a reading to the nearest slot after the meter's latest reading", () => {
  const table: [at: string, said: string, gaps: string[]][] = [
    ["10:14:59.999", "CONFLICT", []],
    ["10:15", "OK TIME_SHIFT", []],
    ["10:30", "OK", []],
    ["10:44:59.999", "OK TIME_SHIFT", []],
    ["10:45", "OK TIME_SHIFT", ["CLOSED M1@10:30 10:30..11:00 1"]],
    ["11:14:59.999", "OK TIME_SHIFT", ["CLOSED M1@10:30 10:30..11:00 1"]],
    ["11:15", "OK TIME_SHIFT", ["CLOSED M1@10:30 10:30..11:30 2"]],
  ];
  for (const [at, said, gaps] of table) {
    const core = startHarness({ gapGraceMs: 0 });
    core.reading("M1", "10:00", 1);
    assert.equal(core.reading("M1", at, 2), said, at);
    assert.deepEqual(core.readGaps(), gaps, at);
  }
});

Deno.test("Processor counts an earlier reading to the nearest slot before the latest one", () => {
  const table: [at: string, said: string][] = [
    ["9:45", "DUPLICATE"],
    ["9:44:59.999", "LATE 900.001 TIME_SHIFT"],
    ["9:30", "LATE 1800"],
    ["9:15", "LATE 2700 TIME_SHIFT"],
    ["9:14:59.999", "LATE 2700.001 TIME_SHIFT"],
  ];
  for (const [at, said] of table) {
    const core = startHarness();
    core.reading("M1", "10:00");
    assert.equal(core.reading("M1", at), said, at);
  }
});

Deno.test("Processor flags TIME_SHIFT beyond the tolerance, by default a tenth of the interval", () => {
  /** `[interval in minutes, tolerance, furthest off its slot that is not flagged]` */
  const table: [number, number | null, number][] = [
    [30, null, 180_000],
    [60, null, 360_000],
    [1, null, 6000],
    [1440, null, 8_640_000],
    [30, 0, 0],
    [30, 60_000, 60_000],
    [30, 500, 500],
    [1, 20_000, 20_000],
  ];
  for (const [minutes, timeToleranceMs, edgeMs] of table) {
    const intervalMs = minutes * MINUTE_MS;
    for (const sign of [1, -1]) {
      for (const beyondMs of [0, 1]) {
        const core = startHarness({ expectedIntervalMs: intervalMs, timeToleranceMs });
        core.reading("M1", "10:00");
        const said = core.reading("M1", ms("10:00") + intervalMs + sign * (edgeMs + beyondMs));
        const label = `${minutes} min, ${timeToleranceMs}, ${sign * (edgeMs + beyondMs)} ms`;
        assert.equal(said, beyondMs === 1 ? "OK TIME_SHIFT" : "OK", label);
      }
    }
  }
});

Deno.test("Processor flags a late reading by its distance from its slot, several slots back", () => {
  for (const [at, said] of [["9:03", "LATE 3420"], ["9:03:00.001", "LATE 3419.999 TIME_SHIFT"]]) {
    const core = startHarness();
    core.reading("M1", "8:00");
    core.reading("M1", "10:00");
    assert.equal(core.reading("M1", at), said);
  }
});

Deno.test("Processor lets a slow clock drift add up to nothing", () => {
  for (const driftMs of [1000, -1000, 179_000, -179_000]) {
    const core = startHarness();
    let atMs = ms("0:00");
    for (let reading = 0; reading < 500; reading++) {
      assert.equal(core.reading("M1", atMs), "OK", `reading ${reading}, drift ${driftMs}`);
      atMs += 30 * MINUTE_MS + driftMs;
    }
    assert.deepEqual(core.readGaps(), [], `drift ${driftMs}`);
    assert.equal(core.processor.state.ledger.ok, 500);
  }
});

Deno.test("Processor calls a repeat DUPLICATE or CONFLICT by the value that took its slot", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  core.reading("M1", "10:00", 1);
  core.reading("M1", "10:30", 2);
  core.reading("M1", "11:00", 3);
  assert.equal(core.reading("M1", "10:00", 1), "DUPLICATE");
  assert.equal(core.reading("M1", "10:00", 2), "CONFLICT");
  assert.equal(core.reading("M1", "10:00", 2), "CONFLICT", "the refused value takes nothing");
  assert.equal(core.reading("M1", "10:00:01", "1.0"), "DUPLICATE");
  assert.equal(core.reading("M1", "10:29:59", "2e0"), "DUPLICATE");
  const { rejected } = core.readOutputs();
  assert.equal(rejected[1].detail, "its interval is taken by 1");
});

Deno.test("Processor uses a meter's own interval where the registry knows it", () => {
  for (const expectedIntervalMs of [30 * MINUTE_MS, "auto"] as const) {
    const intervalMsByMeter = new Map([["M2", HOUR_MS], ["M3", 5 * MINUTE_MS]]);
    const core = startHarness({ expectedIntervalMs, intervalMsByMeter });
    for (const id of ["M1", "M2", "M3"]) core.reading(id, "0:00");
    for (const id of ["M1", "M2"]) core.reading(id, "1:00");
    core.readGaps();
    core.reading("M2", "2:00");
    core.reading("M3", "1:10");
    const gaps = core.readGaps().filter((gap) => !gap.includes("M1"));
    assert.deepEqual(gaps, [
      "OPEN M3@0:05 0:05..1:50 21",
      "CLOSED M3@0:05 0:05..1:10 13",
      "OPEN M3@1:15 1:15..1:50 7",
    ]);
    assert.equal(core.reading("M2", "3:10"), "OK TIME_SHIFT", "a tenth of its own interval");
  }
});

/** What is learned from steps of so many minutes. */
const LEARNED: [stepMinutes: number[], minutes: number][] = [
  ...[1, 5, 10, 15, 30, 60, 1440].map((m): [number[], number] => [[m, m, m, m, m], m]),
  ...[1, 5, 10, 15, 30, 60, 1440].map((m): [number[], number] => [
    [m * 1.04, m * 0.97, m, m * 1.01, m * 0.99],
    m,
  ]),
  [[30, 30, 90, 30, 30], 30],
  [[30, 60, 30, 60, 60], 60],
  [[30, 60], 30],
  [[60, 30], 30],
  [[0.1, 0.1], 1],
  [[3, 3], 1],
  [[3.1, 3.1], 5],
  [[7.5], 5],
  [[7.6], 10],
  [[12.5], 10],
  [[22.5], 15],
  [[45], 30],
  [[45.1], 60],
  [[750], 60],
  [[751], 1440],
  [[10_000], 1440],
];

Deno.test("commonestStepMs() snaps each step to the nearest usual interval; ties go to the smaller", () => {
  for (const [steps, minutes] of LEARNED) {
    const timesMs = [ms("0:00")];
    for (const step of steps) timesMs.push(timesMs[timesMs.length - 1] + step * MINUTE_MS);
    assert.equal(commonestStepMs(timesMs), minutes * MINUTE_MS, steps.join());
  }
});

Deno.test("Processor judges a learned meter by the interval its first readings show", () => {
  for (const minutes of [1, 5, 10, 15, 30, 60, 1440]) {
    const stepMs = minutes * MINUTE_MS;
    const core = startHarness({ expectedIntervalMs: "auto", stateTtlMs: 30 * DAY_MS });
    let atMs = ms("0:00");
    for (let reading = 1; reading <= 6; reading++, atMs += stepMs) core.reading("M1", atMs);
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
  const core = startHarness({ expectedIntervalMs: "auto" });
  for (const at of ["0:00", "0:30", "1:00", "3:00", "3:30"]) {
    core.reading("M1", at);
    assert.deepEqual(core.readGaps(), [], at);
  }
  core.tick("4:00");
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "5:00");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@1:30 1:30..3:00 3",
    "CLOSED M1@4:00 4:00..5:00 2",
  ]);
  assert.equal(core.reading("M1", "4:30"), "LATE 1800");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@4:00 4:00..4:30 1"]);
});

Deno.test("Processor learns from late readings too, in the order of their times", () => {
  const core = startHarness({ expectedIntervalMs: "auto", allowedLatenessMs: DAY_MS });
  for (const at of ["5:00", "1:00", "3:00", "2:00", "4:00"]) core.reading("M1", at);
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
  const core = startHarness({ expectedIntervalMs: "auto" });
  for (const at of ["0:00", "0:30", "1:07", "1:20", "2:00", "2:30"]) {
    assert.equal(core.reading("M1", at), "OK", at);
  }
  assert.equal(core.reading("M1", "3:07"), "OK TIME_SHIFT");
});
