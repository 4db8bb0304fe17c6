import type { GapAlert, Metric, Outputs } from "../core/outputs.ts";
import { gapId } from "../core/wire/output_json.ts";
import type { Dialect } from "./dialect.ts";
import {
  closedAtMs,
  findIncidents,
  FLEET,
  type FoundIncident,
  HISTORY_MS,
  slotOf,
  type SlotStarts,
  UNGROUPED,
} from "./incidents.ts";
import { followFleet } from "./incident_fleet.ts";
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
import type { Row } from "./query.ts";
import { keepRegistry } from "./registry.ts";
import { toNumber, toNumberOrNull } from "./values.ts";

/*
 * The second stage, in the transaction that writes gaps: it brings `incidents` to what the gaps that
 * are there now make them. A group's meters lie in several partitions, so no partition can count them.
 * It asks and writes by turns, so that one text runs on both databases, whichever way they answer.
 */

/** A version of what the registry says of a meter, in force from a time on. */
export type Registered = {
  readonly meterId: string;
  readonly inForceMs: number;
  readonly tags: Readonly<Record<string, string>>;
};

/** What messages tell the stage. */
export type Told = {
  /** As they were told of last. */
  readonly gaps: readonly GapAlert[];
  /** Meters whose silence is over though they do not report: they were retired, or forgotten. */
  readonly ended: readonly { readonly meterId: string; readonly atMs: number }[];
  /** Versions of the registry. */
  readonly registered: readonly Registered[];
  /** Event times of readings; null: there are none. */
  readonly span: { readonly first: number; readonly last: number } | null;
};

/** What a commit tells the stage. */
export type StageInput = Told & {
  readonly partition: number;
  /** A meter without a reading for so long starts no gap. */
  readonly silentAfterMs: number;
};

const ENDINGS = ["meter_retired", "meter_forgotten", "meter_begun"];

/** What the outputs of a partition tell the stage. */
export function stageInput(
  { validated, gaps, metrics }: Pick<Outputs, "validated" | "gaps" | "metrics">,
  { partition, silentAfterMs }: Pick<StageInput, "partition" | "silentAfterMs">,
): StageInput {
  let first = Infinity;
  let last = -Infinity;
  for (const { timestampMs } of validated) {
    if (timestampMs < first) first = timestampMs;
    if (timestampMs > last) last = timestampMs;
  }
  return {
    partition,
    gaps: [...new Map(gaps.map((gap) => [gapId(gap), gap])).values()],
    ended: metrics.flatMap(endingOf),
    registered: metrics.flatMap(registeredOf),
    span: first > last ? null : { first, last },
    silentAfterMs,
  };
}

/** What several batches of messages tell together. */
export function joinTold(told: readonly Told[]): Told {
  const spans = told.flatMap(({ span }) => span ?? []);
  const gaps = told.flatMap((each) => each.gaps);
  return {
    gaps: [...new Map(gaps.map((gap) => [gapId(gap), gap])).values()],
    ended: told.flatMap(({ ended }) => ended),
    registered: told.flatMap(({ registered }) => registered),
    span: spans.length === 0 ? null : {
      first: Math.min(...spans.map(({ first }) => first)),
      last: Math.max(...spans.map(({ last }) => last)),
    },
  };
}

/** The end of a meter's silence that a metric tells of. */
export function endingOf(
  { metricType, meterId, timestampMs }: Pick<Metric, "metricType" | "meterId" | "timestampMs">,
): StageInput["ended"] {
  return meterId === null || !ENDINGS.includes(metricType) ? [] : [{ meterId, atMs: timestampMs }];
}

/** What a metric tells of the registry. */
export function registeredOf(
  { metricType, meterId, timestampMs, tags }: Omit<Metric, "offset" | "value">,
): readonly Registered[] {
  return meterId === null || metricType !== "meter_registered"
    ? []
    : [{ meterId, inForceMs: timestampMs, tags }];
}

/** Whether a commit can change incidents by its gaps; by its readings alone it may end some. */
export function changesGaps({ gaps, ended, registered }: StageInput): boolean {
  return gaps.length > 0 || ended.length > 0 || registered.length > 0;
}

/** From which slot on the incidents of a group are to be looked at anew. */
type Touched = Map<string, number>;

/** Brings the incidents to what the gaps make them once this commit is written. */
export function* followGaps(input: StageInput, dialect: Dialect): Stage<IncidentChange[]> {
  const touched: Touched = new Map();
  if (input.registered.length > 0) yield* keepRegistry(input.registered, dialect);
  if (input.gaps.length > 0) yield* keepStarts(input, dialect, touched);
  if (input.ended.length > 0) yield* endSilences(input, dialect, touched);
  if (input.span !== null) yield* touchExpected(input, dialect, touched);
  const changes: IncidentChange[] = [];
  if (touched.size === 0) return changes;
  const groups = yield* countGroups();
  for (const [groupId, fromMs] of [...touched].sort()) {
    const group = { groupId, fromMs, groups, silentAfterMs: input.silentAfterMs };
    changes.push(...yield* followGroup(group, dialect));
  }
  if (groups > 1) {
    const fromMs = Math.min(...touched.values());
    const { silentAfterMs } = input;
    changes.push(...yield* followFleet({ fromMs, groups, silentAfterMs }, dialect));
  }
  return changes;
}

/** Keeps where the gaps of a commit start. */
function* keepStarts(
  { gaps, partition }: StageInput,
  dialect: Dialect,
  touched: Touched,
): Stage<void> {
  const rows = yield {
    sql: `INSERT INTO gap_starts
        (meter_id, gap_id, source_partition, source_offset, group_id, slot_ms, announced_ms, step_ms,
         is_missing, end_ms)
      SELECT meter_id, gap_id, ${dialect.whole("$2")}, source_offset,
        coalesce((
          SELECT m.group_id FROM meters m
          WHERE m.meter_id = given.meter_id AND ${dialect.toMs("m.in_force")} <= announced_ms
          ORDER BY m.version DESC LIMIT 1),
          CASE WHEN EXISTS (
            SELECT 1 FROM meters m
            WHERE m.group_id IS NOT NULL AND ${dialect.toMs("m.in_force")} <= announced_ms
          ) THEN '${UNGROUPED}' ELSE '${FLEET}' END),
        slot_ms, announced_ms, step_ms, is_missing, end_ms
      FROM ${dialect.objects("$1", GAP_FIELDS)} WHERE true
      ON CONFLICT (meter_id, gap_id, source_partition) DO UPDATE SET
        source_offset = excluded.source_offset,
        slot_ms = CASE WHEN excluded.is_missing = 1 THEN excluded.slot_ms
                       ELSE gap_starts.announced_ms END,
        step_ms = CASE WHEN excluded.step_ms = 0 THEN gap_starts.step_ms ELSE excluded.step_ms END,
        is_missing = excluded.is_missing, end_ms = excluded.end_ms
        WHERE gap_starts.source_offset <= excluded.source_offset
      RETURNING group_id, announced_ms`,
    params: [JSON.stringify(gaps.map(startOf)), partition],
  };
  for (const row of rows) touch(touched, String(row.group_id), toNumber(row.announced_ms));
}

const GAP_FIELDS = {
  meter_id: "text",
  gap_id: "text",
  source_offset: "bigint",
  slot_ms: "bigint",
  announced_ms: "bigint",
  step_ms: "bigint",
  is_missing: "bigint",
  end_ms: "bigint",
} as const;

function startOf(gap: GapAlert): Record<keyof typeof GAP_FIELDS, string | number | null> {
  const { meterId, idMs, missingFromMs, missingToMs, missingIntervals, state, offset } = gap;
  const stepMs = missingIntervals === 0
    ? 0
    : Math.round((missingToMs - missingFromMs) / missingIntervals);
  return {
    meter_id: meterId,
    gap_id: gapId(gap),
    source_offset: offset,
    slot_ms: slotOf(missingFromMs, stepMs),
    announced_ms: slotOf(idMs, stepMs),
    step_ms: stepMs,
    is_missing: state === "FILLED" ? 0 : 1,
    end_ms: state === "CLOSED" || state === "FILLED" ? missingToMs : null,
  };
}

function touch(touched: Touched, groupId: string, fromMs: number): void {
  touched.set(groupId, Math.min(fromMs, touched.get(groupId) ?? Infinity));
}

/** A meter that was retired or forgotten is missing no longer. */
function* endSilences(
  { ended, partition }: StageInput,
  dialect: Dialect,
  touched: Touched,
): Stage<void> {
  const given = dialect.objects("$1", { meter_id: "text", at_ms: "bigint" });
  const rows = yield {
    sql: `UPDATE gap_starts SET end_ms = (
        SELECT max(at_ms) FROM ${given} WHERE given.meter_id = gap_starts.meter_id)
      WHERE end_ms IS NULL AND source_partition = ${dialect.whole("$2")}
        AND meter_id IN (SELECT meter_id FROM ${given})
        AND slot_ms < (
          SELECT max(at_ms) FROM ${given} WHERE given.meter_id = gap_starts.meter_id)
      RETURNING group_id, announced_ms`,
    params: [
      JSON.stringify(ended.map(({ meterId, atMs }) => ({ meter_id: meterId, at_ms: atMs }))),
      partition,
    ],
  };
  for (const row of rows) touch(touched, String(row.group_id), toNumber(row.announced_ms));
}

/** Readings tell how many meters were expected: incidents that they are near are looked at anew. */
function* touchExpected(
  { span, silentAfterMs }: StageInput,
  dialect: Dialect,
  touched: Touched,
): Stage<void> {
  if (span === null) return;
  const rows = yield {
    sql: `SELECT group_id, min(slot_ms) AS slot_ms FROM incidents
      WHERE slot_ms >= ${dialect.whole("$1")} AND slot_ms < ${dialect.whole("$2")}
      GROUP BY group_id`,
    params: [span.first, span.last + silentAfterMs],
  };
  for (const row of rows) touch(touched, String(row.group_id), toNumber(row.slot_ms));
}

/** How many groups there are: those of the registry, or the fleet. */
function* countGroups(): Stage<number> {
  const [row] = yield { sql: "SELECT count(DISTINCT group_id) AS n FROM meters", params: [] };
  return Math.max(1, toNumber(row.n));
}

type Group = {
  readonly groupId: string;
  readonly fromMs: number;
  readonly groups: number;
  readonly silentAfterMs: number;
};

/** An incident as its row has it. */
type Stored = { readonly row: Row; readonly slotMs: number; readonly nextMs: number };

/** Brings the incidents of a group from a slot on to what its gaps make them. */
function* followGroup(group: Group, dialect: Dialect): Stage<IncidentChange[]> {
  const { groupId, groups, silentAfterMs } = group;
  const stored = yield* readStored(group, dialect);
  // One whose next slot is touched has other meters, too.
  const fromMs = Math.min(
    group.fromMs,
    ...stored.filter(({ nextMs }) => nextMs >= group.fromMs).map(({ slotMs }) => slotMs),
  );
  const slots = yield* readStarts({ ...group, fromMs }, dialect);
  const before = stored.filter(({ slotMs, row }) => slotMs < fromMs && row.state !== "WITHDRAWN");
  const expected = new Map<number, number>();
  let found = findIncidents(slots, { fromMs, before, groups, expected });
  while (found.unknown.length > 0) {
    for (const atMs of found.unknown) {
      expected.set(atMs, yield* countExpected({ groupId, atMs, silentAfterMs }, dialect));
    }
    found = findIncidents(slots, { fromMs, before, groups, expected });
  }
  const ends = yield* readEnds(groupId, found.incidents, dialect);
  const rows = found.incidents.map((incident) => incidentRow(groupId, incident, ends));
  return yield* writeIncidents(rows, stored.filter(({ slotMs }) => slotMs >= fromMs), dialect);
}

/** The incidents of a group that what starts from a slot on depends on, oldest first. */
function* readStored({ groupId, fromMs }: Group, dialect: Dialect): Stage<Stored[]> {
  // Those of the whole fleet have no next slot.
  const rows = yield {
    sql: `SELECT ${INCIDENT_COLUMNS} FROM incidents
      WHERE group_id = $1 AND slot_ms >= ${dialect.whole("$2")} AND next_ms > slot_ms
      ORDER BY slot_ms`,
    params: [groupId, fromMs - 2 * HISTORY_MS],
  };
  return rows.map((row) => ({ row, slotMs: toNumber(row.slot_ms), nextMs: toNumber(row.next_ms) }));
}

/** Where gaps of a group start, from 28 days before a slot on. */
function* readStarts({ groupId, fromMs }: Group, dialect: Dialect): Stage<SlotStarts[]> {
  const since = `group_id = $1 AND slot_ms >= ${dialect.whole("$2")}`;
  // What was told of a slot is what starts there, and what late readings have taken of it.
  const rows = yield {
    sql: `SELECT slot_ms, min(nullif(step_ms, 0)) AS step_ms, sum(starts) AS starts,
        sum(announced) AS announced
      FROM (
        SELECT slot_ms, min(step_ms) AS step_ms, count(*) AS starts,
          count(*) FILTER (WHERE announced_ms = slot_ms) AS announced
        FROM gap_starts WHERE ${since} AND is_missing = 1 GROUP BY slot_ms
        UNION ALL
        SELECT announced_ms, min(step_ms), 0, count(*)
        FROM gap_starts WHERE ${since} AND (is_missing = 0 OR announced_ms <> slot_ms)
        GROUP BY announced_ms
      ) AS counted
      GROUP BY slot_ms ORDER BY slot_ms`,
    params: [groupId, fromMs - HISTORY_MS],
  };
  return rows.map((row) => ({
    slotMs: toNumber(row.slot_ms),
    stepMs: toNumberOrNull(row.step_ms) ?? UNKNOWN_STEP_MS,
    starts: toNumber(row.starts),
    announced: toNumber(row.announced),
  }));
}

/** Of gaps that were filled before they were written nobody knows how long a slot was. */
const UNKNOWN_STEP_MS = 1_800_000;

/** Where the gaps of incidents end, by the slot in which they start. */
function* readEnds(
  groupId: string,
  incidents: readonly FoundIncident[],
  dialect: Dialect,
): Stage<readonly Row[]> {
  const slots = incidents.flatMap(({ slotMs, nextMs }) => [slotMs, nextMs]);
  if (slots.length === 0) return [];
  return yield {
    sql: `SELECT slot_ms, end_ms, count(*) AS meters FROM gap_starts
      WHERE group_id = $1 AND is_missing = 1
        AND slot_ms IN (SELECT slot_ms FROM ${dialect.objects("$2", { slot_ms: "bigint" })})
      GROUP BY slot_ms, end_ms`,
    params: [groupId, JSON.stringify(slots.map((slotMs) => ({ slot_ms: slotMs })))],
  };
}

function incidentRow(
  groupId: string,
  { slotMs, nextMs, meters, expected, needed, isWithdrawn }: FoundIncident,
  ends: readonly Row[],
): IncidentRow {
  const toMs = isWithdrawn ? slotMs : closedAtMs(endsOf(ends, [slotMs, nextMs]), needed);
  return {
    incident_id: incidentId(groupId, slotMs),
    group_id: groupId,
    slot_ms: slotMs,
    next_ms: nextMs,
    to_ms: toMs,
    state: isWithdrawn ? "WITHDRAWN" : toMs === null ? "OPEN" : "CLOSED",
    meters,
    expected,
    needed,
  };
}
