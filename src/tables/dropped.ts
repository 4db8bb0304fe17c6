import type { Query } from "./query.ts";
import { toNumber } from "./values.ts";

/** What retention has dropped from an embedded store, all partitions together: rows by their kind. */
export type Dropped = {
  /** The first day (UTC) of which nothing was dropped; of several partitions the last of theirs. */
  readonly before: string;
  /** Accepted readings, the late ones among them. */
  readonly readings: number;
  readonly too_late: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly metrics: number;
};

/** What retention has dropped; null: nothing. Of the embedded store alone. */
export async function readDropped(query: Query): Promise<Dropped | null> {
  const [row] = await query(
    `SELECT strftime('%Y-%m-%d', max(before_day) * 86400, 'unixepoch') AS before,
       sum(ok + late) AS readings, sum(too_late) AS too_late, sum(duplicate) AS duplicate,
       sum(rejected) AS rejected, sum(metrics) AS metrics
     FROM dropped`,
  );
  if (row?.before === null || row === undefined) return null;
  const { before, ...counts } = row;
  const numbers = Object.entries(counts).map(([name, count]) => [name, toNumber(count)]);
  return { before: String(before), ...Object.fromEntries(numbers) };
}
