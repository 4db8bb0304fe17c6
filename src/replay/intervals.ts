import { DAY_MS, MONTH } from "../core/calendar.ts";
import { INTERVAL_MS_MAX } from "../core/grid.ts";
import { RUN_STEPS } from "../core/interval_run.ts";
import { learnInterval } from "../core/learning.ts";
import type { ProcessorOptions } from "../core/options.ts";

/** From a time on, readings come every `intervalMs`: `MONTH`, or milliseconds. */
export type IntervalPiece = { readonly fromMs: number; readonly intervalMs: number };

const MINUTE_MS = 60_000;
/** A series with fewer steps shows no interval, unless three of them are months. */
const STEPS_MIN = 6;
const MONTH_STEPS_MIN = 3;
/** If so many of the steps are one, that is the interval. */
const SURE_SHARE = 3 / 4;
/** Without equal steps in a row, an interval is learned from so many readings, of the middle. */
const LEARNED_MAX = 4096;
/** So many readings before the first equal steps in a row show an interval of their own. */
const HEAD_MIN = 48;

/** Equal whole-minute steps in a row: from the reading before the first of them. */
type Run = { readonly fromMs: number; readonly stepMs: number; readonly first: number };

/**
 * The intervals of a whole series, from its ascending, distinct times. Empty: too few to tell. After
 * `RUN_STEPS` equal whole-minute steps that are another interval, the next piece begins where the
 * first of these steps does.
 */
export function findIntervals(
  timesMs: Float64Array,
  options: Pick<ProcessorOptions, "gapGraceMs" | "zone">,
): IntervalPiece[] {
  if (timesMs.length === 0) return [];
  const runs = findRuns(timesMs);
  if (runs.length === 0) {
    const intervalMs = learnWhole(timesMs, options);
    return intervalMs === 0 ? [] : [{ fromMs: timesMs[0], intervalMs }];
  }
  const head = timesMs.subarray(0, runs[0].first + 1);
  const isLongHead = head.length >= HEAD_MIN && !isMultiple(head, runs[0].stepMs);
  const headMs = isLongHead ? learnWhole(head, options) : runs[0].stepMs;
  const pieces: IntervalPiece[] = [{ fromMs: timesMs[0], intervalMs: headMs }];
  for (const { fromMs, stepMs } of runs) {
    if (stepMs !== pieces[pieces.length - 1].intervalMs) {
      pieces.push({ fromMs, intervalMs: stepMs });
    }
  }
  return pieces;
}

/** Whether the series contradicts a fixed interval by equal steps in a row: the first such step. */
export function contradiction(timesMs: Float64Array, intervalMs: number): number {
  return findRuns(timesMs).find(({ stepMs }) => stepMs !== intervalMs)?.stepMs ?? 0;
}

function findRuns(timesMs: Float64Array): Run[] {
  const runs: Run[] = [];
  let first = 0;
  let stepMs = NaN;
  for (let n = 1; n <= timesMs.length; n++) {
    const nextMs = timesMs[n] - timesMs[n - 1];
    if (nextMs === stepMs) continue;
    const isRun = n - 1 - first >= RUN_STEPS && stepMs % MINUTE_MS === 0;
    if (isRun && stepMs <= INTERVAL_MS_MAX) runs.push({ fromMs: timesMs[first], stepMs, first });
    first = n - 1;
    stepMs = nextMs;
  }
  return runs;
}

/** Whether all steps are multiples of one: readings are missing, and the interval is that one. */
function isMultiple(timesMs: Float64Array, stepMs: number): boolean {
  for (let n = 1; n < timesMs.length; n++) {
    if ((timesMs[n] - timesMs[n - 1]) % stepMs !== 0) return false;
  }
  return true;
}

/** The one interval of times among which no steps in a row say it; 0: too few. */
function learnWhole(
  timesMs: Float64Array,
  options: Pick<ProcessorOptions, "gapGraceMs" | "zone">,
): number {
  const steps = timesMs.length - 1;
  const counts = new Map<number, number>();
  let months = 0;
  for (let n = 1; n <= steps; n++) {
    const stepMs = timesMs[n] - timesMs[n - 1];
    if (stepMs >= 28 * DAY_MS && stepMs <= 31 * DAY_MS) months++;
    if (stepMs % MINUTE_MS !== 0 || stepMs > INTERVAL_MS_MAX) continue;
    counts.set(stepMs, (counts.get(stepMs) ?? 0) + 1);
  }
  if (months >= MONTH_STEPS_MIN && months >= steps / 2) return MONTH;
  if (steps < STEPS_MIN) return 0;
  for (const [stepMs, count] of counts) if (count >= SURE_SHARE * steps) return stepMs;
  const skipped = Math.max(0, timesMs.length - LEARNED_MAX) >> 1;
  const learned = Array.from(timesMs.subarray(skipped, skipped + LEARNED_MAX));
  return learnInterval(learned, { ...options, learningReadings: learned.length });
}
