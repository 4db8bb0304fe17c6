import type { KafkaLog } from "../../src/adapters/kafka/log.ts";
import { openLog } from "./kafka_fixture.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { serverTests } from "./servers.ts";

/** What a contract test works on: its own topic, and a log that is closed after it. */
export type Site = { readonly kafka: Kafka; readonly log: KafkaLog; readonly topic: string };

export type TopicOptions = {
  readonly partitions?: number;
  readonly configs?: Readonly<Record<string, string>>;
};

/**
 * One broker for the tests of a file. The function it gives defines a test with a topic of its own;
 * the broker's log is printed when it fails.
 */
export async function contractTests(): Promise<
  (name: string, test: (site: Site) => Promise<void>, options?: TopicOptions) => void
> {
  const { serverTest, beforeAll } = await serverTests("kafka");
  let kafka: Kafka;
  let topics = 0;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start
  return (name, test, { partitions = 1, configs = {} } = {}) => {
    serverTest(name, async () => {
      const topic = `contract-${++topics}-${crypto.randomUUID().slice(0, 8)}`;
      const log = openLog(kafka.brokers);
      const admin = log.admin({ deadlineMs: 15_000 });
      try {
        await admin.createTopics([{ name: topic, partitions, replication: 1, configs }]);
        await test({ kafka, log, topic });
        await admin.deleteTopics([topic]);
      } catch (error) {
        console.error(await kafka.logs());
        throw error;
      } finally {
        await log.close();
      }
    });
  };
}

/** `prefix-0`, `prefix-1` ... */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
}
