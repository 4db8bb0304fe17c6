/** Every field case through Kafka: `replay --kafka` and `process` give its right answer. */
import assert from "node:assert/strict";
import { CASES } from "../field/cases.ts";
import { fieldCase, hasField } from "../field/play.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, terminate, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

type Answer = { readonly counts: Record<string, number>; readonly gaps: readonly string[] };

/** What the processor sent of files, in the words of the cases. */
async function answerOf(pipeline: Pipeline, files: readonly string[]): Promise<Answer> {
  const paths = files.map((text, f) => {
    const path = `${pipeline.folder}/${f}.csv`;
    Deno.writeTextFileSync(path, text);
    return path;
  });
  await pipeline.createTopics();
  await pipeline.onKafka("replay", ...paths, "--kafka", "--quiet");
  const processor = pipeline.process();
  await pipeline.untilJudged();
  assert.equal((await terminate(processor)).code, 0);
  const { topics } = pipeline;
  const counts: Record<string, number> = {};
  const count = (name: string) => counts[name] = (counts[name] ?? 0) + 1;
  for (const { status } of await pipeline.messages(topics.validated)) count(status);
  for (const _ of await pipeline.messages(topics.lateEvents)) count("TOO_LATE");
  for (const { reason } of await pipeline.messages(topics.rejected)) count(reason);
  const gaps = new Map<string, string>();
  for (const gap of await pipeline.messages(topics.gapAlerts)) {
    const unusable = gap.rejected_intervals === 0 ? "" : ` rejected ${gap.rejected_intervals}`;
    gaps.set(gap.gap_id, `${gap.gap_id} ${gap.missing_intervals} ${gap.state}${unusable}`);
  }
  return { counts, gaps: [...gaps.values()].sort() };
}

/** Cases of several files, or of many gaps. */
const MORE: Readonly<Record<string, { readonly files: readonly string[] } & Answer>> = {
  "three days, of which the second comes last": {
    files: ["11-day1", "11-day3", "11-day2-late"],
    counts: { OK: 144 },
    gaps: [],
  },
  "a history sent twice": {
    files: ["12-history-monday", "12-history-tuesday"],
    counts: { OK: 144, DUPLICATE: 93, CONFLICT: 3 },
    gaps: [],
  },
};

for (const [name, { counts, gaps = [], options }] of Object.entries(CASES)) {
  const settings = Object.fromEntries(
    Object.entries(options?.settings ?? {}).map(([key, value]) => [key.toUpperCase(), value]),
  );
  serverTest(
    `the field case ${name} gets its right answer through Kafka`,
    () =>
      withPipeline(kafka.brokers, {
        settings: { ...settings, WATERMARK_SCOPE: "partition" },
      }, async (pipeline) => {
        assert.deepEqual(await answerOf(pipeline, [fieldCase(name)]), { counts, gaps });
      }),
    { ignore: !hasField },
  );
}

for (const [name, { files, ...right }] of Object.entries(MORE)) {
  serverTest(`the field cases of ${name} get their right answer through Kafka`, () =>
    withPipeline(
      kafka.brokers,
      { settings: { WATERMARK_SCOPE: "partition" } },
      async (pipeline) => {
        assert.deepEqual(await answerOf(pipeline, files.map(fieldCase)), right);
      },
    ), { ignore: !hasField });
}

serverTest(
  "quarter hours with single holes have their 37 gaps through Kafka",
  () =>
    withPipeline(kafka.brokers, {}, async (pipeline) => {
      const { counts, gaps } = await answerOf(pipeline, [fieldCase("m15_as_30_single_holes")]);
      assert.deepEqual(counts, { OK: 347 });
      assert.equal(gaps.length, 37);
      assert.ok(gaps.every((gap) => gap.endsWith(" 1 CLOSED")));
    }),
  { ignore: !hasField },
);

serverTest(
  "gridwatch retire --kafka ends a meter's silence, in its own partition",
  () =>
    withPipeline(kafka.brokers, {}, async (pipeline) => {
      const rows = Array.from({ length: 480 }, (_, slot) => {
        const at = new Date(Date.UTC(2024, 0, 1) + slot * 1_800_000).toISOString();
        return `ALIVE,${at},1\n${slot < 48 ? `DEAD,${at},1\n` : ""}`;
      });
      const before = await answerOf(pipeline, [
        `meter_id,timestamp,consumption_kwh\n${rows.join("")}`,
      ]);
      assert.deepEqual(before.gaps, ["DEAD@2024-01-02T00:00:00Z 335 EXPIRED"]);
      const { stderr } = await pipeline.onKafka("retire", "DEAD", "--kafka");
      assert.match(stderr, /^DEAD is retired: said in \w+_raw, if its processor knows it$/m);
      const processor = pipeline.process();
      await pipeline.untilJudged();
      assert.equal((await terminate(processor)).code, 0);
      const gaps = await pipeline.messages(pipeline.topics.gapAlerts);
      assert.equal(gaps.at(-1).state, "EXPIRED");
      assert.equal(gaps.at(-1).missing_intervals, 432);
      const metrics = await pipeline.messages(pipeline.topics.metrics);
      const retired = metrics.filter(({ metric_type }) => metric_type === "meter_retired");
      assert.deepEqual(retired.map(({ meter_id }) => meter_id), ["DEAD"]);
      assert.equal((await pipeline.verify()).code, 0);
    }),
);
