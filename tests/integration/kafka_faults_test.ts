import assert from "node:assert/strict";
import { decodeTask, encodeTask } from "../../src/core/codec.ts";
import type { LogRecords } from "../../src/engine/log/ports.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka, withKafka } from "./kafka_harness.ts";
import { bytesAt, Pipeline, type PipelineOptions, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

/** What is left of the pipeline's promises when commands and the broker are killed. */

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

function pipelineTest(
  name: string,
  test: (pipeline: Pipeline) => Promise<void>,
  options: PipelineOptions = {},
): void {
  serverTest(name, () => withPipeline(kafka.brokers, options, test));
}

const WRITER = { compression: "none", batchBytesMax: 512 << 10, deadlineMs: 20_000 } as const;
const DEFECTS = ["--delay-probability", "0.05", "--duplicate-probability", "0.02", "--seed", "7"];
const decoder = new TextDecoder();
const encoder = new TextEncoder();

async function makeFleet(pipeline: Pipeline, meters: number): Promise<string> {
  const path = `${pipeline.folder}/fleet.csv`;
  const size = ["--meters", String(meters), "--days", "5", "--seed", "9", "--quiet"];
  assert.equal((await pipeline.run("generate", "--output", path, ...size)).code, 0);
  return path;
}

type Copied = { key: string; value: Uint8Array; timeMs: number; origin: [number, number] | null };

/** Records as one run. */
function runOf(topic: string, records: readonly Copied[], partition = 0): LogRecords {
  const values = pack(records.map(({ value }) => value));
  const keys = pack(records.map(({ key }) => encoder.encode(key)));
  const hasOrigins = records.some(({ origin }) => origin !== null);
  return {
    ...{ topic, partition, count: records.length, values: values.bytes, valueEnds: values.ends },
    ...{ keys: keys.bytes, keyEnds: keys.ends },
    timesMs: Float64Array.from(records, ({ timeMs }) => timeMs),
    origins: !hasOrigins ? null : {
      partition: 0,
      offsets: records.map(({ origin }) => origin?.[0] ?? -1),
      indexes: records.map(({ origin }) => origin?.[1] ?? -1),
    },
  };
}

function pack(parts: readonly Uint8Array[]): { bytes: Uint8Array; ends: number[] } {
  let end = 0;
  const ends = parts.map(({ length }) => end += length);
  const bytes = new Uint8Array(end);
  parts.forEach((part, r) => bytes.set(part, ends[r] - part.length));
  return { bytes, ends };
}

async function recordsOf(pipeline: Pipeline, topic: string): Promise<Copied[]> {
  return (await pipeline.read(topic, { partition: 0 })).flat().flatMap((batch) =>
    Array.from({ length: batch.count }, (_, r): Copied => {
      const { keys, values, origins, timesMs } = batch;
      const offset = origins!.offsets[r];
      return {
        key: decoder.decode(bytesAt(batch, keys!, r)),
        value: bytesAt(batch, values, r),
        timeMs: timesMs[r],
        origin: offset < 0 ? null : [offset, origins!.indexes[r]],
      };
    })
  );
}

/** The lines of a recorded replay in partition 0, without transactions: offsets without holes. */
async function playPlainly(pipeline: Pipeline): Promise<void> {
  const path = `${pipeline.folder}/raw.jsonl`;
  const csv = await makeFleet(pipeline, 4);
  const { code } = await pipeline.run("replay", csv, ...DEFECTS, "--output", path, "--quiet");
  assert.equal(code, 0);
  const lines = (await Deno.readTextFile(path)).trimEnd().split("\n");
  const producer = pipeline.log.producer(WRITER);
  const records = lines.map((line): Copied => ({
    ...{ key: "", value: encoder.encode(line), timeMs: Date.now(), origin: null },
  }));
  await producer.send([runOf(pipeline.topics.raw, records)]);
  await producer.close();
}

type Alter = (topic: keyof Pipeline["topics"], records: Copied[]) => Copied[];

/** A fault on purpose: what it does to a copy of the topics, and what `verify` says of it. */
const FAULTS: Record<string, { alter: Alter; problem: string; topic: keyof Pipeline["topics"] }> = {
  "written twice": {
    alter: (topic, all) => topic === "validated" ? all.toSpliced(40, 0, all[39]) : all,
    ...{ problem: "extra", topic: "validated" },
  },
  "left out": {
    alter: (topic, all) => topic === "validated" ? all.toSpliced(40, 1) : all,
    ...{ problem: "missing", topic: "validated" },
  },
  "changed": {
    alter: (topic, all) => {
      if (topic !== "gapAlerts") return all;
      const value = encoder.encode(decoder.decode(all[3].value).replace("CLOSED", "OPEN"));
      return all.with(3, { ...all[3], value });
    },
    ...{ problem: "different", topic: "gapAlerts" },
  },
  "added": {
    alter: (topic, all) =>
      topic === "rejected"
        ? [...all, { key: "", value: encoder.encode("{}"), timeMs: 0, origin: null }]
        : all,
    ...{ problem: "extra", topic: "rejected" },
  },
  "altered in the ledger": {
    alter: (topic, all) => {
      if (topic !== "changelog") return all;
      const at = all.findLastIndex(({ key }) => key === "task");
      const task = decodeTask(all[at].value);
      task.ledger.ok--;
      return all.with(at, { ...all[at], value: encodeTask({ state: task, watermarkMs: null }) });
    },
    ...{ problem: "ledger", topic: "raw" },
  },
};

pipelineTest(
  "verify --kafka exits 3 and names what is wrong, for every fault put in",
  async (pipeline) => {
    await pipeline.createTopics();
    await playPlainly(pipeline);
    const processor = pipeline.process();
    await pipeline.untilJudged();
    assert.equal((await pipeline.verify()).code, 0, "while the processor runs");
    await terminate(processor);
    for (const [name, { alter, problem, topic }] of Object.entries({ ...FAULTS, ...NO_FAULT })) {
      await using copy = new Pipeline(kafka.brokers, { partitions: 1 });
      await copy.createTopics();
      const producer = copy.log.producer(WRITER);
      for (const kind of Object.keys(pipeline.topics) as (keyof Pipeline["topics"])[]) {
        const records = alter(kind, await recordsOf(pipeline, pipeline.topics[kind]));
        await producer.send([runOf(copy.topics[kind], records)]);
      }
      await producer.close();
      const { code, found, stderr } = await copy.verify();
      if (problem === "") {
        assert.equal(code, 0, stderr);
        continue;
      }
      assert.equal(code, 3, `${name}: ${stderr}`);
      assert.equal(found.balanced, false);
      assert.equal(found.differences.length, 1, `${name}: ${stderr}`);
      const [first] = found.differences;
      assert.deepEqual([first.problem, first.topic], [problem, copy.topics[topic]], name);
      assert.match(stderr, new RegExp(`partition 0, ${first.topic}.*: ${problem}`));
    }
  },
  { partitions: 1 },
);

/** The copy itself is none. */
const NO_FAULT = {
  "": { alter: (_: unknown, all: Copied[]) => all, problem: "", topic: "raw" as const },
};

/** Keys and values of the raw topic; its offsets depend on how the transactions were cut. */
async function rawLines(pipeline: Pipeline): Promise<string[]> {
  return (await pipeline.lines(pipeline.topics.raw)).map((line) => line.replace(/ \S+ /, " "));
}

pipelineTest(
  "replay --kafka killed again and again leaves the topic of an undisturbed one",
  async (pipeline) => {
    const path = await makeFleet(pipeline, 120);
    await pipeline.createTopics();
    const replay = ["replay", path, "--kafka", ...DEFECTS, "--json"];
    let kills = 0;
    for (; kills < 5; kills++) {
      const before = await rawEnds(pipeline);
      const running = pipeline.start(...replay, "--rate", "4000", ...pipeline.brokers);
      const sends = async () => await rawEnds(pipeline) > before + 1000 * (kills % 3);
      await until("it sends", sends, 30_000);
      running.kill("SIGKILL");
      assert.notEqual((await running.ended).code, 0, "it was done before the kill");
    }
    const { stdout } = await pipeline.onKafka(...replay);
    const { resumedAfter, sent, isFinished } = JSON.parse(stdout);
    assert.ok(resumedAfter > 0 && sent > 0 && isFinished);

    await using straight = new Pipeline(kafka.brokers);
    await straight.createTopics();
    await straight.onKafka(...replay);
    assert.deepEqual(await rawLines(pipeline), await rawLines(straight));
    const again = await pipeline.onKafka(...replay);
    assert.equal(JSON.parse(again.stdout).sent, 0);
  },
);

pipelineTest("replay --kafka run again keeps the clock of its first start", async (pipeline) => {
  const path = `${pipeline.folder}/ahead.csv`;
  const startMs = Date.parse("2024-01-02T00:00:00Z"); // ahead of the first start's clock
  const rows = Array.from(
    { length: 2000 },
    (_, n) => `M${n % 5},${new Date(startMs + n).toISOString()},1\n`,
  );
  await Deno.writeTextFile(path, `meter_id,timestamp,consumption_kwh\n${rows.join("")}`);
  await pipeline.createTopics();
  const replay = ["replay", path, "--kafka", "--json"];
  const pace = ["--rate", "200", "--now", "2024-01-01T00:00:00Z"];
  const first = pipeline.start(...replay, ...pace, ...pipeline.brokers);
  await until("it sends", async () => await rawEnds(pipeline) > 100);
  first.kill("SIGKILL");
  assert.notEqual((await first.ended).code, 0, "it was done before the kill");
  await pipeline.onKafka(...replay);
  const lines = await pipeline.lines(pipeline.topics.raw);
  assert.equal(lines.filter((line) => line.includes("tick")).length, 0);
  assert.equal(lines.length, rows.length);
});

async function rawEnds({ admin, partitionNumbers, topics }: Pipeline): Promise<number> {
  const refs = partitionNumbers.map((partition) => ({ topic: topics.raw, partition }));
  const ends = await admin.listOffsets(refs, "committedEnd");
  return ends.reduce((sum, { offset }) => sum + offset, 0);
}

pipelineTest(
  "of two replays at once the later goes on, and the earlier ends with a hint",
  async (pipeline) => {
    const path = await makeFleet(pipeline, 120);
    await pipeline.createTopics();
    const args = ["replay", path, "--kafka", ...DEFECTS, "--rate", "5000", ...pipeline.brokers];
    const earlier = pipeline.start(...args);
    await until("it sends", async () => await rawEnds(pipeline) > 2000);
    const later = pipeline.start(...args);
    const [first, second] = await Promise.all([earlier.ended, later.ended]);
    assert.equal(second.code, 0, second.stderr);
    assert.equal(first.code, 1);
    assert.match(first.stderr, /^error: Cannot replay: another has taken this replay over$/m);
    assert.match(first.stderr, /^hint: /m);
    assert.doesNotMatch(first.stderr, /fault of Gridwatch/);

    await using straight = new Pipeline(kafka.brokers);
    await straight.createTopics();
    await straight.onKafka("replay", path, "--kafka", ...DEFECTS);
    assert.deepEqual(await rawLines(pipeline), await rawLines(straight));
  },
);

pipelineTest(
  "an idle live partition gets wall-clock ticks in its raw topic, a replayed one none",
  async (pipeline) => {
    await pipeline.createTopics();
    const producer = pipeline.log.producer(WRITER);
    const nowMs = Date.now();
    const send = async (partition: number, text: string, replay = {}) => {
      const value = encoder.encode(text);
      const record = { key: "", value, timeMs: nowMs, origin: null };
      await producer.send([{ ...runOf(pipeline.topics.raw, [record], partition), ...replay }]);
    };
    const replay = { replayStartMs: nowMs };
    const reading = (atMs: number) =>
      `{"meter_id":"M1","timestamp":"${new Date(atMs).toISOString()}","consumption_kwh":1}`;
    await send(0, reading(nowMs - 1000));
    await send(1, reading(nowMs - 6 * 3_600_000), replay);
    const tick = `{"type":"tick","timestamp":"${new Date(nowMs - 5 * 3_600_000).toISOString()}"}`;
    await send(1, tick, replay);
    await producer.close();
    const processor = pipeline.process();
    const raw = async (partition: number) =>
      (await pipeline.read(pipeline.topics.raw, { partition })).flat()
        .reduce((sum, { count }) => sum + count, 0);
    await until("ticks come", async () => await raw(0) >= 4);
    assert.deepEqual([await raw(1), await raw(2)], [2, 0]);
    const ticks = (await pipeline.messages(pipeline.topics.raw)).filter(({ type }) =>
      type === "tick"
    );
    const lateMs = ticks.map(({ timestamp }) => Date.parse(timestamp) - nowMs)
      .filter((ms) => ms > 0);
    assert.ok(lateMs[0] > 500 && lateMs[0] < 20_000, `the first tick is ${lateMs[0]} ms late`);
    assert.equal((await terminate(processor)).code, 0);
    await pipeline.untilJudged(1000);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  },
  { settings: { IDLE_TIMEOUT_SECONDS: 1, WATERMARK_SCOPE: "partition" } },
);

/** With a broker that the test kills. */
function brokerTest(
  name: string,
  test: (pipeline: Pipeline, kafka: Kafka) => Promise<void>,
): void {
  serverTest(
    name,
    () =>
      withKafka(
        { owned: true },
        (kafka) => withPipeline(kafka.brokers, {}, (pipeline) => test(pipeline, kafka)),
      ),
  );
}

/** The CPU time that a process may take while there is nothing to reach, of a second. */
const AWAY_CPU_SHARE = 0.3;
const AWAY_MS = 3000;

brokerTest(
  "a broker killed in the middle: a line with a hint, no busy loop, nothing lost",
  async (pipeline, kafka) => {
    const path = await makeFleet(pipeline, 120);
    await pipeline.createTopics();
    const processor = pipeline.process();
    const replay = pipeline.start("replay", path, "--kafka", "--rate", "8000", ...pipeline.brokers);
    await until("records come", async () => await rawEnds(pipeline) > 5000);
    // A new cluster has no coordinator at first, which is said, too.
    const before = processor.said("kafka_unreachable").length;
    await kafka.kill();
    await until("it says so", () => processor.said("kafka_unreachable").length > before);
    const cpuBefore = await processor.cpuSeconds();
    const since = performance.now();
    await until("a while without a broker", () => performance.now() - since > AWAY_MS);
    const cpuSeconds = await processor.cpuSeconds() - cpuBefore;
    assert.ok(cpuSeconds < AWAY_CPU_SHARE * AWAY_MS / 1000, `${cpuSeconds} CPU s in ${AWAY_MS} ms`);
    await kafka.restart();
    assert.equal((await replay.ended).code, 0, replay.stderr);
    await pipeline.untilJudged();
    const said = processor.said("kafka_unreachable").slice(before);
    assert.ok(said.length <= 2, `said ${said.length} times`);
    assert.match(String(said[0].hint), /Is it running|Does this port/);
    await until("it says that it is back", () => processor.said("kafka_reached").length > 0);
    const { code, ms } = await terminate(processor);
    assert.deepEqual([code, ms < 5000], [0, true], `${ms} ms`);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  },
);

brokerTest(
  "a broker absent at the start: a line with a hint, no busy loop, then it works",
  async (pipeline, kafka) => {
    await pipeline.createTopics();
    await kafka.kill();
    const processor = pipeline.process();
    const replay = pipeline.start(
      ...["replay", await makeFleet(pipeline, 10), "--kafka", ...pipeline.brokers],
    );
    await until("both say so", () =>
      processor.said("kafka_unreachable").length > 0 &&
      replay.stderr.includes("warning: Cannot reach"));
    const cpuBefore = await processor.cpuSeconds();
    const since = performance.now();
    await until("a while without a broker", () => performance.now() - since > AWAY_MS);
    const cpuSeconds = await processor.cpuSeconds() - cpuBefore;
    assert.ok(cpuSeconds < AWAY_CPU_SHARE * AWAY_MS / 1000, `${cpuSeconds} CPU s in ${AWAY_MS} ms`);
    assert.equal(processor.said("kafka_unreachable").length, 1);
    const stopped = pipeline.process();
    await until("it waits, too", () => stopped.said("kafka_unreachable").length > 0);
    const { code, ms } = await terminate(stopped);
    assert.deepEqual([code, ms < 5000], [0, true], `stopped in ${ms} ms while it waited`);
    await kafka.restart();
    assert.equal((await replay.ended).code, 0, replay.stderr);
    await pipeline.untilJudged();
    await terminate(processor);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  },
);
