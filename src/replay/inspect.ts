import { CELLS_STRIDE } from "../formats/csv.ts";
import { type CsvFile, firstPlace, nextRows, openCsvFile, placeRow } from "./csv_file.ts";
import { stampOf } from "./file_stamp.ts";
import type { FileInspection, Inspection, Problem, ReplayOptions } from "./records.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";
import { IS_FINITE, numberKind } from "./value.ts";

export type InspectOptions = Pick<
  ReplayOptions,
  "files" | "zone" | "nowMs" | "columns" | "recordBytesMax" | "signal"
>;

const EXAMPLE_LENGTH_MAX = 60;

const CUT = "too long, or with a quote that never closes";
const NO_METER = "no meter";
const BAD_TIMESTAMP = "no usable timestamp";
const FUTURE = "dated after now";
const BAD_VALUE = "no usable value";
const FUTURE_ARRIVAL = "received after now";
const BAD_RECEIVED = "no usable received_at";

/** What all files together have shown so far. */
type Findings = {
  firstEventMs: number;
  lastEventMs: number;
  readonly problems: Map<string, Problem>;
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
  const findings: Findings = {
    firstEventMs: Infinity,
    lastEventMs: -Infinity,
    problems: new Map(),
  };
  const files: FileInspection[] = [];
  for (const path of paths) {
    const csv = openCsvFile(path, options);
    try {
      files.push(await inspectFile(csv, options, findings));
    } finally {
      csv.file.close();
    }
  }
  const { firstEventMs, lastEventMs, problems } = findings;
  return {
    files,
    rows: files.reduce((sum, file) => sum + file.rows, 0),
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    firstEventTimeMs: firstEventMs === Infinity ? null : firstEventMs,
    lastEventTimeMs: lastEventMs === -Infinity ? null : lastEventMs,
    isOrdered: files.every((file) => file.isOrdered),
    futureRows: problems.get(FUTURE)?.rows ?? 0,
    unusableTimestampRows: problems.get(BAD_TIMESTAMP)?.rows ?? 0,
    problems: [...problems.values()],
  };
}

async function inspectFile(
  csv: CsvFile,
  options: InspectOptions,
  findings: Findings,
): Promise<FileInspection> {
  const { zone, nowMs } = options;
  const place = firstPlace(0, 1);
  let rows = 0;
  let isOrdered = true;
  let blocks = 0;
  for (let count = nextRows(csv); count > 0; count = nextRows(csv)) {
    for (let row = 0; row < count; row++) {
      const previousKeyMs = place.keyMs;
      placeRow(csv, row, zone, place);
      if (place.keyMs < previousKeyMs) isOrdered = false;
      const { eventMs } = place;
      if (eventMs <= nowMs) {
        if (eventMs < findings.firstEventMs) findings.firstEventMs = eventMs;
        if (eventMs > findings.lastEventMs) findings.lastEventMs = eventMs;
      }
      const problem = problemOf(csv, row, eventMs, place.receivedMs, nowMs);
      if (problem !== null) note(problem, csv, row, rows + row + 1, findings);
    }
    rows += count;
    if (++blocks % BLOCKS_PER_TURN === 0) await nextTurn(options.signal);
  }
  const stamp = stampOf(csv.reading);
  return { path: csv.path, sizeBytes: stamp.sizeBytes, rows, isOrdered, stamp };
}

/** The first thing wrong with a row; null: nothing is. */
function problemOf(
  csv: CsvFile,
  row: number,
  eventMs: number,
  receivedMs: number,
  nowMs: number,
): string | null {
  const { cells, isCut } = csv.rows;
  const base = row * CELLS_STRIDE;
  if (isCut[row] === 1) return CUT;
  if (cells[base + 1] === 0) return NO_METER;
  if (eventMs !== eventMs) return BAD_TIMESTAMP;
  if (eventMs > nowMs) return FUTURE;
  if (receivedMs > nowMs) return FUTURE_ARRIVAL;
  const kind = numberKind(csv.reader.bytes, cells[base + 4], cells[base + 5]);
  if ((kind & IS_FINITE) === 0) return BAD_VALUE;
  return cells[base + 7] > 0 && receivedMs !== receivedMs ? BAD_RECEIVED : null;
}

/** The field a problem is shown by. */
const FIELD_OF_PROBLEM: Readonly<Record<string, number>> = {
  [CUT]: 0,
  [NO_METER]: 1,
  [BAD_TIMESTAMP]: 1,
  [FUTURE]: 1,
  [FUTURE_ARRIVAL]: 3,
  [BAD_VALUE]: 2,
  [BAD_RECEIVED]: 3,
};

function note(
  problem: string,
  csv: CsvFile,
  row: number,
  rowNumber: number,
  findings: Findings,
): void {
  const known = findings.problems.get(problem);
  if (known !== undefined) {
    known.rows++;
    return;
  }
  const at = row * CELLS_STRIDE + 2 * FIELD_OF_PROBLEM[problem];
  const start = csv.rows.cells[at];
  const end = Math.min(csv.rows.cells[at + 1], start + 4 * EXAMPLE_LENGTH_MAX);
  const text = new TextDecoder().decode(csv.reader.bytes.subarray(start, end));
  findings.problems.set(problem, {
    problem,
    rows: 1,
    file: csv.path,
    row: rowNumber,
    example: text.slice(0, EXAMPLE_LENGTH_MAX),
  });
}
