import assert from "node:assert/strict";
import { partitionOf } from "../../src/replay/partitioner.ts";
import { recordsOf, StepTransaction } from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

/** The way out of partitions that were added, followed to the letter. */

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

const WRITER = { compression: "gzip", batchBytesMax: 512 << 10, deadlineMs: 20_000 } as const;
const HOUR_MS = 3_600_000;
const DEFECTS = ["--delay-probability", "0.05", "--duplicate-probability", "0.02"];
const GAPS = ["--gap-probability", "0.03", "--seed", "7", "--quiet"];

/** A replayed fleet and a live one, with records that no meter can be read of. */
async function fill(pipeline: Pipeline): Promise<void> {
  const fleet = `${pipeline.folder}/fleet.csv`;
  const size = ["--meters", "60", "--days", "6", "--seed", "9", "--quiet"];
  assert.equal((await pipeline.run("generate", "--output", fleet, ...size)).code, 0);
  await pipeline.onKafka("replay", fleet, "--kafka", ...DEFECTS, ...GAPS);
  const nowMs = Date.now();
  const reading = (meter: string, atMs: number) =>
    JSON.stringify({ meter_id: meter, timestamp: new Date(atMs), consumption_kwh: 1 });
  const registration = { type: "meter", timestamp: new Date(nowMs), version: "1", group_id: "T1" };
  const producer = pipeline.log.producer(WRITER);
  for (const partition of pipeline.partitionNumbers) {
    const values = [
      ...[5, 4, 1, 0].map((age) => reading(`LIVE-${partition}`, nowMs - age * HOUR_MS / 2)),
      reading(`AHEAD-${partition}`, nowMs + 2 * HOUR_MS),
      "not json",
      null,
      JSON.stringify({ ...registration, meter_id: `LIVE-${partition}` }),
      JSON.stringify({ type: "tick", timestamp: new Date(nowMs) }),
    ];
    await producer.send([recordsOf(pipeline.topics.raw, values, { partition })]);
  }
  await producer.close();
}

/** What does not depend on where a record stands: values, gaps as they ended, reasons. */
async function answersOf(pipeline: Pipeline) {
  const { topics } = pipeline;
  const gaps = new Map<string, unknown>();
  for (const { detected_at: _, ...gap } of await pipeline.messages(topics.gapAlerts)) {
    gaps.set(gap.gap_id, gap);
  }
  const values = (messages: readonly unknown[]) =>
    messages.map((one) => JSON.stringify(one)).sort();
  return {
    validated: values(await pipeline.messages(topics.validated)),
    late: values(await pipeline.messages(topics.lateEvents)),
    rejected: values(
      (await pipeline.messages(topics.rejected)).map(({ reason, raw }) => ({ reason, raw })),
    ),
    gaps: values([...gaps.values()]),
  };
}

serverTest("partitions added: repartition, as the refusal names it, loses nothing", async () => {
  await withPipeline(kafka.brokers, { partitions: 3 }, async (pipeline) => {
    await pipeline.createTopics();
    await fill(pipeline);
    const processor = pipeline.process();
    await pipeline.untilJudged();
    assert.equal((await pipeline.verify()).code, 0);
    const before = await answersOf(pipeline);
    assert.ok(before.gaps.length > 50, `${before.gaps.length} gaps`);
    await kafka.java("org.apache.kafka.tools.TopicCommand", [
      ...["--bootstrap-server", kafka.brokers.join(), "--alter"],
      ...["--topic", pipeline.topics.raw, "--partitions", "7"],
    ]);
    const { code, stderr } = await processor.ended;
    assert.equal(code, 1);
    const [, command] = /`gridwatch (repartition [^`]+)`/.exec(stderr) ?? [];
    assert.ok(command, stderr);
    const copied = await pipeline.onKafka(...command.split(" "));
    const prefix = /kafka\.topic_prefix: (\S+) /.exec(copied.stderr)?.[1];
    assert.ok(prefix, copied.stderr);
    await withPipeline(kafka.brokers, { partitions: 7, prefix }, async (anew) => {
      const judging = anew.process();
      await anew.untilJudged();
      const { code, found, stderr } = await anew.verify();
      assert.equal(code, 0, stderr);
      assert.deepEqual(found.shared_meters ?? [], []);
      assert.equal(await anew.difference(), null);
      const after = await answersOf(anew);
      for (const key of ["validated", "late", "rejected", "gaps"] as const) {
        assert.deepEqual(after[key].slice(0, 5), before[key].slice(0, 5), key);
        assert.equal(after[key].join("\n") === before[key].join("\n"), true, key);
      }
      await assertPlaces(anew);
      await assertGoesOn(anew);
      assert.equal((await terminate(judging)).code, 0);
    });
    const again = await pipeline.run(...command.split(" "), ...pipeline.brokers);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /Cannot repartition into topics that are there: /);
  });
});

/** Whatever names a meter stands where its id belongs, with a key or without. */
async function assertPlaces(pipeline: Pipeline): Promise<void> {
  const kinds = new Set<string>();
  for (const line of await pipeline.lines(pipeline.topics.raw)) {
    const [place, , , ...value] = line.split(" ");
    if (!value.join(" ").startsWith("{")) continue;
    const { type = "reading", meter_id } = JSON.parse(value.join(" "));
    if (meter_id === undefined) continue;
    const belongs = partitionOf(new TextEncoder().encode(meter_id), pipeline.partitions);
    assert.equal(Number(place), belongs, line);
    kinds.add(type);
  }
  assert.deepEqual(kinds, new Set(["reading", "meter"]));
}

/** From here on the brokers' clock counts, and it is judged. */
async function assertGoesOn(pipeline: Pipeline): Promise<void> {
  const { raw } = pipeline.topics;
  const [{ settings }] = await pipeline.admin.describeTopics([raw]);
  assert.equal(settings["message.timestamp.type"], "LogAppendTime");
  const producer = pipeline.log.producer(WRITER);
  const timestamp = new Date(Date.now()).toISOString();
  const value = JSON.stringify({ meter_id: "LATEST", timestamp, consumption_kwh: 1 });
  await producer.send([recordsOf(raw, [value])]); // the fixture's clock says 2023
  await producer.close();
  await until(
    "it is judged",
    async () =>
      (await pipeline.messages(pipeline.topics.validated)).some(({ meter_id }) =>
        meter_id === "LATEST"
      ),
  );
  const last = (await pipeline.read(raw, { partition: 0 })).flat().findLast(({ count }) =>
    count > 0
  );
  assert.ok(last && Math.abs(last.timesMs[last.count - 1] - Date.now()) < 600_000);
}

serverTest("repartition of a topic that is still written to says so, and ends with 1", async () => {
  await withPipeline(kafka.brokers, { partitions: 1 }, async (pipeline) => {
    await pipeline.createTopics();
    await using producer = new StepTransaction(kafka.brokers, `${pipeline.name}-producer`);
    await producer.open();
    await producer.write(recordsOf(pipeline.topics.raw, ["under way"]));
    const to = ["repartition", "--to", `${pipeline.name}_new_`];
    const { code, stderr } = await pipeline.run(...to, ...pipeline.brokers);
    await producer.end("commit");
    assert.equal(code, 1, stderr);
    assert.match(stderr, /Cannot repartition: records came into \w+_raw while it was copied/);
    assert.match(stderr, /hint: stop its producers, delete the new topics/);
  });
});
