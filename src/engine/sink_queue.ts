import type { LogBatch, LogEnds } from "./log_ports.ts";
import type { SinkAccount, SinkCommit, SinkKind, SinkMove, SinkRun } from "./sink_ports.ts";

/** Answers of the log after an account was read, until one was surely asked for after it. */
const ANSWERS_AFTER = 2;
/** A batch that fills less of the answer it came in is copied out of it, not to keep it alive. */
const SHARE_MIN = 0.25;
/** Accounts known and not yet reached; the changelog is read no further then. */
const ACCOUNTS_MAX = 256;

/** What is read of one topic of a partition and not yet written. */
type TopicQueue = {
  readonly topic: string;
  /** null: the changelog, which accounts come from. */
  readonly kind: SinkKind | null;
  readonly waiting: { readonly batch: LogBatch; first: number }[];
  /** Where the store stands. */
  writtenOffset: number;
  /** Where the log is read to. */
  readOffset: number;
  records: number;
  /** Raw offset that the latest message came from. */
  lastOrigin: number;
  ends: LogEnds | null;
  answers: number;
};

type Waiting = { readonly account: SinkAccount; readonly readTo: number; answersAt: number[] };

/** Topics whose rows the ledger counts. A metric is no row of a raw record. */
const COUNTED: readonly (SinkKind | null)[] = ["validated", "gap", "late", "rejected"];

/**
 * What is read of one partition's topics and not yet written, cut where a processor's commit ended:
 * rows and the ledger that counts them become visible together, so that the tables balance whenever
 * someone looks. Where no such place is known (the changelog is compacted), rows go ahead of the
 * ledger instead.
 */
export class SinkQueue {
  readonly partition: number;
  readonly #topics: TopicQueue[];
  #accounts: Waiting[] = [];

  constructor(
    partition: number,
    topics: readonly { topic: string; kind: SinkKind | null; offset: number }[],
  ) {
    this.partition = partition;
    this.#topics = topics.map(({ topic, kind, offset }) => ({
      topic,
      kind,
      waiting: [],
      writtenOffset: offset,
      readOffset: offset,
      records: 0,
      lastOrigin: -1,
      ends: null,
      answers: 0,
    }));
  }

  /** Messages that wait to be written. */
  get records(): number {
    return this.#topics.reduce((sum, { records }) => sum + records, 0);
  }

  /** Whether the store stands behind what was read. */
  get isBehind(): boolean {
    return this.#accounts.length > 0 || this.#topics.some((t) => t.readOffset > t.writtenOffset);
  }

  /** Records that the store lacks, all topics together. */
  get lagRecords(): number {
    return this.#topics.reduce((sum, { ends, writtenOffset }) => {
      return sum + Math.max(0, (ends?.lastStableOffset ?? writtenOffset) - writtenOffset);
    }, 0);
  }

  /** Topics that have enough waiting, and those that may be read on. */
  isFull(topic: string, recordsMax: number): boolean {
    const queue = this.#of(topic);
    return queue.kind === null
      ? this.#accounts.length >= ACCOUNTS_MAX
      : queue.records >= recordsMax;
  }

  /** Takes a batch of messages. */
  push(batch: LogBatch): void {
    const queue = this.#of(batch.topic);
    queue.readOffset = batch.nextOffset;
    if (batch.count === 0) return;
    const { origins } = batch;
    queue.waiting.push({ batch: ownBytes(batch), first: 0 });
    queue.records += batch.count;
    queue.lastOrigin = Math.max(queue.lastOrigin, origins?.offsets[batch.count - 1] ?? -1);
  }

  /** Takes the accounts that a batch of the changelog held, with their offsets there. */
  pushAccounts(
    batch: LogBatch,
    accounts: readonly { readonly account: SinkAccount; readonly offset: number }[],
  ): void {
    this.#of(batch.topic).readOffset = batch.nextOffset;
    const answersAt = this.#topics.map(({ answers }) => answers);
    for (const { account, offset } of accounts) {
      this.#accounts.push({ account, readTo: offset + 1, answersAt });
    }
  }

  /** Hears what the log last said of each topic: a new object is a new answer. */
  observe(endsOf: (topic: string) => LogEnds | null): void {
    for (const queue of this.#topics) {
      const ends = endsOf(queue.topic);
      if (ends === queue.ends || ends === null) continue;
      queue.ends = ends;
      queue.answers++;
    }
  }

  /** Whether `take` can end where a processor's commit did. */
  get isAligned(): boolean {
    return this.#latestComplete() >= 0;
  }

  /**
   * Takes out what is to be written now: up to the latest commit of the processor that is known to
   * be complete; with `all`, everything.
   */
  take(all: boolean): SinkCommit {
    const latest = this.#latestComplete();
    const account = latest < 0 ? null : this.#accounts[latest];
    const cut = all || account === null ? Infinity : account.account.nextOffset;
    const moves: SinkMove[] = [];
    const runs: SinkRun[] = [];
    for (const queue of this.#topics) {
      const from = queue.writtenOffset;
      const to = queue.kind !== null
        ? takeRuns(queue, queue.kind === "metric" ? Infinity : cut, runs)
        : latest < this.#accounts.length - 1
        ? account?.readTo ?? from
        : queue.readOffset;
      if (to > from) moves.push({ topic: queue.topic, partition: this.partition, from, to });
      queue.writtenOffset = to;
    }
    this.#accounts = this.#accounts.slice(latest + 1);
    return { partition: this.partition, moves, runs, account: account?.account ?? null };
  }

  /** The latest account all of whose rows are read or written; -1: none. */
  #latestComplete(): number {
    for (let a = this.#accounts.length - 1; a >= 0; a--) {
      const { account, answersAt } = this.#accounts[a];
      const isComplete = this.#topics.every((queue, t) => {
        if (!COUNTED.includes(queue.kind) || queue.lastOrigin >= account.nextOffset) return true;
        // Nothing of a commit can be missing once the log, asked after the commit was seen, has
        // neither more to read nor an open transaction.
        const { ends, readOffset, answers } = queue;
        return ends !== null && answers - answersAt[t] >= ANSWERS_AFTER &&
          ends.lastStableOffset === ends.logEndOffset && readOffset >= ends.lastStableOffset;
      });
      if (isComplete) return a;
    }
    return -1;
  }

  #of(topic: string): TopicQueue {
    const queue = this.#topics.find((one) => one.topic === topic);
    if (queue === undefined) throw new Error(`${topic} is none of the sink's topics`);
    return queue;
  }
}

/** Takes the messages that came from raw records before `cut`; gives where the topic then stands. */
function takeRuns(queue: TopicQueue, cut: number, runs: SinkRun[]): number {
  while (queue.waiting.length > 0 && queue.kind !== null) {
    const { batch, first } = queue.waiting[0];
    let end = batch.count;
    if (cut < Infinity && batch.origins !== null) {
      end = first;
      while (end < batch.count && batch.origins.offsets[end] < cut) end++;
    }
    if (end > first) runs.push({ kind: queue.kind, batch, first, end });
    queue.records -= end - first;
    queue.waiting[0].first = end;
    if (end < batch.count) return batch.offsets[end];
    queue.waiting.shift();
  }
  return queue.readOffset;
}

/** The batch with bytes of its own where it is a small part of the answer it came in. */
function ownBytes(batch: LogBatch): LogBatch {
  const { bytes, values } = batch;
  let low = bytes.length;
  let high = 0;
  for (let r = 0; r < batch.count; r++) {
    if (values.starts[r] < 0) continue;
    low = Math.min(low, values.starts[r]);
    high = Math.max(high, values.ends[r]);
  }
  if (high - low > bytes.length * SHARE_MIN) return batch;
  const moved = (at: number) => at < 0 ? at : at - low;
  return {
    ...batch,
    bytes: low < high ? bytes.slice(low, high) : new Uint8Array(0),
    values: { starts: values.starts.map(moved), ends: values.ends.map(moved) },
    keys: null,
  };
}
