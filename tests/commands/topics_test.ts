import assert from "node:assert/strict";
import { settleTopics, type TopicsWish } from "../../src/commands/topics.ts";
import type { TopicFound, TopicSpec } from "../../src/engine/log/ports.ts";
import { topicNames } from "../../src/engine/log/records.ts";
import { gridwatch } from "./command_line.ts";

const NAMES = topicNames("t_");
const ALL = Object.values(NAMES);

/** A cluster with these topics, of so many partitions each. */
function cluster(partitionsOf: Readonly<Record<string, number>>) {
  const foundOf = (spec: TopicSpec): TopicFound => ({ ...spec, id: "0", settings: spec.configs });
  const kept: TopicFound[] = Object.entries(partitionsOf).map(([name, partitions]) =>
    foundOf({ name, partitions, replication: 1, configs: {} })
  );
  return {
    describeTopics: (names: readonly string[]) =>
      Promise.resolve(kept.filter(({ name }) => names.includes(name))),
    createTopics: (topics: readonly TopicSpec[]) => {
      kept.push(...topics.map(foundOf));
      return Promise.resolve(topics.map(({ name }) => name));
    },
  };
}

const of = (partitions: number, names: readonly string[] = ALL) =>
  Object.fromEntries(names.map((name) => [name, partitions]));

const WISH: TopicsWish = {
  isCreating: false,
  partitions: null,
  replication: 1,
  retentionMs: null,
};

/** Whether all is good, the states and the numbers that there are, and whether there is a warning. */
async function settle(topics: Readonly<Record<string, number>>, wish: Partial<TopicsWish>) {
  const stand = await settleTopics(cluster(topics), NAMES, { ...WISH, ...wish });
  return {
    isGood: stand.isGood,
    states: [...new Set(stand.topics.map(({ state }) => state))],
    partitions: [...new Set(stand.topics.map(({ partitions }) => partitions))],
    warns: stand.warning !== null,
  };
}

Deno.test("settleTopics() without a number finds nothing wrong with a pipeline of any", async () => {
  const good = { isGood: true, states: ["ok"], partitions: [2], warns: false };
  assert.deepEqual(await settle(of(2), {}), good);
  assert.deepEqual(await settle(of(2), { isCreating: true }), good);
});

Deno.test("settleTopics() finds a pipeline of another number than the one given wrong", async () => {
  const other = { isGood: false, states: ["differs"], partitions: [2], warns: true };
  assert.deepEqual(await settle(of(2), { partitions: 3 }), other);
});

Deno.test("settleTopics() to create another number than there is only warns", async () => {
  const warned = { isGood: true, states: ["ok"], partitions: [2], warns: true };
  assert.deepEqual(await settle(of(2), { isCreating: true, partitions: 3 }), warned);
});

Deno.test("settleTopics() makes missing topics with the others' number, or else 3", async () => {
  const creating = { isCreating: true };
  const made = { isGood: true, states: ["created"], warns: false };
  assert.deepEqual(await settle({}, creating), { ...made, partitions: [3] });
  assert.deepEqual(await settle({}, { ...creating, partitions: 6 }), { ...made, partitions: [6] });
  const some = { isGood: true, states: ["ok", "created"], partitions: [2] };
  const three = of(2, ALL.slice(0, 3));
  assert.deepEqual(await settle(three, creating), { ...some, warns: false });
  assert.deepEqual(await settle(three, { ...creating, partitions: 6 }), { ...some, warns: true });
  const missing = { isGood: false, states: ["missing"], partitions: [null], warns: false };
  assert.deepEqual(await settle({}, {}), missing);
});

Deno.test("settleTopics() finds a topic of another number than the raw topic wrong", async () => {
  const mixed = { ...of(2), [NAMES.lateEvents]: 5 };
  for (const isCreating of [false, true]) {
    const { isGood, states } = await settle(mixed, { isCreating });
    assert.equal(isGood, false);
    assert.deepEqual(states.sort(), ["differs", "ok"]);
  }
});

/** How `topics` ends where the broker is at `port`, and how long that took, in milliseconds. */
async function lookAt(port: number) {
  const beganMs = performance.now();
  const ended = await gridwatch("topics", "--brokers", `127.0.0.1:${port}`);
  return { ...ended, tookMs: performance.now() - beganMs };
}

Deno.test("topics without a broker says so within five seconds", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { code, stderr, tookMs } = await lookAt(port);
  assert.equal(code, 1);
  assert.match(stderr, /^error: Cannot reach Kafka at 127.0.0.1:\d+: connection refused\nhint: /);
  assert.ok(tookMs < 5000, `${tookMs} ms`);
});

Deno.test("topics answers within five seconds where a broker takes the connection and is silent", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  const taking = (async () => {
    for await (const connection of listener) taken.push(connection);
  })();
  try {
    const { code, stderr, tookMs } = await lookAt(listener.addr.port);
    assert.equal(code, 1);
    assert.match(stderr, /^error: Cannot reach Kafka at .*: no answer in time\nhint: /);
    assert.ok(tookMs < 5000, `${tookMs} ms`);
  } finally {
    listener.close();
    for (const connection of taken) connection.close();
    await taking;
  }
});
