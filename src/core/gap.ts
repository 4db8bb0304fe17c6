import type { Hole, MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import type { GapState, Outputs } from "./outputs.ts";
import type { Placing } from "./rules/rule.ts";

/** What a step of one meter needs: the state it changes, and what it was caused by. */
export type Step = {
  readonly meters: MeterTable;
  readonly options: ProcessorOptions;
  outputs: Outputs;
  /** The raw record being folded. */
  offset: number;
  /** Where the reading taken last lies. */
  readonly placing: Placing;
  /** How many gaps were announced for the first time since the last commit. */
  gapsDetected: number;
};

/**
 * How many slots, the latest included, a reading within the allowed lateness can fall into: it is
 * at most `outOfOrderness + allowedLateness` behind the latest, and rounds to the nearest slot.
 */
export function ringLength(
  intervalMs: number,
  options: Pick<ProcessorOptions, "allowedLatenessMs" | "outOfOrdernessMs">,
): number {
  const reachMs = options.allowedLatenessMs + options.outOfOrdernessMs;
  return Math.floor(reachMs / intervalMs + 0.5) + 1;
}

/**
 * Judges every slot of meter i that the watermark has passed, announces what changed, and sets the
 * meter's timer to the next moment at which anything can.
 */
export function judgeMeter(step: Step, i: number, watermarkMs: number): void {
  const { meters, options } = step;
  const expiryMs = meters.lastMs[i] + options.stateTtlMs;
  if (watermarkMs >= expiryMs) return expireMeter(step, i, watermarkMs);
  const intervalMs = meters.intervalMs[i];
  if (intervalMs === 0) return meters.timers.set(i, expiryMs);

  let dueMs = expiryMs;
  const holes = meters.holes.get(i);
  if (holes !== undefined) {
    for (const hole of holes) {
      judgeHole(step, i, hole, watermarkMs, watermarkMs);
      if (hole.judged < hole.count) {
        const slotMs = hole.fromMs + hole.judged * intervalMs;
        dueMs = Math.min(dueMs, slotMs + options.gapGraceMs);
      }
    }
  }
  const missing = missingInTail(step, i, watermarkMs);
  const sent = meters.openSent[i];
  if (missing > 0 && (sent === 0 || missing >= 2 * sent)) {
    announceTail(step, i, "OPEN", missing, watermarkMs);
  }
  const nextLength = Math.max(1, 2 * meters.openSent[i]);
  const nextMs = meters.lastMs[i] + nextLength * intervalMs + options.gapGraceMs;
  meters.timers.set(i, Math.min(dueMs, nextMs));
}

/** How many slots after the latest reading are missing at this watermark. */
export function missingInTail(step: Step, i: number, watermarkMs: number): number {
  const { meters, options } = step;
  const passedMs = watermarkMs - options.gapGraceMs - meters.lastMs[i];
  return Math.max(0, Math.floor(passedMs / meters.intervalMs[i]));
}

/** Announces the open gap with the length known at this watermark, if that is news. */
export function announceOpenGap(step: Step, i: number, watermarkMs: number): void {
  const { meters } = step;
  if (meters.openSent[i] === 0) return;
  const missing = missingInTail(step, i, watermarkMs);
  if (missing === meters.openSent[i] && !meters.marks.has(i)) return;
  announceTail(step, i, "OPEN", missing, watermarkMs);
  judgeMeter(step, i, watermarkMs);
}

/**
 * Ends a meter that has been silent for its time to live: what is missing at that moment is judged,
 * however far the watermark has jumped beyond it, and the meter's state is dropped.
 */
export function expireMeter(step: Step, i: number, watermarkMs: number): void {
  const { meters, options } = step;
  if (meters.intervalMs[i] > 0) {
    const expiryMs = meters.lastMs[i] + options.stateTtlMs;
    for (const hole of meters.holes.get(i) ?? []) judgeHole(step, i, hole, expiryMs, watermarkMs);
    const missing = missingInTail(step, i, expiryMs);
    if (missing > 0) announceTail(step, i, "EXPIRED", missing, watermarkMs);
  }
  meters.remove(i);
}

/** Announces the gap after the latest reading, which is `missing` ≥ 1 slots long. */
export function announceTail(
  step: Step,
  i: number,
  state: "OPEN" | "EXPIRED",
  missing: number,
  watermarkMs: number,
): void {
  const { meters } = step;
  const intervalMs = meters.intervalMs[i];
  const missingFromMs = meters.lastMs[i] + intervalMs;
  if (meters.openSent[i] === 0) step.gapsDetected++;
  if (Number.isNaN(meters.openIdMs[i])) meters.openIdMs[i] = missingFromMs;
  meters.openSent[i] = missing;
  meters.markChanged(i);
  step.outputs.gaps.push({
    offset: step.offset,
    meterId: meters.idOf(i),
    idMs: meters.openIdMs[i],
    missingFromMs,
    missingToMs: missingFromMs + missing * intervalMs,
    missingIntervals: missing,
    rejectedIntervals: countMarks(meters, i, meters.ordinal[i] + 1, missing),
    state,
    detectedAtMs: watermarkMs,
  });
}

/** Judges the slots of a hole up to `judgedMs`, and announces the gap if it is not as last said. */
function judgeHole(
  step: Step,
  i: number,
  hole: Hole,
  judgedMs: number,
  watermarkMs: number,
): void {
  const { meters, options } = step;
  const intervalMs = meters.intervalMs[i];
  if (hole.judged < hole.count) {
    const passed = Math.floor((judgedMs - options.gapGraceMs - hole.fromMs) / intervalMs) + 1;
    const judged = Math.min(hole.count, Math.max(hole.judged, passed));
    if (judged !== hole.judged) {
      hole.judged = judged;
      meters.markChanged(i);
    }
  }
  if (hole.judged === 0) return;
  const rejected = countMarks(meters, i, hole.from, hole.judged);
  const asSaid = hole.sentState === "CLOSED" && hole.sentCount === hole.judged &&
    hole.sentFromMs === hole.fromMs && hole.sentRejected === rejected;
  if (asSaid) return;
  if (hole.sentState === "") step.gapsDetected++;
  announceHole(step, i, hole, "CLOSED", rejected, watermarkMs);
}

function announceHole(
  step: Step,
  i: number,
  hole: Hole,
  state: GapState,
  rejected: number,
  watermarkMs: number,
): void {
  const { meters } = step;
  if (Number.isNaN(hole.idMs)) hole.idMs = hole.fromMs;
  hole.sentState = "CLOSED";
  hole.sentCount = hole.judged;
  hole.sentFromMs = hole.fromMs;
  hole.sentRejected = rejected;
  meters.markChanged(i);
  step.outputs.gaps.push({
    offset: step.offset,
    meterId: meters.idOf(i),
    idMs: hole.idMs,
    missingFromMs: hole.fromMs,
    missingToMs: hole.fromMs + hole.judged * meters.intervalMs[i],
    missingIntervals: hole.judged,
    rejectedIntervals: rejected,
    state,
    detectedAtMs: watermarkMs,
  });
}

/** A hole nobody has judged yet. */
export function newHole(from: number, fromMs: number, count: number): Hole {
  return {
    from,
    fromMs,
    count,
    judged: 0,
    idMs: NaN,
    sentState: "",
    sentFromMs: NaN,
    sentCount: 0,
    sentRejected: 0,
  };
}

/**
 * Takes the slot `ordinal` out of the meter's holes because a reading came for it. What is left
 * is announced when the meter is judged, at the end of the step; a gap of which nothing is left is
 * announced as filled here.
 */
export function fillSlot(step: Step, i: number, ordinal: number, watermarkMs: number): boolean {
  const holes = step.meters.holes.get(i) ?? [];
  const at = holes.findIndex((h) => ordinal >= h.from && ordinal < h.from + h.count);
  if (at < 0) return false;
  const hole = holes[at];
  const intervalMs = step.meters.intervalMs[i];
  const left = ordinal - hole.from;
  const right = hole.count - left - 1;
  const judged = hole.judged;
  if (left === 0) {
    if (judged === 1) fillHole(step, i, hole, watermarkMs);
    hole.from++;
    hole.fromMs += intervalMs;
    hole.count--;
    hole.judged = Math.max(0, judged - 1);
    if (hole.count === 0) holes.splice(at, 1);
    if (holes.length === 0) step.meters.holes.delete(i);
    return true;
  }
  hole.count = left;
  hole.judged = Math.min(judged, left);
  if (right > 0) {
    const rest = newHole(ordinal + 1, hole.fromMs + (left + 1) * intervalMs, right);
    rest.judged = Math.max(0, judged - left - 1);
    holes.splice(at + 1, 0, rest);
  }
  return true;
}

/** Announces that all judged slots of a hole were taken; what is left of it is a gap of its own. */
function fillHole(step: Step, i: number, hole: Hole, watermarkMs: number): void {
  if (hole.sentState === "") return;
  hole.judged = 0;
  announceHole(step, i, hole, "FILLED", 0, watermarkMs);
  hole.idMs = NaN;
  hole.sentState = "";
}

/** Announces that the open gap, all of it one slot, was taken by the reading at its end. */
export function announceTailFilled(
  step: Step,
  i: number,
  idMs: number,
  slotMs: number,
  watermarkMs: number,
): void {
  step.outputs.gaps.push({
    offset: step.offset,
    meterId: step.meters.idOf(i),
    idMs,
    missingFromMs: slotMs,
    missingToMs: slotMs,
    missingIntervals: 0,
    rejectedIntervals: 0,
    state: "FILLED",
    detectedAtMs: watermarkMs,
  });
}

/** Forgets holes and marks that no reading within the allowed lateness can reach any more. */
export function pruneMeter(meters: MeterTable, i: number): void {
  const oldest = meters.ordinal[i] - meters.ringLength(i) + 1;
  const holes = meters.holes.get(i);
  if (holes !== undefined) {
    const kept = holes.filter((hole) =>
      hole.judged < hole.count || hole.sentState !== "CLOSED" || hole.from + hole.count > oldest
    );
    if (kept.length === 0) meters.holes.delete(i);
    else if (kept.length < holes.length) meters.holes.set(i, kept);
  }
  const marks = meters.marks.get(i);
  if (marks !== undefined) {
    const from = Math.min(oldest, meters.holes.get(i)?.[0].from ?? Infinity);
    const kept = marks.filter((ordinal) => ordinal >= from);
    if (kept.length === 0) meters.marks.delete(i);
    else if (kept.length < marks.length) meters.marks.set(i, kept);
  }
}

/** Notes that an unusable reading came for a slot. */
export function addMark(meters: MeterTable, i: number, ordinal: number): boolean {
  const marks = meters.marks.get(i);
  if (marks === undefined) {
    meters.marks.set(i, [ordinal]);
    return true;
  }
  const at = firstFrom(marks, ordinal);
  if (marks[at] === ordinal) return false;
  marks.splice(at, 0, ordinal);
  return true;
}

/** Forgets the mark of a slot that a good reading has taken. */
export function removeMark(meters: MeterTable, i: number, ordinal: number): void {
  const marks = meters.marks.get(i);
  if (marks === undefined) return;
  const at = firstFrom(marks, ordinal);
  if (marks[at] !== ordinal) return;
  marks.splice(at, 1);
  if (marks.length === 0) meters.marks.delete(i);
}

function countMarks(meters: MeterTable, i: number, from: number, count: number): number {
  const marks = meters.marks.get(i);
  return marks === undefined ? 0 : firstFrom(marks, from + count) - firstFrom(marks, from);
}

/** Where in the ascending marks the first one at or behind `ordinal` stands. */
function firstFrom(marks: readonly number[], ordinal: number): number {
  let low = 0;
  let high = marks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (marks[middle] < ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}
