import type { ProcessorOptions } from "../core/options.ts";
import { rulesOf } from "../core/rules/rules.ts";
import { MONTH } from "../core/calendar.ts";
import { MONTH_MINUTES } from "../core/wire/file_fields.ts";
import type { IntervalPiece } from "../replay/intervals.ts";
import type { Inspection } from "../replay/records.ts";
import type { TimeLog } from "../replay/time_log.ts";
import { newTimeLog } from "../replay/time_log.ts";
import { newValueLog, type ValueLog } from "../replay/value_log.ts";
import { seriesId, seriesName } from "../replay/series_table.ts";
import type { RowWatch } from "../replay/inspect.ts";
import type { SeriesPlan, WholeSeries } from "../replay/whole_series.ts";
import { countReject, newRejectCounts, reasonOf, type RejectCounts } from "./faults.ts";
import { readingsOf, type SeriesReadings } from "./readings.ts";
import { type SeriesWalk, walkSeries } from "./walk.ts";

const MINUTE_MS = 60_000;

/** What is kept of every row while files are inspected, for the audit of them. */
export type AuditLog = RowWatch & { readonly rejects: RejectCounts };

/** Nothing kept yet; `onBlock` is told how far the reading has come. */
export function newAuditLog(onBlock: RowWatch["onBlock"] = () => {}): AuditLog {
  const rejects = newRejectCounts();
  return {
    log: newTimeLog(),
    values: newValueLog(),
    rejects,
    onFault: ({ series, file, fault }, rows, row) =>
      countReject(rejects, reasonOf({ series, fault }, rows, row), {
        series,
        file,
        line: rows.lines[row],
      }),
    onBlock,
  };
}

/** A series as it was judged. */
export type AuditedSeries = {
  readonly series: number;
  readonly meterId: string;
  readonly channel: string | null;
  /** The earliest and the latest usable reading; NaN: there is none. */
  readonly fromMs: number;
  readonly toMs: number;
  /** The same with readings whose only fault is their value; infinite: there is none. */
  readonly timelyFromMs: number;
  readonly timelyToMs: number;
  /** How many usable readings it has. */
  readonly usable: number;
  readonly rejected: ReadonlyMap<string, number>;
  /** null: its interval cannot be told. */
  readonly walk: SeriesWalk | null;
  /** Where it is not walked: those that took a time of their own, and those that did not. */
  readonly unjudged: Unjudged | null;
  readonly pieces: readonly IntervalPiece[];
};

/** A series as messages and tables name it: the meter; of one of several channels `meter/channel`. */
export function idOf({ meterId, channel }: Pick<AuditedSeries, "meterId" | "channel">): string {
  return channel === null ? meterId : `${meterId}/${channel}`;
}

type Unjudged = {
  readonly reason: string;
  readonly accepted: number;
  readonly identical: number;
  readonly conflicting: number;
};

/** What is looked at while the readings of a series are at hand. */
export type SeriesVisitor = (audited: AuditedSeries, readings: SeriesReadings) => void;

const NO_REJECTS: ReadonlyMap<string, number> = new Map();

/** Judges every series of inspected files, one after another. */
export function auditSeries(
  { whole }: Inspection,
  { log, values, rejects }: { log: TimeLog; values: ValueLog; rejects: RejectCounts },
  judging: ProcessorOptions,
  visit: SeriesVisitor,
): void {
  const rules = rulesOf(judging);
  for (let series = 0; series < whole.table.count; series++) {
    const id = seriesId(whole.table, series);
    const { meterId, channel } = seriesName(whole.table, series);
    const plan = whole.plans.get(series);
    const readings = readingsOf({ log, values }, series, plan?.waiting ?? []);
    const pieces = piecesOf(series, { whole, plan, id, judging });
    const { timesMs } = readings;
    const isJudged = timesMs.length > 0 && pieces.length > 0;
    const walk = isJudged
      ? walkSeries(readings, { pieces, skipped: plan?.skipped ?? [], judging, rules, meterId: id })
      : null;
    visit({
      series,
      meterId,
      channel,
      fromMs: timesMs.length === 0 ? NaN : earliest(timesMs),
      toMs: timesMs.length === 0 ? NaN : latest(timesMs),
      timelyFromMs: readings.fromMs,
      timelyToMs: readings.toMs,
      usable: timesMs.length,
      rejected: rejects.bySeries.get(series) ?? NO_REJECTS,
      walk,
      unjudged: isJudged ? null : unjudgedOf(readings),
      pieces,
    }, readings);
  }
}

/** A reading that waited may stand behind a later one: at either end, but no further. */
const earliest = (timesMs: Float64Array) => Math.min(...timesMs.subarray(0, 16));
const latest = (timesMs: Float64Array) => Math.max(...timesMs.subarray(-16));

/** The intervals of a series, by which a replay has it judged. */
function piecesOf(
  series: number,
  { whole, plan, id, judging }: {
    readonly whole: WholeSeries;
    readonly plan: SeriesPlan | undefined;
    readonly id: string;
    readonly judging: ProcessorOptions;
  },
): IntervalPiece[] {
  const fixed = judging.intervalMsByMeter.get(id) ?? judging.expectedIntervalMs;
  if (fixed !== "auto") return [{ fromMs: -Infinity, intervalMs: fixed }];
  const intervals = plan?.intervals ?? [];
  if (intervals.length > 0) {
    return intervals.map(({ fromMs, minutes }) => ({ fromMs, intervalMs: intervalOf(minutes) }));
  }
  const minutes = whole.firstMinutes[series];
  return minutes === 0 ? [] : [{ fromMs: -Infinity, intervalMs: intervalOf(minutes) }];
}

function intervalOf(minutes: number): number {
  return minutes === MONTH_MINUTES ? MONTH : minutes * MINUTE_MS;
}

/** While an interval is not known, only the same time is the same slot. */
function unjudgedOf({ timesMs, kwhs }: SeriesReadings): Unjudged {
  let accepted = 0;
  let identical = 0;
  let holder = 0;
  for (let n = 0; n < timesMs.length; n++) {
    if (n === 0 || timesMs[n] !== timesMs[holder]) {
      holder = n;
      accepted++;
    } else if (kwhs[n] === kwhs[holder]) identical++;
  }
  const reason = timesMs.length === 0
    ? "no usable reading"
    : "fewer than 7 readings: too few to tell the interval";
  return { reason, accepted, identical, conflicting: timesMs.length - accepted - identical };
}
