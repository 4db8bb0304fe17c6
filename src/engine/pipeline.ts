import { encodeTick, isFinalTick, newRawRecord } from "../core/wire/raw_record.ts";
import { LATEST_MS } from "../core/time.ts";
import { addGauges } from "./commit_metrics.ts";
import { Pace } from "./pace.ts";
import type { Clock, CommitStore, RecordChunk } from "./ports.ts";
import type { Task } from "./task.ts";

/** How far a pipeline is. `readings` counts what was folded in this run, ticks and all. */
export type Progress = {
  readonly rowsRead: number;
  readonly recordsFolded: number;
  readonly readingsFolded: number;
  readonly eventTimeMs: number | null;
};

export type PipelineOptions = {
  /** Where each partition's log begins for this input: what lies before was another input's. */
  readonly baseOffsets: readonly number[];
  readonly commitRecordsMax: number;
  /** A commit at least so often while pacing; unpaced, commits depend on the records alone. */
  readonly commitIntervalMs: number;
  /** Readings a second, ticks not counted; Infinity: as fast as they are taken. */
  readonly ratePerSecond: number;
  /** Sends a last tick, this long after the last reading, where the records end without one. */
  readonly endsAfterMs: number | null;
  readonly rowsTotal: number | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
};

/**
 * Plays records through the tasks of all partitions into the store, folding on while a commit is
 * under way. What a task has committed before is passed over, so a run that was cut off anywhere
 * goes on where it stood, given the same records.
 *
 * Resolves to false when the signal stopped it; all that was folded is committed then, too.
 */
export async function playRecords(
  chunks: AsyncIterable<RecordChunk>,
  tasks: readonly Task[],
  store: CommitStore,
  options: PipelineOptions,
): Promise<boolean> {
  const player = new Player(tasks, store, options);
  const { signal } = options;
  try {
    try {
      for await (const chunk of chunks) {
        await player.play(chunk);
        if (signal.aborted) break;
      }
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error; // else the source has stopped
    }
    if (!signal.aborted && options.endsAfterMs !== null) player.sendLastTick();
    await player.commit();
  } finally {
    await player.settle();
  }
  if (signal.aborted) player.report();
  return !signal.aborted;
}

/** From so many meters on a commit is larger, unpaced: a meter's day is then written in few pieces. */
const METERS_MANY = 1000;
/** Records that such a commit has of each meter. */
const METER_RECORDS = 24;
/** So many times `commitRecordsMax` at most: what is folded and not yet committed is in memory. */
const COMMIT_GROWTH_MAX = 8;

class Player {
  readonly #tasks: readonly Task[];
  readonly #store: CommitStore;
  readonly #options: PipelineOptions;
  /** The offset that each partition's next record has in its log. */
  readonly #offsets: number[];
  /** The record being folded; its log keeps no times but the play's start. */
  readonly #record = newRawRecord();
  #streamRecords = 0;
  #recordsFolded = 0;
  #readingsFolded = 0;
  #rowsRead = 0;
  /** The last tick sent was a replay's last. */
  #isEnded = false;
  readonly #pace: Pace;
  #committedAtMs: number;
  #pending: Promise<void> = Promise.resolve();
  #commitDurationMs: number | null = null;

  constructor(tasks: readonly Task[], store: CommitStore, options: PipelineOptions) {
    this.#tasks = tasks;
    this.#store = store;
    this.#options = options;
    this.#offsets = [...options.baseOffsets];
    this.#record.replayStartMs = tasks[0]?.processor.options.nowMs ?? NaN;
    this.#pace = new Pace(options);
    this.#committedAtMs = options.clock.nowMs();
  }

  async play(chunk: RecordChunk): Promise<void> {
    const { signal } = this.#options;
    const commitRecords = this.#commitRecords();
    let start = 0;
    for (let r = 0; r < chunk.count; r++) {
      if (this.#pace.isAhead(this.#readingsFolded)) await this.#wait();
      if (signal.aborted) return;
      const end = chunk.ends[r];
      this.#route(chunk.partitions[r], chunk.bytes, start, end);
      start = end;
      if (++this.#streamRecords % commitRecords === 0) await this.commit();
    }
    this.#rowsRead += chunk.rowsRead;
    this.#report(Number.isNaN(chunk.lastEventTimeMs) ? null : chunk.lastEventTimeMs);
  }

  /** Records between two commits; each size is a multiple of the one before, so commits stay aligned. */
  #commitRecords(): number {
    const { commitRecordsMax, ratePerSecond } = this.#options;
    const meters = this.#tasks.reduce((sum, { processor }) => sum + processor.meters.count, 0);
    let records = commitRecordsMax;
    if (ratePerSecond !== Infinity || meters < METERS_MANY) return records;
    const recordsMax = commitRecordsMax * COMMIT_GROWTH_MAX;
    while (records < recordsMax && records < meters * METER_RECORDS) records *= 2;
    return records;
  }

  /** The last tick of a recorded topic: every slot up to the last reading is judged. */
  sendLastTick(): void {
    const { endsAfterMs } = this.#options;
    const readingMaxMs = Math.max(...this.#tasks.map((t) => t.processor.state.readingMaxMs));
    if (readingMaxMs === -Infinity || this.#isEnded) return;
    const tick = encodeTick(Math.min(LATEST_MS, readingMaxMs + (endsAfterMs ?? 0)), true);
    this.#route(-1, tick, 0, tick.length);
  }

  /** Commits what is folded, once the commit before has ended. */
  async commit(): Promise<void> {
    await this.#pending;
    const { clock, rowsTotal } = this.#options;
    const lagRecords = rowsTotal === null ? null : Math.max(0, rowsTotal - this.#rowsRead);
    const commits = this.#tasks.flatMap((task) => task.takeCommit() ?? []);
    const durationMs = this.#commitDurationMs;
    for (const commit of commits) addGauges(commit, { lagRecords, durationMs });
    const startedAtMs = this.#committedAtMs = clock.nowMs();
    const commitAll = async () => {
      for (const commit of commits) await this.#store.commit(commit);
      this.#commitDurationMs = clock.nowMs() - startedAtMs;
    };
    this.#pending = commitAll();
    this.#pending.catch(() => {}); // awaited, and so reported, at the next commit or at the end
  }

  /** Waits for the commit under way. */
  async settle(): Promise<void> {
    await this.#pending;
  }

  /** Says how far it came. */
  report(): void {
    this.#report(null);
  }

  #route(partition: number, bytes: Uint8Array, start: number, end: number): void {
    if (partition < 0) {
      this.#isEnded = isFinalTick(bytes, end);
      for (let p = 0; p < this.#tasks.length; p++) this.#fold(p, bytes, start, end);
    } else if (this.#fold(partition, bytes, start, end)) this.#readingsFolded++;
  }

  #fold(partition: number, bytes: Uint8Array, start: number, end: number): boolean {
    const task = this.#tasks[partition];
    if (this.#offsets[partition]++ < task.nextOffset) return false;
    const record = this.#record;
    record.bytes = bytes;
    record.start = start;
    record.end = end;
    record.offset = task.nextOffset;
    task.fold(record);
    this.#recordsFolded++;
    return true;
  }

  /** Waits until the next reading is due; what was folded meanwhile becomes visible. */
  async #wait(): Promise<void> {
    const { clock, commitIntervalMs } = this.#options;
    await this.#pace.wait(this.#readingsFolded, async () => {
      if (clock.nowMs() - this.#committedAtMs < commitIntervalMs) return;
      await this.commit();
      this.#report(null);
    });
  }

  #report(eventTimeMs: number | null): void {
    this.#options.onProgress({
      rowsRead: this.#rowsRead,
      recordsFolded: this.#recordsFolded,
      readingsFolded: this.#readingsFolded,
      eventTimeMs: eventTimeMs ?? this.#tasks[0]?.processor.watermarkMs ?? null,
    });
  }
}
