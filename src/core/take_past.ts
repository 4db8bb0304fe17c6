import { isCalendar } from "./calendar.ts";
import { slotAfter, stepsOnPast, stepsTo } from "./grid.ts";
import { fillSlot, findHole, type Hole, newHole } from "./hole.ts";
import { addMark, removeMark } from "./marks.ts";
import type { MeterTable, PastPiece } from "./meters.ts";
import type { Step } from "./step.ts";
import { slotAfterLatest } from "./tail.ts";
import { ACCEPTED, FORGOTTEN, type Reading, type Taking } from "./taking.ts";
import { isEstimate } from "./wire/delivered_quality.ts";

/**
 * Notes for the rules how a reading lies on the slots of its series: its own begins at `slotMs`, and
 * the latest reading before it that went forward was `prevMs` off.
 */
export function notePlacing(
  { placing, options }: Step,
  intervalMs: number,
  slotMs: number,
  prevMs: number,
  timestampMs: number,
): void {
  placing.offSlotMs = timestampMs - slotMs;
  placing.offBeforeMs = prevMs;
  placing.intervalMs = isCalendar(intervalMs)
    ? slotAfter(intervalMs, slotMs, 1, options.zone) - slotMs
    : intervalMs;
}

/** Notes for the rules that there is no slot to compare a reading with: it lies on its own. */
export function noteOnSlot(step: Step, i: number): void {
  const { intervalMs, slotMs } = step.meters.grids;
  notePlacing(step, intervalMs[i], slotMs[i], 0, slotMs[i]);
}

/** A reading comes for a slot up to the latest one, `steps` ≤ 0 after it. */
export function takePastSlot(
  step: Step,
  i: number,
  { steps, reading, watermarkMs }: {
    readonly steps: number;
    readonly reading: Reading;
    readonly watermarkMs: number;
  },
): Taking {
  const { meters } = step;
  const { grids } = meters;
  const { timestampMs, consumptionKwh } = reading;
  const isEstimated = isEstimate(reading.quality);
  const { ordinal, slotMs } = placeBefore(step, i, steps, timestampMs);
  const heldKwh = meters.remembers(i, ordinal) ? meters.valueAt(i, ordinal) : NaN;
  let taking = ACCEPTED;
  if (!Number.isNaN(heldKwh)) {
    const isHeldEstimated = meters.estimates.get(i)?.includes(ordinal) ?? false;
    const both = { isEstimated, isHeldEstimated };
    taking = repeatOf(step, { heldKwh, slotMs, consumptionKwh, ...both });
    if (taking.disposition === "duplicate") return taking;
    if (isHeldEstimated && !isEstimated) removeMark(meters.estimates.get(i) ?? [], ordinal);
    meters.setValueAt(i, ordinal, consumptionKwh);
  } else if (canExtend(meters, i, ordinal)) {
    extendBackward(step, i, ordinal);
    meters.setValueAt(i, ordinal, consumptionKwh);
  } else if (fillHole(step, i, ordinal, watermarkMs)) {
    if (meters.remembers(i, ordinal)) meters.setValueAt(i, ordinal, consumptionKwh);
  } else {
    return takeOlderSlot(step, i, timestampMs, watermarkMs);
  }
  if (isEstimated && meters.remembers(i, ordinal)) noteEstimate(meters, i, ordinal);
  notePlacing(step, grids.intervalMs[i], slotMs, grids.prevMs(i), timestampMs);
  meters.markChanged(i);
  return taking;
}

/** Notes that the value of a slot was delivered as an estimate. */
export function noteEstimate(meters: MeterTable, i: number, ordinal: number): void {
  let estimates = meters.estimates.get(i);
  if (estimates === undefined) meters.keep(meters.estimates, i, estimates = []);
  addMark(estimates, ordinal);
}

/**
 * Of two values for a slot, the first or the last stands; the same value again is a duplicate. But an
 * actual reading replaces what was delivered as an estimate, and never the other way round.
 */
function repeatOf(
  { options }: Step,
  { heldKwh, slotMs, consumptionKwh, isEstimated, isHeldEstimated }: {
    readonly heldKwh: number;
    readonly slotMs: number;
    readonly consumptionKwh: number;
    readonly isEstimated: boolean;
    readonly isHeldEstimated: boolean;
  },
): Taking {
  if (isHeldEstimated && !isEstimated) return { disposition: "revised", heldKwh };
  if (isEstimated && !isHeldEstimated) return { disposition: "duplicate", heldKwh, slotMs };
  if (heldKwh === consumptionKwh || options.revisions === "first") {
    return { disposition: "duplicate", heldKwh, slotMs };
  }
  return { disposition: "revised", heldKwh };
}

/** The slot up to the latest one that a time belongs to, slots that its clock never had left out. */
function placeBefore(
  step: Step,
  i: number,
  steps: number,
  timestampMs: number,
): { readonly ordinal: number; readonly slotMs: number } {
  const { meters, options } = step;
  const ordinal = meters.ordinal[i] + steps;
  const skip = meters.hasAside[i] === 0 ? undefined : meters.skips.get(i);
  if (skip === undefined || ordinal >= skip.ordinal) {
    return { ordinal, slotMs: slotAfterLatest(step, i, steps) };
  }
  const { skippedMs } = skip;
  const earlier = stepsTo(meters.grids, i, timestampMs + skippedMs, options.zone);
  const before = Math.min(meters.ordinal[i] + earlier, skip.ordinal - 1);
  const slotMs = slotAfterLatest(step, i, before - meters.ordinal[i]) - skippedMs;
  return { ordinal: before, slotMs };
}

/** A slot before the first one, of a history of which nothing is forgotten. */
function canExtend(meters: MeterTable, i: number, ordinal: number): boolean {
  return ordinal < meters.firstOrdinal[i] && meters.remembers(i, ordinal);
}

function extendBackward(step: Step, i: number, ordinal: number): void {
  const { meters } = step;
  const firstOrdinal = meters.firstOrdinal[i];
  meters.firstOrdinal[i] = ordinal;
  meters.follower?.beginEarlier(i, ordinal, firstOrdinal);
  const count = firstOrdinal - ordinal - 1;
  if (count === 0) return;
  const fromMs = slotAfterLatest(step, i, ordinal + 1 - meters.ordinal[i]);
  const intervalMs = meters.intervalMs[i];
  const hole = newHole({ from: ordinal + 1, fromMs, count, intervalMs });
  meters.keep(meters.holes, i, [hole, ...meters.holes.get(i) ?? []]);
}

/** Fills a slot of the growing piece, if it is missing and can be. */
function fillHole(step: Step, i: number, ordinal: number, watermarkMs: number): boolean {
  const { meters } = step;
  const holes = meters.holes.get(i);
  if (holes === undefined || !fillIn(step, i, { holes, ordinal, watermarkMs })) return false;
  if (holes.length === 0) meters.holes.delete(i);
  const marks = meters.marks.get(i);
  if (marks !== undefined) removeMark(marks, ordinal);
  return true;
}

function fillIn(
  step: Step,
  i: number,
  { holes, ordinal, watermarkMs }: {
    readonly holes: Hole[];
    readonly ordinal: number;
    readonly watermarkMs: number;
  },
): boolean {
  const at = findHole(holes, ordinal);
  if (at < 0) return false;
  fillSlot(step, holes, { i, at, ordinal, watermarkMs });
  return true;
}

/** A reading comes for a hole of an older piece, by the grid of that. */
function takeOlderSlot(step: Step, i: number, timestampMs: number, watermarkMs: number): Taking {
  const { meters, options: { zone } } = step;
  const found = findOlder(step, i, timestampMs);
  if (found === null) return FORGOTTEN;
  const { piece, steps, ordinal } = found;
  fillIn(step, i, { holes: piece.holes, ordinal, watermarkMs });
  removeMark(piece.marks, ordinal);
  const { intervalMs, prevMs } = piece;
  const slotMs = slotAfter(intervalMs, piece.slotMs, steps, zone);
  notePlacing(step, intervalMs, slotMs, prevMs, timestampMs);
  meters.markChanged(i);
  return ACCEPTED;
}

/** Of the older pieces, the newest that has a hole for a time. */
function findOlder(
  { meters, options: { zone } }: Step,
  i: number,
  timestampMs: number,
): { readonly piece: PastPiece; readonly steps: number; readonly ordinal: number } | null {
  if (meters.hasAside[i] === 0) return null;
  for (const piece of (meters.past.get(i) ?? []).toReversed()) {
    const steps = stepsOnPast(piece, timestampMs, zone);
    const ordinal = piece.ordinal + steps;
    if (findHole(piece.holes, ordinal) >= 0) return { piece, steps, ordinal };
  }
  return null;
}

/** Whether a reading of this time, of a meter whose interval is known, would find its slot free. */
export function isSlotFree(step: Step, i: number, timestampMs: number): boolean {
  const { meters, options } = step;
  const steps = stepsTo(meters.grids, i, timestampMs, options.zone);
  if (steps >= 1) return true;
  const { ordinal } = placeBefore(step, i, steps, timestampMs);
  if (meters.remembers(i, ordinal) && !Number.isNaN(meters.valueAt(i, ordinal))) return false;
  return canExtend(meters, i, ordinal) || findHole(meters.holes.get(i) ?? [], ordinal) >= 0 ||
    findOlder(step, i, timestampMs) !== null;
}

/**
 * Notes that an unusable reading came for a slot which nothing has taken. A mark further ahead than
 * the time to live could never become part of a gap, and a silent meter's count stands still.
 */
export function markSlot(step: Step, i: number, timestampMs: number): void {
  const { meters, options } = step;
  if (meters.isSilent(i)) return;
  const { grids } = meters;
  const steps = stepsTo(grids, i, timestampMs, options.zone);
  const { ordinal } = steps >= 1
    ? { ordinal: grids.ordinal[i] + steps }
    : placeBefore(step, i, steps, timestampMs);
  if (steps >= 1) {
    if (slotAfterLatest(step, i, steps) - grids.slotMs[i] > options.stateTtlMs) return;
  } else if (findHole(meters.holes.get(i) ?? [], ordinal) < 0) {
    const isRemembered = meters.remembers(i, ordinal);
    return isRemembered ? undefined : markOlderSlot(step, i, timestampMs);
  }
  let marks = meters.marks.get(i);
  if (marks === undefined) meters.keep(meters.marks, i, marks = []);
  if (addMark(marks, ordinal)) meters.markChanged(i);
}

function markOlderSlot(step: Step, i: number, timestampMs: number): void {
  const { meters, options } = step;
  const found = findOlder(step, i, timestampMs);
  if (found === null) return;
  const { piece: { intervalMs, slotMs, marks }, steps, ordinal } = found;
  const aheadMs = slotAfter(intervalMs, slotMs, steps, options.zone) - slotMs;
  if (aheadMs <= options.stateTtlMs && addMark(marks, ordinal)) meters.markChanged(i);
}
