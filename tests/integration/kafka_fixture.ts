import { addPartitionsToTxnV3, endTxnV3, initProducerIdV4 } from "@platformatic/kafka";
import { KafkaCluster } from "../../src/adapters/kafka/cluster.ts";
import type { Compression } from "../../src/adapters/kafka/compression.ts";
import { KafkaLog } from "../../src/adapters/kafka/log.ts";
import { RecordSender } from "../../src/adapters/kafka/sender.ts";
import type {
  LogBatch,
  LogCommitter,
  LogReader,
  LogReaderOptions,
  LogRecords,
} from "../../src/engine/log/ports.ts";
import { until } from "./kafka_broker.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A record as the tests write and compare it; undefined: not looked at. */
export type TestRecord = {
  readonly value: string | null;
  readonly key?: string | null;
  readonly offset?: number;
  readonly origin?: string;
};

export function kafkaOptions(brokers: readonly string[]) {
  return {
    brokers,
    clientId: "gridwatch-tests",
    tls: null,
    sasl: null,
    connectTimeoutMs: 3_000,
    requestTimeoutMs: 15_000,
  };
}

/** A log that reports no trouble: the tests see what comes of it. */
export function openLog(brokers: readonly string[]): KafkaLog {
  return new KafkaLog(kafkaOptions(brokers), () => {});
}

export function openCommitter(
  log: KafkaLog,
  transactionalId: string,
  options: { compression?: Compression; deadlineMs?: number; batchBytesMax?: number } = {},
): LogCommitter {
  return log.committer({
    transactionalId,
    transactionTimeoutMs: 20_000,
    compression: options.compression ?? "none",
    batchBytesMax: options.batchBytesMax ?? 64 << 10,
    deadlineMs: options.deadlineMs ?? 20_000,
  });
}

/** Records of plain strings; `key` for all of them, or a key for each. */
export function recordsOf(
  topic: string,
  values: readonly (string | null)[],
  { partition = 0, keys = null }: { partition?: number; keys?: readonly string[] | null } = {},
): LogRecords {
  const packed = pack(values.map((value) => value ?? ""));
  const packedKeys = keys === null ? null : pack(keys);
  return {
    topic,
    partition,
    count: values.length,
    values: packed.bytes,
    valueEnds: packed.ends,
    keys: packedKeys?.bytes ?? null,
    keyEnds: packedKeys?.ends ?? null,
    timesMs: 1_700_000_000_000,
    origins: null,
  };
}

function pack(texts: readonly string[]): { bytes: Uint8Array; ends: Int32Array } {
  const parts = texts.map((text) => encoder.encode(text));
  const ends = new Int32Array(texts.length);
  let length = 0;
  for (const [i, part] of parts.entries()) ends[i] = length += part.length;
  const bytes = new Uint8Array(length);
  for (const [i, part] of parts.entries()) bytes.set(part, ends[i] - part.length);
  return { bytes, ends };
}

export const READER_OPTIONS: LogReaderOptions = {
  isolation: "committed",
  keys: true,
  origins: true,
  replays: true,
  bufferBytesMax: 4 << 20,
  partitionBytesMax: 1 << 20,
  pollMs: 100,
};

/**
 * Everything in a partition from `offset` on to the end that stands now. Markers are written just
 * after a commit has resolved, so open transactions, of which the caller has none, are waited for.
 */
export async function readAll(
  log: KafkaLog,
  { topic, partition = 0, offset = 0 }: { topic: string; partition?: number; offset?: number },
  options: Partial<LogReaderOptions> = {},
): Promise<TestRecord[]> {
  const settings = { ...READER_OPTIONS, ...options };
  const admin = log.admin({ deadlineMs: 10_000 });
  const end = await until("transactions have ended", async () => {
    const [stable] = await admin.listOffsets([{ topic, partition }], "committedEnd");
    const [end] = await admin.listOffsets([{ topic, partition }], "end");
    return stable.offset === end.offset ? end : undefined;
  });
  const reader = log.reader(settings);
  try {
    reader.assign({ topic, partition, offset });
    const records: TestRecord[] = [];
    for (let next = offset; next < end.offset;) {
      const batch = await takeBatch(reader);
      records.push(...recordsIn(batch));
      next = batch.nextOffset;
    }
    return records;
  } finally {
    await reader.close();
  }
}

export async function readValues(
  log: KafkaLog,
  from: { topic: string; partition?: number; offset?: number },
  options: Partial<LogReaderOptions> = {},
): Promise<(string | null)[]> {
  return (await readAll(log, from, options)).map(({ value }) => value);
}

/** The next batch; none within 10 s is a failure. */
export async function takeBatch(reader: LogReader): Promise<LogBatch> {
  const batch = await reader.next(10_000);
  if (batch === null) throw new Error("no batch within 10 s");
  return batch;
}

export function recordsIn(batch: LogBatch): TestRecord[] {
  const text = (start: number, end: number) =>
    start < 0 ? null : decoder.decode(batch.bytes.subarray(start, end));
  return Array.from({ length: batch.count }, (_, i) => ({
    value: text(batch.values.starts[i], batch.values.ends[i]),
    key: batch.keys === null ? null : text(batch.keys.starts[i], batch.keys.ends[i]),
    offset: batch.offsets[i],
    origin: batch.origins === null ? "" : [
      batch.origins.partitions[i],
      batch.origins.offsets[i],
      batch.origins.indexes[i],
    ].join("/"),
  }));
}

/** A transaction in steps, as no owner of the port can make one: to be left open, or aborted. */
export class StepTransaction implements AsyncDisposable {
  readonly #cluster: KafkaCluster;
  readonly #sender: RecordSender;
  #owner = { producerId: -1n, epoch: -1 };

  constructor(brokers: readonly string[], readonly transactionalId: string) {
    this.#cluster = new KafkaCluster(kafkaOptions(brokers));
    this.#sender = new RecordSender(this.#cluster, {
      lane: "steps",
      transactionalId,
      compression: "none",
      batchBytesMax: 16 << 10,
    });
  }

  /** @param timeoutMs After so long the broker ends it. */
  async open(timeoutMs = 20_000): Promise<void> {
    const answer = await this.#retry(() =>
      this.#cluster.askCoordinator(
        this.#at,
        initProducerIdV4,
        this.transactionalId,
        timeoutMs,
        -1n,
        -1,
      )
    );
    this.#owner = { producerId: answer.producerId, epoch: answer.producerEpoch };
    this.#sender.identify({ ...this.#owner, transactional: true });
  }

  async write(records: LogRecords): Promise<void> {
    await this.#retry(() =>
      this.#cluster.askCoordinator(this.#at, addPartitionsToTxnV3, [{
        transactionalId: this.transactionalId,
        producerId: this.#owner.producerId,
        producerEpoch: this.#owner.epoch,
        verifyOnly: false,
        topics: [{ name: records.topic, partitions: [records.partition] }],
      }])
    );
    await this.#sender.send([records], 10_000);
  }

  async end(outcome: "commit" | "abort"): Promise<void> {
    const { producerId, epoch } = this.#owner;
    await this.#retry(() =>
      this.#cluster.askCoordinator(
        this.#at,
        endTxnV3,
        ...[this.transactionalId, producerId, epoch, outcome === "commit"] as const,
      )
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster.close();
  }

  get #at() {
    return { lane: "steps", kind: "transaction", key: this.transactionalId } as const;
  }

  #retry<T>(operation: () => Promise<T>): Promise<T> {
    const retries = (error: unknown) => String(error).includes("CONCURRENT");
    return this.#cluster.retry({ what: "step", deadlineMs: 20_000, retries }, operation);
  }
}

/** The error that an operation rejects with, which is to be of this kind. */
export async function rejection<E extends Error>(
  operation: () => Promise<unknown>,
  // deno-lint-ignore no-explicit-any -- any constructor of errors
  kind: new (...args: any[]) => E,
): Promise<E> {
  try {
    await operation();
  } catch (error) {
    if (error instanceof kind) return error;
    throw new Error(`rejects with another error than ${kind.name}`, { cause: error });
  }
  throw new Error(`does not reject with ${kind.name}`);
}
