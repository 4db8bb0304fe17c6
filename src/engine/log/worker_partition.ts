import type { Ledger } from "../../core/ledger.ts";
import type { Task } from "../task.ts";
import { type HeldPartition, type Standing, standingOf } from "./holdings.ts";
import type { LogBatch, LogCommitter, LogEnds } from "./ports.ts";
import type { LogStore } from "./store.ts";

/** How a partition stands, for health and metrics. */
export type PartitionStatus = Standing & {
  readonly partition: number;
  readonly nextOffset: number;
  /** Everything before it is committed, and what stands between records. */
  readonly committedOffset: number;
  /** As the log said last; null: it has not. */
  readonly ends: LogEnds | null;
  /** From the last commit to the log's end, records of open transactions among them. */
  readonly lagRecords: number;
  readonly watermarkMs: number | null;
  readonly meters: number;
  /** Meters that began here though another partition of this process has them, since it started. */
  readonly sharedMeters: number;
  readonly commitDurationMs: number | null;
  readonly ledger: Readonly<Ledger> | null;
};

/** What a worker keeps of a partition. */
export type WorkerPartition = HeldPartition & {
  readonly committer: LogCommitter;
  /** null while the partition does not run, and so its store. */
  task: Task | null;
  store: LogStore | null;
  foldedRecords: number;
  commitDueAtMs: number;
  commitDurationMs: number | null;
  lagRecords: number;
  /** When the gauges were last told, and with what lag. */
  gauged: { readonly atMs: number; readonly lagRecords: number } | null;
  /** Everything up to here is read: records, and what stands between them. */
  readOffset: number;
  /** A batch of which record `next` is folded in part: the rest waits for a commit. */
  rest: { readonly batch: LogBatch; readonly next: number } | null;
  sharedMeters: number;
  /** Everything up to here is committed. */
  committedOffset: number;
  lastRecordAtMs: number;
  lastRecordTimeMs: number;
  /** No tick before this. */
  tickDueAtMs: number;
};

/** A partition of which a worker has done nothing yet. */
export function beginPartition(held: HeldPartition, committer: LogCommitter): WorkerPartition {
  return {
    ...held,
    committer,
    task: null,
    store: null,
    foldedRecords: 0,
    commitDueAtMs: Infinity,
    commitDurationMs: null,
    lagRecords: 0,
    gauged: null,
    readOffset: 0,
    rest: null,
    sharedMeters: 0,
    committedOffset: 0,
    lastRecordAtMs: held.lastProgressAtMs,
    lastRecordTimeMs: NaN,
    tickDueAtMs: -Infinity,
  };
}

/** How a partition stands beside the log's ends, as far as they are known. */
export function statusOf(held: WorkerPartition, ends: LogEnds | null): PartitionStatus {
  return {
    ...standingOf(held),
    partition: held.partition,
    nextOffset: held.task?.nextOffset ?? 0,
    committedOffset: held.committedOffset,
    ends,
    lagRecords: uncommitted(held, ends),
    watermarkMs: held.task?.processor.watermarkMs ?? null,
    meters: held.task?.processor.meters.count ?? 0,
    sharedMeters: held.sharedMeters,
    commitDurationMs: held.commitDurationMs,
    ledger: held.task?.processor.state.ledger ?? null,
  };
}

/** Records that the log has and no commit, those of open transactions among them. */
export function uncommitted(
  { committedOffset, readOffset }: WorkerPartition,
  ends: LogEnds | null,
): number {
  return Math.max(0, (ends?.logEndOffset ?? readOffset) - committedOffset);
}
