import { DAY_MS, MONTH } from "./calendar.ts";
import { judgeHoles } from "./hole.ts";
import { runFromMs } from "./interval_run.ts";
import type { MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import { advance, forgottenAtMs, silentAtMs } from "./silence.ts";
import type { Step } from "./step.ts";
import { announceTail, missingInTail, tailDueMs } from "./tail.ts";

type Reach = Pick<ProcessorOptions, "allowedLatenessMs" | "outOfOrdernessMs">;

/** A day in which the clock is put forward. */
const SHORTEST_DAY_MS = DAY_MS - 3_600_000;

/**
 * How many slots, the latest included, a reading within the allowed lateness can fall into. It is
 * at most `outOfOrderness + allowedLateness` behind the latest reading, which came at most three
 * quarters of an interval before its slot, and it belongs to the nearest slot.
 */
export function ringLength(intervalMs: number, options: Reach): number {
  const reachMs = options.allowedLatenessMs + options.outOfOrdernessMs;
  let slotMs = intervalMs;
  if (intervalMs === MONTH) slotMs = 28 * DAY_MS;
  else if (intervalMs === DAY_MS) slotMs = SHORTEST_DAY_MS;
  return Math.floor(reachMs / slotMs + 3 / 4 + 1 / 2) + 1;
}

/**
 * Judges every slot of meter i that the watermark has passed, announces what changed, and sets the
 * meter's timer to the next moment at which anything can.
 */
export function judgeMeter(step: Step, i: number, watermarkMs: number): void {
  const { meters, options } = step;
  const isLearning = meters.intervalMs[i] === 0;
  const hasAside = meters.hasAside[i] !== 0;
  if (meters.openSent[i] === 0 && !hasAside && !isLearning) {
    // Most readings end here: no meter is silent before its first slot is missing.
    const missingMs = tailDueMs(step, i, 1);
    if (watermarkMs < missingMs) return meters.timers.set(i, missingMs);
  }
  if (advance(step, i, { clockMs: watermarkMs, watermarkMs, isBack: false })) return;
  if (isLearning) return meters.timers.set(i, forgottenAtMs(step, i));
  const dueMs = hasAside ? judgeHoles(step, i, { judgedMs: watermarkMs, watermarkMs }) : Infinity;
  if (meters.isSilent(i)) {
    return meters.timers.set(i, Math.min(dueMs, forgottenAtMs(step, i)));
  }
  const missing = missingInTail(step, i, watermarkMs);
  const sent = meters.openSent[i];
  if (missing > 0 && (sent === 0 || missing >= 2 * sent)) {
    // By its own clock a meter that does not report is never behind what it has passed itself.
    if (options.watermarkScope === "partition") meters.follower?.passDue(step, i, watermarkMs);
    announceTail(step, i, { state: "OPEN", missing, watermarkMs });
  }
  const nextMs = tailDueMs(step, i, Math.max(1, 2 * meters.openSent[i]));
  meters.timers.set(i, Math.min(dueMs, nextMs, silentAtMs(step, i)));
}

/** Announces the open gap with the length known at this watermark, if that is news. */
export function announceOpenGap(step: Step, i: number, watermarkMs: number): void {
  const { meters } = step;
  if (meters.openSent[i] === 0 || meters.isSilent(i)) return;
  const missing = missingInTail(step, i, watermarkMs);
  if (missing === meters.openSent[i] && !meters.marks.has(i)) return;
  announceTail(step, i, { state: "OPEN", missing, watermarkMs });
  judgeMeter(step, i, watermarkMs);
}

/**
 * Forgets holes and marks that no reading within the allowed lateness can reach any more. Gaps of a
 * run of readings in another interval stay: should the interval grow, they are taken back.
 */
export function pruneMeter(step: Step, i: number): void {
  const { meters, options } = step;
  const oldest = meters.ordinal[i] - meters.ringLength(i) + 1;
  const holes = meters.holes.get(i);
  if (holes !== undefined) {
    const fromMs = runFromMs(step, i);
    const kept = holes.filter((hole) =>
      hole.judged < hole.count || hole.sentState !== "CLOSED" || hole.fromMs > fromMs ||
      (hole.from + hole.count > oldest && hole.lost < hole.count)
    );
    if (kept.length === 0) meters.holes.delete(i);
    else if (kept.length < holes.length) meters.keep(meters.holes, i, kept);
  }
  const marks = meters.marks.get(i);
  if (marks !== undefined) {
    const from = Math.min(oldest, meters.holes.get(i)?.[0].from ?? Infinity);
    const kept = marks.filter((ordinal) => ordinal >= from);
    if (kept.length === 0) meters.marks.delete(i);
    else if (kept.length < marks.length) meters.keep(meters.marks, i, kept);
  }
  const estimates = meters.estimates.get(i)?.filter((ordinal) => ordinal >= oldest);
  if (estimates?.length === 0) meters.estimates.delete(i);
  else if (estimates !== undefined) meters.estimates.set(i, estimates);
  prunePast(meters, i, options);
  if ((meters.rememberedFrom.get(i) ?? Infinity) <= oldest) meters.rememberedFrom.delete(i);
  if ((meters.skips.get(i)?.ordinal ?? Infinity) <= oldest) meters.skips.delete(i);
  meters.settleAside(i);
}

/** Older pieces have holes alone, and no ring to tell how far a reading reaches: time does. */
function prunePast(meters: MeterTable, i: number, options: Reach): void {
  const past = meters.past.get(i);
  if (past === undefined) return;
  const reachMs = options.allowedLatenessMs + options.outOfOrdernessMs;
  const oldestMs = meters.lastMs(i) - reachMs;
  const kept = past.map((piece) => ({
    ...piece,
    holes: piece.holes.filter(({ judged, count, lost, sentState, fromMs, intervalMs }) => {
      const widthMs = intervalMs === MONTH ? 31 * DAY_MS : intervalMs;
      return judged < count || sentState !== "CLOSED" ||
        (lost < count && fromMs + (count + 2) * widthMs >= oldestMs);
    }),
  })).filter(({ holes }) => holes.length > 0);
  if (kept.length === 0) meters.past.delete(i);
  else meters.keep(meters.past, i, kept);
}
