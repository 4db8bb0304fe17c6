import { MONTH } from "./calendar.ts";
import { minutesOf, sayOfMeter } from "./counts.ts";
import { endGap } from "./hole.ts";
import { contraryStepMs, fixedIntervalMs, RUN_STEPS } from "./interval_run.ts";
import { settleInterval } from "./learning.ts";
import { endPiece, startPiece } from "./piece.ts";
import type { Step } from "./step.ts";
import { noteOnSlot } from "./take_past.ts";
import { endTail } from "./take.ts";
import type { Reading } from "./taking.ts";
import {
  announceTailFilled,
  missingInTail,
  mostInTail,
  slotAfterLatest,
  tailIdMs,
} from "./tail.ts";
import { stepsTo } from "./grid.ts";
import { MONTH_MINUTES } from "./wire/file_fields.ts";

const MINUTE_MS = 60_000;
/** What a month is counted as, where it is compared with steps. */
const MONTH_MS = MONTH_MINUTES * MINUTE_MS;

/**
 * A reading says the interval that its series has from it on. While that is learned it is known
 * now; where it is another one, a new piece begins with the reading, if that is the latest one, and
 * what lies between is missing by the old interval. True: the reading is taken.
 */
export function takeSaidInterval(
  step: Step,
  i: number,
  reading: Reading,
  watermarkMs: number,
): boolean {
  const { meters, options } = step;
  const { saidIntervalMs, timestampMs, consumptionKwh } = reading;
  if (fixedIntervalMs(options, meters.idOf(i)) !== 0) return false;
  const intervalMs = meters.intervalMs[i];
  if (intervalMs === 0) {
    settleInterval(step, i, saidIntervalMs);
    return false;
  }
  if (intervalMs === saidIntervalMs || timestampMs <= meters.lastMs(i)) return false;
  const steps = stepsTo(meters.grids, i, timestampMs, options.zone);
  endTail(step, i, Math.max(0, steps - 1), watermarkMs);
  endPiece(step, i);
  startPiece(step, i, { intervalMs: saidIntervalMs, timestampMs, consumptionKwh });
  tellInterval(step, i, {
    metricType: "interval_changed",
    fromMs: intervalMs,
    toMs: saidIntervalMs,
    timestampMs,
  });
  noteOnSlot(step, i);
  return true;
}

/**
 * Looks whether a reading, which by the old interval is judged in every respect, completes a run of
 * equal steps that are another. A new piece then begins with it. True: it did.
 */
export function followRun(
  step: Step,
  i: number,
  { timestampMs, holderKwh, watermarkMs }: {
    readonly timestampMs: number;
    /** What stands in the slot of the reading, whether it took that or found it taken. */
    readonly holderKwh: number;
    readonly watermarkMs: number;
  },
): boolean {
  const { meters, options } = step;
  const stepMs = contraryStepMs(meters, i, timestampMs);
  if (stepMs === 0) return false;
  const fromMs = meters.intervalMs[i];
  if (fixedIntervalMs(options, meters.idOf(i)) !== 0) {
    meters.keep(meters.runs, i, { fromMs: NaN, stepMs, steps: RUN_STEPS, isTold: true });
    meters.markChanged(i); // a reading that is not taken may be the one that completes the run
    tellInterval(step, i, {
      metricType: "interval_contradicted",
      fromMs,
      toMs: stepMs,
      timestampMs,
    });
    return false;
  }
  if (stepMs > (fromMs === MONTH ? MONTH_MS : fromMs)) {
    withdrawGaps(step, i, timestampMs - RUN_STEPS * stepMs, watermarkMs);
  }
  fillTail(step, i, watermarkMs);
  endPiece(step, i);
  startPiece(step, i, { intervalMs: stepMs, timestampMs, consumptionKwh: holderKwh });
  tellInterval(step, i, { metricType: "interval_changed", fromMs, toMs: stepMs, timestampMs });
  return true;
}

/** Takes back the gaps of a run whose steps are longer: their slots were never expected. */
function withdrawGaps(step: Step, i: number, runFromMs: number, watermarkMs: number): void {
  const { meters } = step;
  const holes = meters.holes.get(i) ?? [];
  for (const hole of holes) {
    if (hole.fromMs > runFromMs) endGap(step, hole, { i, watermarkMs });
  }
  meters.keep(meters.holes, i, holes.filter(({ fromMs }) => fromMs <= runFromMs));
}

/** The gap after the reading, by the interval that ends with it, is none. */
function fillTail(step: Step, i: number, watermarkMs: number): void {
  const { meters } = step;
  if (meters.openSent[i] === 0) return;
  announceTailFilled(step, i, {
    idMs: tailIdMs(step, i),
    slotMs: slotAfterLatest(step, i, 1),
    most: mostInTail(step, i, missingInTail(step, i, watermarkMs)),
    watermarkMs,
  });
}

/** Tells, in minutes, that a series has another interval, or has another one than it is set to. */
function tellInterval(
  step: Step,
  i: number,
  { metricType, fromMs, toMs, timestampMs }: {
    readonly metricType: "interval_changed" | "interval_contradicted";
    readonly fromMs: number;
    readonly toMs: number;
    readonly timestampMs: number;
  },
): void {
  sayOfMeter(step, {
    metricType,
    meterId: step.meters.idOf(i),
    timestampMs,
    value: minutesOf(toMs),
    tags: { from_minutes: String(minutesOf(fromMs)) },
  });
}
