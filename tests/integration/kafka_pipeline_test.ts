import assert from "node:assert/strict";
import { until } from "./kafka_broker.ts";
import { consoleTool, type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, type PipelineOptions, terminate, withPipeline } from "./pipeline.ts";
import { freePort } from "./ports.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

function pipelineTest(
  name: string,
  test: (pipeline: Pipeline) => Promise<void>,
  options: PipelineOptions & { ignore?: boolean } = {},
): void {
  const { ignore = false } = options;
  serverTest(name, () => withPipeline(kafka.brokers, options, test), { ignore });
}

const LONDON =
  new URL("../../../shared/data/london/block_19meters_2013-05_07.csv", import.meta.url).pathname;

const DEFECTS = [
  ...["--delay-probability", "0.05", "--duplicate-probability", "0.02"],
  ...["--gap-probability", "0.02", "--seed", "7"],
];

async function makeFleet(pipeline: Pipeline, { meters = 60, days = 5 } = {}): Promise<string> {
  const path = `${pipeline.folder}/fleet.csv`;
  const size = ["--meters", String(meters), "--days", String(days)];
  const { code } = await pipeline.run("generate", "--output", path, ...size, "--quiet");
  assert.equal(code, 0);
  return path;
}

/** The four commands over a file, and their outputs against those of the embedded run. */
async function assertAsEmbedded(pipeline: Pipeline, path: string, defects: readonly string[]) {
  await pipeline.createTopics();
  const sent = await pipeline.onKafka("replay", path, "--kafka", "--json", ...defects);
  assert.match(sent.stderr, /records sent to \w+_raw in (< )?\d+ (ms|s|min)/);
  const processor = pipeline.process();
  await pipeline.untilJudged();
  assert.deepEqual(await terminate(processor).then(({ code }) => code), 0);
  const { code, found, stderr } = await pipeline.verify();
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^verified: [\d,]+ raw records/m);

  const store = ["--data", `${pipeline.folder}/store`];
  const partitions = ["--scope", "meter", "--partitions", String(pipeline.partitions)];
  const embedded = JSON.parse(
    (await pipeline.run("replay", path, ...defects, ...partitions, ...store, "--json")).stdout,
  );
  assert.deepEqual(found.ledger, embedded.ledger);
  assert.deepEqual(found.ledger.raw, JSON.parse(sent.stdout).sent);
  const columns = "gap_id, missing_from, missing_to, gap_minutes, missing_intervals, " +
    "rejected_intervals, state";
  const query = `SELECT ${columns} FROM gap_alerts ORDER BY gap_id`;
  const rows = await pipeline.run("query", query, "--json", ...store);
  const gaps = new Map<string, Record<string, unknown>>();
  for (const gap of await pipeline.messages(pipeline.topics.gapAlerts)) gaps.set(gap.gap_id, gap);
  assert.ok(gaps.size > 10);
  const names = columns.split(", ");
  const found2 = [...gaps.values()].map((gap) =>
    Object.fromEntries(names.map((name) => [name, gap[name]]))
  );
  assert.deepEqual(
    found2.sort(byId),
    (JSON.parse(rows.stdout) as Record<string, unknown>[]).sort(byId),
  );
}

function byId(a: Record<string, unknown>, b: Record<string, unknown>): number {
  return String(a.gap_id) < String(b.gap_id) ? -1 : 1;
}

pipelineTest("the four commands over a fleet say what the embedded run says", async (pipeline) => {
  await assertAsEmbedded(pipeline, await makeFleet(pipeline), DEFECTS);
  assert.equal(await pipeline.difference(), null);
});

const hasLondon = await Deno.stat(LONDON).then(() => true, () => false);

pipelineTest(
  "the four commands over a block of London say what the embedded run says",
  async (pipeline) => {
    await assertAsEmbedded(pipeline, LONDON, []);
  },
  { ignore: !hasLondon },
);

pipelineTest("process --workers 2 shares the partitions between its threads", async (pipeline) => {
  const path = await makeFleet(pipeline);
  await pipeline.createTopics();
  await pipeline.onKafka("replay", path, "--kafka", ...DEFECTS);
  const port = freePort();
  const processor = pipeline.process("--workers", "2", "--health-port", String(port));
  await pipeline.untilJudged();
  const status = await until("its status says so, too", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    const { partitions } = await answer.json();
    const isDone = partitions.length === 3 &&
      partitions.every((p: Record<string, unknown>) => p.lagRecords === 0);
    return isDone ? answer.status : undefined;
  });
  assert.equal(status, 200);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  for (const partition of pipeline.partitionNumbers) {
    assert.ok(metrics.includes(`gridwatch_consumer_lag_records{partition="${partition}"} 0`));
  }
  const { ms, code } = await terminate(processor);
  assert.equal(code, 0);
  assert.ok(ms < 5000, `${ms} ms`);
  assert.ok(processor.said("partition_restored").length >= pipeline.partitions);
  assert.equal((await pipeline.verify()).code, 0);
  assert.equal(await pipeline.difference(), null);
});

pipelineTest(
  "SIGTERM leaves the group in under 5 s, and a second processor takes over at once",
  async (pipeline) => {
    const path = await makeFleet(pipeline, { meters: 200 });
    await pipeline.createTopics();
    const first = pipeline.process();
    await until("it works", () => first.said("partition_restored").length === 3);
    const replay = pipeline.start(
      "replay",
      path,
      "--kafka",
      "--rate",
      "20000",
      ...pipeline.brokers,
    );
    await until("records come", async () =>
      (await pipeline.admin.groupOffsets(
        pipeline.group,
        [{ topic: pipeline.topics.raw, partition: 0 }],
      ))[0].nextOffset > 100);
    const second = pipeline.process();
    await until("they share", () => second.said("partition_restored").length > 0);
    const { ms, code } = await terminate(first);
    assert.equal(code, 0);
    assert.ok(ms < 5000, `left after ${ms} ms`);
    // Far less than the session timeout: the group was told.
    const restored = () => second.said("partition_restored").length;
    await until("it has all", () => restored() >= 3, 4000);
    assert.equal((await replay.ended).code, 0);
    await pipeline.untilJudged();
    assert.equal((await terminate(second)).code, 0);
    assert.equal(await pipeline.difference(), null);
    assert.equal((await pipeline.verify()).code, 0);
  },
  { settings: { KAFKA_SESSION_TIMEOUT_MS: 30_000 } },
);

pipelineTest(
  "verify --kafka finds nothing at any moment while processors come and go",
  async (pipeline) => {
    const path = await makeFleet(pipeline, { meters: 100 });
    await pipeline.createTopics();
    const replay = pipeline.start(
      "replay",
      path,
      "--kafka",
      "--rate",
      "10000",
      ...pipeline.brokers,
    );
    const processors = [pipeline.process(), pipeline.process()];
    // Before that a partition is missing, and told as such.
    const isProcessed = async () => (await pipeline.verify()).code === 0;
    await until("each partition is processed", isProcessed);
    for (let n = 0; n < 3; n++) {
      const { code, stderr } = await pipeline.verify();
      assert.equal(code, 0, stderr);
      processors[n % 2].kill("SIGKILL");
      processors[n % 2] = pipeline.process();
    }
    await replay.ended;
    await pipeline.untilJudged();
    for (const processor of processors) await terminate(processor);
    assert.equal((await pipeline.verify()).code, 0);
    assert.equal(await pipeline.difference(), null);
  },
);

pipelineTest(
  "verify --kafka names the meters that have readings in two partitions",
  async (pipeline) => {
    await pipeline.createTopics();
    const producer = pipeline.log.producer(WRITER);
    for (const partition of [0, 2]) {
      await producer.send([rawRun(pipeline, partition, [
        encode(`{"meter_id":"TWICE","timestamp":"2024-01-01T00:00:00Z","consumption_kwh":1}`),
        encode(
          `{"meter_id":"M${partition}","timestamp":"2024-01-01T00:00:00Z","consumption_kwh":1}`,
        ),
      ])]);
    }
    await producer.close();
    const processor = pipeline.process();
    await pipeline.untilJudged();
    await terminate(processor);
    const { code, stderr, found } = await pipeline.verify();
    assert.equal(code, 0);
    assert.equal(found.meters_in_several_partitions, 1);
    assert.match(stderr, /warning: 1 meters have readings in more than one partition.*: TWICE$/m);
  },
);

const WRITER = { compression: "none", batchBytesMax: 512 << 10, deadlineMs: 20_000 } as const;

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Values as they are, keyless, of the time now; none of bytes is written as null. */
function rawRun(pipeline: Pipeline, partition: number, values: readonly Uint8Array[]) {
  let end = 0;
  const valueEnds = values.map(({ length }) => end += length);
  const all = new Uint8Array(end);
  values.forEach((value, r) => all.set(value, valueEnds[r] - value.length));
  return {
    ...{ topic: pipeline.topics.raw, partition, count: values.length, values: all, valueEnds },
    ...{ keys: null, keyEnds: null, origins: null, timesMs: Date.now() },
  };
}

pipelineTest(
  "poison of every kind ends in the rejected topic, each once, and nothing stops",
  async (pipeline) => {
    const configs = { "cleanup.policy": "delete", "max.message.bytes": "8000000" };
    const name = pipeline.topics.raw;
    await pipeline.admin.createTopics([{ name, partitions: 3, replication: 1, configs }]);
    await pipeline.createTopics();
    const processor = pipeline.process();
    const good = (n: number) =>
      encode(
        `{"meter_id":"M1","timestamp":"${
          new Date(1.7e12 + n * 1_800_000).toISOString()
        }","consumption_kwh":1}`,
      );
    const poison = [
      encode("not json"),
      new Uint8Array(0), // a null value
      encode(" "),
      encode("[1,2]"),
      encode('"text"'),
      encode(`{"meter_id":7,"timestamp":{},"consumption_kwh":[]}`),
      encode(`{"meter_id":"M1","timestamp":"2023-11-14","consumption_kwh":"many"}`),
      encode(`{"meter_id":null,"timestamp":null,"consumption_kwh":null}`),
      new Uint8Array([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]),
      new Uint8Array([...encode('{"meter_id":"'), 0xc3, 0x28, ...encode('"}')]),
      encode("{".repeat(100_000)),
      new Uint8Array(5_000_000).fill(0x78),
      encode(`{"meter_id":"M1","junk":"${"y".repeat(5_000_000)}"`),
    ];
    const producer = pipeline.log.producer({ ...WRITER, batchBytesMax: 1 << 20 });
    let rows = 0;
    for (const value of poison) {
      await producer.send([rawRun(pipeline, 0, [good(rows++), value])]);
    }
    const many = Array.from({ length: 10_000 }, (_, n) => encode(`poison ${n}`));
    await producer.send([rawRun(pipeline, 1, many)]);
    await producer.send([rawRun(pipeline, 0, [good(rows++)])]);
    await producer.close();
    await kafka.java(consoleTool(kafka, "Producer"), [
      ...["--bootstrap-server", kafka.brokers.join(), "--topic", pipeline.topics.raw],
      ...["--property", "parse.headers=true", "--property", "parse.key=true"],
      ...["--property", "null.marker=NULL"],
    ], "h:1\tNULL\tNULL\n");
    await pipeline.untilJudged();
    const rejected = await pipeline.messages(pipeline.topics.rejected);
    assert.equal(rejected.length, poison.length + many.length + 1);
    const places = new Set(rejected.map(({ partition, offset }) => `${partition}/${offset}`));
    assert.equal(places.size, rejected.length, "a record was rejected twice");
    assert.equal((await pipeline.messages(pipeline.topics.validated)).length, rows);
    assert.equal(processor.said("partition_restored").length, 3);
    assert.deepEqual(processor.said("partition_failed"), []);
    assert.equal((await terminate(processor)).code, 0);
    assert.equal((await pipeline.verify()).code, 0);
  },
);
