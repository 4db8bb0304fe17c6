import assert from "node:assert/strict";
import { readTls } from "../../../src/adapters/postgres/tls.ts";

Deno.test("readTls() checks the certificate in full unless the server is on this machine", () => {
  const modes: [host: string, mode: string][] = [
    ["localhost", "disable"],
    ["db.localhost:5433", "disable"],
    ["127.0.0.2", "disable"],
    ["[::1]:5432", "disable"],
    ["%2Fvar%2Frun%2Fpostgresql", "disable"],
    ["", "disable"],
    ["db-1:5432", "verify-full"],
    ["10.0.0.7", "verify-full"],
    ["[fe80::1]", "verify-full"],
    ["localhost.evil.example", "verify-full"],
    ["127.0.0.1.evil.example", "verify-full"],
    ["1270.0.0.1", "verify-full"],
    ["localhost,db-2", "verify-full"],
  ];
  for (const [host, mode] of modes) {
    assert.equal(readTls(`postgres://${host}/a`).mode, mode, host);
    assert.equal(readTls(`postgres://${host}/a?sslmode=require`).mode, "require", host);
  }
});

Deno.test("readTls() takes its own parameters out of the URL and leaves the others", () => {
  const { url, caFile, mustEncrypt } = readTls(
    "postgres://u:p%2Fq@h:5/a?sslmode=verify-ca&options=-c%20jit%3Doff&sslrootcert=/ca.pem",
  );
  assert.deepEqual([caFile, mustEncrypt], ["/ca.pem", true]);
  assert.equal(new URL(url).search, "?options=-c+jit%3Doff");
  assert.equal(new URL(url).password, "p%2Fq");
});
