import {
  addMark,
  announceTail,
  announceTailFilled,
  fillSlot,
  missingInTail,
  newHole,
  pruneMeter,
  removeMark,
  type Step,
} from "./gap.ts";

/** What became of a reading that is in time. */
export type Taking =
  | { readonly disposition: "accepted" }
  | { readonly disposition: "duplicate"; readonly takenBy: number };

const ACCEPTED: Taking = { disposition: "accepted" };

/** Starts a meter's history with its first reading; returns the meter's index. */
export function beginMeter(step: Step, id: string, timestampMs: number, value: number): number {
  const { meters, options, placing } = step;
  const i = meters.add(id);
  meters.lastMs[i] = meters.maxMs[i] = timestampMs;
  meters.markChanged(i);
  const intervalMs = options.intervalMsByMeter.get(id) ?? options.expectedIntervalMs;
  if (intervalMs === "auto") {
    meters.learning.set(i, { timesMs: [timestampMs], values: [value] });
    if (options.learningReadings <= 1) learnInterval(step, i);
  } else {
    meters.setInterval(i, intervalMs);
    meters.setValueAt(i, 0, value);
  }
  placing.offSlotMs = 0;
  placing.intervalMs = meters.intervalMs[i];
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
  timestampMs: number,
  value: number,
  watermarkMs: number,
): Taking {
  const { meters } = step;
  const intervalMs = meters.intervalMs[i];
  if (intervalMs === 0) return takeLearning(step, i, timestampMs, value);
  const lastMs = meters.lastMs[i];
  const steps = Math.round((timestampMs - lastMs) / intervalMs);
  if (steps < 1) {
    const ordinal = meters.ordinal[i] + steps;
    const takenBy = meters.valueAt(i, ordinal);
    if (!Number.isNaN(takenBy)) return { disposition: "duplicate", takenBy };
    if (!takePastSlot(step, i, ordinal, watermarkMs)) {
      return { disposition: "duplicate", takenBy: value };
    }
    meters.setValueAt(i, ordinal, value);
  } else {
    takeNewSlot(step, i, steps, timestampMs, value, watermarkMs);
  }
  if (timestampMs > meters.maxMs[i]) meters.maxMs[i] = timestampMs;
  meters.markChanged(i);
  const { placing } = step;
  placing.offSlotMs = timestampMs - (lastMs + steps * intervalMs);
  placing.intervalMs = intervalMs;
  return ACCEPTED;
}

/** The meter reports again, `steps` ≥ 1 slots after its latest reading. */
function takeNewSlot(
  step: Step,
  i: number,
  steps: number,
  timestampMs: number,
  value: number,
  watermarkMs: number,
): void {
  const { meters } = step;
  const announced = meters.openSent[i];
  if (steps === 1 && announced === 0) {
    meters.moveOn(i, 1, timestampMs, value);
  } else {
    const slotMs = meters.lastMs[i] + meters.intervalMs[i];
    const idMs = Number.isNaN(meters.openIdMs[i]) ? slotMs : meters.openIdMs[i];
    const missing = announced === 0 ? 0 : missingInTail(step, i, watermarkMs);
    if (steps > 1) {
      const hole = newHole(meters.ordinal[i] + 1, slotMs, steps - 1);
      if (announced > 0) {
        hole.judged = Math.min(missing, hole.count);
        hole.idMs = idMs;
        hole.sentState = "OPEN";
      }
      const holes = meters.holes.get(i);
      if (holes === undefined) meters.holes.set(i, [hole]);
      else holes.push(hole);
    }
    meters.openSent[i] = 0;
    meters.openIdMs[i] = NaN;
    meters.moveOn(i, steps, timestampMs, value);
    if (steps === 1) shrinkTail(step, i, missing - 1, idMs, slotMs, watermarkMs);
  }
  if (meters.marks.size > 0) removeMark(meters, i, meters.ordinal[i]);
  if (meters.holes.size > 0 || meters.marks.size > 0) pruneMeter(meters, i);
}

/**
 * A reading has taken the first slot of the open gap: what is left of it, `left` slots, keeps its
 * id. They are counted from that reading now, so one missing by a hair may not be any more.
 */
function shrinkTail(
  step: Step,
  i: number,
  left: number,
  idMs: number,
  slotMs: number,
  watermarkMs: number,
): void {
  const missing = missingInTail(step, i, watermarkMs);
  if (left > 0 && missing > 0) {
    step.meters.openIdMs[i] = idMs;
    step.meters.openSent[i] = missing;
    announceTail(step, i, "OPEN", missing, watermarkMs);
  } else {
    announceTailFilled(step, i, idMs, slotMs, watermarkMs);
  }
}

/** A late reading comes for a slot before the latest one; false: nothing is missing there. */
function takePastSlot(step: Step, i: number, ordinal: number, watermarkMs: number): boolean {
  const { meters } = step;
  const firstOrdinal = meters.firstOrdinal[i];
  if (ordinal >= firstOrdinal) {
    if (!fillSlot(step, i, ordinal, watermarkMs)) return false;
    removeMark(meters, i, ordinal);
    return true;
  }
  meters.firstOrdinal[i] = ordinal;
  const count = firstOrdinal - ordinal - 1;
  if (count > 0) {
    const fromMs = meters.lastMs[i] + (ordinal + 1 - meters.ordinal[i]) * meters.intervalMs[i];
    const holes = meters.holes.get(i) ?? [];
    meters.holes.set(i, [newHole(ordinal + 1, fromMs, count), ...holes]);
  }
  return true;
}

/**
 * Notes that an unusable reading came for a slot which nothing has taken. Only a meter with a known
 * interval has slots; a mark further ahead than the time to live could never become part of a gap.
 */
export function markUnusable(step: Step, i: number, timestampMs: number): void {
  const { meters, options } = step;
  const intervalMs = meters.intervalMs[i];
  if (intervalMs === 0) return;
  const steps = Math.round((timestampMs - meters.lastMs[i]) / intervalMs);
  const ordinal = meters.ordinal[i] + steps;
  if (steps * intervalMs > options.stateTtlMs || ordinal < meters.firstOrdinal[i]) return;
  if (steps < 1) {
    const holes = meters.holes.get(i) ?? [];
    if (!holes.some((h) => ordinal >= h.from && ordinal < h.from + h.count)) return;
  }
  if (addMark(meters, i, ordinal)) meters.markChanged(i);
}

function takeLearning(step: Step, i: number, timestampMs: number, value: number): Taking {
  const { meters, options } = step;
  const learning = meters.learning.get(i);
  if (learning === undefined) throw new Error(`meter "${meters.idOf(i)}" has no interval`);
  const { timesMs, values } = learning;
  let at = timesMs.length;
  while (at > 0 && timesMs[at - 1] > timestampMs) at--;
  if (at > 0 && timesMs[at - 1] === timestampMs) {
    return { disposition: "duplicate", takenBy: values[at - 1] };
  }
  timesMs.splice(at, 0, timestampMs);
  values.splice(at, 0, value);
  meters.lastMs[i] = meters.maxMs[i] = timesMs[timesMs.length - 1];
  meters.markChanged(i);
  if (timesMs.length >= options.learningReadings) learnInterval(step, i);
  step.placing.offSlotMs = 0;
  step.placing.intervalMs = meters.intervalMs[i];
  return ACCEPTED;
}

/** Lays the learning readings out in slots of the interval they show. */
function learnInterval(step: Step, i: number): void {
  const { meters } = step;
  const learning = meters.learning.get(i);
  if (learning === undefined) return;
  meters.learning.delete(i);
  const { timesMs, values } = learning;
  const intervalMs = commonestStepMs(timesMs);
  meters.setInterval(i, intervalMs);
  meters.lastMs[i] = timesMs[0];
  meters.setValueAt(i, 0, values[0]);
  for (let r = 1; r < timesMs.length; r++) {
    const steps = Math.round((timesMs[r] - meters.lastMs[i]) / intervalMs);
    if (steps >= 1) takeNewSlot(step, i, steps, timesMs[r], values[r], -Infinity);
  }
}

const MINUTE_MS = 60_000;
const SNAPS_MS = [1, 5, 10, 15, 30, 60, 1440].map((minutes) => minutes * MINUTE_MS);

/**
 * The commonest step between neighbouring times, each snapped to the nearest usual interval. Of two
 * equally common ones the smaller: a multiple of the true interval comes from gaps.
 */
export function commonestStepMs(timesMs: readonly number[]): number {
  const counts = new Map<number, number>();
  for (let r = 1; r < timesMs.length; r++) {
    const stepMs = timesMs[r] - timesMs[r - 1];
    let nearest = SNAPS_MS[0];
    for (const snapMs of SNAPS_MS) {
      if (Math.abs(snapMs - stepMs) < Math.abs(nearest - stepMs)) nearest = snapMs;
    }
    counts.set(nearest, (counts.get(nearest) ?? 0) + 1);
  }
  let best = SNAPS_MS[4];
  let bestCount = 0;
  for (const [stepMs, count] of counts) {
    if (count > bestCount || (count === bestCount && stepMs < best)) {
      best = stepMs;
      bestCount = count;
    }
  }
  return best;
}
