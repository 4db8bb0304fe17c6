import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import type { LogBatch } from "../../src/engine/log/ports.ts";
import { emptyLedger } from "../../src/core/ledger.ts";
import { rowsOf, startPostgres } from "./postgres_harness.ts";

/** A sink over an empty database of this schema. */
async function openSite() {
  const server = await startPostgres();
  const url = await server.createDatabase();
  const database = new PostgresDatabase(url, { connections: 2, name: "test", statementMsMax: 0 });
  await migrateDatabase(database, { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0 });
  return {
    url,
    sink: new PostgresSink(database, {
      answerMsMax: 60_000,
      gapGraceMs: 900_000,
      stateTtlMs: 604_800_000,
    }),
    async [Symbol.asyncDispose]() {
      await database.close();
      await server.stop();
    },
  };
}

Deno.test("PostgresSink.commit() keeps the watermark when an account says none", async () => {
  await using site = await openSite();
  const { sink, url } = site;
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
});

/** Messages as the log gives them, at the offsets 0, 1, …; each of the raw record of its offset. */
function batchOf(topic: string, messages: readonly Record<string, unknown>[]): LogBatch {
  const texts = messages.map((message) => new TextEncoder().encode(JSON.stringify(message)));
  const ends = Int32Array.from(texts.map(((end) => ({ length }) => end += length)(0)));
  const count = messages.length;
  const places = Float64Array.from(messages, (_, i) => i);
  return {
    topic,
    partition: 0,
    count,
    bytes: new Uint8Array(texts.flatMap((text) => [...text])),
    values: { starts: Int32Array.from(ends, (_, i) => i === 0 ? 0 : ends[i - 1]), ends },
    offsets: places,
    timesMs: new Float64Array(count),
    keys: null,
    origins: { partitions: new Int32Array(count), offsets: places, indexes: new Int32Array(count) },
    nextOffset: count,
    logEndOffset: count,
    lastStableOffset: count,
  };
}

Deno.test("PostgresSink.commit() writes in parts what takes more locks than the server has", async () => {
  await using site = await openSite();
  const { sink, url } = site;
  // What a chunk a day does: for each day a transaction holds locks of a table and of its indexes.
  await rowsOf(
    url,
    `CREATE FUNCTION lock_day() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN PERFORM pg_advisory_xact_lock(extract(epoch FROM NEW.time)::bigint / 86400 * 4 + n)
         FROM generate_series(0, 3) AS n;
       RETURN NEW; END'`,
  );
  await rowsOf(
    url,
    "CREATE TRIGGER lock_day BEFORE INSERT ON rejected_readings FOR EACH ROW EXECUTE FUNCTION lock_day()",
  );
  const count = 12_000;
  const dayOf = (i: number) => new Date(Date.UTC(1970, 0, 2 + i)).toISOString();
  const rejected = batchOf(
    "rejected",
    Array.from({ length: count }, (_, i) => ({
      ...{ reason: "NEGATIVE", detail: "", raw: "{}", meter_id: "M", timestamp: dayOf(i) },
      consumption_kwh: -1,
    })),
  );
  const late = batchOf("late", [
    { meter_id: "M", timestamp: dayOf(0), consumption_kwh: 1, delay_seconds: 1 },
  ]);
  const starts = [
    { topic: "changelog", partition: 0, offset: 0, topicId: crypto.randomUUID() },
    ...[late, rejected]
      .map(({ topic }) => ({ topic, partition: 0, offset: 0, topicId: crypto.randomUUID() })),
  ];
  await sink.load(starts);
  const ledger = { ...emptyLedger(), raw: count + 1, rejected: count, too_late: 1 };
  const written = await sink.commit({
    partition: 0,
    moves: [
      { topic: "changelog", partition: 0, from: 0, to: 9, messages: 0 },
      { topic: "late", partition: 0, from: 0, to: 7, messages: 1 },
      { topic: "rejected", partition: 0, from: 0, to: count + 5, messages: count },
    ],
    runs: [
      { kind: "late", batch: late, first: 0, end: 1 },
      { kind: "rejected", batch: rejected, first: 0, end: 5000 },
      { kind: "rejected", batch: rejected, first: 5000, end: count },
    ],
    account: { nextOffset: count + 1, watermarkMs: 0, ledger },
  });
  assert.deepEqual(written, { rows: count + 1, refused: 0, incidents: [] });
  const [{ rows }] = await rowsOf(url, "SELECT count(*)::int AS rows FROM rejected_readings");
  assert.equal(rows, count);
  assert.deepEqual(
    await rowsOf(
      url,
      "SELECT topic, next_offset::int AS at, messages::int FROM sink_positions ORDER BY 1",
    ),
    [
      { topic: "changelog", at: 9, messages: 0 },
      { topic: "late", at: 7, messages: 1 },
      { topic: "rejected", at: count + 5, messages: count },
    ],
  );
  assert.deepEqual(await rowsOf(url, "SELECT raw::int FROM ledger"), [{ raw: count + 1 }]);
});
