import type { Estimates } from "../../tables/estimate_gaps.ts";
import type { PostgresDatabase } from "./database.ts";

/**
 * Puts estimates in the place of those of before, in one transaction. Gives how many of these are no
 * longer made: they stay, and say that they are withdrawn.
 */
export async function saveEstimates(
  database: Pick<PostgresDatabase, "transaction">,
  { estimated, refused }: Estimates,
): Promise<number> {
  return await database.transaction(async (tx) => {
    await tx.query("LOCK TABLE estimated_readings IN SHARE ROW EXCLUSIVE MODE");
    const { rows: [{ before }] } = await tx.query(
      "SELECT count(*) AS before FROM estimated_readings WHERE withdrawn",
    );
    await tx.query("UPDATE estimated_readings SET withdrawn = true WHERE NOT withdrawn");
    await tx.query(
      `INSERT INTO estimated_readings
       SELECT "meterId", '', time, "consumptionKwh", method, code, "gapId", false
       FROM jsonb_to_recordset($1::text::jsonb) AS e ("meterId" text, time timestamptz,
         "consumptionKwh" double precision, method text, code text, "gapId" text)
       ON CONFLICT (meter_id, channel, time) DO UPDATE SET
         consumption_kwh = excluded.consumption_kwh, method = excluded.method,
         code = excluded.code, gap_id = excluded.gap_id, withdrawn = false`,
      [JSON.stringify(estimated)],
    );
    await tx.query("DELETE FROM estimate_refusals");
    await tx.query(
      `INSERT INTO estimate_refusals SELECT "gapId", "meterId", '', "from", "to", reason
       FROM jsonb_to_recordset($1::text::jsonb) AS r ("gapId" text, "meterId" text,
         "from" timestamptz, "to" timestamptz, reason text) ON CONFLICT DO NOTHING`,
      [JSON.stringify(refused)],
    );
    const { rows: [{ after }] } = await tx.query(
      "SELECT count(*) AS after FROM estimated_readings WHERE withdrawn",
    );
    return Math.max(0, Number(after) - Number(before));
  });
}
