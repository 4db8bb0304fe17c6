import assert from "node:assert/strict";
import { recordsOf } from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

/** A replay is judged by its own ticks, everything beside it by the time of the log. */

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

const WRITER = { compression: "none", batchBytesMax: 512 << 10, deadlineMs: 20_000 } as const;
const HOUR_MS = 3_600_000;
const LIVE_METERS = 20;
const LIVE_READINGS = 60;

/** Sends readings of a fleet that is live, each later than the one before, the last of them now. */
async function sendLive(pipeline: Pipeline, round: number): Promise<void> {
  const nowMs = Date.now();
  const values = Array.from({ length: LIVE_READINGS }, (_, n) => {
    const age = LIVE_READINGS / LIVE_METERS - 1 - Math.floor(n / LIVE_METERS);
    return readingOf(`LIVE-${round}-${n % LIVE_METERS}`, nowMs - age * HOUR_MS / 2);
  });
  await send(pipeline, values);
}

function readingOf(meter: string, atMs: number): string {
  const timestamp = new Date(atMs).toISOString();
  return JSON.stringify({ meter_id: meter, timestamp, consumption_kwh: 1 });
}

async function send(pipeline: Pipeline, values: readonly string[]): Promise<void> {
  const producer = pipeline.log.producer(WRITER);
  await producer.send([recordsOf(pipeline.topics.raw, values)]);
  await producer.close();
}

async function rawEnd({ admin, topics }: Pipeline): Promise<number> {
  const [{ offset }] = await admin.listOffsets(
    [{ topic: topics.raw, partition: 0 }],
    "committedEnd",
  );
  return offset;
}

serverTest("live readings during a replay, and after it was killed, are not FUTURE", async () => {
  await withPipeline(kafka.brokers, { partitions: 1 }, async (pipeline) => {
    const fleet = `${pipeline.folder}/fleet.csv`;
    const size = ["--meters", "50", "--days", "3", "--seed", "9", "--quiet"];
    assert.equal((await pipeline.run("generate", "--output", fleet, ...size)).code, 0);
    await pipeline.createTopics();
    const processor = pipeline.process();
    const args = ["replay", fleet, "--kafka", "--quiet"];
    const replay = pipeline.start(...args, "--rate", "1000", ...pipeline.brokers);
    await until("it sends", async () => await rawEnd(pipeline) > 500);
    await sendLive(pipeline, 0);
    replay.kill("SIGKILL");
    assert.notEqual((await replay.ended).code, 0, "it was done before the kill");
    await sendLive(pipeline, 1);
    await pipeline.onKafka(...args);
    await sendLive(pipeline, 2);
    await send(pipeline, [readingOf("AHEAD", Date.now() + 2 * HOUR_MS)]);
    await pipeline.untilJudged();
    assert.equal((await terminate(processor)).code, 0);
    const live = (await pipeline.messages(pipeline.topics.validated))
      .filter(({ meter_id }) => meter_id.startsWith("LIVE-"));
    assert.equal(live.length, 3 * LIVE_READINGS);
    const future = (await pipeline.messages(pipeline.topics.rejected))
      .filter(({ reason }) => reason === "FUTURE");
    assert.deepEqual(future.map(({ meter_id }) => meter_id), ["AHEAD"]);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  });
});

serverTest("a replay's readings are judged by its own ticks, which its header says", async () => {
  await withPipeline(kafka.brokers, { partitions: 1 }, async (pipeline) => {
    const atMs = Date.UTC(2024, 0, 1, 10);
    const tick = JSON.stringify({ type: "tick", timestamp: new Date(atMs) });
    const values = [tick, readingOf("NEAR", atMs + HOUR_MS), readingOf("FAR", atMs + 2 * HOUR_MS)];
    const recorded = `${pipeline.folder}/recorded.jsonl`;
    await Deno.writeTextFile(recorded, values.map((value) => `${value}\n`).join(""));
    await pipeline.createTopics();
    await pipeline.onKafka("replay", recorded, "--kafka", "--quiet");
    await send(pipeline, [readingOf("LIVE", atMs + 2 * HOUR_MS)]);
    const processor = pipeline.process();
    await pipeline.untilJudged();
    assert.equal((await terminate(processor)).code, 0);
    const ids = async (topic: string) =>
      (await pipeline.messages(topic)).map(({ meter_id }) => meter_id);
    assert.deepEqual(await ids(pipeline.topics.rejected), ["FAR"]);
    assert.deepEqual(await ids(pipeline.topics.validated), ["NEAR", "LIVE"]);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  });
});

serverTest(
  "a partition live again after a killed replay gets ticks when it falls idle",
  async () => {
    const settings = { IDLE_TIMEOUT_SECONDS: 1 };
    await withPipeline(kafka.brokers, { partitions: 1, settings }, async (pipeline) => {
      await pipeline.createTopics();
      const nowMs = Date.now();
      const tick = JSON.stringify({ type: "tick", timestamp: new Date(nowMs - 5 * HOUR_MS) });
      const producer = pipeline.log.producer(WRITER);
      const run = recordsOf(pipeline.topics.raw, [readingOf("OLD", nowMs - 6 * HOUR_MS), tick]);
      await producer.send([{ ...run, replayStartMs: nowMs - HOUR_MS }]); // and no last tick
      await producer.close();
      await sendLive(pipeline, 0);
      const end = await rawEnd(pipeline);
      const processor = pipeline.process();
      await until("ticks come", async () => await rawEnd(pipeline) > end);
      assert.equal((await terminate(processor)).code, 0);
      const last = (await pipeline.messages(pipeline.topics.raw)).at(-1);
      assert.equal(last.type, "tick");
    });
  },
);
