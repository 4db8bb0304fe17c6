import { formatTimestamp } from "../core/time.ts";
import type { AuditAnswer, Check, SeriesAnswer } from "./answer.ts";
import type { AuditedSeries } from "./audit.ts";
import { gapAnswer } from "./sum.ts";

const CHECKS: Readonly<Record<Check, string>> = {
  gap_at_start: "a gap at the start",
  gap_at_end: "a gap at the end",
  gap_inside: "gaps inside",
  day_complete: "days are not complete",
  month_complete: "months are not complete",
};
const SHOWN_MAX = 5;

/** The verdict and the numbers, a line each. */
export function describeAudit(answer: AuditAnswer, target: number): string[] {
  const { verdict, series, days, duplicates, longest_gap, shared_gaps } = answer;
  const failed = verdict.failed.map((check) => CHECKS[check]).join(", ");
  const held = `${target} % wanted`;
  const lines = [
    verdict.pass
      ? `PASS: ${held}`
      : `FAIL: ${
        failed || (answer.accepted === 0 ? "no usable reading" : "not all could be read")
      }; ${held}`,
    `${count(answer.rows, "row")}: ${n(answer.accepted)} accepted, ` +
    `${n(duplicates.identical)} identical and ${n(duplicates.conflicting)} conflicting repeats` +
    `, ${n(sum(answer.rejected))} rejected${named(answer.rejected)}`,
    `${n(answer.series_count)} series from ${answer.from ?? "?"} to ${answer.to ?? "?"}, ${
      intervals(answer)
    }`,
    `complete: ${percent(answer.completeness_percent)} of each series' own time, ` +
    `${percent(answer.completeness_with_silence_percent)} up to the end of the input`,
    `missing: ${count(answer.missing_intervals, "interval")} of ${
      n(answer.expected_intervals)
    } in ${count(answer.gaps, "gap")}`,
    `days: ${n(days.complete)} complete, ${n(days.partial)} partial, ${n(days.missing)} missing`,
  ];
  if (longest_gap !== null) {
    const { meter_id, missing_from, missing_to, missing_intervals } = longest_gap;
    lines.push(
      `longest gap: ${meter_id} from ${missing_from} to ${missing_to}, ${
        count(missing_intervals, "interval")
      }`,
    );
  }
  if (shared_gaps.length > 0) {
    const shown = shared_gaps.slice(0, SHOWN_MAX).map(({ at, series }) => `${at} (${n(series)})`);
    const more = shared_gaps.length > SHOWN_MAX ? ", …" : "";
    lines.push(`gaps of several series at once: ${shown.join(", ")}${more}`);
  }
  if (Object.keys(answer.flags).length > 0) lines.push(`flags:${named(answer.flags)}`);
  lines.push(...edges(series));
  return lines;
}

function edges(series: readonly SeriesAnswer[]): string[] {
  const early = series.filter(({ ended_early }) => ended_early > 0);
  const late = series.filter(({ started_late }) => started_late > 0);
  const unjudged = series.filter(({ unjudged }) => unjudged !== null);
  return [
    ...early.length === 0 ? [] : [`ended before the input: ${listed(early)}`],
    ...late.length === 0 ? [] : [`began after the input: ${listed(late)}`],
    ...unjudged.length === 0 ? [] : [`not judged: ${listed(unjudged)} (${unjudged[0].unjudged})`],
  ];
}

function listed(series: readonly SeriesAnswer[]): string {
  const ids = series.slice(0, SHOWN_MAX).map(({ meter_id, channel }) =>
    channel === null ? meter_id : `${meter_id}/${channel}`
  );
  return `${n(series.length)} series: ${ids.join(", ")}${series.length > SHOWN_MAX ? ", …" : ""}`;
}

function intervals({ interval_minutes }: AuditAnswer): string {
  const entries = Object.entries(interval_minutes);
  if (entries.length === 0) return "no interval known";
  return entries.map(([minutes, series]) => {
    const every = minutes === "month" ? "every month" : `every ${minutes} minutes`;
    return entries.length === 1 ? every : `${n(series)} ${every}`;
  }).join(", ");
}

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((all, one) => all + one, 0);

function named(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0
    ? ""
    : ` (${entries.map(([name, count]) => `${n(count)} ${name}`).join(", ")})`;
}

const percent = (share: number | null) => share === null ? "not known" : `${share.toFixed(2)} %`;

function count(number: number, noun: string): string {
  return `${n(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A count as people read it: `1,234,567`. */
function n(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** What stands above the columns of a gaps file. */
const GAPS_HEADER = "meter_id,channel,missing_from,missing_to,missing_intervals,gap_minutes\n";

/** Every gap as a line of CSV, the header first; a piece of the text a series. */
export function* gapsCsv(series: readonly AuditedSeries[]): Generator<string> {
  yield GAPS_HEADER;
  for (const one of series) {
    if (one.walk === null || one.walk.gaps.length === 0) continue;
    yield one.walk.gaps.map((gap) => {
      const { meter_id, channel, missing_from, missing_to, missing_intervals } = gapAnswer(
        one,
        gap,
      );
      const minutes = (gap.toMs - gap.fromMs) / 60_000;
      const cells = [cell(meter_id), cell(channel ?? ""), missing_from, missing_to];
      return `${cells.join(",")},${missing_intervals},${minutes}\n`;
    }).join("");
  }
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A table by series: its columns, and a row a series. */
export const SERIES_COLUMNS = [
  ...["meter_id", "channel", "interval_minutes", "from", "to", "expected", "present", "missing"],
  ...["gaps", "completeness_percent", "ended_early", "started_late"],
] as const satisfies readonly (keyof SeriesAnswer)[];

/** A table by day: its columns. */
export const DAY_COLUMNS = ["day", "series", "complete", "partial", "missing"];

/** The day that a count of days from 1970 on is. */
export const dayText = (day: number): string => formatTimestamp(day * 86_400_000).slice(0, 10);
