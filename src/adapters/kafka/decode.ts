import type { LogBatch, Origins, Spans } from "../../engine/log/ports.ts";
import { ByteCursor, crc32c, KafkaFormatError, readInt64 } from "./bytes.ts";
import { decompress } from "./compression.ts";

/** A transaction that was aborted: records of this producer from `firstOffset` to its marker. */
export type AbortedTransaction = { readonly producerId: bigint; readonly firstOffset: number };

/** What a fetch answer says of one partition. */
export type FetchedPartition = {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly logEndOffset: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** The record batches: `bytes[start..end)`, the last of them perhaps cut off. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
};

export type DecodeOptions = {
  /** The offset that was asked for: what lies before in the first batch is passed over. */
  readonly fromOffset: number;
  readonly isolation: "committed" | "all";
  readonly keys: boolean;
  readonly origins: boolean;
  readonly replays?: boolean;
};

const HEADER_BYTES = 61;
const COMPRESSED = 7;
const APPEND_TIME = 8;
const TRANSACTIONAL = 16;
const CONTROL = 32;
const ABORT_MARKER = 0;

/** The header of a record batch (KIP-98). */
type Head = {
  readonly at: number;
  readonly end: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly attributes: number;
  readonly count: number;
};

/**
 * Unpacks what was fetched of one partition: one batch for each run of uncompressed record batches,
 * which stay where they are, and one for each compressed. Records of aborted transactions are
 * dropped as Java's consumer does it, by the answer's own list and the markers between the records;
 * the list is complete for each answer, so nothing is remembered from one to the next.
 *
 * The last batch's `nextOffset` is where to read on; no batches: nothing was there.
 *
 * @throws {KafkaFormatError} The bytes are damaged, or older than Kafka 0.11's format.
 */
export function decodeFetched(fetched: FetchedPartition, options: DecodeOptions): LogBatch[] {
  const { bytes, start, end } = fetched;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const filter = options.isolation === "committed" ? new AbortFilter(fetched.aborted) : null;
  const batches: LogBatch[] = [];
  let nextOffset = options.fromOffset;
  let plain: Head[] = [];
  const flush = () => {
    if (plain.length > 0) batches.push(batchOf(plain, fetched, options));
    plain = [];
  };
  for (let at = start; at + HEADER_BYTES <= end;) {
    const head = readHead(view, at);
    if (head.end > end) break;
    at = head.end;
    checkSum(view, bytes, head);
    const drops = (filter?.drops(head, view, bytes) ?? false) || (head.attributes & CONTROL) !== 0;
    nextOffset = Math.max(nextOffset, head.lastOffset + 1);
    if (drops || head.count === 0 || head.lastOffset < options.fromOffset) continue;
    if ((head.attributes & COMPRESSED) === 0) {
      plain.push(head);
    } else {
      flush();
      batches.push(batchOf([head], fetched, options));
    }
  }
  flush();
  return withLastOffset(batches, nextOffset, fetched, options);
}

/** Lets the last batch say where to read on, behind markers and dropped records, too. */
function withLastOffset(
  batches: LogBatch[],
  nextOffset: number,
  fetched: FetchedPartition,
  options: DecodeOptions,
): LogBatch[] {
  const last = batches.at(-1);
  if (last !== undefined) batches[batches.length - 1] = { ...last, nextOffset };
  else if (nextOffset > options.fromOffset) {
    batches.push({ ...batchOf([], fetched, options), nextOffset });
  }
  return batches;
}

/** Which batches belong to aborted transactions (Java: `CompletedFetch`). */
class AbortFilter {
  readonly #ahead: AbortedTransaction[];
  readonly #aborting = new Set<bigint>();
  #next = 0;

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#ahead = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  drops(head: Head, view: DataView, bytes: Uint8Array): boolean {
    if (this.#ahead.length === 0 || (head.attributes & TRANSACTIONAL) === 0) return false;
    const producerId = view.getBigInt64(head.at + 43);
    while (
      this.#next < this.#ahead.length && this.#ahead[this.#next].firstOffset <= head.lastOffset
    ) this.#aborting.add(this.#ahead[this.#next++].producerId);
    if ((head.attributes & CONTROL) !== 0) {
      if (markerType(head, bytes) === ABORT_MARKER) this.#aborting.delete(producerId);
      return true;
    }
    return this.#aborting.has(producerId);
  }
}

/** A control batch has one record, whose key is a version and a type. */
function markerType(head: Head, bytes: Uint8Array): number {
  if (head.count === 0) return -1;
  const cursor = new ByteCursor(bytes, head.at + HEADER_BYTES);
  cursor.varint(); // length
  cursor.int8(); // attributes
  cursor.varint(); // time
  cursor.varint(); // offset
  cursor.varint(); // key length
  cursor.int16(); // version
  return cursor.int16();
}

function readHead(view: DataView, at: number): Head {
  const baseOffset = readInt64(view, at);
  const magic = view.getInt8(at + 16);
  if (magic !== 2) throw new KafkaFormatError(`record format ${magic} is older than Kafka 0.11's`);
  return {
    at,
    end: at + 12 + view.getInt32(at + 8),
    baseOffset,
    lastOffset: baseOffset + view.getInt32(at + 23),
    attributes: view.getInt16(at + 21),
    count: view.getInt32(at + 57),
  };
}

function checkSum(view: DataView, bytes: Uint8Array, head: Head): void {
  if (view.getUint32(head.at + 17) === crc32c(bytes, head.at + 21, head.end)) return;
  throw new KafkaFormatError(`the batch at offset ${head.baseOffset} is damaged (CRC)`);
}

function batchOf(
  heads: readonly Head[],
  fetched: FetchedPartition,
  options: DecodeOptions,
): LogBatch {
  const { topic, partition, logEndOffset, lastStableOffset } = fetched;
  const count = heads.reduce((sum, head) => sum + head.count, 0);
  const columns = new Columns(count, options);
  let bytes = fetched.bytes;
  for (const head of heads) {
    const code = head.attributes & COMPRESSED;
    let at = head.at + HEADER_BYTES;
    let end = head.end;
    if (code !== 0) {
      bytes = decompress(bytes.subarray(at, end), code);
      at = 0;
      end = bytes.length;
    }
    const view = new DataView(
      fetched.bytes.buffer,
      fetched.bytes.byteOffset,
      fetched.bytes.byteLength,
    );
    const appendTime = (head.attributes & APPEND_TIME) !== 0;
    columns.read(new ByteCursor(bytes, at), end, {
      count: head.count,
      baseOffset: head.baseOffset,
      baseTimeMs: readInt64(view, head.at + (appendTime ? 35 : 27)),
      timeScale: appendTime ? 0 : 1,
      fromOffset: options.fromOffset,
    });
  }
  return {
    topic,
    partition,
    bytes: heads.length === 0 ? EMPTY : bytes,
    ...columns.take(),
    nextOffset: (heads.at(-1)?.lastOffset ?? -1) + 1,
    logEndOffset,
    lastStableOffset,
  };
}

const EMPTY = new Uint8Array(0);

type RecordsHead = {
  readonly count: number;
  readonly baseOffset: number;
  readonly baseTimeMs: number;
  readonly timeScale: 0 | 1;
  readonly fromOffset: number;
};

/** The records of a batch, a column a property. */
class Columns {
  #count = 0;
  readonly #values: Spans;
  readonly #offsets: Float64Array;
  readonly #timesMs: Float64Array;
  readonly #keys: Spans | null;
  readonly #origins: Origins | null;
  readonly #replayStartsMs: Float64Array | null;

  constructor(capacity: number, options: DecodeOptions) {
    const spans = () => ({ starts: new Int32Array(capacity), ends: new Int32Array(capacity) });
    this.#values = spans();
    this.#offsets = new Float64Array(capacity);
    this.#timesMs = new Float64Array(capacity);
    this.#keys = options.keys ? spans() : null;
    this.#origins = options.origins
      ? {
        partitions: new Int32Array(capacity).fill(-1),
        offsets: new Float64Array(capacity).fill(-1),
        indexes: new Int32Array(capacity).fill(-1),
      }
      : null;
    this.#replayStartsMs = options.replays ? new Float64Array(capacity).fill(NaN) : null;
  }

  /** Reads records: length, attributes, time, offset, key, value, headers (KIP-98). */
  read(cursor: ByteCursor, bytesEnd: number, head: RecordsHead): void {
    const { starts, ends } = this.#values;
    const { baseOffset, baseTimeMs, timeScale, fromOffset } = head;
    let i = this.#count;
    for (let r = 0; r < head.count; r++) {
      const length = cursor.varint();
      const recordEnd = cursor.at + length;
      if (length < 0 || recordEnd > bytesEnd) throw new KafkaFormatError("a record is cut off");
      cursor.at++; // attributes
      const timeMs = baseTimeMs + cursor.varint() * timeScale;
      const offset = baseOffset + cursor.varint();
      if (offset < fromOffset) {
        cursor.at = recordEnd;
        continue;
      }
      const keyLength = cursor.varint();
      if (this.#keys !== null) {
        this.#keys.starts[i] = keyLength < 0 ? -1 : cursor.at;
        this.#keys.ends[i] = keyLength < 0 ? -1 : cursor.at + keyLength;
      }
      if (keyLength > 0) cursor.at += keyLength;
      const valueLength = cursor.varint();
      starts[i] = valueLength < 0 ? -1 : cursor.at;
      ends[i] = valueLength < 0 ? -1 : cursor.at + valueLength;
      this.#offsets[i] = offset;
      this.#timesMs[i] = timeMs;
      if (this.#origins !== null || this.#replayStartsMs !== null) {
        if (valueLength > 0) cursor.at += valueLength;
        readHeaders(cursor, i, { origins: this.#origins, replayStartsMs: this.#replayStartsMs });
      }
      cursor.at = recordEnd;
      i++;
    }
    this.#count = i;
  }

  take(): Pick<
    LogBatch,
    "count" | "values" | "offsets" | "timesMs" | "keys" | "origins" | "replayStartsMs"
  > {
    return {
      count: this.#count,
      values: this.#values,
      offsets: this.#offsets,
      timesMs: this.#timesMs,
      keys: this.#keys,
      origins: this.#origins,
      replayStartsMs: this.#replayStartsMs,
    };
  }
}

const P = 0x70;
const O = 0x6f;
const I = 0x69;
const R = 0x72;

/** The headers `p`, `o` and `i`, and `r` of a replay, decimal; others are passed over. */
function readHeaders(
  cursor: ByteCursor,
  i: number,
  { origins, replayStartsMs }: {
    readonly origins: Origins | null;
    readonly replayStartsMs: Float64Array | null;
  },
): void {
  const { bytes } = cursor;
  for (let count = cursor.varint(); count > 0; count--) {
    const keyLength = cursor.varint();
    const name = keyLength === 1 ? bytes[cursor.at] : 0;
    cursor.at += keyLength;
    const length = cursor.varint();
    if (length <= 0) continue;
    const value = decimal(bytes, cursor.at, length);
    if (origins !== null) {
      if (name === P) origins.partitions[i] = value;
      else if (name === O) origins.offsets[i] = value;
      else if (name === I) origins.indexes[i] = value;
    }
    if (replayStartsMs !== null && name === R && value >= 0) replayStartsMs[i] = value;
    cursor.at += length;
  }
}

/** A decimal number of up to 15 digits; -1 when it is none: another producer's header. */
function decimal(bytes: Uint8Array, start: number, length: number): number {
  if (length > 15) return -1;
  let value = 0;
  for (let at = start; at < start + length; at++) {
    const digit = bytes[at] - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
