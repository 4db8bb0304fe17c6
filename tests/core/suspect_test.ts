/**
 * What the core is believed to do wrong against semantics.md, one failing test a suspicion. A test
 * that passes moves to the file of its subject, and its workaround elsewhere goes.
 */
import assert from "node:assert/strict";
import { applyChanges, CodecError, encodeAll, encodeChanges } from "../../src/core/codec.ts";
import { Processor } from "../../src/core/processor.ts";
import { DEFAULTS, startHarness } from "./harness.ts";

/** Section 2 makes no exception for the readings from which an interval is learned. */
Deno.test("Processor counts in a gap of the learning span the slots of unusable readings", () => {
  const core = startHarness({ expectedIntervalMs: "auto" });
  for (const at of ["0:00", "0:30", "1:00"]) core.reading("M1", at);
  core.reading("M1", "1:30", -1);
  for (const at of ["2:00", "2:30", "3:00"]) core.reading("M1", at);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@1:30 1:30..2:00 1 rejected 1"]);
});

/**
 * A payload does not say how many meters it holds, so bytes cut behind a whole one are read without
 * a word: those meters come back unknown, and their repeats would be taken as new readings.
 */
Deno.test("A payload that lost whole meters at its end is refused", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  const shorter = encodeChanges(core.processor).length;
  core.reading("M1", "10:30");
  core.reading("M2", "10:30");
  const [all] = encodeAll(core.processor, 1 << 20);
  assert.throws(() => applyChanges(all.subarray(0, shorter), new Processor(DEFAULTS)), CodecError);
});
