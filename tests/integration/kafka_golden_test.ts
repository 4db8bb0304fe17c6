import { assertGolden, readGolden, readRaw } from "../golden/golden.ts";
import { recordsOf } from "./kafka_fixture.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { bytesAt, withPipeline } from "./pipeline.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

/** Kafka's word for a record of which no time is known, as none is in the golden stream. */
const NO_TIME_MS = -1;

/** The settings' defaults, but for a tick that no record of the stream is. */
const SETTINGS = { WATERMARK_SCOPE: "partition", IDLE_TIMEOUT_SECONDS: 0 };

serverTest(
  "process on Kafka says the golden messages of the toolkit, byte for byte",
  () =>
    withPipeline(kafka.brokers, { partitions: 1, settings: SETTINGS }, async (pipeline) => {
      await pipeline.createTopics();
      const producer = pipeline.log.producer({
        compression: "none",
        batchBytesMax: 1 << 20,
        deadlineMs: 10_000,
      });
      const lines = await readRaw("series");
      const records = recordsOf(pipeline.topics.raw, lines);
      await producer.send([{ ...records, timesMs: NO_TIME_MS }]);
      await producer.close();
      const processor = pipeline.process();
      await pipeline.untilJudged();
      processor.kill("SIGTERM");
      await processor.ended;
      const { topics } = pipeline;
      for (
        const [file, topic] of [
          ["validated", topics.validated],
          ["gap_alerts", topics.gapAlerts],
          ["late_events", topics.lateEvents],
          ["rejected", topics.rejected],
          ["validation", topics.validation],
        ] as const
      ) {
        const said = (await pipeline.read(topic)).flat().flatMap((batch) =>
          Array.from(
            { length: batch.count },
            (_, r) => `${new TextDecoder().decode(bytesAt(batch, batch.values, r))}\n`,
          )
        );
        const golden = await readGolden("series", file);
        assertGolden(withoutClock(said.join("")), withoutClock(golden), topic);
      }
    }),
);

/** Where a record without a usable time stands is told by the log's clock, which is the broker's. */
function withoutClock(lines: string): string {
  return lines.replaceAll(/,"judged_at":"[^"]*"/g, "");
}
