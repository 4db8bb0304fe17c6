import { rawOf } from "../../simulation/fold.ts";
import assert from "node:assert/strict";
import { Processor } from "../../../src/core/processor.ts";
import type { TaskAccount } from "../../../src/core/task_state.ts";
import type { WorkerEvent } from "../../../src/engine/event.ts";
import type { PartitionOffset } from "../../../src/engine/log/ports.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import {
  type SinkCommit,
  type SinkCommitted,
  type SinkPosition,
  type SinkStore,
  StoreAwayError,
} from "../../../src/engine/sink/ports.ts";
import { Sink } from "../../../src/engine/sink/sink.ts";
import {
  filledFleet,
  type Fleet,
  isDone,
  partitionsOf,
  startProcess,
  TOPICS,
  untilTrue,
} from "../log/log_fleet.ts";
import { MemoryClient } from "../log/memory_client.ts";
import { MemoryGroup } from "../log/memory_group.ts";
import { type Entry, textOf } from "../log/memory_log.ts";

const SHAPE = { seed: 5, partitions: 2, records: 200 };
const TABLES = [
  ...[TOPICS.validated, TOPICS.gapAlerts, TOPICS.lateEvents, TOPICS.rejected, TOPICS.metrics],
];

type Step = "load" | "commit";

/** Where the rows go: it fails before a step, or after it with the answer lost. */
class MemorySinkStore implements SinkStore {
  readonly rows: string[] = [];
  readonly accounts = new Map<number, TaskAccount>();
  readonly #positions = new Map<string, { offset: number; messages: number }>();
  faultAt: (step: Step, partition: number) => { error: unknown; isDone?: boolean } | null = () =>
    null;

  load(starts: readonly PartitionOffset[]): Promise<SinkPosition[]> {
    return this.#step(
      "load",
      starts[0].partition,
      () =>
        starts.map(({ topic, partition, offset }) => {
          const known = this.#positions.get(`${topic}/${partition}`);
          const position = known ?? { offset, messages: 0 };
          this.#positions.set(`${topic}/${partition}`, position);
          return { topic, partition, ...position, isNew: known === undefined };
        }),
    );
  }

  commit(commit: SinkCommit): Promise<SinkCommitted> {
    return this.#step("commit", commit.partition, () => this.#commit(commit));
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  /** As if another sink had written on. */
  move(topic: string, partition: number, to: { offset: number; messages: number }): void {
    this.#positions.set(`${topic}/${partition}`, to);
  }

  async #step<T>(step: Step, partition: number, run: () => T): Promise<T> {
    await Promise.resolve();
    const fault = this.faultAt(step, partition);
    if (fault !== null && fault.isDone !== true) throw fault.error;
    const answer = run();
    if (fault !== null) throw fault.error;
    return answer;
  }

  #commit({ partition, moves, runs, account }: SinkCommit): SinkCommitted {
    for (const { topic, from } of moves) {
      if (this.#positions.get(`${topic}/${partition}`)?.offset !== from) {
        throw new FencedError(`${topic}/${partition} does not stand at ${from}`);
      }
    }
    for (const { topic, to, messages } of moves) {
      const before = this.#positions.get(`${topic}/${partition}`)!;
      this.move(topic, partition, { offset: to, messages: before.messages + messages });
    }
    const before = this.rows.length;
    for (const { batch, first, end } of runs) {
      for (let r = first; r < end; r++) {
        const { starts, ends } = batch.values;
        const value = textOf(batch.bytes.subarray(starts[r], ends[r]));
        this.rows.push(`${batch.topic}/${partition} ${batch.offsets[r]} ${value}`);
      }
    }
    if (account !== null) this.accounts.set(partition, account);
    return { rows: this.rows.length - before, refused: 0, incidents: [] };
  }
}

/** A fleet whose raw records are judged. */
async function judgedFleet(): Promise<Fleet> {
  const fleet = filledFleet(SHAPE);
  const process = startProcess(fleet);
  await untilTrue("all is judged", () => isDone(fleet));
  process.stop();
  await process.done;
  return fleet;
}

function startSink({ log, clock, partitions }: Fleet, store: SinkStore) {
  const client = new MemoryClient(log, {
    ...{ clock, group: new MemoryGroup(partitions), batchRecordsMax: 7 },
    ...{ faultAt: () => null, turns: () => 1 },
  });
  const controller = new AbortController();
  const events: WorkerEvent[] = [];
  const sink = new Sink(
    {
      admin: client.admin(),
      reader: client.reader(),
      join: (handlers) => client.join(handlers),
    },
    store,
    {
      topics: TOPICS,
      commitRecordsMax: 20,
      commitIntervalMs: 100,
      commitsMax: 2,
      clock,
      random: () => 1,
      signal: controller.signal,
      onEvent: (event) => void events.push(event),
    },
  );
  const done = sink.run();
  done.catch(() => {}); // whoever waits for it hears it
  const stop = async () => {
    controller.abort();
    await done;
  };
  const said = (event: string) => events.filter((one) => one.event === event);
  return { sink, client, events, said, stop };
}

/** A line for each message of a partition's topics. */
function messagesOf({ log }: Fleet, partition: number): string[] {
  return TABLES.flatMap((topic) =>
    log.committed({ topic, partition }, 0).entries.map(({ offset, value }) =>
      `${topic}/${partition} ${offset} ${textOf(value)}`
    )
  ).sort();
}

function rowsOf({ rows }: MemorySinkStore, partition: number): string[] {
  return rows.filter((row) => row.split(" ")[0].endsWith(`/${partition}`)).sort();
}

/** Waits until a partition is written, and the account of it; each message must be there once. */
async function untilWritten(
  fleet: Fleet,
  store: MemorySinkStore,
  partition: number,
): Promise<void> {
  const expected = messagesOf(fleet, partition);
  const raw = fleet.log.committed({ topic: TOPICS.raw, partition }, 0).entries;
  await untilTrue(
    `partition ${partition} is written`,
    () =>
      rowsOf(store, partition).length >= expected.length &&
      store.accounts.get(partition)?.nextOffset === raw.at(-1)!.offset + 1,
  );
  assert.deepEqual(rowsOf(store, partition), expected);
}

/** The watermark of a partition whose raw records have all been judged. */
function watermarkOf(fleet: Fleet, partition: number): number | null {
  const processor = new Processor(fleet.options(partition));
  for (const entry of fleet.log.committed({ topic: TOPICS.raw, partition }, 0).entries) {
    processor.record(rawOf(entry.value ?? "", entry.offset, entry.timeMs));
  }
  return processor.watermarkMs;
}

Deno.test("Sink.run() writes every message once, and the watermark as the processors say it", async () => {
  const fleet = await judgedFleet();
  const store = new MemorySinkStore();
  const { sink, events, stop } = startSink(fleet, store);
  for (const partition of partitionsOf(fleet)) {
    await untilWritten(fleet, store, partition);
    const watermarkMs = watermarkOf(fleet, partition);
    assert.ok(fleet.options(partition).outOfOrdernessMs > 0 && watermarkMs !== null);
    assert.equal(store.accounts.get(partition)?.watermarkMs, watermarkMs);
  }
  const status = sink.status().sort((a, b) => a.partition - b.partition);
  for (const { partition, state, watermarkMs, rowsWritten } of status) {
    assert.deepEqual([state, watermarkMs], ["running", watermarkOf(fleet, partition)]);
    assert.equal(rowsWritten, messagesOf(fleet, partition).length);
  }
  await stop();
  assert.deepEqual(sink.status(), []);
  assert.deepEqual(events.filter(({ level }) => level !== "info"), []);
});

Deno.test("Sink.run() takes accounts of a version that said no watermark", async () => {
  const fleet = await judgedFleet();
  const older = (entry: Entry): Entry => {
    if (textOf(entry.key) !== "task" || entry.value === null) return entry;
    // Version 1 was the bare section, without the watermark, the replays and the parts at its end.
    const headLength = 1 + 1 + (2 + "task".length + 1) + 4;
    return { ...entry, value: Uint8Array.of(1, ...entry.value.slice(headLength, -17)) };
  };
  fleet.log.tamper({ topic: TOPICS.changelog, partition: 0 }, older);
  const store = new MemorySinkStore();
  const { events, stop } = startSink(fleet, store);
  for (const partition of partitionsOf(fleet)) await untilWritten(fleet, store, partition);
  assert.equal(store.accounts.get(0)?.watermarkMs, null);
  assert.equal(store.accounts.get(1)?.watermarkMs, watermarkOf(fleet, 1));
  await stop();
  assert.deepEqual(events.filter(({ level }) => level !== "info"), []);
});

for (const step of ["load", "commit"] as const) {
  for (const isDone of [false, true]) {
    const when = `${step}, ${isDone ? "after it with the answer lost" : "before it"}`;
    Deno.test(`Sink.run() waits for a store that is away at a ${when}, and says so`, async () => {
      const fleet = await judgedFleet();
      const store = new MemorySinkStore();
      let left = 6;
      const error = new StoreAwayError("no answer", { hint: "is it up?" });
      store.faultAt = (at) => at === step && left-- > 0 ? { error, isDone } : null;
      const { sink, said, events, stop } = startSink(fleet, store);
      for (const partition of partitionsOf(fleet)) await untilWritten(fleet, store, partition);
      assert.ok(left <= 0);
      assert.deepEqual(sink.status().map(({ state }) => state), ["running", "running"]);
      if (step === "load") assert.equal(said("database_away").length, 1, "not each try");
      assert.deepEqual(said("database_away")[0].fields, { error: "no answer", hint: "is it up?" });
      assert.equal(said("database_back").length, said("database_away").length);
      assert.deepEqual(events.filter(({ level }) => level === "error"), []);
      await stop();
    });
  }
}

Deno.test("Sink.run() reads a partition again that another has written on, and goes on behind it", async () => {
  const fleet = await judgedFleet();
  const store = new MemorySinkStore();
  const end = fleet.log.ends({ topic: TOPICS.metrics, partition: 1 }).logEndOffset;
  const messages = fleet.log.committed({ topic: TOPICS.metrics, partition: 1 }, 0).entries.length;
  let isMoved = false;
  store.faultAt = (step, partition) => {
    if (step === "commit" && partition === 1 && !isMoved) {
      isMoved = true;
      store.move(TOPICS.metrics, 1, { offset: end, messages });
    }
    return null;
  };
  const { said, stop } = startSink(fleet, store);
  await untilWritten(fleet, store, 0);
  const rest = messagesOf(fleet, 1).filter((row) => !row.startsWith(TOPICS.metrics));
  await untilTrue("the rest is written", () => rowsOf(store, 1).length >= rest.length);
  assert.deepEqual(rowsOf(store, 1), rest);
  assert.deepEqual(said("partition_failed").map(({ level, fields }) => [level, fields.partition]), [
    ["warn", 1],
  ]);
  await stop();
});

/** What breaks an invariant of partition 1 alone. */
const BREAKS: Record<string, {
  break: (fleet: Fleet, store: MemorySinkStore) => void;
  error: RegExp;
  hint?: RegExp;
}> = {
  "its commit is one that the store cannot understand": {
    break: (_, store) => {
      store.faultAt = (step, partition) =>
        step === "commit" && partition === 1 ? { error: new TypeError("a fault of ours") } : null;
    },
    error: /^a fault of ours$/,
  },
  "its account cannot be read": {
    break: ({ log }) => {
      const key = new TextEncoder().encode("task");
      log.put({ topic: TOPICS.changelog, partition: 1 }, { key, value: Uint8Array.of(200) });
    },
    error: /^state of version 200 cannot be read/,
  },
  "messages were deleted before they were written": {
    break: ({ log }, store) => {
      store.move(TOPICS.validated, 1, { offset: 0, messages: 0 });
      log.deleteBefore({ topic: TOPICS.validated, partition: 1 }, 10);
    },
    error: /^offset 0 is not there: messages were deleted before they were written, or the topic/,
    hint: /set next_offset of that topic in the table sink_positions/,
  },
};

for (const [name, { break: breakIt, error, hint }] of Object.entries(BREAKS)) {
  Deno.test(`Sink.run() stops a partition when ${name}, loudly, and the other goes on`, async () => {
    const fleet = await judgedFleet();
    const store = new MemorySinkStore();
    breakIt(fleet, store);
    const { sink, client, events, stop } = startSink(fleet, store);
    await untilWritten(fleet, store, 0);
    await untilTrue("it is said", () => events.some(({ level }) => level === "error"));
    const { steps } = client;
    fleet.clock.advance(3_600_000);
    await untilTrue("time goes on", () => client.steps > steps + 100);
    const states = sink.status().map(({ partition, state }) => [partition, state]);
    assert.deepEqual(states.sort(), [[0, "running"], [1, "stopped"]]);
    const loud = events.filter(({ level }) => level !== "info");
    assert.equal(loud.length, 1, "it is said once, and not tried again");
    const [{ level, event, fields }] = loud;
    assert.deepEqual([level, event], ["error", "partition_stopped"]);
    assert.deepEqual([fields.partition, fields.why], [1, "broken"]);
    assert.match(String(fields.error), error);
    if (hint !== undefined) assert.match(String(fields.hint), hint);
    await stop();
    assert.deepEqual(sink.status(), []);
  });
}
