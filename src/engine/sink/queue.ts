import type { TaskAccount } from "../../core/task_state.ts";
import type { LogBatch, LogEnds } from "../log/ports.ts";
import type { SinkCommit, SinkKind, SinkMove, SinkRun } from "./ports.ts";

/**
 * The first answer after an account may belong to a fetch sent before it; the second cannot.
 */
const ANSWERS_AFTER = 2;
/** A batch that fills a smaller share of its answer is copied, so that the answer can be freed. */
const SHARE_MIN = 0.25;
/** While so many accounts wait to be reached, the changelog is read no further. */
const ACCOUNTS_MAX = 256;
/** Until an account is reached, so many commits' worth of messages of one topic may wait. */
const WAITING_FACTOR_MAX = 4;
/** Bytes of one topic that may wait, however many messages they are. */
const WAITING_BYTES_MAX = 32 << 20;

/** What is read of one topic of a partition and not yet written. */
type TopicQueue = {
  readonly topic: string;
  /** null: the changelog, which accounts come from. */
  readonly kind: SinkKind | null;
  readonly waiting: { readonly batch: LogBatch; first: number }[];
  /** Messages that the store has. */
  messages: number;
  /** Where the store stands. */
  /** Up to here the store is known to have it. */
  storedOffset: number;
  writtenOffset: number;
  /** Where the log is read to. */
  readOffset: number;
  records: number;
  bytes: number;
  /** Raw offset that the latest message came from. */
  lastOrigin: number;
  ends: LogEnds | null;
  answers: number;
};

type Waiting = { readonly account: TaskAccount; readonly readTo: number; answersAt: number[] };

/** How many messages of a topic an account counts; null: the ledger does not count that kind. */
function countOf(kind: SinkKind | null, { ledger }: TaskAccount): number | null {
  switch (kind) {
    case "validated":
      return ledger.ok + ledger.late;
    case "late":
      return ledger.too_late;
    case "rejected":
      return ledger.duplicate + ledger.rejected;
    case "gap":
    case "finding":
    case "metric":
    case null:
      return null;
    default:
      return kind satisfies never;
  }
}

/** Whether count or origin offset tell that every message of an account is written or waits. */
function hasAll(
  { kind, messages, records, lastOrigin }: TopicQueue,
  account: TaskAccount,
): boolean {
  if (kind === "metric" || kind === null) return true; // written as they come
  const count = countOf(kind, account);
  return lastOrigin >= account.nextOffset || (count !== null && messages + records >= count);
}

/**
 * What is read of one partition's topics and not yet written, cut where a processor's commit ended:
 * rows, gaps and the ledger beside them become visible together, so that the tables balance whenever
 * someone looks. Where no such place is known (the changelog is compacted), rows go ahead of the
 * ledger instead.
 */
export class SinkQueue {
  readonly partition: number;
  readonly #topics: TopicQueue[];
  #accounts: Waiting[] = [];

  constructor(
    partition: number,
    topics: readonly {
      readonly topic: string;
      readonly kind: SinkKind | null;
      readonly offset: number;
      readonly messages: number;
    }[],
  ) {
    this.partition = partition;
    this.#topics = topics.map(({ topic, kind, offset, messages }) => ({
      topic,
      kind,
      waiting: [],
      messages,
      storedOffset: offset,
      writtenOffset: offset,
      readOffset: offset,
      records: 0,
      bytes: 0,
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

  /** Records that the store lacks, all topics together: up to the ends, open transactions too. */
  get lagRecords(): number {
    return this.#topics.reduce((sum, { ends, storedOffset }) => {
      return sum + Math.max(0, (ends?.logEndOffset ?? storedOffset) - storedOffset);
    }, 0);
  }

  /** Whether the log has said of every topic how far it goes. */
  get isKnown(): boolean {
    return this.#topics.every(({ ends }) => ends !== null);
  }

  /** What a commit took out is stored. */
  confirm({ moves }: SinkCommit): void {
    for (const { topic, to } of moves) this.#of(topic).storedOffset = to;
  }

  /**
   * Whether enough of a topic waits for a commit of `recordsMax`; more is read only as long as no
   * account is reached.
   */
  isFull(topic: string, recordsMax: number): boolean {
    const { kind, records, bytes } = this.#of(topic);
    if (kind === null) return this.#accounts.length >= ACCOUNTS_MAX;
    if (bytes >= WAITING_BYTES_MAX || records >= recordsMax * WAITING_FACTOR_MAX) return true;
    if (records < recordsMax) return false;
    return this.#accounts.length > 0 && hasAll(this.#of(topic), this.#accounts[0].account);
  }

  /** Takes a batch of messages. */
  push(batch: LogBatch): void {
    const queue = this.#of(batch.topic);
    queue.readOffset = batch.nextOffset;
    if (batch.count === 0) return;
    const { origins } = batch;
    const own = ownBytes(batch);
    queue.waiting.push({ batch: own, first: 0 });
    queue.records += batch.count;
    queue.bytes += bytesOf(own);
    queue.lastOrigin = Math.max(queue.lastOrigin, origins?.offsets[batch.count - 1] ?? -1);
  }

  /** Takes the accounts that a batch of the changelog held, with their offsets there. */
  pushAccounts(
    batch: LogBatch,
    accounts: readonly { readonly account: TaskAccount; readonly offset: number }[],
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
      const waiting = queue.records;
      const to = queue.kind !== null
        ? takeRuns(queue, queue.kind === "metric" ? Infinity : cut, runs)
        : latest < this.#accounts.length - 1
        ? account?.readTo ?? from
        : queue.readOffset;
      const messages = waiting - queue.records;
      queue.messages += messages;
      const { topic } = queue;
      if (to > from) moves.push({ topic, partition: this.partition, from, to, messages });
      queue.writtenOffset = to;
    }
    this.#accounts = this.#accounts.slice(latest + 1);
    return { partition: this.partition, moves, runs, account: account?.account ?? null };
  }

  /** The latest account all of whose rows are read or written; -1: none. */
  #latestComplete(): number {
    for (let a = this.#accounts.length - 1; a >= 0; a--) {
      if (this.#topics.every((queue, t) => this.#isComplete(queue, t, a))) return a;
    }
    return -1;
  }

  /**
   * Whether all rows of account `a` are known of a topic. Any of these tells it:
   *
   * - by count: so many messages are here as the account's ledger counts;
   * - by origin offset: a message of a later raw record is here, and they come in order;
   * - by last stable offset: the topic is read up to the last stable offset of a late enough answer.
   *   A task begins a commit only when its last one has ended in every topic, so an answer is late
   *   enough if it was asked for after account a + 1 was read. For the latest account, it is if it
   *   was asked for after that account was read and tells of no open transaction.
   *
   *     task       ── commit a ──┤ended everywhere├── commit a + 1 ──┤
   *     changelog         account a is read ●         ● account a + 1 is read
   *     topic        fetch ├──────────────────────────────┤ first answer: may lack rows of a
   *                                                       ├──────┤ second answer: has them all
   */
  #isComplete(queue: TopicQueue, t: number, a: number): boolean {
    if (hasAll(queue, this.#accounts[a].account)) return true;
    const { ends, readOffset, answers } = queue;
    const isLatest = a === this.#accounts.length - 1;
    const seen = this.#accounts[isLatest ? a : a + 1];
    if (ends === null || answers - seen.answersAt[t] < ANSWERS_AFTER) return false;
    if (isLatest && ends.lastStableOffset < ends.logEndOffset) return false;
    return readOffset >= ends.lastStableOffset;
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
    queue.bytes -= bytesOf(batch);
    queue.waiting.shift();
  }
  return queue.readOffset;
}

function bytesOf({ values, count }: LogBatch): number {
  return Math.max(0, values.ends[count - 1] - Math.max(0, values.starts[0]));
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
