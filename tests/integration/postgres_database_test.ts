import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres_database.ts";
import { rowsOf, startPostgres } from "./postgres_harness.ts";

Deno.test("PostgresDatabase sets what it needs, whatever the database's own settings are", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const name = new URL(url).pathname.slice(1);
  await rowsOf(url, `ALTER DATABASE ${name} SET jit = on`);
  await rowsOf(url, `ALTER DATABASE ${name} SET statement_timeout = '5s'`);
  const sql = "SELECT current_setting('jit') AS jit, current_setting('statement_timeout') AS ms";
  for (const [statementMsMax, ms] of [[0, "0"], [60_000, "1min"]] as const) {
    const database = new PostgresDatabase(url, { connections: 1, name: "test", statementMsMax });
    try {
      assert.deepEqual((await database.query(sql)).rows, [{ jit: "off", ms }]);
    } finally {
      await database.close();
    }
  }
});
