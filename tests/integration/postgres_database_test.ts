import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { until } from "./kafka_broker.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("postgres", "openssl");
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres({ owned: true });
  await rowsOf(
    server.url,
    "COPY (SELECT 1) TO PROGRAM 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=db " +
      "-keyout server.key -out server.crt && chmod 600 server.key'",
  );
  await rowsOf(server.url, "ALTER SYSTEM SET ssl = on");
  await rowsOf(server.url, "SELECT pg_reload_conf()");
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
});

const SESSION = "SELECT pg_backend_pid() AS pid, (SELECT ssl FROM pg_stat_ssl s " +
  "WHERE s.pid = pg_backend_pid()) AS ssl";

for (const mode of ["disable", "require"]) {
  serverTest(
    `PostgresDatabase.transaction() keeps nothing when its connection is cut, sslmode=${mode}`,
    async () => {
      const plain = await server.createDatabase();
      await rowsOf(plain, "CREATE TABLE t (n integer)");
      const database = new PostgresDatabase(`${plain}?sslmode=${mode}`, {
        connections: 1,
        name: "test",
        statementMsMax: 0,
      });
      try {
        if (mode === "require") {
          await until("the server takes TLS", async () => {
            const answer = await database.query(SESSION).catch(() => null);
            return answer === null ? undefined : true;
          });
        }
        const failure = database.transaction(async (tx) => {
          const { rows: [{ pid, ssl }] } = await tx.query(SESSION);
          assert.equal(ssl, mode === "require");
          await tx.query("INSERT INTO t VALUES (1)");
          await rowsOf(plain, `SELECT pg_terminate_backend(${pid}, 5000)`);
          await tx.query("INSERT INTO t VALUES (2)").catch(() => {}); // it may be the one that hears it
          await tx.query("INSERT INTO t VALUES (3)");
        });
        await assert.rejects(failure);
        assert.deepEqual(await rowsOf(plain, "SELECT * FROM t"), []);
        await database.transaction((tx) => tx.query("INSERT INTO t VALUES (4)"));
        assert.deepEqual(await rowsOf(plain, "SELECT * FROM t"), [{ n: 4 }]);
      } finally {
        await database.close();
      }
    },
  );
}
