import assert from "node:assert/strict";
import { type Estimate, estimate, type MissingSpan } from "../../src/tables/estimates.ts";

const SLOT_MS = 1_800_000;
const DAY_MS = 48 * SLOT_MS;
/** A Thursday. */
const FROM_MS = Date.UTC(2024, 1, 1, 10);

function span(slots: number, isExport = false): MissingSpan {
  return { fromMs: FROM_MS, toMs: FROM_MS + slots * SLOT_MS, intervalMs: SLOT_MS, isExport };
}

/** Readings outside the span, which are 0.1 kWh in the morning and 0.4 from noon on. */
function household(gap: MissingSpan, days = 60, factor = 1) {
  return (atMs: number) => {
    if (atMs >= gap.fromMs && atMs < gap.toMs) return NaN;
    if (atMs < FROM_MS - days * DAY_MS) return NaN;
    const isSameDay = Math.floor(atMs / DAY_MS) === Math.floor(FROM_MS / DAY_MS);
    const kwh = new Date(atMs).getUTCHours() < 12 ? 0.1 : 0.4;
    return isSameDay ? kwh * factor : kwh;
  };
}

function kwhOf(made: Estimate): readonly number[] {
  assert.ok("kwh" in made);
  return made.kwh;
}

Deno.test("estimate() draws a line over an hour, and over two of an export channel", () => {
  const ends = new Map([[FROM_MS - SLOT_MS, 0.1], [FROM_MS + 2 * SLOT_MS, 0.4]]);
  const made = estimate(span(2), (atMs) => ends.get(atMs) ?? NaN);
  assert.deepEqual(made, { method: "LINEAR", kwh: [0.2, 0.3] });
  const wide = new Map([[FROM_MS - SLOT_MS, 0], [FROM_MS + 4 * SLOT_MS, 0.05]]);
  assert.deepEqual(estimate(span(4, true), (atMs) => wide.get(atMs) ?? NaN), {
    method: "LINEAR",
    kwh: [0.01, 0.02, 0.03, 0.04],
  });
});

Deno.test("estimate() takes the profile of like days beyond an hour", () => {
  const gap = span(8);
  const made = estimate(gap, household(gap));
  assert.deepEqual(made, { method: "PROFILE", kwh: [0.1, 0.1, 0.1, 0.1, 0.4, 0.4, 0.4, 0.4] });
});

Deno.test("estimate() raises the profile by three quarters of the level beside the gap", () => {
  const gap = span(8);
  const kwh = kwhOf(estimate(gap, household(gap, 60, 2)));
  // 24 hours on either side: A = 34 and Q = 24 kWh, so r = 1/4 + 3/4 · 34/24 = 1.3125.
  // The errors are 0.2 − 0.13125 on the left, and 0.8 − 0.525 on the right.
  assert.equal(kwh[0], 0.167); // 0.13125 + 0.06875/2 + 0.275/256
  assert.equal(kwh[2], 0.144); // 0.13125 + 0.06875/8 + 0.275/64
  assert.equal(kwh[7], 0.663); // 0.525 + 0.06875/256 + 0.275/2
});

Deno.test("estimate() refuses what it has no history for, and more than fourteen days", () => {
  const gap = span(8);
  assert.deepEqual(estimate(gap, household(gap, 2)), { refusal: "NO_HISTORY" });
  const long = span(14 * 48 + 1);
  assert.deepEqual(estimate(long, household(long)), { refusal: "TOO_LONG" });
});

Deno.test("estimate() draws a line over two hours where there is no history, and no longer", () => {
  const short = span(4);
  assert.equal(kwhOf(estimate(short, household(short, 2))).length, 4);
  const longer = span(5);
  assert.deepEqual(estimate(longer, household(longer, 2)), { refusal: "NO_HISTORY" });
});
