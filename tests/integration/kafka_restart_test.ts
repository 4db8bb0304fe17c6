import assert from "node:assert/strict";
import { CommitFailedError, CommitUnknownError, LogError } from "../../src/engine/log/ports.ts";
import { FencedError } from "../../src/engine/ports.ts";
import {
  openCommitter,
  openLog,
  READER_OPTIONS,
  readValues,
  recordsIn,
  recordsOf,
  StepTransaction,
} from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { withKafka } from "./kafka_harness.ts";
import { serverTests } from "./servers.ts";

/** What holds when brokers are killed under the adapter. */

const { serverTest } = await serverTests("kafka");

const TOPIC = "restart";
const SPEC = { name: TOPIC, partitions: 2, replication: 1, configs: {} };

serverTest("a broker killed and back: transactions, readers and producers go on", async () => {
  await withKafka({ owned: true }, async (kafka) => {
    const log = openLog(kafka.brokers);
    await log.admin({ deadlineMs: 20_000 }).createTopics([SPEC]);
    const committer = openCommitter(log, "app-0", { deadlineMs: 60_000 });
    const producer = log.producer({
      compression: "none",
      batchBytesMax: 1 << 16,
      deadlineMs: 60_000,
    });
    const reader = log.reader(READER_OPTIONS);
    reader.assign({ topic: TOPIC, partition: 0, offset: 0 });
    await committer.open();
    await committer.commit({ records: [recordsOf(TOPIC, ["before"])], groupOffset: null });
    await producer.send([recordsOf(TOPIC, ["p-before"], { partition: 1 })]);
    await using steps = new StepTransaction(kafka.brokers, "app-1");
    await steps.open();
    await steps.write(recordsOf(TOPIC, ["open over the restart"], { partition: 1 }));

    await kafka.kill();
    const committed = committer.commit({
      records: [recordsOf(TOPIC, ["during"])],
      groupOffset: { group: "g", topic: TOPIC, partition: 0, nextOffset: 5, metadata: "" },
    });
    const sent = producer.send([recordsOf(TOPIC, ["p-during"], { partition: 1 })]);
    await kafka.restart();
    await Promise.all([committed, sent]);
    await steps.end("abort");

    assert.deepEqual(await readValues(log, { topic: TOPIC }), ["before", "during"]);
    const produced = await readValues(log, { topic: TOPIC, partition: 1 });
    assert.deepEqual(produced, ["p-before", "p-during"]);
    const seen: (string | null)[] = [];
    await until("the reader goes on", async () => {
      const batch = await reader.next(1000);
      if (batch !== null) seen.push(...recordsIn(batch).map(({ value }) => value));
      return seen.length === 2;
    });
    assert.deepEqual(seen, ["before", "during"]);
    await log.close();
  });
});

serverTest("commits while the broker is killed again and again are all or nothing", async () => {
  await withKafka({ owned: true }, async (kafka) => {
    const log = openLog(kafka.brokers);
    await log.admin({ deadlineMs: 20_000 }).createTopics([SPEC]);
    // Too little time to wait a restart out: commits fail, at every step of theirs.
    const committer = openCommitter(log, "app-0", { deadlineMs: 300 });
    const outcomes = new Map<number, "committed" | "failed" | "unknown">();
    let stops = false;
    const commits = (async () => {
      for (let round = 0; !stops; round++) {
        const records = [0, 1].map((partition) =>
          recordsOf(TOPIC, [`${round}-a`, `${round}-b`], { partition })
        );
        try {
          if (round === 0 || outcomes.get(round - 1) !== "committed") await committer.open();
          outcomes.set(round, "failed");
          await committer.commit({ records, groupOffset: null });
          outcomes.set(round, "committed");
        } catch (error) {
          if (error instanceof CommitUnknownError || error instanceof FencedError) {
            outcomes.set(round, "unknown");
          } else assert(error instanceof CommitFailedError || error instanceof LogError);
        }
      }
    })();
    for (let kills = 0; kills < 3; kills++) {
      const had = outcomes.size;
      await until("some commits", () => outcomes.size > had + 20 && isAny(outcomes, "committed"));
      await kafka.restart();
    }
    stops = true;
    await commits;
    const last = openCommitter(log, "app-0");
    await last.open();
    const found = await Promise.all(
      [0, 1].map((partition) => readValues(log, { topic: TOPIC, partition })),
    );
    assert.deepEqual(found[0], found[1]);
    for (const [round, outcome] of outcomes) {
      const count = found[0].filter((value) => value?.startsWith(`${round}-`)).length;
      if (outcome === "committed") assert.equal(count, 2, `commit ${round}`);
      else if (outcome === "failed") assert.equal(count, 0, `failed commit ${round}`);
      else assert(count === 0 || count === 2, `unknown commit ${round}: ${count}`);
    }
    await log.close();
  });
});

serverTest(
  "three brokers, one killed under load: leaders and coordinators move, nothing is lost",
  async () => {
    await withKafka({ brokers: 3, heapMib: 384 }, async (kafka) => {
      const log = openLog(kafka.brokers);
      const admin = log.admin({ deadlineMs: 30_000 });
      await admin.createTopics([{ ...SPEC, replication: 3 }]);
      const committers = [0, 1].map((partition) =>
        openCommitter(log, `app-${partition}`, { deadlineMs: 60_000 })
      );
      await Promise.all(committers.map((committer) => committer.open()));
      let rounds = 0;
      const commitRound = async () => {
        const value = `round-${rounds++}`;
        await Promise.all(committers.map((committer, partition) =>
          committer.commit({
            records: [recordsOf(TOPIC, [value], { partition })],
            groupOffset: { group: "g", topic: TOPIC, partition, nextOffset: rounds, metadata: "" },
          })
        ));
      };
      for (const node of kafka.nodes) {
        const until = rounds + 10;
        while (rounds < until) await commitRound();
        await node.kill();
        while (rounds < until + 10) await commitRound();
        await node.start();
      }
      const expected = Array.from({ length: rounds }, (_, round) => `round-${round}`);
      for (const partition of [0, 1]) {
        assert.deepEqual(await readValues(log, { topic: TOPIC, partition }), expected);
      }
      const stored = await admin.groupOffsets(
        "g",
        [0, 1].map((partition) => ({ topic: TOPIC, partition })),
      );
      assert.deepEqual(stored.map(({ nextOffset }) => nextOffset), [rounds, rounds]);
      await log.close();
    });
  },
);

function isAny(outcomes: Map<number, string>, outcome: string): boolean {
  return [...outcomes.values()].includes(outcome);
}
