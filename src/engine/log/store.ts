import { decodeTask } from "../../core/codec.ts";
import type {
  GroupOffset,
  LogAdmin,
  LogBatch,
  LogCommitter,
  LogReader,
  LogRecords,
  Membership,
} from "./ports.ts";
import { outputRecords, type Topics } from "./records.ts";
import type { Clock, Commit, CommitStore, Snapshot } from "../ports.ts";

/** What the store of one partition needs. */
export type LogStoreOptions = {
  readonly partition: number;
  readonly topics: Topics;
  readonly group: string;
  readonly membership: () => Membership | null;
  readonly committer: LogCommitter;
  readonly admin: LogAdmin;
  /** A reader of committed records with their keys; closed after the restore. */
  readonly openReader: () => LogReader;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onRestore: () => void;
};

const TASK_KEY = "task";
/** First part of a snapshot: what stands before it in the changelog is of no use any more. */
const SNAPSHOT_START_KEY = "snapshot-0";
const RESTORE_WAIT_MS = 500;
/** A payload beyond this is cut into records of it: brokers take 1 MB unless told otherwise. */
const RECORD_BYTES_MAX = 512 << 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Commits of one partition as transactions of a log: outputs, changed states and the next offset.
 *
 * The compacted changelog holds `task` (the partition's own state), `snapshot-k` (every meter, in
 * parts) and `change-n` (the meters changed since). Keys are used again after the next snapshot, so
 * compaction keeps about one snapshot and the changes since, and whatever older records it has not
 * removed yet stand before the latest `snapshot-0`, where the restore begins.
 */
export class LogStore implements CommitStore {
  readonly #options: LogStoreOptions;
  #changes = 0;

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** Takes the partition over, and reads what its last owner committed. */
  async load(partition: number): Promise<Snapshot | null> {
    const { committer, admin, topics, signal } = this.#options;
    signal.throwIfAborted();
    await committer.open();
    signal.throwIfAborted();
    const ref = { topic: topics.changelog, partition };
    const [{ offset: start }] = await admin.listOffsets([ref], "start");
    const [{ offset: end }] = await admin.listOffsets([ref], "committedEnd");
    let task: Uint8Array | null = null;
    let restoreFrom = start;
    this.#changes = 0;
    for await (const { key, value, offset } of this.#read(start, end)) {
      if (value === null) continue;
      if (key === TASK_KEY) task = value.slice();
      else if (key === SNAPSHOT_START_KEY) {
        restoreFrom = offset;
        this.#changes = 0;
      } else if (key.startsWith("change-") && !isContinuation(key)) this.#changes++;
    }
    if (task === null) return null;
    const { nextOffset } = decodeTask(task);
    return { nextOffset, task, changelog: this.#payloads(restoreFrom, end) };
  }

  /** @throws as `LogCommitter.commit` */
  async commit(commit: Commit): Promise<void> {
    const { topics, partition, group, membership, committer, clock } = this.#options;
    const nowMs = clock.nowMs();
    const groupOffset: GroupOffset = {
      topic: topics.raw,
      partition,
      group,
      nextOffset: commit.nextOffset,
      metadata: "",
      membership,
    };
    const records = outputRecords(commit.outputs, { topics, partition, nowMs });
    records.push(this.#changelogRecords(commit, nowMs));
    await committer.commit({ records, groupOffset });
  }

  #changelogRecords(commit: Commit, nowMs: number): LogRecords {
    if (commit.compacts) this.#changes = 0;
    const keys = [encoder.encode(TASK_KEY)];
    const values = [commit.task];
    commit.changelog.forEach((payload, part) => {
      const key = commit.compacts ? `snapshot-${part}` : `change-${this.#changes++}`;
      for (let at = 0, piece = 0; at < payload.length; at += RECORD_BYTES_MAX, piece++) {
        keys.push(encoder.encode(piece === 0 ? key : `${key}/${piece}`));
        values.push(payload.subarray(at, at + RECORD_BYTES_MAX));
      }
    });
    return {
      topic: this.#options.topics.changelog,
      partition: commit.partition,
      count: values.length,
      values: concatenate(values),
      valueEnds: endsOf(values),
      keys: concatenate(keys),
      keyEnds: endsOf(keys),
      timesMs: nowMs,
      origins: null,
    };
  }

  async *#payloads(start: number, end: number): AsyncGenerator<Uint8Array> {
    let pieces: Uint8Array[] = [];
    for await (const { key, value } of this.#read(start, end)) {
      if (value === null || key === TASK_KEY) continue;
      if (!isContinuation(key) && pieces.length > 0) {
        yield concatenate(pieces);
        pieces = [];
      }
      pieces.push(value);
    }
    if (pieces.length > 0) yield concatenate(pieces);
  }

  /** The committed records of the changelog from `start` up to the offset `end`. */
  async *#read(
    start: number,
    end: number,
  ): AsyncGenerator<{ key: string; value: Uint8Array | null; offset: number }> {
    if (start >= end) return;
    const { topics, partition, openReader, signal, onRestore } = this.#options;
    const reader = openReader();
    try {
      reader.assign({ topic: topics.changelog, partition, offset: start });
      for (let next = start; next < end;) {
        signal.throwIfAborted();
        const batch = await reader.next(RESTORE_WAIT_MS, signal);
        if (batch === null) continue;
        for (let r = 0; r < batch.count && batch.offsets[r] < end; r++) {
          yield { key: keyOf(batch, r), value: valueOf(batch, r), offset: batch.offsets[r] };
        }
        next = batch.nextOffset;
        onRestore();
      }
    } finally {
      await reader.close();
    }
  }
}

/** `change-7/1` goes on where `change-7` stops. */
function isContinuation(key: string): boolean {
  return key.includes("/");
}

function keyOf({ bytes, keys }: LogBatch, r: number): string {
  if (keys === null || keys.starts[r] < 0) return "";
  return decoder.decode(bytes.subarray(keys.starts[r], keys.ends[r]));
}

function valueOf({ bytes, values }: LogBatch, r: number): Uint8Array | null {
  return values.starts[r] < 0 ? null : bytes.subarray(values.starts[r], values.ends[r]);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function endsOf(parts: readonly Uint8Array[]): number[] {
  let end = 0;
  return parts.map((part) => end += part.length);
}
