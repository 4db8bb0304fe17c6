import { addGauges, dropGauges, metricOf } from "../commit_metrics.ts";
import type { WorkerEvent } from "../event.ts";
import type { Clock } from "../ports.ts";
import type { Metric } from "../../core/outputs.ts";
import { newRawRecord } from "../../core/wire/raw_record.ts";
import { Task } from "../task.ts";
import type { ProcessorOptions } from "../../core/options.ts";
import { type CommitLimits, commitWaitMs } from "./commit_wait.ts";
import { Holdings, noteRestored } from "./holdings.ts";
import type { Judging } from "./judging.ts";
import { idleTickMs, TickSender } from "./idle.ts";
import {
  type GroupHandlers,
  isTransient,
  type LogAdmin,
  type LogBatch,
  type LogCommitter,
  LogError,
  type LogGroup,
  type LogProducer,
  type LogReader,
  OffsetGoneError,
  type PartitionRef,
} from "./ports.ts";
import { placeRecord, type Topics } from "./records.ts";
import { sharedMeterMetrics } from "./shared_meters.ts";
import { LogStore } from "./store.ts";
import { TopicWatch } from "./topic_watch.ts";
import {
  beginPartition,
  type PartitionStatus,
  statusOf,
  uncommitted,
  type WorkerPartition,
} from "./worker_partition.ts";

/** The log that a worker works on. */
export type WorkerLog = {
  readonly admin: LogAdmin;
  readonly reader: LogReader;
  /** For ticks; another is opened after one that failed. */
  openProducer(): LogProducer;
  openChangelogReader(): LogReader;
  committer(partition: number): LogCommitter;
  join(handlers: GroupHandlers): LogGroup;
};

export type WorkerOptions = CommitLimits & {
  readonly topics: Topics;
  readonly group: string;
  /** What readings are judged by. */
  readonly judging: Judging;
  readonly processorOptions: (partition: number) => ProcessorOptions;
  /** A partition without a record for this long gets a tick; 0: never. */
  readonly idleTimeoutMs: number;
  /** Passed on to `Task.open`; tests make snapshots early. */
  readonly changelogBytesMin?: number;
  /** Meters that a tick may judge in one commit; tests make parts of it early. */
  readonly partMetersMax?: number;
  readonly clock: Clock;
  /** From 0 to 1: for the jitter of retries. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
};

const READ_WAIT_MS = 20;
const GAUGE_MS_MIN = 10_000;
/** Of meters that a line of the log names. */
const NAMES_MAX = 10;
/** Meters that fall silent in one commit: a few megabytes of outputs and states. */
const PART_METERS_MAX = 20_000;

/**
 * Shares the partitions of the raw topic with the other members of its group and works on its own:
 * restore, then read, fold, commit. A commit that failed, or whose outcome nobody knows, drops the
 * partition's task, which is restored from what the log holds. Nothing that is not committed is ever
 * visible. `Holdings` says what becomes of a partition in which something goes wrong.
 */
export class Worker {
  readonly #log: WorkerLog;
  readonly #options: WorkerOptions;
  readonly #holdings: Holdings<WorkerPartition>;
  readonly #ticks: TickSender;
  /** The record being folded. */
  readonly #record = newRawRecord();
  readonly #watch: TopicWatch;

  constructor(log: WorkerLog, options: WorkerOptions) {
    const { clock, random, signal, onEvent } = options;
    this.#log = log;
    this.#options = options;
    this.#holdings = new Holdings<WorkerPartition>({
      begin: (held) => beginPartition(held, log.committer(held.partition)),
      restore: (held, signal) => this.#restore(held, signal),
      finish: (held) => this.#finish(held),
      letGo: (held) => {
        held.task = held.store = held.rest = null;
        log.reader.unassign(this.#rawOf(held));
      },
      close: ({ committer }) => committer.close(),
      ...{ isTransient, clock, random, signal, onEvent },
    });
    this.#watch = new TopicWatch(log.admin, options);
    this.#ticks = new TickSender(() => log.openProducer(), (partition, error) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#say("warn", "tick_failed", { partition, error: reason });
    });
  }

  /** Works until the signal, then commits, gives its partitions back and leaves the group. */
  async run(): Promise<void> {
    const { failed } = this.#holdings.join((handlers) => this.#log.join(handlers));
    const over = new AbortController();
    try {
      await Promise.race([
        failed,
        this.#work(AbortSignal.any([this.#options.signal, over.signal])),
      ]);
    } finally {
      over.abort();
      await this.#holdings.leave();
      await this.#log.reader.close();
      await this.#ticks.close();
    }
  }

  /** How each partition held stands. */
  status(): PartitionStatus[] {
    return this.#holdings.all.map((held) =>
      statusOf(held, this.#log.reader.ends(this.#rawOf(held)))
    );
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = await this.#read(signal);
      this.#watch.turn();
      if (batch !== null) {
        this.#holdings.work(batch.partition, (held) => this.#fold(held, batch, 0));
      }
      this.#holdings.turn((held, nowMs) => {
        this.#foldRest(held);
        this.#commitWhenDue(held, nowMs);
        this.#noteQuiet(held, nowMs);
        this.#tickWhenIdle(held, nowMs);
      });
    }
  }

  async #read(signal: AbortSignal): Promise<LogBatch | null> {
    try {
      return await this.#log.reader.next(READ_WAIT_MS, signal);
    } catch (error) {
      const held = error instanceof OffsetGoneError && this.#holdings.get(error.at.partition);
      if (!held) throw error;
      // The records were deleted before they were read. Restored, it goes on at the log's start.
      this.#holdings.fail(held, new LogError(error.message, { cause: error }));
      return null;
    }
  }

  /** Nothing that waits is as good as progress. */
  #noteQuiet(held: WorkerPartition, nowMs: number): void {
    const isIdle = held.pending === null && held.foldedRecords === 0 && held.rest === null;
    if (isIdle) held.committedOffset = held.readOffset;
    const ends = this.#log.reader.ends(this.#rawOf(held));
    if (ends !== null && uncommitted(held, ends) === 0) held.lastProgressAtMs = nowMs;
  }

  /** Restores a partition's task, to read on from there. */
  async #restore(held: WorkerPartition, signal: AbortSignal): Promise<() => void> {
    const { partition } = held;
    const { topics, group, judging, clock, processorOptions, changelogBytesMin } = this.#options;
    const { admin } = this.#log;
    const startedAtMs = clock.nowMs();
    const store = new LogStore({
      partition,
      topics,
      group,
      judging,
      membership: () => this.#holdings.membership(partition),
      committer: held.committer,
      admin,
      openReader: () => this.#log.openChangelogReader(),
      clock,
      signal,
      onRestore: (nextOffset) => noteRestored(held, nextOffset, clock.nowMs()),
    });
    const task = await Task.open(processorOptions(partition), store, { changelogBytesMin });
    const raw = this.#rawOf(held);
    const [{ offset: startOffset }] = await admin.listOffsets([raw], "start");
    const [{ offset: endOffset }] = await admin.listOffsets([raw], "end");
    if (task.nextOffset > endOffset) {
      const at = { ...raw, offset: task.nextOffset };
      throw new OffsetGoneError(`${raw.topic}/${partition} is judged further than it goes`, at, {
        hint: "it was made anew: delete the other topics of kafka.topic_prefix, too, or change it",
      });
    }
    const offset = Math.max(startOffset, task.nextOffset);
    return () => {
      held.task = task;
      held.store = store;
      held.foldedRecords = 0;
      held.rest = null;
      held.readOffset = held.committedOffset = offset;
      held.commitDueAtMs = Infinity;
      held.lastRecordAtMs = clock.nowMs();
      this.#log.reader.assign({ ...raw, offset });
      if (offset > task.nextOffset) {
        // Nobody had begun: the usual start on an old topic. Else records are lost.
        const level = task.nextOffset === 0 ? "info" : "error";
        const fields = { partition, from_offset: task.nextOffset, to_offset: offset };
        this.#say(level, "raw_records_deleted_unread", fields);
      }
      this.#say("info", "partition_restored", {
        partition,
        next_offset: task.nextOffset,
        meters: task.processor.meters.count,
        duration_ms: Math.round(clock.nowMs() - startedAtMs),
      });
    };
  }

  /** Goes on where a tick was folded in part, once that is committed. */
  #foldRest(held: WorkerPartition): void {
    const { rest } = held;
    if (rest === null || held.pending !== null) return;
    if (held.foldedRecords > 0) return this.#commit(held);
    held.rest = null;
    this.#fold(held, rest.batch, rest.next);
    if (held.rest === null) this.#log.reader.resume(this.#rawOf(held));
  }

  #fold(held: WorkerPartition, batch: LogBatch, first: number): void {
    const { task } = held;
    if (task === null) return;
    const nowMs = this.#options.clock.nowMs();
    const { partMetersMax = PART_METERS_MAX } = this.#options;
    const { offsets, timesMs, count } = batch;
    for (let r = first; r < count; r++) {
      if (offsets[r] < task.nextOffset) continue;
      held.foldedRecords++;
      if (task.foldPart(placeRecord(this.#record, batch, r), partMetersMax)) continue;
      // So many meters fell silent that their outputs are to be committed, and dropped, first.
      held.rest = { batch, next: r };
      held.lastProgressAtMs = nowMs;
      this.#log.reader.pause(this.#rawOf(held));
      if (held.pending === null) this.#commit(held);
      return;
    }
    if (count > 0) {
      held.lastRecordAtMs = nowMs;
      held.lastRecordTimeMs = timesMs[count - 1];
    }
    held.readOffset = batch.nextOffset;
    held.lagRecords = Math.max(0, batch.logEndOffset - batch.nextOffset);
    if (held.foldedRecords > 0 && held.commitDueAtMs === Infinity) {
      const load = { partitions: this.#holdings.count, lagRecords: held.lagRecords };
      held.commitDueAtMs = nowMs + commitWaitMs(load, this.#options);
    }
    this.#commitWhenDue(held, nowMs);
  }

  #commitWhenDue(held: WorkerPartition, nowMs: number): void {
    const isFull = held.foldedRecords >= this.#options.commitRecordsMax;
    if (!isFull && nowMs < held.commitDueAtMs) return;
    if (held.pending === null) return this.#commit(held);
    // One commit may be under way and one be folded behind it: then the partition waits.
    if (isFull) this.#log.reader.pause(this.#rawOf(held));
  }

  #commit(held: WorkerPartition): void {
    const { store } = held;
    const commit = held.task?.takeCommit() ?? null;
    held.foldedRecords = 0;
    held.commitDueAtMs = Infinity;
    if (commit === null || store === null) return;
    const { clock } = this.#options;
    const startedAtMs = clock.nowMs();
    const { lagRecords, commitDurationMs: durationMs, gauged, readOffset } = held;
    const isNews = gauged === null || (gauged.lagRecords === 0) !== (lagRecords === 0);
    if (isNews || startedAtMs - gauged.atMs >= GAUGE_MS_MIN) {
      addGauges(commit, { lagRecords, durationMs });
      held.gauged = { atMs: startedAtMs, lagRecords };
    } else dropGauges(commit);
    const shared = sharedMeterMetrics(held, this.#holdings.all, metricOf(commit));
    commit.outputs.metrics.push(...shared);
    this.#warnShared(held, shared);
    this.#holdings.follow(held, store.commit(commit), () => {
      held.commitDurationMs = Math.round(clock.nowMs() - startedAtMs);
      held.committedOffset = readOffset;
      if (held.rest === null) this.#log.reader.resume(this.#rawOf(held));
    });
  }

  #warnShared(held: WorkerPartition, shared: readonly Metric[]): void {
    if (shared.length === 0) return;
    held.sharedMeters += shared.length;
    this.#say("warn", "meters_in_several_partitions", {
      partition: held.partition,
      meters: shared.slice(0, NAMES_MAX).map(({ meterId }) => meterId).join(", "),
      more: Math.max(0, shared.length - NAMES_MAX),
      hint: "each partition judges what it gets: let every producer use the partitioner murmur2",
    });
  }

  /** Commits what is folded. */
  async #finish(held: WorkerPartition): Promise<void> {
    this.#log.reader.unassign(this.#rawOf(held));
    await held.pending;
    this.#holdings.work(held.partition, () => this.#commit(held));
    await held.pending;
  }

  #rawOf({ partition }: { readonly partition: number }): PartitionRef {
    return { topic: this.#options.topics.raw, partition };
  }

  /** Tells an idle partition that time goes on, as a record of its own log. */
  #tickWhenIdle(held: WorkerPartition, nowMs: number): void {
    const { idleTimeoutMs } = this.#options;
    const idleMs = nowMs - held.lastRecordAtMs;
    if (idleTimeoutMs === 0 || idleMs < idleTimeoutMs || held.task === null) return;
    if (nowMs < held.tickDueAtMs) return;
    const ends = this.#log.reader.ends(this.#rawOf(held));
    if (ends === null || ends.logEndOffset > held.readOffset) return;
    held.tickDueAtMs = nowMs + idleTimeoutMs;
    const { processor } = held.task;
    const { lastRecordTimeMs } = held;
    const recordTimeMs = Number.isNaN(lastRecordTimeMs) ? nowMs - idleMs : lastRecordTimeMs;
    const tickMs = idleTickMs(processor, { recordTimeMs, idleMs });
    if (tickMs !== null) this.#ticks.send(this.#rawOf(held), tickMs);
  }

  #say(level: WorkerEvent["level"], event: string, fields: WorkerEvent["fields"]): void {
    this.#options.onEvent({ level, event, fields });
  }
}
