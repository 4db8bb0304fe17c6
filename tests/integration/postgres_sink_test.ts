import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import { emptyLedger } from "../../src/core/ledger.ts";
import { rowsOf, startPostgres } from "./postgres_harness.ts";

Deno.test("PostgresSink.commit() keeps the watermark when an account says none", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const database = new PostgresDatabase(url, { connections: 1, name: "test", statementMsMax: 0 });
  try {
    await migrateDatabase(database, { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 });
    const sink = new PostgresSink(database, { answerMsMax: 60_000, gapGraceMs: 900_000 });
    const stored: unknown[] = [];
    for (const [nextOffset, watermarkMs] of [[1, null], [2, 60_000], [3, null], [4, 90_000]]) {
      const account = { nextOffset: Number(nextOffset), watermarkMs, ledger: emptyLedger() };
      await sink.commit({ partition: 0, moves: [], runs: [], account });
      const [{ at }] = await rowsOf(
        url,
        "SELECT extract(epoch FROM watermark)::int AS at FROM positions WHERE partition = 0",
      );
      stored.push(at);
    }
    assert.deepEqual(stored, [null, 60, 60, 90]);
  } finally {
    await database.close();
  }
});
