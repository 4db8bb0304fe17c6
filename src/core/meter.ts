import { takeSaidInterval } from "./interval_change.ts";
import { fixedIntervalMs } from "./interval_run.ts";
import { beginLearning, holdUnusable, isTimeFree, takeLearning } from "./learning.ts";
import { startPiece } from "./piece.ts";
import type { Step } from "./step.ts";
import { isSlotFree, markSlot, noteOnSlot } from "./take_past.ts";
import { takeSlot } from "./take.ts";
import { BEGUN, type Reading, type Taking } from "./taking.ts";

/** Starts a meter's history with its first reading; returns the meter's index. */
export function beginMeter(step: Step, id: string, reading: Reading): number {
  const { meters, options } = step;
  const { timestampMs, consumptionKwh, saidIntervalMs } = reading;
  const i = meters.add(id);
  meters.markChanged(i);
  meters.follower?.begin(i);
  const intervalMs = fixedIntervalMs(options, id) || saidIntervalMs;
  if (intervalMs === 0) beginLearning(step, i, reading);
  else startPiece(step, i, { intervalMs, timestampMs, consumptionKwh });
  noteOnSlot(step, i);
  return i;
}

/**
 * Takes one reading, which must be in time, into the state of a meter that has a history.
 *
 * Order matters: lateness is judged before duplication, because the slots of a too-late reading are
 * no longer remembered and a repeat of it could not be told from a first arrival. Gaps are judged
 * after this, by `judgeMeter` at the watermark that the reading has moved; `watermarkMs` is the one
 * that stood before.
 */
export function takeReading(
  step: Step,
  i: number,
  reading: Reading,
  watermarkMs: number,
): Taking {
  if (reading.saidIntervalMs !== 0 && takeSaidInterval(step, i, reading, watermarkMs)) {
    return BEGUN;
  }
  if (step.meters.intervalMs[i] === 0) return takeLearning(step, i, reading);
  return takeSlot(step, i, reading, watermarkMs);
}

/** Notes that an unusable reading came for a slot. */
export function markUnusable(step: Step, i: number, timestampMs: number): void {
  if (step.meters.intervalMs[i] === 0) holdUnusable(step, i, timestampMs);
  else markSlot(step, i, timestampMs);
}

/** Whether a reading of this time would find its slot free. */
export function isFree(step: Step, i: number, timestampMs: number): boolean {
  if (step.meters.intervalMs[i] === 0) return isTimeFree(step, i, timestampMs);
  return isSlotFree(step, i, timestampMs);
}

/** Of a local time that comes twice, the earlier instant that is in time for a free slot. */
export function chooseInstant(
  step: Step,
  i: number,
  { timestampMs, laterMs }: { readonly timestampMs: number; readonly laterMs: number },
  watermarkMs: number,
): number {
  const fits = (atMs: number): boolean =>
    !(watermarkMs - atMs > step.options.allowedLatenessMs) && (i < 0 || isFree(step, i, atMs));
  return !fits(timestampMs) && fits(laterMs) ? laterMs : timestampMs;
}
