import type { Ledger } from "../../core/ledger.ts";
import type { TaskAccount } from "../../core/task_state.ts";
import type { WorkerEvent } from "../event.ts";
import { readAccounts } from "../log/changelog.ts";
import { type HeldPartition, Holdings, type Standing, standingOf } from "../log/holdings.ts";
import {
  type GroupHandlers,
  isTransient,
  type LogAdmin,
  type LogBatch,
  type LogGroup,
  type LogReader,
  OffsetGoneError,
} from "../log/ports.ts";
import type { Topics } from "../log/records.ts";
import type { Clock } from "../ports.ts";
import { type SinkKind, type SinkStore, StoreAwayError } from "./ports.ts";
import { SinkQueue } from "./queue.ts";
import { storeEvent } from "./store_event.ts";

/** The log that a sink reads. The reader gives committed records with keys and origins. */
export type SinkLog = {
  readonly admin: LogAdmin;
  readonly reader: LogReader;
  /** Joins the group that shares the partitions. */
  join(handlers: GroupHandlers): LogGroup;
};

export type SinkOptions = {
  readonly topics: Topics;
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

/** How a partition stands, for health and metrics. */
export type SinkStatus = Standing & {
  readonly partition: number;
  /** Of the raw partition: how far the account in the store goes. */
  readonly nextOffset: number;
  /** Of all topics, from what is stored to the ends. */
  readonly lagRecords: number;
  readonly watermarkMs: number | null;
  readonly commitDurationMs: number | null;
  readonly ledger: Readonly<Ledger> | null;
  readonly rowsWritten: number;
  readonly rowsRefused: number;
};

/** What a sink keeps of a partition. */
type SinkPartition = HeldPartition & {
  /** null while the partition does not run. */
  queue: SinkQueue | null;
  /** When the oldest message that waits was read; Infinity: none waits. */
  waitingSinceMs: number;
  fullSinceMs: number;
  account: TaskAccount | null;
  /** As last known: of a store that is away nothing is known. */
  lagRecords: number;
  commitDurationMs: number | null;
  rowsWritten: number;
  rowsRefused: number;
};

const READ_WAIT_MS = 20;
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

/**
 * Writes the output topics into a store of tables. Shares the partitions with the other members of
 * its group: partition p of every topic goes together. The store keeps, with the rows, the offset up
 * to which they were read. So a commit that is sent twice, or that a former owner sends, does not
 * begin where the store stands, and changes nothing. What is read and not committed is dropped
 * whenever the store is away, and read again: memory stays flat. `Holdings` says what
 * becomes of a partition in which something goes wrong.
 */
export class Sink {
  readonly #log: SinkLog;
  readonly #store: SinkStore;
  readonly #options: SinkOptions;
  readonly #kinds: ReadonlyMap<string, SinkKind | null>;
  readonly #holdings: Holdings<SinkPartition>;
  #commits = 0;
  /** What keeps the store from taking anything: a SQLSTATE, or `away`; empty: nothing does. */
  #trouble = "";
  #settleDueAtMs = Infinity;
  #settleRestUntilMs = 0;
  #settling: Promise<void> | null = null;
  /** What broke in the store as a whole. */
  #fault: unknown = null;

  constructor(log: SinkLog, store: SinkStore, options: SinkOptions) {
    const { topics, clock, random, signal, onEvent } = options;
    this.#log = log;
    this.#store = store;
    this.#options = options;
    this.#kinds = new Map<string, SinkKind | null>([
      [topics.validated, "validated"],
      [topics.gapAlerts, "gap"],
      [topics.lateEvents, "late"],
      [topics.rejected, "rejected"],
      [topics.validation, "finding"],
      [topics.metrics, "metric"],
      [topics.changelog, null],
    ]);
    this.#holdings = new Holdings<SinkPartition>({
      begin: (held) => this.#begin(held),
      restore: (held) => this.#load(held),
      letGo: (held) => {
        const { partition } = held;
        held.lagRecords = held.queue?.lagRecords ?? held.lagRecords;
        held.queue = null;
        for (const topic of this.#kinds.keys()) log.reader.unassign({ topic, partition });
      },
      isTransient: (error) => error instanceof StoreAwayError || isTransient(error),
      sayShared: (error) => {
        if (!(error instanceof StoreAwayError)) return false;
        this.#hear(error);
        return true;
      },
      ...{ clock, random, signal, onEvent },
    });
  }

  /** Works until the signal; then waits for the commits under way, and leaves the group. */
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
      await this.#finish();
      await this.#holdings.leave();
      await this.#log.reader.close();
    }
  }

  /** How each partition held stands. */
  status(): SinkStatus[] {
    return this.#holdings.all.map((held) => ({
      ...standingOf(held),
      partition: held.partition,
      nextOffset: held.account?.nextOffset ?? 0,
      lagRecords: held.queue?.lagRecords ?? held.lagRecords,
      watermarkMs: held.account?.watermarkMs ?? null,
      commitDurationMs: held.commitDurationMs,
      ledger: held.account?.ledger ?? null,
      rowsWritten: held.rowsWritten,
      rowsRefused: held.rowsRefused,
    }));
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const batch = await this.#read(signal);
      if (this.#fault !== null) throw this.#fault;
      if (batch !== null) this.#holdings.work(batch.partition, (held) => this.#take(held, batch));
      this.#holdings.turn((held, nowMs) => this.#commitWhenDue(held, nowMs));
      this.#settleWhenDue(clock.nowMs());
    }
  }

  async #read(signal: AbortSignal): Promise<LogBatch | null> {
    try {
      return await this.#log.reader.next(READ_WAIT_MS, signal);
    } catch (error) {
      if (!(error instanceof OffsetGoneError)) throw error;
      const held = this.#holdings.get(error.at.partition);
      if (held === null) throw error;
      const why = "messages were deleted before they were written, or the topic was made anew";
      this.#holdings.fail(
        held,
        new OffsetGoneError(`${error.message}: ${why}`, error.at, {
          hint: "to go on without them, set next_offset of that topic in the table sink_positions",
          cause: error,
        }),
      );
      return null;
    }
  }

  #begin(held: HeldPartition): SinkPartition {
    return {
      ...held,
      queue: null,
      waitingSinceMs: Infinity,
      fullSinceMs: Infinity,
      account: null,
      lagRecords: 0,
      commitDurationMs: null,
      rowsWritten: 0,
      rowsRefused: 0,
    };
  }

  /** Asks the store where the partition stands, to read on from there. */
  async #load(held: SinkPartition): Promise<() => void> {
    const { partition } = held;
    const { clock } = this.#options;
    const { admin } = this.#log;
    const topics = await admin.identify([...this.#kinds.keys()]);
    const refs = topics.map(({ name }) => ({ topic: name, partition }));
    const starts = (await admin.listOffsets(refs, "start")).map((start) => {
      const topicId = topics.find(({ name }) => name === start.topic)?.id ?? "";
      return { ...start, topicId };
    });
    const positions = await this.#store.load(starts);
    return () => {
      this.#hear(null);
      for (const { topic, offset, isNew } of positions) {
        if (isNew && offset > 0 && this.#kinds.get(topic) !== null) {
          this.#say("warn", "history_deleted", { topic, partition, first_offset: offset });
        }
      }
      held.queue = new SinkQueue(
        partition,
        positions.map((position) => ({
          ...position,
          kind: this.#kinds.get(position.topic) ?? null,
        })),
      );
      held.waitingSinceMs = held.fullSinceMs = Infinity;
      // The previous owner may not have settled.
      this.#settleDueAtMs = clock.nowMs() + SETTLE_MS_MIN;
      for (const position of positions) this.#log.reader.assign(position);
      this.#say("info", "partition_loaded", { partition });
    };
  }

  #take(held: SinkPartition, batch: LogBatch): void {
    const { queue } = held;
    if (queue === null) return;
    const nowMs = this.#options.clock.nowMs();
    if (this.#kinds.get(batch.topic) === null) queue.pushAccounts(batch, readAccounts(batch));
    else queue.push(batch);
    if (held.waitingSinceMs === Infinity) held.waitingSinceMs = nowMs;
    if (!queue.isFull(batch.topic, this.#options.commitRecordsMax)) return;
    this.#log.reader.pause(batch);
    if (held.fullSinceMs === Infinity) held.fullSinceMs = nowMs;
  }

  #commitWhenDue(held: SinkPartition, nowMs: number): void {
    const { queue } = held;
    if (queue === null) return;
    const { partition } = held;
    queue.observe((topic) => this.#log.reader.ends({ topic, partition }));
    // Nothing that waits is as good as progress.
    if (queue.isKnown && queue.lagRecords === 0) held.lastProgressAtMs = nowMs;
    if (held.pending !== null || this.#commits >= this.#options.commitsMax) return;
    if (held.waitingSinceMs === Infinity) return;
    const waitedMs = nowMs - held.waitingSinceMs;
    const isFull = queue.records >= this.#options.commitRecordsMax;
    if (!isFull && waitedMs < this.#options.commitIntervalMs) return;
    if (queue.isAligned) return this.#commit(held, queue, { all: false });
    const isStuck = waitedMs >= UNALIGNED_MS_MIN ||
      nowMs - held.fullSinceMs >= UNALIGNED_FULL_MS_MIN;
    if (isStuck) this.#commit(held, queue, { all: true });
  }

  #commit(held: SinkPartition, queue: SinkQueue, { all }: { all: boolean }): void {
    const { partition } = held;
    const { clock } = this.#options;
    const commit = queue.take(all);
    held.waitingSinceMs = queue.isBehind ? clock.nowMs() : Infinity;
    held.fullSinceMs = Infinity;
    if (commit.moves.length === 0) return;
    for (const topic of this.#kinds.keys()) {
      if (queue.isFull(topic, this.#options.commitRecordsMax)) continue;
      this.#log.reader.resume({ topic, partition });
    }
    const startedAtMs = clock.nowMs();
    const committed = this.#store.commit(commit).finally(() => this.#commits--);
    this.#commits++;
    this.#holdings.follow(held, committed, ({ rows, refused, incidents }) => {
      queue.confirm(commit);
      held.commitDurationMs = Math.round(clock.nowMs() - startedAtMs);
      held.account = commit.account ?? held.account;
      held.rowsWritten += rows;
      held.rowsRefused += refused;
      this.#settleDueAtMs = clock.nowMs() + SETTLE_MS_MIN;
      if (refused > 0) this.#say("error", "rows_refused", { partition, refused });
      for (const { change, ...incident } of incidents) {
        this.#say("info", `incident_${change}`, incident);
      }
      this.#hear(null);
    });
  }

  /** Says what the store's trouble is when it begins or is another, and its end, not each try. */
  #hear(trouble: StoreAwayError | null): void {
    const kind = trouble === null ? "" : trouble.sqlstate ?? "away";
    if (kind === this.#trouble) return;
    this.#trouble = kind;
    this.#options.onEvent(storeEvent(trouble));
  }

  #settleWhenDue(nowMs: number): void {
    const isBusy = this.#holdings.all.some(({ queue, pending }) =>
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
    const pending = this.#holdings.all.map(({ pending }) => pending);
    const waited = new AbortController();
    await Promise.race([
      Promise.all([...pending, this.#settling]),
      clock.sleep(STOP_MS_MAX, waited.signal),
    ]);
    waited.abort();
    for (const held of this.#holdings.all) {
      held.pending = null;
      held.opening = Promise.resolve();
    }
  }

  #say(level: WorkerEvent["level"], event: string, fields: WorkerEvent["fields"]): void {
    this.#options.onEvent({ level, event, fields });
  }
}
