import {
  type LogBatch,
  type LogEnds,
  LogError,
  type LogReader,
  type LogReaderOptions,
  OffsetGoneError,
  type PartitionRef,
  type ReadFrom,
} from "../../engine/log/ports.ts";
import { backOff, type KafkaCluster } from "./cluster.ts";
import type { Address } from "./connections.ts";
import { decodeFetched, type FetchedPartition } from "./decode.ts";
import { brokerError, brokerErrorOf, isRetriable, reasonOf, unreachable } from "./errors.ts";
import { fetchRecords } from "./fetch.ts";

/** Bytes of one answer; shared out over its partitions. */
const ANSWER_BYTES_MAX = 8 << 20;

/** A partition being read. Moved or given back, it is another one: late answers find it gone. */
type Assigned = {
  readonly topic: string;
  readonly partition: number;
  /** Where to fetch on; behind what is buffered. */
  fetchOffset: number;
  readonly buffer: Buffered[];
  bufferedBytes: number;
  paused: boolean;
  ends: LogEnds | null;
};

/** `share` is what the batch counts for in the buffer: its part of the answer's bytes. */
type Buffered = { readonly batch: LogBatch; readonly share: number };

/** What goes wrong while reading, once when it begins and once when it is over (null). */
export type TroubleHandler = (trouble: LogError | null) => void;

/** Reads partitions of a Kafka cluster: a fetch to each leader at a time, ahead within bounds. */
export class KafkaReader implements LogReader {
  readonly #cluster: KafkaCluster;
  readonly #lane: string;
  readonly #options: LogReaderOptions;
  readonly #onTrouble: TroubleHandler;
  readonly #assigned = new Map<string, Assigned>();
  /** Leaders with a fetch under way. */
  readonly #fetching = new Set<string>();
  readonly #stop = new AbortController();
  #turn = 0;
  #bufferedBytes = 0;
  /** Each is thrown once: a partition given up must not go unheard behind another. */
  readonly #failures: Error[] = [];
  #trouble = false;
  /** Fetches that failed since the last that gave something: the longer the wait before the next. */
  #tries = 0;
  #changed = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;

  constructor(
    cluster: KafkaCluster,
    { lane, options, onTrouble }: {
      lane: string;
      options: LogReaderOptions;
      onTrouble: TroubleHandler;
    },
  ) {
    this.#cluster = cluster;
    this.#lane = lane;
    this.#options = options;
    this.#onTrouble = onTrouble;
    this.#loop = this.#run();
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  assign({ topic, partition, offset }: ReadFrom): void {
    this.unassign({ topic, partition });
    this.#assigned.set(keyOf({ topic, partition }), {
      topic,
      partition,
      fetchOffset: offset,
      buffer: [],
      bufferedBytes: 0,
      paused: false,
      ends: null,
    });
    this.#wake();
  }

  unassign(ref: PartitionRef): void {
    const assigned = this.#assigned.get(keyOf(ref));
    if (assigned === undefined) return;
    this.#assigned.delete(keyOf(ref));
    this.#bufferedBytes -= assigned.bufferedBytes;
    this.#wake();
  }

  pause(ref: PartitionRef): void {
    const assigned = this.#assigned.get(keyOf(ref));
    if (assigned !== undefined) assigned.paused = true;
  }

  resume(ref: PartitionRef): void {
    const assigned = this.#assigned.get(keyOf(ref));
    if (assigned !== undefined) assigned.paused = false;
    this.#wake();
  }

  ends(ref: PartitionRef): LogEnds | null {
    return this.#assigned.get(keyOf(ref))?.ends ?? null;
  }

  async next(waitMsMax: number, signal?: AbortSignal): Promise<LogBatch | null> {
    const giveUpAt = performance.now() + waitMsMax;
    for (;;) {
      const failure = this.#failures.shift();
      if (failure !== undefined) throw failure;
      const batch = this.#take();
      if (batch !== null) return batch;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0 || signal?.aborted || this.#stop.signal.aborted) return null;
      await this.#waitForChange(leftMs, signal);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    this.#assigned.clear();
    this.#bufferedBytes = 0;
    await this.#cluster.connections.closeLane(this.#lane);
    await this.#loop;
  }

  /** The next batch of the partitions in turn. */
  #take(): LogBatch | null {
    const all = [...this.#assigned.values()];
    for (let tries = 0; tries < all.length; tries++) {
      const assigned = all[this.#turn++ % all.length];
      if (assigned.paused) continue;
      const taken = assigned.buffer.shift();
      if (taken === undefined) continue;
      assigned.bufferedBytes -= taken.share;
      this.#bufferedBytes -= taken.share;
      this.#wake();
      return taken.batch;
    }
    return null;
  }

  /** Starts a fetch to every leader that has none and has something to fetch; then waits. */
  async #run(): Promise<void> {
    const fetches = new Set<Promise<void>>();
    while (!this.#stop.signal.aborted) {
      const changed = this.#changed.promise;
      for (const [key, { broker, wanted }] of await this.#wanted()) {
        this.#fetching.add(key);
        const fetch = this.#fetch(broker, wanted).finally(() => {
          this.#fetching.delete(key);
          fetches.delete(fetch);
          this.#wake();
        });
        fetches.add(fetch);
      }
      await changed;
    }
    await Promise.all(fetches);
  }

  /** What to fetch, by leader. */
  async #wanted(): Promise<Map<string, { broker: Address; wanted: Assigned[] }>> {
    const byLeader = new Map<string, { broker: Address; wanted: Assigned[] }>();
    if (this.#bufferedBytes >= this.#options.bufferBytesMax) return byLeader;
    const all = [...this.#assigned.values()];
    for (let n = 0; n < all.length; n++) {
      // A broker fills its answer from the front: each partition is at the front in turn.
      const assigned = all[(n + this.#turn) % all.length];
      if (assigned.paused || assigned.bufferedBytes >= this.#options.partitionBytesMax) continue;
      const broker = await this.#leaderOf(assigned);
      if (broker === null || this.#assigned.get(keyOf(assigned)) !== assigned) continue;
      const key = `${broker.host}:${broker.port}`;
      if (this.#fetching.has(key)) continue;
      const entry = byLeader.get(key);
      if (entry === undefined) byLeader.set(key, { broker, wanted: [assigned] });
      else entry.wanted.push(assigned);
    }
    return byLeader;
  }

  async #leaderOf({ topic, partition }: Assigned): Promise<Address | null> {
    for (let tries = 0; !this.#stop.signal.aborted; tries++) {
      try {
        const leader = await this.#cluster.leader(topic, partition, this.#stop.signal);
        if (leader !== null) return leader;
        this.#cluster.forget(topic);
      } catch (error) {
        if (error instanceof LogError || !isRetriable(error)) {
          await backOff(tries, this.#stop.signal);
          this.#fail(
            error instanceof LogError ? error : unreachable(this.#cluster.options.brokers, error),
          );
          return null;
        }
        this.#hear(error);
      }
      await backOff(tries, this.#stop.signal);
    }
    return null;
  }

  async #fetch(broker: Address, wanted: readonly Assigned[]): Promise<void> {
    try {
      const from = await Promise.all(wanted.map(async ({ topic, partition, fetchOffset }) => {
        const { id, leaderEpochs } = await this.#cluster.topic(topic);
        const leaderEpoch = leaderEpochs[partition];
        return { topic, topicId: id, partition, offset: fetchOffset, leaderEpoch };
      }));
      if (this.#stop.signal.aborted) return;
      const connection = await this.#cluster.connections.get(broker, this.#lane);
      const room = this.#options.bufferBytesMax - this.#bufferedBytes;
      const answerBytesMax = Math.max(1, Math.min(ANSWER_BYTES_MAX, room));
      const answer = await fetchRecords(connection, from, { ...this.#options, answerBytesMax });
      this.#hear(null);
      for (const fetched of answer) await this.#keep(fetched, wanted);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (!isRetriable(error)) this.#fail(error as Error);
      else this.#hear(error);
      for (const { topic } of wanted) this.#cluster.forget(topic);
      await backOff(this.#tries++, this.#stop.signal);
    }
  }

  async #keep(fetched: FetchedPartition, wanted: readonly Assigned[]): Promise<void> {
    const assigned = this.#assigned.get(keyOf(fetched));
    if (assigned === undefined || !wanted.includes(assigned)) return;
    if (fetched.errorCode !== 0) return await this.#refused(fetched, assigned);
    const { logStartOffset, lastStableOffset, logEndOffset } = fetched;
    assigned.ends = { logStartOffset, lastStableOffset, logEndOffset };
    this.#tries = 0;
    const batches = this.#decode(fetched, assigned);
    for (const batch of batches) {
      const share = Math.ceil((fetched.end - fetched.start) / batches.length) +
        (batch.bytes === fetched.bytes ? 0 : batch.bytes.length);
      assigned.buffer.push({ batch, share });
      assigned.bufferedBytes += share;
      this.#bufferedBytes += share;
      assigned.fetchOffset = batch.nextOffset;
    }
  }

  /** Bytes that cannot be read now cannot be read later: the partition is given up, and said so. */
  #decode(fetched: FetchedPartition, assigned: Assigned): LogBatch[] {
    const { isolation, keys, origins, replays } = this.#options;
    const fromOffset = assigned.fetchOffset;
    try {
      return decodeFetched(fetched, { fromOffset, isolation, keys, origins, replays });
    } catch (error) {
      const { topic, partition } = assigned;
      this.unassign(assigned);
      const at = `"${topic}" partition ${partition} from offset ${fromOffset} on`;
      this.#fail(new LogError(`Cannot read ${at}: ${reasonOf(error)}`, { cause: error }));
      return [];
    }
  }

  async #refused(fetched: FetchedPartition, assigned: Assigned): Promise<void> {
    const { topic, partition } = fetched;
    const error = brokerError(fetched.errorCode);
    if (brokerErrorOf(error) === "OFFSET_OUT_OF_RANGE") {
      const offset = assigned.fetchOffset;
      this.unassign(assigned);
      this.#fail(
        new OffsetGoneError(
          `Cannot read "${topic}" partition ${partition} at offset ${offset}: it is not there`,
          { topic, partition, offset },
        ),
      );
      return;
    }
    if (!isRetriable(error)) {
      this.unassign(assigned);
      const message = `Cannot read "${topic}" partition ${partition}: ${reasonOf(error)}`;
      return this.#fail(new LogError(message, { cause: error }));
    }
    this.#cluster.forget(topic);
    await backOff(this.#tries++, this.#stop.signal);
  }

  /** Reports trouble when it begins and when it is over, not each try. */
  #hear(error: unknown): void {
    if ((error !== null) === this.#trouble || this.#stop.signal.aborted) return;
    this.#trouble = error !== null;
    this.#onTrouble(error === null ? null : unreachable(this.#cluster.options.brokers, error));
  }

  #fail(error: Error): void {
    if (!this.#failures.some(({ message }) => message === error.message)) {
      this.#failures.push(error);
    }
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async #waitForChange(waitMsMax: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    const timer = setTimeout(stop, waitMsMax);
    signal?.addEventListener("abort", stop);
    await Promise.race([promise, this.#changed.promise]);
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    resolve();
  }
}

function keyOf({ topic, partition }: PartitionRef): string {
  return `${topic} ${partition}`;
}
