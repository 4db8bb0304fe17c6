import { DISPOSITIONS, type Ledger } from "../../core/ledger.ts";
import type { GapState } from "../../core/outputs.ts";
import type { PartitionAccount, PartitionVerified } from "../../engine/verify/partition.ts";
import { ledgerFromRow } from "../../tables/ledger.ts";
import { checkRows, type RowsChecked } from "../../adapters/postgres/check.ts";
import type { RowsVerified } from "../../setup/answers.ts";
import { databaseError, openDatabase, type ReadTransaction } from "../../setup/database.ts";
import { describeDropped } from "../../setup/dropped.ts";
import { formatCount } from "../../console/progress.ts";
import { type Difference, readBalance, type TablesOf, tablesOf } from "../../tables/balance.ts";
import { type Dropped, readDropped } from "../../tables/dropped.ts";
import { queryOf, type Reader } from "../../tables/query.ts";

/** The tables of a database, as they were at one moment. */
export type Tables = RowsChecked & {
  /** Who has written them. */
  readonly of: TablesOf;
  /** As `Balance` has it. */
  readonly balanced: boolean | null;
  readonly ledger: Ledger;
  readonly partitions: ReadonlyMap<number, TablePartition>;
  /** Between rows and ledger. */
  readonly differences: readonly Difference[];
  /** Partitions that rows are written of, and that have no account to compare them with. */
  readonly notCompared: readonly number[];
  /** Messages that became no row and are kept in `sink_errors`. */
  readonly refused: number;
  /** What retention has dropped of the rows that the ledger counts; null: nothing. */
  readonly dropped: Dropped | null;
};

/** What a partition comes to in the tables, and up to which raw record. */
export type TablePartition = PartitionAccount & { readonly nextOffset: number };

const GAP_STATES: readonly GapState[] = ["OPEN", "CLOSED", "FILLED", "EXPIRED"];

/**
 * Reads the tables of one moment and checks the rows against the ledger and the digests beside them.
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

async function readAll(reader: ReadTransaction): Promise<Tables> {
  await reader.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  const query = queryOf(reader);
  const of = await tablesOf(query);
  // By the days' sums, which are held against the rows below.
  const balance = await readBalance(query, of, { by: "days" });
  const partitions = await readPartitions(reader);
  const { rows: [{ refused }] } = await reader.query("SELECT count(*) AS refused FROM sink_errors");
  const checked = await checkRows(reader);
  const { ledger, differences, notCompared } = balance;
  return {
    of,
    balanced: checked.findings.length > 0 ? false : balance.balanced,
    ...{ ledger, partitions, differences, notCompared, refused: Number(refused) },
    ...checked,
    dropped: await readDropped(query),
  };
}

/**
 * Compares the tables with what was recomputed from the topics at the very raw record up to which
 * each partition is written: sinks that are behind, or go on writing, are no difference.
 */
export function compareTables(
  { partitions }: Tables,
  topics: readonly Pick<PartitionVerified, "partition" | "account" | "deletedBefore">[],
): Difference[] {
  const differences: Difference[] = [];
  for (const [partition, tables] of partitions) {
    const topic = topics.find((one) => one.partition === partition);
    if (topic !== undefined && topic.deletedBefore > 0) continue;
    const account = topic?.account;
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
    compare("findings of rules", account.findings, tables.findings);
  }
  return differences;
}

/** What is said with --json of the rows. */
export function rowsVerified(
  { findings, refused, dropped, undigested, digestedSince }: Tables,
  differences: readonly Difference[],
): RowsVerified {
  return {
    differences: [...differences, ...findings],
    refused,
    dropped,
    not_digested: undigested,
    digested_since: digestedSince,
  };
}

/** Lines for people: each difference, what was refused, and how it came out. */
export function describeTables(
  { ledger, notCompared, refused, findings, dropped, ...tables }: Tables,
  differences: readonly Difference[],
): string[] {
  const lines = differences.map(({ partition, what, ledger, found }) =>
    `partition ${partition}: ${what}: ${formatCount(ledger)}, tables: ${formatCount(found)}`
  );
  for (const { partition, what } of findings) {
    lines.push(partition === null ? what : `partition ${partition}: ${what}`);
  }
  lines.push(...describeUndigested(tables));
  if (refused > 0) {
    lines.push(`the database has refused ${formatCount(refused)} messages: see sink_errors`);
  }
  for (const partition of notCompared) {
    lines.push(`partition ${partition} is not compared: it has no account in the tables yet`);
  }
  lines.push(
    differences.length + findings.length > 0
      ? "the tables do not balance"
      : sealOf("the tables balance", ledger, notCompared),
  );
  if (dropped !== null) lines.push(`retention has dropped of them ${describeDropped(dropped)}`);
  return lines;
}

/** What of the rows is not proven, a line a table. */
function describeUndigested(
  { undigested, digestedSince }: Pick<Tables, "undigested" | "digestedSince">,
): string[] {
  const tables = new Map<string, { rows: number; readonly ends: string[] }>();
  for (const { table, partition, rows, before_offset: end } of undigested) {
    const known = tables.get(table) ?? { rows: 0, ends: [] };
    known.rows += rows;
    if (end !== null) known.ends.push(`${partition}@${end}`);
    tables.set(table, known);
  }
  return [...tables].map(([table, { rows, ends }]) => {
    const before = ends.length === 0 ? "" : `, partition@raw offset ${ends.join(", ")}`;
    return `${table}: ${formatCount(rows)} rows are not digested: they were written before ` +
      `${digestedSince ?? "digests were kept"}${before}; they are counted, and not proven`;
  });
}

/** The last line where nothing differs: it says of how many records that is known. */
export function sealOf(
  claim: string,
  { raw }: Ledger,
  notCompared: readonly number[],
): string {
  if (raw === 0) return "nothing to compare: there is no account of a raw record yet";
  const scope = notCompared.length > 0 ? " as far as they are compared" : "";
  return `${claim}${scope}: ${formatCount(raw)} raw records, each with one disposition`;
}

async function readPartitions(reader: Reader): Promise<Map<number, TablePartition>> {
  const { rows } = await reader.query(
    `SELECT p.partition, p.next_offset, l.raw, l.ok, l.late, l.too_late, l.duplicate, l.rejected,
            l.tick
     FROM positions p LEFT JOIN ledger l ON l.partition = p.partition`,
  );
  const { rows: gaps } = await reader.query(
    `SELECT source_partition AS partition, state, count(*) AS gaps FROM gap_alerts GROUP BY 1, 2`,
  );
  const { rows: found } = await reader.query(
    `SELECT source_partition AS partition, count(*) AS findings FROM validation_records GROUP BY 1`,
  );
  return new Map(rows.map((row) => {
    const partition = Number(row.partition);
    const ledger = ledgerFromRow(row);
    const counts = { OPEN: 0, CLOSED: 0, FILLED: 0, EXPIRED: 0 };
    for (const gap of gaps) {
      if (Number(gap.partition) === partition) counts[gap.state as GapState] = Number(gap.gaps);
    }
    const findings = found.find((one) => Number(one.partition) === partition)?.findings ?? 0;
    return [partition, {
      nextOffset: Number(row.next_offset),
      ledger,
      gaps: counts,
      findings: Number(findings),
    }];
  }));
}
