import assert from "node:assert/strict";
import {
  openCommitter,
  readAll,
  READER_OPTIONS,
  readValues,
  recordsOf,
  takeBatch,
} from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { consoleTool } from "./kafka_harness.ts";
import { contractTests, numbered } from "./kafka_suite.ts";

/** What any adapter of the log port must do with records and batches, on a real broker. */

const contractTest = await contractTests();

contractTest(
  "reading goes over the holes of compaction, from any offset",
  async ({ log, topic }) => {
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
  },
  {
    configs: {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.01",
      "max.compaction.lag.ms": "100",
      "delete.retention.ms": "100000000",
    },
  },
);

contractTest("a record above partitionBytesMax is read all the same", async ({ log, topic }) => {
  const producer = log.producer({ compression: "none", batchBytesMax: 1 << 20, deadlineMs: 5_000 });
  const values = ["a", "x".repeat(700_000), "b"];
  for (const value of values) await producer.send([recordsOf(topic, [value])]);
  assert.deepEqual(await readValues(log, { topic }, { partitionBytesMax: 1000 }), values);
  await producer.close();
});

for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
  contractTest(
    `reads ${compression} by Java, and Java reads ours`,
    async ({ kafka, log, topic }) => {
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
    },
  );
}

contractTest(
  "tells null from empty, in values and keys, in plain and packed batches",
  async ({ kafka, log, topic }) => {
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

contractTest("origins, keys and times come back as written", async ({ log, topic }) => {
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

contractTest("reads on from an offset in the middle of a batch", async ({ log, topic }) => {
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

contractTest(
  "fetching ahead stays within its bytes, and a paused partition is silent",
  async ({ log, topic }) => {
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
