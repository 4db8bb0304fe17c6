import assert from "node:assert/strict";
import { FencedError } from "../../src/engine/ports.ts";
import {
  CommitFailedError,
  LogError,
  type LogReader,
  OffsetGoneError,
  RecordTooLargeError,
} from "../../src/engine/log_ports.ts";
import type { KafkaLog } from "../../src/adapters/kafka_log.ts";
import {
  openCommitter,
  openLog,
  readAll,
  READER_OPTIONS,
  readValues,
  recordsIn,
  recordsOf,
  rejection,
  StepTransaction,
  takeBatch,
} from "./kafka_fixture.ts";
import { consoleTool, type Kafka, startKafka, until } from "./kafka_harness.ts";

/** What any adapter of the log port must do, on a real broker. */

let kafka: Kafka;
let log: KafkaLog;
let topics = 0;

Deno.test.beforeAll(async () => {
  kafka = await startKafka();
  log = openLog(kafka.brokers);
  await log.reach(10_000);
});

Deno.test.afterAll(async () => {
  await log?.close(); // undefined when the broker did not start
  await kafka?.stop();
});

/** A test with a topic of its own; the broker's log is printed when it fails. */
function contractTest(
  name: string,
  test: (topic: string) => Promise<void>,
  { partitions = 1, configs = {} }: { partitions?: number; configs?: Record<string, string> } = {},
): void {
  Deno.test(name, async () => {
    const topic = `contract-${++topics}-${crypto.randomUUID().slice(0, 8)}`;
    const admin = log.admin({ deadlineMs: 15_000 });
    try {
      await admin.createTopics([{ name: topic, partitions, replication: 1, configs }]);
      await test(topic);
      await admin.deleteTopics([topic]);
    } catch (error) {
      console.error(await kafka.logs());
      throw error;
    } finally {
      await log.close();
      log = openLog(kafka.brokers);
    }
  });
}

/** The values of the next batch that has any; none: there was none in time. */
async function nextValues(reader: LogReader, waitMsMax: number): Promise<(string | null)[]> {
  for (;;) {
    const batch = await reader.next(waitMsMax);
    if (batch === null) return [];
    if (batch.count > 0) return recordsIn(batch).map(({ value }) => value);
  }
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
}

contractTest("read_committed passes over two aborts in a row by one producer", async (topic) => {
  await using steps = new StepTransaction(kafka.brokers, `${topic}-t`);
  await steps.open();
  for (const [round, outcome] of (["abort", "abort", "commit", "abort"] as const).entries()) {
    await steps.write(recordsOf(topic, numbered(`${outcome}-${round}`, 3)));
    await steps.end(outcome);
  }
  assert.deepEqual(await readValues(log, { topic }), numbered("commit-2", 3));
  assert.deepEqual((await readValues(log, { topic }, { isolation: "all" })).length, 12);
});

contractTest("read_committed passes over an abort that spans several fetches", async (topic) => {
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
});

contractTest("read_committed tells two producers in one partition apart", async (topic) => {
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
});

contractTest(
  "reading goes past a marker at the border of a fetch, and past the last",
  async (topic) => {
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
  async (topic) => {
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

contractTest("reading goes over the holes of compaction, from any offset", async (topic) => {
  const producer = log.producer({ compression: "none", batchBytesMax: 4096, deadlineMs: 10_000 });
  for (let round = 0; round < 30; round++) {
    const keys = Array.from({ length: 20 }, (_, i) => `key-${(i * 7 + round) % 25}`);
    const values = keys.map((key, i) => round === 29 && i === 3 ? null : `${key}-${round}`);
    // Segments are rolled, and then cleaned, by the records' own times.
    const timesMs = 1_700_000_000_000 + round * 1000;
    await producer.send([{ ...recordsOf(topic, values, { keys }), timesMs }]);
  }
  await producer.close();
  const whole = await until("the cleaner leaves holes", async () => {
    const found = await readAll(log, { topic });
    return found.length < 400 ? found : undefined;
  }, 60_000);
  const offsets = whole.map(({ offset }) => offset ?? -1);
  assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b));
  for (const from of [1, 7, 100, 333, 450, 599]) {
    const rest = (await readAll(log, { topic, offset: from })).map(({ offset }) => offset);
    const expected = offsets.filter((offset) => offset >= from);
    // The cleaner goes on meanwhile: what is read is what was there, or less of it.
    assert(rest.every((offset) => expected.includes(offset ?? -1)), `from ${from}: ${rest}`);
    assert.deepEqual(rest.at(-1), 599);
  }
}, {
  configs: {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "100000000",
  },
});

contractTest("commit() of a fenced owner fails and leaves nothing behind", async (topic) => {
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
});

contractTest("open() aborts what the former owner left open", async (topic) => {
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
  async (topic) => {
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

contractTest("a record above the limit is refused, and harms no other", async (topic) => {
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

contractTest("a record above partitionBytesMax is read all the same", async (topic) => {
  const producer = log.producer({ compression: "none", batchBytesMax: 1 << 20, deadlineMs: 5_000 });
  const values = ["a", "x".repeat(700_000), "b"];
  for (const value of values) await producer.send([recordsOf(topic, [value])]);
  assert.deepEqual(await readValues(log, { topic }, { partitionBytesMax: 1000 }), values);
  await producer.close();
});

for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
  contractTest(`reads ${compression} by Java, and Java reads ours`, async (topic) => {
    const lines = numbered(`a line of some length ${"ab".repeat(40)}`, 3000);
    await kafka.java(consoleTool(kafka, "Producer"), [
      ...["--bootstrap-server", kafka.brokers[0], "--topic", topic],
      ...["--compression-codec", compression, "--batch-size", "100000"],
      ...["--producer-property", "linger.ms=50"],
    ], lines.join("\n"));
    assert.deepEqual(await readValues(log, { topic }), lines);
    const committer = openCommitter(log, `${topic}-0`, { compression, batchBytesMax: 200_000 });
    await committer.open();
    await committer.commit({ records: [recordsOf(topic, lines)], groupOffset: null });
    await committer.close();
    assert.deepEqual(await readValues(log, { topic }), [...lines, ...lines]);
    const seen = await kafka.java(consoleTool(kafka, "Consumer"), [
      ...["--bootstrap-server", kafka.brokers[0], "--topic", topic, "--from-beginning"],
      ...["--max-messages", "6000", "--timeout-ms", "20000"],
      ...["--isolation-level", "read_committed"],
    ]);
    assert.deepEqual(seen.trimEnd().split("\n"), [...lines, ...lines]);
  });
}

contractTest(
  "tells null from empty, in values and keys, in plain and packed batches",
  async (topic) => {
    for (const compression of ["none", "lz4"]) {
      await kafka.java(consoleTool(kafka, "Producer"), [
        ...["--bootstrap-server", kafka.brokers[0], "--topic", topic],
        ...["--compression-codec", compression, "--property", "parse.key=true"],
        ...["--property", "null.marker=NULL", "--property", "key.separator=|"],
      ], "k|v\nk|NULL\nk|\nNULL|v\n|v\nNULL|NULL\n");
    }
    const found = await readAll(log, { topic });
    const once = [["k", "v"], ["k", null], ["k", ""], [null, "v"], ["", "v"], [null, null]];
    assert.deepEqual(found.map(({ key, value }) => [key, value]), [...once, ...once]);
    const producer = log.producer({ compression: "none", batchBytesMax: 9999, deadlineMs: 5_000 });
    await producer.send([recordsOf(topic, ["v", null, null], { keys: ["", "k", ""] })]);
    await producer.close();
    assert.deepEqual(
      (await readAll(log, { topic, offset: 12 })).map(({ key, value }) => [key, value]),
      [[null, "v"], ["k", null], [null, null]],
    );
  },
);

contractTest("origins, keys and times come back as written", async (topic) => {
  const producer = log.producer({ compression: "zstd", batchBytesMax: 500, deadlineMs: 5_000 });
  const offsets = [0, 9, 10, 99_999, 2 ** 31, 2 ** 31 + 7, 123_456_789_012_345];
  const keys = offsets.map((offset) => `key-${offset}`);
  const timesMs = Float64Array.from(offsets, (_, i) => 1_700_000_000_000 - i * 1000);
  const indexes = offsets.map((_, i) => i * 11);
  await producer.send([{
    ...recordsOf(topic, numbered("v", offsets.length), { keys }),
    timesMs,
    origins: { partition: 12, offsets, indexes },
  }]);
  await producer.send([recordsOf(topic, ["plain"])]);
  const found = await readAll(log, { topic });
  assert.deepEqual(
    found.map(({ key, origin }) => [key, origin]),
    [...offsets.map((offset, i) => [keys[i], `12/${offset}/${i * 11}`]), [null, "-1/-1/-1"]],
  );
  const reader = log.reader({ ...READER_OPTIONS, keys: false, origins: false });
  reader.assign({ topic, partition: 0, offset: 0 });
  const batch = await takeBatch(reader);
  assert.deepEqual(batch.keys, null);
  assert.deepEqual(batch.timesMs[0], timesMs[0]);
  await reader.close();
  await producer.close();
});

contractTest("reads on from an offset in the middle of a batch", async (topic) => {
  for (const compression of ["none", "lz4"] as const) {
    const producer = log.producer({ compression, batchBytesMax: 1 << 20, deadlineMs: 5_000 });
    await producer.send([recordsOf(topic, numbered(compression, 100))]);
    await producer.close();
  }
  const all = [...numbered("none", 100), ...numbered("lz4", 100)];
  for (const offset of [1, 57, 99, 100, 163, 199]) {
    assert.deepEqual(await readValues(log, { topic, offset }), all.slice(offset));
  }
});

contractTest("an offset that is not there rejects with OffsetGoneError", async (topic) => {
  const reader = log.reader(READER_OPTIONS);
  reader.assign({ topic, partition: 0, offset: 5 });
  const error = await rejection(() => reader.next(10_000), OffsetGoneError);
  assert.deepEqual(error.at, { topic, partition: 0, offset: 5 });
  reader.assign({ topic, partition: 0, offset: 0 });
  assert.deepEqual(await reader.next(200), null);
  await reader.close();
});

contractTest(
  "fetching ahead stays within its bytes, and a paused partition is silent",
  async (topic) => {
    const producer = log.producer({
      compression: "none",
      batchBytesMax: 1 << 18,
      deadlineMs: 9_000,
    });
    const values = numbered("x".repeat(1000), 4000);
    await producer.send([0, 1].map((partition) => recordsOf(topic, values, { partition })));
    await producer.close();
    const bufferBytesMax = 1 << 20;
    const reader = log.reader({ ...READER_OPTIONS, bufferBytesMax, partitionBytesMax: 400_000 });
    reader.assign({ topic, partition: 0, offset: 0 });
    reader.assign({ topic, partition: 1, offset: 0 });
    await until("the buffer is full", () => reader.bufferedBytes > 400_000);
    reader.pause({ topic, partition: 1 });
    let most = 0;
    for (let next = 0; next < values.length;) {
      const batch = await takeBatch(reader);
      assert.deepEqual(batch.partition, 0);
      most = Math.max(most, reader.bufferedBytes);
      next = batch.nextOffset;
    }
    assert(most <= bufferBytesMax + (1 << 20), `${most} bytes buffered`);
    assert.deepEqual(await reader.next(200), null);
    reader.resume({ topic, partition: 1 });
    assert.deepEqual((await takeBatch(reader)).offsets[0], 0);
    reader.assign({ topic, partition: 1, offset: 3990 });
    assert.deepEqual((await takeBatch(reader)).offsets[0], 3990);
    await reader.close();
    assert.deepEqual(reader.bufferedBytes, 0);
  },
  { partitions: 2 },
);

Deno.test("reach() says in one line that nobody answers", async () => {
  const nowhere = openLog(["127.0.0.1:1"]);
  const error = await rejection(() => nowhere.reach(300), LogError);
  assert.deepEqual(error.message, "Cannot reach Kafka at 127.0.0.1:1: connection refused");
  assert(error.hint);
  await nowhere.close();
});

contractTest("a topic that does not exist is named", async (topic) => {
  const reader = log.reader(READER_OPTIONS);
  reader.assign({ topic: `${topic}-no`, partition: 0, offset: 0 });
  const error = await rejection(() => reader.next(20_000), LogError);
  assert(error.message.includes(`"${topic}-no"`), error.message);
  await reader.close();
});

contractTest("admin describes, creates once and deletes", async (topic) => {
  const admin = log.admin({ deadlineMs: 10_000 });
  const spec = { name: topic, partitions: 2, replication: 1, configs: { "retention.ms": "1234" } };
  assert.deepEqual(await admin.describeTopics([topic, `${topic}-no`]), [spec]);
  assert.deepEqual(await admin.createTopics([spec]), []);
  const partitions = [0, 1].map((partition) => ({ topic, partition }));
  const ends = partitions.map((ref) => ({ ...ref, offset: 0 }));
  assert.deepEqual(await admin.listOffsets(partitions, "end"), ends);
  const none = partitions.map((ref) => ({ ...ref, nextOffset: -1, metadata: "" }));
  assert.deepEqual(await admin.groupOffsets("nobody", partitions), none);
}, { partitions: 2, configs: { "retention.ms": "1234" } });
