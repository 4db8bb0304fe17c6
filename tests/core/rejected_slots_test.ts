import assert from "node:assert/strict";
import { HOUR_MS, startHarness } from "./harness.ts";

/** Unusable readings whose meter and time are good. */
const UNUSABLE = ["-1", "1e6", "null", `"Null"`, "1e400", "[]"];

Deno.test("Processor lets a rejected reading fill no slot: the good one after it is no duplicate", () => {
  for (const bad of UNUSABLE) {
    const core = startHarness();
    core.reading("M1", "10:00");
    core.reading("M1", "10:30", bad);
    assert.equal(core.reading("M1", "10:30", 2), "OK", bad);
    assert.equal(core.processor.meters.marks.size, 0, "the slot is no longer marked");
    assert.equal(core.reading("M1", "10:30", 2), "DUPLICATE", bad);
    core.reading("M1", "11:00");
    assert.deepEqual(core.readGaps(), [], bad);
  }
});

Deno.test("Processor starts no history with a rejected reading", () => {
  const core = startHarness();
  for (const bad of UNUSABLE) core.reading("M1", "10:00", bad);
  core.tick("20:00");
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.processor.meters.count, 0);
});

Deno.test("Processor counts in a gap the slots of which an unusable reading came", () => {
  for (const bad of UNUSABLE) {
    const core = startHarness();
    core.reading("M1", "10:00");
    core.reading("M1", "10:30", bad);
    core.reading("M1", "11:30", bad);
    core.tick("12:15");
    assert.deepEqual(core.readGaps(), ["OPEN M1@10:30 10:30..12:30 4 rejected 2"], bad);
    core.reading("M1", "12:30");
    assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..12:30 4 rejected 2"], bad);
  }
});

Deno.test("Processor counts a reading without a value, in the field or without the field", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.record(`{"meter_id":"M1","timestamp":"2024-01-01T10:30:00Z"}`);
  core.reading("M1", "11:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..11:00 1 rejected 1"]);
});

Deno.test("Processor counts a slot once, however many unusable readings came for it", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  for (const bad of UNUSABLE) core.reading("M1", "10:30", bad);
  core.reading("M1", "10:31", -1);
  core.reading("M1", "11:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..11:00 1 rejected 1"]);
});

/** Records that tell of no slot: their meter or their time cannot be believed. */
const TELL_NOTHING: [name: string, raw: string][] = [
  ["FUTURE", `"timestamp":"2024-01-01T10:30:00Z","consumption_kwh":1,"received_at":"2024-01-01"`],
  [
    "a bad value from the future",
    `"timestamp":"2024-01-01T10:30:00Z","consumption_kwh":-1,"received_at":"2024-01-01"`,
  ],
  ["BAD_TIMESTAMP", `"timestamp":"01/01/2024 10:30","consumption_kwh":1`],
  ["no timestamp", `"consumption_kwh":1`],
  ["too late", `"timestamp":"2024-01-01T08:30:00Z","consumption_kwh":-1`],
];

Deno.test("Processor counts in no gap a rejected record whose time cannot be believed", () => {
  for (const [name, fields] of TELL_NOTHING) {
    const core = startHarness();
    core.reading("M1", "10:00");
    core.record(`{"meter_id":"M1",${fields}}`);
    core.reading("M1", "11:00");
    assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..11:00 1"], name);
  }
});

Deno.test("Processor counts no unusable reading that is too late, also for a gap it remembers", () => {
  const core = startHarness();
  core.reading("M1", "7:00");
  core.reading("M1", "8:00");
  core.reading("M2", "8:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@7:30 7:30..8:00 1"]);
  core.reading("M1", "7:29:59.999", -1);
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "7:30", -1);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@7:30 7:30..8:00 1 rejected 1"]);
});

Deno.test("Processor counts no unusable reading for a slot that is taken, or before the first", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  core.reading("M1", "10:00");
  core.reading("M1", "10:30");
  for (const at of ["9:30", "10:00", "10:30"]) core.reading("M1", at, -1);
  assert.equal(core.processor.meters.marks.size, 0);
  core.reading("M1", "9:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@9:30 9:30..10:00 1"]);
});

Deno.test("Processor announces a closed gap again when an unusable reading comes for it", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.reading("M1", "12:00");
  core.readGaps();
  core.reading("M1", "11:00", -1);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..12:00 3 rejected 1"]);
  core.reading("M1", "11:00", -1);
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.reading("M1", "11:00", 1), "LATE 3600");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@10:30 10:30..11:00 1",
    "CLOSED M1@11:30 11:30..12:00 1",
  ]);
});

Deno.test("Processor says of an open gap on a final tick how many unusable readings came", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.tick("10:45");
  core.reading("M1", "10:30", -1);
  assert.deepEqual(core.readGaps(), ["OPEN M1@10:30 10:30..11:00 1"]);
  core.tick("10:46", { final: true });
  assert.deepEqual(core.readGaps(), ["OPEN M1@10:30 10:30..11:00 1 rejected 1"]);
});

Deno.test("Processor counts unusable readings in a gap that expires", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.reading("M1", "0:30", -1);
  core.reading("M1", "1:30", -1);
  core.tick("300:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@0:30 0:30..168:00 335 rejected 2"]);
  assert.equal(core.processor.meters.marks.size, 0);
});
