import { POSTGRES } from "../../tables/dialect.ts";
import type { IncidentChange } from "../../tables/incident_rows.ts";
import { changesGaps, followGaps, type StageInput } from "../../tables/incident_stage.ts";
import type { Transaction } from "./database.ts";

/** Of the transactions that are at their incidents: "gridwinc" in ASCII. */
const LOCK = "7454136213321969251";

/**
 * Brings the incidents to what a commit has written, as the last thing that its transaction does.
 *
 * A group's meters lie in several partitions, which are written at the same time: of two commits that
 * each had half of an outage neither would see the other's. So whoever writes gaps is alone here until
 * his commit is done, and each statement sees all that was committed before it.
 */
export async function writeIncidentsOf(
  tx: Transaction,
  input: StageInput,
): Promise<readonly IncidentChange[]> {
  if (!changesGaps(input) && input.span === null) return [];
  await tx.query(
    changesGaps(input)
      ? `SELECT pg_advisory_xact_lock(${LOCK})`
      : `SELECT pg_advisory_xact_lock_shared(${LOCK})`,
  );
  const stage = followGaps(input, POSTGRES);
  let step = stage.next([]);
  while (!step.done) {
    const { sql, params } = step.value;
    step = stage.next((await tx.query(sql, params)).rows);
  }
  return step.value;
}
