import { OWN_METER_START, ownMeterEnd } from "../../core/wire/raw_record.ts";
import type { LogAdmin, LogCommitter, LogRecords } from "./ports.ts";
import { Pace } from "../pace.ts";
import type { Clock, RecordChunk } from "../ports.ts";

export type LogPlayerOptions = {
  readonly topic: string;
  readonly partitions: number;
  /** A group of this replay's own. It keeps how far the replay is, and that it is finished. */
  readonly group: string;
  readonly admin: LogAdmin;
  readonly committer: (partition: number) => LogCommitter;
  /** Records held before they are committed, all partitions together. */
  readonly batchRecordsMax: number;
  /** When the replay began, for the first time: the clock that its records carry. */
  readonly replayStartMs: number;
  /** Kept with each commit, for the process that goes on: `storedReplay` finds it. */
  readonly note: string;
  readonly commitIntervalMs: number;
  readonly ratePerSecond: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (rowsRead: number, eventTimeMs: number | null) => void;
};

export type LogPlayed = {
  readonly isFinished: boolean;
  /** Records that were in the log already when this run began. */
  readonly resumedAfter: number;
  readonly sent: number;
};

const FINISHED = "finished ";

/**
 * Plays records into the raw topic. A commit is a transaction of its partition, with the number of
 * this replay's records that the partition then has: whoever plays the same records again, after a
 * kill at any moment, goes on behind exactly those. No gap, no double; of two that play at the same
 * time the later takes over and the other is fenced.
 */
export async function playIntoLog(
  chunks: AsyncIterable<RecordChunk>,
  options: LogPlayerOptions,
): Promise<LogPlayed> {
  const { topic, partitions, group, admin } = options;
  const player = new LogPlayer(options);
  try {
    await player.open();
    const refs = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const stored = await admin.groupOffsets(group, refs);
    if (stored.every(({ metadata }) => metadata.startsWith(FINISHED))) {
      const resumedAfter = stored.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
      return { isFinished: true, resumedAfter, sent: 0 };
    }
    player.skip(stored.map(({ nextOffset }) => Math.max(0, nextOffset)));
    return await player.play(chunks);
  } finally {
    await player.close();
  }
}

/** What a group keeps of its replay, besides how far it is. */
export type StoredReplay = {
  readonly note: string;
  readonly isFinished: boolean;
};

/** What a replay's group keeps of it; null: the replay has not begun. */
export async function storedReplay(
  { topic, partitions, group, admin }: Pick<
    LogPlayerOptions,
    "topic" | "partitions" | "group" | "admin"
  >,
): Promise<StoredReplay | null> {
  const refs = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  const stored = await admin.groupOffsets(group, refs);
  const begun = stored.find(({ nextOffset }) => nextOffset >= 0);
  if (begun === undefined) return null;
  const isFinished = stored.every(({ metadata }) => metadata.startsWith(FINISHED));
  return { note: begun.metadata.replace(FINISHED, ""), isFinished };
}

class LogPlayer {
  readonly #options: LogPlayerOptions;
  readonly #committers: readonly LogCommitter[];
  readonly #buffers: readonly RecordBuffer[];
  /** How many records of this replay each partition has, and how many of them have been passed. */
  #done: number[];
  readonly #seen: number[];
  #held = 0;
  #sent = 0;
  /** How many of the records sent are readings; the others are ticks. */
  #readings = 0;
  #resumedAfter = 0;
  #rowsRead = 0;
  #pending: Promise<void> = Promise.resolve();
  readonly #pace: Pace;
  #committedAtMs: number;

  constructor(options: LogPlayerOptions) {
    this.#options = options;
    const count = { length: options.partitions };
    this.#committers = Array.from(count, (_, partition) => options.committer(partition));
    this.#buffers = Array.from(count, () => new RecordBuffer());
    this.#done = Array.from(count, () => 0);
    this.#seen = Array.from(count, () => 0);
    this.#pace = new Pace(options);
    this.#committedAtMs = options.clock.nowMs();
  }

  /** Takes the replay over from the process that was at it. */
  async open(): Promise<void> {
    await Promise.all(this.#committers.map((committer) => committer.open()));
  }

  skip(done: number[]): void {
    this.#done = done;
    this.#resumedAfter = done.reduce((sum, count) => sum + count, 0);
  }

  async play(chunks: AsyncIterable<RecordChunk>): Promise<LogPlayed> {
    const { signal } = this.#options;
    try {
      for await (const chunk of chunks) {
        await this.#add(chunk);
        if (signal.aborted) break;
      }
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error; // else the source has stopped
    }
    const isFinished = !signal.aborted;
    await this.#commit({ isFinal: isFinished });
    await this.#pending;
    return { isFinished, resumedAfter: this.#resumedAfter, sent: this.#sent };
  }

  async close(): Promise<void> {
    await this.#pending.catch(() => {}); // the caller that waited for it has reported it
    await Promise.all(this.#committers.map((committer) => committer.close()));
  }

  async #add(chunk: RecordChunk): Promise<void> {
    const { batchRecordsMax, signal, onProgress } = this.#options;
    let start = 0;
    for (let r = 0; r < chunk.count; r++) {
      if (this.#pace.isAhead(this.#readings)) await this.#wait();
      if (signal.aborted) return;
      const end = chunk.ends[r];
      this.#route(chunk.partitions[r], chunk.bytes, start, end);
      start = end;
      if (this.#held >= batchRecordsMax) await this.#commit();
    }
    this.#rowsRead += chunk.rowsRead;
    onProgress(this.#rowsRead, Number.isNaN(chunk.lastEventTimeMs) ? null : chunk.lastEventTimeMs);
  }

  #route(partition: number, bytes: Uint8Array, start: number, end: number): void {
    if (partition < 0) {
      for (let p = 0; p < this.#buffers.length; p++) this.#hold(p, bytes, start, end);
    } else if (this.#hold(partition, bytes, start, end)) this.#readings++;
  }

  #hold(partition: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#seen[partition]++ < this.#done[partition]) return false;
    this.#buffers[partition].add(bytes, start, end);
    this.#held++;
    this.#sent++;
    return true;
  }

  async #commit({ isFinal = false } = {}): Promise<void> {
    await this.#pending;
    const { topic, group, clock, note, replayStartMs } = this.#options;
    const metadata = isFinal ? FINISHED + note : note;
    const nowMs = this.#committedAtMs = clock.nowMs();
    this.#held = 0;
    const commits = this.#buffers.map((buffer, partition) => {
      const nextOffset = this.#seen[partition];
      if (buffer.count === 0 && !isFinal) return Promise.resolve();
      const records = buffer.count === 0
        ? []
        : [{ ...buffer.take({ topic, partition, nowMs }), replayStartMs }];
      const groupOffset = { topic, partition, group, nextOffset, metadata };
      return this.#committers[partition].commit({ records, groupOffset });
    });
    this.#pending = Promise.all(commits).then(() => {});
    this.#pending.catch(() => {}); // awaited, and so reported, before the next commit
  }

  /** Waits until the next reading is due; what is held meanwhile is sent in time. */
  async #wait(): Promise<void> {
    const { clock, commitIntervalMs } = this.#options;
    await this.#pace.wait(this.#readings, async () => {
      if (this.#held === 0 || clock.nowMs() - this.#committedAtMs < commitIntervalMs) return;
      await this.#commit();
    });
  }
}

/** Records waiting for the next commit of a partition, keyed by their meter. */
class RecordBuffer {
  #values = new Uint8Array(1 << 16);
  #valuesLength = 0;
  #valueEnds: number[] = [];
  #keys = new Uint8Array(1 << 14);
  #keysLength = 0;
  #keyEnds: number[] = [];

  get count(): number {
    return this.#valueEnds.length;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    this.#values = withRoom(this.#values, this.#valuesLength, end - start);
    this.#values.set(bytes.subarray(start, end), this.#valuesLength);
    this.#valuesLength += end - start;
    this.#valueEnds.push(this.#valuesLength);
    const keyEnd = ownMeterEnd(bytes, start, end);
    if (keyEnd > 0) {
      const keyStart = start + OWN_METER_START;
      this.#keys = withRoom(this.#keys, this.#keysLength, keyEnd - keyStart);
      this.#keys.set(bytes.subarray(keyStart, keyEnd), this.#keysLength);
      this.#keysLength += keyEnd - keyStart;
    }
    this.#keyEnds.push(this.#keysLength);
  }

  take({ topic, partition, nowMs }: {
    topic: string;
    partition: number;
    nowMs: number;
  }): LogRecords {
    const records: LogRecords = {
      topic,
      partition,
      count: this.count,
      values: this.#values.subarray(0, this.#valuesLength),
      valueEnds: this.#valueEnds,
      keys: this.#keys.subarray(0, this.#keysLength),
      keyEnds: this.#keyEnds,
      timesMs: nowMs,
      origins: null,
    };
    this.#values = new Uint8Array(this.#values.length);
    this.#keys = new Uint8Array(this.#keys.length);
    this.#valuesLength = this.#keysLength = 0;
    this.#valueEnds = [];
    this.#keyEnds = [];
    return records;
  }
}

function withRoom(
  bytes: Uint8Array<ArrayBuffer>,
  used: number,
  more: number,
): Uint8Array<ArrayBuffer> {
  if (used + more <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(bytes.length * 2, used + more));
  larger.set(bytes.subarray(0, used));
  return larger;
}
