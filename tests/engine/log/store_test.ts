import assert from "node:assert/strict";
import { encodeAll, encodeTask } from "../../../src/core/codec.ts";
import { Processor } from "../../../src/core/processor.ts";
import { readMark } from "../../../src/engine/log/mark.ts";
import { CommitUnknownError, LogRefusedError } from "../../../src/engine/log/ports.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import { Task } from "../../../src/engine/task.ts";
import { assertSameAnswer, stateLines } from "../../simulation/playback.ts";
import {
  emptyFleet,
  filledFleet,
  type Fleet,
  GROUP,
  openStore,
  reliable,
  restoreTask,
  TOPICS,
} from "./log_fleet.ts";
import { MemoryClient, type StepFault } from "./memory_client.ts";
import { MemoryGroup } from "./memory_group.ts";
import { textOf } from "./memory_log.ts";
import { rawOf } from "../../simulation/fold.ts";

const CHANGELOG = { topic: TOPICS.changelog, partition: 0 };
const CHANGELOG_BYTES_MIN = 800;

/** The raw records of partition 0. */
function recordsOf({ log }: Fleet) {
  return log.committed({ topic: TOPICS.raw, partition: 0 }, 0).entries;
}

type Folds = Pick<Task, "fold" | "nextOffset">;

function foldUpTo(fleet: Fleet, task: Folds, count: number): void {
  for (const { value, timeMs, offset } of recordsOf(fleet).slice(0, count)) {
    if (offset < task.nextOffset) continue;
    task.fold(rawOf(value ?? "", offset, timeMs));
  }
}

/** The state as it must be after so many records. */
function expectedState(fleet: Fleet, count: number): string[] {
  const processor = new Processor(fleet.options(0));
  const { state } = processor;
  foldUpTo(fleet, {
    fold: (record) => processor.record(record),
    get nextOffset() {
      return state.nextOffset;
    },
  }, count);
  return stateLines(processor);
}

for (const compacts of [false, true]) {
  Deno.test(`load() restores every commit's state, compacted changelog: ${compacts}`, async () => {
    const fleet = filledFleet({ seed: 5, partitions: 1, records: 300 });
    const store = openStore(fleet, 0);
    const task = await Task.open(fleet.options(0), store, {
      changelogBytesMin: CHANGELOG_BYTES_MIN,
    });
    let snapshots = 0;
    for (let count = 10; count <= recordsOf(fleet).length; count += 10) {
      foldUpTo(fleet, task, count);
      const commit = task.takeCommit();
      if (commit === null) continue;
      if (commit.compacts) snapshots++;
      await store.commit(commit);
      if (compacts) fleet.log.compact(CHANGELOG);
      // The owner's own epoch is kept: a copy of the log is read.
      const restored = await Task.open(fleet.options(0), readOnlyStore(fleet));
      const context = `after ${count} records`;
      assertSameAnswer(stateLines(restored.processor), expectedState(fleet, count), context);
      assert.deepEqual(restored.processor.state, task.processor.state, context);
    }
    assert.ok(snapshots > 3, `${snapshots} snapshots`);
  });
}

/** A store that takes nothing over: another transactional id. */
function readOnlyStore(fleet: Fleet) {
  const client = reliable(fleet);
  const committer = { ...client.committer("nobody"), open: () => Promise.resolve() };
  const store = openStore(fleet, 0, Object.assign(client, { committer: () => committer }));
  return store;
}

Deno.test("load() reads a changelog that was compacted between and within its snapshots", async () => {
  const fleet = filledFleet({ seed: 6, partitions: 1, records: 300 });
  for (let count = 10; count <= recordsOf(fleet).length; count += 10) {
    const store = openStore(fleet, 0);
    const task = await Task.open(fleet.options(0), store, {
      changelogBytesMin: CHANGELOG_BYTES_MIN,
    });
    foldUpTo(fleet, task, count);
    const commit = task.takeCommit();
    if (commit !== null) await store.commit(commit);
    if (count % 30 === 0) fleet.log.compact(CHANGELOG);
    const restored = await restoreTask(fleet, 0);
    assertSameAnswer(stateLines(restored.processor), expectedState(fleet, count), `${count}`);
  }
});

Deno.test("load() does not bring back meters that only an older snapshot knows", async () => {
  const fleet = emptyFleet(1);
  const encoder = new TextEncoder();
  const processorOf = (meter: string, timestamp: string) => {
    const processor = new Processor(fleet.options(0));
    const text = JSON.stringify({ meter_id: meter, timestamp, consumption_kwh: 1 });
    processor.record(rawOf(text, 0));
    processor.takeOutputs();
    return processor;
  };
  const put = (key: string, value: Uint8Array) =>
    fleet.log.put(CHANGELOG, { key: encoder.encode(key), value });
  // What compaction leaves: the older snapshot had more parts, and its meters' tombstones are gone.
  const older = processorOf("OLD", "2024-01-01T00:00:00Z");
  const later = processorOf("NEW", "2024-01-01T00:30:00Z");
  for (const part of encodeAll(older, 1000)) put("snapshot-1", part);
  for (const part of encodeAll(later, 1000)) put("snapshot-0", part);
  put("task", encodeTask(later));
  const restored = await restoreTask(fleet, 0);
  assert.deepEqual(stateLines(restored.processor), stateLines(later));
});

Deno.test("load() goes on numbering changes where its predecessor stopped", async () => {
  const fleet = filledFleet({ seed: 7, partitions: 1, records: 300 });
  for (const count of [20, 40, 60]) {
    const store = openStore(fleet, 0);
    const task = await Task.open(fleet.options(0), store);
    foldUpTo(fleet, task, count);
    await store.commit(task.takeCommit()!);
  }
  const { entries } = fleet.log.committed(CHANGELOG, 0);
  const keys = entries.map(({ key }) => textOf(key)).filter((key) => key.startsWith("change-"));
  assert.deepEqual(keys, ["change-0", "change-1", "change-2"]);
});

/** A fleet with so many commits of 10 records each; gives what the last one's mark says. */
async function committedFleet(commits: number): Promise<{ fleet: Fleet; stateFrom: number }> {
  const fleet = filledFleet({ seed: 11, partitions: 1, records: 300 });
  const store = openStore(fleet, 0);
  const task = await Task.open(fleet.options(0), store, { changelogBytesMin: CHANGELOG_BYTES_MIN });
  for (let count = 10; count <= commits * 10; count += 10) {
    foldUpTo(fleet, task, count);
    await store.commit(task.takeCommit()!);
  }
  const { metadata } = fleet.log.groupOffset(GROUP, { topic: TOPICS.raw, partition: 0 });
  return { fleet, stateFrom: readMark(metadata)!.stateFrom };
}

Deno.test("load() reads nothing before the latest snapshot", async () => {
  const { fleet, stateFrom } = await committedFleet(20);
  assert.ok(stateFrom > 20, `the state is from ${stateFrom} on`);
  fleet.log.deleteBefore(CHANGELOG, stateFrom);
  const restored = await restoreTask(fleet, 0);
  assertSameAnswer(stateLines(restored.processor), expectedState(fleet, 200), "from the snapshot");
});

Deno.test("load() refuses a state whose first records are lost, and one whose last are", async () => {
  const { fleet } = await committedFleet(20);
  const { entries } = fleet.log.committed(CHANGELOG, 0);
  const snapshot = entries.findLast(({ key }) => textOf(key) === "snapshot-0")!;
  fleet.log.deleteBefore(CHANGELOG, snapshot.offset + 1);
  await assert.rejects(restoreTask(fleet, 0), (error: unknown) => {
    assert.ok(error instanceof LogRefusedError);
    assert.match(error.message, /"t_state_changelog" partition 0: \d+ records of it were written/);
    assert.match(error.hint ?? "", /cleanup\.policy=compact/);
    return true;
  });
  const { fleet: other } = await committedFleet(20);
  const last = other.log.committed(CHANGELOG, 0).entries.at(-1)!.offset;
  other.log.tamper(CHANGELOG, (entry) => entry.offset > last - 4 ? null : entry);
  await assert.rejects(restoreTask(other, 0), /judged to raw offset \d+, and the group stands at/);
});

Deno.test("load() refuses a lost record of the state when the group's offset is forgotten", async () => {
  const { fleet } = await committedFleet(20);
  fleet.log.forgetGroup(GROUP);
  await restoreTask(fleet, 0);
  fleet.log.tamper(CHANGELOG, (entry) => {
    return textOf(entry.key).startsWith("change-") ? null : entry;
  });
  await assert.rejects(restoreTask(fleet, 0), LogRefusedError);
});

Deno.test("load() refuses topics made anew by their names, unless all but the raw one are", async () => {
  const { raw, ...others } = TOPICS;
  for (const topic of Object.values(TOPICS)) {
    const { fleet } = await committedFleet(5);
    fleet.log.makeAnew(topic);
    const expected = topic === TOPICS.changelog ? others.changelog : topic;
    await assert.rejects(restoreTask(fleet, 0), (error: unknown) => {
      assert.ok(error instanceof LogRefusedError, topic);
      assert.ok(error.message.includes(`"${expected}" was deleted and made anew`), error.message);
      return true;
    });
  }
  const { fleet } = await committedFleet(5);
  for (const topic of Object.values(others)) fleet.log.makeAnew(topic);
  assert.equal((await restoreTask(fleet, 0)).nextOffset, 0);
  fleet.log.makeAnew(raw);
  assert.equal((await restoreTask(fleet, 0)).nextOffset, 0);
});

Deno.test("load() refuses more partitions than were judged, in the new ones, too", async () => {
  const { fleet } = await committedFleet(5);
  const grown = { ...fleet, group: new MemoryGroup(2) };
  for (const partition of [0, 1]) {
    await assert.rejects(restoreTask(grown, partition), {
      name: "LogRefusedError",
      message: /"t_raw" has 2 partitions, and was judged with 1/,
    });
  }
});

Deno.test("load() refuses other settings by name and value, but not those of a newer version", async () => {
  const { fleet } = await committedFleet(5);
  const { values } = fleet.judging;
  fleet.judging = { hash: "1", values: { ...values, grace_period_seconds: "60" } };
  await assert.rejects(restoreTask(fleet, 0), {
    name: "LogRefusedError",
    message: "Cannot judge partition 0 on with grace_period_seconds=60: it was judged with 900",
  });
  fleet.judging = { hash: "2", values: { ...values, new_setting: "1" } };
  assert.ok((await restoreTask(fleet, 0)).nextOffset > 0);
});

Deno.test("a change larger than a record is cut into several, and restored", async () => {
  const fleet = emptyFleet(1);
  const store = openStore(fleet, 0);
  const task = await Task.open({ ...fleet.options(0), metersMax: 100_000 }, store);
  for (let m = 0; m < 12_000; m++) {
    const meter = `meter-with-a-rather-long-name-${m}`;
    const text = `{"meter_id":"${meter}","timestamp":"2024-01-01T00:00:00Z","consumption_kwh":1}`;
    task.fold(rawOf(text, task.nextOffset));
  }
  const commit = task.takeCommit()!;
  assert.ok(commit.changelog[0].length > fleet.log.recordBytesMax, "not larger than a record");
  await store.commit(commit);
  const restored = await restoreTask(fleet, 0);
  assert.equal(restored.processor.meters.count, 12_000);
  assert.deepEqual(stateLines(restored.processor), stateLines(task.processor));
});

const OUTCOMES: readonly [StepFault, boolean][] = [["before", false], ["after", true]];
for (const [fault, happened] of OUTCOMES) {
  Deno.test(`commit() of unknown outcome: load() says it happened: ${happened}`, async () => {
    const fleet = filledFleet({ seed: 8, partitions: 1, records: 100 });
    const { log, clock, group } = fleet;
    let commits = 0;
    const client = new MemoryClient(log, {
      ...{ clock, group, turns: () => 0, batchRecordsMax: 50 },
      faultAt: (_, operation) => operation === "end" && ++commits === 2 ? fault : null,
    });
    const store = openStore(fleet, 0, client);
    const task = await Task.open(fleet.options(0), store);
    foldUpTo(fleet, task, 20);
    await store.commit(task.takeCommit()!);
    const firstOffset = task.nextOffset;
    foldUpTo(fleet, task, 40);
    await assert.rejects(store.commit(task.takeCommit()!), CommitUnknownError);
    const restored = await Task.open(fleet.options(0), store);
    assert.equal(restored.nextOffset, happened ? task.nextOffset : firstOffset);
    const expected = expectedState(fleet, happened ? 40 : 20);
    assertSameAnswer(stateLines(restored.processor), expected, fault);
    assert.equal(
      log.groupOffset(GROUP, { topic: TOPICS.raw, partition: 0 }).nextOffset,
      restored.nextOffset,
    );
  });
}

Deno.test("commit() after another owner's load() is fenced, and nothing of it is visible", async () => {
  const fleet = filledFleet({ seed: 9, partitions: 1, records: 100 });
  const store = openStore(fleet, 0);
  const zombie = await Task.open(fleet.options(0), store);
  foldUpTo(fleet, zombie, 30);
  const owner = openStore(fleet, 0);
  await owner.load(0);
  await assert.rejects(store.commit(zombie.takeCommit()!), FencedError);
  for (const topic of Object.values(TOPICS).filter((topic) => topic !== TOPICS.raw)) {
    assert.deepEqual(fleet.log.committed({ topic, partition: 0 }, 0).entries, []);
  }
});
