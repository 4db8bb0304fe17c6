import { CopyWriter } from "../../tables/copy.ts";
import {
  type DigestedFrom,
  type DigestedTable,
  type DigestKey,
  type MarkedDigest,
  NONE,
  TableDigests,
} from "../../tables/table_digests.ts";
import type { PostgresDatabase, Transaction } from "./database.ts";

/** The digests that a transaction changes. They are saved by its last statements. */
export class DigestBook {
  /** What rows have come and gone. */
  readonly added: TableDigests;
  readonly #whole: TableDigests;
  readonly #digestedFrom: DigestedFrom;

  constructor(digestedFrom: DigestedFrom) {
    this.#digestedFrom = digestedFrom;
    this.added = new TableDigests(digestedFrom);
    this.#whole = new TableDigests(digestedFrom);
  }

  /** For work that may leave nothing behind. Where it does, `added.take` brings in what it added. */
  ofAttempt(): DigestBook {
    return new DigestBook(this.#digestedFrom);
  }

  /** Adds rows, each written by one call; `count` -1 takes them out. */
  add(
    table: DigestedTable,
    rows: readonly ((writer: CopyWriter) => void)[],
    count: 1 | -1 = 1,
  ): void {
    if (rows.length > 0) this.added.addCopy(table, copyOf(rows), count);
  }

  /** The rows are all that a table has of a partition, or of all where it is not kept by any. */
  set(
    { table, partition = NONE }: { readonly table: DigestedTable; readonly partition?: number },
    rows: readonly ((writer: CopyWriter) => void)[],
  ): void {
    this.#whole.of({ table, partition, day: NONE });
    this.#whole.addCopy(table, copyOf(rows));
  }

  async save(tx: Transaction): Promise<void> {
    const added = [...this.added.entries()].filter(([, digest]) => isChange(digest)).map(rowOf);
    if (added.length > 0) {
      await tx.query(
        `${INSERT} ON CONFLICT (table_name, source_partition, day) DO UPDATE SET
           rows = d.rows + excluded.rows, marked = d.marked + excluded.marked,
           low = (d.low + excluded.low) & ${LANE_MAX}, high = (d.high + excluded.high) & ${LANE_MAX}`,
        [JSON.stringify(added)],
      );
    }
    const whole = [...this.#whole.entries()].map(rowOf);
    if (whole.length > 0) {
      await tx.query(
        `${INSERT} ON CONFLICT (table_name, source_partition, day) DO UPDATE SET
           rows = excluded.rows, marked = excluded.marked, low = excluded.low, high = excluded.high`,
        [JSON.stringify(whole)],
      );
    }
  }
}

const LANE_MAX = 2 ** 32 - 1;

const INSERT = `INSERT INTO digests AS d
  SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS r (table_name text, source_partition integer,
    day integer, rows bigint, marked bigint, low bigint, high bigint)`;

function copyOf(rows: readonly ((writer: CopyWriter) => void)[]): Uint8Array<ArrayBuffer> {
  const writer = new CopyWriter();
  for (const write of rows) write(writer);
  return writer.finish();
}

function isChange({ rows, marked, low, high }: MarkedDigest): boolean {
  return rows !== 0 || marked !== 0 || low !== 0 || high !== 0;
}

function rowOf([{ table, partition, day }, digest]: [DigestKey, MarkedDigest]) {
  return { table_name: table, source_partition: partition, day, ...digest };
}

/** From which raw records on rows are digested: those before were there when digests began. */
export async function readDigestedFrom(
  database: Pick<PostgresDatabase, "query">,
): Promise<DigestedFrom> {
  const { rows } = await database.query(
    `SELECT table_name, source_partition, max(end_offset) AS end_offset FROM undigested
     GROUP BY table_name, source_partition HAVING max(end_offset) IS NOT NULL`,
  );
  const ends = new Map(rows.map((row) => [
    `${row.table_name} ${row.source_partition}`,
    Number(row.end_offset),
  ]));
  return (table, partition) => ends.get(`${table} ${partition}`) ?? 0;
}
