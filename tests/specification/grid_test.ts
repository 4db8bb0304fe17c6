/** The grid of the contract (semantics.md §4) on what it is said to have been measured with. */
import assert from "node:assert/strict";
import { createRandom } from "../../src/generate/random.ts";
import { goForward, learnInterval, MINUTE_MS, placeOf, startGrid } from "./grid.ts";

const INTERVAL_MS = 30 * MINUTE_MS;
const BASE_MS = Date.UTC(2013, 4, 1);
const READINGS = 960;
const SEEDS = 200;

/** How many readings of a seed get another slot than their own. */
function wrongSlots(offsetMs: (i: number) => number, holeAt = Infinity): number {
  const grid = startGrid(INTERVAL_MS, BASE_MS + offsetMs(0), 15 * MINUTE_MS);
  let wrong = 0;
  for (let i = 1; i < READINGS; i++) {
    const own = i < holeAt ? i : i + 480;
    const { k, residualMs } = placeOf(grid, BASE_MS + own * INTERVAL_MS + offsetMs(i));
    if (grid.ordinal + k !== own) wrong += 1;
    if (k >= 1) goForward(grid, k, residualMs);
  }
  return wrong;
}

const PATTERNS: Record<string, (i: number) => number> = {
  "0/+14/−14": (i) => [0, 14, -14][i % 3] * MINUTE_MS,
  "+14/−14": (i) => [14, -14][i % 2] * MINUTE_MS,
  "0/0/+14/−14": (i) => [0, 0, 14, -14][i % 4] * MINUTE_MS,
  "a steady offset": () => 7 * MINUTE_MS,
  "10 s of drift": (i) => i * 10_000,
  "30 s of drift": (i) => i * 30_000,
  "−30 s of drift": (i) => -i * 30_000,
};

for (const [name, offsetMs] of Object.entries(PATTERNS)) {
  Deno.test(`the grid gives every reading its own slot with ${name}`, () => {
    assert.equal(wrongSlots(offsetMs), 0);
    assert.equal(wrongSlots(offsetMs, 480), 0);
  });
}

/** The sum over all seeds, of jitter so many minutes either way and so much drift a reading. */
function wrongOfSeeds(jitterMinutes: number, driftMs: number, holeAt = Infinity): number {
  let wrong = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = createRandom(seed);
    wrong += wrongSlots((i) => {
      const jitterMs = Math.round((random() * 2 - 1) * jitterMinutes * MINUTE_MS);
      return i * driftMs + jitterMs;
    }, holeAt);
  }
  return wrong;
}

Deno.test("the grid gives every reading its own slot with random jitter of ±8 and ±12 minutes", () => {
  assert.equal(wrongOfSeeds(8, 0), 0);
  assert.equal(wrongOfSeeds(12, 0), 0);
  assert.equal(wrongOfSeeds(8, 0, 480), 0);
});

Deno.test("the grid gives every reading its own slot with ±8 minutes and 10 s of drift", () => {
  assert.equal(wrongOfSeeds(8, 10_000), 0);
  assert.equal(wrongOfSeeds(8, -10_000), 0);
});

Deno.test("learnInterval() finds the interval under jitter, drift, repeats and holes", () => {
  const learned = (timesMs: number[], readingsMax = 48) =>
    learnInterval(timesMs, { readingsMax, graceMs: 15 * MINUTE_MS });
  const of = (offsetMs: (i: number) => number, count = 48, intervalMs = INTERVAL_MS) =>
    Array.from({ length: count }, (_, i) => BASE_MS + i * intervalMs + offsetMs(i));
  for (const pattern of Object.values(PATTERNS)) {
    assert.equal(learned(of(pattern).sort((a, b) => a - b)), INTERVAL_MS);
  }
  for (const minutes of [1, 20, 45, 59, 61, 120, 180]) {
    assert.equal(learned(of(() => 0, 7, minutes * MINUTE_MS)), minutes * MINUTE_MS);
  }
  // A thinned start is not the interval: every second reading of the first day is lost.
  const thinned = of(() => 0, 70).filter((_, i) => i > 30 || i % 2 === 0);
  assert.equal(learned(thinned.slice(0, 7)), 2 * INTERVAL_MS);
  assert.equal(learned(thinned.slice(0, 6)), null);
  assert.equal(learned(of(() => 0, 60).filter((_, i) => i % 3 !== 2).slice(0, 7)), null);
  assert.equal(learned(of(() => 0, 72).filter((_, i) => i % 3 !== 2)), INTERVAL_MS);
});
