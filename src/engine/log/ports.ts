import { FencedError } from "../ports.ts";
/**
 * A partitioned log with transactions, as the engine sees it: Kafka today. A commit is the atom:
 * there is no begin, append or end here.
 */

/** A run of byte strings: string i is `bytes[starts[i]..ends[i])`; null where the start is -1. */
export type Spans = {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
};

/** Which input record each output record came from; -1 where a record does not say. */
export type Origins = {
  /** Input partition. */
  readonly partitions: Int32Array;
  /** Input offset. */
  readonly offsets: Float64Array;
  /** Place among the outputs of that input record. */
  readonly indexes: Int32Array;
};

/**
 * Records of one partition, in offset order. All spans lie in `bytes`, which nobody writes again;
 * it holds other things, too. Offsets have holes (compaction, aborted records, markers), so the
 * record after `offsets[i]` need not be `offsets[i] + 1`.
 */
export type LogBatch = {
  readonly topic: string;
  readonly partition: number;
  /** May be 0: only `nextOffset` moved. */
  readonly count: number;
  readonly bytes: Uint8Array;
  /** A null value is a tombstone on a compacted topic; it is not an empty value. */
  readonly values: Spans;
  readonly offsets: Float64Array;
  /** Each record's own time, epoch milliseconds. */
  readonly timesMs: Float64Array;
  /** null unless asked for. */
  readonly keys: Spans | null;
  /** null unless asked for. */
  readonly origins: Origins | null;
  /** When the replay began that wrote each record; NaN: it is live. Absent unless asked for. */
  readonly replayStartsMs?: Float64Array | null;
  /** Where to read on: after the last record and what was passed over behind it. */
  readonly nextOffset: number;
  /** As they stood when this was fetched. */
  readonly logEndOffset: number;
  /** End of what `committed` reading can see; below the log's end while transactions are open. */
  readonly lastStableOffset: number;
};

export type PartitionRef = { readonly topic: string; readonly partition: number };

export type ReadFrom = PartitionRef & { readonly offset: number };

export type LogReaderOptions = {
  /** `committed` passes over records of open and aborted transactions. */
  readonly isolation: "committed" | "all";
  readonly keys: boolean;
  readonly origins: boolean;
  readonly replays?: boolean;
  /** Fetched ahead and not yet taken, all partitions together; one answer more may be held. */
  readonly bufferBytesMax: number;
  /** Asked for in one answer, per partition; a larger record comes alone all the same. */
  readonly partitionBytesMax: number;
  /** How long the log may hold a question while it has nothing new. */
  readonly pollMs: number;
};

/**
 * Reads assigned partitions, fetching ahead within bounds. A lost connection is waited out:
 * `onTrouble` hears of it, and `next` goes on when the log is back.
 */
export type LogReader = {
  /** Adds a partition, or moves it: what was fetched ahead is dropped. */
  assign(from: ReadFrom): void;
  unassign(partition: PartitionRef): void;
  /** No batch of a paused partition is given out, nor fetched beyond what is under way. */
  pause(partition: PartitionRef): void;
  resume(partition: PartitionRef): void;
  /**
   * The next batch of any partition that is not paused, in turns; null after `waitMsMax` without
   * one, or when the signal aborts.
   *
   * @throws {OffsetGoneError} The offset asked for was deleted, or never was.
   */
  next(waitMsMax: number, signal?: AbortSignal): Promise<LogBatch | null>;
  /** What the last answer said; null before the first. */
  ends(partition: PartitionRef): LogEnds | null;
  /** Bytes fetched ahead and not yet taken. */
  readonly bufferedBytes: number;
  close(): Promise<void>;
};

export type LogEnds = {
  readonly logStartOffset: number;
  readonly lastStableOffset: number;
  readonly logEndOffset: number;
};

/**
 * Records to append to one partition, in this order. Value i is `values[valueEnds[i-1]..ends[i])`,
 * and so the keys. A key or value without bytes is written as null.
 */
export type LogRecords = {
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
  readonly values: Uint8Array;
  readonly valueEnds: Int32Array | readonly number[];
  readonly keys: Uint8Array | null;
  readonly keyEnds: Int32Array | readonly number[] | null;
  /** Epoch milliseconds: of each record, or of all. */
  readonly timesMs: Float64Array | number;
  /** Written with each record, so that a reader can tell one written twice. */
  readonly origins: RecordOrigins | null;
  /** Written with each record of a replay: when that began. Records with origins have none. */
  readonly replayStartMs?: number;
};

export type RecordOrigins = {
  readonly partition: number;
  readonly offsets: Float64Array | readonly number[];
  readonly indexes: Int32Array | readonly number[];
};

/** How far a group has read a partition, stored with the commit that says so. */
export type GroupOffset = PartitionRef & {
  readonly group: string;
  readonly nextOffset: number;
  /** Any text, up to a few KiB. */
  readonly metadata: string;
  /**
   * Who commits, asked again when the group has moved on: null once the partition is not this
   * member's any more. Absent: the transactional id alone fences.
   */
  readonly membership?: () => Membership | null;
};

export type Membership = { readonly memberId: string; readonly generation: number };

export type LogCommit = {
  readonly records: readonly LogRecords[];
  readonly groupOffset: GroupOffset | null;
};

/** Writes commits of one input partition. One commit at a time; fold on meanwhile. */
export type LogCommitter = {
  /**
   * Takes the partition over: the previous owner can commit no more, and what it had not committed
   * is gone. Before the first commit, and again after any that failed. When it resolves, all that was
   * committed before is visible: read the group's offset and the changelog's end after it.
   */
  open(): Promise<void>;
  /**
   * All of it becomes visible, or none. It resolves when that is decided, to the offset of the first
   * record of each run (-1: not known); readers see it some milliseconds later.
   *
   * @throws {FencedError} Another owner has taken over, and goes on from what it found committed.
   * @throws {RecordTooLargeError} Nothing was written; the committer stays open.
   * @throws {CommitFailedError} Nothing of it is or will be visible: drop the task, restore.
   * @throws {CommitUnknownError} It may have become visible or not: drop the task, restore.
   */
  commit(commit: LogCommit): Promise<number[]>;
  close(): Promise<void>;
};

/** Appends without transactions, each record once and in order, whatever is sent again. */
export type LogProducer = {
  /** Resolves to the offset of the first record of each run, when all replicas have them. */
  send(records: readonly LogRecords[]): Promise<number[]>;
  close(): Promise<void>;
};

export type GroupHandlers = {
  /** New partitions, on top of those held. Members that join or leave move as few as they can. */
  onAssigned(partitions: readonly number[]): Promise<void> | void;
  /** They go to another member when this resolves: commit and stop within the session timeout. */
  onRevoked(partitions: readonly number[]): Promise<void> | void;
  /** They are another's by now: stop without a word. */
  onLost(partitions: readonly number[]): Promise<void> | void;
};

/** A place in a group that shares the partitions of one topic. */
export type LogGroup = {
  /** null once the partition is not this member's. */
  membership(partition: number): Membership | null;
  readonly partitions: readonly number[];
  /** Rejects when the group can not be had at all (no authorization, another protocol). */
  readonly failed: Promise<never>;
  /** Gives back all partitions (through `onRevoked`) and leaves. */
  leave(): Promise<void>;
};

export type TopicSpec = {
  readonly name: string;
  readonly partitions: number;
  readonly replication: number;
  /** Kafka's names, such as `cleanup.policy`. */
  readonly configs: Readonly<Record<string, string>>;
};

/** A topic as it stands. */
export type TopicFound = TopicSpec & TopicIdentity & {
  /** What holds of `cleanup.policy` and the like, whether set on the topic or inherited. */
  readonly settings: Readonly<Record<string, string>>;
};

export type TopicIdentity = {
  readonly name: string;
  /** A topic made anew under the same name has another. */
  readonly id: string;
  readonly partitions: number;
};

export type PartitionOffset = PartitionRef & { readonly offset: number };

/** What a group has committed; `nextOffset` -1: nothing. */
export type StoredOffset = PartitionRef & {
  readonly nextOffset: number;
  readonly metadata: string;
};

export type LogAdmin = {
  /** The topics among `names` that exist. */
  describeTopics(names: readonly string[]): Promise<TopicFound[]>;
  /**
   * What these topics are now, in the order of the names.
   *
   * @throws {LogRefusedError} One was made anew since this process first used it.
   */
  identify(names: readonly string[]): Promise<TopicIdentity[]>;
  /** Resolves to the names created; what exists is left as it is. */
  createTopics(topics: readonly TopicSpec[]): Promise<string[]>;
  deleteTopics(names: readonly string[]): Promise<void>;
  /** Changes settings of a topic, by Kafka's names; its others are left as they are. */
  setTopic(name: string, configs: TopicSpec["configs"]): Promise<void>;
  /** `committedEnd` is the last stable offset, `end` that of the next record. */
  listOffsets(
    partitions: readonly PartitionRef[],
    at: "start" | "end" | "committedEnd",
  ): Promise<PartitionOffset[]>;
  /** Waits for transactions under way to end, so that the answer is what their owner committed. */
  groupOffsets(group: string, partitions: readonly PartitionRef[]): Promise<StoredOffset[]>;
  close(): Promise<void>;
};

/** The log does not answer, or says no. `hint` names a way out. */
export class LogError extends Error {
  override name = "LogError";
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
  }
}

/** A record above the broker's or the topic's limit; nothing was written. */
export class RecordTooLargeError extends LogError {
  override name = "RecordTooLargeError";
}

/** The offset is below the log's start (deleted) or above its end (the log was made anew). */
export class OffsetGoneError extends LogError {
  override name = "OffsetGoneError";
  constructor(
    message: string,
    readonly at: ReadFrom,
    options: { hint?: string; cause?: unknown } = {},
  ) {
    super(message, options);
  }
}

/** What is kept does not belong to this log, or is not whole: a person must act. */
export class LogRefusedError extends LogError {
  override name = "LogRefusedError";
}

/** The refusal of topics that are not those that positions count in. */
export function topicsMadeAnew(names: readonly string[]): LogRefusedError {
  const said = names.map((name) => `"${name}"`).join(", ");
  const were = names.length === 1 ? "was" : "were";
  return new LogRefusedError(
    `Cannot go on: ${said} ${were} deleted and made anew, and the other topics of the pipeline ` +
      "count what was there before",
    {
      hint:
        "delete all topics of kafka.topic_prefix, or all but the raw one, which is then judged " +
        "anew, and make them with `gridwatch topics --create`; or take another kafka.topic_prefix. " +
        "The sinks then need an empty database",
    },
  );
}

/** The commit did not happen: drop the task, restore. */
export class CommitFailedError extends LogError {
  override name = "CommitFailedError";
}

/** Nobody knows whether the commit happened: drop the task, restore. */
export class CommitUnknownError extends LogError {
  override name = "CommitUnknownError";
}

/** Whether trying again can mend an error: not where the log, or this program, says no for good. */
export function isTransient(error: unknown): boolean {
  if (error instanceof RecordTooLargeError || error instanceof OffsetGoneError) return false;
  if (error instanceof LogRefusedError) return false;
  return error instanceof LogError || error instanceof FencedError;
}
