import assert from "node:assert/strict";
import type { KafkaOptions, Sasl } from "../../src/adapters/kafka/connections.ts";
import { KafkaLog } from "../../src/adapters/kafka/log.ts";
import { LogError } from "../../src/engine/log/ports.ts";
import {
  kafkaOptions,
  openCommitter,
  openLog,
  readValues,
  recordsOf,
  rejection,
} from "./kafka_fixture.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { serverTests } from "./servers.ts";
import { PASSWORD, unsignedToken, USER } from "./kafka_secured.ts";

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;

beforeAll(async () => {
  kafka = await startKafka({ owned: true, secured: true });
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

function openSecured(options: Partial<KafkaOptions>): KafkaLog {
  const { brokers, ca } = kafka.secured ?? { brokers: [], ca: "" };
  const kafkaAt = { ...kafkaOptions(brokers), tls: { ca } };
  return new KafkaLog({ ...kafkaAt, ...options }, () => {});
}

const USERS: Sasl[] = [
  { mechanism: "PLAIN", username: USER, password: PASSWORD },
  { mechanism: "SCRAM-SHA-256", username: USER, password: PASSWORD },
  { mechanism: "SCRAM-SHA-512", username: USER, password: PASSWORD },
  { mechanism: "OAUTHBEARER", token: () => Promise.resolve(unsignedToken(3600)) },
];

for (const sasl of USERS) {
  serverTest(`commits and reads over TLS as a user of SASL ${sasl.mechanism}`, async () => {
    const log = openSecured({ sasl });
    const topic = `secured-${sasl.mechanism.toLowerCase()}`;
    const admin = log.admin({ deadlineMs: 10_000 });
    await admin.createTopics([{ name: topic, partitions: 1, replication: 1, configs: {} }]);
    const committer = openCommitter(log, topic);
    await committer.open();
    const values = Array.from({ length: 500 }, (_, i) => `value-${i}`);
    await committer.commit({ records: [recordsOf(topic, values)], groupOffset: null });
    assert.deepEqual(await readValues(log, { topic }), values);
    await log.close();
  });
}

/** The message and the hint with which `reach` gives up, the brokers' addresses left out. */
async function refusal(log: KafkaLog): Promise<string> {
  const error = await rejection(() => log.reach(500), LogError);
  await log.close();
  assert(error.hint, error.message);
  return error.message.replace(/at [^ ]+: /, "");
}

serverTest(
  "reach() says what is wrong: password, certificate, TLS missing, TLS not spoken",
  async () => {
    const [sasl] = USERS;
    const wrong = { ...sasl, password: "guess" };
    assert.equal(
      await refusal(openSecured({ sasl: wrong })),
      "Cannot reach Kafka it refuses the name or password (SASL)",
    );
    assert.equal(
      await refusal(openSecured({ sasl, tls: {} })),
      "Cannot reach Kafka its certificate is unknown",
    );
    const plain = await refusal(openSecured({ sasl, tls: null }));
    assert.match(plain, /Cannot reach Kafka (it speaks TLS|connection closed|no answer)/);
    const overPlain = new KafkaLog({ ...kafkaOptions(kafka.brokers), tls: {} }, () => {});
    assert.match(
      await refusal(overPlain),
      /Cannot reach Kafka (the TLS|connection closed|no answer)/,
    );
  },
);

serverTest("the plain listener beside it goes on", async () => {
  const log = openLog(kafka.brokers);
  await log.reach(5_000);
  await log.close();
});
