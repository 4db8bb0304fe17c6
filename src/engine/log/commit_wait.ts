/** How a worker stands when the first record of a partition's next commit is folded. */
export type CommitLoad = {
  /** Partitions that it holds: each commits by itself. */
  readonly partitions: number;
  /** Records of the partition that wait to be read. */
  readonly lagRecords: number;
};

/** Limits of the time that records wait for their commit. */
export type CommitLimits = {
  readonly commitRecordsMax: number;
  readonly commitIntervalMs: number;
  /** While a partition is behind, or there are many of them. */
  readonly commitIntervalBehindMs: number;
};

/** A partition has one commit under way at a time: a slow broker makes this longer by itself. */
const WAIT_MS_MIN = 50;
/** 40 commits a second of all partitions together: a few percent of a core, here and on the broker. */
const PARTITION_MS = 25;

/**
 * How long records may wait for their commit: shorter while there is little to do, so that they are
 * visible soon, and longer where each commit would hold few of them.
 */
export function commitWaitMs(
  { partitions, lagRecords }: CommitLoad,
  { commitRecordsMax, commitIntervalMs, commitIntervalBehindMs }: CommitLimits,
): number {
  if (lagRecords > commitRecordsMax) return commitIntervalBehindMs;
  const sharedMs = partitions * PARTITION_MS;
  if (sharedMs > commitIntervalMs) return Math.min(sharedMs, commitIntervalBehindMs);
  return Math.min(Math.max(WAIT_MS_MIN, sharedMs), commitIntervalMs);
}
