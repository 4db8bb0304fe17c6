import { isCalendar } from "./calendar.ts";
import { sayOfMeter } from "./counts.ts";
import { runFromMs } from "./interval_run.ts";
import { type Hole, judgeHoles } from "./hole.ts";
import { keepLastAlerts, type Step } from "./step.ts";
import { announceTail, missingInTail, rejectedInTail, slotAfterLatest } from "./tail.ts";

/**
 * Lets the time to live pass over a meter, or the time to forget it, if the clock has reached them.
 * True: its history has ended, and its state is gone.
 */
export function advance(
  step: Step,
  i: number,
  { clockMs, watermarkMs, isBack }: {
    readonly clockMs: number;
    readonly watermarkMs: number;
    /** The meter reports again: a history begins where this one ends. */
    readonly isBack: boolean;
  },
): boolean {
  const { meters, outputs } = step;
  const alerts = outputs.gaps.length;
  if (meters.intervalMs[i] !== 0 && !meters.isSilent(i)) {
    const silentMs = silentAtMs(step, i);
    if (clockMs < silentMs) return false;
    fallSilent(step, i, { silentMs, watermarkMs });
  }
  const forgottenMs = forgottenAtMs(step, i);
  if (clockMs < forgottenMs) return false;
  sayOfMeter(step, {
    metricType: isBack ? "meter_begun" : "meter_forgotten",
    meterId: meters.idOf(i),
    timestampMs: forgottenMs,
    value: 1,
    tags: {},
  });
  endHistory(step, i, { clockMs: forgottenMs, watermarkMs });
  keepLastAlerts(step, alerts);
  return true;
}

/**
 * When a meter of a known interval becomes silent: not before a slot of it is missing, and one of
 * calendar days or months not before two of them.
 */
export function silentAtMs(step: Step, i: number): number {
  const { meters, options } = step;
  let ttlMs = options.stateTtlMs;
  if (isCalendar(meters.intervalMs[i])) {
    ttlMs = Math.max(ttlMs, slotAfterLatest(step, i, 2) - meters.grids.slotMs[i]);
  }
  return Math.max(meters.lastMs(i) + ttlMs, slotAfterLatest(step, i, 1) + options.gapGraceMs);
}

/** When a meter is forgotten: never before it is silent. */
export function forgottenAtMs(step: Step, i: number): number {
  const { meters, options } = step;
  const atMs = meters.lastMs(i) + options.forgetAfterMs;
  return meters.intervalMs[i] === 0 ? atMs : Math.max(atMs, silentAtMs(step, i));
}

/**
 * A meter has been silent for its time to live. What stood in its slots is forgotten, and so are
 * the marks; what is missing so far is said, and can no longer be filled.
 */
function fallSilent(
  step: Step,
  i: number,
  { silentMs, watermarkMs }: { readonly silentMs: number; readonly watermarkMs: number },
): void {
  const { meters } = step;
  meters.follower?.sayAll(step, i);
  judgeHoles(step, i, { judgedMs: silentMs, watermarkMs });
  const missing = missingInTail(step, i, silentMs);
  announceTail(step, i, { state: "EXPIRED", missing, watermarkMs });
  const frozenRejected = rejectedInTail(step, i, missing);
  const open = meters.openGaps.get(i);
  if (frozenRejected > 0 || open !== undefined) {
    const { idMs = NaN, most = 0 } = open ?? {};
    meters.keep(meters.openGaps, i, { idMs, most, frozenRejected });
  }
  meters.marks.delete(i);
  meters.estimates.delete(i);
  meters.rememberedFrom.delete(i);
  meters.dropRing(i);
  const holes = keepUnjudged(meters.holes.get(i) ?? [], runFromMs(step, i));
  if (holes.length === 0) meters.holes.delete(i);
  else meters.keep(meters.holes, i, holes);
  const past = (meters.past.get(i) ?? []).map((piece) => ({
    ...piece,
    holes: keepUnjudged(piece.holes, Infinity),
    marks: [],
  })).filter(({ holes }) => holes.length > 0);
  if (past.length === 0) meters.past.delete(i);
  else meters.keep(meters.past, i, past);
  meters.markChanged(i);
}

/** Freezes what is judged of holes; keeps those that go on, or may be taken back. */
function keepUnjudged(holes: readonly Hole[], runFromMs: number): Hole[] {
  for (const hole of holes) {
    if (hole.judged === 0) continue;
    hole.lost = hole.judged;
    hole.frozenRejected = hole.sentRejected;
  }
  return holes.filter(({ judged, count, fromMs }) => judged < count || fromMs > runFromMs);
}

/**
 * Ends a meter's history: what is missing at the clock is said once more, however far the watermark
 * has jumped beyond it, and the meter's state is dropped.
 */
export function endHistory(
  step: Step,
  i: number,
  { clockMs, watermarkMs }: { readonly clockMs: number; readonly watermarkMs: number },
): void {
  const { meters } = step;
  if (meters.intervalMs[i] !== 0) {
    if (!meters.isSilent(i)) meters.follower?.sayAll(step, i);
    judgeHoles(step, i, { judgedMs: clockMs, watermarkMs });
    const missing = missingInTail(step, i, clockMs);
    if (missing > 0) announceTail(step, i, { state: "EXPIRED", missing, watermarkMs });
  }
  meters.remove(i);
}
