/**
 * Records on their way from the files to the stream, as columns: what the sources, the sorter and
 * the merge hand each other.
 *
 * Record i is `bytes[ends[i-1]..ends[i])`. A JSON record lacks its last `}`, so that `received_at`
 * can still be added.
 */
export type RecordBlock = {
  count: number;
  bytes: Uint8Array<ArrayBuffer>;
  ends: Int32Array;
  /** Arrival by the files: what records are ordered by. -Infinity: before everything. */
  keysMs: Float64Array;
  /** NaN: no usable timestamp. */
  eventsMs: Float64Array;
  /** Index of the file, the second key. */
  files: Int32Array;
  /** Index of the series; below 0: none that is known. */
  series: Int32Array;
  partitions: Int16Array;
  flags: Uint8Array;
};

/** The record is JSON without its last brace; else it is raw text. */
export const IS_JSON = 1;
/** `keysMs` is the file's own `received_at`. */
export const HAS_RECEIVED = 2;
/** Nothing is wrong with it that the core would reject it for. */
export const IS_USABLE = 4;
/** Its time is good, whatever its value is. */
export const IS_TIMELY = 8;

/** A block is handed on at this size: small, since a merge holds one for each of its sources. */
export const BLOCK_RECORDS_MAX = 1024;
export const BLOCK_BYTES_MAX = 1 << 18;

/** Yields blocks of records in order; each is valid until the next call. */
export type RecordSource = {
  next(): RecordBlock | null;
  close(): void;
};

/** An empty block with room for `recordsMax` records of `bytesMax` bytes together. */
export function newBlock(recordsMax: number, bytesMax: number): RecordBlock {
  return {
    count: 0,
    bytes: new Uint8Array(bytesMax),
    ends: new Int32Array(recordsMax),
    keysMs: new Float64Array(recordsMax),
    eventsMs: new Float64Array(recordsMax),
    files: new Int32Array(recordsMax),
    series: new Int32Array(recordsMax),
    partitions: new Int16Array(recordsMax),
    flags: new Uint8Array(recordsMax),
  };
}

/** Where record i begins. */
export function startOf(block: RecordBlock, i: number): number {
  return i === 0 ? 0 : block.ends[i - 1];
}

/** Bytes in use. */
export function blockLength(block: RecordBlock): number {
  return startOf(block, block.count);
}

/** Makes room for one more record of up to `bytesMax` bytes. */
export function reserve(block: RecordBlock, bytesMax: number): void {
  const needed = blockLength(block) + bytesMax;
  if (needed > block.bytes.length) {
    const grown = new Uint8Array(Math.max(needed, block.bytes.length * 2));
    grown.set(block.bytes);
    block.bytes = grown;
  }
  if (block.count < block.ends.length) return;
  const larger = newBlock(block.count * 2, 0);
  larger.ends.set(block.ends);
  larger.keysMs.set(block.keysMs);
  larger.eventsMs.set(block.eventsMs);
  larger.files.set(block.files);
  larger.series.set(block.series);
  larger.partitions.set(block.partitions);
  larger.flags.set(block.flags);
  Object.assign(block, larger, { bytes: block.bytes, count: block.count });
}

/** Appends record i of `from`. */
export function copyRecord(from: RecordBlock, i: number, to: RecordBlock): void {
  const start = startOf(from, i);
  const length = from.ends[i] - start;
  reserve(to, length);
  const n = to.count;
  const at = blockLength(to);
  copyBytes(from.bytes, start, to.bytes, at, length);
  to.ends[n] = at + length;
  to.keysMs[n] = from.keysMs[i];
  to.eventsMs[n] = from.eventsMs[i];
  to.files[n] = from.files[i];
  to.series[n] = from.series[i];
  to.partitions[n] = from.partitions[i];
  to.flags[n] = from.flags[i];
  to.count = n + 1;
}

/** Copies `length` bytes; a record's few go faster byte by byte than by a view and `set`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  length: number,
): void {
  if (length > 256) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i];
}
