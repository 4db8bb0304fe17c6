import { partitionOf } from "./partitioner.ts";
import { newParsedRecord, type ParsedRecord, parseRecord } from "../core/wire/raw_record.ts";
import { RECORD_BYTES_MAX } from "../formats/csv.ts";
import { ReadError } from "../formats/read_error.ts";
import { checkReplayOptions } from "./check_options.ts";
import { addRaw, addTick, type ChunkBuilder, isFull, newChunkBuilder, takeChunk } from "./chunk.ts";
import { readPiece } from "./csv_file.ts";
import type { InputFile } from "./files.ts";
import { type FileReading, type FileStamp, newFileReading, PIECE_BYTES } from "./file_stamp.ts";
import type { ReplayChunk, ReplayOptions } from "./records.ts";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** A file on its way through, line by line. */
type Lines = {
  readonly file: InputFile;
  readonly reading: FileReading;
  readonly lineBytesMax: number;
  bytes: Uint8Array<ArrayBuffer>;
  /** What is read and not yet taken. */
  start: number;
  end: number;
  isEnded: boolean;
  /** The rest of a cut line is being passed over. */
  isSkipping: boolean;
  /** The line last taken, without its end. */
  lineStart: number;
  lineEnd: number;
};

type Recording = {
  readonly options: ReplayOptions;
  readonly parsed: ParsedRecord;
  readonly chunk: ChunkBuilder;
  lastEventMs: number;
  /** Of readings that are usable, or that only their value makes unusable. */
  lastTimelyMs: number;
  /** The last tick of the recording ends it. */
  isFinished: boolean;
};

/**
 * A recorded raw topic, one record a line, as it stands: in the file's order, its ticks included,
 * nothing left out. A byte order mark is passed over, blank lines are none; a line over
 * `recordBytesMax` is cut and passed on, to be rejected. With `finalTick` a last tick is added,
 * unless the recording's last tick is one.
 *
 * @throws {ReadError} when the file is missing, empty, cannot be read or is not the one expected.
 * @throws {RangeError} for an option out of its range.
 */
export async function* replayRecorded(
  path: string,
  options: ReplayOptions & { readonly expected?: FileStamp },
): AsyncGenerator<ReplayChunk> {
  checkReplayOptions(options);
  const file = options.files.open(path);
  try {
    if (file.sizeBytes === 0) throw new ReadError(`Cannot read "${path}": it is empty`);
    const reading = newFileReading(file, options.expected);
    const lines = newLines(file, reading, options.recordBytesMax ?? RECORD_BYTES_MAX);
    readMore(lines);
    if (BYTE_ORDER_MARK.every((byte, p) => lines.bytes[p] === byte)) lines.start = 3;
    const recording: Recording = {
      options,
      parsed: newParsedRecord(),
      chunk: newChunkBuilder(),
      lastEventMs: NaN,
      lastTimelyMs: -Infinity,
      isFinished: false,
    };
    const { chunk } = recording;
    while (nextLine(lines)) {
      addLine(recording, lines.bytes, lines.lineStart, lines.lineEnd);
      if (!isFull(chunk)) continue;
      options.signal?.throwIfAborted();
      yield takeChunk(chunk, recording.lastEventMs);
    }
    if (options.finalTick && !recording.isFinished && recording.lastTimelyMs !== -Infinity) {
      addTick(chunk, recording.lastTimelyMs + options.judgedAfterMs, true);
    }
    if (chunk.count > 0) yield takeChunk(chunk, recording.lastEventMs);
  } finally {
    file.close();
  }
}

function addLine(recording: Recording, bytes: Uint8Array, start: number, end: number): void {
  const { parsed, chunk, options } = recording;
  const { nowMs, zone, partitions, judging } = options;
  parseRecord(bytes, start, end, zone, parsed);
  const isTick = parsed.kind === "tick";
  const { timestampMs } = parsed;
  const isFaulty = parsed.kind === "unusable" &&
    (parsed.reason === "BAD_VALUE" || parsed.valueMissing);
  // What is dated after now or before our days, or claims to arrive after now, moves no clock.
  if (
    (isFaulty || parsed.kind !== "unusable") && timestampMs >= judging.minTimestampMs &&
    timestampMs <= nowMs && !(parsed.receivedMs > nowMs)
  ) {
    if (!(timestampMs <= recording.lastEventMs)) recording.lastEventMs = timestampMs;
    if (!isTick && timestampMs > recording.lastTimelyMs) recording.lastTimelyMs = timestampMs;
  }
  if (isTick) recording.isFinished = parsed.final;
  chunk.rowsRead++;
  addRaw(chunk, bytes, start, end, isTick ? -1 : partitionOfParsed(parsed, bytes, partitions));
}

/** The partition of the meter as the core names it; 0 where no meter can be read. */
function partitionOfParsed(parsed: ParsedRecord, bytes: Uint8Array, partitions: number): number {
  if (parsed.idEnd > 0) return partitionOf(bytes, partitions, parsed.idStart, parsed.idEnd);
  if (parsed.meterId === null) return 0;
  return partitionOf(new TextEncoder().encode(parsed.meterId), partitions);
}

function newLines(file: InputFile, reading: FileReading, lineBytesMax: number): Lines {
  return {
    file,
    reading,
    lineBytesMax,
    // Room for the longest line and its end, and to read on behind it.
    bytes: new Uint8Array(lineBytesMax + 1 + PIECE_BYTES),
    start: 0,
    end: 0,
    isEnded: false,
    isSkipping: false,
    lineStart: 0,
    lineEnd: 0,
  };
}

/** Takes the next line that is not blank; false at the end of the file. */
function nextLine(lines: Lines): boolean {
  for (;;) {
    const lineEnd = lines.bytes.subarray(0, lines.end).indexOf(LF, lines.start);
    const isTooLong = (lineEnd < 0 ? lines.end : lineEnd) - lines.start > lines.lineBytesMax;
    if (lineEnd < 0 && !isTooLong && !lines.isSkipping && !lines.isEnded) {
      readMore(lines);
      continue;
    }
    const isWhole = lineEnd >= 0 || lines.isEnded;
    lines.lineStart = lines.start;
    lines.lineEnd = isTooLong
      ? lines.start + lines.lineBytesMax
      : lineEnd < 0
      ? lines.end
      : lineEnd;
    const isTaken = !lines.isSkipping && trimLine(lines);
    lines.start = lineEnd < 0 ? lines.end : lineEnd + 1;
    lines.isSkipping = !isWhole;
    if (isTaken) return true;
    if (lines.start < lines.end) continue;
    if (lines.isEnded) return false;
    readMore(lines);
  }
}

/** Takes the blanks off the line's ends; false when nothing is left. */
function trimLine(lines: Lines): boolean {
  const { bytes } = lines;
  while (lines.lineStart < lines.lineEnd && isBlank(bytes[lines.lineStart])) lines.lineStart++;
  while (lines.lineEnd > lines.lineStart && isBlank(bytes[lines.lineEnd - 1])) lines.lineEnd--;
  return lines.lineStart < lines.lineEnd;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR;
}

function readMore(lines: Lines): void {
  lines.bytes.copyWithin(0, lines.start, lines.end);
  lines.end -= lines.start;
  lines.start = 0;
  const room = lines.bytes.subarray(lines.end, lines.end + PIECE_BYTES);
  const count = readPiece(lines.file, lines.reading, room);
  if (count === null) lines.isEnded = true;
  else lines.end += count;
}
