import assert from "node:assert/strict";
import fc from "fast-check";
import { newTimeLog, noteTime, sortedTimes } from "../../src/replay/time_log.ts";

const HALF_HOUR_MS = 1_800_000;
const START_MS = Date.UTC(2013, 0);

Deno.test("sortedTimes() gives back every time of every series, in order", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant(HALF_HOUR_MS) },
    { weight: 2, arbitrary: fc.integer({ min: -400, max: 400 }).map((n) => n * 60_000) },
    { weight: 1, arbitrary: fc.integer({ min: -4000, max: 4000 }).map((n) => n * 1000) },
    { weight: 1, arbitrary: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }) },
  );
  const note = fc.record({ series: fc.integer({ min: 0, max: 700 }), step, faulty: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(note, { maxLength: 300 }),
      fc.integer({ min: 1, max: 4 }),
      (notes, few) => {
        const log = newTimeLog(2);
        const expected = new Map<number, number[]>();
        let ms = START_MS;
        for (const { series, step, faulty } of notes) {
          ms += step;
          const one = few === 1 ? series : series % few;
          noteTime(log, one, ms, faulty ? 1 : 0);
          expected.set(one, [...expected.get(one) ?? [], ms * 2 + (faulty ? 1 : 0)]);
        }
        for (const [series, times] of expected) {
          assert.deepEqual([...sortedTimes(log, series)], times.sort((a, b) => a - b));
        }
      },
    ),
  );
  assert.equal(sortedTimes(newTimeLog(), 1000).length, 0);
});

/** Bytes that a log holds besides what each series has in any case. */
function sizeOf(log: ReturnType<typeof newTimeLog>): number {
  return log.chunks * 32;
}

Deno.test("noteTime() keeps ordered series in nearly nothing, and a shuffled one in a few bytes a row", () => {
  const rows = 100_000;
  const ordered = newTimeLog();
  for (let row = 0; row < rows; row++) {
    noteTime(ordered, row % 100, START_MS + Math.floor(row / 100) * HALF_HOUR_MS, 0);
  }
  assert.ok(sizeOf(ordered) <= 100 * 32, `${sizeOf(ordered)} bytes`);
  const shuffled = newTimeLog();
  for (let row = 0; row < rows; row++) {
    noteTime(shuffled, row % 5, START_MS + ((row * 7919) % 17_520) * HALF_HOUR_MS, 0);
  }
  assert.ok(sizeOf(shuffled) <= rows * 5, `${sizeOf(shuffled) / rows} bytes a row`);
});
