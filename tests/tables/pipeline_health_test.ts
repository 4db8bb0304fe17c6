import assert from "node:assert/strict";
import { pipelineProblems, readPipelineHealth } from "../../src/tables/pipeline_health.ts";
import { migrate } from "../../src/tables/migrations.ts";
import { queryOf } from "../../src/tables/query.ts";
import { TestPostgres } from "../pglite.ts";

Deno.test("pipelineProblems() tells who waits and who looks, and is silent in quiet", async () => {
  const client = new TestPostgres();
  try {
    await migrate(client);
    const problems = async () =>
      pipelineProblems(await readPipelineHealth(queryOf(client)), { stalledSeconds: 45 });
    const set = (assignments: string, partition: number) =>
      client.query(`UPDATE raw_ends SET ${assignments} WHERE partition = ${partition}`);
    assert.deepEqual(await problems(), [], "no sink has ever looked");
    await client.script(`INSERT INTO raw_ends VALUES
      (0, 100, 100, 0, 100, 0, now() - interval '1 hour', now()),
      (1, 100, 100, 5, 95, 0, now() - interval '44 seconds', now() - interval '44 seconds')`);
    assert.deepEqual(await problems(), [], "nothing waits for long, and somebody looks");
    await set("moved_at = now() - interval '46 seconds'", 1);
    const [waits, ...none] = await problems();
    assert.match(
      waits,
      /^partition 1: 5 records wait, and none has come into the tables for 46 s$/,
    );
    assert.deepEqual(none, []);
    await set("stable_offset = 95", 1);
    assert.match((await problems())[0], /: a transaction is open at offset 95$/);
    await set("seen_at = now() - interval '46 seconds'", 1);
    assert.match((await problems())[0], /^no sink has seen the raw topic of partition 1 for 46 s/);
    await set("seen_at = now() - interval '50 seconds'", 0);
    assert.match((await problems())[0], /^no sink has seen the raw topic for 46 s/);
  } finally {
    await client.close();
  }
});

Deno.test("Tables and views say what they are, and tables each of their columns, but those that only we read", async () => {
  const client = new TestPostgres();
  try {
    await migrate(client);
    const { rows } = await client.query(
      `SELECT c.relname || coalesce('.' || a.attname, '') AS name
       FROM pg_class c
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         AND c.relkind = 'r'
       WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace
         AND (obj_description(c.oid) IS NULL
              OR c.relkind = 'r' AND col_description(c.oid, a.attnum) IS NULL)
         AND c.relname <> ALL ($1::text[])
       ORDER BY 1`,
      [["schema_migrations", ...INNER, ...AGGREGATES]],
    );
    assert.deepEqual(rows, []);
    await assert.rejects(
      client.script(
        `INSERT INTO gap_alerts VALUES (now(), 'M', now(), now(), 1, 1, 0, 'AJAR', 'M@', now(), 0, 1)`,
      ),
      /gap_alerts_state/,
    );
  } finally {
    await client.close();
  }
});

/** Views of whose names TimescaleDB makes aggregates of its own. */
const AGGREGATES = [
  ...["gap_summary_hourly", "late_events_summary_hourly", "metrics_summary_hourly"],
  ...["readings_daily", "readings_fleet_daily"],
];

/** What `run` keeps for itself in a database. */
const INNER = ["task_state", "state_changelog", "inputs", "settings"];
