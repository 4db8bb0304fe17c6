import { type Clock, FencedError } from "../../../src/engine/ports.ts";
import type {
  GroupOffset,
  LogEnds,
  LogRecords,
  PartitionRef,
} from "../../../src/engine/log/ports.ts";

/**
 * A log with transactions in memory: what a broker keeps, and nothing of how it is asked. Offsets
 * have holes as Kafka's have: a marker behind each transaction, aborted records, compacted ones.
 */

export type Entry = {
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timeMs: number;
  /** NaN: it is live. */
  readonly replayStartMs: number;
  readonly origin: { partition: number; offset: number; index: number } | null;
  readonly transaction: Transaction | null;
};

type Transaction = {
  readonly id: string;
  state: "open" | "committed" | "aborted";
  readonly offsets: GroupOffset[];
  /** Partitions that have no marker of its end yet: its records keep readers waiting. */
  readonly unmarked: Set<Partition>;
};

type Partition = { startOffset: number; endOffset: number; entries: Entry[] };

type Producer = { epoch: number; transaction: Transaction | null };

/** A clock that goes on when somebody waits, and not else. */
export class MemoryClock implements Clock {
  #nowMs: number;

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(durationMs: number): Promise<void> {
    this.advance(durationMs);
    return Promise.resolve();
  }

  advance(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}

export class MemoryLog {
  /** False: markers are written by `writeMarkers()` only, and when somebody takes over. */
  marksAtOnce = true;
  recordBytesMax = 1 << 20;
  /** Of topics that were made anew; the others have one by their names. */
  readonly topicIds = new Map<string, string>();
  readonly #partitions = new Map<string, Partition>();
  readonly #producers = new Map<string, Producer>();
  readonly #groupOffsets = new Map<string, { nextOffset: number; metadata: string }>();
  #decided: Transaction[] = [];

  partition({ topic, partition }: PartitionRef): Partition {
    const key = `${topic}/${partition}`;
    const found = this.#partitions.get(key) ?? { startOffset: 0, endOffset: 0, entries: [] };
    this.#partitions.set(key, found);
    return found;
  }

  /** Appends a record without a transaction; gives its offset. */
  put(
    ref: PartitionRef,
    record: Partial<Omit<Entry, "offset" | "transaction">> & { text?: string },
  ): number {
    const { key = null, value = null, timeMs = 0, origin = null, text } = record;
    const { replayStartMs = NaN } = record;
    const bytes = text === undefined ? value : new TextEncoder().encode(text);
    return this.#append(this.partition(ref), {
      ...{ key, value: bytes, timeMs, replayStartMs, origin, transaction: null },
    });
  }

  /** Appends a run; in the open transaction of `id`, or without one. */
  append(records: LogRecords, owner: { id: string; epoch: number } | null): number {
    const transaction = owner === null ? null : this.#transactionOf(owner);
    const partition = this.partition(records);
    const first = partition.endOffset;
    for (let r = 0; r < records.count; r++) {
      const { origins, timesMs } = records;
      this.#append(partition, {
        key: records.keys === null || records.keyEnds === null
          ? null
          : sliceOf(records.keys, records.keyEnds, r),
        value: sliceOf(records.values, records.valueEnds, r),
        timeMs: typeof timesMs === "number" ? timesMs : timesMs[r],
        replayStartMs: records.replayStartMs ?? NaN,
        origin: origins === null ? null : {
          partition: origins.partition,
          offset: origins.offsets[r],
          index: origins.indexes[r],
        },
        transaction,
      });
    }
    return first;
  }

  /** A new epoch of a transactional id: what its last owner had not committed is aborted. */
  takeOver(id: string): number {
    const producer = this.#producers.get(id) ?? { epoch: -1, transaction: null };
    this.#producers.set(id, producer);
    if (producer.transaction !== null) this.#end(producer.transaction, "aborted");
    producer.transaction = null;
    producer.epoch++;
    this.writeMarkers();
    return producer.epoch;
  }

  stageOffset(offset: GroupOffset, owner: { id: string; epoch: number }): void {
    this.#transactionOf(owner).offsets.push(offset);
  }

  end(owner: { id: string; epoch: number }, state: "committed" | "aborted"): void {
    const transaction = this.#transactionOf(owner);
    this.#end(transaction, state);
    this.#producers.get(owner.id)!.transaction = null;
    if (this.marksAtOnce) this.writeMarkers();
  }

  /** What ended becomes visible, in every partition or in those named. */
  writeMarkers(topics: readonly string[] | null = null): void {
    const marks = (partition: Partition) =>
      topics === null ||
      topics.some((topic) =>
        [...this.#partitions].some(([key, p]) => p === partition && key.startsWith(`${topic}/`))
      );
    for (const transaction of this.#decided) {
      for (const partition of [...transaction.unmarked].filter(marks)) {
        transaction.unmarked.delete(partition);
        partition.endOffset++; // the marker's own offset
      }
    }
    this.#decided = this.#decided.filter(({ unmarked }) => unmarked.size > 0);
  }

  ends(ref: PartitionRef): LogEnds {
    const { startOffset, endOffset, entries } = this.partition(ref);
    const open = entries.find(({ transaction }) => transaction?.unmarked.has(this.partition(ref)));
    return {
      logStartOffset: startOffset,
      logEndOffset: endOffset,
      lastStableOffset: open?.offset ?? endOffset,
    };
  }

  /** Committed records from `offset` on, at most so many; and where to read on. */
  committed(ref: PartitionRef, offset: number, countMax = Infinity) {
    const { lastStableOffset } = this.ends(ref);
    const found: Entry[] = [];
    let nextOffset = Math.max(offset, lastStableOffset);
    for (const entry of this.partition(ref).entries) {
      if (entry.offset < offset || entry.offset >= lastStableOffset) continue;
      if (entry.transaction !== null && entry.transaction.state !== "committed") continue;
      if (found.length === countMax) {
        nextOffset = entry.offset;
        break;
      }
      found.push(entry);
    }
    return { entries: found, nextOffset };
  }

  groupOffset(group: string, { topic, partition }: PartitionRef) {
    return this.#groupOffsets.get(`${group} ${topic}/${partition}`) ??
      { nextOffset: -1, metadata: "" };
  }

  /** As the cleaner does: of each key the latest stays, and tombstones go. */
  compact(ref: PartitionRef): void {
    const partition = this.partition(ref);
    const latest = new Map<string, number>();
    for (const { key, offset } of this.committed(ref, 0).entries) latest.set(textOf(key), offset);
    const { lastStableOffset } = this.ends(ref);
    partition.entries = partition.entries.filter(({ key, value, offset }) =>
      offset >= lastStableOffset || (latest.get(textOf(key)) === offset && value !== null)
    );
  }

  /** As retention does: everything before `offset` is gone. */
  deleteBefore(ref: PartitionRef, offset: number): void {
    const partition = this.partition(ref);
    partition.startOffset = offset;
    partition.entries = partition.entries.filter((entry) => entry.offset >= offset);
  }

  /** As a broker does with a group that was empty for too long. */
  forgetGroup(group: string): void {
    for (const key of this.#groupOffsets.keys()) {
      if (key.startsWith(`${group} `)) this.#groupOffsets.delete(key);
    }
  }

  /** Deletes a topic, and the groups' offsets in it, and makes it anew under its name. */
  makeAnew(topic: string): void {
    for (const key of this.#partitions.keys()) {
      if (key.startsWith(`${topic}/`)) this.#partitions.delete(key);
    }
    for (const key of this.#groupOffsets.keys()) {
      if (key.includes(` ${topic}/`)) this.#groupOffsets.delete(key);
    }
    this.topicIds.set(topic, crypto.randomUUID());
  }

  /** Changes, or takes out, what is there: the fault on purpose. */
  tamper(ref: PartitionRef, change: (entry: Entry) => Entry | null): void {
    const partition = this.partition(ref);
    partition.entries = partition.entries.flatMap((entry) => change(entry) ?? []);
  }

  /** The transactions that are neither committed nor aborted. */
  get openTransactions(): number {
    return [...this.#producers.values()].filter(({ transaction }) => transaction !== null).length;
  }

  #append(partition: Partition, entry: Omit<Entry, "offset">): number {
    const offset = partition.endOffset++;
    partition.entries.push({ ...entry, offset });
    entry.transaction?.unmarked.add(partition);
    return offset;
  }

  #transactionOf({ id, epoch }: { id: string; epoch: number }): Transaction {
    const producer = this.#producers.get(id);
    if (producer?.epoch !== epoch) throw new FencedError(`another owner has taken over ${id}`);
    return producer.transaction ??= { id, state: "open", offsets: [], unmarked: new Set() };
  }

  #end(transaction: Transaction, state: "committed" | "aborted"): void {
    transaction.state = state;
    this.#decided.push(transaction);
    if (state === "aborted") return;
    for (const { group, topic, partition, nextOffset, metadata } of transaction.offsets) {
      this.#groupOffsets.set(`${group} ${topic}/${partition}`, { nextOffset, metadata });
    }
  }
}

function sliceOf(bytes: Uint8Array, ends: ArrayLike<number>, r: number): Uint8Array | null {
  const start = r === 0 ? 0 : ends[r - 1];
  return ends[r] === start ? null : bytes.slice(start, ends[r]);
}

const decoder = new TextDecoder();

export function textOf(bytes: Uint8Array | null): string {
  return bytes === null ? "" : decoder.decode(bytes);
}
