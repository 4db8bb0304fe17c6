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
import { dialectOf, queryOf, type Reader } from "./query.ts";

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
};

/** Reads what a store holds. */
export async function readSummary(reader: Reader): Promise<Summary> {
  const query = queryOf(reader);
  const totals = await readTotals(query);
  const { total } = await readLedger(query);
  return {
    ledger: total,
    meters: totals.meters,
    meters_by_status: totals.byStatus,
    gaps: await countGaps(query),
    duplicates: totals.duplicates,
    ...completenessOf(totals),
  };
}

/** Of a store's readings, or of its intervals: from this share on, more is wrong than readings. */
const SUSPECT_SHARE = 0.3;

/** How many accepted readings lie off their slots, or where they are few, at most. */
export async function countShifted(reader: Reader, { ledger }: Summary): Promise<number> {
  const { rows: [{ flagged }] } = await reader.query(
    "SELECT coalesce(sum(flagged_readings), 0) AS flagged FROM readings_meter_daily",
  );
  // Readings of any flag, by their days: all readings are read through only where these are many.
  if (!(Number(flagged) > (ledger.ok + ledger.late) * SUSPECT_SHARE)) return Number(flagged);
  const { rows: [{ n }] } = await reader.query(
    `SELECT count(*) AS n FROM validated_readings WHERE ${dialectOf(reader).hasFlag("TIME_SHIFT")}`,
  );
  return Number(n);
}

/**
 * What a person should look into: so much is wrong that it may be the settings. `database` is the
 * address of what was played into; none: it was an embedded store.
 */
export function suspicions(
  { ledger, gaps }: Summary,
  shifted: number,
  { database }: { readonly database?: string } = {},
): string[] {
  const { tick, rejected, duplicate, too_late } = ledger;
  const readings = ledger.raw - tick;
  if (readings === 0) return [];
  if (rejected === readings) {
    const asked = database === undefined ? "gridwatch query" : `psql ${database} -c`;
    return [
      "warning: every row was rejected",
      `hint: ${asked} "SELECT reason, detail, raw FROM rejected_readings LIMIT 10"`,
    ];
  }
  const accepted = ledger.ok + ledger.late;
  const missing = gaps.CLOSED.missing_intervals;
  const isOff = duplicate > readings * SUSPECT_SHARE || shifted > accepted * SUSPECT_SHARE ||
    missing > (accepted + missing) * SUSPECT_SHARE;
  if (!isOff || too_late > readings * SUSPECT_SHARE) return [];
  const another = database === undefined
    ? "--data DIR for a new store"
    : "--database URL of an empty one";
  return [
    "warning: very many readings are missing, twice there or off their slots: do they come as " +
    "often as expected_interval_minutes says?",
    `hint: GRIDWATCH_EXPECTED_INTERVAL_MINUTES=auto, or =60, =15, …, and ${another}`,
  ];
}
