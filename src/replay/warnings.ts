import { DAY_MS, MONTH } from "../core/calendar.ts";
import { formatTimestamp } from "../core/time.ts";
import type { Zone } from "../core/zone.ts";
import type { DoubledHours } from "./doubled_hour.ts";
import type { DayMonthSign } from "./day_month.ts";
import type { FileInspection, Problem, ReplayJudging, Warning } from "./records.ts";
import { FAULT } from "./row_place.ts";
import { seriesId, seriesName, type SeriesTable } from "./series_table.ts";
import type { SeriesFindings } from "./whole_series.ts";

const MINUTE_MS = 60_000;
/** Meters named by a warning, and in its text. */
const METERS_MAX = 100;
const SHOWN_METERS_MAX = 3;
/** Of more series than these, which ids look alike is not asked: it takes their texts. */
const LOOK_ALIKE_SERIES_MAX = 500_000;

/** What warnings are written from. */
export type WarningFacts = {
  readonly files: readonly FileInspection[];
  readonly problems: readonly Problem[];
  readonly table: SeriesTable;
  readonly series: SeriesFindings;
  /** Series whose values nearly always rise. */
  readonly registers: readonly number[];
  readonly hours: DoubledHours;
  readonly judging: ReplayJudging;
  readonly zone: Zone;
  /** Where the first time without an offset stands; null: there is none. */
  readonly noOffset: string | null;
  readonly tooOld: Problem | null;
};

/** What a person should know of the files before they are played, each said once. */
export function warningsOf(facts: WarningFacts): Warning[] {
  return [
    noRows(facts),
    allRejected(facts),
    registers(facts),
    dayMonthSwapped(facts),
    mismatch(facts),
    changed(facts),
    unjudged(facts),
    noOffset(facts),
    clockArtefact(facts),
    tooOldRows(facts),
    lookAlikes(facts),
    damagedIds(facts),
  ].filter((warning) => warning !== null);
}

function noRows({ files }: WarningFacts): Warning | null {
  const empty = files.filter(({ rows }) => rows === 0).map(({ path }) => path);
  if (empty.length === 0) return null;
  return {
    code: "no_rows",
    text: `${shown(empty, empty.length)} ${
      empty.length === 1 ? "has" : "have"
    } a header and no rows`,
  };
}

function allRejected({ files, problems }: WarningFacts): Warning | null {
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const reasons = problems.filter(({ fault }) => fault !== FAULT.none)
    .toSorted((a, b) => b.rows - a.rows);
  const rejected = reasons.reduce((sum, each) => sum + each.rows, 0);
  if (rows === 0 || rejected < rows) return null;
  const [{ problem, file, line, example }, ...others] = reasons;
  const more = others.map((each) => `, or ${each.problem}`).join("");
  return {
    code: "all_rejected",
    text: `every row is rejected: ${problem}${more}; first in ${file}:${line}: ${example}`,
  };
}

function registers({ table, registers }: WarningFacts): Warning | null {
  if (registers.length === 0) return null;
  const meters = named(table, registers.map((series) => ({ series })));
  return {
    code: "register",
    text: `a register, not intervals? The values of ${count(registers.length, "meter")} ` +
      `(${shown(meters, registers.length)}) nearly always rise; those of a reading are to be the ` +
      "kWh of its interval: the difference of two of a register",
    meters,
  };
}

const DAY_MONTH_SIGNS: { readonly [sign in DayMonthSign]: string } = {
  "days 1 to 12": "has readings on days 1 to 12 of its months alone",
  "days 13 to 31": "has no readings on days 1 to 12 of its months",
  holes: "has holes of days that close when day and month of dates up to the 12th are exchanged",
  order: "leaps from day to day in a way that ends when day and month are exchanged",
};

function dayMonthSwapped({ table, series: { swapped } }: WarningFacts): Warning | null {
  if (swapped.length === 0) return null;
  const meters = named(table, swapped);
  const [{ sign }] = swapped;
  return {
    code: "day_month_swapped",
    text:
      `day and month swapped? ${count(swapped.length, "meter")} (${
        shown(meters, swapped.length)
      }): ${meters[0]} ${DAY_MONTH_SIGNS[sign]}; a time is to be year-month-day, as in ` +
      "2024-01-31 13:30: make the file anew from its source",
    meters,
  };
}

function mismatch({ table, series, judging }: WarningFacts): Warning | null {
  const { mismatched } = series;
  if (mismatched.length === 0) return null;
  const { stepMs, fixedMs } = mismatched[0];
  const meters = named(table, mismatched);
  const isSet = judging.expectedIntervalMs === fixedMs;
  const wayOut = isSet
    ? "GRIDWATCH_EXPECTED_INTERVAL_MINUTES=auto"
    : `take ${meters[0]} out of meters: in the configuration`;
  return {
    code: "interval_mismatch",
    text:
      `${count(mismatched.length, "meter")} ${
        mismatched.length === 1 ? "comes" : "come"
      } by other steps than ${isSet ? "expected_interval_minutes" : "meters:"} says ` +
      `(${shown(meters, mismatched.length)}: every ${lengthOf(stepMs)}, not ${lengthOf(fixedMs)}` +
      `): what lies between is judged wrongly, or not at all; ${wayOut}`,
    meters,
  };
}

function changed({ table, series: { changed } }: WarningFacts): Warning | null {
  if (changed.length === 0) return null;
  const [{ intervals: [before, after] }] = changed;
  const meters = named(table, changed);
  return {
    code: "interval_changed",
    text:
      `${count(changed.length, "meter")} ${
        changed.length === 1 ? "changes its" : "change their"
      } interval (${shown(meters, 1)} from ${lengthOf(before.intervalMs)} to ` +
      `${lengthOf(after.intervalMs)} at ${formatTimestamp(after.fromMs)}): each part is judged ` +
      "by its own",
    meters,
  };
}

function unjudged({ table, series: { unjudged } }: WarningFacts): Warning | null {
  if (unjudged.length === 0) return null;
  const meters = named(table, unjudged.map((series) => ({ series })));
  return {
    code: "unjudged",
    text:
      `${count(unjudged.length, "meter")} ${
        unjudged.length === 1 ? "has" : "have"
      } fewer than 7 readings (${shown(meters, unjudged.length)}): too few to tell the interval, ` +
      "so gaps are not judged; GRIDWATCH_EXPECTED_INTERVAL_MINUTES=30, or what it is, says it",
    meters,
  };
}

function noOffset({ noOffset, zone }: WarningFacts): Warning | null {
  if (noOffset === null || zone.name !== "UTC") return null;
  return {
    code: "no_offset",
    text: `times without an offset, first in ${noOffset}, are read as UTC; ` +
      "GRIDWATCH_TIMEZONE=Europe/London, or where they are from, reads them as local times",
  };
}

function clockArtefact({ table, series, hours, zone }: WarningFacts): Warning | null {
  const once = series.skipped;
  const { unresolvedSeries, unresolvedRows } = hours;
  if (once.length === 0 && unresolvedRows === 0) return null;
  const parts: string[] = [];
  if (once.length > 0) {
    parts.push(
      `${count(once.length, "meter")} ${once.length === 1 ? "shows" : "show"} the hour that ` +
        `${zone.name} had twice only once: the other is not counted as missing`,
    );
  }
  if (unresolvedRows > 0) {
    parts.push(
      `of ${count(unresolvedRows, "row")} in the hour that ${zone.name} had twice the order ` +
        "does not say which time is meant: the first value counts as the earlier",
    );
  }
  const meters = [...new Set([...once, ...unresolvedSeries])].map((series) => ({ series }));
  return { code: "clock_artefact", text: parts.join("; "), meters: named(table, meters) };
}

function tooOldRows({ tooOld, judging }: WarningFacts): Warning | null {
  if (tooOld === null) return null;
  const { rows, file, line, example } = tooOld;
  return {
    code: "too_old_rows",
    text:
      `${count(rows, "row")} dated before ${
        formatTimestamp(judging.minTimestampMs).slice(0, 10)
      }, first in ${file}:${line}: ${example}: rejected as TOO_OLD; ` +
      "GRIDWATCH_VALIDATION_MIN_TIMESTAMP=1990-01-01 lets older ones in",
  };
}

function lookAlikes({ table }: WarningFacts): Warning | null {
  if (table.count > LOOK_ALIKE_SERIES_MAX) return null;
  const ids = Array.from({ length: table.count }, (_, series) => seriesId(table, series));
  const alike = [...Map.groupBy(ids, (id) => id.replace(/^['’]+/, "").toLowerCase()).values()]
    .filter((group) => group.length > 1);
  if (alike.length === 0) return null;
  const meters = alike.flat().slice(0, METERS_MAX);
  return {
    code: "look_alike_ids",
    text: `${alike[0].slice(0, SHOWN_METERS_MAX).map((id) => JSON.stringify(id)).join(", ")}${
      alike.length === 1 ? "" : `, and ${alike.length - 1} more groups of ids,`
    } differ only by case or an apostrophe: they are counted as different meters`,
    meters,
  };
}

/** As a spreadsheet writes a long number that it was not told is text. */
const DAMAGED_ID = /^[+-]?\d([.,]\d+)?E\+\d+$/i;

function damagedIds({ table }: WarningFacts): Warning | null {
  if (table.count > LOOK_ALIKE_SERIES_MAX) return null;
  const found: number[] = [];
  for (let series = 0; series < table.count; series++) {
    if (DAMAGED_ID.test(seriesName(table, series).meterId)) found.push(series);
  }
  if (found.length === 0) return null;
  const meters = named(table, found.map((series) => ({ series })));
  return {
    code: "damaged_ids",
    text: `${shown(meters, found.length)}: a spreadsheet has cut the digits of ${
      found.length === 1 ? "this id" : "these ids"
    }; different meters may have become one`,
    meters,
  };
}

function named(table: SeriesTable, all: readonly { readonly series: number }[]): string[] {
  return all.slice(0, METERS_MAX).map(({ series }) => seriesId(table, series));
}

function shown(meters: readonly string[], total: number): string {
  const names = meters.slice(0, Math.min(SHOWN_METERS_MAX, total));
  return names.join(", ") + (total > names.length ? ", …" : "");
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function lengthOf(intervalMs: number): string {
  if (intervalMs === MONTH) return "month";
  if (intervalMs === DAY_MS) return "day";
  return `${intervalMs / MINUTE_MS} minutes`;
}
