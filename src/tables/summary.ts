import type { Ledger } from "../core/ledger.ts";
import type { GapState } from "../core/outputs.ts";
import { readLedger } from "./ledger.ts";
import { dialectOf, queryOf, type Reader } from "./query.ts";

/** Gaps of one state, and the slots missing in them. */
export type GapCount = { gaps: number; missing_intervals: number };

/** What a store holds: the ledger's sum, how many meters, and the gaps as they stand. */
export type Summary = {
  readonly ledger: Ledger;
  readonly meters: number;
  readonly gaps: { readonly [state in GapState]: GapCount };
  /** Meters of which no reading could be used. */
  readonly unusable_meters: number;
  /** How often the interval of a meter changed. */
  readonly interval_changes: number;
};

/** Reads what a store holds. */
export async function readSummary(reader: Reader): Promise<Summary> {
  const [{ rows: [{ meters }] }, { rows }] = [
    await reader.query(dialectOf(reader).countMeters),
    await reader.query(
      "SELECT state, count(*) AS gaps, sum(missing_intervals) AS missing FROM gap_alerts " +
        "GROUP BY state",
    ),
  ];
  const gaps = {} as Record<GapState, GapCount>;
  for (const state of ["CLOSED", "OPEN", "EXPIRED", "FILLED"] as const) {
    const row = rows.find((r) => r.state === state);
    gaps[state] = { gaps: Number(row?.gaps ?? 0), missing_intervals: Number(row?.missing ?? 0) };
  }
  const { total } = await readLedger(queryOf(reader));
  const { rows: [{ changes }] } = await reader.query(
    "SELECT count(*) AS changes FROM metrics WHERE metric_type = 'interval_changed'",
  );
  return {
    ledger: total,
    meters: Number(meters),
    gaps,
    unusable_meters: total.rejected === 0 ? 0 : await countUnusable(reader),
    interval_changes: Number(changes),
  };
}

async function countUnusable(reader: Reader): Promise<number> {
  const { rows: [{ unusable }] } = await reader.query(
    `SELECT count(*) AS unusable FROM (
       SELECT meter_id FROM rejected_readings
       WHERE meter_id IS NOT NULL AND reason NOT IN ('DUPLICATE', 'CONFLICT')
       EXCEPT SELECT meter_id FROM readings_meter_daily
       EXCEPT SELECT meter_id FROM late_events
     ) AS meters`,
  );
  return Number(unusable);
}
