import assert from "node:assert/strict";
import { loggedValues, newValueLog, noteValue } from "../../src/replay/value_log.ts";

Deno.test("loggedValues() gives back every value of every series, in the order they came", () => {
  const log = newValueLog(1);
  const expected: number[][] = [[], [], []];
  for (let n = 0; n < 300_000; n++) {
    // Long stretches of one series, and turns of all.
    const series = n < 100_000 ? 0 : n % 3;
    expected[series].push(n / 8);
    noteValue(log, series, n / 8);
  }
  for (const [series, values] of expected.entries()) {
    const got = loggedValues(log, series);
    assert.equal(got.length, values.length);
    assert.ok(got.every((value, n) => value === values[n]));
  }
  assert.equal(loggedValues(log, 1000).length, 0);
});
