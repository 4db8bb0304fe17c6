/** Statements that may only read: what they begin with, and what PGlite lets them do. */
import assert from "node:assert/strict";
import { PgliteClient, SqlError } from "../../../src/adapters/pglite/client.ts";
import { isReading } from "../../../src/adapters/pglite/reader.ts";

Deno.test("isReading() looks at the first word behind blanks, comments and parentheses", () => {
  const reading = [
    "SELECT 1",
    "select(1)",
    " \n\t((SELECT 1))",
    "-- x\nWITH a AS (SELECT 1) TABLE a",
  ];
  const behind = ["/* a /* b */ COMMIT */ VALUES (1)", "--\r\nSHOW timezone", "EXPLAIN SELECT 1"];
  for (const sql of [...reading, ...behind, "TABLE t"]) assert.equal(isReading(sql), true, sql);
  const others = ["COMMIT", "COPY t TO '/x'", "RESET ROLE", "SET ROLE postgres", "DO $$ $$", ""];
  const hidden = [
    "/* /* */ SELECT */ COMMIT",
    "-- SELECT",
    "--\rCOMMIT; --\nSELECT",
    "/* SELECT 1",
  ];
  const alike = ["SELECTED", "select_1", "WITHOUT", '"SELECT"', "EXECUTE a", "DECLARE a CURSOR"];
  for (const sql of [...others, ...hidden, ...alike]) assert.equal(isReading(sql), false, sql);
});

const ATTEMPTS = [
  "COPY (SELECT 'x') TO '/pglite/data/PG_VERSION'",
  "COPY (SELECT 'x') TO '/dev/blob'",
  "COMMIT",
  "ROLLBACK",
  "RESET ROLE",
  "SELECT 1; DELETE FROM kept",
  "DELETE FROM kept",
  "WITH gone AS (DELETE FROM kept RETURNING *) SELECT * FROM gone",
  "EXPLAIN ANALYZE DELETE FROM kept",
  "SELECT * INTO other FROM kept",
  "SELECT * FROM kept FOR UPDATE",
  "SELECT lo_create(0)",
  "SELECT lo_export(1, '/pglite/data/x')",
  "SELECT pg_read_file('/pglite/data/PG_VERSION')",
  "SELECT pg_ls_dir('.')",
  "SELECT pg_reload_conf()",
  "SELECT set_config('role', 'none', false)",
  "SELECT set_config('session_authorization', 'postgres', true)",
  "SELECT query_to_xml('SELECT set_config(''role'', ''none'', true)', true, true, '')",
  "SELECT query_to_xml('RESET ROLE', true, true, '')",
  "SELECT query_to_xml('RESET ROLE; SELECT pg_read_file(''PG_VERSION'')', true, true, '')",
  "SELECT * FROM ts_stat('RESET ROLE; SELECT pg_read_file(''PG_VERSION'')::tsvector')",
  "SELECT query_to_xml('SELECT pg_read_file(''PG_VERSION'')', true, true, '')",
];

Deno.test("PgliteClient.query() with readOnly reads every table and changes nothing", async (t) => {
  const client = await PgliteClient.open(null);
  try {
    await client.script("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)");
    for (const sql of ATTEMPTS) {
      await t.step(`refused: ${sql}`, async () => {
        await assert.rejects(client.query(sql, [], { readOnly: true }), SqlError);
      });
    }
    await t.step("allowed: what only reads, with parameters", async () => {
      const read = (sql: string, params: unknown[] = []) =>
        client.query(sql, params, { readOnly: true });
      assert.deepEqual((await read("TABLE kept")).rows, [{ a: 1 }]);
      assert.deepEqual((await read("SELECT a + $1::int AS b FROM kept", [1])).rows, [{ b: 2 }]);
      assert.equal((await read("EXPLAIN SELECT * FROM kept")).rows.length, 1);
    });
    await t.step("the next statement that may write is not hindered", async () => {
      await client.query("INSERT INTO kept VALUES (2)");
      const { rows } = await client.query(
        "SELECT current_user AS name, count(*)::int AS n FROM kept",
      );
      assert.deepEqual(rows, [{ name: "postgres", n: 2 }]);
    });
  } finally {
    await client.close();
  }
});
