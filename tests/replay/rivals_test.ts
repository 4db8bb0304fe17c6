import assert from "node:assert/strict";
import { UTC_ZONE } from "../../src/core/zone.ts";
import { findWaiting, waitsUntilMs } from "../../src/replay/rivals.ts";

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 0);
const ms = (minutes: number) => START_MS + minutes * MINUTE_MS;

/** Which of these readings wait, and until when: `14.9>15`, in minutes. */
function waiting(minutes: readonly number[], intervals: readonly [number, number][] = [[0, 15]]) {
  const timesMs = Float64Array.from(minutes, ms);
  const pieces = intervals.map(([from, interval]) => ({
    fromMs: ms(from),
    intervalMs: interval * MINUTE_MS,
  }));
  const found = findWaiting(timesMs, pieces, { gapGraceMs: 15 * MINUTE_MS, zone: UTC_ZONE });
  const list = minutes.flatMap((minute) => {
    const untilMs = waitsUntilMs(found, ms(minute));
    return Number.isNaN(untilMs) ? [] : [`${minute}>${(untilMs - START_MS) / MINUTE_MS}`];
  });
  return { list, runs: found.length };
}

const every = (step: number, count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => from + n * step);

Deno.test("findWaiting() lets a reading off the grid wait for the one on it, of the same slot", () => {
  const grid = every(15, 100);
  const withExtra = (...extra: number[]) => [...grid, ...extra].sort((a, b) => a - b);
  assert.deepEqual(waiting(grid), { list: [], runs: 0 });
  assert.deepEqual(waiting(withExtra(149.9)).list, ["149.9>150"]);
  // Behind the one on the grid it comes second as it is; in a free slot it is the one.
  assert.deepEqual(waiting(withExtra(150.1)).list, []);
  assert.deepEqual(waiting(withExtra(149.9).filter((minute) => minute !== 150)).list, []);
  assert.deepEqual(waiting(withExtra(148, 149, 149.5)).list, ["148>150", "149>150", "149.5>150"]);
  assert.deepEqual(waiting([-0.1, ...grid]).list, ["-0.1>0"]);
});

Deno.test("findWaiting() keeps readings that wait at equal steps as one", () => {
  const { list, runs } = waiting(every(15, 2000), [[0, 30]]);
  assert.equal(runs, 1);
  assert.equal(list.length, 999);
  assert.equal(list[0], "15>30");
});

Deno.test("findWaiting() asks each piece by its own interval", () => {
  const minutes = [...every(30, 50), ...every(15, 50, 1500), 2099.9].sort((a, b) => a - b);
  assert.deepEqual(waiting(minutes, [[0, 30], [1500, 15]]).list, ["2099.9>2100"]);
});

Deno.test("findWaiting() lets nothing wait where jitter and drift take every slot once", () => {
  const jitter = every(30, 400).map((minute, n) => minute + [0, 14, -14][n % 3]);
  assert.deepEqual(waiting(jitter, [[0, 30]]).list, []);
  assert.deepEqual(waiting(every(30.2, 400), [[0, 30]]).list, []);
});
