import { conditions, cutToLimit, type List } from "./lists.ts";
import { dialectOf, type ListPage, type Query } from "./query.ts";
import { isoFromMs, toIsoOrNull, toNumber, toTextOrNull } from "./values.ts";

/** The states of an incident, as the store has them. */
export const INCIDENT_STATES = ["OPEN", "CLOSED", "WITHDRAWN"] as const;

/** Of an incident: still going on, over, or taken back by late readings. */
export type IncidentState = typeof INCIDENT_STATES[number];

/** A shared outage. */
export type Incident = {
  /** `group@first slot` */
  readonly incident_id: string;
  readonly group_id: string;
  /** The slot in which its gaps start. */
  readonly from: string | null;
  /** The first slot in which fewer than `needed` of its meters are missing; null while it goes on. */
  readonly to: string | null;
  readonly state: IncidentState;
  readonly meters: number;
  /** Meters of the group that could have started a gap. */
  readonly expected: number;
  /** So many had to, to be more than chance. */
  readonly needed: number;
  /** The incident of the whole fleet that it belongs to. */
  readonly part_of: string | null;
};

/** Which incidents are wanted; null is all. A span of event time takes every one that touches it. */
export type IncidentFilter = {
  readonly state: IncidentState | null;
  readonly groupId: string | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
};

/** Incidents, the latest first and the withdrawn last; those of the whole fleet before its groups'. */
export async function listIncidents(
  query: Query,
  filter: IncidentFilter & ListPage,
): Promise<List<Incident>> {
  const { order, time } = dialectOf(query);
  const where = conditions([
    ["state = $?", filter.state],
    ["group_id = $?", filter.groupId],
    [`("to" IS NULL OR ${order('"to"')} > ${order(time("$?"))})`, isoFromMs(filter.fromMs)],
    [`${order('"from"')} < ${order(time("$?"))}`, isoFromMs(filter.toMs)],
  ]);
  const rows = await query(
    `SELECT * FROM incidents ${where.sql}
     ORDER BY CASE state WHEN 'WITHDRAWN' THEN 1 ELSE 0 END, slot_ms DESC, part_of IS NOT NULL, meters DESC, incident_id
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    incident_id: String(row.incident_id),
    group_id: String(row.group_id),
    from: toIsoOrNull(row.from),
    to: toIsoOrNull(row.to),
    state: row.state as IncidentState,
    meters: toNumber(row.meters),
    expected: toNumber(row.expected),
    needed: toNumber(row.needed),
    part_of: toTextOrNull(row.part_of),
  }));
}

/** Incidents by state; a state without any is there with 0. */
export async function countIncidents(query: Query): Promise<Record<IncidentState, number>> {
  const rows = await query("SELECT state, count(*) AS n FROM incidents GROUP BY state");
  const counts = { OPEN: 0, CLOSED: 0, WITHDRAWN: 0 };
  for (const row of rows) counts[row.state as IncidentState] = toNumber(row.n);
  return counts;
}
