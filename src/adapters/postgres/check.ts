import { emptyDigest, sameDigest } from "../../tables/digest.ts";
import { dayText, differenceOf, type Finding, findingOf } from "../../tables/finding.ts";
import {
  type DigestedTable,
  type DigestKey,
  LAYOUTS,
  type MarkedDigest,
  NONE,
  RUN_TABLES,
  TableDigests,
} from "../../tables/table_digests.ts";
import type { Transaction } from "./database.ts";
import { readDigestedFrom } from "./digest_book.ts";

type Reading = Pick<Transaction, "query" | "copyOut">;

/** Rows that were in the database before it kept digests: counted, and neither right nor wrong. */
export type Undigested = {
  readonly table: string;
  readonly partition: number | null;
  readonly rows: number;
  /** They came from raw records before this one; null: all rows of that partition are meant. */
  readonly before_offset: number | null;
};

/** What a check of the rows came to. */
export type RowsChecked = {
  readonly findings: readonly Finding[];
  readonly undigested: readonly Undigested[];
  /** Since when digests are kept, where something is undigested. */
  readonly digestedSince: string | null;
};

/** How many meters' days that are wrong are named; the others of a day are counted. */
const SUMS_FOUND_MAX = 1000;

/**
 * Proves that the tables hold what was written into them, in the transaction that is open, which is to
 * look at one moment:
 *
 * - every row of every table against the digests that were kept as it was written
 * - the sums of meters' days against the readings
 * - the raw records against the rows: none has two
 *
 * Days that retention drops are no finding, nor are rows from before the digests. That the rows are
 * those that the ledger counts is for `readBalance` to say. Memory: a digest for each table,
 * partition and day, and a bit for each raw record.
 */
export async function checkRows(tx: Reading): Promise<RowsChecked> {
  const undigested = await readUndigested(tx);
  const isUndigested = new Set(
    undigested.filter(({ before_offset: before }) => before === null)
      .map(({ table, partition }) => `${table} ${partition ?? NONE}`),
  );
  const kept = await readDigests(tx);
  const digests = await digestRows(tx);
  const found = new Map(
    [...digests.entries()].map(([key, digest]) => [nameOf(key), { key, digest }]),
  );
  const dropped = await readDroppedDays(tx);
  const droppedNames = new Set(dropped.map(nameOf));
  const findings: Finding[] = [];
  for (const key of keysOf(kept, found)) {
    const written = kept.get(nameOf(key))?.digest ?? emptyDigest();
    const there = found.get(nameOf(key))?.digest ?? emptyDigest();
    if (sameDigest(written, there)) continue;
    // What was there before and is one row a partition is digested once it is written again.
    const isKept = LAYOUTS[key.table]?.isSingle && kept.has(nameOf(key));
    if (isUndigested.has(`${key.table} ${key.partition}`) && !isKept) continue;
    if (droppedNames.has(nameOf(key)) && there.rows < written.rows) continue;
    findings.push(findingOf(differenceOf(written, there), placeOf(key)));
  }
  const daysDropped = dropped.filter(({ table }) => table === "validated_readings");
  for (const [partition, { shared }] of digests.claims ?? []) {
    if (shared > 0) findings.push(claimedTwice(partition, shared));
  }
  findings.push(...await checkSums(tx, daysDropped), ...await checkDroppedSums(tx, daysDropped));
  const left = undigested.filter(({ table, partition }) =>
    !LAYOUTS[table as DigestedTable]?.isSingle ||
    !kept.has(nameOf({ table: table as DigestedTable, partition: partition ?? NONE, day: NONE }))
  );
  return { findings, undigested: left, digestedSince: await readSince(tx, left) };
}

type KeyedDigest = { readonly key: DigestKey; readonly digest: MarkedDigest };

function nameOf({ table, partition, day }: DigestKey): string {
  return `${table} ${partition} ${day}`;
}

function placeOf({ table, partition, day }: DigestKey): Partial<Omit<Finding, "what">> {
  return {
    table,
    partition: partition === NONE ? null : partition,
    day: day === NONE ? null : dayText(day),
  };
}

/** Both sides' keys, by table, partition and day. */
function keysOf(...sides: readonly Map<string, KeyedDigest>[]): DigestKey[] {
  const keys = new Map(sides.flatMap((side) => [...side].map(([name, { key }]) => [name, key])));
  return [...keys.values()].sort((a, b) =>
    a.table === b.table ? a.partition - b.partition || a.day - b.day : a.table < b.table ? -1 : 1
  );
}

async function readDigests(tx: Reading): Promise<Map<string, KeyedDigest>> {
  const { rows } = await tx.query("SELECT * FROM digests");
  return new Map(rows.map((row) => {
    const key = keyOf(row);
    const [count, marked, low, high] = [row.rows, row.marked, row.low, row.high].map(Number);
    return [nameOf(key), { key, digest: { rows: count, marked, low, high } }];
  }));
}

function keyOf(row: Record<string, unknown>): DigestKey {
  return {
    table: row.table_name as DigestedTable,
    partition: Number(row.source_partition),
    day: Number(row.day),
  };
}

function claimedTwice(partition: number, shared: number): Finding {
  const what = `${shared} raw records have two rows`;
  return { what, table: null, partition, day: null };
}

/** Reads every row of every table once. */
async function digestRows(tx: Reading): Promise<TableDigests> {
  const digests = new TableDigests(await readDigestedFrom(tx), { claims: true });
  const { rows: [{ played }] } = await tx.query(
    "SELECT to_regclass('task_state') IS NOT NULL AS played",
  );
  for (const table of Object.keys(LAYOUTS) as DigestedTable[]) {
    if (RUN_TABLES.includes(table) && played !== true) continue;
    const columns = LAYOUTS[table].columns.join(", ");
    await tx.copyOut(
      `SELECT ${columns} FROM ${table}`,
      (rows) => digests.addRows(table, rows),
    );
  }
  return digests;
}

async function readUndigested(tx: Reading): Promise<Undigested[]> {
  const { rows } = await tx.query(
    `SELECT table_name, source_partition, sum(rows) AS rows, max(end_offset) AS end_offset
     FROM undigested GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows.map((row) => ({
    table: String(row.table_name),
    partition: Number(row.source_partition) === NONE ? null : Number(row.source_partition),
    rows: Number(row.rows),
    before_offset: row.end_offset === null ? null : Number(row.end_offset),
  }));
}

async function readSince(tx: Reading, undigested: readonly Undigested[]): Promise<string | null> {
  if (undigested.length === 0) return null;
  const { rows: [row] } = await tx.query(
    "SELECT applied_at FROM schema_migrations WHERE name = '004_digests'",
  );
  return row === undefined ? null : (row.applied_at as Date).toISOString();
}

async function readDroppedDays(tx: Reading): Promise<DigestKey[]> {
  const { rows } = await tx.query("SELECT table_name, source_partition, day FROM dropped_days");
  return rows.map(keyOf);
}

/** Partitions and days that are a parameter. */
const GIVEN = `SELECT day, partition AS source_partition
  FROM jsonb_to_recordset($1::text::jsonb) AS g (day integer, partition integer)`;

/** A reading in whole milliwatt-hours, as `mwhOf` has it. */
const mwhOf = (column: string) =>
  `floor(greatest(-1e15, least(1e15, ${column} * 1e6)) + 0.5)::bigint`;

/** Readings of a meter's day, added up anew. */
const ADDED_UP = `SELECT date_bin('1 day', time, timestamptz '2000-01-03 00:00:00+00') AS bucket,
    meter_id, source_partition, count(*) AS readings, count(delay_seconds) AS late_readings,
    count(*) FILTER (WHERE flags <> '{}') AS flagged_readings,
    min(time) AS first_at, max(time) AS last_at, count(revises_kwh) AS revised_readings,
    sum(${mwhOf("consumption_kwh")}
      - CASE WHEN revises_kwh IS NULL THEN 0 ELSE ${mwhOf("revises_kwh")} END) AS consumption_mwh,
    max(source_offset) AS last_offset,
    coalesce(max(source_offset) FILTER (WHERE status = 'LATE'), -1) AS last_late_offset
  FROM validated_readings GROUP BY 1, 2, 3`;

/** Of one sum in two units these are as near to each other, as a share of it. */
const ROUNDING = 1e-9;

/**
 * Holds `readings_meter_daily` against the readings, but for days that retention has taken. Sums from
 * before the digests are rounded as a whole, and do not know their offsets.
 */
async function checkSums(tx: Reading, dropped: readonly DigestKey[]): Promise<Finding[]> {
  const { rows } = await tx.query(
    `WITH earlier AS MATERIALIZED (
       SELECT source_partition, day FROM undigested WHERE table_name = 'validated_readings'
     ), compared AS (
       SELECT floor(extract(epoch FROM bucket) / 86400)::integer AS day, source_partition, meter_id,
         (s.readings, s.late_readings, s.flagged_readings, s.first_at, s.last_at)
           IS DISTINCT FROM
         (r.readings, r.late_readings, r.flagged_readings, r.first_at, r.last_at)
         OR s.revised_readings <> r.revised_readings
         OR abs(s.consumption_kwh - s.consumption_mwh / 1e6)
            > ${ROUNDING} * (abs(s.consumption_kwh) + r.readings) AS is_wrong,
         (s.consumption_mwh, s.last_offset, s.last_late_offset)
           IS DISTINCT FROM (r.consumption_mwh, r.last_offset, r.last_late_offset) AS is_other,
         abs(s.consumption_mwh - r.consumption_mwh) > r.readings AS is_far
       FROM readings_meter_daily AS s
       FULL JOIN (${ADDED_UP}) AS r USING (bucket, meter_id, source_partition)
     )
     SELECT day, source_partition, min(meter_id) AS meter_id, count(*) AS wrong
     FROM compared
     WHERE (is_wrong OR is_other)
       AND (day, source_partition) NOT IN (${GIVEN})
       AND (is_wrong OR is_far OR (day, source_partition) NOT IN (
         SELECT day, source_partition FROM earlier))
     GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ${SUMS_FOUND_MAX}`,
    [JSON.stringify(dropped)],
  );
  return rows.map((row) => {
    const others = Number(row.wrong) - 1;
    const more = others === 0 ? "" : `, and of ${others} more meters`;
    return findingOf(`the sums of ${row.meter_id}${more} are not those of the readings`, {
      table: "readings_meter_daily",
      partition: Number(row.source_partition),
      day: dayText(Number(row.day)),
    });
  });
}

/** Of a day whose readings retention has dropped, its sums must count as many as were written. */
async function checkDroppedSums(tx: Reading, dropped: readonly DigestKey[]): Promise<Finding[]> {
  if (dropped.length === 0) return [];
  const { rows } = await tx.query(
    `SELECT day, source_partition, sum(rows) AS rows, sum(readings) AS readings
     FROM (
       SELECT k.day, k.source_partition, k.rows, 0 AS readings
       FROM (SELECT table_name, day, source_partition, rows FROM digests
             UNION ALL SELECT table_name, day, source_partition, rows FROM undigested) AS k
       WHERE table_name = 'validated_readings'
       UNION ALL
       SELECT floor(extract(epoch FROM bucket) / 86400), source_partition, 0, readings
       FROM readings_meter_daily
     ) AS counted
     WHERE (day, source_partition) IN (${GIVEN})
     GROUP BY 1, 2 HAVING sum(rows) <> sum(readings)
     ORDER BY 1, 2 LIMIT ${SUMS_FOUND_MAX}`,
    [JSON.stringify(dropped)],
  );
  return rows.map((row) =>
    findingOf(`${row.rows} readings were written, and the sums count ${row.readings}`, {
      table: "readings_meter_daily",
      partition: Number(row.source_partition),
      day: dayText(Number(row.day)),
    })
  );
}
