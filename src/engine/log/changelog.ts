import { decodeAccount } from "../../core/codec.ts";
import type { TaskAccount } from "../../core/task_state.ts";
import type { Commit } from "../ports.ts";
import type { LogBatch, LogRecords } from "./ports.ts";

/**
 * The compacted changelog of a partition: what its keys mean, and how its records are written and
 * read. Nobody else knows the keys.
 *
 *   task          the partition's own state, written with every commit
 *   mark          what that commit says of its logs and of the state (`mark.ts`), as text
 *   settings      what readings are judged by, name by name, as JSON: written with a partition's
 *                 first commit, with one that follows others' settings, and with every snapshot
 *   snapshot-k    part k of a snapshot, which holds every meter
 *   change-n      the meters changed by one commit; n counts from the latest snapshot
 *   KEY/p         piece p of a payload that is too large for one record; piece 0 has the bare key
 *
 * Keys are used again after the next snapshot, so compaction keeps about one snapshot and the
 * changes since. Older records that it has not removed yet stand before the latest `snapshot-0`,
 * where a restore begins.
 */
const TASK_KEY = "task";
const MARK_KEY = "mark";
const SETTINGS_KEY = "settings";
const SNAPSHOT_PREFIX = "snapshot-";
const CHANGE_PREFIX = "change-";
const SNAPSHOT_START_KEY = `${SNAPSHOT_PREFIX}0`;
const PIECE_MARK = "/";
/** A payload beyond this is cut into records of it: brokers take 1 MB unless told otherwise. */
const RECORD_BYTES_MAX = 512 << 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * What a record of the changelog holds: the task, the mark, the settings, the first part of a
 * snapshot, another part, the first piece of a change, or the next piece of the payload before it.
 */
export type ChangelogKind =
  | "task"
  | "mark"
  | "settings"
  | "snapshot"
  | "part"
  | "change"
  | "piece";

export type ChangelogRecord = {
  /** null: no key that this version knows. */
  readonly kind: ChangelogKind | null;
  /** Lies in the batch's bytes. */
  readonly value: Uint8Array;
  readonly offset: number;
};

/** What the changelog has of a commit besides its state and its task. */
export type ChangelogCommit = {
  readonly topic: string;
  /** Changes that stand in the changelog since its last snapshot. */
  readonly changes: number;
  readonly mark: string;
  /** Null: they stand in the changelog already. */
  readonly settings: string | null;
  readonly nowMs: number;
};

/** How many records the changelog gets of a commit's state. */
export function stateRecordsOf({ changelog }: Commit): number {
  return changelog.reduce((sum, { length }) => sum + Math.ceil(length / RECORD_BYTES_MAX), 0);
}

/** The records of one commit, in runs: a snapshot is large, and nothing of it is copied. */
export function changelogRecords(commit: Commit, options: ChangelogCommit): LogRecords[] {
  const { mark, settings, changes } = options;
  const own: Entry[] = [[TASK_KEY, commit.task], [MARK_KEY, encoder.encode(mark)]];
  if (settings !== null) own.push([SETTINGS_KEY, encoder.encode(settings)]);
  const states = commit.changelog.map((payload, n) =>
    piecesOf(payload, commit.compacts ? SNAPSHOT_PREFIX + n : CHANGE_PREFIX + (changes + n))
  );
  const runs = commit.compacts ? [own, ...states] : [[...own, ...states.flat()]];
  return runs.map((entries) => toRecords(entries, commit.partition, options));
}

type Entry = readonly [key: string, value: Uint8Array];

function piecesOf(payload: Uint8Array, key: string): Entry[] {
  const pieces: Entry[] = [];
  for (let at = 0, piece = 0; at < payload.length; at += RECORD_BYTES_MAX, piece++) {
    const name = piece === 0 ? key : key + PIECE_MARK + piece;
    pieces.push([name, payload.subarray(at, at + RECORD_BYTES_MAX)]);
  }
  return pieces;
}

function toRecords(
  entries: readonly Entry[],
  partition: number,
  { topic, nowMs }: Pick<ChangelogCommit, "topic" | "nowMs">,
): LogRecords {
  const keys = entries.map(([key]) => encoder.encode(key));
  const values = entries.map(([, value]) => value);
  return {
    topic,
    partition,
    count: entries.length,
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
  if (key === MARK_KEY) return "mark";
  if (key === SETTINGS_KEY) return "settings";
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
