import { DAY_MS, MONTH } from "../core/calendar.ts";
import type { ProcessorOptions } from "../core/options.ts";
import { formatTimestamp } from "../core/time.ts";
import { nextTransitionMs, utcToLocalMs, type Zone } from "../core/zone.ts";
import type { Decided } from "../formats/decided.ts";
import type { Inspection } from "../replay/records.ts";
import type { AuditAnswer, Check, GapAnswer, SeriesAnswer, WarningAnswer } from "./answer.ts";
import type { AuditedSeries } from "./audit.ts";
import { countDates, type DateCounts } from "./days.ts";
import { addTo } from "./faults.ts";
import type { Gap } from "./walk.ts";

const MINUTE_MS = 60_000;
const SHARED_GAPS_MAX = 100;

/** What is added up while series after series is judged. */
export type AuditSum = {
  readonly series: AuditedSeries[];
  readonly days: DateCounts;
  readonly months: DateCounts;
  readonly flags: Map<string, number>;
  /** When gaps begin, and of how many series. */
  readonly gapStarts: Map<number, number>;
  longest: { readonly of: AuditedSeries; readonly gap: Gap } | null;
};

/** The sum of no series. */
export function newAuditSum(): AuditSum {
  const none = () => ({ complete: 0, partial: 0, missing: 0 });
  return {
    series: [],
    days: none(),
    months: none(),
    flags: new Map(),
    gapStarts: new Map(),
    longest: null,
  };
}

/** Adds a series. */
export function addSeries(sum: AuditSum, audited: AuditedSeries, zone: Zone): void {
  sum.series.push(audited);
  const { walk } = audited;
  if (walk === null) return;
  for (const [name, count] of walk.flags) addTo(sum.flags, name, count);
  for (const gap of walk.gaps) {
    sum.gapStarts.set(gap.fromMs, (sum.gapStarts.get(gap.fromMs) ?? 0) + 1);
    if (isLonger(gap, sum.longest?.gap)) sum.longest = { of: audited, gap };
  }
  for (const [counts, date] of [[sum.days, DAY_MS], [sum.months, MONTH]] as const) {
    if (walk.intervalMs === MONTH && date === DAY_MS) continue;
    const { complete, partial, missing } = countDates(walk, date, zone);
    counts.complete += complete;
    counts.partial += partial;
    counts.missing += missing;
  }
}

function isLonger(gap: Gap, than: Gap | undefined): boolean {
  return than === undefined || gap.toMs - gap.fromMs > than.toMs - than.fromMs;
}

export type AnswerOptions = {
  readonly judging: ProcessorOptions;
  readonly inspection: Inspection;
  readonly rejected: ReadonlyMap<string, number>;
  readonly decided: Decided;
  /** Percent. */
  readonly target: number;
  /** Found out by the audit alone. */
  readonly warnings: readonly WarningAnswer[];
};

/** The whole answer, of all series. */
export function answerOf(sum: AuditSum, options: AnswerOptions): AuditAnswer {
  const { inspection, rejected, judging: { zone } } = options;
  const judged = sum.series.filter(({ walk }) => walk !== null);
  const firstMs = sum.series.reduce((ms, one) => Math.min(ms, one.timelyFromMs), Infinity);
  const lastMs = sum.series.reduce((ms, one) => Math.max(ms, one.timelyToMs), -Infinity);
  const series = sum.series.map((one) => seriesAnswer(one, { firstMs, lastMs }));
  const fromMs = sum.series.reduce((ms, one) => one.fromMs < ms ? one.fromMs : ms, Infinity);
  const toMs = sum.series.reduce((ms, one) => one.toMs > ms ? one.toMs : ms, -Infinity);
  const total = (pick: (one: SeriesAnswer) => number | null) =>
    series.reduce((all, one) => all + (pick(one) ?? 0), 0);
  const expected = total((one) => one.expected);
  const missing = total((one) => one.missing);
  const shares: Shares = {
    expected,
    present: expected - missing,
    early: total((one) => one.ended_early),
    late: total((one) => one.started_late),
  };
  return {
    verdict: verdictOf(shares, sum, options),
    rows: inspection.rows,
    accepted: total((one) => one.present),
    series_count: series.length,
    from: isoOf(fromMs),
    to: isoOf(toMs),
    decided: options.decided,
    interval_minutes: intervalCounts(series),
    expected_intervals: expected,
    present_intervals: expected - missing,
    missing_intervals: missing,
    gaps: total((one) => one.gaps),
    completeness_percent: percent(shares.present, expected),
    completeness_with_silence_percent: percent(shares.present, expected + shares.early),
    duplicates: {
      identical: total((one) => one.duplicates.identical),
      conflicting: total((one) => one.duplicates.conflicting),
    },
    rejected: Object.fromEntries(rejected),
    flags: Object.fromEntries(sum.flags),
    longest_gap: sum.longest === null ? null : gapAnswer(sum.longest.of, sum.longest.gap),
    shared_gaps: sharedGaps(sum),
    days: sum.days,
    clock_changes: clockChanges(judged, zone, { firstMs, lastMs }),
    interval_changes: sum.series.flatMap(intervalChanges),
    warnings: [...inspection.warnings, ...options.warnings],
    series,
  };
}

type Shares = {
  readonly expected: number;
  readonly present: number;
  readonly early: number;
  readonly late: number;
};

/**
 * Holds what is there against the target, in percent: within the series' spans, and with what lies
 * before and behind them up to the edges of the input. Days and months have no share of their own:
 * they are named where the target is missed.
 */
function verdictOf(
  { expected, present, early, late }: Shares,
  { days, months, series }: AuditSum,
  { target, inspection }: Pick<AnswerOptions, "target" | "inspection">,
): { readonly pass: boolean; readonly failed: readonly Check[] } {
  const fails = (part: number, whole: number) => whole > 0 && part / whole * 100 < target;
  const checks: [Check, boolean][] = [
    ["gap_at_start", fails(expected, expected + late)],
    ["gap_at_end", fails(expected, expected + early)],
    ["gap_inside", fails(present, expected)],
  ];
  const isMissed = checks.some(([, isFailed]) => isFailed);
  const isCut = ({ partial, missing }: DateCounts) => isMissed && partial + missing > 0;
  checks.push(["day_complete", isCut(days)], ["month_complete", isCut(months)]);
  const isWhole = inspection.files.every(({ faults }) => faults.length === 0);
  const isUsable = series.some(({ usable }) => usable > 0);
  return {
    pass: !isMissed && isUsable && isWhole,
    failed: checks.flatMap(([check, isFailed]) => isFailed ? [check] : []),
  };
}

function seriesAnswer(
  { meterId, channel, fromMs, toMs, rejected, walk, unjudged }: AuditedSeries,
  edges: { readonly firstMs: number; readonly lastMs: number },
): SeriesAnswer {
  const { accepted, identical, conflicting } = walk ?? unjudged!;
  const expected = walk === null ? null : walk.accepted + walk.missing;
  const widthMs = walk === null
    ? Infinity
    : walk.intervalMs === MONTH
    ? 30 * DAY_MS
    : walk.intervalMs;
  const slotsIn = (fromMs: number, toMs: number) =>
    Math.max(0, Math.floor((toMs - fromMs) / widthMs));
  return {
    meter_id: meterId,
    channel,
    interval_minutes: walk === null ? null : minutesOf(walk.intervalMs),
    from: isoOf(fromMs),
    to: isoOf(toMs),
    expected,
    present: accepted,
    missing: walk === null ? null : walk.missing,
    gaps: walk === null ? null : walk.gaps.length,
    completeness_percent: expected === null ? null : percent(accepted, expected),
    duplicates: { identical, conflicting },
    rejected: Object.fromEntries(rejected),
    flags: Object.fromEntries(walk?.flags ?? []),
    ended_early: walk === null ? 0 : slotsIn(walk.lastSlotMs, edges.lastMs),
    started_late: walk === null ? 0 : slotsIn(edges.firstMs, walk.firstSlotMs),
    unjudged: unjudged?.reason ?? null,
  };
}

/** A gap as it is told. */
export function gapAnswer({ meterId, channel }: AuditedSeries, gap: Gap): GapAnswer {
  return {
    meter_id: meterId,
    channel,
    missing_from: formatTimestamp(gap.fromMs),
    missing_to: formatTimestamp(gap.toMs),
    missing_intervals: gap.count,
  };
}

function isoOf(ms: number): string | null {
  return Number.isFinite(ms) ? formatTimestamp(ms) : null;
}

function minutesOf(intervalMs: number): number | "month" {
  return intervalMs === MONTH ? "month" : intervalMs / MINUTE_MS;
}

/** Percent, to two places; what is not complete never shows as 100. */
function percent(part: number, whole: number): number | null {
  if (whole === 0) return null;
  const percent = Math.round(part / whole * 10_000) / 100;
  return part < whole ? Math.min(percent, 99.99) : percent;
}

function intervalCounts(series: readonly SeriesAnswer[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { interval_minutes: minutes } of series) {
    if (minutes !== null) addTo(counts, String(minutes), 1);
  }
  return Object.fromEntries([...counts].sort(([a], [b]) => Number(a) - Number(b)));
}

function sharedGaps({ gapStarts }: AuditSum): { at: string; series: number }[] {
  return [...gapStarts].filter(([, series]) => series > 1)
    .sort(([aMs, a], [bMs, b]) => b - a || aMs - bMs)
    .slice(0, SHARED_GAPS_MAX)
    .map(([atMs, series]) => ({ at: formatTimestamp(atMs), series }));
}

function clockChanges(
  judged: readonly AuditedSeries[],
  zone: Zone,
  { firstMs, lastMs }: { readonly firstMs: number; readonly lastMs: number },
): AuditAnswer["clock_changes"] {
  const changes: { at: string; kind: "spring" | "autumn"; series: number }[] = [];
  for (let atMs = nextTransitionMs(zone, firstMs); atMs <= lastMs;) {
    const series = judged.filter(({ walk }) =>
      walk!.firstSlotMs < atMs && walk!.lastSlotMs >= atMs
    ).length;
    const isForward = utcToLocalMs(zone, atMs) - atMs > utcToLocalMs(zone, atMs - 1) - (atMs - 1);
    changes.push({ at: formatTimestamp(atMs), kind: isForward ? "spring" : "autumn", series });
    atMs = nextTransitionMs(zone, atMs);
  }
  return changes;
}

function intervalChanges(
  { meterId, channel, pieces }: AuditedSeries,
): AuditAnswer["interval_changes"] {
  return pieces.slice(1).map(({ fromMs, intervalMs }, p) => ({
    meter_id: meterId,
    channel,
    at: formatTimestamp(fromMs),
    from: minutesOf(pieces[p].intervalMs),
    to: minutesOf(intervalMs),
  }));
}
