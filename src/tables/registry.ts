import type { Registration } from "../core/wire/registration.ts";
import type { Dialect } from "./dialect.ts";
import type { Stage } from "./incident_rows.ts";
import type { Registered } from "./incident_stage.ts";
import type { Query, Row } from "./query.ts";
import {
  isoFromMs,
  toIsoOrNull,
  toMsOrNull,
  toNumber,
  toNumberOrNull,
  toTextOrNull,
} from "./values.ts";

const FIELDS = {
  meter_id: "text",
  channel: "text",
  version: "text",
  in_force: "text",
  group_id: "text",
  interval_minutes: "text",
  timezone: "text",
  active_from: "text",
  active_to: "text",
  direction: "text",
  max_kw: "text",
} as const;

const NAMES = Object.keys(FIELDS).join(", ");

/**
 * Keeps versions of the registry in `meters`, in the transaction of the metrics that tell of them. One
 * that is there stays as it is.
 */
export function* keepRegistry(registered: readonly Registered[], dialect: Dialect): Stage<void> {
  const rows = registered.map(({ meterId, inForceMs, tags }) => ({
    ...{ meter_id: meterId, channel: "", in_force: isoFromMs(inForceMs) },
    ...tags,
  }));
  const number = (name: string) => `CAST(${name} AS double precision)`;
  yield {
    sql: `INSERT INTO meters (${NAMES})
      SELECT meter_id, channel, CAST(version AS integer), ${dialect.time("in_force")}, group_id,
        ${number("interval_minutes")}, timezone, ${dialect.time("active_from")},
        ${dialect.time("active_to")}, direction, ${number("max_kw")}
      FROM ${dialect.objects("$1", FIELDS)} WHERE true ON CONFLICT DO NOTHING`,
    params: [JSON.stringify(rows)],
  };
}

/** A meter as the registry has it now. */
export type RegisteredMeter = Registration & { readonly inForce: string | null };

/** The registry as it is in force, by meter. */
export async function readRegistry(query: Query): Promise<RegisteredMeter[]> {
  const rows = await query("SELECT * FROM meters_current ORDER BY meter_id, channel");
  return rows.map(meterOf);
}

function meterOf(row: Row): RegisteredMeter {
  return {
    meterId: String(row.meter_id),
    channel: String(row.channel),
    version: toNumber(row.version),
    group: toTextOrNull(row.group_id),
    intervalMinutes: toNumberOrNull(row.interval_minutes),
    timezone: toTextOrNull(row.timezone),
    activeFromMs: toMsOrNull(row.active_from),
    activeToMs: toMsOrNull(row.active_to),
    direction: toTextOrNull(row.direction),
    maxKw: toNumberOrNull(row.max_kw),
    inForce: toIsoOrNull(row.in_force),
  };
}
