import { isCalendar } from "./calendar.ts";
import { pruneMeter } from "./gap.ts";
import { goForward, stepsTo } from "./grid.ts";
import { type Hole, newHole } from "./hole.ts";
import { removeMark } from "./marks.ts";
import type { MeterTable } from "./meters.ts";
import type { Step } from "./step.ts";
import {
  announceTail,
  announceTailFilled,
  clearTail,
  missingInTail,
  mostInTail,
  slotAfterLatest,
  tailIdMs,
} from "./tail.ts";
import { noteEstimate, notePlacing, takePastSlot } from "./take_past.ts";
import { ACCEPTED, type Reading, type Taking } from "./taking.ts";
import { isEstimate } from "./wire/delivered_quality.ts";

/** Takes a reading into the slot where it belongs, of a meter whose interval is known. */
export function takeSlot(step: Step, i: number, reading: Reading, watermarkMs: number): Taking {
  const { meters, options } = step;
  const { timestampMs } = reading;
  if (reading.skippedIntervals > 0 && takeAfterSkip(step, i, reading, watermarkMs)) return ACCEPTED;
  const steps = stepsTo(meters.grids, i, timestampMs, options.zone);
  if (steps < 1) return takePastSlot(step, i, { steps, reading, watermarkMs });
  takeNewSlot(step, i, steps, slotAfterLatest(step, i, steps), reading, watermarkMs);
  return ACCEPTED;
}

/**
 * Whether a reading one interval after the one before it, of a meter of which nothing is kept aside,
 * takes the next slot and lies on it as that did: almost all readings are such.
 */
export function isUndisturbed(
  { grids, openSent }: MeterTable,
  i: number,
  { saidIntervalMs, skippedIntervals, quality }: Reading,
): boolean {
  const intervalMs = grids.intervalMs[i];
  return openSent[i] === 0 && saidIntervalMs === 0 && skippedIntervals === 0 &&
    !isEstimate(quality) && !isCalendar(intervalMs) && Math.abs(grids.prevMs(i)) <= intervalMs / 2;
}

/** Takes such a reading: what `takeSlot` does, in few steps. */
export function takeNext(step: Step, i: number, consumptionKwh: number): void {
  const { meters, placing } = step;
  const { grids } = meters;
  const intervalMs = grids.intervalMs[i];
  const offMs = grids.prevMs(i);
  meters.follower?.passForgotten(step, i, grids.ordinal[i] + 1);
  placing.offSlotMs = placing.offBeforeMs = offMs;
  placing.intervalMs = intervalMs;
  goForward(grids, i, 1, grids.slotMs[i] + intervalMs, offMs);
  meters.setLatestValue(i, 1, consumptionKwh);
  meters.markChanged(i);
}

/** Takes a reading before which its source's clock had fewer slots than time has; false: it had not. */
function takeAfterSkip(step: Step, i: number, reading: Reading, watermarkMs: number): boolean {
  const { meters, options: { zone } } = step;
  const { timestampMs, skippedIntervals } = reading;
  const intervalMs = meters.intervalMs[i];
  const onClock = isCalendar(intervalMs)
    ? stepsTo(meters.grids, i, timestampMs, zone) - skippedIntervals
    : stepsTo(meters.grids, i, timestampMs - skippedIntervals * intervalMs, zone);
  if (onClock < 1) return false;
  const slotMs = slotAfterLatest(step, i, onClock + skippedIntervals);
  const skippedMs = slotMs - slotAfterLatest(step, i, onClock);
  takeNewSlot(step, i, onClock, slotMs, reading, watermarkMs);
  meters.keep(meters.skips, i, { ordinal: meters.ordinal[i], skippedMs });
  return true;
}

/** The meter reports again, `steps` ≥ 1 slots after its latest reading: at `slotMs`. */
function takeNewSlot(
  step: Step,
  i: number,
  steps: number,
  slotMs: number,
  { timestampMs, consumptionKwh, quality }: Reading,
  watermarkMs: number,
): void {
  const { meters } = step;
  const { grids } = meters;
  const offMs = timestampMs - slotMs;
  meters.follower?.passForgotten(step, i, grids.ordinal[i] + steps);
  notePlacing(step, grids.intervalMs[i], slotMs, grids.prevMs(i), timestampMs);
  const announced = meters.openSent[i];
  if (announced === 0) {
    if (steps > 1) addHole(step, i, newTailHole(step, i, steps - 1));
    goForward(grids, i, steps, slotMs, offMs);
    meters.setLatestValue(i, steps, consumptionKwh);
  } else {
    const gap = readTail(step, i, watermarkMs);
    closeTail(step, i, steps - 1, gap);
    if (meters.isSilent(i)) wake(meters, i);
    goForward(grids, i, steps, slotMs, offMs);
    meters.setLatestValue(i, steps, consumptionKwh);
    if (steps === 1) shrinkTail(step, i, gap, watermarkMs);
  }
  meters.markChanged(i);
  if (isEstimate(quality)) noteEstimate(meters, i, meters.ordinal[i]);
  if (meters.hasAside[i] === 0) return;
  removeMark(meters.marks.get(i) ?? [], meters.ordinal[i]);
  pruneMeter(step, i);
}

/** A meter was silent: what comes for slots up to its last one is too late. */
function wake(meters: MeterTable, i: number): void {
  meters.keep(meters.rememberedFrom, i, meters.ordinal[i] + 1);
  meters.takeRing(i);
}

/** The gap after the latest reading, as it was before another came. */
type TailGap = {
  readonly idMs: number;
  readonly fromMs: number;
  readonly missing: number;
  readonly most: number;
  readonly frozenRejected: number;
};

function readTail(step: Step, i: number, watermarkMs: number): TailGap {
  const { meters } = step;
  const missing = missingInTail(step, i, watermarkMs);
  return {
    idMs: tailIdMs(step, i),
    fromMs: slotAfterLatest(step, i, 1),
    missing: Math.max(missing, meters.openSent[i]),
    most: mostInTail(step, i, missing),
    frozenRejected: frozenInTail(step, i),
  };
}

/** The count at which a gap's unusable readings stand still; -1: it is still counted. */
function frozenInTail({ meters }: Step, i: number): number {
  const frozen = meters.openGaps.get(i)?.frozenRejected ?? -1;
  return meters.isSilent(i) ? Math.max(0, frozen) : frozen;
}

/** The announced gap after the latest reading becomes a hole of `count` slots. */
function closeTail(step: Step, i: number, count: number, gap: TailGap): void {
  if (count > 0) {
    const hole = newTailHole(step, i, count);
    hole.judged = Math.min(gap.missing, count);
    hole.idMs = gap.idMs;
    hole.sentState = "OPEN";
    hole.most = gap.most;
    hole.frozenRejected = gap.frozenRejected;
    addHole(step, i, hole);
  }
  clearTail(step, i);
}

/** Nothing follows the latest reading on its grid but `count` missing slots. */
export function endTail(step: Step, i: number, count: number, watermarkMs: number): void {
  if (step.meters.openSent[i] === 0) {
    if (count > 0) addHole(step, i, newTailHole(step, i, count));
    return;
  }
  const gap = readTail(step, i, watermarkMs);
  closeTail(step, i, count, gap);
  if (count > 0) return;
  const { idMs, fromMs: slotMs, most } = gap;
  announceTailFilled(step, i, { idMs, slotMs, most, watermarkMs });
}

function newTailHole(step: Step, i: number, count: number): Hole {
  const { ordinal, intervalMs } = step.meters;
  const fromMs = slotAfterLatest(step, i, 1);
  return newHole({ from: ordinal[i] + 1, fromMs, count, intervalMs: intervalMs[i] });
}

function addHole({ meters }: Step, i: number, hole: Hole): void {
  const holes = meters.holes.get(i);
  if (holes === undefined) meters.keep(meters.holes, i, [hole]);
  else holes.push(hole);
}

/**
 * A reading has taken the first slot of the open gap: what is left of it keeps its id. Its slots
 * are counted from that reading now, so one missing by a hair may not be any more.
 */
function shrinkTail(step: Step, i: number, gap: TailGap, watermarkMs: number): void {
  const { meters } = step;
  const { idMs, most, frozenRejected } = gap;
  const missing = missingInTail(step, i, watermarkMs);
  if (gap.missing < 2 || missing === 0) {
    return announceTailFilled(step, i, { idMs, slotMs: gap.fromMs, most, watermarkMs });
  }
  meters.openSent[i] = missing;
  meters.keep(meters.openGaps, i, { idMs, most, frozenRejected });
  announceTail(step, i, { state: "OPEN", missing, watermarkMs });
}
