import { waitsUntilMs } from "./rivals.ts";
import type { SeriesPlan, WholeSeries } from "./whole_series.ts";

/** What a record says besides its reading; 0: nothing. */
export type Sayings = { minutes: number; skipped: number };

/** What is still to be said of the series while they are played. */
export type SayingState = {
  readonly whole: WholeSeries;
  /** Of each series: nothing more, its first interval alone, or what its plan has. */
  readonly pending: Uint8Array;
  readonly progress: Map<number, Progress>;
};

/** Where the playing of a series with a plan stands. */
type Progress = { saidMinutes: number; lastMs: number; nextSkip: number };

const FIRST_INTERVAL = 1;
const PLAN = 2;

/** The state before the first record. */
export function newSayingState(whole: WholeSeries): SayingState {
  const pending = new Uint8Array(whole.table.count);
  for (let series = 0; series < pending.length; series++) {
    if (whole.firstMinutes[series] !== 0) pending[series] = FIRST_INTERVAL;
  }
  for (const series of whole.plans.keys()) pending[series] = PLAN;
  return { whole, pending, progress: new Map() };
}

/**
 * What the next usable record of a series is to say: the interval from it on, where that is new, and
 * the slots before it that its source's clock never had. One that comes too late, as far as can be
 * known here, may not be heard: the next one says it again.
 */
export function takeSayings(
  state: SayingState,
  series: number,
  { eventMs, isTooLate }: { readonly eventMs: number; readonly isTooLate: boolean },
  into: Sayings,
): void {
  into.minutes = 0;
  into.skipped = 0;
  const pending = series < 0 ? 0 : state.pending[series];
  if (pending === 0) return;
  if (pending === FIRST_INTERVAL) {
    into.minutes = state.whole.firstMinutes[series];
    if (!isTooLate) state.pending[series] = 0;
    return;
  }
  const plan = state.whole.plans.get(series)!;
  const progress = state.progress.get(series) ??
    { saidMinutes: 0, lastMs: -Infinity, nextSkip: 0 };
  state.progress.set(series, progress);
  if (eventMs <= progress.lastMs) return;
  const minutes = minutesAt(plan, eventMs);
  if (minutes !== progress.saidMinutes) into.minutes = minutes;
  if (isTooLate) return;
  progress.saidMinutes = minutes;
  into.skipped = takeSkipped(plan, progress, eventMs);
  progress.lastMs = eventMs;
}

/** Until when a record of a series waits for a better one of its slot; NaN: it does not. */
export function heldUntilMs({ whole, pending }: SayingState, series: number, eventMs: number) {
  if (series < 0 || pending[series] !== PLAN) return NaN;
  return waitsUntilMs(whole.plans.get(series)!.waiting, eventMs);
}

function minutesAt({ intervals }: SeriesPlan, eventMs: number): number {
  for (let p = intervals.length - 1; p > 0; p--) {
    if (intervals[p].fromMs <= eventMs) return intervals[p].minutes;
  }
  return intervals.length === 0 ? 0 : intervals[0].minutes;
}

/** Only of an hour that lies whole between two readings. */
function takeSkipped({ skipped }: SeriesPlan, progress: Progress, eventMs: number): number {
  let intervals = 0;
  while (progress.nextSkip < skipped.length && skipped[progress.nextSkip].fromMs <= eventMs) {
    const skip = skipped[progress.nextSkip++];
    if (eventMs >= skip.toMs && progress.lastMs < skip.fromMs && progress.lastMs !== -Infinity) {
      intervals += skip.intervals;
    }
  }
  return intervals;
}
