import { DAY_MS, MONTH } from "./calendar.ts";
import { minutesOf, sayOfMeter } from "./counts.ts";
import {
  goForward,
  Grids,
  INTERVAL_MS_MAX,
  slotAfter,
  startGrid,
  startResiduals,
  stepsTo,
} from "./grid.ts";
import { heldReadings, holdReadings, releaseReadings } from "./held.ts";
import type { ProcessorOptions } from "./options.ts";
import { startPiece } from "./piece.ts";
import type { Step } from "./step.ts";
import { isSlotFree, markSlot, noteOnSlot } from "./take_past.ts";
import { takeSlot } from "./take.ts";
import { ACCEPTED, type Reading, type Taking } from "./taking.ts";

const MINUTE_MS = 60_000;
/** Whole-minute steps that are tried beside the commonest ones. */
const USUAL_MS = [5, 10, 15, 30, 60, 1440].map((minutes) => minutes * MINUTE_MS);
/** From so many steps at once, if this share of them is one. */
const SURE_STEPS = 6;
const SURE_SHARE = 3 / 4;
/** Three steps of 28 to 31 days are a month. */
const MONTH_STEPS = 3;
const COMMONEST_MAX = 3;
/** A reading that finds its slot taken weighs as much as so many missing ones. */
const CONFLICT_COST = 8;
/** Unusable readings remembered while the interval is not known: the latest ones. */
const UNUSABLE_MAX = 1024;

/**
 * Begins to learn the interval of a meter from its first reading. That it is not known is said, and
 * so is that it is: nothing else that is sent tells a meter which is not judged from a complete one.
 */
export function beginLearning(
  step: Step,
  i: number,
  { timestampMs, consumptionKwh }: Reading,
): void {
  const { meters } = step;
  const meterId = meters.idOf(i);
  sayOfMeter(step, { metricType: "interval_unknown", meterId, timestampMs, value: 1, tags: {} });
  meters.grids.slotMs[i] = timestampMs;
  startResiduals(meters.grids, i);
  holdReadings(meters, i, [timestampMs, consumptionKwh]);
}

/** Takes a reading of a meter whose interval is not known: only the same time is the same slot. */
export function takeLearning(step: Step, i: number, reading: Reading): Taking {
  const { meters, options } = step;
  const { timestampMs, consumptionKwh } = reading;
  const readings = heldReadings(step.meters, i);
  noteOnSlot(step, i);
  let at = readings.length;
  while (at > 0 && readings[at - 2] > timestampMs) at -= 2;
  if (at > 0 && readings[at - 2] === timestampMs) {
    const heldKwh = readings[at - 1];
    if (heldKwh === consumptionKwh || options.revisions === "first") {
      return { disposition: "duplicate", heldKwh, slotMs: timestampMs };
    }
    holdReadings(meters, i, readings.with(at - 1, consumptionKwh));
    meters.markChanged(i);
    return { disposition: "revised", heldKwh };
  }
  const more = readings.toSpliced(at, 0, timestampMs, consumptionKwh);
  holdReadings(meters, i, more);
  meters.grids.slotMs[i] = more[more.length - 2];
  meters.markChanged(i);
  const intervalMs = learnInterval(timesIn(more), options);
  if (intervalMs !== 0) settleInterval(step, i, intervalMs);
  noteOnSlot(step, i);
  return ACCEPTED;
}

/** Whether a reading of this time would be the first one while its meter's interval is learned. */
export function isTimeFree(step: Step, i: number, timestampMs: number): boolean {
  return !timesIn(heldReadings(step.meters, i)).includes(timestampMs);
}

/** Notes an unusable reading of a meter whose slots are not known yet. */
export function holdUnusable({ meters }: Step, i: number, timestampMs: number): void {
  const unusableMs = meters.unusable.get(i) ?? [];
  let at = unusableMs.length;
  while (at > 0 && unusableMs[at - 1] > timestampMs) at--;
  if (unusableMs[at - 1] === timestampMs) return;
  unusableMs.splice(at, 0, timestampMs);
  if (unusableMs.length > UNUSABLE_MAX) unusableMs.shift();
  meters.unusable.set(i, unusableMs);
  meters.markChanged(i);
}

/** Lays what came so far out in slots of the interval that is known now. */
export function settleInterval(step: Step, i: number, intervalMs: number): void {
  const { meters } = step;
  const readings = heldReadings(step.meters, i);
  const unusableMs = meters.unusable.get(i) ?? [];
  releaseReadings(meters, i);
  const [timestampMs, consumptionKwh] = readings;
  startPiece(step, i, { intervalMs, timestampMs, consumptionKwh });
  const reading = {
    ...{ timestampMs, consumptionKwh, saidIntervalMs: 0, skippedIntervals: 0 },
    ...{ receivedMs: NaN, quality: null },
  };
  for (let r = 2; r < readings.length; r += 2) {
    reading.timestampMs = readings[r];
    reading.consumptionKwh = readings[r + 1];
    // Of two that meet in one slot both were accepted: the earlier holds it.
    if (isSlotFree(step, i, readings[r])) takeSlot(step, i, reading, -Infinity);
  }
  for (const atMs of unusableMs) markSlot(step, i, atMs);
  sayOfMeter(step, {
    metricType: "interval_learned",
    meterId: meters.idOf(i),
    timestampMs: readings[readings.length - 2],
    value: minutesOf(intervalMs),
    tags: {},
  });
}

function timesIn(readings: readonly number[]): number[] {
  return readings.filter((_, r) => r % 2 === 0);
}

type LearningOptions = Pick<ProcessorOptions, "learningReadings" | "gapGraceMs" | "zone">;

/**
 * The interval of a series of which these times are known, ascending; 0: not known yet. At exactly
 * six steps it is one that three quarters of them are, at the last reading to learn from the one
 * that costs least.
 */
export function learnInterval(timesMs: readonly number[], options: LearningOptions): number {
  const steps = timesMs.length - 1;
  if (steps === MONTH_STEPS && hasMonthsOnly(timesMs)) return MONTH;
  const isLast = timesMs.length >= options.learningReadings;
  if (steps !== SURE_STEPS && !isLast) return 0;
  const counts = countSteps(timesMs);
  if (steps === SURE_STEPS && counts.length > 0 && counts[0].count >= SURE_SHARE * SURE_STEPS) {
    return counts[0].stepMs;
  }
  return isLast ? cheapestInterval(timesMs, counts, options) : 0;
}

function hasMonthsOnly(timesMs: readonly number[]): boolean {
  return timesMs.every((atMs, r) => {
    const stepMs = r === 0 ? 28 * DAY_MS : atMs - timesMs[r - 1];
    return stepMs >= 28 * DAY_MS && stepMs <= 31 * DAY_MS;
  });
}

type StepCount = { readonly stepMs: number; readonly count: number };

/** The whole-minute steps between neighbouring times, the commonest first; the longer of two. */
function countSteps(timesMs: readonly number[]): StepCount[] {
  const counts = new Map<number, number>();
  for (let r = 1; r < timesMs.length; r++) {
    const stepMs = timesMs[r] - timesMs[r - 1];
    if (stepMs % MINUTE_MS !== 0 || stepMs > INTERVAL_MS_MAX) continue;
    counts.set(stepMs, (counts.get(stepMs) ?? 0) + 1);
  }
  return [...counts].map(([stepMs, count]) => ({ stepMs, count }))
    .sort((a, b) => b.count - a.count || b.stepMs - a.stepMs);
}

function cheapestInterval(
  timesMs: readonly number[],
  counts: readonly StepCount[],
  options: LearningOptions,
): number {
  const commonest = counts.slice(0, COMMONEST_MAX).map(({ stepMs }) => stepMs);
  let best = 0;
  let bestCost = Infinity;
  for (const intervalMs of [...new Set([...commonest, ...USUAL_MS])].sort((a, b) => b - a)) {
    const cost = costOf(timesMs, intervalMs, options);
    if (cost < bestCost) [best, bestCost] = [intervalMs, cost];
  }
  return best;
}

/** What the times cost on a grid of an interval: conflicts weigh, and holes count. */
function costOf(
  timesMs: readonly number[],
  intervalMs: number,
  { gapGraceMs: graceMs, zone }: LearningOptions,
): number {
  const grids = new Grids(1);
  startGrid(grids, 0, { intervalMs, atMs: timesMs[0], graceMs, zone });
  const taken = new Set([0]);
  let conflicts = 0;
  for (let r = 1; r < timesMs.length; r++) {
    const steps = stepsTo(grids, 0, timesMs[r], zone);
    const ordinal = grids.ordinal[0] + steps;
    if (taken.has(ordinal)) conflicts++;
    taken.add(ordinal);
    if (steps < 1) continue;
    const slotMs = slotAfter(intervalMs, grids.slotMs[0], steps, zone);
    goForward(grids, 0, steps, slotMs, timesMs[r] - slotMs);
  }
  const span = Math.max(...taken) - Math.min(...taken) + 1;
  return CONFLICT_COST * conflicts + span - taken.size;
}
