/** A small store with known rows, and the app over it under a clock that the test moves. */
import type { Hono } from "hono";
import { PGlite } from "@electric-sql/pglite";
import { createApp } from "../../src/api/app.ts";
import type { LiveStatus, StatusPorts } from "../../src/api/ports.ts";
import type { Query } from "../../src/tables/query.ts";

/** The wall clock at the start of a test. */
export const NOW_MS = Date.UTC(2026, 0, 1);

/** Ids that hurt whoever forgets to bind, escape or encode. */
export const HOSTILE_IDS = [
  "<script>alert(1)</script>",
  `o'neil"; DROP TABLE ledger; --`,
  "line\nfeed",
  "a/b?c=d#e",
  "%41 100%",
  "$1",
  "\u202Edlrow",
  "__proto__",
];

/** A store with the tables and nothing in them. */
export async function openEmpty(): Promise<PGlite> {
  const db = await openTables();
  await addViews(db);
  return db;
}

async function openTables(): Promise<PGlite> {
  const db = new PGlite("memory://");
  await runSql(db, "001_init.sql");
  await runSql(db, "009_validation.sql");
  return db;
}

async function addViews(db: PGlite): Promise<void> {
  await runSql(db, "003_summaries.sql");
  await runSql(db, "004_digests.sql");
  await runSql(db, "005_completeness.sql");
  await runSql(db, "010_incidents.sql");
  await runSql(db, "011_estimates.sql");
}

async function runSql(db: PGlite, file: string): Promise<void> {
  await db.exec(await Deno.readTextFile(new URL(`../../sql/${file}`, import.meta.url)));
}

/**
 * Two partitions up to 2013-01-03T12:00Z. MAC1 has a closed gap of 2 and an open one announced with
 * 4 (known: 10 hours); MAC2 is complete and has a filled gap; BAD has only rejected records; each
 * hostile id has one reading.
 */
export async function openFilled(): Promise<PGlite> {
  const db = await openTables();
  await db.exec(`
    INSERT INTO validated_readings
    SELECT t, 'MAC1', 0.5, 'OK', '{}', NULL, 0, row_number() OVER () FROM generate_series(
      timestamptz '2013-01-01T00:00Z', '2013-01-03T01:30Z', interval '30 minutes') t
    WHERE t NOT IN ('2013-01-01T23:30Z', '2013-01-02T00:00Z');
    INSERT INTO validated_readings
    SELECT t, 'MAC2', 1, 'OK', '{TIME_SHIFT}', NULL, 1, row_number() OVER () FROM generate_series(
      timestamptz '2013-01-03T00:00Z', '2013-01-03T11:30Z', interval '30 minutes') t;
    UPDATE validated_readings SET status = 'LATE', delay_seconds = 300
    WHERE meter_id = 'MAC2' AND time IN ('2013-01-03T02:00Z', '2013-01-03T02:30Z');
    UPDATE validated_readings SET delay_seconds = 301
    WHERE meter_id = 'MAC2' AND time = '2013-01-03T02:30Z';
    INSERT INTO gap_alerts VALUES
      ('2013-01-01T23:30Z', 'MAC1', '2013-01-01T23:30Z', '2013-01-02T00:30Z', 60, 2, 1, 'CLOSED',
       'MAC1@2013-01-01T23:30:00Z', '2013-01-02T00:30Z', 0, 50),
      ('2013-01-03T02:00Z', 'MAC1', '2013-01-03T02:00Z', '2013-01-03T04:00Z', 120, 4, 0, 'OPEN',
       'MAC1@2013-01-03T02:00:00Z', '2013-01-03T04:15Z', 0, 99),
      ('2013-01-03T05:00Z', 'MAC2', '2013-01-03T05:00Z', '2013-01-03T05:00Z', 0, 0, 0, 'FILLED',
       'MAC2@2013-01-03T05:00:00Z', '2013-01-03T05:45Z', 1, 12);
    INSERT INTO late_events VALUES
      ('2013-01-02T03:00Z', 'MAC1', '2013-01-01T23:30Z', 0.25, 12600, 0, 99),
      ('2013-01-03T03:00Z', 'MAC2', '2013-01-02T23:00Z', 0.75, 14400, 1, 33);
    INSERT INTO rejected_readings VALUES
      ('2013-01-02T10:00Z', 'NEGATIVE', 'consumption_kwh is -1', '{"a":"<b>"}', 'utf8', 'BAD',
       '2013-01-02T10:00Z', -1, 0, 100),
      ('2013-01-02T11:00Z', 'MALFORMED', 'not JSON', '<img src=x onerror=alert(1)>', 'utf8', NULL,
       NULL, NULL, 0, 101),
      ('2013-01-02T11:30Z', 'DUPLICATE', 'the same', '{}', 'utf8', 'MAC1', '2013-01-02T11:30Z',
       0.5, 0, 102);
    INSERT INTO validation_records VALUES
      ('MAC1', '', 'STUCK', 'warn', '2013-01-01T00:00Z', '2013-01-01T20:00Z', 40, 0.5, NULL, '', 0, 90),
      ('MAC1', '', 'CAPACITY', 'error', '2013-01-02T05:00Z', '2013-01-02T05:30Z', 1, 99, 24, '', 0, 95),
      ('MAC2', '', 'STUCK', 'warn', '2013-01-03T00:00Z', '2013-01-03T08:00Z', 16, 1, NULL, '', 1, 20);
    INSERT INTO ledger VALUES (0, 110, 98, 0, 1, 1, 2, 8), (1, 34, 30, 2, 1, 0, 0, 1);
    INSERT INTO positions VALUES (0, 110, '2013-01-03T12:00Z'), (1, 34, '2013-01-03T11:30Z');
  `);
  for (const [n, meterId] of HOSTILE_IDS.entries()) {
    await db.query(
      "INSERT INTO validated_readings VALUES ('2013-01-03T00:00Z', $1, 1, 'OK', '{}', NULL, 1, $2)",
      [meterId, 25 + n],
    );
  }
  await addViews(db); // sums up what is there
  await db.exec("UPDATE positions SET judged_to = watermark - interval '15 minutes'");
  return db;
}

/** The app over a store, and what the test may change under it. */
export type Bench = {
  readonly app: Hono;
  readonly errors: string[];
  queries: number;
  live: LiveStatus;
  nowMs: number;
  fail: boolean;
  /** GETs JSON of a path. */
  // deno-lint-ignore no-explicit-any
  get(path: string): Promise<{ status: number; body: any; response: Response }>;
};

/** A finished run of 144 rows over `db`. */
export function createBench(
  db: PGlite,
  change: Partial<LiveStatus> = {},
  ports: Partial<StatusPorts> = {},
): Bench {
  const errors: string[] = [];
  const query: Query = async (sql, params) => {
    bench.queries++;
    if (bench.fail) throw new Error("connection to server at 10.0.0.7 refused: password of admin");
    return (await db.query(sql, params)).rows as Record<string, unknown>[];
  };
  const app = createApp({
    query,
    live: () => bench.live,
    version: "1.2.3",
    nowMs: () => bench.nowMs,
    reportError: (error, path) => errors.push(`${path} ${error}`),
    ...ports,
  });
  const bench: Bench = {
    app,
    errors,
    queries: 0,
    nowMs: NOW_MS,
    fail: false,
    live: { ...benchLive(), ...change },
    async get(path) {
      const response = await app.request(path);
      return { status: response.status, body: await response.json(), response };
    },
  };
  return bench;
}

/** What the driver of a bench knows. */
export function benchLive(): LiveStatus {
  return {
    state: "finished",
    source: "replay",
    message: null,
    problems: [],
    inputs: "a.csv",
    rowsRead: 144,
    rowsTotal: 144,
    readingsPerSecond: 0,
    eventTimeMs: Date.UTC(2013, 0, 3, 12),
    startedAtMs: NOW_MS - 10_000,
    lastProgressAtMs: NOW_MS,
    openGaps: null,
  };
}
