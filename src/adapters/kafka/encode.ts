import type { LogRecords, RecordOrigins } from "../../engine/log/ports.ts";
import { crc32c, varintBytes, writeInt64, writeVarint } from "./bytes.ts";
import { compress, type Compression, COMPRESSION_CODES } from "./compression.ts";

/** Who writes, for the broker's check that each batch comes once and in order. */
export type ProducerIdentity = {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly transactional: boolean;
};

export type EncodedBatch = {
  /** A whole record batch, as it stands in a produce request. */
  readonly bytes: Uint8Array;
  readonly firstRecord: number;
  readonly count: number;
};

export type EncodeOptions = {
  readonly producer: ProducerIdentity;
  readonly sequence: number;
  readonly compression: Compression;
  /** Bytes of a batch before compression; a larger record comes alone. */
  readonly batchBytesMax: number;
};

const HEADER_BYTES = 61;
const TRANSACTIONAL = 16;
/** Length and attributes, then time, offset, key and value lengths and the header count at most. */
const RECORD_OVERHEAD_BYTES = 40;
const ORIGIN_BYTES_MAX = 60;
/** Below it a loop copies faster than a call. */
const SMALL_COPY_BYTES = 24;

/** The largest batch that record `r` makes alone, before compression. */
export function recordBytesMax(records: LogRecords, r: number): number {
  return HEADER_BYTES + RECORD_OVERHEAD_BYTES + ORIGIN_BYTES_MAX + valueBytes(records, r) +
    keyBytes(records, r);
}

/** Packs records from `firstRecord` on, as many as fit: a record batch of format 2 (KIP-98). */
export function encodeBatch(
  records: LogRecords,
  firstRecord: number,
  options: EncodeOptions,
): EncodedBatch {
  const writer = new RecordWriter(records, firstRecord, options.batchBytesMax);
  const { compression } = options;
  let bytes = writer.bytes.subarray(0, writer.length);
  let code = 0;
  if (compression !== "none") {
    const packed = compress(bytes.subarray(HEADER_BYTES), compression);
    if (packed.length < bytes.length - HEADER_BYTES) {
      bytes = bytes.subarray(0, HEADER_BYTES + packed.length);
      bytes.set(packed, HEADER_BYTES);
      code = COMPRESSION_CODES[compression];
    }
  }
  writeHead(bytes, writer, code, options);
  return { bytes, firstRecord, count: writer.count };
}

function writeHead(
  bytes: Uint8Array,
  { count, firstTimeMs, lastTimeMs }: RecordWriter,
  compressionCode: number,
  { producer, sequence }: EncodeOptions,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt32(8, bytes.length - 12);
  view.setInt32(12, -1); // leader epoch: the broker's to say
  view.setInt8(16, 2);
  view.setInt16(21, compressionCode | (producer.transactional ? TRANSACTIONAL : 0));
  view.setInt32(23, count - 1);
  writeInt64(firstTimeMs, view, 27);
  writeInt64(lastTimeMs, view, 35);
  view.setBigInt64(43, producer.producerId);
  view.setInt16(51, producer.epoch);
  view.setInt32(53, sequence);
  view.setInt32(57, count);
  view.setUint32(17, crc32c(bytes, 21, bytes.length));
}

/** Writes records behind the place of the header until no further one fits. */
class RecordWriter {
  readonly bytes: Uint8Array;
  length = HEADER_BYTES;
  count = 0;
  readonly firstTimeMs: number;
  lastTimeMs: number;

  constructor(records: LogRecords, firstRecord: number, bytesMax: number) {
    const { timesMs } = records;
    this.firstTimeMs = typeof timesMs === "number" ? timesMs : timesMs[firstRecord];
    this.lastTimeMs = this.firstTimeMs;
    this.bytes = new Uint8Array(capacity(records, firstRecord, bytesMax));
    const origin = headersOf(records);
    for (let r = firstRecord; r < records.count; r++) {
      const timeMs = typeof timesMs === "number" ? timesMs : timesMs[r];
      if (!this.#write(records, r, { timeMs, origin })) break;
      if (timeMs > this.lastTimeMs) this.lastTimeMs = timeMs;
      this.count++;
    }
  }

  #write(
    records: LogRecords,
    r: number,
    { timeMs, origin }: { timeMs: number; origin: HeaderWriter | null },
  ): boolean {
    const { bytes } = this;
    const keyLength = keyBytes(records, r);
    const valueLength = valueBytes(records, r);
    const timeDelta = timeMs - this.firstTimeMs;
    const length = 1 + varintBytes(timeDelta) + varintBytes(this.count) +
      varintBytes(keyLength || -1) + keyLength + varintBytes(valueLength || -1) + valueLength +
      (origin === null ? 1 : origin.measure(r));
    if (this.length + varintBytes(length) + length > bytes.length) return false;
    let at = writeVarint(length, bytes, this.length);
    bytes[at++] = 0; // attributes
    at = writeVarint(timeDelta, bytes, at);
    at = writeVarint(this.count, bytes, at);
    at = writeVarint(keyLength || -1, bytes, at);
    if (keyLength > 0) {
      const { keys, keyEnds } = records as { keys: Uint8Array; keyEnds: ArrayLike<number> };
      at = copy(keys, keyEnds[r] - keyLength, keyLength, bytes, at);
    }
    at = writeVarint(valueLength || -1, bytes, at);
    at = copy(records.values, records.valueEnds[r] - valueLength, valueLength, bytes, at);
    if (origin === null) bytes[at++] = 0;
    else at = origin.write(r, bytes, at);
    this.length = at;
    return true;
  }
}

/** Room for a full batch, or for what there is; the first record fits, whatever its size. */
function capacity(records: LogRecords, firstRecord: number, bytesMax: number): number {
  const last = records.count - 1;
  const values = records.valueEnds[last] - valueStart(records, firstRecord);
  const keys = records.keyEnds === null
    ? 0
    : records.keyEnds[last] - (firstRecord === 0 ? 0 : records.keyEnds[firstRecord - 1]);
  const overhead = (last - firstRecord + 1) * (RECORD_OVERHEAD_BYTES + ORIGIN_BYTES_MAX);
  const all = HEADER_BYTES + values + keys + overhead;
  return Math.max(Math.min(all, bytesMax), recordBytesMax(records, firstRecord));
}

/** Writes the headers of record r, with their count; `measure` says how many bytes those are. */
type HeaderWriter = {
  measure(r: number): number;
  write(r: number, bytes: Uint8Array, offset: number): number;
};

function headersOf({ origins, replayStartMs }: LogRecords): HeaderWriter | null {
  if (origins !== null) return new OriginWriter(origins);
  return replayStartMs === undefined ? null : replayHeader(replayStartMs);
}

/** One header, the same for all records of a replay: `r`, when that began, in decimal text. */
function replayHeader(replayStartMs: number): HeaderWriter {
  const text = String(replayStartMs);
  const header = new TextEncoder().encode(
    `\x02\x02r${String.fromCharCode(text.length * 2)}${text}`,
  );
  return {
    measure: () => header.length,
    write: (_r, bytes, offset) => copy(header, 0, header.length, bytes, offset),
  };
}

/**
 * Three headers: `p` input partition, `o` input offset, `i` index within it, in decimal text, so
 * that any tool shows them; some 20 bytes a record.
 */
class OriginWriter implements HeaderWriter {
  readonly #origins: RecordOrigins;
  /** Header count, then header `p` whole, then `o`'s name. */
  readonly #prefix: Uint8Array;

  constructor(origins: RecordOrigins) {
    this.#origins = origins;
    const partition = String(origins.partition);
    this.#prefix = new TextEncoder().encode(
      `\x06\x02p${String.fromCharCode(partition.length * 2)}${partition}\x02o`,
    );
  }

  measure(r: number): number {
    return this.#prefix.length + 1 + digits(this.#origins.offsets[r]) + 3 +
      digits(this.#origins.indexes[r]);
  }

  write(r: number, bytes: Uint8Array, offset: number): number {
    const prefix = this.#prefix;
    let at = copy(prefix, 0, prefix.length, bytes, offset);
    at = writeDecimal(this.#origins.offsets[r], bytes, at);
    bytes[at++] = 2;
    bytes[at++] = 0x69; // i
    return writeDecimal(this.#origins.indexes[r], bytes, at);
  }
}

/** A header value: its length (below 64), then the digits. */
function writeDecimal(value: number, bytes: Uint8Array, offset: number): number {
  const length = digits(value);
  bytes[offset] = length * 2;
  const end = offset + 1 + length;
  let rest = value;
  let at = end - 1;
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 10)) bytes[at--] = 0x30 + rest % 10;
  let small = rest | 0;
  for (; at > offset; small = (small / 10) | 0) bytes[at--] = 0x30 + small % 10;
  return end;
}

function digits(value: number): number {
  let count = 1;
  for (let power = 10; power <= value; power *= 10) count++;
  return count;
}

function copy(from: Uint8Array, start: number, length: number, to: Uint8Array, at: number): number {
  if (length < SMALL_COPY_BYTES) {
    for (let b = 0; b < length; b++) to[at + b] = from[start + b];
  } else to.set(from.subarray(start, start + length), at);
  return at + length;
}

function valueStart(records: LogRecords, r: number): number {
  return r === 0 ? 0 : records.valueEnds[r - 1];
}

function valueBytes(records: LogRecords, r: number): number {
  return records.valueEnds[r] - valueStart(records, r);
}

function keyBytes({ keyEnds }: LogRecords, r: number): number {
  return keyEnds === null ? 0 : keyEnds[r] - (r === 0 ? 0 : keyEnds[r - 1]);
}
