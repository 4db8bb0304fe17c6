import type { Dialect } from "./dialect.ts";
import { FLEET, UNGROUPED } from "./incidents.ts";
import type { Row } from "./query.ts";
import { isoFromMs, toNumber, toNumberOrNull } from "./values.ts";

/** A statement with its parameters ($1, $2, …); whoever drives the stage gives its rows back. */
export type Asking = { readonly sql: string; readonly params: readonly unknown[] };

/** A stage under way: driven by `drive`, or by awaiting each answer. */
export type Stage<T> = Generator<Asking, T, readonly Row[]>;

/** Runs a stage on a database that answers at once. */
export function drive<T>(stage: Stage<T>, answer: (asking: Asking) => readonly Row[]): T {
  let step = stage.next([]);
  while (!step.done) step = stage.next(answer(step.value));
  return step.value;
}

/** What became of an incident. */
export type IncidentChange = {
  readonly change: "opened" | "grew" | "closed" | "withdrawn";
  readonly incident_id: string;
  readonly meters: number;
  readonly expected: number;
};

/** An incident as it is to be written. */
export type IncidentRow = {
  readonly incident_id: string;
  readonly group_id: string;
  readonly slot_ms: number;
  /** The same as `slot_ms` where starts of the next slot do not join. */
  readonly next_ms: number;
  readonly to_ms: number | null;
  readonly state: "OPEN" | "CLOSED" | "WITHDRAWN";
  readonly meters: number;
  readonly expected: number;
  readonly needed: number;
};

/** What is read of stored incidents: a row as it is written, with `to_ms` left out. */
export const INCIDENT_COLUMNS =
  "incident_id, group_id, slot_ms, next_ms, state, meters, expected, needed";

const FIELDS = {
  incident_id: "text",
  group_id: "text",
  slot_ms: "bigint",
  next_ms: "bigint",
  to_ms: "bigint",
  state: "text",
  meters: "bigint",
  expected: "bigint",
  needed: "bigint",
} as const;

/** `group@2013-02-10T22:00:00Z` */
export function incidentId(groupId: string, slotMs: number): string {
  return `${groupId}@${isoFromMs(slotMs)}`;
}

/**
 * Makes the stored incidents those that were found. One that was told of and is none any more is
 * WITHDRAWN only where late readings took its starts; where too little was known when it was found
 * (another partition had not come so far), it is gone as if it had never been.
 */
export function* writeIncidents(
  found: readonly IncidentRow[],
  stored: readonly { readonly row: Row }[],
  dialect: Dialect,
): Stage<IncidentChange[]> {
  const before = new Map(stored.map(({ row }) => [String(row.incident_id), row]));
  const changes = found.flatMap((row) => changeOf(row, before.get(row.incident_id)));
  for (const { incident_id: id } of found) before.delete(id);
  for (const row of before.values()) {
    if (row.state !== "WITHDRAWN") changes.push(withdrawn(row));
  }
  if (before.size > 0) {
    const ids = [...before.keys()];
    yield {
      sql: `DELETE FROM incidents WHERE incident_id IN (${dialect.texts("$1")})`,
      params: [JSON.stringify(ids)],
    };
  }
  if (found.length > 0) {
    yield {
      sql: `INSERT INTO incidents AS i
          (incident_id, group_id, "from", "to", state, meters, expected, needed, slot_ms, next_ms)
        SELECT incident_id, group_id, ${dialect.fromMs("slot_ms")}, ${dialect.fromMs("to_ms")},
          state, meters, expected, needed, slot_ms, next_ms
        FROM ${dialect.objects("$1", FIELDS)} WHERE true
        ON CONFLICT (incident_id) DO UPDATE SET "to" = excluded."to", state = excluded.state,
          meters = excluded.meters, expected = excluded.expected, needed = excluded.needed,
          next_ms = excluded.next_ms
          WHERE (i."to", i.state, i.meters, i.expected, i.needed, i.next_ms) IS DISTINCT FROM
            (excluded."to", excluded.state, excluded.meters, excluded.expected, excluded.needed,
             excluded.next_ms)`,
      params: [JSON.stringify(found)],
    };
  }
  return changes;
}

function withdrawn(row: Row): IncidentChange {
  return {
    change: "withdrawn",
    incident_id: String(row.incident_id),
    meters: toNumber(row.meters),
    expected: toNumber(row.expected),
  };
}

/** What is to be said of an incident: it is said again each time its meters double. */
function changeOf(row: IncidentRow, before: Row | undefined): IncidentChange[] {
  const { incident_id, meters, expected, state } = row;
  const said = (change: IncidentChange["change"]) => [{ change, incident_id, meters, expected }];
  const wasThere = before !== undefined && before.state !== "WITHDRAWN";
  if (state === "WITHDRAWN") return wasThere ? said("withdrawn") : [];
  if (state === "CLOSED") return before?.state === "CLOSED" ? [] : said("closed");
  if (before?.state !== "OPEN") return said("opened");
  const doublings = (meters: number, needed: number) => Math.floor(Math.log2(meters / needed));
  const earlier = doublings(toNumber(before.meters), toNumber(before.needed));
  return doublings(meters, row.needed) > earlier ? said("grew") : [];
}

/** How many meters of a group could start a gap at a time: those active, and read not too long before. */
export function* countExpected(
  { groupId, atMs, silentAfterMs }: {
    readonly groupId: string;
    readonly atMs: number;
    readonly silentAfterMs: number;
  },
  dialect: Dialect,
): Stage<number> {
  const at = dialect.whole("$1");
  const after = dialect.whole("$2");
  const isGroup = groupId !== FLEET && groupId !== UNGROUPED;
  const inForce = `${dialect.toMs("m.in_force")} <= ${at}
    AND NOT EXISTS (
      SELECT 1 FROM meters n WHERE n.meter_id = m.meter_id AND n.channel = m.channel
        AND n.version > m.version AND ${dialect.toMs("n.in_force")} <= ${at})`;
  const isInactive = `(${dialect.toMs("m.active_from")} > ${at}
    OR ${dialect.toMs("m.active_to")} <= ${at})`;
  const where = [
    `meter_id NOT IN (
      SELECT meter_id FROM metrics WHERE metric_type = 'meter_retired'
        AND ${dialect.toMs("time")} > ${after} AND ${dialect.toMs("time")} <= ${at})`,
    `meter_id NOT IN (SELECT meter_id FROM meters m WHERE ${inForce} AND ${isInactive})`,
  ];
  if (isGroup) {
    where.push(`meter_id IN (SELECT meter_id FROM meters m WHERE m.group_id = $3 AND ${inForce})`);
  } else if (groupId === UNGROUPED) {
    where.push(
      `meter_id NOT IN (SELECT meter_id FROM meters m WHERE m.group_id IS NOT NULL AND ${inForce})`,
    );
  }
  const [row] = yield {
    sql: `SELECT count(*) AS n FROM (${
      dialect.metersRead({ after, to: at }, where.join("\n AND "))
    }) AS read_meters`,
    params: [atMs, atMs - silentAfterMs, ...(isGroup ? [groupId] : [])],
  };
  return toNumber(row.n);
}

/** Where gaps end, as rows of `slot_ms, end_ms, meters` say it. */
export function endsOf(
  rows: readonly Row[],
  slots: readonly number[],
): { readonly endMs: number | null; readonly meters: number }[] {
  return rows.filter((row) => slots.includes(toNumber(row.slot_ms))).map((row) => ({
    endMs: toNumberOrNull(row.end_ms),
    meters: toNumber(row.meters),
  }));
}
