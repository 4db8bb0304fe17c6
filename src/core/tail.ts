import { slotAfter, slotsBegun } from "./grid.ts";
import { countMarks } from "./marks.ts";
import type { Step } from "./step.ts";

/**
 * The tail: the slots after the latest reading that went forward. Those of them that are missing
 * are the open gap; of a silent meter they are its silence.
 */

/** How many slots after the latest reading are missing at this watermark. */
export function missingInTail({ meters, options }: Step, i: number, watermarkMs: number): number {
  const { grids } = meters;
  const passedMs = watermarkMs - options.gapGraceMs;
  const begun = slotsBegun(grids.intervalMs[i], grids.slotMs[i], passedMs, options.zone) - 1;
  return Math.max(0, begun);
}

/** When the `steps`-th slot after the latest reading is missing. */
export function tailDueMs(step: Step, i: number, steps: number): number {
  return slotAfterLatest(step, i, steps) + step.options.gapGraceMs;
}

/** When the `steps`-th slot after the latest reading begins. */
export function slotAfterLatest(
  { meters: { grids }, options }: Step,
  i: number,
  steps: number,
): number {
  return slotAfter(grids.intervalMs[i], grids.slotMs[i], steps, options.zone);
}

/** The time in the id of the gap after the latest reading. */
export function tailIdMs(step: Step, i: number): number {
  const idMs = step.meters.openGaps.get(i)?.idMs ?? NaN;
  return Number.isNaN(idMs) ? slotAfterLatest(step, i, 1) : idMs;
}

/** The most slots that the gap after the latest reading ever had, `missing` the last of them. */
export function mostInTail({ meters }: Step, i: number, missing: number): number {
  return Math.max(meters.openGaps.get(i)?.most ?? 0, missing, meters.openSent[i]);
}

/** Announces the gap after the latest reading, which is `missing` ≥ 1 slots long. */
export function announceTail(
  step: Step,
  i: number,
  { state, missing, watermarkMs }: {
    readonly state: "OPEN" | "EXPIRED";
    readonly missing: number;
    readonly watermarkMs: number;
  },
): void {
  const { meters } = step;
  const missingFromMs = slotAfterLatest(step, i, 1);
  if (meters.openSent[i] === 0) step.gapsDetected++;
  meters.openSent[i] = missing;
  meters.markChanged(i);
  step.outputs.gaps.push({
    offset: step.offset,
    meterId: meters.idOf(i),
    idMs: tailIdMs(step, i),
    missingFromMs,
    missingToMs: slotAfterLatest(step, i, missing + 1),
    missingIntervals: missing,
    rejectedIntervals: rejectedInTail(step, i, missing),
    state,
    detectedAtMs: watermarkMs,
  });
}

/** For how many of the `missing` slots after the latest reading an unusable one came. */
export function rejectedInTail({ meters }: Step, i: number, missing: number): number {
  const frozen = meters.openGaps.get(i)?.frozenRejected ?? -1;
  if (frozen >= 0) return Math.min(frozen, missing);
  const marks = meters.marks.get(i);
  return marks === undefined ? 0 : countMarks(marks, meters.ordinal[i] + 1, missing);
}

/** Forgets that there is a gap after the latest reading. */
export function clearTail({ meters }: Step, i: number): void {
  meters.openSent[i] = 0;
  meters.openGaps.delete(i);
}

/** Announces that nothing is left of the gap after the latest reading. */
export function announceTailFilled(
  step: Step,
  i: number,
  { idMs, slotMs, most, watermarkMs }: {
    readonly idMs: number;
    /** The first slot that it had last. */
    readonly slotMs: number;
    readonly most: number;
    readonly watermarkMs: number;
  },
): void {
  step.outputs.gaps.push({
    offset: step.offset,
    meterId: step.meters.idOf(i),
    idMs,
    missingFromMs: slotMs,
    missingToMs: slotMs,
    missingIntervals: 0,
    filledIntervals: most,
    rejectedIntervals: 0,
    state: "FILLED",
    detectedAtMs: watermarkMs,
  });
}
