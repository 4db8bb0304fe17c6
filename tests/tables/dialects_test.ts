/** Every question of the page, asked of the embedded store and of PostgreSQL over the same data. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { openReader, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { Task } from "../../src/engine/task.ts";
import { readBalance } from "../../src/tables/balance.ts";
import { countIncidents, listIncidents } from "../../src/tables/incident_lists.ts";
import { readKpis, readKpisBy } from "../../src/tables/kpi.ts";
import { readLedger } from "../../src/tables/ledger.ts";
import {
  countGaps,
  countRejected,
  GAP_STATES,
  listGaps,
  listLate,
  listRejected,
  listSilences,
} from "../../src/tables/lists.ts";
import {
  countDelays,
  listReadings,
  readFleet,
  readGapSpans,
  readLastTimes,
  readMeter,
  readSeries,
} from "../../src/tables/meters.ts";
import { readTotals } from "../../src/tables/meter_status.ts";
import { type Query, queryOf } from "../../src/tables/query.ts";
import { readIntervalNews, readRepeats } from "../../src/tables/repeats.ts";
import { readSummary } from "../../src/tables/summary.ts";
import { readTimeline } from "../../src/tables/timeline.ts";
import { playFleet, SessionStore } from "../adapters/sqlite/fleet.ts";
import { buildZone } from "../../src/core/zone.ts";
import { zoneRows } from "../../src/tables/local_days.ts";
import { commitOf, outputsOf, validatedOf } from "../adapters/commits.ts";
import { SILENT_AFTER_MS, TestPostgres } from "../pglite.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { optionsArbitrary, streamArbitrary } from "../specification/arbitraries.ts";

const ALL = { limit: 1000, offset: 0 };
const ANY_GAP = { state: null, meterId: null, fromMs: null, toMs: null, sort: "recent" } as const;

const ANY_INCIDENT = { state: null, groupId: null, fromMs: null, toMs: null } as const;

/** The questions, by name. */
function questions(meterIds: readonly string[], span: { fromMs: number; toMs: number }) {
  const [meterId] = meterIds;
  const middleMs = (span.fromMs + span.toMs) / 2;
  const asked: Record<string, (query: Query) => Promise<unknown>> = {
    ledger: readLedger,
    balance: (query) => readBalance(query, "store"),
    "gaps by state": countGaps,
    "rejected by reason": countRejected,
    "gaps, recent": (query) => listGaps(query, { ...ANY_GAP, ...ALL }),
    "gaps, longest": (query) => listGaps(query, { ...ANY_GAP, ...ALL, sort: "longest" }),
    "gaps of a meter": (query) => listGaps(query, { ...ANY_GAP, ...ALL, meterId }),
    "gaps, a page": (query) => listGaps(query, { ...ANY_GAP, limit: 2, offset: 1 }),
    "gaps from a time on": (query) => listGaps(query, { ...ANY_GAP, ...ALL, fromMs: middleMs }),
    "gaps up to a time": (query) => listGaps(query, { ...ANY_GAP, ...ALL, toMs: middleMs }),
    silences: (query) => listSilences(query, { ...ALL, meterId: null }),
    "too late": (query) => listLate(query, { ...ALL, meterId: null, status: "TOO_LATE" }),
    late: (query) => listLate(query, { ...ALL, meterId: null, status: "LATE" }),
    "late of a meter": (query) => listLate(query, { ...ALL, meterId, status: "LATE" }),
    rejected: (query) => listRejected(query, { ...ALL, meterId: null, reason: null }),
    "rejected of a reason": (query) =>
      listRejected(query, { ...ALL, meterId: null, reason: "DUPLICATE" }),
    fleet: (query) => readFleet(query, 0),
    totals: readTotals,
    "no such meter": (query) => readMeter(query, "nobody"),
    "last times": async (query) => [...await readLastTimes(query, [...meterIds, "nobody"])].sort(),
    "gap spans": async (query) =>
      [...await readGapSpans(query, { meterIds, spansPerMeterMax: 3 })].sort(),
    timeline: (query) => readTimeline(query, { ...span, cellDays: 1 }),
    "a timeline's weeks": (query) => readTimeline(query, { ...span, cellDays: 7 }),
    "half a timeline": (query) => readTimeline(query, { ...span, cellDays: 1, toMs: middleMs }),
    delays: countDelays,
    summary: (query) => readSummary({ ...asReader(query) }),
    kpis: (query) => readKpis(query, { fromMs: null, toMs: null, target: 0.99 }),
    "kpis by day": (query) => readKpisBy(query, "day", { ...span, target: 0.99 }),
    "kpis by meter": (query) => readKpisBy(query, "meter", { ...span, target: null }),
    incidents: (query) => listIncidents(query, { ...ANY_INCIDENT, ...ALL }),
    "incidents by state": countIncidents,
    repeats: (query) => readRepeats(asReader(query), { repeatsMin: 1, metersMax: 100 }),
    "interval news": (query) => readIntervalNews(asReader(query)),
  };
  for (const state of GAP_STATES) {
    asked[`gaps ${state}`] = (query) => listGaps(query, { ...ANY_GAP, ...ALL, state });
  }
  for (const meterId of meterIds) {
    asked[`meter ${meterId}`] = (query) => readMeter(query, meterId);
    asked[`readings of ${meterId}`] = (query) => listReadings(query, { meterId, limit: 30 });
    for (const step of ["hour", "day"] as const) {
      asked[`series of ${meterId} by ${step}`] = (query) =>
        readSeries(query, { meterId, step, ...span });
    }
  }
  return asked;
}

function asReader(query: Query) {
  const { dialect } = query;
  return {
    dialect,
    query: async (sql: string, params?: readonly unknown[]) => ({
      rows: await query(sql, params === undefined ? undefined : [...params]),
    }),
  };
}

/** Views whose rows are the same on both, and what they are put in order by. */
const VIEWS = [
  ...["readings_meter_daily", "gap_summary_hourly", "late_events_summary_hourly"],
  ...["metrics_summary_hourly", "readings_daily", "readings_fleet_daily", "gap_status"],
  ...["missing_daily", "completeness_daily", "completeness_fleet_daily", "gap_recovery"],
  ...["validated_readings", "gap_alerts", "late_events", "rejected_readings", "metrics"],
  ...["ledger", "positions", "meter_status", "completeness", "silences", "duplicates"],
  ...["late_revisions", "revisions", "readings_current", "gap_starts", "incidents"],
  ...["incident_meters", "meters_failing_together", "kpi_slots", "kpi_gaps", "meter_intervals"],
  ...["kpi_arrivals", "completeness_local_daily"],
];

/** A cell as both write it: numbers to a millionth, times as text, lists and objects as JSON. */
function cellOf(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") return Math.round(value * 1e6) / 1e6;
  if (typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value)) return cellOf(Number(value));
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return value;
}

/** Rows as sorted lines, of the columns that both have. */
function linesOf(rows: readonly Record<string, unknown>[], columns: readonly string[]): string[] {
  return rows.map((row) => JSON.stringify(columns.map((name) => cellOf(row[name])))).sort();
}

/**
 * Plays generated streams as partitions of their own: silence, return, revisions, retirement,
 * intervals that are learned. Their meters have ids of their own, too.
 */
async function playLives(writer: SessionStore): Promise<void> {
  const drawn = optionsArbitrary.chain((options) =>
    fc.record({ options: fc.constant(options), records: streamArbitrary(options) })
  );
  const streams = fc.sample(drawn, { seed: 7, numRuns: LIVES });
  for (const [n, { options, records }] of streams.entries()) {
    const task = await Task.open(coreOptions(options, 10 + n), writer);
    for (const text of records) {
      const own = text.replace(/("meter_id"\s*:\s*")/, `$1${n} `);
      task.fold(rawOf(own, task.nextOffset));
    }
    const commit = task.takeCommit();
    if (commit !== null) await writer.commit({ ...commit, stateTtlMs: SILENT_AFTER_MS });
  }
}

const LIVES = 25;

Deno.test("every question has one answer on the embedded store and on PostgreSQL", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-dialects-" });
  const zone = zoneRows(buildZone("Europe/London"));
  const writer = new SessionStore(`${folder}/${STORE_FILE}`, { zone });
  await playFleet(writer);
  // Times with fractions, and two within a second: text would put them in another order.
  const startMs = Date.UTC(2031, 0, 1, 23, 59, 59);
  const validated = [0, 500, 250, 999, 1000].map((ms, offset) =>
    validatedOf(offset, {
      timestampMs: startMs + ms,
      meterId: "FRACTION",
      ...(ms === 500 ? { status: "LATE", delayMs: 1500, flags: ["TIME_SHIFT"] } : {}),
    })
  );
  await writer.commit(commitOf(7, 0, {
    nextOffset: 5,
    outputs: outputsOf({ validated }),
    ledger: { raw: 5, ok: 4, late: 1, too_late: 0, duplicate: 0, rejected: 0, tick: 0 },
    watermarkMs: startMs + 2000,
  }));
  await playLives(writer);
  writer.session.close();
  const reader = await openReader(folder);
  const postgres = await TestPostgres.open();
  try {
    await postgres.copyFrom(reader);
    for (const { starts_at, offset_seconds, zone: name } of zone) {
      await postgres.query("INSERT INTO zone_offsets VALUES ($1, $2, $3)", [
        ...[starts_at, offset_seconds, name],
      ]);
    }
    const { rows } = await reader.query("SELECT DISTINCT meter_id FROM meter_days");
    const meterIds = rows.map((row) => String(row.meter_id));
    const { rows: [span] } = await reader.query(
      "SELECT min(day) AS a, max(day) AS b FROM meter_days",
    );
    const dayMs = 86_400_000;
    const days = { fromMs: Number(span.a) * dayMs, toMs: (Number(span.b) + 1) * dayMs };
    for (const [name, ask] of Object.entries(questions(meterIds, days))) {
      await t.step(name, async () => {
        assert.deepEqual(await ask(queryOf(reader)), await ask(queryOf(postgres)));
      });
    }
    for (const view of VIEWS) {
      await t.step(`SELECT * FROM ${view}`, async () => {
        const sqlite = await reader.query(`SELECT * FROM ${view}`);
        const other = await postgres.query(`SELECT * FROM ${view}`);
        const more = sqlite.columns.filter((name) => !other.columns.includes(name));
        assert.deepEqual(sqlite.columns, [...other.columns, ...more]);
        assert.ok(more.every((name) => name === "channel"), `${more}`);
        assert.ok(other.rows.length > 0, "no rows");
        assert.deepEqual(linesOf(sqlite.rows, other.columns), linesOf(other.rows, other.columns));
      });
    }
  } finally {
    await postgres.close();
    await reader.close();
    await Deno.remove(folder, { recursive: true });
  }
});
