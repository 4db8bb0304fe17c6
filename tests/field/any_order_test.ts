/** The order of a file's rows changes nothing that it says of the world. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTimestamp } from "../../src/core/time.ts";
import { type Played, playTexts } from "./play.ts";

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2013, 4);
const HEADER = "meter_id,timestamp,consumption_kwh\n";

/** A meter's stretch: how often it is read, how far off, what is lost, and what comes besides. */
const stretch = fc.record({
  minutes: fc.constantFrom(5, 15, 20, 30, 60, 120),
  readings: fc.integer({ min: 1, max: 60 }),
  jitterSeconds: fc.constantFrom(0, 0, 0, 20, 120),
  lostShare: fc.constantFrom(0, 0, 0.1, 0.3),
  extras: fc.array(fc.integer({ min: 0, max: 59 }), { maxLength: 3 }),
  unusable: fc.array(fc.integer({ min: 0, max: 59 }), { maxLength: 3 }),
  pauseMinutes: fc.constantFrom(0, 0, 90, 3000),
  seed: fc.integer({ min: 1, max: 1e6 }),
});
type Stretch = typeof stretch extends fc.Arbitrary<infer S> ? S : never;

/** Whole numbers from 0 on, below a limit, from a seed. */
function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (state >>> 1) % below;
  };
}

/** The rows of a meter; the values of its readings are all different, and do not rise. */
function rowsOf(meter: string, stretches: readonly Stretch[]): string[] {
  const rows: string[] = [];
  let startMs = START_MS;
  const nextValue = () => String((rows.length + 1) * 7919 % 10_007 / 1000);
  const add = (ms: number, value: string) =>
    rows.push(`${meter},${formatTimestamp(ms)},${value}\n`);
  for (
    const { minutes, readings, jitterSeconds, lostShare, extras, unusable, pauseMinutes, seed }
      of stretches
  ) {
    const draw = drawer(seed);
    for (let n = 0; n < readings; n++) {
      const offSeconds = jitterSeconds === 0 ? 0 : draw(2 * jitterSeconds) - jitterSeconds;
      const atMs = startMs + n * minutes * MINUTE_MS + offSeconds * 1000;
      if (draw(1000) < lostShare * 1000) continue;
      if (unusable.includes(n)) add(atMs, "Null");
      else add(atMs, nextValue());
      if (extras.includes(n)) {
        add(atMs + (draw(minutes * 60_000) - minutes * 30_000), nextValue());
      }
    }
    startMs += (readings * minutes + pauseMinutes) * MINUTE_MS;
  }
  return rows;
}

const answer = ({ counts, gaps, validated, inspection }: Played) => ({
  counts,
  gaps,
  validated: validated.map(({ meterId, at, kwh }) => `${meterId} ${at} ${kwh}`).sort(),
  // That one of the parts has no rows is told of that alone.
  warnings: inspection.warnings.filter(({ code }) => code !== "no_rows").map(({ code, meters }) =>
    [code, ...(meters ?? []).toSorted()].join(" ")
  ),
});

Deno.test("replayFiles() lets the core give one answer to a file in any order, and cut anyhow", async () => {
  const fleet = fc.array(fc.array(stretch, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(fleet, fc.integer({ min: 1, max: 1e6 }), async (meters, seed) => {
      const rows = meters.flatMap((stretches, m) => rowsOf(`M${m}`, stretches));
      // Two values at one time have no order but the file's.
      fc.pre(new Set(rows.map((row) => row.slice(0, row.lastIndexOf(",")))).size === rows.length);
      const time = (row: string) => row.split(",")[1];
      const byTime = rows.toSorted((a, b) => time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0);
      const draw = drawer(seed);
      const shuffled = rows.map((row) => [draw(1e9), row] as const).sort(([a], [b]) => a - b)
        .map(([, row]) => row);
      const file = (rows: readonly string[]) => HEADER + rows.join("");
      const cut = draw(rows.length);
      const right = answer(await playTexts([file(byTime)]));
      const forms: [string, string[]][] = [
        ["by meter", [file(rows)]],
        ["newest first", [file(byTime.toReversed())]],
        ["shuffled", [file(shuffled)]],
        ["two files", [file(shuffled.slice(0, cut)), file(shuffled.slice(cut))]],
        ["put together", [file(rows.slice(cut)) + file(rows.slice(0, cut))]],
      ];
      for (const [form, texts] of forms) {
        const partitions = form === "shuffled" ? 3 : 1;
        const settings = partitions === 1 ? {} : { watermark_scope: "meter" };
        const same = partitions === 1
          ? right
          : answer(await playTexts([file(byTime)], { partitions, settings }));
        assert.deepEqual(answer(await playTexts(texts, { partitions, settings })), same, form);
      }
    }),
    { numRuns: 60 },
  );
});
