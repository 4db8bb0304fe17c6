import { type ByteReader, type ByteWriter, CodecError } from "./bytes.ts";
import { MONTH } from "./calendar.ts";
import { INTERVAL_MS_MAX, RESIDUALS, startResiduals } from "./grid.ts";
import { heldReadings, holdReadings } from "./held.ts";
import type { Hole } from "./hole.ts";
import type { MeterTable, PastPiece } from "./meters.ts";

/**
 * The section `meter` of the state: a meter's clocks, and either what is being learned or its grid,
 * ring, holes and marks. What few meters have is written only where a bit of `flags` says so. Version 3
 * added the slots of delivered estimates.
 */
export const METER_SECTION_VERSION = 3;

const HAS_OTHER_MAX = 1 << 0;
const HAS_OTHER_FORWARD = 1 << 1;
const IS_SILENT = 1 << 2;
const HAS_OPEN = 1 << 3;
const HAS_OPEN_GAP = 1 << 4;
const HAS_HOLES = 1 << 5;
const HAS_MARKS = 1 << 6;
const HAS_PAST = 1 << 7;
const HAS_RUN = 1 << 8;
const HAS_SKIP = 1 << 9;
const HAS_REMEMBERED_FROM = 1 << 10;
const HAS_ESTIMATES = 1 << 11;

/** Packs a meter's own section. */
export function writeMeter(writer: ByteWriter, meters: MeterTable, i: number): void {
  const { grids } = meters;
  const flags = flagsOf(meters, i);
  writer.u32(flags);
  writer.f64(meters.serial[i]);
  writer.f64(grids.slotMs[i]);
  writer.i32(grids.prevMs(i));
  if (flags & HAS_OTHER_MAX) writer.f64(meters.maxMs(i));
  if (flags & HAS_OTHER_FORWARD) writer.f64(meters.forwardMs(i));
  writer.i32(grids.intervalMs[i]);
  if (grids.intervalMs[i] === 0) return writeLearning(writer, meters, i);
  for (let r = 1; r < RESIDUALS; r++) writer.i32(grids.residuals[i * RESIDUALS + r]);
  writer.i32(grids.ordinal[i]);
  writer.i32(meters.firstOrdinal[i]);
  if (!(flags & IS_SILENT)) writeRing(writer, meters, i);
  writeSparse(writer, meters, i, flags);
}

function flagsOf(meters: MeterTable, i: number): number {
  const lastMs = meters.lastMs(i);
  return (meters.maxMs(i) === lastMs ? 0 : HAS_OTHER_MAX) |
    (meters.forwardMs(i) === lastMs ? 0 : HAS_OTHER_FORWARD) |
    (meters.isSilent(i) ? IS_SILENT : 0) |
    (meters.openSent[i] > 0 ? HAS_OPEN : 0) |
    (meters.openGaps.has(i) ? HAS_OPEN_GAP : 0) |
    (meters.holes.has(i) ? HAS_HOLES : 0) |
    (meters.marks.has(i) ? HAS_MARKS : 0) |
    (meters.past.has(i) ? HAS_PAST : 0) |
    (meters.runs.has(i) ? HAS_RUN : 0) |
    (meters.skips.has(i) ? HAS_SKIP : 0) |
    (meters.rememberedFrom.has(i) ? HAS_REMEMBERED_FROM : 0) |
    (meters.estimates.has(i) ? HAS_ESTIMATES : 0);
}

function writeLearning(writer: ByteWriter, meters: MeterTable, i: number): void {
  const readings = heldReadings(meters, i);
  writer.u32(readings.length / 2);
  for (const number of readings) writer.f64(number);
  const unusableMs = meters.unusable.get(i) ?? [];
  writer.u32(unusableMs.length);
  for (const atMs of unusableMs) writer.f64(atMs);
}

/** The values of the ring, oldest first; it may be longer or shorter where it is read. */
function writeRing(writer: ByteWriter, meters: MeterTable, i: number): void {
  const length = meters.ringLength(i);
  writer.u32(length);
  for (let back = length - 1; back >= 0; back--) {
    writer.f64(meters.valueAt(i, meters.ordinal[i] - back));
  }
}

function writeSparse(writer: ByteWriter, meters: MeterTable, i: number, flags: number): void {
  if (flags & HAS_OPEN) writer.u32(meters.openSent[i]);
  const open = meters.openGaps.get(i);
  if (open !== undefined) {
    writer.f64(open.idMs);
    writer.u32(open.most);
    writer.i32(open.frozenRejected);
  }
  if (flags & HAS_HOLES) writeHoles(writer, meters.holes.get(i) ?? []);
  if (flags & HAS_MARKS) writeMarks(writer, meters.marks.get(i) ?? []);
  if (flags & HAS_PAST) {
    const past = meters.past.get(i) ?? [];
    writer.u32(past.length);
    for (const piece of past) writePast(writer, piece);
  }
  const run = meters.runs.get(i);
  if (run !== undefined) {
    writer.f64(run.fromMs);
    writer.i32(run.stepMs);
    writer.u8(run.steps);
    writer.u8(run.isTold ? 1 : 0);
  }
  const skip = meters.skips.get(i);
  if (skip !== undefined) {
    writer.i32(skip.ordinal);
    writer.f64(skip.skippedMs);
  }
  if (flags & HAS_REMEMBERED_FROM) writer.i32(meters.rememberedFrom.get(i) ?? 0);
  if (flags & HAS_ESTIMATES) writeMarks(writer, meters.estimates.get(i) ?? []);
}

function writePast(writer: ByteWriter, piece: PastPiece): void {
  writer.i32(piece.intervalMs);
  writer.i32(piece.ordinal);
  writer.f64(piece.slotMs);
  writer.i32(piece.prevMs);
  writeHoles(writer, piece.holes);
  writeMarks(writer, piece.marks);
}

const SENT_STATES = ["", "OPEN", "CLOSED"] as const;

function writeHoles(writer: ByteWriter, holes: readonly Hole[]): void {
  writer.u32(holes.length);
  for (const hole of holes) {
    writer.i32(hole.from);
    writer.f64(hole.fromMs);
    writer.i32(hole.intervalMs);
    writer.u32(hole.count);
    writer.u32(hole.judged);
    writer.u32(hole.lost);
    writer.f64(hole.idMs);
    writer.u8(SENT_STATES.indexOf(hole.sentState));
    writer.f64(hole.sentFromMs);
    writer.u32(hole.sentCount);
    writer.u32(hole.sentRejected);
    writer.u32(hole.most);
    writer.i32(hole.frozenRejected);
  }
}

function writeMarks(writer: ByteWriter, marks: readonly number[]): void {
  writer.u32(marks.length);
  for (const ordinal of marks) writer.i32(ordinal);
}

/** Reads what this or an older version wrote of a meter that was just added. Throws `CodecError`. */
export function readMeter(
  reader: ByteReader,
  meters: MeterTable,
  i: number,
  version: number,
): void {
  if (version === 1) return readVersion1(reader, meters, i);
  const { grids } = meters;
  const flags = reader.u32();
  meters.serial[i] = reader.f64();
  grids.slotMs[i] = reader.f64();
  grids.residuals[i * RESIDUALS] = reader.i32();
  const lastMs = meters.lastMs(i);
  const maxMs = flags & HAS_OTHER_MAX ? reader.f64() : lastMs;
  const forwardMs = flags & HAS_OTHER_FORWARD ? reader.f64() : lastMs;
  meters.setClocks(i, { maxMs, forwardMs });
  const intervalMs = reader.i32();
  if (intervalMs === 0) return readLearning(reader, meters, i);
  if (intervalMs < MONTH) throw new CodecError(`an interval of ${intervalMs} ms`);
  grids.intervalMs[i] = intervalMs;
  for (let r = 1; r < RESIDUALS; r++) grids.residuals[i * RESIDUALS + r] = reader.i32();
  grids.ordinal[i] = reader.i32();
  meters.firstOrdinal[i] = reader.i32();
  if (!(flags & IS_SILENT)) readRing(reader, meters, i);
  readSparse(reader, meters, i, flags);
}

function readLearning(reader: ByteReader, meters: MeterTable, i: number): void {
  holdReadings(meters, i, readNumbers(reader, 2 * reader.u32()));
  const unusableMs = readNumbers(reader, reader.u32());
  if (unusableMs.length > 0) meters.unusable.set(i, unusableMs);
}

function readNumbers(reader: ByteReader, count: number): number[] {
  const numbers: number[] = [];
  while (numbers.length < count) numbers.push(reader.f64());
  return numbers;
}

/**
 * Fills the ring. Where it is longer here, what lies before the slots that are written is not
 * remembered, unless the history began after that.
 */
function readRing(reader: ByteReader, meters: MeterTable, i: number): void {
  meters.takeRing(i);
  const length = reader.u32();
  const ordinal = meters.ordinal[i];
  for (let back = length - 1; back >= 0; back--) {
    meters.setValueAt(i, ordinal - back, reader.f64());
  }
  const from = ordinal - length + 1;
  if (length < meters.ringLength(i) && from > meters.firstOrdinal[i]) {
    meters.keep(meters.rememberedFrom, i, from);
  }
}

function readSparse(reader: ByteReader, meters: MeterTable, i: number, flags: number): void {
  if (flags & HAS_OPEN) meters.openSent[i] = reader.u32();
  if (flags & HAS_OPEN_GAP) {
    const [idMs, most, frozenRejected] = [reader.f64(), reader.u32(), reader.i32()];
    meters.keep(meters.openGaps, i, { idMs, most, frozenRejected });
  }
  if (flags & HAS_HOLES) meters.keep(meters.holes, i, readHoles(reader));
  if (flags & HAS_MARKS) meters.keep(meters.marks, i, readMarks(reader));
  if (flags & HAS_PAST) {
    const past: PastPiece[] = [];
    for (let count = reader.u32(); count > 0; count--) {
      past.push({
        intervalMs: reader.i32(),
        ordinal: reader.i32(),
        slotMs: reader.f64(),
        prevMs: reader.i32(),
        holes: readHoles(reader),
        marks: readMarks(reader),
      });
    }
    meters.keep(meters.past, i, past);
  }
  if (flags & HAS_RUN) {
    const [fromMs, stepMs, steps] = [reader.f64(), reader.i32(), reader.u8()];
    meters.keep(meters.runs, i, { fromMs, stepMs, steps, isTold: reader.u8() === 1 });
  }
  if (flags & HAS_SKIP) {
    meters.keep(meters.skips, i, { ordinal: reader.i32(), skippedMs: reader.f64() });
  }
  if (flags & HAS_REMEMBERED_FROM) {
    const from = Math.max(reader.i32(), meters.rememberedFrom.get(i) ?? -Infinity);
    meters.keep(meters.rememberedFrom, i, from);
  }
  if (flags & HAS_ESTIMATES) meters.keep(meters.estimates, i, readMarks(reader));
}

function readHoles(reader: ByteReader): Hole[] {
  const holes: Hole[] = [];
  for (let count = reader.u32(); count > 0; count--) {
    holes.push({
      from: reader.i32(),
      fromMs: reader.f64(),
      intervalMs: reader.i32(),
      count: reader.u32(),
      judged: reader.u32(),
      lost: reader.u32(),
      idMs: reader.f64(),
      sentState: SENT_STATES[reader.u8()] ?? "",
      sentFromMs: reader.f64(),
      sentCount: reader.u32(),
      sentRejected: reader.u32(),
      most: reader.u32(),
      frozenRejected: reader.i32(),
    });
  }
  return holes;
}

function readMarks(reader: ByteReader): number[] {
  const marks: number[] = [];
  for (let count = reader.u32(); count > 0; count--) marks.push(reader.i32());
  return marks;
}

/**
 * Version 1 had no grid: each slot lay where the latest reading did. A meter of it gets a grid that
 * begins there.
 */
function readVersion1(reader: ByteReader, meters: MeterTable, i: number): void {
  const { grids } = meters;
  meters.serial[i] = reader.f64();
  const lastMs = grids.slotMs[i] = reader.f64();
  startResiduals(grids, i);
  const maxMs = reader.f64();
  meters.setClocks(i, { maxMs, forwardMs: Math.max(maxMs, lastMs) });
  const intervalMs = reader.u32();
  if (intervalMs === 0) {
    holdReadings(meters, i, readNumbers(reader, 2 * reader.u32()));
    return;
  }
  if (intervalMs > INTERVAL_MS_MAX) throw new CodecError(`an interval of ${intervalMs} ms`);
  grids.intervalMs[i] = intervalMs;
  grids.ordinal[i] = reader.i32();
  meters.firstOrdinal[i] = reader.i32();
  meters.openSent[i] = reader.u32();
  const idMs = reader.f64();
  if (meters.openSent[i] > 0 && idMs !== lastMs + intervalMs) {
    meters.keep(meters.openGaps, i, { idMs, most: 0, frozenRejected: -1 });
  }
  readRing(reader, meters, i);
  const holes: Hole[] = [];
  for (let count = reader.u32(); count > 0; count--) holes.push(readHole1(reader, intervalMs));
  if (holes.length > 0) meters.keep(meters.holes, i, holes);
  const marks = readMarks(reader);
  if (marks.length > 0) meters.keep(meters.marks, i, marks);
}

function readHole1(reader: ByteReader, intervalMs: number): Hole {
  const hole = {
    from: reader.i32(),
    fromMs: reader.f64(),
    intervalMs,
    count: reader.u32(),
    judged: reader.u32(),
    lost: 0,
    idMs: reader.f64(),
    sentState: SENT_STATES[reader.u8()] ?? "",
    sentFromMs: reader.f64(),
    sentCount: reader.u32(),
    sentRejected: reader.u32(),
    frozenRejected: -1,
  };
  return { ...hole, most: Math.max(hole.judged, hole.sentCount) };
}
