import { atPlaces, placesInOrder } from "../replay/time_order.ts";
import { loggedTimes, type TimeLog } from "../replay/time_log.ts";
import { loggedValues, type ValueLog } from "../replay/value_log.ts";
import { type Waiting, waitsUntilMs } from "../replay/rivals.ts";

/** The usable readings of a series in the order in which they are judged. */
export type SeriesReadings = {
  readonly timesMs: Float64Array;
  readonly kwhs: Float64Array;
  /** Over these and those whose only fault is their value; infinite: there is none. */
  readonly fromMs: number;
  readonly toMs: number;
};

/**
 * The usable readings of a series in time order, and of one time in the order they came; one that
 * waits for a better one of its slot comes right behind that, as a replay plays it.
 */
export function readingsOf(
  logs: { readonly log: TimeLog; readonly values: ValueLog },
  series: number,
  waiting: readonly Waiting[],
): SeriesReadings {
  const { times } = loggedTimes(logs.log, series);
  const values = loggedValues(logs.values, series);
  let count = 0;
  let lastMs = -Infinity;
  let isSorted = true;
  let fromMs = Infinity;
  let toMs = -Infinity;
  for (let n = 0; n < times.length; n++) {
    const ms = Math.floor(times[n] / 2);
    if (ms < fromMs) fromMs = ms;
    if (ms > toMs) toMs = ms;
    if (values[n] !== values[n]) continue;
    if (ms < lastMs) isSorted = false;
    times[count] = lastMs = ms;
    values[count++] = values[n];
  }
  const timesMs = times.subarray(0, count);
  const kwhs = values.subarray(0, count);
  const asCame = { timesMs, kwhs, fromMs, toMs };
  if (waiting.length > 0) return inOrder(asCame, timesMs.map(playedMs(waiting)));
  return isSorted ? asCame : inOrder(asCame, timesMs);
}

function playedMs(waiting: readonly Waiting[]): (atMs: number) => number {
  return (atMs) => {
    const untilMs = waitsUntilMs(waiting, atMs);
    return untilMs === untilMs ? untilMs + 1 : atMs;
  };
}

/** Sorts readings by keys; of equal ones the first stays the first. */
function inOrder(readings: SeriesReadings, keysMs: Float64Array): SeriesReadings {
  const { timesMs, kwhs } = readings;
  const places = placesInOrder(keysMs);
  return { ...readings, timesMs: atPlaces(timesMs, places), kwhs: atPlaces(kwhs, places) };
}
