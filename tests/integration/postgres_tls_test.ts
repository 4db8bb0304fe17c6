import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { readConfig } from "../../src/config.ts";
import { databaseError, databaseUrl } from "../../src/setup/database.ts";
import { until } from "./kafka_broker.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";

/** TLS to a real PostgreSQL whose certificate an authority of our own has signed. */

const { serverTest, beforeAll } = await serverTests("postgres", "openssl");
let server: Postgres;
let plain: Postgres;
let folder: string;

/** A certificate for the names and addresses; the server runs the programs, as its user. */
const certify = (names: string) =>
  rowsOf(
    server.url,
    `COPY (SELECT 1) TO PROGRAM '${
      [
        "openssl req -newkey rsa:2048 -nodes -subj /CN=db -keyout server.key -out server.csr",
        `echo subjectAltName=${names} > names`,
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 " +
        "-extfile names -out server.crt",
        "chmod 600 server.key",
      ].join(" && ")
    }'`,
  );

beforeAll(async () => {
  [server, plain] = await Promise.all([
    startPostgres({ owned: true }),
    startPostgres({ owned: true }),
  ]);
  folder = await Deno.makeTempDir({ prefix: "gridwatch-tls-" });
  await rowsOf(
    server.url,
    "COPY (SELECT 1) TO PROGRAM 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 " +
      "-subj /CN=authority -keyout ca.key -out ca.crt'",
  );
  await certify("IP:127.0.0.1,DNS:localhost");
  const [{ ca }] = await rowsOf(server.url, "SELECT pg_read_file('ca.crt') AS ca");
  await Deno.writeTextFile(`${folder}/ca.crt`, String(ca));
  await Deno.writeTextFile(`${folder}/password`, "a/b@c%d 'e\n");
  await rowsOf(server.url, "CREATE ROLE secret LOGIN SUPERUSER PASSWORD $$a/b@c%d 'e$$");
  await rowsOf(server.url, "ALTER SYSTEM SET ssl = on");
  await reload();
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
  await plain?.stop();
  if (folder) await Deno.remove(folder, { recursive: true });
});

async function reload(): Promise<void> {
  await rowsOf(server.url, "SELECT pg_reload_conf()");
  await until("the server takes TLS", async () => {
    const answer = await encryptionOf(`${server.url}?sslmode=require`).catch(() => null);
    return answer === true ? true : undefined;
  });
}

/** Whether a session is encrypted; what is said to people where there is none. */
async function encryptionOf(url: string): Promise<unknown> {
  const database = new PostgresDatabase(url, { connections: 1, name: "tls", statementMsMax: 0 });
  try {
    const sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    return (await database.query(sql)).rows[0].ssl;
  } catch (error) {
    throw databaseError("use", error);
  } finally {
    await database.close();
  }
}

/** As a verb opens it: by the settings. */
function completed(url: string, settings: Record<string, string> = {}): string {
  const yaml = { path: "test", text: JSON.stringify({ database: settings }) };
  return databaseUrl("test", readConfig(yaml, () => undefined), url);
}

const at = (host: string, mode: string, of = server) => {
  const url = new URL(of.url);
  return `postgres://postgres@${host}:${url.port}/postgres${mode === "" ? "" : `?sslmode=${mode}`}`;
};

serverTest(
  "PostgresDatabase encrypts as sslmode says, and needs none on this machine",
  async () => {
    const ca = { tls_ca_file: `${folder}/ca.crt` };
    for (const host of ["127.0.0.1", "localhost"]) {
      assert.equal(await encryptionOf(at(host, "")), false, host);
      assert.equal(await encryptionOf(at(host, "disable")), false, host);
      for (const mode of ["prefer", "require"]) {
        assert.equal(await encryptionOf(at(host, mode)), true, `${host} ${mode}`);
      }
      for (const mode of ["verify-ca", "verify-full"]) {
        assert.equal(await encryptionOf(completed(at(host, mode), ca)), true, `${host} ${mode}`);
        await assert.rejects(encryptionOf(at(host, mode)), {
          name: "RunError",
          hint: /database\.tls_ca_file/,
        });
      }
    }
  },
);

serverTest(
  "PostgresDatabase holds the certificate against the name or address it reached",
  async () => {
    const ca = { tls_ca_file: `${folder}/ca.crt` };
    const open = (host: string, mode: string) => encryptionOf(completed(at(host, mode), ca));
    const refusal = { name: "RunError", message: /Hostname\/IP does not match/ };
    for (
      const [names, good, bad] of [
        ["IP:127.0.0.1", "127.0.0.1", "localhost"],
        ["DNS:localhost", "localhost", "127.0.0.1"],
      ]
    ) {
      await certify(names);
      await reload();
      assert.equal(await open(good, "verify-full"), true, good);
      await assert.rejects(open(bad, "verify-full"), refusal, bad);
      assert.equal(await open(bad, "verify-ca"), true, "any name");
    }
  },
);

serverTest(
  "PostgresDatabase sends nothing to a server without TLS, and says what it lacks",
  async () => {
    for (const mode of ["require", "verify-ca", "verify-full"]) {
      await assert.rejects(encryptionOf(at("127.0.0.1", mode, plain)), {
        message: /no TLS/,
        hint: /sslmode=disable/,
      });
    }
    assert.equal(await encryptionOf(at("127.0.0.1", "prefer", plain)), false);
  },
);

serverTest("databaseUrl() puts in the password of database.password_file", async () => {
  const url = at("127.0.0.1", "").replace("postgres@", "secret@");
  const found = completed(url, { password_file: `${folder}/password` });
  assert.equal(decodeURIComponent(new URL(found).password), "a/b@c%d 'e");
  assert.equal(await encryptionOf(found), false);
  const own = completed(url.replace("secret@", "secret:own@"), {
    password_file: `${folder}/password`,
  });
  assert.equal(new URL(own).password, "own");
  assert.throws(() => completed(url, { password_file: `${folder}/none` }), { name: "RunError" });
  assert.throws(() => completed(url, { tls_ca_file: `${folder}/none` }), { name: "RunError" });
  assert.throws(() => completed(at("h", "always")), { name: "UsageError" });
});
