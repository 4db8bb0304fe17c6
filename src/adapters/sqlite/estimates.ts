import type { DatabaseSync } from "node:sqlite";
import type { Estimates } from "../../tables/estimate_gaps.ts";

/**
 * Puts estimates in the place of those of before, within the transaction that is open. Gives how many
 * of these are no longer made: they stay, and say that they are withdrawn.
 */
export function writeEstimates(database: DatabaseSync, { estimated, refused }: Estimates): number {
  const count = () => {
    const row = database.prepare("SELECT count(*) AS n FROM estimated_readings WHERE withdrawn = 1")
      .get();
    return Number(row?.n);
  };
  const before = count();
  database.exec("UPDATE estimated_readings SET withdrawn = 1 WHERE withdrawn = 0");
  const insert = database.prepare(
    "INSERT OR REPLACE INTO estimated_readings VALUES (?, '', ?, ?, ?, ?, ?, 0)",
  );
  for (const { meterId, time, consumptionKwh, method, code, gapId } of estimated) {
    insert.run(meterId, time, consumptionKwh, method, code, gapId);
  }
  database.exec("DELETE FROM estimate_refusals");
  const refuse = database.prepare(
    "INSERT OR REPLACE INTO estimate_refusals VALUES (?, ?, '', ?, ?, ?)",
  );
  for (const { gapId, meterId, from, to, reason } of refused) {
    refuse.run(gapId, meterId, from, to, reason);
  }
  return Math.max(0, count() - before);
}
