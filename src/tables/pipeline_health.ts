import type { Query } from "./query.ts";

/** How the raw records of a partition get into the tables, as a sink last saw it. */
export type PartitionHealth = {
  readonly partition: number;
  readonly endOffset: number;
  /** Records from here on stand behind an open transaction, where that is before the end. */
  readonly stableOffset: number;
  readonly nextOffset: number;
  /** Raw records that are not in the tables. */
  readonly waitingRecords: number;
  /** The sink's lag: messages of the output topics that it has not written. */
  readonly unwrittenMessages: number;
  /** Since when, in seconds, they wait without any progress. */
  readonly stillSeconds: number;
  /** How long ago, in seconds, a sink looked. */
  readonly unseenSeconds: number;
};

/** Reads how each partition stands; none: no sink has written into this database. */
export async function readPipelineHealth(query: Query): Promise<PartitionHealth[]> {
  const rows = await query("SELECT * FROM pipeline_health ORDER BY partition");
  return rows.map((row) => ({
    partition: Number(row.partition),
    endOffset: Number(row.end_offset),
    stableOffset: Number(row.stable_offset),
    nextOffset: Number(row.next_offset),
    waitingRecords: Number(row.waiting),
    unwrittenMessages: Number(row.unwritten),
    stillSeconds: Number(row.still_seconds),
    unseenSeconds: Number(row.unseen_seconds),
  }));
}

/**
 * What keeps readings from the tables, a line each; empty: nothing. That nothing moves is no trouble
 * while nothing waits; that nobody looks is one, as then nobody writes either.
 */
export function pipelineProblems(
  partitions: readonly PartitionHealth[],
  { stalledSeconds }: { readonly stalledSeconds: number },
): string[] {
  const unseen = partitions.filter(({ unseenSeconds }) => unseenSeconds >= stalledSeconds);
  if (unseen.length > 0) {
    const seconds = Math.floor(Math.min(...unseen.map(({ unseenSeconds }) => unseenSeconds)));
    const named = unseen.map(({ partition }) => partition).join(", ");
    const known = partitions.length === unseen.length ? "" : ` of partition ${named}`;
    return [
      `no sink has seen the raw topic${known} for ${seconds} s: the sink has ended, or does not ` +
      "reach Kafka or the database",
    ];
  }
  return partitions.filter(({ stillSeconds }) => stillSeconds >= stalledSeconds).map((one) => {
    const { partition, waitingRecords, stillSeconds, stableOffset, endOffset } = one;
    const open = stableOffset < endOffset
      ? `: a transaction is open at offset ${stableOffset}`
      : "";
    return `partition ${partition}: ${waitingRecords} records wait, and none has come into the ` +
      `tables for ${Math.floor(stillSeconds)} s${open}`;
  });
}
