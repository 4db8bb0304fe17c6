import { slotAfter, slotsBegun } from "./grid.ts";
import { countMarks } from "./marks.ts";
import type { GapState } from "./outputs.ts";
import type { Step } from "./step.ts";

/**
 * A run of slots without a reading between two readings. Its times are those that the grid had
 * before the reading that went past them, and never change.
 *
 *     from          from + lost    from + judged    from + count
 *      | cannot be filled | missing, fillable | not judged yet |
 */
export type Hole = {
  /** Ordinal and time of its first slot, and the interval of its slots. */
  from: number;
  fromMs: number;
  readonly intervalMs: number;
  /** How many slots it has; how many of these, from the first on, are judged missing. */
  count: number;
  judged: number;
  /** Of those judged: how many a time to live has passed over, so that no reading fills them. */
  lost: number;
  /** What was last announced of it; `idMs` is NaN until then. */
  idMs: number;
  sentState: "" | "OPEN" | "CLOSED";
  sentFromMs: number;
  sentCount: number;
  sentRejected: number;
  /** The most slots that the gap of this id ever had. */
  most: number;
  /** Its count of unusable readings, once a time to live has passed over it; -1: none has. */
  frozenRejected: number;
};

/** A hole nobody has judged yet. */
export function newHole(
  { from, fromMs, count, intervalMs }: Pick<Hole, "from" | "fromMs" | "count" | "intervalMs">,
): Hole {
  return {
    from,
    fromMs,
    intervalMs,
    count,
    judged: 0,
    lost: 0,
    idMs: NaN,
    sentState: "",
    sentFromMs: NaN,
    sentCount: 0,
    sentRejected: 0,
    most: 0,
    frozenRejected: -1,
  };
}

/** The hole that a slot lies in and can be filled, as its place; -1: there is none. */
export function findHole(holes: readonly Hole[], ordinal: number): number {
  return holes.findIndex(({ from, lost, count }) =>
    ordinal >= from + lost && ordinal < from + count
  );
}

/** What a hole belongs to: its meter, and the marks beside the holes of its piece. */
export type HoleOwner = { readonly i: number; readonly marks: readonly number[] };

/** When the next slot of a hole is missing; Infinity: all are. */
export function holeDueMs({ options }: Step, hole: Hole): number {
  if (hole.judged === hole.count) return Infinity;
  const { intervalMs, fromMs, judged } = hole;
  return slotAfter(intervalMs, fromMs, judged, options.zone) + options.gapGraceMs;
}

/** Judges the slots of a hole up to `judgedMs`, and announces the gap if it is not as last said. */
export function judgeHole(
  step: Step,
  hole: Hole,
  { i, marks }: HoleOwner,
  { judgedMs, watermarkMs }: { readonly judgedMs: number; readonly watermarkMs: number },
): void {
  const { meters, options } = step;
  if (hole.judged < hole.count) {
    const passedMs = judgedMs - options.gapGraceMs;
    const passed = slotsBegun(hole.intervalMs, hole.fromMs, passedMs, options.zone);
    const judged = Math.min(hole.count, Math.max(hole.judged, passed));
    if (judged !== hole.judged) {
      hole.judged = judged;
      meters.markChanged(i);
    }
  }
  if (hole.judged === 0) return;
  if (hole.judged > hole.most) hole.most = hole.judged;
  const rejected = hole.frozenRejected < 0
    ? countMarks(marks, hole.from, hole.judged)
    : Math.min(hole.frozenRejected, hole.judged);
  const asSaid = hole.sentState === "CLOSED" && hole.sentCount === hole.judged &&
    hole.sentFromMs === hole.fromMs && hole.sentRejected === rejected;
  if (asSaid) return;
  if (hole.sentState === "") step.gapsDetected++;
  announceHole(step, hole, { i, state: "CLOSED", rejected, watermarkMs });
}

function announceHole(
  step: Step,
  hole: Hole,
  { i, state, rejected, watermarkMs }: {
    readonly i: number;
    readonly state: GapState;
    readonly rejected: number;
    readonly watermarkMs: number;
  },
): void {
  const { meters, options } = step;
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
    missingToMs: slotAfter(hole.intervalMs, hole.fromMs, hole.judged, options.zone),
    missingIntervals: hole.judged,
    ...(state === "FILLED" ? { filledIntervals: hole.most } : {}),
    rejectedIntervals: rejected,
    state,
    detectedAtMs: watermarkMs,
  });
}

/**
 * Takes a slot out of the hole at a place among its holes, which `findHole` found: the hole shrinks
 * at either end, or is split. Judging the holes afterwards announces what is not as last said.
 */
export function fillSlot(
  step: Step,
  holes: Hole[],
  { i, at, ordinal, watermarkMs }: {
    readonly i: number;
    readonly at: number;
    readonly ordinal: number;
    readonly watermarkMs: number;
  },
): void {
  const hole = holes[at];
  const { zone } = step.options;
  const left = ordinal - hole.from;
  const right = hole.count - left - 1;
  const { judged, lost } = hole;
  if (left === 0) {
    if (judged === 1) endGap(step, hole, { i, watermarkMs });
    hole.from++;
    hole.fromMs = slotAfter(hole.intervalMs, hole.fromMs, 1, zone);
    hole.count--;
    hole.judged = Math.max(0, judged - 1);
    if (hole.count === 0) holes.splice(at, 1);
    return;
  }
  hole.count = left;
  hole.judged = Math.min(judged, left);
  hole.lost = Math.min(lost, left);
  if (right === 0) return;
  const { intervalMs } = hole;
  const fromMs = slotAfter(intervalMs, hole.fromMs, left + 1, zone);
  const rest = newHole({ from: ordinal + 1, fromMs, count: right, intervalMs });
  rest.judged = Math.max(0, judged - left - 1);
  holes.splice(at + 1, 0, rest);
}

/**
 * Announces that nothing of a gap is left: all its slots were taken, or never expected. What is
 * left of the hole, which was not judged yet, becomes a gap of its own.
 */
export function endGap(
  step: Step,
  hole: Hole,
  { i, watermarkMs }: { readonly i: number; readonly watermarkMs: number },
): void {
  if (hole.sentState === "") return;
  hole.judged = 0;
  announceHole(step, hole, { i, state: "FILLED", rejected: 0, watermarkMs });
  hole.idMs = NaN;
  hole.sentState = "";
  hole.most = 0;
  hole.frozenRejected = -1;
}

/** Judges all holes of a meter; returns when the next slot of one is missing. */
export function judgeHoles(
  step: Step,
  i: number,
  clocks: { readonly judgedMs: number; readonly watermarkMs: number },
): number {
  const { meters } = step;
  let dueMs = Infinity;
  for (const { holes, marks } of meters.past.get(i) ?? []) {
    for (const hole of holes) {
      judgeHole(step, hole, { i, marks }, clocks);
      dueMs = Math.min(dueMs, holeDueMs(step, hole));
    }
  }
  const holes = meters.holes.get(i);
  if (holes === undefined) return dueMs;
  const marks = meters.marks.get(i) ?? [];
  for (const hole of holes) {
    judgeHole(step, hole, { i, marks }, clocks);
    dueMs = Math.min(dueMs, holeDueMs(step, hole));
  }
  return dueMs;
}
