import { DISPOSITIONS, emptyLedger, type Ledger, sumLedgers } from "../../core/ledger.ts";
import type { GapState } from "../../core/outputs.ts";
import type { PartitionAccount, PartitionVerified } from "../../engine/verify/partition.ts";
import { databaseError, openDatabase } from "../../setup/database.ts";
import { formatCount } from "../../console/progress.ts";
import { type Difference, findDifferences, type Reader } from "../../tables/balance.ts";

/** The tables that sinks have written, as they were at one moment. */
export type Tables = {
  readonly ledger: Ledger;
  readonly partitions: ReadonlyMap<number, TablePartition>;
  /** Between rows and ledger. */
  readonly differences: readonly Difference[];
  /** Messages that became no row and are kept in `sink_errors`. */
  readonly refused: number;
};

/** What a partition comes to in the tables, and up to which raw record. */
export type TablePartition = PartitionAccount & { readonly nextOffset: number };

const GAP_STATES: readonly GapState[] = ["OPEN", "CLOSED", "FILLED", "EXPIRED"];

/**
 * Reads the tables of one moment and checks the rows against the ledger beside them.
 *
 * @throws {RunError} when there is no such database, or it has no tables of ours
 */
export async function readTables(url: string): Promise<Tables> {
  const database = await openDatabase(url, { statementMsMax: 0 });
  try {
    return await database.transaction(readAll);
  } catch (error) {
    throw databaseError("verify", error);
  } finally {
    await database.close();
  }
}

async function readAll(reader: Reader): Promise<Tables> {
  await reader.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  // Offsets have holes on Kafka: a position is not a count of records there.
  const differences = (await findDifferences(reader)).filter(({ what }) => what !== "position");
  differences.push(...await findDays(reader));
  const partitions = await readPartitions(reader);
  const { rows: [{ refused }] } = await reader.query("SELECT count(*) AS refused FROM sink_errors");
  const ledger = sumLedgers([...partitions.values()].map((partition) => partition.ledger));
  return { ledger, partitions, differences, refused: Number(refused) };
}

/**
 * Compares the tables with what was recomputed from the topics at the very raw record up to which
 * each partition is written: sinks that are behind, or go on writing, are no difference.
 */
export function compareTables(
  { partitions }: Tables,
  topics: readonly Pick<PartitionVerified, "partition" | "account">[],
): Difference[] {
  const differences: Difference[] = [];
  for (const [partition, tables] of partitions) {
    const account = topics.find((one) => one.partition === partition)?.account;
    if (account === undefined || account === null) {
      const what = "raw records, which the topics do not have";
      differences.push({ partition, what, ledger: 0, found: tables.nextOffset });
      continue;
    }
    const compare = (what: string, expected: number, found: number) => {
      if (expected === found) return;
      differences.push({ partition, what: `${what}, by the topics`, ledger: expected, found });
    };
    for (const name of ["raw", ...DISPOSITIONS] as const) {
      compare(name, account.ledger[name], tables.ledger[name]);
    }
    for (const state of GAP_STATES) {
      compare(`${state} gaps`, account.gaps[state], tables.gaps[state]);
    }
  }
  return differences;
}

/** Lines for people: each difference, what was refused, and how it came out. */
export function describeTables(
  { ledger, refused }: Tables,
  differences: readonly Difference[],
): string[] {
  const lines = differences.map(({ partition, what, ledger, found }) =>
    `partition ${partition}: ${what}: ${formatCount(ledger)}, tables: ${formatCount(found)}`
  );
  if (refused > 0) {
    lines.push(`the database has refused ${formatCount(refused)} messages: see sink_errors`);
  }
  lines.push(
    differences.length > 0
      ? "the tables do not balance"
      : `the tables balance: ${formatCount(ledger.raw)} raw records, each with one disposition`,
  );
  return lines;
}

async function readPartitions(reader: Reader): Promise<Map<number, TablePartition>> {
  const { rows } = await reader.query(
    `SELECT l.*, p.next_offset FROM positions p LEFT JOIN ledger l USING (partition)`,
  );
  const { rows: gaps } = await reader.query(
    `SELECT source_partition AS partition, state, count(*) AS gaps FROM gap_alerts GROUP BY 1, 2`,
  );
  return new Map(rows.map((row) => {
    const partition = Number(row.partition);
    const ledger = emptyLedger();
    for (const name of ["raw", ...DISPOSITIONS] as const) ledger[name] = Number(row[name] ?? 0);
    const counts = { OPEN: 0, CLOSED: 0, FILLED: 0, EXPIRED: 0 };
    for (const gap of gaps) {
      if (Number(gap.partition) === partition) counts[gap.state as GapState] = Number(gap.gaps);
    }
    return [partition, { nextOffset: Number(row.next_offset), ledger, gaps: counts }];
  }));
}

/** The fleet's days against the ledger that counts the same readings. */
async function findDays(reader: Reader): Promise<Difference[]> {
  const { rows } = await reader.query(
    `SELECT partition, coalesce(l.ok + l.late, 0) AS ledger, coalesce(d.readings, 0) AS found
     FROM ledger l FULL JOIN (
       SELECT source_partition AS partition, sum(readings) AS readings
       FROM readings_fleet_daily GROUP BY 1
     ) AS d USING (partition)
     WHERE coalesce(l.ok + l.late, 0) <> coalesce(d.readings, 0)`,
  );
  return rows.map((row) => ({
    partition: Number(row.partition),
    what: "readings by day",
    ledger: Number(row.ledger),
    found: Number(row.found),
  }));
}
