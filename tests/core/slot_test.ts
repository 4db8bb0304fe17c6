import assert from "node:assert/strict";
import { DAY_MS, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

Deno.test("Processor counts a reading to the nearest slot after the meter's latest reading", () => {
  const table: [at: string, said: string, gaps: string[]][] = [
    ["10:14:59.999", "CONFLICT", []],
    ["10:15", "OK TIME_SHIFT", []],
    ["10:30", "OK", []],
    ["10:45", "OK TIME_SHIFT", []],
    ["10:45:56.250", "OK TIME_SHIFT", []],
    ["10:45:56.251", "OK TIME_SHIFT", ["CLOSED M1@10:30 10:30..11:00 1"]],
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
        core.reading("M1", "0:00");
        const said = core.reading("M1", ms("0:00") + intervalMs + sign * (edgeMs + beyondMs));
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

Deno.test("Processor flags no steady offset and no drift, but a jump to it and back", () => {
  const core = startHarness();
  const said = ["0:07", "0:37", "1:07", "1:20", "2:07", "2:37"].map((at) => core.reading("M1", at));
  assert.deepEqual(said, ["OK", "OK", "OK", "OK TIME_SHIFT", "OK TIME_SHIFT", "OK"]);
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("Processor names the slot of a repeat and the value that holds it", () => {
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
  assert.equal(rejected[0].detail, "its interval 2024-01-01T10:00:00Z is taken by 1");
  assert.equal(rejected[1].detail, "its interval 2024-01-01T10:00:00Z is taken by 1");
  assert.equal(rejected[4].detail, "its interval 2024-01-01T10:30:00Z is taken by 2");
});

Deno.test("Processor by `revisions: last` lets another value for a taken slot replace it", () => {
  const core = startHarness({ revisions: "last", allowedLatenessMs: DAY_MS, negative: "flag" });
  core.reading("M1", "10:00", 1);
  core.reading("M1", "10:30", 2);
  core.reading("M1", "11:30", 2);
  assert.equal(core.reading("M1", "10:30", 2), "DUPLICATE");
  assert.equal(core.reading("M1", "10:30", 3), "LATE 3600 REVISES");
  assert.equal(core.reading("M1", "10:30", 2), "LATE 3600 REVISES", "it was 3 by then");
  assert.equal(core.reading("M1", "10:35", -1), "LATE 3300 NEGATIVE TIME_SHIFT REVISES");
  const { validated, gaps } = core.readOutputs();
  assert.deepEqual(validated.slice(3).map(({ revisesKwh }) => revisesKwh), [2, 3, 2]);
  assert.equal(gaps.length, 1, "the gap at 11:00 and no other");
  assert.equal(core.reading("M1", "11:40", 5), "OK TIME_SHIFT REVISES");
  assert.equal(core.watermark(), "11:40", "it moves the watermark");
  assert.equal(core.reading("M1", "12:00", 5), "OK", "and not the grid");
  const { late, ok, duplicate } = core.processor.state.ledger;
  assert.deepEqual([ok, late, duplicate], [5, 3, 1]);
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

Deno.test("Processor never calls a slot taken that it does not remember", () => {
  const h = startHarness();
  h.reading("M1", "0:00");
  for (let slot = 1; slot < 20; slot++) h.reading("M1", ms("0:00") + slot * 30 * MINUTE_MS);
  // The horizon reaches the slot at 8:30; what is before is not remembered, and not in time.
  assert.equal(h.reading("M1", "8:30"), "DUPLICATE");
  assert.equal(h.reading("M1", "8:29:59.999"), "TOO_LATE 3600.001");
});
