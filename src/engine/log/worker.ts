import type { WorkerEvent } from "../event.ts";
import { idleTickMs, TickSender } from "./idle.ts";
import {
  type GroupHandlers,
  type LogAdmin,
  type LogBatch,
  type LogCommitter,
  type LogGroup,
  type LogProducer,
  type LogReader,
  mayPass,
  type Membership,
  OffsetGoneError,
} from "./ports.ts";
import type { Topics } from "./records.ts";
import { LogStore } from "./store.ts";
import { addGauges, dropGauges, metricOf } from "../commit_metrics.ts";
import { sharedMeterMetrics } from "./shared_meters.ts";
import { type Clock, FencedError } from "../ports.ts";
import { Task } from "../task.ts";
import type { ProcessorOptions } from "../../core/options.ts";

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

export type WorkerOptions = {
  readonly topics: Topics;
  readonly group: string;
  readonly processorOptions: (partition: number) => ProcessorOptions;
  readonly commitRecordsMax: number;
  readonly commitIntervalMs: number;
  /** While more than `commitRecordsMax` records wait, a commit may take this long. */
  readonly commitIntervalBehindMs: number;
  /** A partition without a record for this long gets a tick; 0: never. */
  readonly idleTimeoutMs: number;
  /** Passed on to `Task.open`; tests make snapshots early. */
  readonly changelogBytesMin?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
};

/** How a partition stands, for health and metrics. */
export type PartitionStatus = {
  readonly partition: number;
  readonly state: PartitionState;
  readonly nextOffset: number;
  readonly lagRecords: number;
  readonly watermarkMs: number | null;
  readonly meters: number;
  readonly lastProgressAtMs: number;
};

/** restoring → running → (failed → restoring | stopped). */
type PartitionState = "restoring" | "running" | "failed" | "stopped";

type Running = {
  readonly partition: number;
  readonly committer: LogCommitter;
  state: PartitionState;
  task: Task | null;
  store: LogStore | null;
  /** The commit under way. */
  pending: Promise<void> | null;
  foldedRecords: number;
  commitDueAtMs: number;
  commitDurationMs: number | null;
  lagRecords: number;
  /** When the gauges were last told, and with what lag. */
  gauged: { readonly atMs: number; readonly lagRecords: number } | null;
  /** Everything up to here is read: records, and what stands between them. */
  readOffset: number;
  lastRecordAtMs: number;
  lastRecordTimeMs: number;
  lastProgressAtMs: number;
  retryAtMs: number;
  failures: number;
  opening: Promise<void> | null;
  /** No tick before this. */
  tickDueAtMs: number;
  /** Ends a restore that nobody waits for any more. */
  readonly stop: AbortController;
};

const READ_WAIT_MS = 20;
const GAUGE_MS_MIN = 10_000;
const RETRY_MS_MAX = 10_000;

/**
 * Shares the partitions of the raw topic with the other members of its group and works on its own:
 * restore, then read, fold, commit. A commit that failed, or whose outcome nobody knows, drops the
 * partition's task, which is restored from what the log holds; one that was fenced stops it without
 * a word. Nothing that is not committed is ever visible.
 */
export class Worker {
  readonly #log: WorkerLog;
  readonly #options: WorkerOptions;
  readonly #running = new Map<number, Running>();
  #group: LogGroup | null = null;
  readonly #ticks: TickSender;

  constructor(log: WorkerLog, options: WorkerOptions) {
    this.#log = log;
    this.#options = options;
    this.#ticks = new TickSender(() => log.openProducer(), (partition, error) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.#say("warn", "tick_failed", { partition, error: reason });
    });
  }

  /** Works until the signal, then commits, gives its partitions back and leaves the group. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    this.#group = this.#log.join({
      onAssigned: (partitions) => partitions.forEach((partition) => this.#assign(partition)),
      onRevoked: async (partitions) => {
        await Promise.all(partitions.map((partition) => this.#revoke(partition)));
      },
      onLost: (partitions) => partitions.forEach((partition) => this.#drop(partition, "lost")),
    });
    const { failed } = this.#group;
    failed.catch(() => {}); // reported by the race, unless it fails after that
    try {
      await Promise.race([failed, this.#work(signal)]);
    } finally {
      await this.#group.leave();
      for (const running of [...this.#running.values()]) this.#drop(running.partition, "ended");
      await this.#log.reader.close();
      await this.#ticks.close();
    }
  }

  /** How each partition held stands. */
  status(): PartitionStatus[] {
    return [...this.#running.values()].map((running) => ({
      partition: running.partition,
      state: running.state,
      nextOffset: running.task?.nextOffset ?? 0,
      lagRecords: running.lagRecords,
      watermarkMs: running.task?.processor.watermarkMs ?? null,
      meters: running.task?.processor.meters.count ?? 0,
      lastProgressAtMs: running.lastProgressAtMs,
    }));
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = await this.#read(signal);
      if (batch !== null) this.#fold(batch);
      const nowMs = this.#options.clock.nowMs();
      for (const running of this.#running.values()) {
        if (running.state === "failed" && nowMs >= running.retryAtMs) this.#open(running);
        if (running.state !== "running") continue;
        this.#commitWhenDue(running, nowMs);
        this.#tickWhenIdle(running, nowMs);
      }
    }
  }

  async #read(signal: AbortSignal): Promise<LogBatch | null> {
    try {
      return await this.#log.reader.next(READ_WAIT_MS, signal);
    } catch (error) {
      const running = error instanceof OffsetGoneError && this.#running.get(error.at.partition);
      if (!running) throw error;
      this.#fail(running, error); // restored, it goes on at the log's start
      return null;
    }
  }

  #assign(partition: number): void {
    const nowMs = this.#options.clock.nowMs();
    const running: Running = {
      partition,
      committer: this.#log.committer(partition),
      state: "restoring",
      task: null,
      store: null,
      pending: null,
      foldedRecords: 0,
      commitDueAtMs: Infinity,
      commitDurationMs: null,
      lagRecords: 0,
      gauged: null,
      readOffset: 0,
      lastRecordAtMs: nowMs,
      lastRecordTimeMs: NaN,
      lastProgressAtMs: nowMs,
      retryAtMs: nowMs,
      failures: 0,
      opening: null,
      tickDueAtMs: -Infinity,
      stop: new AbortController(),
    };
    this.#running.set(partition, running);
    this.#open(running);
  }

  /** Restores a partition's task, and reads on from there. */
  #open(running: Running): void {
    running.state = "restoring";
    running.opening = this.#restore(running).catch((error) => this.#fail(running, error));
  }

  async #restore(running: Running): Promise<void> {
    const { partition } = running;
    const { topics, group, clock, signal, processorOptions, changelogBytesMin } = this.#options;
    const startedAtMs = clock.nowMs();
    const store = new LogStore({
      partition,
      topics,
      group,
      membership: () => this.#membership(partition),
      committer: running.committer,
      admin: this.#log.admin,
      openReader: () => this.#log.openChangelogReader(),
      clock,
      signal: AbortSignal.any([signal, running.stop.signal]),
      onRestore: () => running.lastProgressAtMs = clock.nowMs(),
    });
    const task = await Task.open(processorOptions(partition), store, { changelogBytesMin });
    const ref = { topic: topics.raw, partition };
    const [{ offset: startOffset }] = await this.#log.admin.listOffsets([ref], "start");
    const offset = Math.max(startOffset, task.nextOffset);
    if (this.#running.get(partition) !== running || running.state !== "restoring") return;
    running.task = task;
    running.store = store;
    running.foldedRecords = 0;
    running.readOffset = offset;
    running.commitDueAtMs = Infinity;
    running.state = "running";
    running.lastProgressAtMs = running.lastRecordAtMs = clock.nowMs();
    this.#log.reader.assign({ ...ref, offset });
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
  }

  #membership(partition: number): Membership | null {
    return this.#group?.membership(partition) ?? null;
  }

  #fold(batch: LogBatch): void {
    const running = this.#running.get(batch.partition);
    if (running?.state !== "running" || running.task === null) return;
    const { task } = running;
    const nowMs = this.#options.clock.nowMs();
    const { bytes, values, offsets, timesMs, count } = batch;
    for (let r = 0; r < count; r++) {
      if (offsets[r] < task.nextOffset) continue;
      const start = Math.max(0, values.starts[r]);
      const end = values.starts[r] < 0 ? start : values.ends[r];
      task.fold(bytes, start, end, timesMs[r], offsets[r]);
      running.foldedRecords++;
    }
    if (count > 0) {
      running.lastRecordAtMs = nowMs;
      running.lastRecordTimeMs = timesMs[count - 1];
    }
    running.readOffset = batch.nextOffset;
    running.lagRecords = Math.max(0, batch.lastStableOffset - batch.nextOffset);
    running.lastProgressAtMs = nowMs;
    if (running.foldedRecords > 0 && running.commitDueAtMs === Infinity) {
      const { commitIntervalMs, commitIntervalBehindMs, commitRecordsMax } = this.#options;
      const isBehind = running.lagRecords > commitRecordsMax;
      running.commitDueAtMs = nowMs + (isBehind ? commitIntervalBehindMs : commitIntervalMs);
    }
    this.#commitWhenDue(running, nowMs);
  }

  #commitWhenDue(running: Running, nowMs: number): void {
    const { commitRecordsMax, topics } = this.#options;
    const isFull = running.foldedRecords >= commitRecordsMax;
    if (!isFull && nowMs < running.commitDueAtMs) return;
    if (running.pending === null) return this.#commit(running);
    // One commit may be under way and one be folded behind it: then the partition waits.
    if (isFull) this.#log.reader.pause({ topic: topics.raw, partition: running.partition });
  }

  #commit(running: Running): void {
    const { store } = running;
    const commit = running.task?.takeCommit() ?? null;
    running.foldedRecords = 0;
    running.commitDueAtMs = Infinity;
    if (commit === null || store === null) return;
    const { clock, topics } = this.#options;
    const startedAtMs = clock.nowMs();
    const { lagRecords, commitDurationMs: durationMs, gauged } = running;
    const isNews = gauged === null || (gauged.lagRecords === 0) !== (lagRecords === 0);
    if (isNews || startedAtMs - gauged.atMs >= GAUGE_MS_MIN) {
      addGauges(commit, { lagRecords, durationMs });
      running.gauged = { atMs: startedAtMs, lagRecords };
    } else dropGauges(commit);
    const held = [...this.#running.values()];
    commit.outputs.metrics.push(...sharedMeterMetrics(running, held, metricOf(commit)));
    running.pending = store.commit(commit).then(
      () => {
        running.pending = null;
        running.failures = 0;
        running.commitDurationMs = Math.round(clock.nowMs() - startedAtMs);
        running.lastProgressAtMs = clock.nowMs();
        this.#log.reader.resume({ topic: topics.raw, partition: running.partition });
      },
      (error) => {
        running.pending = null;
        this.#fail(running, error);
      },
    );
  }

  /** A partition given up in peace: what is folded is committed first. */
  async #revoke(partition: number): Promise<void> {
    const running = this.#running.get(partition);
    if (running === undefined) return;
    this.#log.reader.unassign({ topic: this.#options.topics.raw, partition });
    await running.pending;
    if (running.state === "running") this.#commit(running);
    await running.pending;
    this.#drop(partition, "revoked");
    await running.opening?.catch(() => {});
    await running.committer.close();
  }

  /** Forgets a partition's task; nothing of it that is not committed will be. */
  #drop(partition: number, why: string): void {
    const running = this.#running.get(partition);
    if (running === undefined) return;
    running.state = "stopped";
    running.stop.abort();
    running.task = null;
    this.#running.delete(partition);
    this.#log.reader.unassign({ topic: this.#options.topics.raw, partition });
    this.#say("info", "partition_stopped", { partition, why });
    if (why !== "revoked") running.committer.close().catch(() => {});
  }

  #fail(running: Running, error: unknown): void {
    if (this.#running.get(running.partition) !== running || this.#options.signal.aborted) return;
    const { partition } = running;
    // Fenced while it is still a member's: by a zombie that opened its committer late. Take it back.
    const isAnothers = error instanceof FencedError && this.#membership(partition) === null;
    if (isAnothers) return this.#drop(partition, "fenced");
    this.#log.reader.unassign({ topic: this.#options.topics.raw, partition });
    running.task = null;
    running.state = "failed";
    const retryMs = Math.min(RETRY_MS_MAX, 100 * 2 ** running.failures++);
    running.retryAtMs = this.#options.clock.nowMs() + retryMs;
    this.#say(mayPass(error) ? "warn" : "error", "partition_failed", {
      partition,
      error: error instanceof Error ? error.message : String(error),
      retry_ms: retryMs,
    });
  }

  /** Tells an idle partition that time goes on, as a record of its own log. */
  #tickWhenIdle(running: Running, nowMs: number): void {
    const { idleTimeoutMs, topics } = this.#options;
    const idleMs = nowMs - running.lastRecordAtMs;
    if (idleTimeoutMs === 0 || idleMs < idleTimeoutMs || running.task === null) return;
    if (nowMs < running.tickDueAtMs) return;
    const { partition } = running;
    const ends = this.#log.reader.ends({ topic: topics.raw, partition });
    if (ends === null || ends.logEndOffset > running.readOffset) return;
    running.tickDueAtMs = nowMs + idleTimeoutMs;
    const { processor } = running.task;
    const { lastRecordTimeMs } = running;
    const recordTimeMs = Number.isNaN(lastRecordTimeMs) ? nowMs - idleMs : lastRecordTimeMs;
    const tickMs = idleTickMs(processor, { recordTimeMs, idleMs });
    if (tickMs !== null) this.#ticks.send({ topic: topics.raw, partition }, tickMs);
  }

  #say(level: WorkerEvent["level"], event: string, fields: WorkerEvent["fields"]): void {
    this.#options.onEvent({ level, event, fields });
  }
}
