import { decodeTask } from "../../core/codec.ts";
import type { GroupHandlers, LogAdmin, LogBatch, LogGroup, LogReader } from "../log/ports.ts";
import type { Topics } from "../log/records.ts";
import { type Clock, FencedError } from "../ports.ts";
import { type SinkAccount, type SinkKind, type SinkStore, StoreAwayError } from "./ports.ts";
import { SinkQueue } from "./queue.ts";
import type { WorkerEvent } from "../event.ts";

/** The log that a projector reads. The reader gives committed records with keys and origins. */
export type ProjectorLog = {
  readonly admin: LogAdmin;
  readonly reader: LogReader;
  /** Joins the group that shares the partitions. */
  join(handlers: GroupHandlers): LogGroup;
};

export type ProjectorOptions = {
  readonly topics: Topics;
  /** How far the processors' watermarks stand behind the latest event time. */
  readonly outOfOrdernessMs: number;
  /** Messages in one commit of a partition, about. */
  readonly commitRecordsMax: number;
  /** Time between two commits of a partition while messages come slowly, at most. */
  readonly commitIntervalMs: number;
  /** Commits under way at a time, of all partitions. */
  readonly commitsMax: number;
  readonly clock: Clock;
  /** From 0 to 1: for the jitter of retries. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
};

/** loading → running → (failed → loading | stopped). */
export type ProjectionState = "loading" | "running" | "failed" | "stopped";

/** How a partition stands, for health and metrics. */
export type ProjectionStatus = {
  readonly partition: number;
  readonly state: ProjectionState;
  /** Of the raw partition: how far the account in the store goes. */
  readonly nextOffset: number;
  readonly lagRecords: number;
  readonly watermarkMs: number | null;
  readonly lastProgressAtMs: number;
  readonly rowsWritten: number;
  readonly rowsRefused: number;
};

type Running = {
  readonly partition: number;
  state: ProjectionState;
  queue: SinkQueue | null;
  pending: Promise<void> | null;
  opening: Promise<void> | null;
  /** When the oldest message that waits was read; Infinity: none waits. */
  waitingSinceMs: number;
  fullSinceMs: number;
  failures: number;
  retryAtMs: number;
  account: SinkAccount | null;
  lastProgressAtMs: number;
  rowsWritten: number;
  rowsRefused: number;
};

const READ_WAIT_MS = 20;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 15_000;
/** Rows wait so long for the ledger that counts them, and then go ahead of it. */
const UNALIGNED_MS_MIN = 5000;
/** The same when no more may be read. */
const UNALIGNED_FULL_MS_MIN = 300;
const SETTLE_MS_MIN = 2000;
const SETTLE_RETRY_MS = 10_000;
/** Settling is followed by so many times the time it took: it must not become the store's work. */
const SETTLE_REST_FACTOR = 20;
/** A stop waits for commits under way for so long. */
const STOP_MS_MAX = 3000;
const TASK_KEY = "task";
const decoder = new TextDecoder();

/**
 * Projects the output topics into a store of tables. Shares the partitions with the other members of
 * its group: partition p of every topic goes together. Where a partition is read from stands in the
 * store, with the rows that were read up to there, so that a commit of an owner who has lost it, or
 * one sent twice, finds the place taken and changes nothing. What is read and not committed is
 * dropped whenever the store is away, and read again: memory stays flat.
 */
export class Projector {
  readonly #log: ProjectorLog;
  readonly #store: SinkStore;
  readonly #options: ProjectorOptions;
  readonly #kinds: ReadonlyMap<string, SinkKind | null>;
  readonly #running = new Map<number, Running>();
  #commits = 0;
  #isAway = false;
  #settleDueAtMs = Infinity;
  #settleRestUntilMs = 0;
  #settling: Promise<void> | null = null;

  constructor(log: ProjectorLog, store: SinkStore, options: ProjectorOptions) {
    this.#log = log;
    this.#store = store;
    this.#options = options;
    const { topics } = options;
    this.#kinds = new Map<string, SinkKind | null>([
      [topics.validated, "validated"],
      [topics.gapAlerts, "gap"],
      [topics.lateEvents, "late"],
      [topics.rejected, "rejected"],
      [topics.metrics, "metric"],
      [topics.changelog, null],
    ]);
  }

  /**
   * Works until the signal; then waits for the commits under way, and leaves the group.
   *
   * @throws {OffsetGoneError} Messages were deleted before they were written.
   */
  async run(): Promise<void> {
    const group = this.#log.join({
      onAssigned: (partitions) => partitions.forEach((partition) => this.#assign(partition)),
      onRevoked: async (partitions) => {
        await Promise.all(partitions.map((partition) => this.#revoke(partition)));
      },
      onLost: (partitions) => partitions.forEach((partition) => this.#drop(partition, "lost")),
    });
    group.failed.catch(() => {});
    try {
      await Promise.race([group.failed, this.#work()]);
    } finally {
      await this.#finish();
      await group.leave();
      for (const partition of [...this.#running.keys()]) this.#drop(partition, "ended");
      await this.#log.reader.close();
    }
  }

  /** How each partition held stands. */
  status(): ProjectionStatus[] {
    return [...this.#running.values()].map((running) => ({
      partition: running.partition,
      state: running.state,
      nextOffset: running.account?.nextOffset ?? 0,
      lagRecords: running.queue?.lagRecords ?? 0,
      watermarkMs: running.account?.watermarkMs ?? null,
      lastProgressAtMs: running.lastProgressAtMs,
      rowsWritten: running.rowsWritten,
      rowsRefused: running.rowsRefused,
    }));
  }

  async #work(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      const batch = await this.#log.reader.next(READ_WAIT_MS, signal);
      if (this.#fault !== null) throw this.#fault;
      if (batch !== null) this.#take(batch);
      const nowMs = clock.nowMs();
      for (const running of this.#running.values()) {
        if (running.state === "failed" && nowMs >= running.retryAtMs) this.#open(running);
        if (running.state === "running") this.#commitWhenDue(running, nowMs);
      }
      this.#settleWhenDue(nowMs);
    }
  }

  #fault: unknown = null;

  #assign(partition: number): void {
    const nowMs = this.#options.clock.nowMs();
    const running: Running = {
      partition,
      state: "loading",
      queue: null,
      pending: null,
      opening: null,
      waitingSinceMs: Infinity,
      fullSinceMs: Infinity,
      failures: 0,
      retryAtMs: nowMs,
      account: null,
      lastProgressAtMs: nowMs,
      rowsWritten: 0,
      rowsRefused: 0,
    };
    this.#running.set(partition, running);
    this.#open(running);
  }

  /** Asks the store where the partition stands, and reads on from there. */
  #open(running: Running): void {
    running.state = "loading";
    running.opening = this.#load(running).catch((error) => this.#fail(running, error));
  }

  async #load(running: Running): Promise<void> {
    const { partition } = running;
    running.lastProgressAtMs = this.#options.clock.nowMs();
    const refs = [...this.#kinds.keys()].map((topic) => ({ topic, partition }));
    const starts = await this.#log.admin.listOffsets(refs, "start");
    const positions = await this.#store.load(starts);
    if (this.#running.get(partition) !== running || running.state !== "loading") return;
    this.#hear(null);
    for (const { topic, offset, isNew } of positions) {
      if (isNew && offset > 0 && this.#kinds.get(topic) !== null) {
        this.#say("warn", "history_deleted", { topic, partition, first_offset: offset });
      }
    }
    running.queue = new SinkQueue(
      partition,
      positions.map((position) => ({
        ...position,
        kind: this.#kinds.get(position.topic) ?? null,
      })),
    );
    running.waitingSinceMs = running.fullSinceMs = Infinity;
    running.state = "running";
    running.lastProgressAtMs = this.#options.clock.nowMs();
    this.#settleDueAtMs = running.lastProgressAtMs + SETTLE_MS_MIN; // who had it before may not have
    for (const position of positions) this.#log.reader.assign(position);
    this.#say("info", "partition_loaded", { partition });
  }

  #take(batch: LogBatch): void {
    const running = this.#running.get(batch.partition);
    if (running?.state !== "running" || running.queue === null) return;
    const { queue } = running;
    const nowMs = this.#options.clock.nowMs();
    if (this.#kinds.get(batch.topic) === null) {
      queue.pushAccounts(batch, accountsIn(batch, this.#options.outOfOrdernessMs));
    } else queue.push(batch);
    running.lastProgressAtMs = nowMs;
    if (running.waitingSinceMs === Infinity) running.waitingSinceMs = nowMs;
    if (!queue.isFull(batch.topic, this.#options.commitRecordsMax)) return;
    this.#log.reader.pause(batch);
    if (running.fullSinceMs === Infinity) running.fullSinceMs = nowMs;
  }

  #commitWhenDue(running: Running, nowMs: number): void {
    const { queue } = running;
    if (queue === null) return;
    const { partition } = running;
    queue.observe((topic) => this.#log.reader.ends({ topic, partition }));
    if (running.pending !== null || this.#commits >= this.#options.commitsMax) return;
    if (running.waitingSinceMs === Infinity) return;
    const waitedMs = nowMs - running.waitingSinceMs;
    const isFull = queue.records >= this.#options.commitRecordsMax;
    if (!isFull && waitedMs < this.#options.commitIntervalMs) return;
    if (queue.isAligned) return this.#commit(running, false);
    const isStuck = waitedMs >= UNALIGNED_MS_MIN ||
      nowMs - running.fullSinceMs >= UNALIGNED_FULL_MS_MIN;
    if (isStuck) this.#commit(running, true);
  }

  #commit(running: Running, all: boolean): void {
    const { queue, partition } = running;
    const { clock } = this.#options;
    const commit = queue?.take(all);
    running.waitingSinceMs = queue?.isBehind ? clock.nowMs() : Infinity;
    running.fullSinceMs = Infinity;
    if (commit === undefined || commit.moves.length === 0) return;
    for (const topic of this.#kinds.keys()) {
      if (!queue?.isFull(topic, this.#options.commitRecordsMax)) {
        this.#log.reader.resume({ topic, partition });
      }
    }
    this.#commits++;
    running.pending = this.#store.commit(commit).then(({ rows, refused }) => {
      running.failures = 0;
      running.account = commit.account ?? running.account;
      running.rowsWritten += rows;
      running.rowsRefused += refused;
      running.lastProgressAtMs = clock.nowMs();
      this.#settleDueAtMs = clock.nowMs() + SETTLE_MS_MIN;
      if (refused > 0) this.#say("error", "rows_refused", { partition, refused });
      this.#hear(null);
    }).catch((error) => this.#fail(running, error)).finally(() => {
      this.#commits--;
      running.pending = null;
    });
  }

  /** Given up in peace: the commit under way is waited for, and the rest is another's to read. */
  async #revoke(partition: number): Promise<void> {
    const running = this.#running.get(partition);
    this.#drop(partition, "revoked");
    await running?.pending;
    await running?.opening;
  }

  #drop(partition: number, why: string): void {
    const running = this.#running.get(partition);
    if (running === undefined) return;
    this.#running.delete(partition);
    running.state = "stopped";
    this.#forget(running);
    this.#say("info", "partition_stopped", { partition, why });
  }

  #forget(running: Running): void {
    const { partition } = running;
    running.queue = null;
    for (const topic of this.#kinds.keys()) this.#log.reader.unassign({ topic, partition });
  }

  /** Drops what was read of a partition, to read it again once the store takes it. */
  #fail(running: Running, error: unknown): void {
    const { clock, random, signal } = this.#options;
    if (this.#running.get(running.partition) !== running || signal.aborted) return;
    const isLog = error instanceof Error && error.name === "LogError";
    if (!(error instanceof StoreAwayError || error instanceof FencedError || isLog)) {
      this.#fault ??= error;
      return;
    }
    this.#forget(running);
    running.state = "failed";
    const retryMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** running.failures++);
    running.retryAtMs = clock.nowMs() + retryMs * (0.5 + random() / 2);
    if (error instanceof StoreAwayError) this.#hear(error);
    else {
      const { message } = error;
      this.#say("warn", "partition_reloads", { partition: running.partition, error: message });
    }
  }

  /** Says when the store gets away and when it is back, not each try. */
  #hear(trouble: StoreAwayError | null): void {
    if ((trouble !== null) === this.#isAway) return;
    this.#isAway = trouble !== null;
    if (trouble === null) this.#say("info", "database_back", {});
    else {
      this.#say("warn", "database_away", { error: trouble.message, hint: trouble.hint ?? null });
    }
  }

  #settleWhenDue(nowMs: number): void {
    const isBusy = [...this.#running.values()].some(({ queue, pending }) =>
      pending !== null || (queue?.records ?? 0) > 0
    );
    const dueAtMs = Math.max(this.#settleDueAtMs, this.#settleRestUntilMs);
    if (isBusy || nowMs < dueAtMs || this.#settling !== null) return;
    this.#settleDueAtMs = Infinity;
    this.#settling = this.#settle(nowMs).finally(() => this.#settling = null);
  }

  async #settle(startedAtMs: number): Promise<void> {
    let retryMs = Infinity;
    await this.#store.settle().catch((error) => {
      if (error instanceof StoreAwayError) retryMs = SETTLE_RETRY_MS;
      else this.#fault ??= error;
    });
    const nowMs = this.#options.clock.nowMs();
    this.#settleDueAtMs = Math.min(this.#settleDueAtMs, nowMs + retryMs);
    this.#settleRestUntilMs = nowMs + SETTLE_REST_FACTOR * (nowMs - startedAtMs);
  }

  /** Waits for the commits under way, but not for a store that hangs. */
  async #finish(): Promise<void> {
    const { clock } = this.#options;
    const pending = [...this.#running.values()].map((running) => running.pending);
    const waited = new AbortController();
    await Promise.race([
      Promise.all([...pending, this.#settling]),
      clock.sleep(STOP_MS_MAX, waited.signal),
    ]);
    waited.abort();
    for (const running of this.#running.values()) running.pending = running.opening = null;
  }

  #say(level: WorkerEvent["level"], event: string, fields: WorkerEvent["fields"]): void {
    this.#options.onEvent({ level, event, fields });
  }
}

/** The accounts among a changelog's records, and where they stand in it. */
function accountsIn(
  batch: LogBatch,
  outOfOrdernessMs: number,
): { account: SinkAccount; offset: number }[] {
  const { bytes, keys, values, offsets, count } = batch;
  const found: { account: SinkAccount; offset: number }[] = [];
  for (let r = 0; r < count && keys !== null; r++) {
    if (keys.ends[r] - keys.starts[r] !== TASK_KEY.length || values.starts[r] < 0) continue;
    const key = decoder.decode(bytes.subarray(keys.starts[r], keys.ends[r]));
    if (key !== TASK_KEY) continue;
    const task = decodeTask(bytes.slice(values.starts[r], values.ends[r]));
    const { nextOffset, ledger, readingMaxMs, tickMaxMs } = task;
    const maxMs = Math.max(readingMaxMs, tickMaxMs);
    const watermarkMs = maxMs === -Infinity ? null : maxMs - outOfOrdernessMs;
    found.push({ account: { nextOffset, watermarkMs, ledger }, offset: offsets[r] });
  }
  return found;
}
