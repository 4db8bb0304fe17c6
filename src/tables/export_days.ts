import { codeOf } from "./quality.ts";
import type { Query } from "./query.ts";
import { toNumber, toTextOrNull, toTexts } from "./values.ts";

const DAY_MS = 86_400_000;
/** Meters of a day that are read at a time. */
const METERS_MAX = 500;

/** What an export is of. */
export type ExportFilter = {
  readonly meterId: string | null;
  /** UTC days since 1970: the first, and the first that is not exported any more. */
  readonly fromDay: number;
  readonly toDay: number;
  readonly withEstimates: boolean;
};

/** A reading as it is exported: measured, or estimated by a method; with its quality (CIM). */
export type ExportRow = {
  readonly meterId: string;
  readonly channel: string;
  readonly time: string;
  readonly kwh: number;
  readonly kind: "measured" | "estimated";
  readonly code: string;
  readonly method: string | null;
  /** The rules that it fails. */
  readonly flags: readonly string[];
};

/** The days of which an embedded store has readings or estimates; null: it has none. */
export async function exportedDays(
  query: Query,
): Promise<{ readonly first: number; readonly last: number } | null> {
  const [row] = await query(
    `SELECT min(day) AS first, max(day) AS last FROM (
       SELECT day FROM meter_days UNION ALL
       SELECT CAST(julianday(substr(time, 1, 10)) - julianday('1970-01-01') AS INTEGER)
       FROM estimated_readings WHERE withdrawn = 0)`,
  );
  if (row === undefined || row.first === null) return null;
  return { first: toNumber(row.first), last: toNumber(row.last) };
}

/**
 * The current readings of an embedded store, and the estimates where nothing was read, by day, meter and
 * time; some meters of a day at a time.
 */
export async function* exportDays(
  query: Query,
  filter: ExportFilter,
): AsyncGenerator<ExportRow[]> {
  for (let day = filter.fromDay; day < filter.toDay; day++) {
    const found = await findingsOf(query, day);
    for (let after = "";;) {
      const until = await lastMeter(query, day, after);
      if (until === null) break;
      const rows = await rowsOf(query, filter, { day, after, until });
      if (rows.length > 0) yield rows.map((row) => exported(row, found));
      after = until;
    }
  }
}

/** The id of the last of the next meters of a day; null: there is none. */
async function lastMeter(query: Query, day: number, after: string): Promise<string | null> {
  const [row] = await query(
    `SELECT max(meter_id) AS until FROM (
       SELECT meter_id FROM meter_days WHERE day = $1 AND meter_id > $2
       UNION SELECT meter_id FROM estimated_readings
       WHERE withdrawn = 0 AND substr(time, 1, 10) = $3 AND meter_id > $2
       ORDER BY meter_id LIMIT ${METERS_MAX})`,
    [day, after, textOf(day)],
  );
  return toTextOrNull(row?.until);
}

async function rowsOf(
  query: Query,
  { meterId, withEstimates }: ExportFilter,
  { day, after, until }: { readonly day: number; readonly after: string; readonly until: string },
) {
  const ofMeter = meterId === null ? "" : "AND meter_id = $5";
  return await query(
    `SELECT * FROM (
     SELECT meter_id, channel, time, consumption_kwh, flags, NULL AS method, NULL AS code
     FROM readings_by_day WHERE day = $1 AND meter_id > $2 AND meter_id <= $3 ${ofMeter}
       AND (source_partition, source_offset) NOT IN (
         SELECT source_partition, revised_offset FROM revisions WHERE revised_offset IS NOT NULL)
     UNION ALL
     SELECT meter_id, channel, time, consumption_kwh, '[]', method, code FROM estimated_readings
     WHERE withdrawn = 0 AND substr(time, 1, 10) = $4 AND meter_id > $2 AND meter_id <= $3
       AND ${withEstimates ? "1" : "0"} ${ofMeter})
     ORDER BY meter_id, channel, rtrim(time, 'Z')`,
    [day, after, until, textOf(day), ...(meterId === null ? [] : [meterId])],
  );
}

type Found = { readonly rule: string; readonly fromMs: number; readonly toMs: number };

/** What rules have found on a day, by meter. */
async function findingsOf(query: Query, day: number): Promise<Map<string, Found[]>> {
  const rows = await query(
    `SELECT meter_id, rule, "from", "to" FROM validation_records
     WHERE rtrim("from", 'Z') < $1 AND rtrim("to", 'Z') > $2`,
    [textOf(day + 1), textOf(day)],
  );
  const found = new Map<string, Found[]>();
  for (const row of rows) {
    const id = String(row.meter_id);
    const [fromMs, toMs] = [Date.parse(String(row.from)), Date.parse(String(row.to))];
    found.set(id, [...found.get(id) ?? [], { rule: String(row.rule), fromMs, toMs }]);
  }
  return found;
}

function exported(
  row: Readonly<Record<string, unknown>>,
  found: ReadonlyMap<string, readonly Found[]>,
): ExportRow {
  const [meterId, time, kwh] = [
    String(row.meter_id),
    String(row.time),
    toNumber(row.consumption_kwh),
  ];
  const method = toTextOrNull(row.method);
  const base = { meterId, channel: String(row.channel), time, kwh, method };
  if (method !== null) {
    return { ...base, kind: "estimated", code: String(row.code), flags: [] };
  }
  const ms = Date.parse(time);
  const flags = new Set(toTexts(row.flags));
  for (const { rule, fromMs, toMs } of found.get(meterId) ?? []) {
    if (ms >= fromMs && ms < toMs) flags.add(rule);
  }
  return { ...base, kind: "measured", code: codeOf(flags, kwh), flags: [...flags] };
}

function textOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
