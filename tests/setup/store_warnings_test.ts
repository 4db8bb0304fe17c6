import assert from "node:assert/strict";
import { warningsOfRepeats } from "../../src/replay/repeat_warnings.ts";

const codesOf = (...args: Parameters<typeof warningsOfRepeats>) =>
  warningsOfRepeats(...args).map(({ code, meters }) => `${code} ${meters?.join(",")}`);
const meter = (readings: number, identical: number, conflicting: number) => ({
  meterId: "A",
  readings,
  identical,
  conflicting,
});
const rowsTwice = (rows: number, stretch = 1) => new Map([["A", { rows, stretch }]]);

Deno.test("warningsOfRepeats() tells what was sent again from two channels under one id", () => {
  assert.deepEqual(codesOf([meter(48, 24, 2)], rowsTwice(24)), ["sent_again A"]);
  assert.deepEqual(codesOf([meter(144, 93, 3)], rowsTwice(96, 96)), ["sent_again A"]);
  assert.deepEqual(codesOf([meter(96, 0, 96)], rowsTwice(96, 96)), ["two_channels A"]);
  assert.deepEqual(codesOf([meter(96, 40, 56)], rowsTwice(96, 96)), ["two_channels A"]);
  assert.deepEqual(codesOf([meter(96, 0, 96)], null), ["two_channels A"], "a recorded topic");
});

Deno.test("warningsOfRepeats() finds one day of many that was sent again", () => {
  assert.deepEqual(codesOf([meter(17_520, 48, 0)], rowsTwice(48, 48)), ["sent_again A"]);
});

Deno.test("warningsOfRepeats() says nothing of the odd repeats that every source has", () => {
  assert.deepEqual(codesOf([meter(22_521, 15, 0)], rowsTwice(15)), []);
  assert.deepEqual(codesOf([meter(1_440, 12, 14)], rowsTwice(26)), []);
  // Readings beside the grid are at no time twice: another interval is set, or a clock is off.
  assert.deepEqual(codesOf([meter(144, 0, 144)], rowsTwice(0)), []);
});
