import { formatTimestamp } from "../core/time.ts";
import {
  estimate,
  type EstimateMethod,
  type EstimateRefusal,
  type MissingSpan,
  PROFILE_DAYS,
} from "./estimates.ts";
import { ESTIMATED } from "./quality.ts";
import { dialectOf, type Query } from "./query.ts";
import { toMsOrNull, toNumber, toTexts } from "./values.ts";

const DAY_MS = 86_400_000;
/** Values that are no energy: neither a history nor a neighbour. */
const NO_VALUES = ["NEGATIVE", "CAPACITY"];

/** An estimate of one missing slot, as a row of `estimated_readings`. */
export type EstimatedReading = {
  readonly meterId: string;
  readonly time: string;
  readonly consumptionKwh: number;
  readonly method: EstimateMethod;
  readonly code: string;
  readonly gapId: string;
};

/** A gap that is not estimated, as a row of `estimate_refusals`. */
export type RefusedGap = {
  readonly gapId: string;
  readonly meterId: string;
  readonly from: string;
  readonly to: string;
  readonly reason: EstimateRefusal;
};

/** What is estimated of a store's gaps, and what is not. */
export type Estimates = {
  readonly gaps: number;
  readonly estimated: readonly EstimatedReading[];
  readonly refused: readonly RefusedGap[];
};

type Gap = MissingSpan & { readonly gapId: string; readonly meterId: string };

/**
 * Estimates the missing slots of every gap, as far as they are known to be missing, from the readings of
 * the 28 days before it and of the day behind it. The same readings give the same estimates.
 */
export async function estimateGaps(query: Query): Promise<Estimates> {
  const estimated: EstimatedReading[] = [];
  const refused: RefusedGap[] = [];
  const gaps = await listMissing(query);
  for (const gap of gaps) {
    const { gapId, meterId, fromMs, toMs, intervalMs } = gap;
    const made = estimate(gap, await readValid(query, gap));
    if ("refusal" in made) {
      const [from, to] = [formatTimestamp(fromMs), formatTimestamp(toMs)];
      refused.push({ gapId, meterId, from, to, reason: made.refusal });
      continue;
    }
    const { method, kwh } = made;
    kwh.forEach((consumptionKwh, slot) => {
      const time = formatTimestamp(fromMs + slot * intervalMs);
      estimated.push({ meterId, time, consumptionKwh, method, code: ESTIMATED, gapId });
    });
  }
  return { gaps: gaps.length, estimated, refused };
}

/** The gaps that have missing slots, in the order of meters and time. */
async function listMissing(query: Query): Promise<Gap[]> {
  const { order } = dialectOf(query);
  const rows = await query(
    `SELECT gap_id, meter_id, missing_from, missing_to, missing_intervals, known_intervals
     FROM gap_status WHERE missing_intervals > 0
     ORDER BY meter_id, ${order("missing_from")}, gap_id`,
  );
  return rows.map((row) => {
    const fromMs = toMsOrNull(row.missing_from) ?? NaN;
    const toMs = toMsOrNull(row.missing_to) ?? NaN;
    const intervalMs = Math.round((toMs - fromMs) / toNumber(row.missing_intervals));
    return {
      gapId: String(row.gap_id),
      meterId: String(row.meter_id),
      fromMs,
      toMs: fromMs + toNumber(row.known_intervals) * intervalMs,
      intervalMs,
      isExport: false,
    };
  });
}

/** The valid readings around a gap, by the slot that each is nearest to. */
async function readValid(
  query: Query,
  { meterId, fromMs, toMs, intervalMs }: Gap,
): Promise<(slotMs: number) => number> {
  const { readingsOf, order } = dialectOf(query);
  const span = [
    (Math.floor(fromMs / DAY_MS) - PROFILE_DAYS) * DAY_MS,
    Math.min(toMs, fromMs + PROFILE_DAYS * DAY_MS) + DAY_MS + intervalMs,
  ];
  const rows = await query(
    `SELECT time, consumption_kwh, flags FROM ${readingsOf({ from: "$1", to: "$2" })} AS r
     WHERE meter_id = $3 ORDER BY ${order("time")}, source_offset`,
    [...span.map(formatTimestamp), meterId],
  );
  const slotOf = (ms: number) => Math.round((ms - fromMs) / intervalMs);
  const values = new Map<number, number>();
  for (const row of rows) {
    if (toTexts(row.flags).some((flag) => NO_VALUES.includes(flag))) continue;
    // Of a slot that was revised, the later reading stands.
    values.set(slotOf(toMsOrNull(row.time) ?? NaN), toNumber(row.consumption_kwh));
  }
  return (slotMs) => values.get(slotOf(slotMs)) ?? NaN;
}
