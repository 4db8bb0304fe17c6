import { parseTimestampBytes } from "../core/time.ts";
import { CELLS_STRIDE, type CsvReader, type CsvRows } from "../formats/csv.ts";
import type { ReplayOptions } from "./records.ts";
import { NO_SERIES, seriesOfCell, type SeriesTable } from "./series_table.ts";
import { type CellValue, readValue } from "./value.ts";

/** What is wrong with a row, so that the core will reject it; the first that the core will say. */
export const FAULT = {
  none: 0,
  cut: 1,
  noMeter: 2,
  badMeter: 3,
  badTimestamp: 4,
  skippedTime: 5,
  badValue: 6,
  negative: 7,
  tooLarge: 8,
  tooOld: 9,
  future: 10,
  futureArrival: 11,
} as const;
export type Fault = typeof FAULT[keyof typeof FAULT];

/** What rows are read by. */
export type RowReading = Pick<ReplayOptions, "zone" | "nowMs" | "judging"> & {
  readonly series: SeriesTable;
  /** Series not known yet are added. */
  readonly addsSeries: boolean;
};

/** What the next row is, and where its record belongs. */
export type RowPlace = CellValue & {
  readonly file: number;
  /** How far its times stand behind the beginning of their intervals. */
  readonly labelMs: number;
  /** The file's rows that mean the second instant of a local time that comes twice, ascending. */
  readonly laterRows: Int32Array;
  nextLater: number;
  /** The row's number in its file, from 0 on. */
  row: number;
  series: number;
  fault: Fault;
  /** Its time is good: it may be the latest of a replay, whatever its value is. */
  isTimely: boolean;
  eventMs: number;
  receivedMs: number;
  keyMs: number;
  /** It has a time of its own to be ordered by. */
  hasKey: boolean;
  /** Both instants of a local time that comes twice; NaN: it comes once. */
  earlierMs: number;
  laterMs: number;
  isSkipped: boolean;
};

/** A file's place before its first row. */
export function firstPlace(
  file: number,
  laterRows: Int32Array = new Int32Array(0),
  labelMs = 0,
): RowPlace {
  return {
    file,
    labelMs,
    laterRows,
    nextLater: 0,
    row: -1,
    series: NO_SERIES,
    fault: FAULT.none,
    isTimely: false,
    kwh: NaN,
    isJsonNumber: false,
    eventMs: NaN,
    receivedMs: NaN,
    keyMs: -Infinity,
    hasKey: false,
    earlierMs: NaN,
    laterMs: NaN,
    isSkipped: false,
  };
}

/** Reads the file's next row into `place`, which holds what the row before it was. */
export function placeRow(
  { bytes }: Pick<CsvReader, "bytes">,
  rows: CsvRows,
  row: number,
  place: RowPlace,
  reading: RowReading,
): void {
  const { cells } = rows;
  const base = row * CELLS_STRIDE;
  const { zone, judging } = reading;
  place.row++;
  place.laterMs = NaN;
  place.isSkipped = false;
  place.eventMs = parseTimestampBytes(bytes, cells[base + 2], cells[base + 3], zone, place);
  if (place.labelMs !== 0) {
    place.eventMs -= place.labelMs;
    place.laterMs -= place.labelMs;
  }
  if (place.laterMs === place.laterMs) chooseInstant(place);
  place.receivedMs = cells[base + 7] > 0
    ? parseTimestampBytes(bytes, cells[base + 6], cells[base + 7], zone)
    : NaN;
  const arrivalMs = place.receivedMs === place.receivedMs ? place.receivedMs : place.eventMs;
  // A row without a time of our days keeps its place in the file, and moves no clock.
  place.hasKey = arrivalMs >= judging.minTimestampMs;
  if (place.hasKey) place.keyMs = arrivalMs;
  place.series = cells[base + 1] > 0 && rows.isCut[row] === 0
    ? seriesOfCell(reading.series, bytes, cells[base], cells[base + 1], reading.addsSeries)
    : NO_SERIES;
  readValue(bytes, cells[base + 4], cells[base + 5], place);
  judgeRow(rows, row, place, reading);
}

/** Takes the instant that a local time that comes twice is known to mean. */
function chooseInstant(place: RowPlace): void {
  const { laterRows, laterMs, eventMs } = place;
  place.earlierMs = eventMs;
  if (laterRows[place.nextLater] !== place.row) return;
  place.nextLater++;
  place.eventMs = laterMs;
}

function judgeRow(
  { cells, isCut }: CsvRows,
  row: number,
  place: RowPlace,
  { nowMs, judging }: RowReading,
): void {
  const { eventMs, receivedMs, kwh, series } = place;
  const base = row * CELLS_STRIDE;
  const isFuture = eventMs > nowMs || eventMs > receivedMs + judging.maxFutureMs;
  const isOfThen = eventMs >= judging.minTimestampMs && !isFuture && !(receivedMs > nowMs);
  place.isTimely = isOfThen && series !== NO_SERIES;
  if (isOfThen && series >= 0 && kwh >= 0 && kwh <= judging.maxKwh) {
    place.fault = FAULT.none;
    return;
  }
  place.fault = isCut[row] === 1
    ? FAULT.cut
    : cells[base + 1] === 0
    ? FAULT.noMeter
    : series === NO_SERIES
    ? FAULT.badMeter
    : eventMs !== eventMs
    ? place.isSkipped ? FAULT.skippedTime : FAULT.badTimestamp
    : kwh !== kwh
    ? FAULT.badValue
    : kwh < 0 && judging.negative === "reject"
    ? FAULT.negative
    : kwh > judging.maxKwh
    ? FAULT.tooLarge
    : eventMs < judging.minTimestampMs
    ? FAULT.tooOld
    : isFuture
    ? FAULT.future
    : receivedMs > nowMs
    ? FAULT.futureArrival
    : FAULT.none;
}
