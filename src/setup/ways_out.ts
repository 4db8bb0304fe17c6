import { variableOf } from "../config.ts";
import { formatTimestamp, parseTimestamp } from "../core/time.ts";
import { parseNumberText } from "../core/wire/decimal.ts";
import type { Zone } from "../core/zone.ts";
import { ALIASES, type CsvColumns, findColumns, splitHeader } from "../formats/csv_header.ts";
import { isNamedFor } from "../formats/missing_columns.ts";
import { shapeOf } from "../formats/shape.ts";
import type { Inspection, Problem } from "../replay/records.ts";
import { FAULT, type Fault } from "../replay/row_place.ts";
import type { Key } from "../settings.ts";

/** Under what rows that are all rejected would be taken. */
export type WayOut = {
  /** Settings, as the environment has them: `GRIDWATCH_VALIDATION_NEGATIVE=flag`. */
  readonly variables: readonly string[];
  readonly options: readonly string[];
};

type Column = "meter" | "time" | "value";
/** Of the head of a file, so many rows tell what its columns hold. */
const ROWS_MAX = 20;
/** A file's id, its time, its value, by the faults that another column may mend. */
const COLUMN_OF: { readonly [fault in Fault]?: Column } = {
  [FAULT.noMeter]: "meter",
  [FAULT.badMeter]: "meter",
  [FAULT.badTimestamp]: "time",
  [FAULT.badValue]: "value",
};

/** What would let the commonest of the rejected rows in, of files of which none is; null: nothing. */
export function wayOut(
  { problems, latestTimeMs }: Pick<Inspection, "problems" | "latestTimeMs">,
  { headOf, columns, zone }: {
    /** The first lines of a file. */
    readonly headOf: (path: string) => readonly string[];
    readonly columns: CsvColumns;
    readonly zone: Zone;
  },
): WayOut | null {
  const [problem] = problems.filter(({ fault }) => fault !== FAULT.none)
    .toSorted((a, b) => b.rows - a.rows);
  if (problem === undefined) return null;
  const column = COLUMN_OF[problem.fault];
  if (column !== undefined) {
    const name = otherColumn(headOf(problem.file), { column, columns, zone });
    return name === null ? null : { variables: [], options: [`--${column}-column`, name] };
  }
  if (problem.fault === FAULT.future && latestTimeMs !== null) {
    return { variables: [], options: ["--now", formatTimestamp(latestTimeMs)] };
  }
  const setting = settingFor(problem);
  if (setting === null) return null;
  const [key, value] = setting;
  return { variables: [`${variableOf(key)}=${value}`], options: [] };
}

function settingFor({ fault, example }: Problem): readonly [Key, string] | null {
  switch (fault) {
    case FAULT.negative:
      return ["validation.negative", "flag"];
    case FAULT.tooLarge: {
      const digits = Math.ceil(Math.log10(Number(example))) + 1;
      return digits <= 12 ? ["validation.max_kwh", String(10 ** digits)] : null;
    }
    case FAULT.tooOld:
      return ["validation.min_timestamp", "1900-01-01"];
    default:
      return null;
  }
}

/** Another column of a file that holds what one should, the one that is named for it first. */
function otherColumn(
  lines: readonly string[],
  { column, columns, zone }: {
    readonly column: Column;
    readonly columns: CsvColumns;
    readonly zone: Zone;
  },
): string | null {
  const [header, ...rows] = lines.filter((line) => line.trim() !== "");
  if (header === undefined) return null;
  const delimiter = shapeOf(lines)?.delimiter ?? ",";
  const names = splitHeader(header, delimiter);
  const cells = rows.slice(0, ROWS_MAX).map((row) => splitHeader(row, delimiter));
  const used = findColumns(names, columns);
  const holds = (at: number) => {
    const filled = cells.map((row) => row[at] ?? "").filter((cell) => cell !== "");
    return filled.length > 0 && filled.every((cell) => isFit(column, cell, zone));
  };
  const fit = names.filter((name, at) => name !== "" && !used.includes(at) && holds(at));
  return fit.find((name) => isNamedFor(column, name) || ALIASES[column].includes(name)) ??
    (column === "meter" ? null : fit[0] ?? null);
}

function isFit(column: Column, cell: string, zone: Zone): boolean {
  if (column === "time") return !Number.isNaN(parseTimestamp(cell, zone));
  return column === "meter" || Number.isFinite(parseNumberText(cell));
}
