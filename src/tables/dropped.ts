import { dayText } from "./finding.ts";
import type { Query } from "./query.ts";
import { toNumber } from "./values.ts";

/** What retention has dropped, all partitions together: rows by their kind. */
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

/** What retention has dropped of the rows that the ledger counts; null: nothing. */
export async function readDropped(query: Query): Promise<Dropped | null> {
  const [row] = await query(
    `SELECT max(before_day) AS before_day, sum(ok + late) AS readings, sum(too_late) AS too_late,
       sum(duplicate) AS duplicate, sum(rejected) AS rejected, sum(metrics) AS metrics
     FROM dropped`,
  );
  if (row === undefined || row.before_day === null) return null;
  return {
    before: dayText(toNumber(row.before_day)),
    readings: toNumber(row.readings),
    too_late: toNumber(row.too_late),
    duplicate: toNumber(row.duplicate),
    rejected: toNumber(row.rejected),
    metrics: toNumber(row.metrics),
  };
}
