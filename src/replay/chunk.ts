import {
  RECEIVED_BYTES_MAX,
  TICK_BYTES_MAX,
  writeReceivedAt,
  writeTick,
} from "../core/wire/raw_record.ts";
import { SAYINGS_BYTES_MAX, writeSayings } from "../core/wire/file_fields.ts";
import { copyBytes, HAS_RECEIVED, IS_JSON } from "./block.ts";
import type { ReplayChunk } from "./records.ts";
import type { Sayings } from "./sayings.ts";

/** A chunk is full at any of these. Content alone decides, so that every replay is cut alike. */
const CHUNK_RECORDS_MAX = 8192;
const CHUNK_BYTES_MAX = 1 << 20;
/** Rows read, sent or not: left out by the probabilities, they would make no chunk. */
const CHUNK_ROWS_MAX = 4 * CHUNK_RECORDS_MAX;
const FIRST_CHUNK_BYTES = 1 << 16;
/** What may stand behind a record's own bytes, its last brace included. */
const TAIL_BYTES_MAX = RECEIVED_BYTES_MAX + SAYINGS_BYTES_MAX + 1;

/** A chunk being filled. */
export type ChunkBuilder = {
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
  ends: Int32Array;
  partitions: Int16Array;
  count: number;
  readings: number;
  rowsRead: number;
  gaps: number;
  delays: number;
  duplicates: number;
};

const CLOSE = 0x7d;

/** An empty builder; the arrays grow to what the stream needs. */
export function newChunkBuilder(): ChunkBuilder {
  return emptied(FIRST_CHUNK_BYTES);
}

function emptied(bytesMax: number): ChunkBuilder {
  return {
    bytes: new Uint8Array(bytesMax),
    length: 0,
    ends: new Int32Array(CHUNK_RECORDS_MAX + 2),
    partitions: new Int16Array(CHUNK_RECORDS_MAX + 2),
    count: 0,
    readings: 0,
    rowsRead: 0,
    gaps: 0,
    delays: 0,
    duplicates: 0,
  };
}

/** Whether the chunk is to be handed on before anything more is added. */
export function isFull(chunk: ChunkBuilder): boolean {
  return chunk.count >= CHUNK_RECORDS_MAX || chunk.length >= CHUNK_BYTES_MAX ||
    chunk.rowsRead >= CHUNK_ROWS_MAX;
}

/** Hands on what was built, for the receiver to keep, and starts anew. */
export function takeChunk(chunk: ChunkBuilder, lastEventTimeMs: number): ReplayChunk {
  const { count, length, readings, rowsRead, gaps, delays, duplicates } = chunk;
  const taken: ReplayChunk = {
    bytes: chunk.bytes.subarray(0, length),
    ends: chunk.ends.subarray(0, count),
    partitions: chunk.partitions.subarray(0, count),
    count,
    readings,
    lastEventTimeMs,
    rowsRead,
    gaps,
    delays,
    duplicates,
  };
  Object.assign(chunk, emptied(Math.max(FIRST_CHUNK_BYTES, length + (length >> 3))));
  return taken;
}

/** Adds a record as it is. */
export function addRaw(
  chunk: ChunkBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  partition: number,
): void {
  reserve(chunk, end - start);
  copyBytes(bytes, start, chunk.bytes, chunk.length, end - start);
  finish(chunk, chunk.length + end - start, partition);
}

/** What is added of a record besides its own bytes. */
export type RecordTail = {
  readonly partition: number;
  readonly flags: number;
  readonly arrivalMs: number;
  readonly sayings: Sayings;
};

/**
 * Adds a record of a block: JSON gets its `received_at`, where it has one, what it says of its
 * series, and its last brace.
 */
export function addRecord(
  chunk: ChunkBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  record: RecordTail,
): void {
  reserve(chunk, end - start);
  const to = chunk.bytes;
  copyBytes(bytes, start, to, chunk.length, end - start);
  let at = chunk.length + end - start;
  if ((record.flags & HAS_RECEIVED) !== 0) at = writeReceivedAt(record.arrivalMs, to, at);
  const { minutes, skipped } = record.sayings;
  if (minutes !== 0 || skipped !== 0) at = writeSayings(minutes, skipped, to, at);
  if ((record.flags & IS_JSON) !== 0) to[at++] = CLOSE;
  finish(chunk, at, record.partition);
}

/** Adds a tick, for every partition. */
export function addTick(chunk: ChunkBuilder, tickMs: number, isFinal: boolean): void {
  reserve(chunk, TICK_BYTES_MAX);
  finish(chunk, writeTick(tickMs, isFinal, chunk.bytes, chunk.length), -1);
}

function finish(chunk: ChunkBuilder, end: number, partition: number): void {
  chunk.ends[chunk.count] = end;
  chunk.partitions[chunk.count] = partition;
  chunk.count++;
  chunk.length = end;
  if (partition >= 0) chunk.readings++;
}

function reserve(chunk: ChunkBuilder, bytesMax: number): void {
  const needed = chunk.length + bytesMax + TAIL_BYTES_MAX;
  if (needed <= chunk.bytes.length) return;
  const grown = new Uint8Array(Math.max(needed, chunk.bytes.length * 2));
  grown.set(chunk.bytes.subarray(0, chunk.length));
  chunk.bytes = grown;
}
