import assert from "node:assert/strict";
import {
  CommitFailedError,
  LogError,
  type LogReader,
  OffsetGoneError,
  RecordTooLargeError,
} from "../../src/engine/log/ports.ts";
import { FencedError } from "../../src/engine/ports.ts";
import {
  openCommitter,
  openLog,
  READER_OPTIONS,
  readValues,
  recordsIn,
  recordsOf,
  rejection,
  StepTransaction,
  takeBatch,
} from "./kafka_fixture.ts";
import { contractTests, numbered } from "./kafka_suite.ts";

/** What any adapter of the log port must do with transactions, on a real broker. */

const contractTest = await contractTests();

contractTest(
  "read_committed passes over two aborts in a row by one producer",
  async ({ kafka, log, topic }) => {
    await using steps = new StepTransaction(kafka.brokers, `${topic}-t`);
    await steps.open();
    for (const [round, outcome] of (["abort", "abort", "commit", "abort"] as const).entries()) {
      await steps.write(recordsOf(topic, numbered(`${outcome}-${round}`, 3)));
      await steps.end(outcome);
    }
    assert.deepEqual(await readValues(log, { topic }), numbered("commit-2", 3));
    assert.deepEqual((await readValues(log, { topic }, { isolation: "all" })).length, 12);
  },
);

contractTest(
  "read_committed passes over an abort that spans several fetches",
  async ({ kafka, log, topic }) => {
    await using steps = new StepTransaction(kafka.brokers, `${topic}-t`);
    await steps.open();
    const large = "x".repeat(900);
    for (let round = 0; round < 12; round++) {
      await steps.write(recordsOf(topic, numbered(`aborted-${large}-${round}`, 10)));
    }
    await steps.end("abort");
    await steps.write(recordsOf(topic, ["committed"]));
    await steps.end("commit");
    const small = { partitionBytesMax: 10_000 };
    assert.deepEqual(await readValues(log, { topic }, small), ["committed"]);
    // Also from the middle of it, where no first record of the transaction is in sight.
    assert.deepEqual(await readValues(log, { topic, offset: 57 }, small), ["committed"]);
  },
);

contractTest(
  "read_committed tells two producers in one partition apart",
  async ({ kafka, log, topic }) => {
    await using one = new StepTransaction(kafka.brokers, `${topic}-1`);
    await using other = new StepTransaction(kafka.brokers, `${topic}-2`);
    await one.open();
    await other.open();
    await one.write(recordsOf(topic, ["one-a"]));
    await other.write(recordsOf(topic, ["other-a"]));
    await one.write(recordsOf(topic, ["one-b"]));
    await other.end("abort");
    await one.write(recordsOf(topic, ["one-c"]));
    await other.write(recordsOf(topic, ["other-b"]));
    await one.end("commit");
    await one.write(recordsOf(topic, ["one-d"]));
    await other.end("commit");
    await one.end("abort");
    for (const partitionBytesMax of [1, 200, 1 << 20]) {
      const values = await readValues(log, { topic }, { partitionBytesMax });
      assert.deepEqual(values, ["one-a", "one-b", "one-c", "other-b"]);
    }
  },
);

contractTest(
  "two aborts are told apart from where both are open",
  async ({ kafka, log, topic }) => {
    await using one = new StepTransaction(kafka.brokers, `${topic}-1`);
    await using other = new StepTransaction(kafka.brokers, `${topic}-2`);
    await one.open();
    await other.open();
    await one.write(recordsOf(topic, ["one-a"]));
    await other.write(recordsOf(topic, ["other-a"]));
    await other.write(recordsOf(topic, ["other-b"]));
    await one.write(recordsOf(topic, ["one-b"]));
    await one.end("abort");
    await other.end("abort");
    await one.write(recordsOf(topic, ["one-c"]));
    await one.end("commit");
    for (let offset = 0; offset < 6; offset++) {
      assert.deepEqual(await readValues(log, { topic, offset }), ["one-c"]);
    }
  },
);

contractTest(
  "reading goes past a marker at the border of a fetch, and past the last",
  async ({ kafka, log, topic }) => {
    await using steps = new StepTransaction(kafka.brokers, `${topic}-t`);
    await steps.open();
    for (let round = 0; round < 5; round++) {
      await steps.write(recordsOf(topic, [`value-${round}`]));
      await steps.end("commit");
    }
    const reader = log.reader({ ...READER_OPTIONS, partitionBytesMax: 1 });
    reader.assign({ topic, partition: 0, offset: 0 });
    const values: (string | null)[] = [];
    for (let next = 0; next < 10;) {
      const batch = await takeBatch(reader);
      values.push(...recordsIn(batch).map(({ value }) => value));
      next = batch.nextOffset;
    }
    await reader.close();
    assert.deepEqual(values, ["value-0", "value-1", "value-2", "value-3", "value-4"]);
  },
);

contractTest(
  "records of an open transaction hold readers back, and lag shows it",
  async ({ kafka, log, topic }) => {
    await using steps = new StepTransaction(kafka.brokers, `${topic}-t`);
    await steps.open();
    await steps.write(recordsOf(topic, ["first"]));
    await steps.end("commit");
    await steps.write(recordsOf(topic, ["open"]));
    const reader = log.reader(READER_OPTIONS);
    reader.assign({ topic, partition: 0, offset: 0 });
    assert.deepEqual(await nextValues(reader, 10_000), ["first"]);
    assert.deepEqual(await nextValues(reader, 300), []);
    const ends = reader.ends({ topic, partition: 0 });
    assert.deepEqual(ends, { logStartOffset: 0, lastStableOffset: 2, logEndOffset: 3 });
    await steps.end("commit");
    assert.deepEqual(await nextValues(reader, 10_000), ["open"]);
    await reader.close();
  },
);

contractTest(
  "commit() of a fenced owner fails and leaves nothing behind",
  async ({ log, topic }) => {
    const old = openCommitter(log, `${topic}-0`);
    await old.open();
    await old.commit({ records: [recordsOf(topic, ["old"])], groupOffset: null });
    const fresh = openCommitter(log, `${topic}-0`);
    await fresh.open();
    await rejection(
      () => old.commit({ records: [recordsOf(topic, ["zombie"])], groupOffset: null }),
      FencedError,
    );
    await fresh.commit({ records: [recordsOf(topic, ["fresh"])], groupOffset: null });
    await rejection(
      () => old.commit({ records: [recordsOf(topic, ["zombie"])], groupOffset: null }),
      CommitFailedError,
    );
    assert.deepEqual(await readValues(log, { topic }), ["old", "fresh"]);
    await old.open();
    await old.commit({ records: [recordsOf(topic, ["back"])], groupOffset: null });
    assert.deepEqual(await readValues(log, { topic }), ["old", "fresh", "back"]);
    await Promise.all([old.close(), fresh.close()]);
  },
);

contractTest("open() aborts what the former owner left open", async ({ kafka, log, topic }) => {
  await using steps = new StepTransaction(kafka.brokers, `${topic}-0`);
  await steps.open();
  await steps.write(recordsOf(topic, ["half"]));
  const fresh = openCommitter(log, `${topic}-0`);
  await fresh.open();
  await fresh.commit({ records: [recordsOf(topic, ["whole"])], groupOffset: null });
  await assert.rejects(() => steps.write(recordsOf(topic, ["zombie"])));
  await assert.rejects(() => steps.end("commit"));
  assert.deepEqual(await readValues(log, { topic }), ["whole"]);
  await fresh.close();
});

contractTest(
  "commit() makes records and group offset visible at once, many batches, many partitions",
  async ({ log, topic }) => {
    const committer = openCommitter(log, `${topic}-0`, { batchBytesMax: 2000 });
    await committer.open();
    const values = numbered("value", 500);
    await committer.commit({
      records: [
        recordsOf(topic, values),
        recordsOf(topic, values, { partition: 1 }),
        recordsOf(topic, ["last"], { partition: 1 }),
      ],
      groupOffset: { group: topic, topic, partition: 2, nextOffset: 77, metadata: "état" },
    });
    assert.deepEqual(await readValues(log, { topic }), values);
    assert.deepEqual(await readValues(log, { topic, partition: 1 }), [...values, "last"]);
    const admin = log.admin({ deadlineMs: 10_000 });
    assert.deepEqual(await admin.groupOffsets(topic, [{ topic, partition: 2 }]), [
      { topic, partition: 2, nextOffset: 77, metadata: "état" },
    ]);
    await committer.close();
  },
  { partitions: 3 },
);

contractTest("a record above the limit is refused, and harms no other", async ({ log, topic }) => {
  const committer = openCommitter(log, `${topic}-0`);
  const producer = log.producer({ compression: "none", batchBytesMax: 1 << 20, deadlineMs: 5_000 });
  await committer.open();
  const records = [recordsOf(topic, ["small"]), recordsOf(topic, ["x".repeat(20_000)])];
  const error = await rejection(
    () => committer.commit({ records, groupOffset: null }),
    RecordTooLargeError,
  );
  assert(error.message.includes(topic) && error.message.includes("10000"), error.message);
  await rejection(() => producer.send(records), RecordTooLargeError);
  // Many that are not too large by themselves are cut into batches that fit.
  const many = numbered("x".repeat(4_000), 20);
  await committer.commit({ records: [recordsOf(topic, many)], groupOffset: null });
  await producer.send([recordsOf(topic, many)]);
  assert.deepEqual(await readValues(log, { topic }), [...many, ...many]);
  await Promise.all([committer.close(), producer.close()]);
}, { configs: { "max.message.bytes": "10000" } });

contractTest("an offset that is not there rejects with OffsetGoneError", async ({ log, topic }) => {
  const reader = log.reader(READER_OPTIONS);
  const lost = [0, 1].map((partition) => ({ topic, partition, offset: 5 }));
  for (const from of lost) reader.assign(from);
  const errors = [
    await rejection(() => reader.next(10_000), OffsetGoneError),
    await rejection(() => reader.next(10_000), OffsetGoneError),
  ];
  assert.deepEqual(errors.map(({ at }) => at).sort((a, b) => a.partition - b.partition), lost);
  reader.assign({ topic, partition: 0, offset: 0 });
  assert.deepEqual(await reader.next(200), null);
  await reader.close();
}, { partitions: 2 });

Deno.test("reach() says in one line that nobody answers", async () => {
  const nowhere = openLog(["127.0.0.1:1"]);
  const error = await rejection(() => nowhere.reach(300), LogError);
  assert.deepEqual(error.message, "Cannot reach Kafka at 127.0.0.1:1: connection refused");
  assert(error.hint);
  await nowhere.close();
});

contractTest("a topic that does not exist is named", async ({ log, topic }) => {
  const reader = log.reader(READER_OPTIONS);
  reader.assign({ topic: `${topic}-no`, partition: 0, offset: 0 });
  const error = await rejection(() => reader.next(20_000), LogError);
  assert(error.message.includes(`"${topic}-no"`), error.message);
  await reader.close();
});

contractTest("admin describes, creates once and deletes", async ({ log, topic }) => {
  const admin = log.admin({ deadlineMs: 10_000 });
  const spec = { name: topic, partitions: 2, replication: 1, configs: { "retention.ms": "1234" } };
  const [{ id, settings, ...found }, ...others] = await admin.describeTopics([
    ...[topic, `${topic}-no`],
  ]);
  assert.deepEqual([found, ...others], [spec]);
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(settings["message.timestamp.type"], "CreateTime", "inherited");
  assert.deepEqual(await admin.createTopics([spec]), []);
  const partitions = [0, 1].map((partition) => ({ topic, partition }));
  const ends = partitions.map((ref) => ({ ...ref, offset: 0 }));
  assert.deepEqual(await admin.listOffsets(partitions, "end"), ends);
  const none = partitions.map((ref) => ({ ...ref, nextOffset: -1, metadata: "" }));
  assert.deepEqual(await admin.groupOffsets("nobody", partitions), none);
}, { partitions: 2, configs: { "retention.ms": "1234" } });

/** The values of the next batch that has any; none: there was none in time. */
async function nextValues(reader: LogReader, waitMsMax: number): Promise<(string | null)[]> {
  for (;;) {
    const batch = await reader.next(waitMsMax);
    if (batch === null) return [];
    if (batch.count > 0) return recordsIn(batch).map(({ value }) => value);
  }
}
