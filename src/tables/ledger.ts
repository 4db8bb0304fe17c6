import {
  DISPOSITIONS,
  emptyLedger,
  type Ledger,
  ledgerDifference,
  sumLedgers,
} from "../core/ledger.ts";
import type { Query, Row } from "./query.ts";
import { toIsoOrNull, toNumber, toNumberOrNull } from "./values.ts";

const PARTITIONS_MAX = 10_000;

/** A partition's account and how far it is read. */
export type PartitionLedger = Ledger & {
  readonly partition: number;
  readonly next_offset: number | null;
  readonly watermark: string | null;
};

/**
 * The accounts as the pipeline keeps them. That they add up says nothing of the rows: whether those
 * are there is for `readBalance` to say.
 */
export type LedgerAnswer = {
  readonly partitions: PartitionLedger[];
  readonly total: Ledger;
  readonly difference: number;
};

/** Every partition's ledger and position. Cheap: one row a partition. */
export async function readLedger(query: Query): Promise<LedgerAnswer> {
  const rows = await query(
    `SELECT k.partition, l.raw, l.ok, l.late, l.too_late, l.duplicate, l.rejected, l.tick,
            p.next_offset, p.watermark
     FROM (SELECT partition FROM ledger UNION SELECT partition FROM positions) AS k
     LEFT JOIN ledger l ON l.partition = k.partition
     LEFT JOIN positions p ON p.partition = k.partition
     ORDER BY k.partition LIMIT ${PARTITIONS_MAX}`,
  );
  const partitions = rows.map((row) => ({
    partition: toNumber(row.partition),
    ...ledgerFromRow(row),
    next_offset: toNumberOrNull(row.next_offset),
    watermark: toIsoOrNull(row.watermark),
  }));
  const total = sumLedgers(partitions);
  return { partitions, total, difference: ledgerDifference(total) };
}

/** A row's ledger; columns without a value are 0. */
export function ledgerFromRow(row: Row): Ledger {
  const ledger = emptyLedger();
  for (const name of ["raw", ...DISPOSITIONS] as const) ledger[name] = toNumber(row[name]);
  return ledger;
}
