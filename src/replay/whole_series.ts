import { isCalendar, MONTH } from "../core/calendar.ts";
import { MONTH_MINUTES } from "../core/wire/file_fields.ts";
import type { Zone } from "../core/zone.ts";
import { type DayMonthSign, dayMonthSign } from "./day_month.ts";
import type { DoubledHours, SkippedHour } from "./doubled_hour.ts";
import { contradiction, findIntervals, type IntervalPiece } from "./intervals.ts";
import type { ReplayJudging } from "./records.ts";
import { findWaiting, type Waiting } from "./rivals.ts";
import { seriesId, type SeriesTable } from "./series_table.ts";
import { atPlaces, placesInOrder } from "./time_order.ts";
import { loggedTimes, type TimeLog } from "./time_log.ts";

const MINUTE_MS = 60_000;

/** Slots that the clock of a series' source never had: told by its next reading from `toMs` on. */
export type SkippedSlots = SkippedHour & { readonly intervals: number };

/** What the replay says of a series besides its first interval. */
export type SeriesPlan = {
  /** From when on its readings come every so many minutes; the first holds from its beginning. */
  readonly intervals: readonly { readonly fromMs: number; readonly minutes: number }[];
  readonly skipped: readonly SkippedSlots[];
  readonly waiting: readonly Waiting[];
};

/** What only the whole of the files shows. */
export type WholeSeries = {
  readonly table: SeriesTable;
  /** What the first reading of each series says of its interval, in minutes; 0: nothing. */
  readonly firstMinutes: Int32Array;
  /** Of the few series of which there is more to say. */
  readonly plans: ReadonlyMap<number, SeriesPlan>;
  /** Of each file the rows that are of the second of two equal hours, ascending. */
  readonly laterRows: readonly Int32Array[];
};

/** Usable rows whose time their series had already, and at how many times in a row there are such. */
export type Repeats = { readonly rows: number; readonly stretch: number };

/** What was found, for people. */
export type SeriesFindings = {
  /** Those with too few readings to tell an interval. */
  readonly unjudged: number[];
  /** Those that never had the slots of an hour that came twice. */
  readonly skipped: number[];
  readonly changed: { readonly series: number; readonly intervals: readonly IntervalPiece[] }[];
  /** Those that come by other steps than they are fixed to. */
  readonly mismatched: {
    readonly series: number;
    readonly stepMs: number;
    readonly fixedMs: number;
  }[];
  /** Those whose dates show that day and month were swapped. */
  readonly swapped: { readonly series: number; readonly sign: DayMonthSign }[];
  readonly repeats: Map<number, Repeats>;
};

type LearnOptions = { readonly judging: ReplayJudging; readonly zone: Zone };

/** Learns from every time that came what the replay is to say with the readings. */
export function learnWhole(
  table: SeriesTable,
  log: TimeLog,
  hours: DoubledHours,
  options: LearnOptions,
): { whole: WholeSeries; findings: SeriesFindings } {
  const findings: SeriesFindings = {
    ...{ unjudged: [], skipped: [], changed: [], mismatched: [], swapped: [] },
    repeats: new Map(),
  };
  const firstMinutes = new Int32Array(table.count);
  const plans = new Map<number, SeriesPlan>();
  const skipped = Map.groupBy(hours.skipped, ({ series }) => series);
  for (let series = 0; series < table.count; series++) {
    const { times: asCame, isSorted } = loggedTimes(log, series);
    const times = isSorted ? asCame : atPlaces(asCame, placesInOrder(asCame));
    const usableMs = distinctTimes(times, false);
    if (usableMs.length === 0) continue;
    noteOddities(series, { times, inOrder: isSorted ? null : asCame, usableMs }, {
      findings,
      zone: options.zone,
    });
    const pieces = intervalsOf(series, { times, usableMs, table, findings }, options);
    if (pieces.length === 0) continue;
    const fixed = fixedMs(table, series, options) !== 0;
    if (!fixed) firstMinutes[series] = minutesOf(pieces[0].intervalMs);
    const plan: SeriesPlan = {
      intervals: fixed
        ? []
        : pieces.map(({ fromMs, intervalMs }) => ({ fromMs, minutes: minutesOf(intervalMs) })),
      skipped: (skipped.get(series) ?? []).flatMap((hour) => slotsOf(hour, pieces)),
      waiting: findWaiting(usableMs, pieces, { ...options.judging, zone: options.zone }),
    };
    const { intervals, waiting } = plan;
    if (plan.skipped.length > 0) findings.skipped.push(series);
    if (intervals.length > 1 || plan.skipped.length > 0 || waiting.length > 0) {
      plans.set(series, plan);
    }
  }
  return { whole: { table, firstMinutes, plans, laterRows: hours.laterRows }, findings };
}

/** Notes what a person should look into, whatever the interval is. */
function noteOddities(
  series: number,
  { times, inOrder, usableMs }: {
    readonly times: Float64Array;
    readonly inOrder: Float64Array | null;
    readonly usableMs: Float64Array;
  },
  { findings, zone }: { readonly findings: SeriesFindings; readonly zone: Zone },
): void {
  const inOrderMs = inOrder?.map((time) => Math.floor(time / 2)) ?? null;
  const sign = dayMonthSign(usableMs, { zone, inOrderMs });
  if (sign !== null) findings.swapped.push({ series, sign });
  if (usableMs.length === times.length) return;
  const repeats = repeatsIn(times);
  if (repeats.rows > 0) findings.repeats.set(series, repeats);
}

function repeatsIn(times: Float64Array): Repeats {
  let [rows, stretch, longest] = [0, 0, 0];
  for (let n = 0; n < times.length;) {
    let next = n + 1;
    while (next < times.length && times[next] === times[n]) next++;
    // An odd one has no value, and repeats nothing.
    if (times[n] % 2 === 0) {
      rows += next - n - 1;
      stretch = next - n > 1 ? stretch + 1 : 0;
      longest = Math.max(longest, stretch);
    }
    n = next;
  }
  return { rows, stretch: longest };
}

/** What a fixed interval is; 0: it is learned. */
function fixedMs(table: SeriesTable, series: number, { judging }: LearnOptions): number {
  const { intervalMsByMeter, expectedIntervalMs } = judging;
  const fixed = intervalMsByMeter.size === 0
    ? expectedIntervalMs
    : intervalMsByMeter.get(seriesId(table, series)) ?? expectedIntervalMs;
  return fixed === "auto" ? 0 : fixed;
}

function intervalsOf(
  series: number,
  { times, usableMs, table, findings }: {
    readonly times: Float64Array;
    readonly usableMs: Float64Array;
    readonly table: SeriesTable;
    readonly findings: SeriesFindings;
  },
  options: LearnOptions,
): readonly IntervalPiece[] {
  // A reading without a usable value shows all the same when its meter reads.
  const timesMs = usableMs.length === times.length ? usableMs : distinctTimes(times, true);
  const intervalMs = fixedMs(table, series, options);
  if (intervalMs !== 0) {
    const stepMs = contradiction(timesMs, intervalMs);
    if (stepMs !== 0) findings.mismatched.push({ series, stepMs, fixedMs: intervalMs });
    return [{ fromMs: timesMs[0], intervalMs }];
  }
  const pieces = findIntervals(timesMs, { ...options.judging, zone: options.zone });
  if (pieces.length === 0) findings.unjudged.push(series);
  if (pieces.length > 1) findings.changed.push({ series, intervals: pieces });
  return pieces;
}

/** Each time once, of those of `sortedTimes`; with the readings of no usable value, or without. */
function distinctTimes(times: Float64Array, withFaulty: boolean): Float64Array {
  const distinct = new Float64Array(times.length);
  let count = 0;
  let lastMs = NaN;
  for (let n = 0; n < times.length; n++) {
    const ms = Math.floor(times[n] / 2);
    if (ms === lastMs || !withFaulty && times[n] !== ms * 2) continue;
    distinct[count++] = lastMs = ms;
  }
  return distinct.subarray(0, count);
}

function minutesOf(intervalMs: number): number {
  return intervalMs === MONTH ? MONTH_MINUTES : intervalMs / MINUTE_MS;
}

/** The slots of a skipped hour; none where its length is no whole number of them. */
function slotsOf(hour: SkippedHour, pieces: readonly IntervalPiece[]): SkippedSlots[] {
  const { intervalMs } = pieces.findLast(({ fromMs }) => fromMs <= hour.fromMs) ?? pieces[0];
  const intervals = (hour.toMs - hour.fromMs) / intervalMs;
  return isCalendar(intervalMs) || !Number.isInteger(intervals) ? [] : [{ ...hour, intervals }];
}
