import type { DatabaseSync } from "node:sqlite";
import type { PlainRow } from "./batch.ts";
import { type DigestBook, NONE } from "./digest_book.ts";
import { prepareCells } from "./library.ts";

const DAY_MS = 86_400_000;

/**
 * What ages, by the names that digests have. Gaps stay, as they do on PostgreSQL: a day whose gaps were
 * dropped would look complete. So do the sums of days and meters, and the metrics of single meters: one
 * that was retired years ago is not silent today.
 */
const AGEING = [
  "validated_readings",
  "late_readings",
  "late_events",
  "rejected_readings",
  "metrics",
] as const;

/** Rows before a day; each reads its table's index. Parameters: the day as text, the partition. */
const PLAIN_BEFORE = {
  late_readings: "late_readings WHERE time < ?1 AND source_partition = ?2",
  late_events: "late_events WHERE rtrim(time, 'Z') < ?1 AND source_partition = ?2",
  rejected_readings: "rejected_readings WHERE rtrim(time, 'Z') < ?1 AND source_partition = ?2",
  metrics: "metrics WHERE time < ?1 AND source_partition = ?2 AND meter_id IS NULL",
} as const;

const OF_DIGESTS = `table_name IN (${AGEING.map((name) => `'${name}'`).join(", ")})
  AND source_partition = ? AND day < ? AND (table_name <> 'metrics' OR day <> ${NONE})`;

/**
 * Drops whole days (UTC) that lie more than `days` before the watermark of their partition, within the
 * transaction that is open: the oldest first, up to about `rowsMax` rows but one day at least. 0 drops
 * no further day; but one that was dropped stays so, and what came for it since goes, too: only then
 * do its sums have a digest that is right.
 *
 * Returns whether there may be more to drop.
 */
export function dropOldDays(
  database: DatabaseSync,
  digests: DigestBook,
  { partition, days, rowsMax }: {
    readonly partition: number;
    readonly days: number;
    readonly rowsMax: number;
  },
): boolean {
  const wanted = firstDayKept(database, partition, days);
  if (wanted === null) return false;
  const beforeDay = endOfRows(database, partition, { beforeDay: wanted, rowsMax });
  if (beforeDay === null) return false;
  const due = countDue(database, partition, beforeDay);
  digests.begin();
  digestSums(database, digests, partition, beforeDay);
  const repeated = countRepeated(database, partition, beforeDay);
  database.prepare("DELETE FROM reading_days WHERE day < ? AND source_partition = ?")
    .run(beforeDay, partition);
  for (const rows of Object.values(PLAIN_BEFORE)) {
    database.prepare(`DELETE FROM ${rows}`).run(textOf(beforeDay), partition);
  }
  database.prepare(`DELETE FROM digests WHERE ${OF_DIGESTS}`).run(partition, beforeDay);
  const of = (table: typeof AGEING[number]) => due.get(table) ?? 0;
  const late = of("late_readings");
  const counts = [
    of("validated_readings") - late,
    late,
    of("late_events"),
    repeated,
    of("rejected_readings") - repeated,
    of("metrics"),
  ];
  addDropped(database, digests, [partition, beforeDay, ...counts]);
  digests.save();
  return beforeDay < wanted;
}

/** Days before this are to have no rows; null: none is to be dropped. */
export function firstDayKept(
  database: DatabaseSync,
  partition: number,
  days: number,
): number | null {
  const row = database.prepare(
    `SELECT p.watermark, d.before_day FROM positions p LEFT JOIN dropped d USING (partition)
     WHERE partition = ?`,
  ).get(partition);
  if (row === undefined) return null;
  const before = row.before_day === null ? -Infinity : Number(row.before_day);
  const wanted = days === 0 || row.watermark === null
    ? -Infinity
    : Math.floor(Date.parse(String(row.watermark)) / DAY_MS) - days;
  const first = Math.max(before, wanted);
  return first === -Infinity ? null : first;
}

/** The day before which about so many rows are to be dropped, one day's at least; null: there is none. */
function endOfRows(
  database: DatabaseSync,
  partition: number,
  { beforeDay, rowsMax }: { readonly beforeDay: number; readonly rowsMax: number },
): number | null {
  const days = database.prepare(
    `SELECT day, sum(rows) AS rows FROM digests WHERE ${OF_DIGESTS} GROUP BY day ORDER BY day`,
  ).all(partition, beforeDay);
  if (days.length === 0) return null;
  let sum = 0;
  for (const { day, rows } of days) {
    sum += Number(rows);
    if (sum >= rowsMax) return Number(day) + 1;
  }
  return beforeDay;
}

/** The rows to be dropped, by table. */
function countDue(
  database: DatabaseSync,
  partition: number,
  beforeDay: number,
): Map<string, number> {
  const rows = database.prepare(
    `SELECT table_name, sum(rows) AS rows FROM digests WHERE ${OF_DIGESTS} GROUP BY table_name`,
  ).all(partition, beforeDay);
  return new Map(rows.map((row) => [String(row.table_name), Number(row.rows)]));
}

/** Sums that have no readings any more are held against a digest of their own. */
function digestSums(
  database: DatabaseSync,
  digests: DigestBook,
  partition: number,
  beforeDay: number,
): void {
  const days = prepareCells(
    database,
    `SELECT day FROM digests WHERE table_name = 'validated_readings' AND source_partition = ?
       AND day < ?`,
  ).all(partition, beforeDay) as unknown as number[][];
  const sums = prepareCells(
    database,
    "SELECT * FROM meter_days WHERE day = ? AND source_partition = ?",
  );
  for (const [day] of days) {
    const rows = sums.all(day, partition) as unknown as PlainRow[];
    digests.set({ table: "meter_days", partition, day }, rows);
  }
}

/** How many of the rejected readings to be dropped have the disposition `duplicate`. */
function countRepeated(database: DatabaseSync, partition: number, beforeDay: number): number {
  const row = database.prepare(
    `SELECT count(*) AS n FROM ${PLAIN_BEFORE.rejected_readings}
       AND reason IN ('DUPLICATE', 'CONFLICT')`,
  ).get(textOf(beforeDay), partition);
  return Number(row?.n);
}

function addDropped(database: DatabaseSync, digests: DigestBook, counts: number[]): void {
  const row = prepareCells(
    database,
    `INSERT INTO dropped VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET before_day = excluded.before_day, ok = ok + excluded.ok,
       late = late + excluded.late, too_late = too_late + excluded.too_late,
       duplicate = duplicate + excluded.duplicate, rejected = rejected + excluded.rejected,
       metrics = metrics + excluded.metrics
     RETURNING *`,
  ).get(...counts) as unknown as PlainRow;
  digests.set({ table: "dropped", partition: counts[0] }, [row]);
}

function textOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
