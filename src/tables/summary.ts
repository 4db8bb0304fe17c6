import type { Ledger } from "../core/ledger.ts";
import type { GapState } from "../core/outputs.ts";
import { readLedger } from "./ledger.ts";
import { countGaps } from "./lists.ts";
import {
  type Completeness,
  completenessOf,
  type DuplicateCounts,
  type FleetTotals,
  readTotals,
} from "./meter_status.ts";
import { queryOf, type Reader } from "./query.ts";
import { countFindings } from "./validation.ts";
import { toNumber } from "./values.ts";

/** Gaps of one state, and the slots missing in them. */
export type GapCount = { gaps: number; missing_intervals: number };

/** What a store holds: the ledger's sum, the meters, the gaps as they stand, and how complete it is. */
export type Summary = Completeness & {
  readonly ledger: Ledger;
  /** All that are known, those of unusable readings alone among them. */
  readonly meters: number;
  readonly meters_by_status: FleetTotals["byStatus"];
  /** As announced: a gap that goes on counts with the length that was known then. */
  readonly gaps: { readonly [state in GapState]: GapCount };
  readonly duplicates: DuplicateCounts;
  /** Meters of which no reading could be used. */
  readonly unusable_meters: number;
  /** Meters whose interval is not known, so that their gaps are not judged. */
  readonly unjudged_meters: number;
  /** How often the interval of a meter changed. */
  readonly interval_changes: number;
  /** Runs and episodes that rules of validation have found, and how many of each rule. */
  readonly validation_records: number;
  readonly validation_by_rule: { readonly [rule: string]: number };
};

/** Reads what a store holds. */
export async function readSummary(reader: Reader): Promise<Summary> {
  const query = queryOf(reader);
  const totals = await readTotals(query);
  const { total } = await readLedger(query);
  const [{ changes }] = await query(
    "SELECT count(*) AS changes FROM metrics WHERE metric_type = 'interval_changed'",
  );
  const findings = await countFindings(query);
  return {
    ledger: total,
    meters: totals.meters,
    meters_by_status: totals.byStatus,
    gaps: await countGaps(query),
    duplicates: totals.duplicates,
    unusable_meters: totals.byStatus.unusable,
    unjudged_meters: totals.byStatus.unjudged,
    interval_changes: toNumber(changes),
    validation_records: findings.reduce((sum, { count }) => sum + count, 0),
    validation_by_rule: Object.fromEntries(findings.map(({ rule, count }) => [rule, count])),
    ...completenessOf(totals),
  };
}
