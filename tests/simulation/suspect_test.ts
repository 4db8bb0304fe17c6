/**
 * What the simulation, the crash tests and the stores' tests hold against `src`: each test fails
 * until the fault that it names is mended, and then belongs beside the other tests of that file.
 */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory_store.ts";
import { migrate } from "../../src/adapters/migrations.ts";
import { PgliteClient } from "../../src/adapters/pglite_client.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import { Task } from "../../src/engine/task.ts";
import { CopyWriter } from "../../src/formats/pg_copy.ts";
import { GOLDEN } from "../golden/golden.ts";
import { coreOptions } from "./fold.ts";
import { pipelineOptions, toChunks } from "./playback.ts";

const OPTIONS = coreOptions(GOLDEN.household);

// src/engine/pipeline.ts, `sendLastTick`: beyond 9999 `toISOString` writes "+010000-…". The last tick
// after a reading in the last minutes of 9999 is then rejected as BAD_TIMESTAMP: a raw record that
// nobody sent, counted, and the gaps are not told their length. To be cut at LATEST_MS of time.ts.
Deno.test("playRecords() never rejects its own last tick", async () => {
  const store = new MemoryStore();
  const text = `{"meter_id":"M1","timestamp":"9999-12-31T23:50:00Z","consumption_kwh":1}`;
  const task = await Task.open(OPTIONS, store);
  const pipeline = pipelineOptions(1, { endsAfterMs: 900_000 });
  await playRecords(toChunks([{ partition: 0, text }]), [task], store, pipeline);
  assert.equal(store.partitions.get(0)!.ledger.rejected, 0);
});

// src/formats/pg_copy.ts: `timestamp` needs microseconds below 2^53, which ends in 2285; from 4283
// on they are rounded to 16 µs, and the millisecond read back is the one before.
Deno.test("CopyWriter.timestamp() keeps the millisecond of every timestamp that is accepted", () => {
  for (const ms of [Date.UTC(4300, 0, 1) + 1, 253_402_300_799_997, 253_402_300_799_999]) {
    const writer = new CopyWriter();
    writer.row(1);
    writer.timestamp(ms);
    const bytes = writer.finish();
    const micros = new DataView(bytes.buffer).getBigInt64(19 + 2 + 4);
    assert.equal(micros, (BigInt(ms) - BigInt(Date.UTC(2000, 0, 1))) * 1000n, String(ms));
  }
});

const DEADLINE_MS = 20_000;

/** Runs a script of its own against this source; false: it had to be killed. */
async function endsByItself(script: string): Promise<boolean> {
  const root = new URL("../..", import.meta.url);
  const url = `data:application/typescript,${
    encodeURIComponent(script.replaceAll("@/", `${root}`))
  }`;
  const config = new URL("deno.json", root).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", `--config=${config}`, url],
    stdout: "null",
    stderr: "null",
  }).spawn();
  let isKilled = false;
  const timer = setTimeout(() => {
    isKilled = true;
    child.kill("SIGKILL");
  }, DEADLINE_MS);
  const { success } = await child.status;
  clearTimeout(timer);
  if (!isKilled) assert.equal(success, true, "the script failed");
  return !isKilled;
}

// src/adapters/pglite_store.ts: `open` releases the lock when migrating fails, and leaves PGlite's
// thread running on the directory: the process never ends, and another may open the directory now.
Deno.test("a process that PgliteStore.open() refused a database ends", async () => {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-suspect-" });
  try {
    const script = `
      import { PgliteClient } from "@/src/adapters/pglite_client.ts";
      import { PgliteStore } from "@/src/adapters/pglite_store.ts";
      import { migrate } from "@/src/adapters/migrations.ts";
      const client = await PgliteClient.open("${directory}/pg");
      await migrate(client, [{ name: "999_newer", sql: "SELECT 1;", embedded: false }]);
      await client.close();
      const refused = await PgliteStore.open("${directory}").catch(() => null);
      if (refused !== null) Deno.exit(1);`;
    assert.ok(await endsByItself(script), "it was still running");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Whether a promise is settled by the time the client's own thread has answered before it. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), 1000));
  const settled = promise.then(() => true, () => true);
  const answer = await Promise.race([settled, late]);
  clearTimeout(timer);
  return answer;
}

Deno.test("PgliteClient after an error, and after its end, answers", async (t) => {
  const client = await PgliteClient.open(null);
  // src/adapters/migrations.ts: BEGIN and the failing statement are one script, so nobody rolls back.
  await t.step("migrate() that fails leaves the connection usable", async () => {
    const failing = { name: "001_a", sql: "SELECT 1 / 0;", embedded: false };
    await assert.rejects(migrate(client, [failing]), /division by zero/);
    const { rows } = await client.query("SELECT 1 AS one");
    assert.deepEqual(rows, [{ one: 1 }]);
  });
  await client.close();
  // src/adapters/pglite_client.ts: the thread is gone, and nobody answers.
  await t.step("query() after close() rejects instead of waiting for ever", async () => {
    assert.ok(await settles(client.query("SELECT 1")));
  });
  await t.step("close() a second time ends", async () => {
    assert.ok(await settles(client.close()));
  });
});
