import assert from "node:assert/strict";
import fc from "fast-check";
import { DAY_MS, MONTH } from "../../src/core/calendar.ts";
import {
  goForward,
  goForwardEvenly,
  Grids,
  slotAfter,
  startGrid,
  stepsTo,
} from "../../src/core/grid.ts";
import { buildZone, UTC_ZONE, type Zone } from "../../src/core/zone.ts";
import { createRandom } from "../../src/generate/random.ts";
import { HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

const T = 30 * MINUTE_MS;
const START_MS = Date.UTC(2024, 0, 1);

/** Where readings lie on a grid: the ordinal that each is counted to. */
function placesOf(
  timesMs: readonly number[],
  { intervalMs = T, graceMs = 15 * MINUTE_MS, zone = UTC_ZONE as Zone } = {},
): number[] {
  const grids = new Grids(1);
  startGrid(grids, 0, { intervalMs, atMs: timesMs[0], graceMs, zone });
  return timesMs.map((atMs, r) => {
    if (r === 0) return 0;
    const steps = stepsTo(grids, 0, atMs, zone);
    const ordinal = grids.ordinal[0] + steps;
    const slotMs = slotAfter(intervalMs, grids.slotMs[0], steps, zone);
    if (steps >= 1) goForward(grids, 0, steps, slotMs, atMs - slotMs);
    return ordinal;
  });
}

/** How many of `count` readings are counted to a slot other than the one they are made for. */
function wrongSlots(count: number, atOf: (n: number) => number): number {
  const places = placesOf(Array.from({ length: count }, (_, n) => atOf(n)));
  return places.filter((ordinal, n) => ordinal - places[0] !== n).length;
}

Deno.test("A grid takes a neighbour's slot for no pattern of jitter, at any beginning", () => {
  const patterns = [[0, 14, -14], [14, -14], [-14, 14, 0], [0, 14], [-14, -14, 14], [12, -12, 5]];
  for (const pattern of patterns) {
    for (let first = 0; first < pattern.length; first++) {
      const offMinutes = (n: number) => pattern[(n + first) % pattern.length];
      const wrong = wrongSlots(960, (n) => START_MS + n * T + offMinutes(n) * MINUTE_MS);
      assert.equal(wrong, 0, `${pattern} from ${first}`);
    }
  }
});

Deno.test("A grid follows a clock that drifts, and holds against random jitter", () => {
  const table: [driftSeconds: number, jitterMinutes: number][] = [
    ...[[0, 8], [0, 12], [10, 0], [30, 0], [-10, 0], [-30, 0], [10, 8], [-10, 8]] as const,
  ].map(([drift, jitter]) => [drift, jitter]);
  for (const [driftSeconds, jitterMinutes] of table) {
    for (let seed = 1; seed <= 40; seed++) {
      const random = createRandom(seed);
      const jitterMs = () => Math.round((random() * 2 - 1) * jitterMinutes * 60) * 1000;
      const wrong = wrongSlots(
        1440,
        (n) => START_MS + n * (T + driftSeconds * 1000) + jitterMs(),
      );
      assert.equal(wrong, 0, `drift ${driftSeconds} s, jitter ${jitterMinutes} min, seed ${seed}`);
    }
  }
});

Deno.test("A grid keeps the phase of its series, and begins on the clock within the grace", () => {
  for (const offMinutes of [0, 3, 7.5, 14.9, -14, 15, 22]) {
    const wrong = wrongSlots(500, (n) => START_MS + n * T + offMinutes * MINUTE_MS);
    assert.equal(wrong, 0, `${offMinutes} min`);
  }
  const slotOf = (atMs: number, intervalMs: number) => {
    const grids = new Grids(1);
    startGrid(grids, 0, { intervalMs, atMs, graceMs: 15 * MINUTE_MS, zone: UTC_ZONE });
    return grids.slotMs[0] + grids.prevMs(0) - atMs === 0 ? grids.slotMs[0] : NaN;
  };
  assert.equal(slotOf(START_MS + 10_000, T), START_MS + 625, "a sixteenth of 10 s after the clock");
  assert.equal(slotOf(START_MS + 20 * MINUTE_MS, HOUR_MS), START_MS + 20 * MINUTE_MS);
  assert.equal(slotOf(START_MS + 10_000, 7 * MINUTE_MS), START_MS + 10_000, "7 divides no day");
});

Deno.test("A grid forgets how the last readings lay after a hole of more than sixteen slots", () => {
  const timesMs = Array.from({ length: 40 }, (_, n) => START_MS + n * T + 12 * MINUTE_MS);
  for (let n = 0; n < 40; n++) timesMs.push(START_MS + (600 + n) * T + 12 * MINUTE_MS);
  const places = placesOf(timesMs);
  assert.deepEqual(places.slice(40), Array.from({ length: 40 }, (_, n) => 600 + n));
});

Deno.test("A grid of days is that of the calendar of its zone, and does not move", () => {
  const zone = buildZone("Europe/London");
  const at = (text: string) => Date.parse(text);
  const days = ["2024-10-25T23:00Z", "2024-10-26T23:00Z", "2024-10-28T00:00Z", "2024-10-29T00:00Z"];
  assert.deepEqual(placesOf(days.map(at), { intervalMs: DAY_MS, zone }), [0, 1, 2, 3]);
  const late = ["2024-01-01T11:59Z", "2024-01-02T12:00Z", "2024-01-03T11:59:59Z"];
  assert.deepEqual(placesOf(late.map(at), { intervalMs: DAY_MS }), [0, 2, 2], "half: the later");
});

Deno.test("A grid of months is that of the calendar", () => {
  const months = ["2024-01-01", "2024-02-01", "2024-03-02", "2024-05-01", "2025-01-01"];
  const timesMs = months.map((text) => Date.parse(`${text}T00:00Z`));
  assert.deepEqual(placesOf(timesMs, { intervalMs: MONTH }), [0, 1, 2, 4, 12]);
  assert.equal(
    slotAfter(MONTH, Date.UTC(2024, 0, 1), 13, UTC_ZONE),
    Date.UTC(2025, 1, 1),
  );
});

/** A stream of one meter: steps of its clock, each late, early, lost, repeated or held back. */
const stepArbitrary = fc.record({
  kind: fc.constantFrom("ok", "ok", "ok", "lost", "twice", "heldBack"),
  jitterMs: fc.integer({ min: -14 * 60, max: 14 * 60 }).map((seconds) => seconds * 1000),
});

Deno.test("Of a meter's slots, present and missing ones are all from its first to its last", () => {
  fc.assert(
    fc.property(
      fc.array(stepArbitrary, { minLength: 1, maxLength: 120, size: "max" }),
      fc.integer({ min: -60, max: 60 }),
      (steps, driftSeconds) => {
        const core = startHarness({ allowedLatenessMs: 100 * HOUR_MS });
        let heldBack: number[] = [];
        steps.forEach(({ kind, jitterMs }, n) => {
          const atMs = ms("0:00") + n * (T + driftSeconds * 1000) + jitterMs;
          if (kind === "lost") return;
          if (kind === "heldBack") return void heldBack.push(atMs);
          core.reading("M1", atMs, n);
          if (kind === "twice") core.reading("M1", atMs, n);
          if (n % 7 === 6) {
            for (const lateMs of heldBack) core.reading("M1", lateMs, 1);
            heldBack = [];
          }
        });
        const { meters, state } = core.processor;
        if (meters.count === 0) return;
        const span = meters.ordinal[0] - meters.firstOrdinal[0] + 1;
        const missing = (meters.holes.get(0) ?? []).reduce((sum, { count }) => sum + count, 0);
        assert.equal(state.ledger.ok + state.ledger.late + missing, span);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("goForwardEvenly() does what as many goForward() do, wherever the grid stands", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: -500_000, max: 500_000 }), { maxLength: 40 }),
    fc.integer({ min: 1, max: 200 }),
    fc.constantFrom(0, 1, -7, 15_000),
    (residuals, count, lastMs) => {
      const [even, each] = [new Grids(1), new Grids(1)];
      const intervalMs = 1_800_000;
      for (const grids of [even, each]) {
        startGrid(grids, 0, { intervalMs, atMs: 0, graceMs: 0, zone: UTC_ZONE });
        for (const offMs of [...residuals, ...Array(40).fill(lastMs)]) {
          goForward(grids, 0, 1, grids.slotMs[0] + intervalMs, offMs);
        }
      }
      goForwardEvenly(even, 0, count);
      for (let n = 0; n < count; n++) {
        goForward(each, 0, 1, each.slotMs[0] + intervalMs, each.prevMs(0));
      }
      assert.deepEqual(even, each);
    },
  ));
});
