/** A database from before goes on: its rows stay, and are asked the new questions. */
import assert from "node:assert/strict";
import { migrate, MIGRATIONS } from "../../src/tables/migrations.ts";
import { readFleet } from "../../src/tables/meters.ts";
import { queryOf } from "../../src/tables/query.ts";
import { UPSERTS } from "../../src/tables/output_rows.ts";
import { TestPostgres } from "../pglite.ts";

const BEFORE = ["001_init", "002_embedded", "003_summaries"];

/**
 * Days of 2024, half-hourly. BACK was silent for ten days and reports again, by rules that left its
 * gap EXPIRED at 335; DEAD has been silent since the 3rd; FINE misses nothing.
 */
const ROWS = `
INSERT INTO validated_readings
SELECT t, m, 0.1, 'OK', '{}', NULL, 0, row_number() OVER (ORDER BY t, m) FROM generate_series(
  timestamptz '2024-01-01T00:00Z', '2024-01-20T23:30Z', interval '30 minutes') t,
  unnest(ARRAY['BACK', 'DEAD', 'FINE']) m
WHERE NOT (m = 'BACK' AND t >= '2024-01-05T00:00Z' AND t < '2024-01-15T00:00Z')
  AND NOT (m = 'DEAD' AND t >= '2024-01-03T00:00Z');
INSERT INTO readings_meter_daily
SELECT date_trunc('day', time, 'UTC'), meter_id, 0, count(*), 0, 0, sum(consumption_kwh),
       min(time), max(time) FROM validated_readings GROUP BY 1, 2;
INSERT INTO gap_alerts VALUES
  ('2024-01-05T00:00Z', 'BACK', '2024-01-05T00:00Z', '2024-01-11T23:30Z', 10050, 335, 0, 'EXPIRED',
   'BACK@2024-01-05T00:00:00Z', '2024-01-11T23:30Z', 0, 900),
  ('2024-01-03T00:00Z', 'DEAD', '2024-01-03T00:00Z', '2024-01-09T23:30Z', 10050, 335, 0, 'EXPIRED',
   'DEAD@2024-01-03T00:00:00Z', '2024-01-09T23:30Z', 0, 700);
INSERT INTO ledger VALUES (0, 2000, 1536, 0, 0, 0, 0, 464);
INSERT INTO positions VALUES (0, 2000, '2024-01-20T23:45Z');`;

Deno.test("a database from before migrates: its rows stay, and silence is told of them", async () => {
  const client = await TestPostgres.open(MIGRATIONS.filter(({ name }) => BEFORE.includes(name)));
  try {
    await client.script(ROWS);
    const before = await client.query("SELECT * FROM validated_readings ORDER BY source_offset");
    const done = await migrate(client);
    assert.ok(done.includes("005_completeness"));
    const after = await client.query("SELECT * FROM validated_readings ORDER BY source_offset");
    assert.deepEqual(
      after.rows.map(({ revises_kwh: _, received_at: __, quality: ___, ...row }) => row),
      before.rows,
    );
    const { meters } = await readFleet(queryOf(client), 0);
    const of = (id: string) => meters.find(({ meter_id }) => meter_id === id)!;
    assert.deepEqual(
      [of("BACK").status, of("BACK").missing_intervals, of("BACK").silent_intervals],
      ["healthy", 335, 0],
    );
    assert.deepEqual([of("DEAD").status, of("FINE").status], ["silent", "healthy"]);
    // 18 days to the watermark, give or take the grace that the next commit says.
    assert.ok(Math.abs(of("DEAD").silent_intervals - 18 * 48) <= 1);
    await client.script(`
      UPDATE positions SET judged_to = watermark - interval '15 minutes';
      CREATE TEMPORARY TABLE readings_meter_daily_stage (LIKE readings_meter_daily);
      INSERT INTO readings_meter_daily_stage
      VALUES ('2024-01-20T00:00Z', 'FINE', 0, 1, 0, 0, 0.2, '2024-01-20T00:10Z',
        '2024-01-20T00:10Z', 1, 200000, 2000, -1);
      ${UPSERTS.readings_meter_daily}`);
    const { rows: [day] } = await client.query(
      `SELECT readings::integer, revised_readings, consumption_mwh::integer, consumption_kwh,
         last_offset::integer
       FROM readings_meter_daily WHERE meter_id = 'FINE' AND bucket = '2024-01-20T00:00Z'`,
    );
    assert.deepEqual(day, {
      readings: 49,
      revised_readings: 1,
      consumption_mwh: 5_000_000,
      consumption_kwh: 5,
      last_offset: 2000,
    });
    const { rows: [silence] } = await client.query("SELECT * FROM silences");
    assert.equal(silence.missing_intervals, 18 * 48);
  } finally {
    await client.close();
  }
});
