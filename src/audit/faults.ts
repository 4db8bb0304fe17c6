import type { RejectReason } from "../core/outputs.ts";
import { CELLS_STRIDE, type CsvRows } from "../formats/csv.ts";
import { FAULT, type Fault, type RowPlace } from "../replay/row_place.ts";
import { UNKNOWN_SERIES } from "../replay/series_table.ts";

/** Why the core rejects a row with this fault, where no cell of it is missing. */
const REASONS: Readonly<Record<Exclude<Fault, 0>, RejectReason>> = {
  [FAULT.cut]: "MALFORMED",
  [FAULT.noMeter]: "MISSING_FIELD",
  [FAULT.badMeter]: "BAD_METER_ID",
  [FAULT.badTimestamp]: "BAD_TIMESTAMP",
  [FAULT.skippedTime]: "BAD_TIMESTAMP",
  [FAULT.badValue]: "BAD_VALUE",
  [FAULT.negative]: "NEGATIVE",
  [FAULT.tooLarge]: "TOO_LARGE",
  [FAULT.tooOld]: "TOO_OLD",
  [FAULT.future]: "FUTURE",
  [FAULT.futureArrival]: "FUTURE",
};
/** The place of a row's time among its cells, and that of its value. */
const TIME_END = 3;
const VALUE_END = 5;

/** Why the core rejects a row. */
export function reasonOf(
  { fault, series }: Pick<RowPlace, "fault" | "series">,
  { cells }: CsvRows,
  row: number,
): RejectReason {
  const base = row * CELLS_STRIDE;
  if (fault === FAULT.none || series === UNKNOWN_SERIES) return "TOO_MANY_METERS";
  const isMissing = fault === FAULT.badTimestamp && cells[base + TIME_END] === 0 ||
    fault === FAULT.badValue && cells[base + VALUE_END] === 0;
  return isMissing ? "MISSING_FIELD" : REASONS[fault];
}

/** How many rows were rejected for each reason; of each series, and of rows that name none. */
export type RejectCounts = {
  readonly total: Map<string, number>;
  readonly bySeries: Map<number, Map<string, number>>;
  /** Of each reason the first rows. */
  readonly lines: Map<string, RejectLine[]>;
};

/** Where a rejected row stands. */
export type RejectLine = { readonly file: number; readonly line: number };
const LINES_MAX = 20;

/** No row yet. */
export function newRejectCounts(): RejectCounts {
  return { total: new Map(), bySeries: new Map(), lines: new Map() };
}

/** Counts a rejected row; `series` below 0: it names none. */
export function countReject(
  counts: RejectCounts,
  reason: string,
  { series, file, line }: RejectLine & { readonly series: number },
): void {
  addTo(counts.total, reason, 1);
  const lines = counts.lines.get(reason);
  if (lines === undefined) counts.lines.set(reason, [{ file, line }]);
  else if (lines.length < LINES_MAX) lines.push({ file, line });
  if (series < 0) return;
  let ofSeries = counts.bySeries.get(series);
  if (ofSeries === undefined) counts.bySeries.set(series, ofSeries = new Map());
  addTo(ofSeries, reason, 1);
}

/** Adds to what is counted under a name. */
export function addTo(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}
