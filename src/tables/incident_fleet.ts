import type { Dialect } from "./dialect.ts";
import {
  countExpected,
  endsOf,
  INCIDENT_COLUMNS,
  type IncidentChange,
  incidentId,
  type IncidentRow,
  type Stage,
  writeIncidents,
} from "./incident_rows.ts";
import { closedAtMs, FLEET, fleetNeeds } from "./incidents.ts";
import { toNumber } from "./values.ts";

/**
 * Brings the incidents of all groups together, from a slot on, to what the groups' own make them: where
 * half of the groups and half of the expected meters fail in one slot, it is one.
 */
export function* followFleet(
  { fromMs, groups, silentAfterMs }: {
    readonly fromMs: number;
    readonly groups: number;
    readonly silentAfterMs: number;
  },
  dialect: Dialect,
): Stage<IncidentChange[]> {
  const from = dialect.whole("$1");
  const stored = yield {
    sql: `SELECT ${INCIDENT_COLUMNS} FROM incidents
      WHERE group_id = '${FLEET}' AND next_ms = slot_ms AND slot_ms >= ${from}`,
    params: [fromMs],
  };
  const together = yield {
    sql: `SELECT slot_ms, count(*) AS failing, sum(meters) AS meters FROM incidents
      WHERE slot_ms >= ${from} AND next_ms > slot_ms AND state <> 'WITHDRAWN'
      GROUP BY slot_ms HAVING count(*) >= ${dialect.whole("$2")} ORDER BY slot_ms`,
    params: [fromMs, fleetNeeds({ groups, expected: 0 }).groups],
  };
  const found: IncidentRow[] = [];
  for (const row of together) {
    const atMs = toNumber(row.slot_ms);
    const meters = toNumber(row.meters);
    const expected = yield* countExpected({ groupId: FLEET, atMs, silentAfterMs }, dialect);
    const needed = fleetNeeds({ groups, expected }).meters;
    if (meters < needed) continue;
    const toMs = yield* fleetEnd(atMs, needed, dialect);
    found.push({
      ...{ incident_id: incidentId(FLEET, atMs), group_id: FLEET, slot_ms: atMs, next_ms: atMs },
      ...{ to_ms: toMs, state: toMs === null ? "OPEN" : "CLOSED", meters, expected, needed },
    });
  }
  const changes = yield* writeIncidents(found, stored.map((row) => ({ row })), dialect);
  if (changes.length > 0 || found.length > 0) yield* linkParts(fromMs, dialect);
  return changes;
}

function* fleetEnd(atMs: number, needed: number, dialect: Dialect): Stage<number | null> {
  const rows = yield {
    sql: `SELECT i.slot_ms, s.end_ms, count(*) AS meters
      FROM incidents i
      JOIN gap_starts s ON s.group_id = i.group_id AND s.slot_ms IN (i.slot_ms, i.next_ms)
      WHERE i.slot_ms = ${dialect.whole("$1")} AND i.next_ms > i.slot_ms
        AND i.state <> 'WITHDRAWN' AND s.is_missing = 1
      GROUP BY i.slot_ms, s.end_ms`,
    params: [atMs],
  };
  return closedAtMs(endsOf(rows, [atMs]), needed);
}

/** Says of the groups' incidents which of them are part of one of the whole fleet. */
function* linkParts(fromMs: number, dialect: Dialect): Stage<void> {
  const whole = `SELECT w.incident_id FROM incidents w
    WHERE w.group_id = '${FLEET}' AND w.next_ms = w.slot_ms AND w.slot_ms = incidents.slot_ms`;
  yield {
    sql: `UPDATE incidents SET part_of = (${whole})
      WHERE slot_ms >= ${dialect.whole("$1")} AND next_ms > slot_ms
        AND part_of IS DISTINCT FROM (${whole})`,
    params: [fromMs],
  };
}
