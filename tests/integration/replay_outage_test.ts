import assert from "node:assert/strict";
import { until } from "./kafka_broker.ts";
import { withKafka } from "./kafka_harness.ts";
import { withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

const { serverTest } = await serverTests("kafka");

serverTest("a replay waits out a broker that is away for longer than it is asked", async () => {
  await withKafka({ owned: true }, async (kafka) => {
    await withPipeline(kafka.brokers, { partitions: 2 }, async (pipeline) => {
      await pipeline.createTopics();
      const csv = `${pipeline.folder}/fleet.csv`;
      const made = await pipeline.run("generate", "--output", csv, "--meters", "4", "--days", "20");
      assert.equal(made.code, 0, made.stderr);
      const sent = async () => (await pipeline.lines(pipeline.topics.raw)).length;
      const args = ["replay", csv, "--kafka", "--rate", "200", ...pipeline.brokers];
      const replay = pipeline.start(...args);
      await until("it has begun", async () => await sent() > 0, 60_000);
      await kafka.kill();
      await until("it waits", () => replay.stderr.includes("waiting for Kafka"), 120_000);
      await kafka.restart();
      const { code, stderr } = await replay.ended;
      assert.equal(code, 0, stderr);
      assert.match(stderr, /waiting for Kafka; what was sent is kept/);
      const file = `${pipeline.folder}/all.jsonl`;
      const recorded = await pipeline.run("replay", csv, "--output", file, "--quiet");
      assert.equal(recorded.code, 0, recorded.stderr);
      const expected = readingsIn((await Deno.readTextFile(file)).trimEnd().split("\n"));
      const found = readingsIn(await pipeline.lines(pipeline.topics.raw));
      assert.ok(expected.length > 3000);
      assert.equal(found.length, expected.length, "each once");
      for (const [n, line] of found.entries()) assert.equal(line, expected[n]);
    });
  });
});

function readingsIn(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.includes('"tick"'))
    .map((line) => line.slice(line.indexOf("{"))).sort();
}
