import { decodeAccount } from "../../core/codec.ts";
import type { TaskAccount } from "../../core/task_state.ts";
import type { Commit } from "../ports.ts";
import type { LogBatch, LogRecords } from "./ports.ts";

/**
 * The compacted changelog of a partition: what its keys mean, and how its records are written and
 * read. Nobody else knows the keys.
 *
 *   task          the partition's own state, written with every commit
 *   snapshot-k    part k of a snapshot, which holds every meter
 *   change-n      the meters changed by one commit; n counts from the latest snapshot
 *   KEY/p         piece p of a payload that is too large for one record; piece 0 has the bare key
 *
 * Keys are used again after the next snapshot, so compaction keeps about one snapshot and the
 * changes since. Older records that it has not removed yet stand before the latest `snapshot-0`,
 * where a restore begins.
 */
const TASK_KEY = "task";
const SNAPSHOT_PREFIX = "snapshot-";
const CHANGE_PREFIX = "change-";
const SNAPSHOT_START_KEY = `${SNAPSHOT_PREFIX}0`;
const PIECE_MARK = "/";
/** A payload beyond this is cut into records of it: brokers take 1 MB unless told otherwise. */
const RECORD_BYTES_MAX = 512 << 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * What a record of the changelog holds: the task, the first part of a snapshot, another part, the
 * first piece of a change, or the next piece of the payload before it.
 */
export type ChangelogKind = "task" | "snapshot" | "part" | "change" | "piece";

export type ChangelogRecord = {
  /** null: no key that this version knows. */
  readonly kind: ChangelogKind | null;
  /** Lies in the batch's bytes. */
  readonly value: Uint8Array;
  readonly offset: number;
};

/** The records of one commit. `changes` of them stand in the changelog since its last snapshot. */
export function changelogRecords(
  commit: Commit,
  { topic, changes, nowMs }: { topic: string; changes: number; nowMs: number },
): LogRecords {
  const keys = [encoder.encode(TASK_KEY)];
  const values = [commit.task];
  commit.changelog.forEach((payload, n) => {
    const key = commit.compacts ? SNAPSHOT_PREFIX + n : CHANGE_PREFIX + (changes + n);
    for (let at = 0, piece = 0; at < payload.length; at += RECORD_BYTES_MAX, piece++) {
      keys.push(encoder.encode(piece === 0 ? key : key + PIECE_MARK + piece));
      values.push(payload.subarray(at, at + RECORD_BYTES_MAX));
    }
  });
  return {
    topic,
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

/** The records that a batch of the changelog holds; tombstones are passed over. */
export function* readChangelog(batch: LogBatch): Generator<ChangelogRecord> {
  const { bytes, keys, values, offsets } = batch;
  for (let r = 0; r < batch.count; r++) {
    if (values.starts[r] < 0) continue;
    const hasKey = keys !== null && keys.starts[r] >= 0;
    const key = hasKey ? decoder.decode(bytes.subarray(keys.starts[r], keys.ends[r])) : "";
    const value = bytes.subarray(values.starts[r], values.ends[r]);
    yield { kind: kindOf(key), value, offset: offsets[r] };
  }
}

/** The accounts of its partition that a batch of the changelog holds, and where they stand in it. */
export function readAccounts(batch: LogBatch): { account: TaskAccount; offset: number }[] {
  const found: { account: TaskAccount; offset: number }[] = [];
  for (const { kind, value, offset } of readChangelog(batch)) {
    if (kind === "task") found.push({ account: decodeAccount(value), offset });
  }
  return found;
}

function kindOf(key: string): ChangelogKind | null {
  if (key === TASK_KEY) return "task";
  const isSnapshot = key.startsWith(SNAPSHOT_PREFIX);
  if (!isSnapshot && !key.startsWith(CHANGE_PREFIX)) return null;
  if (key.includes(PIECE_MARK)) return "piece";
  if (!isSnapshot) return "change";
  return key === SNAPSHOT_START_KEY ? "snapshot" : "part";
}

/** Byte strings one after the other; one alone is given back as it is. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
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
