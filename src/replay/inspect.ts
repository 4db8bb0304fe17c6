import { CELLS_STRIDE, type CsvRows } from "../formats/csv.ts";
import { type CsvFile, nextRows, openCsvFile } from "./csv_file.ts";
import { type Direction, type DoubledRow, resolveDoubledRows } from "./doubled_hour.ts";
import { stampOf } from "./file_stamp.ts";
import type { FileInspection, Inspection, Problem, ReplayOptions } from "./records.ts";
import { findRegisters, newRising, noteMove, type Rising } from "./rising.ts";
import {
  FAULT,
  type Fault,
  firstPlace,
  placeRow,
  type RowPlace,
  type RowReading,
} from "./row_place.ts";
import { nameChannels, newSeriesTable, seriesId } from "./series_table.ts";
import { mayBeSteady, newSteadyRows, takeSteadyRow } from "./steady_rows.ts";
import { newTimeLog, noteTime, type TimeLog } from "./time_log.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";
import { noteValue, type ValueLog } from "./value_log.ts";
import { warningsOf } from "./warnings.ts";
import { learnWhole } from "./whole_series.ts";

/** Who looks at every row beside the inspection, and keeps what that does not. */
export type RowWatch = {
  /** The times of all series, in which the inspection notes them. */
  readonly log: TimeLog;
  readonly values: ValueLog;
  /** A row that is rejected; `rows` is what it was read from. */
  onFault(place: RowPlace, rows: CsvRows, row: number): void;
  /** So many bytes of all files are read, and so many rows. */
  onBlock(sizeBytes: number, rows: number): void;
};

export type InspectOptions =
  & Pick<
    ReplayOptions,
    "files" | "zone" | "judging" | "nowMs" | "columns" | "formats" | "recordBytesMax" | "signal"
  >
  & { readonly watch?: RowWatch };

const EXAMPLE_LENGTH_MAX = 60;
const BAD_RECEIVED: Shown = ["no usable received_at", 3];

/** What a problem is called, and the field it is shown by. */
type Shown = readonly [problem: string, field: number];
const PROBLEMS: { readonly [fault in Exclude<Fault, 0>]: Shown } = {
  [FAULT.cut]: ["too long, or with a quote that never closes", 0],
  [FAULT.noMeter]: ["no meter", 1],
  [FAULT.badMeter]: ["no usable meter id", 0],
  [FAULT.badTimestamp]: ["no usable timestamp", 1],
  [FAULT.skippedTime]: ["a local time that its zone skips", 1],
  [FAULT.badValue]: ["no usable value", 2],
  [FAULT.negative]: ["a negative value", 2],
  [FAULT.tooLarge]: ["a value over validation.max_kwh", 2],
  [FAULT.tooOld]: ["dated before validation.min_timestamp", 1],
  [FAULT.future]: ["dated after now", 1],
  [FAULT.futureArrival]: ["received after now", 3],
};

/** So many rows are read by the reader that reads all before steady ones are looked for again. */
const ODD_ROWS = 64;

/** What all files together have shown so far. */
type Findings = {
  firstEventMs: number;
  lastEventMs: number;
  latestMs: number;
  /** Where the first time without an offset stands. */
  noOffset: string | null;
  /** Of the files that are read already. */
  bytesBefore: number;
  rowsBefore: number;
  readonly problems: Map<string, Problem>;
  readonly log: TimeLog;
  readonly rising: Rising;
  readonly watch: RowWatch | null;
  readonly doubled: DoubledRow[];
  readonly directions: Direction[];
};

/**
 * Reads every file once and says what replaying them will meet. A file with a header and no rows is
 * fine.
 *
 * @throws {ReadError} for a file that is missing, empty, binary or without the columns needed.
 */
export async function inspectFiles(
  paths: readonly string[],
  options: InspectOptions,
): Promise<Inspection> {
  const { zone, nowMs, judging, watch = null } = options;
  const findings: Findings = {
    firstEventMs: Infinity,
    lastEventMs: -Infinity,
    latestMs: -Infinity,
    noOffset: null,
    bytesBefore: 0,
    rowsBefore: 0,
    problems: new Map(),
    log: watch?.log ?? newTimeLog(),
    rising: newRising(),
    watch,
    doubled: [],
    directions: [],
  };
  const series = newSeriesTable();
  const reading = { zone, nowMs, judging, series, addsSeries: true };
  const seen: FileInspection[] = [];
  for (const [index, path] of paths.entries()) {
    const csv = openCsvFile(path, options);
    try {
      seen.push(await inspectFile(csv, index, { reading, findings, signal: options.signal }));
    } finally {
      csv.file.close();
    }
  }
  nameChannels(series);
  const { firstEventMs, lastEventMs, latestMs, problems, log } = findings;
  const hours = resolveDoubledRows(findings.doubled, findings.directions, zone);
  noteDoubled(findings, hours.laterRows, options);
  const learned = learnWhole(series, log, hours, { judging, zone });
  const files = seen.map((file, f) => hours.isDisordered[f] ? { ...file, isOrdered: false } : file);
  const repeats = learned.findings.repeats.entries();
  return {
    files,
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    firstEventTimeMs: firstEventMs === Infinity ? null : firstEventMs,
    lastEventTimeMs: lastEventMs === -Infinity ? null : lastEventMs,
    isOrdered: files.every((file) => file.isOrdered),
    latestTimeMs: latestMs === -Infinity ? null : latestMs,
    futureRows: rowsOf(findings, FAULT.future),
    unusableTimestampRows: rowsOf(findings, FAULT.badTimestamp) +
      rowsOf(findings, FAULT.skippedTime),
    problems: [...problems.values()],
    warnings: warningsOf({
      files,
      problems: [...problems.values()],
      table: series,
      series: learned.findings,
      registers: findRegisters(findings.rising),
      hours,
      judging,
      zone,
      noOffset: findings.noOffset,
      tooOld: problems.get(PROBLEMS[FAULT.tooOld][0]) ?? null,
    }),
    repeats: new Map(Array.from(repeats, ([index, each]) => [seriesId(series, index), each])),
    whole: learned.whole,
  };
}

function rowsOf({ problems }: Findings, fault: Exclude<Fault, 0>): number {
  return problems.get(PROBLEMS[fault][0])?.rows ?? 0;
}

async function inspectFile(
  csv: CsvFile,
  index: number,
  { reading, findings, signal }: {
    readonly reading: RowReading;
    readonly findings: Findings;
    readonly signal?: AbortSignal;
  },
): Promise<FileInspection> {
  const place = firstPlace(index, undefined, csv.found?.labelMs);
  reading.series.marksChannels = csv.found?.hasChannels ?? false;
  const order: Order = { isOrdered: true, forward: 0, backward: 0, lastDoubled: null };
  const steady = newSteadyRows();
  let blocks = 0;
  for (let count = nextRows(csv, 1); count > 0; count = nextRows(csv, ODD_ROWS)) {
    for (let row = 0; row < count; row++) {
      const previousKeyMs = place.keyMs;
      placeRow(csv.reader, csv.rows, row, place, reading);
      const isDoubled = place.laterMs === place.laterMs && place.isTimely && place.series >= 0;
      if (isDoubled) noteDoubledRow(place, previousKeyMs, findings, order);
      else {
        if (place.hasKey) noteOrder(place.keyMs, previousKeyMs, order);
        if (place.isTimely && place.series >= 0) noteSeriesTime(place, findings, order);
        noteSpan(place.eventMs, findings, reading);
      }
      noteRow(csv, row, place, findings);
    }
    if (place.labelMs === 0 && mayBeSteady(csv.reader, reading.zone)) {
      steady.saysOffset = findings.noOffset === null;
      let previousKeyMs = place.keyMs;
      while (takeSteadyRow(steady, csv.reader, place, reading)) {
        noteOrder(place.keyMs, previousKeyMs, order);
        noteSeriesTime(place, findings, order);
        noteSpan(place.eventMs, findings, reading);
        previousKeyMs = place.keyMs;
      }
    }
    if (++blocks % BLOCKS_PER_TURN !== 0) continue;
    findings.watch?.onBlock(
      findings.bytesBefore + csv.reading.sizeBytes,
      findings.rowsBefore + place.row + 1,
    );
    await nextTurn(signal);
  }
  findings.directions.push(directionOf(order));
  const { path, reader: { repeatedHeaders } } = csv;
  const stamp = stampOf(csv.reading);
  const { sizeBytes } = stamp;
  const rows = place.row + 1;
  findings.bytesBefore += sizeBytes;
  findings.rowsBefore += rows;
  const { faults = [], notes = [] } = csv.opened?.writer ?? {};
  const grown = sizeBytes - csv.file.sizeBytes;
  const changed = grown === 0 ? [] : [
    `it ${grown > 0 ? "grew" : "was cut"} while it was read, from ${csv.file.sizeBytes} bytes ` +
    `to ${sizeBytes}`,
  ];
  const { isOrdered } = order;
  return {
    path,
    sizeBytes,
    rows,
    isOrdered,
    repeatedHeaders,
    stamp,
    faults: [...faults, ...changed],
    notes,
  };
}

/** In which order the rows of a file stand. */
type Order = {
  isOrdered: boolean;
  /** Steps of its series to a later time, and to an earlier one. */
  forward: number;
  backward: number;
  /** The row before, if its time comes twice and it is ordered by that. */
  lastDoubled: DoubledRow | null;
};

function noteOrder(keyMs: number, previousKeyMs: number, order: Order): void {
  if (order.lastDoubled !== null) {
    order.lastDoubled.afterMs = keyMs;
    order.lastDoubled = null;
  } else if (keyMs < previousKeyMs) order.isOrdered = false;
}

/** Holds a time that comes twice until the order of its series' rows is known. */
function noteDoubledRow(
  place: RowPlace,
  previousKeyMs: number,
  { log, doubled }: Findings,
  order: Order,
): void {
  const { file, series, row, earlierMs, laterMs, fault } = place;
  const isOrderedBy = place.receivedMs !== place.receivedMs;
  const before = order.lastDoubled;
  if (!isOrderedBy) noteOrder(place.keyMs, previousKeyMs, order);
  const one = {
    file,
    series,
    row,
    stretch: log.totals[series] ?? 0,
    earlierMs,
    laterMs,
    kwh: fault === FAULT.none ? place.kwh : NaN,
    isOrderedBy,
    beforeMs: before === null ? previousKeyMs : NaN,
    afterMs: NaN,
  };
  doubled.push(one);
  if (isOrderedBy) order.lastDoubled = one;
}

function noteSeriesTime(
  { series, eventMs, fault, kwh }: RowPlace,
  { log, rising, watch }: Findings,
  order: Order,
): void {
  const stepMs = eventMs - log.lastMs[series];
  if (stepMs > 0) order.forward++;
  else if (stepMs < 0) order.backward++;
  noteTime(log, series, eventMs, fault === FAULT.none ? 0 : 1);
  if (fault === FAULT.none) noteMove(rising, series, eventMs, kwh);
  if (watch !== null) noteValue(watch.values, series, fault === FAULT.none ? kwh : NaN);
}

/** From this share of steps of one direction on, the file has it. */
const DIRECTION_SHARE = 0.9;

function directionOf({ forward, backward }: { forward: number; backward: number }): Direction {
  const least = DIRECTION_SHARE * (forward + backward);
  if (forward >= least) return 1;
  return backward >= least ? -1 : 0;
}

/** Notes the times that were held, now that it is known which they are. */
function noteDoubled(
  findings: Findings,
  laterRows: readonly Int32Array[],
  options: InspectOptions,
): void {
  const isLater = laterRows.map((rows) => new Set(rows));
  for (const { file, series, row, earlierMs, laterMs, kwh } of findings.doubled) {
    const ms = isLater[file].has(row) ? laterMs : earlierMs;
    noteSpan(ms, findings, options);
    noteTime(findings.log, series, ms, kwh === kwh ? 0 : 1);
    if (findings.watch !== null) noteValue(findings.watch.values, series, kwh);
  }
}

/** Notes an event time of our days. */
function noteSpan(
  eventMs: number,
  findings: Findings,
  { nowMs, judging }: Pick<RowReading, "nowMs" | "judging">,
): void {
  if (eventMs > findings.latestMs) findings.latestMs = eventMs;
  if (!(eventMs <= nowMs && eventMs >= judging.minTimestampMs)) return;
  if (eventMs < findings.firstEventMs) findings.firstEventMs = eventMs;
  if (eventMs > findings.lastEventMs) findings.lastEventMs = eventMs;
}

function noteRow(
  csv: CsvFile,
  row: number,
  place: RowPlace,
  findings: Findings,
): void {
  const { eventMs, fault } = place;
  const { cells } = csv.rows;
  const base = row * CELLS_STRIDE;
  if (findings.noOffset === null && eventMs === eventMs) {
    const isLocal = hasNoOffset(csv.reader.bytes, cells[base + 2], cells[base + 3]);
    if (isLocal) findings.noOffset = `${csv.path}:${csv.rows.lines[row]}`;
  }
  if (fault !== FAULT.none) {
    noteProblem(PROBLEMS[fault], fault, { csv, row, findings });
    findings.watch?.onFault(place, csv.rows, row);
  } else if (cells[base + 7] > 0 && place.receivedMs !== place.receivedMs) {
    noteProblem(BAD_RECEIVED, FAULT.none, { csv, row, findings });
  }
}

/** Whether a readable timestamp is a date, with or without a time, and says no offset. */
function hasNoOffset(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start + 4] !== 0x2d) return false;
  for (let at = start + 10; at < end; at++) {
    const byte = bytes[at] | 0x20;
    if (byte === 0x7a || bytes[at] === 0x2b || bytes[at] === 0x2d) return false;
  }
  return true;
}

function noteProblem(
  [problem, field]: Shown,
  fault: Fault,
  { csv, row, findings }: {
    readonly csv: CsvFile;
    readonly row: number;
    readonly findings: Findings;
  },
): void {
  const known = findings.problems.get(problem);
  if (known !== undefined) {
    known.rows++;
    return;
  }
  const at = row * CELLS_STRIDE + 2 * field;
  const start = csv.rows.cells[at];
  const end = Math.min(csv.rows.cells[at + 1], start + 4 * EXAMPLE_LENGTH_MAX);
  const text = new TextDecoder().decode(csv.reader.bytes.subarray(start, end));
  findings.problems.set(problem, {
    problem,
    fault,
    rows: 1,
    file: csv.path,
    line: csv.rows.lines[row],
    example: text.slice(0, EXAMPLE_LENGTH_MAX),
    isWarned: problem === PROBLEMS[FAULT.tooOld][0],
  });
}
