import { partitionOf } from "./partitioner.ts";
import { writeBytes } from "../core/text.ts";
import { writeTimestamp } from "../core/time.ts";
import { METER_FIELD, TIMESTAMP_FIELD, VALUE_FIELD } from "../core/wire/raw_record.ts";
import { CELLS_STRIDE, type CsvRows } from "../formats/csv.ts";
import {
  blockLength,
  copyBytes,
  HAS_RECEIVED,
  IS_JSON,
  IS_USABLE,
  type RecordBlock,
  reserve,
} from "./block.ts";
import { IS_FINITE, IS_JSON_NUMBER, numberKind } from "./value.ts";

/** Where the next row's record belongs. */
export type RowPlace = {
  readonly file: number;
  readonly partitions: number;
  eventMs: number;
  receivedMs: number;
  keyMs: number;
};

/**
 * When a row arrives: its `received_at`, or else its timestamp, or else with the row before it, so
 * that a row without either keeps its place in the file.
 */
export function arrivalMs(eventMs: number, receivedMs: number, previousKeyMs: number): number {
  if (receivedMs === receivedMs) return receivedMs;
  return eventMs === eventMs ? eventMs : previousKeyMs;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const OPEN = 0x7b;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
/** Of a byte at most: a control character as `\u0001`. */
const ESCAPED_BYTES_MAX = 6;
const FIXED_BYTES_MAX = 128;

/**
 * Appends row `row` as a record: `{"meter_id":"…","timestamp":"…","consumption_kwh":0.219`, without
 * the last brace. Cells that are not there are left out; what is no timestamp or no number goes as
 * the text it is. A cut row goes as its raw text.
 */
export function appendRow(
  block: RecordBlock,
  source: Uint8Array,
  rows: CsvRows,
  row: number,
  place: RowPlace,
): void {
  const { cells } = rows;
  const base = row * CELLS_STRIDE;
  const meterEnd = cells[base + 1];
  const lengths = meterEnd - cells[base] + cells[base + 3] - cells[base + 2] + cells[base + 5] -
    cells[base + 4];
  reserve(block, lengths * ESCAPED_BYTES_MAX + FIXED_BYTES_MAX);
  const start = blockLength(block);
  if (rows.isCut[row] === 1) {
    copyBytes(source, cells[base], block.bytes, start, lengths);
    return finish(block, start + lengths, place, 0, 0);
  }
  const { bytes } = block;
  let flags = IS_JSON;
  let at = start;
  bytes[at++] = OPEN;
  let partition = 0;
  if (meterEnd > 0) {
    at = writeBytes(METER_FIELD, bytes, at);
    const idStart = at + 1;
    at = writeText(source, cells[base], meterEnd, bytes, at);
    if (place.partitions > 1) {
      partition = meterPartition(bytes, idStart, at - 1, source, cells[base], meterEnd, place);
    }
  }
  if (cells[base + 3] > 0) {
    if (meterEnd > 0) bytes[at++] = COMMA;
    at = writeBytes(TIMESTAMP_FIELD, bytes, at);
    at = writeTime(source, cells[base + 2], cells[base + 3], place.eventMs, bytes, at);
  }
  if (cells[base + 5] > 0) {
    if (at > start + 1) bytes[at++] = COMMA;
    at = writeBytes(VALUE_FIELD, bytes, at);
    const kind = numberKind(source, cells[base + 4], cells[base + 5]);
    at = writeValue(source, cells[base + 4], cells[base + 5], kind, bytes, at);
    const isUsable = (kind & IS_FINITE) !== 0 && meterEnd > 0 && place.eventMs === place.eventMs;
    if (isUsable) flags |= IS_USABLE;
  }
  if (place.receivedMs === place.receivedMs) flags |= HAS_RECEIVED;
  finish(block, at, place, partition, flags);
}

function finish(
  block: RecordBlock,
  end: number,
  place: RowPlace,
  partition: number,
  flags: number,
): void {
  const n = block.count;
  block.ends[n] = end;
  block.keysMs[n] = place.keyMs;
  block.eventsMs[n] = place.eventMs;
  block.files[n] = place.file;
  block.partitions[n] = partition;
  block.flags[n] = flags;
  block.count = n + 1;
}

function writeTime(
  source: Uint8Array,
  start: number,
  end: number,
  eventMs: number,
  bytes: Uint8Array,
  at: number,
): number {
  if (eventMs !== eventMs) return writeText(source, start, end, bytes, at);
  bytes[at] = QUOTE;
  const timeEnd = writeTimestamp(eventMs, bytes, at + 1);
  bytes[timeEnd] = QUOTE;
  return timeEnd + 1;
}

function writeValue(
  source: Uint8Array,
  start: number,
  end: number,
  kind: number,
  bytes: Uint8Array,
  at: number,
): number {
  if ((kind & IS_JSON_NUMBER) === 0) return writeText(source, start, end, bytes, at);
  copyBytes(source, start, bytes, at, end - start);
  return at + end - start;
}

/** Writes a JSON string; invalid UTF-8 becomes replacement characters. Returns its end. */
function writeText(
  source: Uint8Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  at: number,
): number {
  const textStart = at;
  bytes[at++] = QUOTE;
  for (let i = start; i < end; i++) {
    const byte = source[i];
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) {
      const text = JSON.stringify(decoder.decode(source.subarray(start, end)));
      return textStart + encoder.encodeInto(text, bytes.subarray(textStart)).written;
    }
    bytes[at++] = byte;
  }
  bytes[at++] = QUOTE;
  return at;
}

/** The partition of the id as the core will read it: that of its text, not of its escapes. */
function meterPartition(
  bytes: Uint8Array,
  idStart: number,
  idEnd: number,
  source: Uint8Array,
  start: number,
  end: number,
  place: RowPlace,
): number {
  const isPlain = idEnd - idStart === end - start;
  if (isPlain) return partitionOf(bytes, place.partitions, idStart, idEnd);
  return partitionOf(
    encoder.encode(decoder.decode(source.subarray(start, end))),
    place.partitions,
  );
}
