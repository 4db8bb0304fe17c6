import assert from "node:assert/strict";
import { SETTINGS } from "../../src/settings.ts";
import { partitionOf } from "../../src/replay/partitioner.ts";
import type { Topics } from "../../src/engine/log/records.ts";
import { CLIENTS, type ForeignClient } from "./clients/clients.ts";
import type { ReadRecord, SentRecord } from "./clients/requests.ts";
import { openCommitter, openLog, recordsOf, StepTransaction } from "./kafka_fixture.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

/** The clients that users have write our raw topic and read our outputs, as they are installed. */

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

/** Defines a test of each client; where one is missing it is skipped, and its name says what is. */
async function clientTest(
  name: string,
  test: (client: ForeignClient) => Promise<void>,
): Promise<void> {
  for (const client of CLIENTS) {
    const lack = await client.lack();
    const said = lack === null ? "" : ` [skipped: ${lack}]`;
    serverTest(`${client.name} ${name}${said}`, () => test(client), { ignore: lack !== null });
  }
}

const BEGAN_MS = Date.UTC(2024, 0, 1);
const INTERVAL_MS = 30 * 60_000;
const END_KEY = "end";
const PARTITIONS = 3;

function readingOf(
  meter: string,
  slot: number,
  kwh: number | string = 1 + slot / 1000,
): SentRecord {
  const timestamp = new Date(BEGAN_MS + slot * INTERVAL_MS).toISOString();
  return {
    key: meter,
    value: JSON.stringify({ meter_id: meter, timestamp, consumption_kwh: kwh }),
  };
}

/** What has something for every output topic: gaps, lateness, repeats, bad values, too much power. */
function readingsOf(meters: readonly string[]): SentRecord[] {
  return meters.flatMap((meter) => [
    ...[0, 1, 2, 3, 6, 7, 8, 9, 9].map((slot) => readingOf(meter, slot)),
    readingOf(meter, 8, 99),
    readingOf(meter, 5),
    readingOf(meter, 10, -1),
    readingOf(meter, 10, "много"),
    ...[20, 21, 22].map((slot) => readingOf(meter, slot, slot === 21 ? 60 : slot)),
    readingOf(meter, 12),
    { key: meter, value: "not json" },
  ]);
}

/** A tick to every partition, as a gateway sends them. */
function ticksAt(slot: number): SentRecord[] {
  const timestamp = new Date(BEGAN_MS + slot * INTERVAL_MS).toISOString();
  const value = JSON.stringify({ type: "tick", timestamp });
  return Array.from({ length: PARTITIONS }, (_, partition) => ({ key: null, value, partition }));
}

function outputsOf({ raw: _, changelog: __, ...outputs }: Topics): string[] {
  return Object.values(outputs);
}

/** A record as `Pipeline.lines` says it. */
function lineOf({ partition, headers: { p, o, i }, key, value }: ReadRecord): string {
  return `${partition} ${p}/${o}/${i} ${key ?? ""} ${value}`;
}

/** Records that were never committed, in the first partition of a topic. */
async function addAborted(topic: string): Promise<void> {
  await using steps = new StepTransaction(kafka.brokers, `${topic}-aborted`);
  await steps.open();
  for (let round = 0; round < 2; round++) {
    await steps.write(recordsOf(topic, ["aborted-1", "aborted-2"], { keys: ["a", "b"] }));
    await steps.end("abort");
  }
}

/** A last record in every partition of some topics, so that a reader knows when it has all. */
async function addEnds(pipeline: Pipeline, topics: readonly string[]): Promise<void> {
  const committer = openCommitter(pipeline.log, `${pipeline.name}-ends`);
  await committer.open();
  const records = topics.flatMap((topic) =>
    pipeline.partitionNumbers.map((partition) =>
      recordsOf(topic, ["end"], { partition, keys: [END_KEY] })
    )
  );
  await committer.commit({ records, groupOffset: null });
  await committer.close();
}

await clientTest(
  "puts each meter where gridwatch does, and reads every output byte for byte",
  async (client) => {
    await withPipeline(kafka.brokers, { partitions: PARTITIONS }, async (pipeline) => {
      await pipeline.createTopics();
      const outputs = outputsOf(pipeline.topics);
      for (const topic of outputs) await addAborted(topic);
      const processor = pipeline.process();
      const meters = Array.from({ length: 40 }, (_, n) => `Zähler-${n}`);
      const request = {
        kind: "produce",
        brokers: kafka.brokers,
        topic: pipeline.topics.raw,
      } as const;
      const half = meters.length / 2;
      await client.ask({ ...request, records: readingsOf(meters.slice(0, half)) });
      const transactionalId = `${pipeline.name}-producer`;
      const records = readingsOf(meters.slice(half));
      for (const outcome of ["abort", "commit"] as const) {
        await client.ask({ ...request, transactionalId, outcome, records });
      }
      for (const compression of client.compressions) {
        await client.ask({ ...request, compression, records: ticksAt(30) });
      }
      await pipeline.untilJudged();
      assert.equal((await terminate(processor)).code, 0);
      await assertPlaces(pipeline, meters);
      for (const topic of outputs) await addAborted(topic);
      const { code, found, stderr } = await pipeline.verify();
      assert.equal(code, 0, stderr);
      assert.equal(found.ledger.raw, 18 * meters.length + PARTITIONS * client.compressions.length);
      const expected = await pipeline.expectedLines();
      expected.set(pipeline.topics.metrics, await pipeline.lines(pipeline.topics.metrics));
      await addEnds(pipeline, outputs);
      const read = await client.ask({
        ...{ kind: "consume", brokers: kafka.brokers, endKey: END_KEY },
        topics: Object.fromEntries(outputs.map((topic) => [topic, { partitions: PARTITIONS }])),
      });
      for (const topic of outputs) {
        const records = read.filter((record) => record.topic === topic)
          .sort((a, b) => a.partition - b.partition || a.offset - b.offset);
        assert.ok(records.length > 0, `nothing in ${topic}`);
        assert.deepEqual(records.map(lineOf), expected.get(topic), topic);
      }
    });
  },
);

/** Each meter's records lie where its id says, and nowhere else. */
async function assertPlaces(pipeline: Pipeline, meters: readonly string[]): Promise<void> {
  const places = new Map<string, Set<number>>();
  for (const line of await pipeline.lines(pipeline.topics.raw)) {
    const [partition, , key] = line.split(" ");
    if (key !== "") places.set(key, (places.get(key) ?? new Set()).add(Number(partition)));
  }
  const expected = meters.map((meter) =>
    [
      meter,
      new Set([partitionOf(new TextEncoder().encode(meter), PARTITIONS)]),
    ] as const
  );
  assert.deepEqual(places, new Map(expected));
}

await clientTest(
  "reads what we write in each compression that it has as it is installed",
  async (client) => {
    const log = openLog(kafka.brokers);
    const admin = log.admin({ deadlineMs: 15_000 });
    const topic = `packed-${crypto.randomUUID().slice(0, 8)}`;
    try {
      await admin.createTopics([{ name: topic, partitions: 1, replication: 1, configs: {} }]);
      const values: string[] = [];
      for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] as const) {
        if (!client.compressions.includes(compression)) continue;
        const written = Array.from({ length: 3000 }, (_, n) => `${compression} reading ${n}`);
        const committer = openCommitter(log, `${topic}-${compression}`, { compression });
        await committer.open();
        const records = [recordsOf(topic, written)];
        await committer.commit({ records, groupOffset: null });
        await committer.close();
        values.push(...written);
      }
      const committer = openCommitter(log, `${topic}-end`);
      await committer.open();
      const end = recordsOf(topic, ["end"], { keys: [END_KEY] });
      await committer.commit({ records: [end], groupOffset: null });
      const read = await client.ask({
        ...{ kind: "consume", brokers: kafka.brokers, endKey: END_KEY },
        topics: { [topic]: { partitions: 1 } },
      });
      assert.deepEqual(read.map(({ value }) => value), values);
    } finally {
      await log.close();
    }
  },
);

Deno.test("the default compression is one that every client of users reads", () => {
  const { default: compression } = SETTINGS["kafka.compression"];
  for (const { name, compressions } of CLIENTS) assert.ok(compressions.includes(compression), name);
});
