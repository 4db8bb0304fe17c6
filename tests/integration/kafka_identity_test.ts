import assert from "node:assert/strict";
import { recordsOf } from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, type PipelineOptions, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

/** A position belongs to a log, and a state is whole or refused: nothing goes on silently. */

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
  serverTest(name, () => withPipeline(kafka.brokers, { partitions: 1, ...options }, test));
}

const WRITER = { compression: "none", batchBytesMax: 512 << 10, deadlineMs: 20_000 } as const;
const BEGAN_MS = Date.UTC(2024, 0, 1);
const INTERVAL_MS = 30 * 60_000;

/** Sends readings of one meter, interval `first` and those after it, to partition 0. */
async function sendReadings(
  pipeline: Pipeline,
  { meter = "M1", first = 0, count }: { meter?: string; first?: number; count: number },
): Promise<void> {
  const values = Array.from({ length: count }, (_, n) => {
    const timestamp = new Date(BEGAN_MS + (first + n) * INTERVAL_MS).toISOString();
    return JSON.stringify({ meter_id: meter, timestamp, consumption_kwh: 1 });
  });
  const producer = pipeline.log.producer(WRITER);
  await producer.send([recordsOf(pipeline.topics.raw, values)]);
  await producer.close();
}

/** Judges what is there, and ends. */
async function judgeAll(pipeline: Pipeline): Promise<void> {
  const processor = pipeline.process();
  await pipeline.untilJudged();
  assert.equal((await terminate(processor)).code, 0);
}

/** Deletes a topic and makes it anew, with the same settings. */
async function makeAnew(pipeline: Pipeline, ...names: string[]): Promise<void> {
  for (const name of names) {
    await pipeline.admin.deleteTopics([name]);
    await until(
      `${name} is gone`,
      async () => (await pipeline.admin.describeTopics([name])).length === 0,
    );
  }
  await pipeline.createTopics();
}

/** Starts a processor, which is to refuse its partition; gives what it says of that. */
async function refusalOf(pipeline: Pipeline): Promise<{ error: string; hint: string }> {
  const processor = pipeline.process();
  const [{ error, hint }] = await until("the partition is refused", () => {
    const said = processor.said("partition_stopped").filter(({ why }) => why === "broken");
    return said.length > 0 ? said : undefined;
  });
  assert.deepEqual(processor.said("partition_restored"), []);
  await terminate(processor);
  return { error: String(error), hint: String(hint) };
}

async function validatedCount(pipeline: Pipeline): Promise<number> {
  return (await pipeline.lines(pipeline.topics.validated)).length;
}

pipelineTest("a raw topic made anew is refused, however many records it has", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 20 });
  await judgeAll(pipeline);
  await makeAnew(pipeline, pipeline.topics.raw);
  await sendReadings(pipeline, { first: 20, count: 50 });
  const { error, hint } = await refusalOf(pipeline);
  assert.match(error, /"\w+_raw" was deleted and made anew/);
  assert.match(hint, /kafka\.topic_prefix/);
  assert.equal(await validatedCount(pipeline), 20);
});

pipelineTest("a raw topic made anew while it is read ends the processor", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 20 });
  const processor = pipeline.process();
  await pipeline.untilJudged();
  await makeAnew(pipeline, pipeline.topics.raw);
  await sendReadings(pipeline, { first: 20, count: 50 });
  const { code } = await processor.ended;
  assert.equal(code, 1);
  assert.match(processor.stderr, /"\w+_raw" was deleted and made anew/);
  assert.equal(await validatedCount(pipeline), 20);
});

pipelineTest("output topics made anew are refused by their names", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 20 });
  await judgeAll(pipeline);
  await makeAnew(pipeline, pipeline.topics.gapAlerts, pipeline.topics.validated);
  const { error } = await refusalOf(pipeline);
  assert.match(error, /"\w+_validated", "\w+_gap_alerts" were deleted and made anew/);
});

pipelineTest("all topics but raw made anew: everything is judged anew", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 20 });
  await judgeAll(pipeline);
  const { raw, ...others } = pipeline.topics;
  await makeAnew(pipeline, ...Object.values(others));
  await sendReadings(pipeline, { first: 20, count: 5 });
  const processor = pipeline.process();
  await until("all is judged", async () => await validatedCount(pipeline) === 25);
  assert.equal((await terminate(processor)).code, 0);
  assert.equal((await pipeline.verify()).code, 0, raw);
});

/** Runs one of Kafka's own tools. */
async function tool(className: string, ...args: string[]): Promise<void> {
  await kafka.java(className, ["--bootstrap-server", kafka.brokers.join(), ...args]);
}

/** Deletes the changelog's records before an offset, as retention does. */
async function deleteStateBefore(pipeline: Pipeline, offset: number): Promise<void> {
  const { changelog: topic } = pipeline.topics;
  const path = `${pipeline.folder}/delete.json`;
  const partitions = [{ topic, partition: 0, offset }];
  await Deno.writeTextFile(path, JSON.stringify({ partitions, version: 1 }));
  await setPolicy(topic, "delete"); // else the broker refuses to
  const before = ["--offset-json-file", path];
  await tool("org.apache.kafka.tools.DeleteRecordsCommand", ...before);
  await setPolicy(topic, "compact");
}

async function setPolicy(topic: string, policy: string): Promise<void> {
  const named = ["--entity-type", "topics", "--entity-name", topic];
  const change = ["--alter", "--add-config", `cleanup.policy=${policy}`];
  await tool("kafka.admin.ConfigCommand", ...named, ...change);
}

pipelineTest("a changelog that lost its first records is refused", async (pipeline) => {
  await pipeline.createTopics();
  for (let meter = 0; meter < 3; meter++) {
    await sendReadings(pipeline, { meter: `M${meter}`, count: 10 });
    await judgeAll(pipeline);
  }
  // The first commit's task, mark, settings and meters, and its end.
  await deleteStateBefore(pipeline, 5);
  await sendReadings(pipeline, { meter: "M0", count: 10 });
  const { error, hint } = await refusalOf(pipeline);
  assert.match(
    error,
    /state_changelog" partition 0: 3 records of it were written, and 2 are there/,
  );
  assert.match(hint, /cleanup\.policy=compact/);
  assert.equal(await validatedCount(pipeline), 30);
});

pipelineTest(
  "topics that lose records by their settings are refused at the start",
  async (pipeline) => {
    await pipeline.createTopics();
    const { changelog, raw } = pipeline.topics;
    for (const [topic, policy] of [[changelog, "delete"], [raw, "compact"]]) {
      await setPolicy(topic, policy);
      const { code, stderr } = await pipeline.run("process", ...pipeline.brokers);
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(`${topic} has cleanup\\.policy=${policy}: \\w+ will be lost`),
      );
      assert.match(stderr, new RegExp(`hint: .*kafka-configs --alter .* ${topic} `));
    }
  },
);

pipelineTest(
  "a state judged by other settings is refused, and goes on with its own",
  async (pipeline) => {
    await pipeline.createTopics();
    await sendReadings(pipeline, { count: 10 });
    await judgeAll(pipeline);
    await sendReadings(pipeline, { first: 10, count: 10 });
    const other = pipeline.process("--scope", "partition");
    const [{ error, hint }] = await until("it is refused", () => {
      const said = other.said("partition_stopped");
      return said.length > 0 ? said : undefined;
    });
    assert.match(String(error), /watermark_scope=partition: it was judged with meter/);
    assert.match(String(hint), /set watermark_scope to meter/);
    await terminate(other);
    await judgeAll(pipeline);
    assert.equal((await pipeline.verify()).code, 0);
  },
);

pipelineTest(
  "topics --create makes raw with the brokers' clock; another is warned of",
  async (pipeline) => {
    await pipeline.createTopics();
    const { raw } = pipeline.topics;
    // A producer whose clock runs two days ahead.
    await sendReadings(pipeline, { meter: "AHEAD", first: -1000, count: 1 });
    const [[batch]] = await pipeline.read(raw);
    assert.ok(Math.abs(batch.timesMs[0] - Date.now()) < 60_000, "not the broker's clock");
    const named = ["--entity-type", "topics", "--entity-name", raw];
    const change = ["--alter", "--add-config", "message.timestamp.type=CreateTime"];
    await tool("kafka.admin.ConfigCommand", ...named, ...change);
    const processor = pipeline.process();
    const [{ warning }] = await until("it warns", () => {
      const said = processor.said("producers_clock_trusted");
      return said.length > 0 ? said : undefined;
    });
    assert.match(String(warning), /keeps the clocks of its producers/);
    await terminate(processor);
  },
);

pipelineTest(
  "two prefixes under one kafka.group are judged each to their end",
  async (pipeline) => {
    const settings = { KAFKA_GROUP: pipeline.name };
    await withPipeline(kafka.brokers, { partitions: 1, settings }, async (other) => {
      for (const [n, each] of [pipeline, other].entries()) {
        await each.createTopics();
        await sendReadings(each, { meter: `M${n}`, count: 20 });
      }
      const processors = [pipeline.process(), other.process()];
      for (const each of [pipeline, other]) {
        await until("all is judged", async () => await validatedCount(each) === 20);
      }
      for (const processor of processors) assert.equal((await terminate(processor)).code, 0);
      for (const each of [pipeline, other]) assert.equal((await each.verify()).code, 0);
    });
  },
);

pipelineTest("verify exits 3 when a partition is missing", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 20 });
  const { code, found, stderr } = await pipeline.verify();
  assert.equal(code, 3);
  assert.deepEqual(found.not_compared, [0]);
  assert.equal(found.balanced, false);
  assert.match(
    stderr,
    /partition 0 is missing: it has raw records, and nothing of it is processed/,
  );
});

/** Adds partitions to the topics of a pattern, as an operator does. */
async function addPartitions(count: number, pattern: string): Promise<void> {
  const change = ["--alter", "--topic", pattern, "--partitions", String(count)];
  await tool("org.apache.kafka.tools.TopicCommand", ...change);
}

pipelineTest("partitions added are told, and nobody judges on with them", async (pipeline) => {
  await pipeline.createTopics();
  await sendReadings(pipeline, { count: 10 });
  const running = pipeline.process();
  await pipeline.untilJudged();
  await addPartitions(2, pipeline.topics.raw);
  const { code } = await running.ended; // within ten seconds
  assert.equal(code, 1);
  assert.match(running.stderr, /"\w+_raw" has 2 partitions, and was judged with 1/);
  assert.match(
    running.stderr,
    /hint: stop the producers, `gridwatch repartition --to \w+_2_ --partitions 2`/,
  );
  const later = await pipeline.run("process", ...pipeline.brokers);
  assert.equal(later.code, 1);
  assert.match(later.stderr, /hint: were partitions added\? .*`gridwatch repartition --to \w+_2_ /);
  // The others, too: now nothing but the state tells.
  await addPartitions(2, `${pipeline.name}_(?!raw).*`);
  const { error } = await refusalOf(pipeline);
  assert.match(error, /has 2 partitions, and was judged with 1/);
  assert.equal(await validatedCount(pipeline), 10);
});
