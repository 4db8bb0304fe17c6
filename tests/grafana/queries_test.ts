/**
 * Every query of every dashboard, variable, annotation and alert rule, expanded as Grafana would and
 * run on the demo's tables: it gives the columns its place needs, and something to show.
 */
import assert from "node:assert/strict";
import { alertRules, type Dashboard, DASHBOARDS, dataPanels, type Panel } from "./dashboards.ts";
import { ask, type DemoStore, openDemo } from "./demo_store.ts";
import { expandQuery, intervalOf, type QueryContext, type Variable } from "./macros.ts";

type Answer = { readonly columns: string[]; readonly rows: Record<string, unknown>[] };

const DAY_MS = 86_400_000;
const ALL: Variable = { allValue: "'*'" };

/** A range as "Go to the data" opens it, and the variables as they stand. */
function contextOf(
  { newestMs, meterId }: DemoStore,
  { days = 28, group = ALL, panel }: { days?: number; group?: Variable; panel?: Panel } = {},
): QueryContext {
  const range = { fromMs: newestMs - days * DAY_MS, toMs: newestMs };
  const pointsMax = panel?.maxDataPoints ?? 1000;
  return {
    ...range,
    intervalMs: intervalOf(range, { pointsMax, min: panel?.interval ?? "1s" }),
    variables: {
      group,
      meter_id: meterId,
      data_from: String(range.fromMs),
      data_to: String(range.toMs),
    },
  };
}

/** PGlite hands numeric and bigint over as text or bigint: numbers to Grafana all the same. */
function isNumber(value: unknown): boolean {
  if (typeof value === "number" || typeof value === "bigint") return true;
  return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value);
}

const isTime = (value: unknown) => value instanceof Date || isNumber(value);

/** What a panel's kind needs of its answer. */
function checkAnswer(panel: Panel, { columns, rows }: Answer, isSeries: boolean): void {
  assert.ok(rows.length > 0, "no rows");
  assert.equal(new Set(columns).size, columns.length, `columns twice: ${columns}`);
  const has = (column: string, test: (value: unknown) => boolean) =>
    rows.some((row) => row[column] !== null && test(row[column]));
  if (isSeries) checkSeries(columns, rows);
  switch (panel.type) {
    case "timeseries":
    case "heatmap": {
      const values = columns.filter((column) => column !== "time" && column !== "metric");
      assert.ok(isSeries && values.length > 0, "no series");
      for (const column of values) {
        const all = rows.map((row) => row[column]);
        assert.ok(all.every((value) => value === null || isNumber(value)), `${column}: no numbers`);
      }
      assert.ok(
        values.some((column) => has(column, isNumber)),
        "nothing to see",
      );
      return;
    }
    case "stat": {
      const takesText = panel.options.reduceOptions?.fields === "/.*/";
      assert.equal(rows.length, 1);
      for (const column of columns) assert.ok(has(column, (v) => takesText || isNumber(v)), column);
      return;
    }
    case "state-timeline":
      assert.equal(columns[0], "time");
      assert.ok(columns.length >= 2);
      return;
    case "table":
      return;
    default:
      assert.fail(`a ${panel.type} is none of the kinds that are checked`);
  }
}

function checkSeries(columns: readonly string[], rows: Answer["rows"]): void {
  assert.equal(columns[0], "time");
  assert.ok(rows.every((row) => isTime(row.time)), "time is no time");
  const times = rows.map((row) => Number(row.time));
  assert.deepEqual(times, [...times].sort((a, b) => a - b), "not in the order of time");
  const labels = columns.filter((column) => rows.some((row) => typeof row[column] === "string"))
    .filter((column) => !rows.every((row) => row[column] === null || isNumber(row[column])));
  assert.ok(labels.every((column) => column === "metric"), `text in ${labels}`);
  const keys = rows.map((row) => `${Number(row.time)} ${row.metric ?? ""}`);
  assert.equal(new Set(keys).size, keys.length, "a series has two values for one time");
}

/** Columns that the panel's overrides speak of, and that are to be there. */
function checkOverrides(panel: Panel, { columns, rows }: Answer): void {
  const series = new Set(rows.map((row) => row.metric));
  for (const { matcher } of panel.fieldConfig.overrides) {
    assert.equal(matcher.id, "byName");
    const isThere = columns.includes(matcher.options) || series.has(matcher.options) ||
      STATES.has(matcher.options);
    assert.ok(isThere, `an override of ${matcher.options}, which is not among ${columns}`);
  }
}

/** Series that may be missing: colours are kept for them. */
const STATES = new Set(["OPEN", "CLOSED", "FILLED", "EXPIRED", "ok", "late", "too late"]);

async function checkDashboard(store: DemoStore, dashboard: Dashboard): Promise<void> {
  const context = contextOf(store);
  for (const { name, query } of dashboard.templating.list) {
    const { columns, rows } = await ask(store.client, expandQuery(query, context));
    assert.equal(columns.length, 1, name);
    assert.ok(rows.length > 0 && rows.every((row) => row[columns[0]] !== null), name);
  }
  for (const { name, target, builtIn } of dashboard.annotations.list) {
    if (builtIn === 1 || target === undefined) continue;
    const { columns, rows } = await ask(store.client, expandQuery(target.rawSql, context));
    assert.deepEqual(columns, ["time", "timeend", "text", "tags"], name);
    assert.ok(rows.length > 0, `${name}: no rows`);
    assert.ok(rows.every((row) => isTime(row.time) && isTime(row.timeend)), name);
  }
  for (const panel of dataPanels(dashboard)) {
    for (const { rawSql, format } of panel.targets ?? []) {
      const sql = expandQuery(rawSql, contextOf(store, { panel }));
      try {
        const answer = await ask(store.client, sql);
        checkAnswer(panel, answer, format === "time_series");
        checkOverrides(panel, answer);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${dashboard.title} / ${panel.title}: ${reason}\n${sql}`, { cause: error });
      }
    }
  }
}

/** Rows of what is kept in sums, and how many of them are not what the readings themselves say. */
const sameAs = (kept: string, said: string) =>
  `WITH kept AS (${kept}), said AS (${said})
   SELECT (SELECT count(*) FROM kept) AS n, (SELECT count(*) FROM (
     (TABLE kept EXCEPT TABLE said) UNION ALL (TABLE said EXCEPT TABLE kept)
   ) AS other) AS differ`;
const SAME: Readonly<Record<string, string>> = {
  readings_meter_daily: sameAs(
    `SELECT bucket, meter_id, source_partition, readings, late_readings, flagged_readings,
       round(consumption_kwh::numeric, 6), first_at, last_at FROM readings_meter_daily`,
    `SELECT date_bin('1 day', time, timestamptz '2000-01-03 00:00:00+00'), meter_id,
       source_partition, count(*), count(*) FILTER (WHERE status = 'LATE'),
       count(*) FILTER (WHERE flags <> '{}'), round(sum(consumption_kwh)::numeric, 6), min(time),
       max(time) FROM validated_readings GROUP BY 1, 2, 3`,
  ),
  get_active_meters: sameAs(
    `SELECT meter_id, readings, last_at, round(consumption_kwh::numeric, 6)
     FROM get_active_meters(30)`,
    `SELECT meter_id, count(*), max(time), round(sum(consumption_kwh)::numeric, 6)
     FROM validated_readings
     WHERE time > (SELECT max(watermark) FROM positions) - interval '30 hours' GROUP BY 1`,
  ),
};

Deno.test("The queries of grafana/ run on the demo and give each panel what it shows", async (t) => {
  await using store = await openDemo();
  for (const dashboard of DASHBOARDS.values()) {
    await t.step(dashboard.title, () => checkDashboard(store, dashboard));
  }
  await t.step("an alert rule asks for one number", async () => {
    for (const { title, data } of alertRules()) {
      const { rawSql } = data[0].model;
      const { columns, rows } = await ask(store.client, rawSql ?? "");
      assert.equal(columns.length, 1, title);
      assert.equal(rows.length, 1, title);
      assert.equal(typeof rows[0][columns[0]], "number", title);
    }
  });
  await t.step("a meter's days are the sums of its readings", async () => {
    for (const [name, sql] of Object.entries(SAME)) {
      const { rows: [{ n, differ }] } = await ask(store.client, sql);
      assert.ok(Number(n) > 0, name);
      assert.equal(Number(differ), 0, name);
    }
  });
  await t.step("an empty range, before all data, breaks no query", async () => {
    const early = { ...contextOf(store), fromMs: 0, toMs: DAY_MS };
    for (const dashboard of DASHBOARDS.values()) {
      for (const panel of dataPanels(dashboard)) {
        for (const { rawSql } of panel.targets ?? []) {
          await ask(store.client, expandQuery(rawSql, early));
        }
      }
    }
  });
  await t.step("a group leaves the meters of others out", async () => {
    const sql = DASHBOARDS.get("data-quality-overview")!.panels
      .find(({ title }) => title === "Meters by completeness")!.targets![0].rawSql;
    const metersOf = async (group: Variable) => {
      const context = contextOf(store, { days: 900, group });
      return (await ask(store.client, expandQuery(sql, context))).rows.map((row) => row.meter);
    };
    assert.equal((await metersOf(ALL)).length, 201);
    assert.deepEqual(await metersOf("MAC"), ["MAC000002"]);
    assert.equal((await metersOf(["MAC", "MTR"])).length, 201);
    assert.deepEqual(await metersOf("x') OR ('a' = 'a"), []);
  });
});
