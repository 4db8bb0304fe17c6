/** How a worker stands when the first record of a partition's next commit is folded. */
export type CommitLoad = {
  /** Partitions that it holds: each commits by itself. */
  readonly partitions: number;
  /** Records of the partition that wait to be read. */
  readonly lagRecords: number;
  /** How long the partition's last commit took; null: there was none. */
  readonly commitDurationMs: number | null;
};

/** Limits of the time that records wait for their commit. */
export type CommitLimits = {
  readonly commitRecordsMax: number;
  readonly commitIntervalMs: number;
  /** While a partition is behind, or there are many of them. */
  readonly commitIntervalBehindMs: number;
};

const WAIT_MS_MIN = 100;
/** 40 commits a second of all partitions together: a few percent of a core, here and on the broker. */
const PARTITION_MS = 25;
/** Committing takes a third of a partition's time at most. */
const DURATIONS = 2;

/**
 * How long records may wait for their commit: shorter while there is little to do, so that they are
 * visible soon, and longer where each commit would hold few of them.
 */
export function commitWaitMs(
  { partitions, lagRecords, commitDurationMs }: CommitLoad,
  { commitRecordsMax, commitIntervalMs, commitIntervalBehindMs }: CommitLimits,
): number {
  if (lagRecords > commitRecordsMax) return commitIntervalBehindMs;
  const sharedMs = partitions * PARTITION_MS;
  if (sharedMs > commitIntervalMs) return Math.min(sharedMs, commitIntervalBehindMs);
  const waitMs = Math.max(WAIT_MS_MIN, sharedMs, (commitDurationMs ?? 0) * DURATIONS);
  return Math.min(waitMs, commitIntervalMs);
}
