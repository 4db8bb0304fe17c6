import { Buffer } from "node:buffer";
import { produceV9, ResponseError, Writer } from "@platformatic/kafka";
import { LogError, type LogRecords, RecordTooLargeError } from "../../engine/log/ports.ts";
import { backOff, type KafkaCluster } from "./cluster.ts";
import type { Compression } from "./compression.ts";
import type { Address, KafkaConnections } from "./connections.ts";
import { encodeBatch, type EncodedBatch, type ProducerIdentity, recordBytesMax } from "./encode.ts";
import { brokerError, brokerErrorOf, isRetriable, reasonOf } from "./errors.ts";

type Connection = Awaited<ReturnType<KafkaConnections["get"]>>;

export type SenderOptions = {
  readonly lane: string;
  readonly transactionalId: string | null;
  readonly compression: Compression;
  /** Bytes of a record batch before compression, where the topic allows so many. */
  readonly batchBytesMax: number;
};

type Acknowledgement = {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
};

/** Records on their way to one partition. */
type Queue = {
  readonly topic: string;
  readonly partition: number;
  /** Runs of records and their places in the caller's list. */
  readonly runs: { readonly records: LogRecords; readonly place: number }[];
  nextRecord: number;
  /** Encoded once, and sent again as it is until the broker has it. */
  batch: EncodedBatch | null;
  readonly batchBytesMax: number;
};

const ALL_REPLICAS = -1;
const PRODUCE = 0;
const VERSION = 9;
const REQUEST_BYTES_MAX = 16 << 20;
/** What a batch's header and the packing itself may add. */
const BATCH_MARGIN_BYTES = 4096;

/**
 * Appends record batches with a producer id, an epoch and a sequence for each partition, so that a
 * broker takes each batch once and in order, however often it is sent.
 *
 * After an error the sequences are not known any more: it takes a new identity.
 */
export class RecordSender {
  readonly #cluster: KafkaCluster;
  readonly #options: SenderOptions;
  readonly #sequences = new Map<string, number>();
  #producer: ProducerIdentity | null = null;

  constructor(cluster: KafkaCluster, options: SenderOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Goes on as another producer, or as another epoch of the same. */
  identify(producer: ProducerIdentity): void {
    this.#producer = producer;
    this.#sequences.clear();
  }

  /** @throws {RecordTooLargeError} One of the records is above its topic's limit. */
  async check(runs: readonly LogRecords[]): Promise<void> {
    for (const records of runs) {
      const limit = await this.#cluster.messageBytesMax(records.topic);
      for (let r = 0; r < records.count; r++) {
        if (recordBytesMax(records, r) > limit) this.#checkAlone(records, r, limit);
      }
    }
  }

  /** Sends all records; resolves to the offset of the first of each run. */
  async send(runs: readonly LogRecords[], deadlineMs: number): Promise<number[]> {
    const giveUpAt = performance.now() + deadlineMs;
    const offsets = new Array<number>(runs.length).fill(-1);
    let queues = await this.#queues(runs);
    for (let tries = 0; queues.length > 0;) {
      const failure = await this.#round(queues, offsets);
      queues = queues.filter(({ runs }) => runs.length > 0);
      if (failure === null) tries = 0;
      else if (performance.now() > giveUpAt) throw failure;
      else await backOff(tries++);
    }
    return offsets;
  }

  async #queues(runs: readonly LogRecords[]): Promise<Queue[]> {
    const queues = new Map<string, Queue>();
    for (const [place, records] of runs.entries()) {
      if (records.count === 0) continue;
      const { topic, partition } = records;
      const key = `${topic} ${partition}`;
      const limit = await this.#cluster.messageBytesMax(topic) - BATCH_MARGIN_BYTES;
      const batchBytesMax = Math.min(this.#options.batchBytesMax, limit);
      const empty = { topic, partition, runs: [], nextRecord: 0, batch: null, batchBytesMax };
      const queue: Queue = queues.get(key) ?? empty;
      queue.runs.push({ records, place });
      queues.set(key, queue);
    }
    return [...queues.values()];
  }

  /** Sends the next batch of every queue; the error to wait for, where there was one. */
  async #round(queues: readonly Queue[], offsets: number[]): Promise<unknown> {
    const { byLeader, failure } = await this.#byLeader(queues);
    const failures = await Promise.all(
      [...byLeader.values()].map(async ({ broker, queues }) => {
        try {
          const connection = await this.#cluster.connections.get(broker, this.#options.lane);
          return this.#settle(queues, await this.#produce(connection, queues), offsets);
        } catch (error) {
          if (!isRetriable(error)) throw error;
          for (const { topic } of queues) this.#cluster.forget(topic);
          return error;
        }
      }),
    );
    return failures.find((error) => error !== null) ?? failure;
  }

  /** The queues by their partitions' leaders, as many as one request holds, encoded. */
  async #byLeader(queues: readonly Queue[]) {
    const byLeader = new Map<string, { broker: Address; queues: Queue[]; bytes: number }>();
    let failure: unknown = null;
    for (const queue of queues) {
      try {
        const broker = await this.#cluster.leader(queue.topic, queue.partition);
        if (broker === null) {
          this.#cluster.forget(queue.topic);
          failure = new LogError(`"${queue.topic}" partition ${queue.partition} has no leader`);
          continue;
        }
        const key = `${broker.host}:${broker.port}`;
        const entry = byLeader.get(key) ?? { broker, queues: [], bytes: 0 };
        if (entry.bytes > REQUEST_BYTES_MAX) continue;
        queue.batch ??= this.#encode(queue);
        entry.queues.push(queue);
        entry.bytes += queue.batch.bytes.length;
        byLeader.set(key, entry);
      } catch (error) {
        if (!isRetriable(error)) throw error;
        failure = error;
      }
    }
    return { byLeader, failure };
  }

  #encode(queue: Queue): EncodedBatch {
    if (this.#producer === null) throw new Error("the sender has no producer id");
    return encodeBatch(queue.runs[0].records, queue.nextRecord, {
      producer: this.#producer,
      sequence: this.#sequences.get(`${queue.topic} ${queue.partition}`) ?? 0,
      compression: this.#options.compression,
      batchBytesMax: queue.batchBytesMax,
    });
  }

  /** Takes what the broker has off the queues. */
  #settle(
    queues: readonly Queue[],
    answer: readonly Acknowledgement[],
    offsets: number[],
  ): unknown {
    let failure: unknown = null;
    for (const queue of queues) {
      const { topic, partition, batch } = queue;
      const found = answer.find((one) => one.topic === topic && one.partition === partition);
      if (batch === null || found === undefined) throw new Error("an answer without its partition");
      const error = found.errorCode === 0 ? null : brokerError(found.errorCode);
      // It came before, and the answer to it was lost.
      const isThere = error === null || brokerErrorOf(error) === "DUPLICATE_SEQUENCE_NUMBER";
      if (!isThere && isRetriable(error)) {
        failure = error;
        this.#cluster.forget(topic);
      } else if (!isThere) throw refusal(error, queue);
      else this.#advance(queue, batch, { offsets, baseOffset: found.baseOffset });
    }
    return failure;
  }

  #advance(
    queue: Queue,
    batch: EncodedBatch,
    { offsets, baseOffset }: { offsets: number[]; baseOffset: number },
  ): void {
    const key = `${queue.topic} ${queue.partition}`;
    const sequence = (this.#sequences.get(key) ?? 0) + batch.count;
    this.#sequences.set(key, sequence % 2 ** 31);
    const { records, place } = queue.runs[0];
    if (batch.firstRecord === 0) offsets[place] = baseOffset;
    queue.batch = null;
    queue.nextRecord = batch.firstRecord + batch.count;
    if (queue.nextRecord < records.count) return;
    queue.runs.shift();
    queue.nextRecord = 0;
  }

  async #produce(connection: Connection, queues: readonly Queue[]): Promise<Acknowledgement[]> {
    const { transactionalId } = this.#options;
    const topics = [...Map.groupBy(queues, ({ topic }) => topic)];
    // The library's writer, without its records: those are encoded already.
    const request = () =>
      produceRequest({ transactionalId, timeoutMs: connectionTimeoutMs(this.#cluster), topics });
    const answer = await new Promise<ProduceAnswer>((resolve, reject) => {
      connection.send(PRODUCE, VERSION, request, produceV9.parseResponse, true, true, (
        error,
        answer,
      ) => {
        if (error instanceof ResponseError) resolve(responseOf(error));
        else if (answer === undefined) reject(error);
        else resolve(answer);
      });
    });
    return answer.responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map(({ index, errorCode, baseOffset }) => ({
        topic: name,
        partition: index,
        errorCode,
        baseOffset: Number(baseOffset),
      }))
    );
  }

  /** A record that may be too large before compression: is it afterwards? */
  #checkAlone(records: LogRecords, r: number, limit: number): void {
    const { bytes } = encodeBatch(records, r, {
      producer: { producerId: 0n, epoch: 0, transactional: false },
      sequence: 0,
      compression: this.#options.compression,
      batchBytesMax: 0, // this record alone
    });
    if (bytes.length <= limit) return;
    throw new RecordTooLargeError(
      `Cannot write a record of ${bytes.length} bytes to "${records.topic}": its limit is ${limit}`,
      { hint: "Raise the topic's max.message.bytes" },
    );
  }
}

function refusal(error: Error, { topic, partition }: Queue): Error {
  const name = brokerErrorOf(error);
  const message = `Cannot write to "${topic}" partition ${partition}: ${reasonOf(error)}`;
  if (name === "MESSAGE_TOO_LARGE" || name === "RECORD_LIST_TOO_LARGE") {
    return new RecordTooLargeError(message, { cause: error });
  }
  return Object.assign(error, { message });
}

function connectionTimeoutMs({ options }: KafkaCluster): number {
  return Math.max(1000, options.requestTimeoutMs - 1000);
}

type ProduceAnswer = ReturnType<typeof produceV9.parseResponse>;

function responseOf(error: ResponseError): ProduceAnswer {
  return (error as unknown as { response: ProduceAnswer }).response;
}

/** The body of a produce request, as the protocol guide has it for version 9. */
function produceRequest({ transactionalId, timeoutMs, topics }: {
  transactionalId: string | null;
  timeoutMs: number;
  topics: readonly (readonly [string, readonly Queue[]])[];
}): Writer {
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ALL_REPLICAS)
    .appendInt32(timeoutMs)
    .appendArray(topics as (typeof topics)[number][], (writer, [topic, queues]) => {
      writer.appendString(topic).appendArray(queues as Queue[], (writer, { partition, batch }) => {
        const { buffer, byteOffset, byteLength } = batch?.bytes ?? new Uint8Array(0);
        writer.appendInt32(partition).appendBytes(Buffer.from(buffer, byteOffset, byteLength));
      });
    })
    .appendTaggedFields();
}
