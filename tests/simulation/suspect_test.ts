/**
 * What the simulation, the crash tests and the stores' tests hold against `src`: each test fails
 * until the fault that it names is mended, and then belongs beside the other tests of that file.
 */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory_store.ts";
import { migrate } from "../../src/adapters/migrations.ts";
import { PgliteClient } from "../../src/adapters/pglite_client.ts";
import { Processor } from "../../src/core/processor.ts";
import { formatTimestamp } from "../../src/core/time.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import { Task } from "../../src/engine/task.ts";
import { CopyWriter } from "../../src/formats/pg_copy.ts";
import { GOLDEN } from "../golden/golden.ts";
import { coreOptions, foldRecords } from "./fold.ts";
import {
  assertSameAnswer,
  foldLog,
  outputLines,
  pipelineOptions,
  stateLines,
  toChunks,
} from "./playback.ts";

const OPTIONS = coreOptions(GOLDEN.household);
const START_MS = Date.UTC(2024, 0, 1);
const reading = (meterId: string, minute: number, kwh = 1): string =>
  JSON.stringify({
    meter_id: meterId,
    timestamp: new Date(START_MS + minute * 60_000).toISOString(),
    consumption_kwh: kwh,
  });
const untimed = (texts: readonly string[]) => texts.map((text) => ({ text, timeMs: NaN }));

// src/core/codec.ts: `decoder` drops a leading U+FEFF. A meter "\ufeffM1" (a foreign producer's
// file with a byte order mark) is restored as "M1", and replaces M1's own state.
Deno.test("a restore keeps apart two meters whose ids differ by a byte order mark", async () => {
  const texts = [reading("M1", 0), reading("\ufeffM1", 0, 2), reading("M1", 30)];
  const store = new MemoryStore();
  const live = await Task.open(OPTIONS, store);
  foldLog(live, untimed(texts));
  await store.commit(live.takeCommit()!);
  const restored = await Task.open(OPTIONS, store);
  assertSameAnswer(stateLines(restored.processor), stateLines(live.processor), "restored");
  // M1 at 00:30 again: a duplicate, whoever owns the partition now.
  for (const task of [live, restored]) foldLog(task, untimed([reading("M1", 30)]));
  const said = outputLines(restored.processor.takeOutputs());
  assertSameAnswer(said, outputLines(live.processor.takeOutputs()), "after the restore");
});

// src/core/reading.ts: `parseOwnTick` leaves `consumptionKwh` of the record before in `into`. A tick
// rejected as FUTURE is sent with that value: not a function of the record, and another one after a
// restart (NaN, so no value).
Deno.test("a rejected tick carries no value of the reading before it", () => {
  const processor = new Processor(OPTIONS);
  const tick = `{"type":"tick","timestamp":"2024-01-02T00:00:00Z"}`;
  foldRecords(processor, [reading("M1", 0, 0.5), tick], [START_MS, START_MS]);
  const [rejected] = processor.takeOutputs().rejected;
  assert.equal(rejected.reason, "FUTURE");
  assert.equal(rejected.consumptionKwh, null);
});

// src/core/reading.ts: `preview` cuts JSON text between the halves of a surrogate pair: the detail
// is "\ud83d" in JSON on Kafka (which strict parsers refuse) and U+FFFD in the database.
Deno.test("the detail of a rejected record is well-formed, wherever it is cut", () => {
  for (let length = 50; length < 62; length++) {
    const processor = new Processor(OPTIONS);
    const timestamp = "x".repeat(length) + "\u{1f4a1}".repeat(9);
    foldRecords(processor, [JSON.stringify({ meter_id: "M1", timestamp, consumption_kwh: 1 })]);
    const [{ detail }] = processor.takeOutputs().rejected;
    assert.ok(detail.isWellFormed(), `${length}: ${JSON.stringify(detail)}`);
  }
});

// src/core/processor.ts: `#duplicate` cuts `raw` at the limit and, unlike `#reject`, does not say so.
Deno.test("a duplicate whose raw bytes are cut says how many there were", () => {
  const processor = new Processor({ ...OPTIONS, rejectedRawBytesMax: 100 });
  const long = reading("M1", 0).replace("{", `{"note":"${"x".repeat(100)}",`);
  foldRecords(processor, [long, long]);
  const [{ reason, detail, raw }] = processor.takeOutputs().rejected;
  assert.deepEqual([reason, raw.length], ["DUPLICATE", 100]);
  assert.match(detail, /first 100 of \d+ bytes kept/);
});

// src/engine/pipeline.ts, src/core/time.ts: beyond 9999 `toISOString` writes "+010000-…". The last
// tick after a reading in the last minutes of 9999 is then rejected as BAD_TIMESTAMP, a raw record
// that nobody sent; and `formatTimestamp` writes "+010000-01-00:00:00Z" for a gap's end there.
Deno.test("playRecords() never rejects its own last tick", async () => {
  const store = new MemoryStore();
  const text = reading("M1", 0).replace(/20\d\d-.*?Z/, "9999-12-31T23:50:00Z");
  const task = await Task.open(OPTIONS, store);
  const pipeline = pipelineOptions(1, { endsAfterMs: 900_000 });
  await playRecords(toChunks([{ partition: 0, text }]), [task], store, pipeline);
  assert.equal(store.partitions.get(0)!.ledger.rejected, 0);
});

Deno.test("formatTimestamp() of a time beyond year 9999 is that time", () => {
  const ms = Date.UTC(10_000, 0, 1, 0, 30);
  assert.equal(Date.parse(formatTimestamp(ms)), ms);
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
