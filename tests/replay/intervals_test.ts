import assert from "node:assert/strict";
import { MONTH } from "../../src/core/calendar.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import { contradiction, findIntervals } from "../../src/replay/intervals.ts";

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2024, 0);
const OPTIONS = { gapGraceMs: 15 * MINUTE_MS, zone: UTC_ZONE };

/** Times by their steps in minutes; `30x12`: twelve times 30. */
function times(steps: string): Float64Array {
  const all = [START_MS];
  for (const part of steps.split(" ")) {
    const [minutes, count = "1"] = part.split("x");
    for (let n = 0; n < Number(count); n++) {
      all.push(all[all.length - 1] + Number(minutes) * MINUTE_MS);
    }
  }
  return Float64Array.from(all);
}

/** The pieces as `30`, or `30 720:15`: from so many minutes on another one. */
function show(timesMs: Float64Array): string {
  return findIntervals(timesMs, OPTIONS).map(({ fromMs, intervalMs }) => {
    const interval = intervalMs === MONTH ? "month" : String(intervalMs / MINUTE_MS);
    return fromMs === START_MS ? interval : `${(fromMs - START_MS) / MINUTE_MS}:${interval}`;
  }).join(" ");
}

Deno.test("findIntervals() learns any whole-minute step from the whole series", () => {
  const table: [string, string][] = [
    ["30x5", ""],
    ["30x6", "30"],
    ["20x40", "20"],
    ["120x40", "120"],
    ["180x40", "180"],
    ["1440x30", "1440"],
    ["1x100", "1"],
    ["7x100", "7"],
    // A thinned start is holes, whatever it looks like.
    ["60x8 30x100", "30"],
    ["60 90 60 30 60 60 30 90 60 30x20", "30"],
    // Few readings and many holes.
    ["30 60 30 30 90 30 30 30", "30"],
    ["15 15 30 15 45 15 15 15 15", "15"],
    // Jitter: no two steps are alike.
    ["44 2 44 30 16 44 2 44 30 16 44 2 44 30 16 44 2", "30"],
    ["30.2x40 29.7x20 30.1x9", "30"],
  ];
  for (const [steps, interval] of table) assert.equal(show(times(steps)), interval, steps);
});

Deno.test("findIntervals() finds a change from the start of twelve equal steps on, and none before", () => {
  const table: [string, string][] = [
    ["30x100 15x12", "30 3000:15"],
    ["30x100 15x11", "30"],
    ["15x100 30x12", "15 1500:30"],
    ["60x100 15x100 60x100", "60 6000:15 7500:60"],
    ["30x100 600 15x100", "30 3600:15"],
    ["30x50 7 15x50", "30 1507:15"],
    ["30x50 600 30x50", "30"],
    // What came before the first equal steps has an interval of its own, if it is long enough.
    [`${"29.9 30.1 ".repeat(40)}15x20`, "30 2400:15"],
  ];
  for (const [steps, intervals] of table) assert.equal(show(times(steps)), intervals, steps);
});

Deno.test("findIntervals() knows months by three of their steps, also with one missing", () => {
  const months = (...which: number[]) =>
    Float64Array.from(which.map((month) => Date.UTC(2024, month)));
  assert.equal(show(months(0, 1, 2)), "");
  assert.equal(show(months(0, 1, 2, 3)), "month");
  assert.equal(show(months(0, 1, 2, 4, 5, 7, 8, 9, 10, 11)), "month");
});

Deno.test("contradiction() is the first step that comes twelve times in a row and is another", () => {
  assert.equal(contradiction(times("30x100"), 30 * MINUTE_MS), 0);
  assert.equal(contradiction(times("15x11"), 30 * MINUTE_MS), 0);
  assert.equal(contradiction(times("15x12"), 30 * MINUTE_MS), 15 * MINUTE_MS);
  assert.equal(contradiction(times("30x90 60x12"), 30 * MINUTE_MS), 60 * MINUTE_MS);
});
