import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteCursor, crc32c, varintBytes, writeVarint } from "../../../src/adapters/kafka/bytes.ts";
import { type Compression, COMPRESSION_CODES } from "../../../src/adapters/kafka/compression.ts";
import { decodeFetched } from "../../../src/adapters/kafka/decode.ts";
import { encodeBatch } from "../../../src/adapters/kafka/encode.ts";
import type { LogBatch, LogRecords, Spans } from "../../../src/engine/log/ports.ts";

const encoder = new TextEncoder();

Deno.test("crc32c() gives the check value of the standard, at any alignment", () => {
  const bytes = encoder.encode("xx123456789xx");
  assert.equal(crc32c(bytes, 2, 11), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32), 0, 32), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff), 0, 32), 0x62a8ab43);
});

Deno.test("a varint comes back for every safe integer, in as many bytes as foretold", () => {
  fc.assert(fc.property(fc.maxSafeInteger(), (any) => {
    const value = Math.trunc(any / 4); // zigzag takes a bit, and numbers have 53
    const bytes = new Uint8Array(12);
    const end = writeVarint(value, bytes, 1);
    assert.equal(end - 1, varintBytes(value));
    const cursor = new ByteCursor(bytes, 1);
    assert.equal(cursor.varint(), value === 0 ? 0 : value);
    assert.equal(cursor.at, end);
  }));
});

const recordsOf = fc.array(
  fc.record({
    value: fc.uint8Array({ maxLength: 200 }),
    key: fc.uint8Array({ maxLength: 40 }),
    timeMs: fc.integer({ min: 0, max: 2 ** 45 }),
    offset: fc.integer({ min: 0, max: 2 ** 48 }),
    index: fc.integer({ min: 0, max: 2 ** 30 }),
  }),
  { minLength: 1, maxLength: 60 },
);

Deno.test("decodeFetched() gives back what encodeBatch() was given, in any packing", () => {
  const packings = Object.keys(COMPRESSION_CODES) as Compression[];
  const inputs = fc.tuple(
    recordsOf,
    fc.constantFrom(...packings),
    fc.integer({ min: 0, max: 3000 }),
    fc.boolean(),
    fc.option(fc.integer({ min: 0, max: 2 ** 45 })),
  );
  fc.assert(fc.property(inputs, ([list, compression, batchBytesMax, hasOrigins, replayStartMs]) => {
    const records: LogRecords = {
      topic: "t",
      partition: 3,
      count: list.length,
      ...(({ bytes, ends }) => ({ values: bytes, valueEnds: ends }))(pack(list, "value")),
      ...(({ bytes, ends }) => ({ keys: bytes, keyEnds: ends }))(pack(list, "key")),
      timesMs: Float64Array.from(list, ({ timeMs }) => timeMs),
      origins: hasOrigins
        ? {
          partition: 12,
          offsets: list.map(({ offset }) => offset),
          indexes: list.map(({ index }) => index),
        }
        : null,
      ...(replayStartMs === null ? {} : { replayStartMs }),
    };
    const log = encodeAll(records, { compression, batchBytesMax });
    const batches = decodeFetched(fetchedOf(log), DECODE);
    const found = batches.flatMap(recordsIn);
    const origin = (record: (typeof list)[number]) =>
      hasOrigins ? [12, record.offset, record.index] : [-1, -1, -1];
    assert.deepEqual(
      found,
      list.map((record, i) => ({
        offset: 100 + i,
        value: record.value.length === 0 ? null : [...record.value],
        key: record.key.length === 0 ? null : [...record.key],
        timeMs: record.timeMs,
        origin: origin(record),
        replayStartMs: hasOrigins ? NaN : replayStartMs ?? NaN,
      })),
    );
    assert.equal(batches.at(-1)?.nextOffset, 100 + list.length);
  }));
});

Deno.test("decodeFetched() refuses a damaged batch, and leaves one that is cut off for later", () => {
  const one = { topic: "t", partition: 0, count: 1, keys: null, keyEnds: null, origins: null };
  const value = encoder.encode("value");
  const records = { ...one, values: value, valueEnds: [value.length], timesMs: 5 };
  const log = encodeAll(records, { compression: "none", batchBytesMax: 1000 });
  const twice = new Uint8Array([...log, ...log]);
  for (let cut = 1; cut < log.length; cut++) {
    const whole = decodeFetched(fetchedOf(twice.subarray(0, twice.length - cut)), DECODE);
    assert.equal(whole.flatMap(recordsIn).length, 1);
    assert.deepEqual(decodeFetched(fetchedOf(log.subarray(0, log.length - cut)), DECODE), []);
  }
  for (let at = 21; at < log.length; at++) {
    const damaged = log.slice();
    damaged[at] ^= 0x10;
    assert.throws(() => decodeFetched(fetchedOf(damaged), DECODE), /damaged/);
  }
  const old = log.slice();
  old[16] = 1;
  assert.throws(() => decodeFetched(fetchedOf(old), DECODE), /older than Kafka 0\.11/);
});

const DECODE = {
  fromOffset: 100,
  isolation: "committed",
  keys: true,
  origins: true,
  replays: true,
} as const;

/** The batches one after another, as a broker stores them: with their offsets, from 100 on. */
function encodeAll(
  records: LogRecords,
  options: { compression: Compression; batchBytesMax: number },
): Uint8Array {
  const parts: Uint8Array[] = [];
  const producer = { producerId: 5n, epoch: 1, transactional: false };
  for (let next = 0; next < records.count;) {
    const batch = encodeBatch(records, next, { ...options, producer, sequence: next });
    new DataView(batch.bytes.buffer, batch.bytes.byteOffset).setBigInt64(0, BigInt(100 + next));
    parts.push(batch.bytes);
    next += batch.count;
  }
  const log = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (log.set(part, at), at + part.length), 0);
  return log;
}

function fetchedOf(log: Uint8Array) {
  return {
    topic: "t",
    partition: 3,
    errorCode: 0,
    logEndOffset: 1000,
    lastStableOffset: 1000,
    logStartOffset: 0,
    aborted: [],
    bytes: log,
    start: 0,
    end: log.length,
  };
}

function pack<K extends "value" | "key">(list: readonly Record<K, Uint8Array>[], name: K) {
  const ends = new Int32Array(list.length);
  let length = 0;
  for (const [i, record] of list.entries()) ends[i] = length += record[name].length;
  const bytes = new Uint8Array(length);
  for (const [i, record] of list.entries()) bytes.set(record[name], ends[i] - record[name].length);
  return { bytes, ends };
}

function recordsIn(batch: LogBatch) {
  const at = ({ starts, ends }: Spans, i: number) =>
    starts[i] < 0 ? null : [...batch.bytes.subarray(starts[i], ends[i])];
  return Array.from({ length: batch.count }, (_, i) => ({
    offset: batch.offsets[i],
    value: at(batch.values, i),
    key: batch.keys === null ? null : at(batch.keys, i),
    timeMs: batch.timesMs[i],
    origin: batch.origins === null
      ? []
      : [batch.origins.partitions[i], batch.origins.offsets[i], batch.origins.indexes[i]],
    replayStartMs: batch.replayStartsMs?.[i],
  }));
}
