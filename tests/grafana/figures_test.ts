/**
 * What panels show, against what is counted of the readings and the other tables alone: nothing that
 * is kept in sums, no view and no function of ours.
 */
import assert from "node:assert/strict";
import { DASHBOARDS, type Panel } from "./dashboards.ts";
import { ask, type DemoStore, openDemo } from "./demo_store.ts";
import { expandQuery, intervalOf, type QueryContext } from "./macros.ts";

const DAY_MS = 86_400_000;

/**
 * The days of the range, whole; the missing slots, each half an hour behind the reading before it, up
 * to where slots are judged; the readings.
 */
const COUNTED = `WITH span AS (
    SELECT date_trunc('day', $from AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS first, $to AS last
  ), judged AS (
    SELECT partition, judged_to FROM positions
  ), steps AS (
    SELECT meter_id, time, coalesce(
             lead(time) OVER (PARTITION BY meter_id, source_partition ORDER BY time),
             judged_to + interval '30 minutes') AS next
    FROM validated_readings JOIN judged ON partition = source_partition
  ), missing AS (
    SELECT meter_id, slot, date_trunc('day', slot AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day
    FROM steps CROSS JOIN LATERAL
      generate_series(time + interval '30 minutes', next - interval '15 minutes', '30 minutes') AS slot
  ), missing_in AS (
    SELECT missing.* FROM missing, span WHERE day BETWEEN first AND last
  ), read AS (
    SELECT meter_id, time, status, flags, consumption_kwh,
           date_trunc('day', time AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day
    FROM validated_readings
  ), read_in AS (SELECT read.* FROM read, span WHERE day BETWEEN first AND last)`;

/** The meters of the range, each with what it has and what it lacks. */
const BY = (key: string) =>
  `slots AS (
    SELECT ${key} AS key, 1 AS valid, 0 AS missing, (status = 'LATE')::int AS late, consumption_kwh
    FROM read_in
    UNION ALL SELECT ${key}, 0, 1, 0, 0 FROM missing_in
  )`;

type Figure = {
  readonly dashboard: string;
  readonly panel: string;
  /** $from, $to and $meter stand for the range and the meter of the drill-down. */
  readonly sql: string;
  /** Panels that show columns beyond those compared, or hours that fall together. */
  readonly of?: (panel: string) => string;
  /** All of the data, and not the last four weeks. */
  readonly whole?: boolean;
};

const OVERVIEW = "data-quality-overview";
const SYSTEM = "system-health";
const METER = "meter-drill-down";
const sumOf = (column: string) => (panel: string) => `SELECT sum(${column}) FROM (${panel}) AS p`;
const byMetric = (panel: string) => `SELECT metric, sum(value) FROM (${panel}) AS p GROUP BY 1`;

const FIGURES: readonly Figure[] = [
  {
    ...{ dashboard: OVERVIEW, panel: "Completeness" },
    sql: `${COUNTED} SELECT 100.0 * (SELECT count(*) FROM read_in)
      / ((SELECT count(*) FROM read_in) + (SELECT count(*) FROM missing_in))`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Missing readings" },
    sql: `${COUNTED} SELECT count(*) FROM missing_in`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Late share" },
    sql: `${COUNTED} SELECT 100.0 * avg((status = 'LATE')::int) FROM read_in`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Rejected" },
    sql: "SELECT count(*) FROM rejected_readings WHERE time BETWEEN $from AND $to",
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Too late", whole: true },
    sql: "SELECT count(*) FROM late_events",
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Active meters" },
    sql: `SELECT count(DISTINCT meter_id) FROM validated_readings
      WHERE time > (SELECT max(watermark) FROM positions) - interval '24 hours'`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Open gaps" },
    sql: `SELECT count(*), max(extract(epoch FROM greatest(watermark, missing_to) - missing_from))
      FROM gap_alerts JOIN positions ON partition = source_partition WHERE state = 'OPEN'`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Newest data" },
    of: (panel) => `SELECT newest FROM (${panel}) AS p`,
    sql: "SELECT extract(epoch FROM max(watermark)) * 1000 FROM positions",
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Completeness by day" },
    sql: `${COUNTED}, ${BY("day")} SELECT key, 100.0 * sum(valid) / count(*) FROM slots GROUP BY 1`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Readings by day" },
    sql: `${COUNTED}, ${
      BY("day")
    } SELECT key, sum(valid - late) AS ok, sum(late) AS late, sum(missing) AS missing
      FROM slots GROUP BY 1`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Meters by completeness" },
    sql: `${COUNTED}, ${BY("meter_id")}
      SELECT key, 100.0 * sum(valid) / count(*) AS share, sum(missing) AS missing,
        sum(late) AS late, sum(consumption_kwh) AS kwh
      FROM slots GROUP BY 1`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Rejected by reason" },
    sql:
      `SELECT reason, count(*) AS readings, count(DISTINCT meter_id) AS meters, max(time) FROM rejected_readings
      WHERE time BETWEEN $from AND $to GROUP BY 1`,
  },
  {
    ...{ dashboard: OVERVIEW, panel: "Gaps by the hour they begin", whole: true, of: byMetric },
    sql: "SELECT state, count(*) FROM gap_alerts GROUP BY 1",
  },
  {
    ...{ dashboard: SYSTEM, panel: "Records by disposition", whole: true, of: byMetric },
    sql: `SELECT lower(status), count(*) FROM validated_readings GROUP BY 1
      UNION ALL SELECT 'too late', count(*) FROM late_events
      UNION ALL SELECT CASE WHEN reason IN ('DUPLICATE', 'CONFLICT') THEN 'duplicate'
        ELSE 'rejected' END, count(*) FROM rejected_readings GROUP BY 1`,
  },
  {
    ...{ dashboard: SYSTEM, panel: "Unusable records by fault", whole: true, of: byMetric },
    sql: `SELECT reason, count(*) FROM rejected_readings
      WHERE reason NOT IN ('DUPLICATE', 'CONFLICT') GROUP BY 1`,
  },
  {
    ...{ dashboard: SYSTEM, panel: "Ledger by partition" },
    of: (panel) =>
      `SELECT partition, ok, late, "too late", duplicate, rejected FROM (${panel}) AS p`,
    sql: `SELECT partition,
      (SELECT count(*) FROM validated_readings WHERE status = 'OK' AND source_partition = partition) AS ok,
      (SELECT count(*) FROM validated_readings WHERE status = 'LATE' AND source_partition = partition) AS late,
      (SELECT count(*) FROM late_events WHERE source_partition = partition) AS too_late,
      (SELECT count(*) FROM rejected_readings
       WHERE reason IN ('DUPLICATE', 'CONFLICT') AND source_partition = partition) AS duplicate,
      (SELECT count(*) FROM rejected_readings
       WHERE reason NOT IN ('DUPLICATE', 'CONFLICT') AND source_partition = partition) AS rejected
      FROM positions`,
  },
  {
    ...{ dashboard: SYSTEM, panel: "Missing intervals an hour", whole: true, of: sumOf("value") },
    sql: "SELECT sum(missing_intervals) FROM gap_alerts",
  },
  {
    ...{ dashboard: METER, panel: "Completeness" },
    sql: `${COUNTED}, ${BY("meter_id")} SELECT 100.0 * sum(valid) / count(*) FROM slots
      WHERE key = $meter`,
  },
  {
    ...{ dashboard: METER, panel: "Missing" },
    sql: `${COUNTED} SELECT count(*) FROM missing_in WHERE meter_id = $meter`,
  },
  {
    ...{ dashboard: METER, panel: "Readings" },
    sql: `${COUNTED} SELECT count(*) FROM read_in WHERE meter_id = $meter`,
  },
  {
    ...{ dashboard: METER, panel: "Late and too-late readings" },
    sql: `SELECT time, 'late', delay_seconds, consumption_kwh FROM validated_readings
      WHERE status = 'LATE' AND meter_id = $meter AND time BETWEEN $from AND $to
      UNION ALL SELECT event_timestamp, 'too late', delay_seconds, consumption_kwh FROM late_events
      WHERE meter_id = $meter AND event_timestamp BETWEEN $from AND $to`,
  },
];

function panelOf({ dashboard, panel }: Figure): Panel {
  const found = DASHBOARDS.get(dashboard)?.panels.find(({ title, type }) =>
    title === panel && type !== "row"
  );
  assert.ok(found, `${dashboard} has no panel ${panel}`);
  return found;
}

/** Rows as sorted lines: times as milliseconds, numbers to a millionth. */
async function linesOf({ client }: DemoStore, sql: string): Promise<string[]> {
  const { columns, rows } = await ask(client, sql);
  assert.equal(new Set(columns).size, columns.length, `columns twice: ${columns}`);
  const cell = (value: unknown) => {
    if (value instanceof Date) return String(value.getTime());
    const isNumber = typeof value !== "string" || /^-?[\d.]+$/.test(value);
    return isNumber && value !== null ? String(Math.round(Number(value) * 1e6) / 1e6) : `${value}`;
  };
  return rows.map((row) => columns.map((column) => cell(row[column])).join(" ")).sort();
}

Deno.test("Panels show what is counted of the rows alone", async (t) => {
  await using store = await openDemo();
  for (const figure of FIGURES) {
    await t.step(`${figure.dashboard}: ${figure.panel}`, async () => {
      const panel = panelOf(figure);
      const days = figure.whole ? 3000 : 28;
      const range = { fromMs: store.newestMs - days * DAY_MS, toMs: store.newestMs };
      const context: QueryContext = {
        ...range,
        intervalMs: intervalOf(range, { pointsMax: 1000, min: panel.interval ?? "1s" }),
        variables: { group: { allValue: "'*'" }, meter_id: store.meterId },
      };
      const shown = expandQuery(panel.targets![0].rawSql, context);
      const time = (ms: number) => `timestamptz '${new Date(ms).toISOString()}'`;
      const counted = figure.sql.replaceAll("$from", time(range.fromMs))
        .replaceAll("$to", time(range.toMs)).replaceAll("$meter", `'${store.meterId}'`);
      const lines = await linesOf(store, figure.of?.(shown) ?? shown);
      assert.ok(lines.length > 0 && lines.join("") !== "0", "it shows nothing");
      assert.deepEqual(lines, await linesOf(store, counted));
    });
  }
});
