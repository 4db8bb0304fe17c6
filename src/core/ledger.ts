/**
 * The account of a partition: every raw record is counted once in `raw` and once in one disposition.
 */
export type Ledger = {
  raw: number;
  ok: number;
  late: number;
  too_late: number;
  duplicate: number;
  rejected: number;
  tick: number;
};

/** The dispositions, in the order they are written everywhere. */
export const DISPOSITIONS = ["ok", "late", "too_late", "duplicate", "rejected", "tick"] as const;

/** A ledger of nothing. */
export function emptyLedger(): Ledger {
  return { raw: 0, ok: 0, late: 0, too_late: 0, duplicate: 0, rejected: 0, tick: 0 };
}

/** The sum of several partitions' ledgers. */
export function sumLedgers(ledgers: Iterable<Readonly<Ledger>>): Ledger {
  const sum = emptyLedger();
  for (const ledger of ledgers) {
    sum.raw += ledger.raw;
    for (const disposition of DISPOSITIONS) sum[disposition] += ledger[disposition];
  }
  return sum;
}

/** Raw records minus dispositions: 0 when nothing was lost and nothing counted twice. */
export function ledgerDifference(ledger: Readonly<Ledger>): number {
  let sum = 0;
  for (const disposition of DISPOSITIONS) sum += ledger[disposition];
  return ledger.raw - sum;
}
