import type { AuditAnswer, Check } from "../answer.ts";
import type { Problem } from "../../replay/records.ts";
import type { Audited } from "../audit_files.ts";
import type { Gap } from "../walk.ts";
import { fittingRows, type ReportNotes } from "../report_notes.ts";
import type { RejectLine } from "../faults.ts";
import { loadShapeSvg } from "./load_shape.ts";
import {
  counted,
  escaped,
  formatCount,
  type HtmlColumn,
  htmlTable,
  scriptJson,
  section,
  shownPercent,
  shownTime,
} from "./markup.ts";
import css from "./report.css" with { type: "text" };
import script from "./report.js" with { type: "text" };

/** What a report is made of. */
export type ReportFacts = {
  /** The files, as they were named. */
  readonly files: readonly string[];
  readonly answer: AuditAnswer;
  readonly gaps: readonly Gap[];
  readonly notes: ReportNotes;
  /** Of each reason the first rows; what each file is called; and what stands in the first of all. */
  readonly rejectLines: ReadonlyMap<string, readonly RejectLine[]>;
  readonly problems: readonly Problem[];
  readonly paths: readonly string[];
  /** Of the days. */
  readonly zoneName: string;
  /** Percent. */
  readonly target: number;
  /** What made it: `Gridwatch 0.1.0`. */
  readonly maker: string;
};

/** The calendar may take so much of a page, whatever is in it. */
const DAYS_CHARS_MAX = 1_200_000;
const WORST_MAX = 100;
const SHOWN_MAX = 25;
const SHARED_MAX = 12;
const WARNING_METERS_MAX = 20;

const FAILED: Readonly<Record<Check, string>> = {
  gap_at_start: "series begin after the input does",
  gap_at_end: "series end before the input does",
  gap_inside: "there are gaps inside",
  day_complete: "days are not complete",
  month_complete: "months are not complete",
};

/** The report of files as they were judged. */
export function reportOf(
  { answer, sum, inspection, rejectLines, zone, ...said }:
    & Audited
    & Pick<ReportFacts, "files" | "notes" | "target" | "maker">,
): string {
  return reportHtml({
    ...said,
    answer,
    gaps: sum.series.flatMap(({ walk }) => walk?.gaps ?? []),
    rejectLines,
    problems: inspection.problems,
    paths: inspection.files.map(({ path }) => path),
    zoneName: zone.name,
  });
}

/** The same: one page that needs nothing else. */
export function reportHtml(facts: ReportFacts): string {
  const { answer, notes } = facts;
  const title = `Audit of ${namesOf(facts.files)}`;
  const rows = fittingRows(notes.rows, DAYS_CHARS_MAX);
  const days = { rows: rows.map(({ name, from, days }) => [name, from, days]) };
  return [
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${escaped(title)}</title><style>${css}</style></head><body>\n`,
    `<header><h1>${escaped(title)}</h1><p class="soft">${escaped(spanOf(facts))}</p></header>\n`,
    verdict(facts),
    tiles(answer),
    warnings(answer),
    calendar(facts, rows.length),
    `<div class="two">${gapLengths(facts)}${sharedOutages(answer)}</div>`,
    worstSeries(answer),
    section(
      "Load shape",
      `How much is taken in the course of a day, in kW: the mean of every reading of series whose ` +
        `interval is an hour or less, by the clock of ${facts.zoneName}.`,
      loadShapeSvg(notes.shape),
    ),
    rejects(facts),
    decided(answer),
    `<script type="application/json" id="days">${scriptJson(days)}</script>`,
    `<script>${script}</script></body></html>\n`,
  ].join("");
}

function namesOf(files: readonly string[]): string {
  const names = files.map((path) => path.split(/[\\/]/).pop() ?? path);
  return names.length <= 3
    ? names.join(", ")
    : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more files`;
}

function spanOf({ answer, zoneName, maker }: ReportFacts): string {
  const { series_count, from, to, interval_minutes } = answer;
  const intervals = Object.entries(interval_minutes).map(([minutes, series]) =>
    `${formatCount(series)} every ${minutes === "month" ? "month" : `${minutes} minutes`}`
  ).join(", ");
  return `${counted(series_count, "series", "series")}${
    intervals === "" ? "" : ` (${intervals})`
  } ` +
    `from ${shownTime(from)} to ${shownTime(to)} UTC; days by ${zoneName}; by ${maker}`;
}

function verdict({ answer, target }: ReportFacts): string {
  const { pass, failed } = answer.verdict;
  const why = failed.map((check) => FAILED[check]);
  if (!pass && why.length === 0) {
    why.push(answer.accepted === 0 ? "no reading is usable" : "not all of it could be read");
  }
  const said = pass
    ? `<p>At least ${target} % of all intervals are there.</p>`
    : `<p>${target} % of all intervals are wanted:</p><ul>${
      why.map((text) => `<li>${escaped(text)}</li>`).join("")
    }</ul>`;
  return `<section class="verdict${pass ? "" : " fail"}"><strong>${
    pass ? "✓ Pass" : "✕ Fail"
  }</strong>${said}</section>\n`;
}

function tiles(answer: AuditAnswer): string {
  const { duplicates: { identical, conflicting }, days } = answer;
  const rejected = Object.values(answer.rejected).reduce((sum, rows) => sum + rows, 0);
  const tile = (name: string, value: string, more: string) =>
    `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}<small>${escaped(more)}</small></dd></div>`;
  return `<section class="tiles">${
    [
      tile(
        "Complete",
        shownPercent(answer.completeness_percent),
        `${shownPercent(answer.completeness_with_silence_percent)} up to the input's end`,
      ),
      tile(
        "Missing intervals",
        formatCount(answer.missing_intervals),
        `of ${formatCount(answer.expected_intervals)}, in ${counted(answer.gaps, "gap")}`,
      ),
      tile("Rows", formatCount(answer.rows), `${formatCount(answer.accepted)} readings accepted`),
      tile("Sent again", formatCount(identical), `and ${formatCount(conflicting)} conflicting`),
      tile("Rejected", formatCount(rejected), rejected === 0 ? "every row is usable" : "see below"),
      tile(
        "Complete days",
        formatCount(days.complete),
        `${formatCount(days.partial)} partial, ${formatCount(days.missing)} missing`,
      ),
    ].join("")
  }</section>\n`;
}

function warnings({ warnings }: AuditAnswer): string {
  if (warnings.length === 0) return "";
  const items = warnings.map(({ code, text, meters = [] }) => {
    const shown = meters.slice(0, WARNING_METERS_MAX).join(", ");
    const more = meters.length > 3 ? `<br><span class="mono soft">${escaped(shown)}</span>` : "";
    return `<li><span class="mono soft">${escaped(code)}</span> ${escaped(text)}${more}</li>`;
  });
  return section("What to look into", "", `<ul class="warnings">${items.join("")}</ul>`);
}

function calendar({ notes, zoneName }: ReportFacts, shown: number): string {
  const count = notes.rows.length;
  if (count === 0) return "";
  const joined = shown < count
    ? ` So that they fit, ${formatCount(shown)} rows show several each.`
    : "";
  const about = count === 1
    ? `Every day by the clock of ${zoneName}: a row a month.`
    : `Every day of ${counted(count, "series", "series")} by the clock of ${zoneName}: a row a ` +
      `series, the least complete first, each from its first reading to its last.${joined}`;
  return section(
    "Calendar",
    about,
    `<div class="legend"><span><i class="all"></i>complete</span><span><i class="part"></i>partly ` +
      `there</span><span><i class="none"></i>missing</span><span><i class="out"></i>before its ` +
      `first or after its last reading</span></div><div class="heat" data-label="Days of each ` +
      `series: complete, partly there or missing"></div><div class="heat-said soft" ` +
      `aria-live="polite">Point at a day to read it.</div>`,
  );
}

const MINUTE_MS = 60_000;
const LENGTHS: readonly (readonly [minutes: number, name: string])[] = [
  [30, "½ hour"],
  [60, "1 hour"],
  [180, "3 hours"],
  [720, "12 hours"],
  [1440, "1 day"],
  [2880, "2 days"],
  [10_080, "a week"],
  [43_200, "30 days"],
];

function gapLengths({ gaps, answer: { longest_gap: longest } }: ReportFacts): string {
  if (gaps.length === 0) return section("Gap lengths", "", "<p>There is no gap.</p>");
  const counts = [...LENGTHS.map(() => 0), 0];
  const missing = [...counts];
  for (const { fromMs, toMs, count } of gaps) {
    const minutes = (toMs - fromMs) / MINUTE_MS;
    const at = LENGTHS.findIndex(([most]) => minutes <= most);
    counts[at < 0 ? LENGTHS.length : at]++;
    missing[at < 0 ? LENGTHS.length : at] += count;
  }
  const most = Math.max(...counts);
  const first = counts.findIndex((count) => count > 0);
  const last = counts.findLastIndex((count) => count > 0);
  const bars = counts.slice(first, last + 1).map((count, n) => {
    const at = first + n;
    const name = at < LENGTHS.length ? `up to ${LENGTHS[at][1]}` : "longer";
    const what = count === 0 ? "–" : `${counted(count, "gap")}, ${formatCount(missing[at])}`;
    return bar(name, count / most, what);
  });
  const id = longest === null ? "" : idOf(longest);
  const about = longest === null
    ? ""
    : `The longest: ${id} from ${shownTime(longest.missing_from)} to ${
      shownTime(longest.missing_to)
    } UTC, ${counted(longest.missing_intervals, "interval")}. The last figure is of intervals.`;
  return section("Gap lengths", about, bars.join(""));
}

function bar(name: string, share: number, what: string): string {
  const width = share === 0
    ? ' style="visibility:hidden"'
    : ` style="width:${Math.round(share * 100)}%"`;
  return `<div class="bar"><span>${escaped(name)}</span><span><i${width}></i></span><span>${
    escaped(what)
  }</span></div>`;
}

function sharedOutages({ shared_gaps: shared }: AuditAnswer): string {
  if (shared.length === 0) {
    return section(
      "Shared outages",
      "",
      "<p>No two series have a gap that begins at one time.</p>",
    );
  }
  const rows = shared.slice(0, SHARED_MAX).map(({ at, series }) => [shownTime(at), series]);
  return section(
    "Shared outages",
    "Gaps of several series that begin at one time: most often the way there, not the meters.",
    htmlTable([["begins (UTC)"], ["series", "n"]], rows),
  );
}

const idOf = ({ meter_id, channel }: { meter_id: string; channel: string | null }) =>
  channel === null ? meter_id : `${meter_id}/${channel}`;

const SERIES_COLUMNS: readonly HtmlColumn[] = [
  ["series", "id"],
  ["minutes"],
  ["from"],
  ["to"],
  ["expected", "n"],
  ["missing", "n"],
  ["gaps", "n"],
  ["complete", "n"],
  ["ended early", "n"],
  ["began late", "n"],
  ["sent again", "n"],
  ["conflicting", "n"],
  ["rejected", "n"],
];

function worstSeries({ series }: AuditAnswer): string {
  const lost = (one: AuditAnswer["series"][number]) =>
    one.expected === null ? Infinity : (one.missing ?? 0) + one.ended_early;
  const worst = [...series].sort((a, b) => lost(b) - lost(a)).slice(0, WORST_MAX);
  const rows = worst.map((one) => [
    idOf(one),
    one.interval_minutes === null ? one.unjudged ?? "not judged" : String(one.interval_minutes),
    shownTime(one.from),
    shownTime(one.to),
    one.expected ?? "–",
    one.missing ?? "–",
    one.gaps ?? "–",
    shownPercent(one.completeness_percent),
    one.ended_early,
    one.started_late,
    one.duplicates.identical,
    one.duplicates.conflicting,
    Object.values(one.rejected).reduce((sum, rows) => sum + rows, 0),
  ]);
  const all = series.length > WORST_MAX
    ? `, the ${WORST_MAX} first of ${formatCount(series.length)}`
    : "";
  const about = series.length === 1
    ? ""
    : `Those that miss most, inside and behind their last reading${all}. `;
  const shown = htmlTable(SERIES_COLUMNS, rows.slice(0, SHOWN_MAX));
  const more = rows.length <= SHOWN_MAX
    ? ""
    : `<details><summary>${rows.length - SHOWN_MAX} more</summary>${
      htmlTable(SERIES_COLUMNS, rows.slice(SHOWN_MAX))
    }</details>`;
  return section(
    series.length === 1 ? "The series" : "Worst series",
    `${about}Times are UTC.`,
    shown + more,
  );
}

function rejects({ answer: { rejected }, rejectLines, problems, paths }: ReportFacts): string {
  const reasons = Object.entries(rejected).sort(([, a], [, b]) => b - a);
  if (reasons.length === 0) {
    return section("Rejected rows", "", "<p>None: every row is usable.</p>");
  }
  const names = paths.map((path) => path.split(/[\\/]/).pop() ?? path);
  const rows = reasons.map(([reason, count]) => {
    const lines = rejectLines.get(reason) ?? [];
    const places = lines.map(({ file, line }) =>
      names.length === 1 ? line : `${names[file]}:${line}`
    );
    return [reason, count, places.join(", ") + (count > lines.length ? ", …" : "")];
  });
  const first = problems.map(({ problem, rows, file, line, example }) => [
    problem,
    rows,
    `${file.split(/[\\/]/).pop()}:${line}`,
    example,
  ]);
  return section(
    "Rejected rows",
    "Rows that are no usable readings: why, and in which lines the first of them stand.",
    htmlTable([["reason", "id"], ["rows", "n"], ["lines", "wide"]], rows) +
      "<h2>In words</h2>" +
      htmlTable([["what", "wide"], ["rows", "n"], ["first in"], ["there", "wide"]], first),
  );
}

function decided({ decided }: AuditAnswer): string {
  const rows = Object.entries(decided).map(([what, { value, evidence }]) => [
    what.replaceAll("_", " "),
    value ?? "–",
    evidence,
  ]);
  return section(
    "How it was read",
    "What was decided about the files, and by what.",
    htmlTable([["what"], ["taken for", "wide"], ["by", "wide"]], rows),
  );
}
