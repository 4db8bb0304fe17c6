import assert from "node:assert/strict";
import type { KafkaLog } from "../../src/adapters/kafka/log.ts";
import { type LogGroup, LogRefusedError } from "../../src/engine/log/ports.ts";
import { FencedError } from "../../src/engine/ports.ts";
import { openCommitter, openLog, readValues, recordsOf, rejection } from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("kafka");
let kafka: Kafka;
let log: KafkaLog;
let names = 0;

beforeAll(async () => {
  kafka = await startKafka();
});

Deno.test.afterAll(() => kafka?.stop()); // undefined when it did not start

/** A member, and what it was told. */
type Member = { readonly group: LogGroup; readonly events: string[] };

function join(
  topic: string,
  { group: name = topic, binding = "", onRevoked = () => {} }: {
    group?: string;
    binding?: string;
    onRevoked?: () => void | Promise<void>;
  } = {},
): Member {
  const events: string[] = [];
  const times = { sessionTimeoutMs: 2_000, heartbeatMs: 200, rebalanceTimeoutMs: 5_000 };
  const group = log.group(
    { group: name, topic, binding, ...times },
    {
      onAssigned: (partitions) => void events.push(`+${partitions}`),
      onRevoked: async (partitions) => {
        await onRevoked();
        events.push(`-${partitions}`);
      },
      onLost: (partitions) => void events.push(`!${partitions}`),
    },
  );
  return { group, events };
}

function groupTest(name: string, test: (topic: string) => Promise<void>): void {
  serverTest(name, async () => {
    log = openLog(kafka.brokers);
    const topic = `group-${++names}-${crypto.randomUUID().slice(0, 8)}`;
    try {
      const spec = { name: topic, partitions: 4, replication: 1, configs: {} };
      await log.admin({ deadlineMs: 15_000 }).createTopics([spec]);
      await test(topic);
    } catch (error) {
      console.error(await kafka.logs());
      throw error;
    } finally {
      await log.close();
    }
  });
}

function holds(member: Member, count: number): boolean {
  return member.group.partitions.length === count;
}

groupTest("a second member gets half, and what stays is never taken away", async (topic) => {
  const one = join(topic);
  await until("one has all", () => holds(one, 4));
  const other = join(topic);
  await until("halves", () => holds(one, 2) && holds(other, 2));
  assert.deepEqual(one.events, ["+0,1,2,3", "-2,3"]);
  assert.deepEqual(other.events, ["+2,3"]);
  await other.group.leave();
  assert.deepEqual(other.events, ["+2,3", "-2,3"]);
  await until("one has all again", () => holds(one, 4));
  assert.deepEqual(one.events, ["+0,1,2,3", "-2,3", "+2,3"]);
  await one.group.leave();
});

groupTest("a partition moves only when its holder has let go", async (topic) => {
  const letsGo = Promise.withResolvers<void>();
  const one = join(topic, { onRevoked: () => letsGo.promise });
  await until("one has all", () => holds(one, 4));
  const committer = openCommitter(log, `${topic}-3`);
  await committer.open();
  const other = join(topic);
  const before = one.group.membership(3)?.generation ?? -1;
  await until("a new generation", () => (one.group.membership(3)?.generation ?? -1) > before);
  // It is being revoked: its last commit still counts, as a member of the new generation.
  await committer.commit({
    records: [recordsOf(topic, ["last"], { partition: 3 })],
    groupOffset: {
      ...{ group: topic, topic, partition: 3, nextOffset: 1, metadata: "" },
      membership: () => one.group.membership(3),
    },
  });
  assert.deepEqual(other.group.partitions, []);
  letsGo.resolve();
  await until("halves", () => holds(one, 2) && holds(other, 2));
  assert.deepEqual(await readValues(log, { topic, partition: 3 }), ["last"]);
  await Promise.all([one.group.leave(), other.group.leave()]);
});

groupTest("the partitions of a member killed without leaving go to the others", async (topic) => {
  const one = join(topic);
  await until("one has all", () => holds(one, 4));
  const worker = new Worker(import.meta.resolve("./kafka_member_worker.ts"), { type: "module" });
  let held: number[] = [];
  worker.onmessage = ({ data }) => held = data;
  worker.postMessage({ brokers: kafka.brokers, group: topic, topic });
  await until("halves", () => holds(one, 2) && held.length === 2);
  worker.terminate();
  await until("one has all again", () => holds(one, 4));
  assert.deepEqual(one.events, ["+0,1,2,3", "-2,3", "+2,3"]);
  await one.group.leave();
});

groupTest(
  "commit() of a member that lost its partition is fenced by its generation",
  async (topic) => {
    const one = join(topic);
    await until("one has all", () => holds(one, 4));
    const stale = one.group.membership(0);
    const other = join(topic);
    await until("halves", () => holds(one, 2) && holds(other, 2));
    const committer = openCommitter(log, `${topic}-2`);
    const offset = { group: topic, topic, partition: 2, nextOffset: 9, metadata: "" };
    const records = [recordsOf(topic, ["zombie"], { partition: 2 })];
    await committer.open();
    await rejection(
      () =>
        committer.commit({
          records,
          groupOffset: { ...offset, membership: () => one.group.membership(2) },
        }),
      FencedError,
    );
    // A stale generation is refused by the broker; asked again, the member says what it knows by now.
    let asked = 0;
    await committer.open();
    await rejection(
      () =>
        committer.commit({
          records,
          groupOffset: { ...offset, membership: () => asked++ === 0 ? stale : null },
        }),
      FencedError,
    );
    assert.equal(asked, 2);
    await committer.open();
    const member = () => other.group.membership(2);
    await committer.commit({ records: [], groupOffset: { ...offset, membership: member } });
    assert.deepEqual(await readValues(log, { topic, partition: 2 }), []);
    await Promise.all([one.group.leave(), other.group.leave()]);
  },
);

groupTest("many members come and go: in the end each partition has one", async (topic) => {
  const members = Array.from({ length: 6 }, () => join(topic));
  const shared = (among: Member[]) => {
    const held = among.flatMap(({ group }) => group.partitions).sort();
    return held.join() === "0,1,2,3" && among.every(({ group }) => group.partitions.length <= 2);
  };
  await until("all are shared", () => shared(members));
  await Promise.all(members.slice(0, 4).map(({ group }) => group.leave()));
  await until("all are shared again", () => shared(members.slice(4)));
  await Promise.all(members.slice(4).map(({ group }) => group.leave()));
});

groupTest(
  "a member with another topic or binding is refused, and what is held stays",
  async (topic) => {
    const one = join(topic, { binding: "db-1" });
    await until("one has all", () => holds(one, 4));
    const admin = log.admin({ deadlineMs: 15_000 });
    const other = `${topic}-other`;
    await admin.createTopics([{ name: other, partitions: 4, replication: 1, configs: {} }]);
    for (const member of [join(other, { group: topic }), join(topic, { binding: "db-2" })]) {
      const error = await rejection(() => member.group.failed, LogRefusedError);
      assert.match(error.message, /its members work on another topic, or write another database/);
      assert.deepEqual(member.events, []);
      await member.group.leave();
    }
    await until("one is alone again", () => holds(one, 4));
    assert.deepEqual(one.events, ["+0,1,2,3"]);
    const older = join(topic);
    await until("one of an older version shares", () => holds(one, 2) && holds(older, 2));
    await Promise.all([one.group.leave(), older.group.leave()]);
  },
);
