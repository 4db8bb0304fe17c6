import postgres, { type Sql } from "postgres";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { alertRules, DASHBOARDS, dataPanels } from "../grafana/dashboards.ts";
import { expandQuery, intervalOf, type Variable } from "../grafana/macros.ts";
import { startPostgres } from "../integration/postgres_harness.ts";
import { fillFleet, type FleetShape } from "./dashboard_fill.ts";

/** 5 million readings each: a year of a few meters, and some days of many. */
const CASES = "300x350/time 300x350/meter 10000x10.5/time 10000x10.5/meter";
const MS_MAX = 1000;
const ROUNDS = 3;
const DAY_MS = 86_400_000;
const RANGE_DAYS = 28;
const SHOWN = 6;

type Range = { readonly name: string; readonly fromMs: number; readonly toMs: number };
type Query = { readonly name: string; readonly sql: string };
type Timed = Query & { readonly ms: number };

/**
 * `deno task bench dashboards`: every query of every dashboard, variable, annotation and alert rule
 * on 5 million readings in plain PostgreSQL, for the last 28 days and for all data, for all groups
 * and for one. Caches are warm; a figure is the median of 3. Fails when one takes longer than 1 s.
 *
 * GRIDWATCH_BENCH_CASES names other cases, `meters x days / order` each;
 * GRIDWATCH_BENCH_QUERIES=all prints every query, not only the slowest.
 */
export async function benchDashboards(): Promise<void> {
  const shapes = (Deno.env.get("GRIDWATCH_BENCH_CASES") ?? CASES).split(/\s+/).map(shapeOf);
  await using server = await startPostgres({ owned: true });
  let over = 0;
  for (const shape of shapes) {
    const url = await server.createDatabase();
    await migrateTables(url);
    const sql = postgres(url, { max: 1, onnotice: () => {}, prepare: false });
    try {
      over += await benchShape(sql, shape);
    } finally {
      await sql.end({ timeout: 5 });
    }
    const admin = postgres(server.url, { max: 1 });
    await admin.unsafe(`DROP DATABASE ${new URL(url).pathname.slice(1)}`);
    await admin.end();
  }
  if (over === 0) return;
  console.error(`error: ${over} queries took more than ${MS_MAX} ms`);
  Deno.exit(1);
}

/** "300x350/time" */
function shapeOf(text: string): FleetShape {
  const [, meters, days, order] = /^(\d+)x([\d.]+)\/(time|meter)$/.exec(text) ?? [];
  if (order === undefined) throw new Error(`GRIDWATCH_BENCH_CASES: "${text}" is not 300x350/time`);
  return { meters: Number(meters), days: Number(days), order: order as FleetShape["order"] };
}

async function migrateTables(url: string): Promise<void> {
  const database = openForSchema(url);
  try {
    await migrateDatabase(database, { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 });
  } finally {
    await database.close();
  }
}

/** Fills, asks, prints; gives how many queries took too long. */
async function benchShape(sql: Sql, shape: FleetShape): Promise<number> {
  const startedAt = performance.now();
  await fillFleet(sql, shape);
  await sql.unsafe("VACUUM ANALYZE");
  await sql.unsafe("SET jit = off");
  const [{ readings, first, newest, meter, gaps }] = await sql.unsafe(
    `SELECT (SELECT count(*)::int FROM validated_readings) AS readings,
       (SELECT count(*)::int FROM gap_alerts) AS gaps,
       (SELECT min(time) FROM validated_readings) AS first,
       (SELECT max(watermark) FROM positions) AS newest,
       (SELECT meter_id FROM late_events GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1) AS meter`,
  );
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(
    `\ndashboards: ${readings.toLocaleString("en")} readings of ${shape.meters} meters over ` +
      `${shape.days} days, written by ${shape.order}; ${gaps} gaps (filled in ${seconds} s)`,
  );
  const toMs = newest.getTime();
  const ranges: Range[] = [
    { name: `last ${RANGE_DAYS} days`, fromMs: toMs - RANGE_DAYS * DAY_MS, toMs },
    { name: "all data", fromMs: first.getTime(), toMs },
  ];
  let over = 0;
  for (const range of ranges) {
    for (const group of [{ allValue: "'*'" }, "MTR"] as const) {
      const timed: Timed[] = [];
      for (const query of queriesOf({ range, group, meter })) {
        timed.push(await timeQuery(sql, query));
      }
      timed.sort((a, b) => a.ms - b.ms);
      over += timed.filter(({ ms }) => ms > MS_MAX).length;
      const label = typeof group === "string" ? `group ${group}` : "all groups";
      console.log(`${range.name}, ${label}: ${timed.length} queries, the slowest`);
      const shown = Deno.env.get("GRIDWATCH_BENCH_QUERIES") === "all" ? timed.length : SHOWN;
      for (const { name, ms } of timed.slice(-shown)) {
        console.log(`${ms.toFixed(0).padStart(6)} ms  ${name}`);
      }
    }
  }
  return over;
}

/** Every query as Grafana would send it. */
function queriesOf(
  { range, group, meter }: { range: Range; group: Variable; meter: string },
): Query[] {
  const queries: Query[] = [];
  for (const dashboard of DASHBOARDS.values()) {
    const expand = (text: string, { interval = "1s", maxDataPoints = 1000 } = {}) =>
      expandQuery(text, {
        fromMs: range.fromMs,
        toMs: range.toMs,
        intervalMs: intervalOf(range, { pointsMax: maxDataPoints, min: interval }),
        variables: {
          group,
          meter_id: meter,
          data_from: String(range.fromMs),
          data_to: String(range.toMs),
        },
      });
    const add = (name: string, sql: string) =>
      queries.push({ name: `${dashboard.title} / ${name}`, sql });
    for (const { name, query } of dashboard.templating.list) add(`$${name}`, expand(query));
    for (const { name, target } of dashboard.annotations.list) {
      if (target !== undefined) add(`annotation ${name}`, expand(target.rawSql));
    }
    for (const panel of dataPanels(dashboard)) {
      for (const { rawSql } of panel.targets ?? []) add(panel.title, expand(rawSql, panel));
    }
  }
  for (const { title, data: [{ model }] } of alertRules()) {
    queries.push({ name: `alert ${title}`, sql: model.rawSql ?? "" });
  }
  return queries;
}

/** Milliseconds until all rows are here: the median, after a round that warms the caches. */
async function timeQuery(sql: Sql, query: Query): Promise<Timed> {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const startedAt = performance.now();
    await sql.unsafe(query.sql);
    times.push(performance.now() - startedAt);
  }
  const warm = times.slice(1).sort((a, b) => a - b);
  return { ...query, ms: warm[warm.length >> 1] };
}

if (import.meta.main) await benchDashboards();
