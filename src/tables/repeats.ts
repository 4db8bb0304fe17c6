import type { Reader } from "./query.ts";
import { toNumber } from "./values.ts";

/** What a meter sent more than once, beside what was accepted of it. */
export type MeterRepeats = {
  readonly meterId: string;
  readonly readings: number;
  /** The same values again. */
  readonly identical: number;
  /** Other values for intervals that were taken. */
  readonly conflicting: number;
};

/** Of meters with at least so many repeats; those with the most first. */
export async function readRepeats(
  reader: Reader,
  { repeatsMin, metersMax }: { readonly repeatsMin: number; readonly metersMax: number },
): Promise<MeterRepeats[]> {
  const { rows } = await reader.query(
    `SELECT r.meter_id, r.identical, r.conflicting,
       (SELECT sum(d.readings) FROM readings_meter_daily d WHERE d.meter_id = r.meter_id) AS readings
     FROM (
       SELECT meter_id, count(*) FILTER (WHERE reason = 'DUPLICATE') AS identical,
         count(*) FILTER (WHERE reason = 'CONFLICT') AS conflicting, count(*) AS repeats
       FROM rejected_readings
       WHERE reason IN ('DUPLICATE', 'CONFLICT') AND meter_id IS NOT NULL
       GROUP BY meter_id
     ) AS r
     WHERE r.repeats >= ${Math.trunc(repeatsMin)}
     ORDER BY r.repeats DESC, r.meter_id LIMIT ${Math.trunc(metersMax)}`,
  );
  return rows.map((row) => ({
    meterId: String(row.meter_id),
    readings: toNumber(row.readings),
    identical: toNumber(row.identical),
    conflicting: toNumber(row.conflicting),
  }));
}

/** Meters by what was told of their intervals: that it changed, or contradicts what is set. */
export async function readIntervalNews(
  reader: Reader,
): Promise<{ readonly changed: readonly string[]; readonly contradicted: readonly string[] }> {
  const { rows } = await reader.query(
    "SELECT DISTINCT metric_type, meter_id FROM metrics " +
      "WHERE metric_type IN ('interval_changed', 'interval_contradicted') ORDER BY meter_id",
  );
  const of = (type: string) =>
    rows.filter((row) => row.metric_type === type).map((row) => String(row.meter_id));
  return { changed: of("interval_changed"), contradicted: of("interval_contradicted") };
}
