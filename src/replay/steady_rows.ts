import { UTC_ZONE, type Zone } from "../core/zone.ts";
import { parseTimestampBytes } from "../core/time.ts";
import { decimalEnd, parseDecimal } from "../core/wire/decimal.ts";
import { CSV_FIELDS } from "../formats/csv_header.ts";
import type { CsvReader } from "../formats/csv.ts";
import { FAULT, type RowPlace, type RowReading } from "./row_place.ts";
import { idStart, seriesOfCell, type SeriesTable } from "./series_table.ts";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DASH = 0x2d;
const ZERO = 0x30;
const COLON = 0x3a;
const UPPER_T = 0x54;
const UPPER_Z = 0x5a;
/** `YYYY-MM-DD`, and with the time of day, to the second. */
const DATE_BYTES = 10;
const TIME_BYTES = 19;
const MINUTE_MS = 60_000;

/**
 * Reads of a file the rows that are like most rows of most files, each byte once: an id that is
 * known, a time to the second in a zone without transitions, a plain number, nothing else. What is
 * otherwise in any way ends the stretch, and is read by the reader that reads all.
 */
export type SteadyRows = {
  /** The date of the row before, as it is written: its bytes as three numbers; and its midnight. */
  dateStart: number;
  dateMiddle: number;
  dateEnd: number;
  dayMs: number;
  /** What was looked at last, and the same four bytes at a time. */
  bytes: Uint8Array;
  view: DataView;
  ids: Uint8Array;
  idsView: DataView;
  /** Only rows whose times say that they are in UTC: one that does not is to be told of. */
  saysOffset: boolean;
  /** Of each series: whether its id may be compared as it stands; 0: that is not known. */
  isBare: Uint8Array;
};

const IS_BARE = 1;
const IS_NOT_BARE = 2;

/** Whether a file may have such rows: the three columns in their order, times in a steady zone. */
export function mayBeSteady({ layout }: CsvReader, zone: Zone): boolean {
  return layout !== null && zone.localBoundsMs.length === 0 && layout.fieldOfColumn.length === 3 &&
    layout.fieldOfColumn.every((field, column) =>
      field === column && CSV_FIELDS[field] !== "received_at"
    );
}

/** Before the first row. */
export function newSteadyRows(): SteadyRows {
  const none = new Uint8Array(0);
  return {
    dateStart: 0,
    dateMiddle: 0,
    dateEnd: 0,
    dayMs: NaN,
    bytes: none,
    view: new DataView(none.buffer),
    ids: none,
    idsView: new DataView(none.buffer),
    saysOffset: true,
    isBare: new Uint8Array(256),
  };
}

/**
 * Reads the file's next row into `place`, if it is such a row and all of it is there, and goes on
 * behind it; false: it is not, and nothing is changed but memos.
 */
export function takeSteadyRow(
  steady: SteadyRows,
  reader: CsvReader,
  place: RowPlace,
  { series: table, zone, nowMs, judging }: RowReading,
): boolean {
  const { bytes, start, end } = reader;
  if (steady.bytes !== bytes) {
    steady.bytes = bytes;
    steady.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  if (steady.ids !== table.ids) {
    steady.ids = table.ids;
    steady.idsView = new DataView(table.ids.buffer, table.ids.byteOffset, table.ids.length);
  }
  // Room for the shortest rest of a row behind an id: no more is looked at before that is known.
  const { delimiter } = reader.layout!;
  const series = seriesAt(steady, table, reader);
  if (series < 0) return false;
  const timeAt = start + table.ends[series] - idStart(table, series) + 1;
  if (timeAt + TIME_BYTES + 3 > end) return false;
  const ofDayMs = timeOfDayMs(bytes, timeAt + DATE_BYTES);
  if (ofDayMs < 0 || !isSameDate(steady, bytes, timeAt)) return false;
  const eventMs = steady.dayMs + ofDayMs - zone.offsetsMs[0];
  let at = timeAt + TIME_BYTES;
  if (bytes[at] === UPPER_Z) {
    if (zone.offsetsMs[0] !== 0) return false;
    at++;
  } else if (steady.saysOffset) return false;
  if (bytes[at++] !== delimiter) return false;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  const valueEnd = decimalEnd(bytes, at, end);
  const kwh = parseDecimal(bytes, at, valueEnd);
  at = valueEnd;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === CR)) at++;
  const isGood = at < end && bytes[at] === LF && kwh >= 0 && kwh <= judging.maxKwh &&
    eventMs <= nowMs && eventMs >= judging.minTimestampMs;
  if (!isGood) return false;
  reader.start = at + 1;
  reader.line++;
  place.row++;
  place.series = series;
  place.fault = FAULT.none;
  place.isTimely = true;
  place.kwh = kwh;
  place.isJsonNumber = true;
  place.laterMs = NaN;
  place.receivedMs = NaN;
  place.eventMs = place.keyMs = eventMs;
  place.hasKey = true;
  return true;
}

/** The known series whose id stands at the front, a delimiter behind it; below 0: it is not clear. */
function seriesAt(steady: SteadyRows, table: SeriesTable, reader: CsvReader): number {
  if (table.count === 0) return -1;
  const { last, followers } = table;
  if (isAt(steady, table, last, reader)) return last;
  const next = followers[last];
  if (isAt(steady, table, next, reader)) return table.last = next;
  const { bytes, start, end, kinds } = reader;
  let at = start;
  while (at < end && kinds[bytes[at]] === 0) at++;
  if (at === end || bytes[at] !== reader.layout!.delimiter || at === start) return -1;
  const series = seriesOfCell(table, bytes, start, at, false);
  return series >= 0 && isAt(steady, table, series, reader) ? series : -1;
}

function isAt(
  steady: SteadyRows,
  table: SeriesTable,
  series: number,
  { bytes, start, end, kinds, layout }: CsvReader,
): boolean {
  const { ids, ends } = table;
  const { view, idsView } = steady;
  const from = series === 0 ? 0 : ends[series - 1];
  const length = ends[series] - from;
  const idEnd = start + length;
  if (idEnd >= end || bytes[idEnd] !== layout!.delimiter) return false;
  // Ids of a fleet begin alike and end apart.
  let p = length;
  for (; p >= 4; p -= 4) {
    if (idsView.getUint32(from + p - 4) !== view.getUint32(start + p - 4)) return false;
  }
  for (p--; p >= 0; p--) if (ids[from + p] !== bytes[start + p]) return false;
  if (series < steady.isBare.length && steady.isBare[series] !== 0) {
    return steady.isBare[series] === IS_BARE;
  }
  return noteBare(steady, series, ids.subarray(from, ends[series]).every((b) => kinds[b] === 0));
}

function noteBare(steady: SteadyRows, series: number, isBare: boolean): boolean {
  if (series >= steady.isBare.length) {
    const grown = new Uint8Array(Math.max(series + 1, steady.isBare.length * 2));
    grown.set(steady.isBare);
    steady.isBare = grown;
  }
  steady.isBare[series] = isBare ? IS_BARE : IS_NOT_BARE;
  return isBare;
}

/** Whether a day is written at `at`; `steady.dayMs` is its midnight then. */
function isSameDate(steady: SteadyRows, bytes: Uint8Array, at: number): boolean {
  const { view } = steady;
  const start = view.getUint32(at);
  const middle = view.getUint32(at + 4);
  const end = view.getUint16(at + 8);
  const isSame = end === steady.dateEnd && middle === steady.dateMiddle &&
    start === steady.dateStart;
  if (isSame) return true;
  if (bytes[at + 4] !== DASH) return false;
  const dayMs = parseTimestampBytes(bytes, at, at + DATE_BYTES, UTC_ZONE);
  if (dayMs !== dayMs) return false;
  [steady.dateStart, steady.dateMiddle, steady.dateEnd] = [start, middle, end];
  steady.dayMs = dayMs;
  return true;
}

/** The time of day in ` HH:MM:SS` or `THH:MM:SS`; below 0: it is written otherwise, or none. */
function timeOfDayMs(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== SPACE && bytes[at] !== UPPER_T) return -1;
  if (bytes[at + 3] !== COLON || bytes[at + 6] !== COLON) return -1;
  const hour = twoDigits(bytes, at + 1);
  const minute = twoDigits(bytes, at + 4);
  const second = twoDigits(bytes, at + 7);
  if (!(hour < 24 && minute < 60 && second < 60)) return -1;
  return (hour * 60 + minute) * MINUTE_MS + second * 1000;
}

/** Two digits; NaN: they are none. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at] - ZERO;
  const ones = bytes[at + 1] - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
}
