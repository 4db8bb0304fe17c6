/** Migrations, and what a database makes of COPY's bytes: one database for all of it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { migrate, type Migration, MIGRATIONS } from "../../../src/tables/migrations.ts";
import { PgliteClient, SqlError } from "../../../src/adapters/pglite/client.ts";
import { CopyWriter } from "../../../src/tables/copy.ts";

const SEED = 1;

type Row = {
  readonly text: string | null;
  readonly texts: readonly string[];
  readonly number: number;
  readonly whole: number;
  readonly int: number;
  readonly timeMs: number;
  readonly json: Record<string, string>;
  readonly bytes: Uint8Array;
};

/** Every text PostgreSQL keeps, well-formed Unicode without NUL; PGlite drops a leading U+FEFF. */
const anyText = fc.string({ unit: "binary", maxLength: 40 })
  .map((text) => text.toWellFormed().replaceAll("\0", "0").replace(/^\ufeff/, ""));
const TIME_MAX_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const anyRow: fc.Arbitrary<Row> = fc.record({
  text: fc.oneof(anyText, fc.constant(null)),
  texts: fc.array(anyText, { maxLength: 3 }),
  number: fc.double(),
  whole: fc.maxSafeInteger(),
  int: fc.integer(),
  timeMs: fc.integer({ min: Date.UTC(1000, 0, 1), max: TIME_MAX_MS }),
  json: fc.array(fc.tuple(anyText, anyText), { maxLength: 3 }).map(Object.fromEntries),
  bytes: fc.uint8Array({ maxLength: 30 }),
}, { noNullPrototype: true });

const plain: Row = {
  ...{ text: "", texts: [], number: 0, whole: 0, int: 0, timeMs: 0, json: {} },
  bytes: new Uint8Array(0),
};
const hostile: readonly Row[] = [
  ...["'", '"', "\\", "\\N", "\\.", "\t", "\n", "\r\n", "{}", "NULL", "null", ",", "%", "$1"],
  ...["ä ☼", "\u{1f4a1}", "\u202e", "a\ufeff", "\uffff", "\u007f", "\u0001", "e\u0301"],
  ...["'; DROP TABLE copied; --", "x".repeat(100_000), "☼".repeat(100_000), "a".repeat(63) + "é"],
].map((text) => ({ ...plain, text, texts: [text, "", text], json: { [text]: text } }));
const edges: readonly Row[] = [
  ...[5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1 + 0.2, -0, NaN],
  ...[Infinity, -Infinity, 2 ** 53 + 2, 1e21, 1e-7],
].map((number) => ({ ...plain, number }));
const wholes: readonly Row[] = [
  ...[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 32, 2 ** 32 - 1, 2 ** 31, -(2 ** 31)],
  ...[-(2 ** 32), -1, -(2 ** 32) - 1],
].map((whole) => ({ ...plain, whole, int: Math.sign(whole) * (2 ** 31 - 1) }));
const times: readonly Row[] = [
  ...["1000-01-01T00:00:00Z", "1582-10-15T00:00:00Z", "1900-02-28T23:59:59.999Z"],
  ...["1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999Z"],
  ...["2000-01-01T00:00:00Z", "2000-02-29T12:00:00.001Z", "2038-01-19T03:14:08Z"],
  ...["2106-02-07T06:28:16Z", "2285-05-12T00:00:00.001Z", "4300-01-01T00:00:00.001Z"],
  ...["9999-12-31T23:59:59.997Z", "9999-12-31T23:59:59.999Z"],
].map((time) => ({ ...plain, timeMs: Date.parse(time) }));

async function copyAndRead(client: PgliteClient, rows: readonly Row[]): Promise<Row[]> {
  const writer = new CopyWriter(1);
  for (const row of rows) {
    writer.row(8);
    if (row.text === null) writer.null();
    else writer.text(row.text);
    writer.textArray(row.texts);
    writer.float64(row.number);
    writer.int64(row.whole);
    writer.int32(row.int);
    writer.timestamp(row.timeMs);
    writer.jsonb(row.json);
    writer.bytes(row.bytes);
  }
  assert.equal(writer.rows, rows.length);
  await client.script("TRUNCATE copied RESTART IDENTITY");
  const columns = "text, texts, number, whole, int, time, json, bytes";
  const sql = `COPY copied (${columns}) FROM '/dev/blob' (FORMAT binary)`;
  await client.transaction([{ sql, blob: writer.finish() }]);
  const { rows: read } = await client.query("SELECT * FROM copied ORDER BY id");
  return read.map((row) => ({
    text: row.text as string | null,
    texts: row.texts as string[],
    number: row.number as number,
    whole: Number(row.whole),
    int: row.int as number,
    timeMs: (row.time as Date).getTime(),
    json: row.json as Record<string, string>,
    bytes: row.bytes as Uint8Array,
  }));
}

const COPIED = `CREATE TABLE copied (
  id serial, text text, texts text[], number float8, whole bigint, int integer,
  time timestamptz, json jsonb, bytes bytea
)`;

async function copyClaims(client: PgliteClient, t: Deno.TestContext): Promise<void> {
  await client.script(`SET TIME ZONE 'UTC'; ${COPIED}`);
  await t.step("CopyWriter's hostile texts come back as they were", async () => {
    assert.deepEqual(await copyAndRead(client, hostile), hostile);
  });
  await t.step(
    "CopyWriter writes a byte order mark, although PGlite does not read it",
    async () => {
      await copyAndRead(client, [{ ...plain, text: "\ufeffM1" }]);
      const { rows } = await client.query("SELECT text = U&'\\FEFFM1' AS same FROM copied");
      assert.deepEqual(rows, [{ same: true }]);
    },
  );
  await t.step("CopyWriter's numbers come back to the last bit, also beyond 2^32", async () => {
    assert.deepEqual(await copyAndRead(client, edges), edges);
    assert.deepEqual(await copyAndRead(client, wholes), wholes);
  });
  await t.step("CopyWriter's times come back before 1970 and after 2038", async () => {
    assert.deepEqual(await copyAndRead(client, times), times);
    const { rows } = await client.query(
      "SELECT time::text AS text FROM copied WHERE id IN (4, 14)",
    );
    assert.deepEqual(rows.map(({ text }) => text), [
      "1969-12-31 23:59:59.999+00",
      "9999-12-31 23:59:59.999+00",
    ]);
  });
  await t.step("CopyWriter's rows come back, whatever is in them", async () => {
    const rows = fc.array(anyRow, { minLength: 1, maxLength: 60 });
    const property = fc.asyncProperty(rows, async (of) => {
      assert.deepEqual(await copyAndRead(client, of), of);
    });
    await fc.assert(property, { numRuns: 40, seed: SEED });
  });
  await t.step("CopyWriter without rows writes a copy of nothing", async () => {
    assert.deepEqual(await copyAndRead(client, []), []);
  });
  await t.step("a text that no database keeps fails the whole transaction", async () => {
    await copyAndRead(client, [plain]);
    await assert.rejects(copyAndRead(client, [plain, { ...plain, text: "a\0b" }]), SqlError);
    const { rows } = await client.query("SELECT count(*)::int AS n FROM copied");
    assert.deepEqual(rows, [{ n: 0 }], "TRUNCATE was a transaction of its own");
  });
}

const migration = (name: string, sql: string): Migration => ({ name, sql, embedded: false });

async function migrationClaims(client: PgliteClient, t: Deno.TestContext): Promise<void> {
  const first = migration("001_a", "CREATE TABLE a (x int); INSERT INTO a VALUES (1);");
  const second = migration("002_b", "INSERT INTO a VALUES (2);\n-- the last line says nothing");
  const values = async () => (await client.query("SELECT x FROM a ORDER BY x")).rows;
  await t.step("migrate() applies each migration once, in order", async () => {
    assert.deepEqual(await migrate(client, [first]), ["001_a"]);
    assert.deepEqual(await migrate(client, [first]), []);
    assert.deepEqual(await migrate(client, [first, second]), ["002_b"]);
    assert.deepEqual(await migrate(client, [first, second]), []);
    assert.deepEqual(await values(), [{ x: 1 }, { x: 2 }]);
    const { rows } = await client.query("SELECT name, length(sha256) AS n FROM schema_migrations");
    assert.deepEqual(rows, [{ name: "001_a", n: 64 }, { name: "002_b", n: 64 }]);
  });
  await t.step("migrate() refuses a migration whose text has changed", async () => {
    const changed = { ...first, sql: `${first.sql} ` };
    const third = migration("003_c", "INSERT INTO a VALUES (3);");
    const refused = migrate(client, [changed, second, third]);
    await assert.rejects(refused, /migration 001_a was applied with another text/);
    assert.deepEqual(await values(), [{ x: 1 }, { x: 2 }]);
  });
  await t.step("migrate() refuses a database that a newer version has migrated", async () => {
    await assert.rejects(migrate(client, [first]), /has migration 002_b, which this version/);
    assert.deepEqual(await values(), [{ x: 1 }, { x: 2 }]);
  });
  await t.step(
    "migrate() that fails leaves nothing of that migration, and the connection usable",
    async () => {
      const third = migration("003_c", "INSERT INTO a VALUES (3); SELECT 1 / 0;");
      await assert.rejects(migrate(client, [first, second, third]), /division by zero/);
      assert.deepEqual(await values(), [{ x: 1 }, { x: 2 }]);
      assert.deepEqual(await migrate(client, [first, second]), []);
    },
  );
  await t.step("the shipped migrations have the names of their files, in order", async () => {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(new URL("../../sql", import.meta.url))) {
      if (/^\d{3}_.*\.sql$/.test(name)) names.push(name.replace(".sql", ""));
    }
    assert.deepEqual(MIGRATIONS.map(({ name }) => name), names.sort());
  });
}

Deno.test("PgliteClient keeps what it is given, and migrates once", async (t) => {
  const client = await PgliteClient.open(null);
  try {
    await migrationClaims(client, t);
    await copyClaims(client, t);
  } finally {
    await client.close();
  }
  await t.step("query() after close() rejects, and close() again does nothing", async () => {
    await assert.rejects(client.query("SELECT 1"), /is closed/);
    await client.close();
  });
});

Deno.test("PgliteClient.open() of what cannot be a database rejects", async () => {
  const path = await Deno.makeTempFile();
  try {
    await assert.rejects(PgliteClient.open(path));
  } finally {
    await Deno.remove(path);
  }
});
