/** Rung 3: whichever I/O step fails, and however, the run that goes on says what it would have said. */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { DISPOSITIONS, ledgerDifference, sumLedgers } from "../../src/core/ledger.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import { FencedError } from "../../src/engine/ports.ts";
import { Task } from "../../src/engine/task.ts";
import { createRandom } from "../../src/generate/random.ts";
import {
  FAULT_KINDS,
  type Faults,
  FaultyStore,
  isStoreFailure,
  StoreFault,
} from "../simulation/faulty_store.ts";
import { fleetStream } from "../simulation/fleet_stream.ts";
import { coreOptions } from "../simulation/fold.ts";
import {
  answerOf,
  assertSameAnswer,
  foldLog,
  openTasks,
  pipelineOptions,
  stateLines,
  toChunk,
  toChunks,
  toLogs,
} from "../simulation/playback.ts";
import { MIXED_SETTINGS } from "../simulation/settings.ts";

const SEED = 3;
const PARTITIONS = 3;
const RECORDS = 330;
const ATTEMPTS_MAX = 1000;
/** Small, so that the changelog is folded into a snapshot every few commits. */
const CHANGELOG_BYTES_MIN = 2000;

const records = fleetStream(createRandom(SEED), {
  settings: MIXED_SETTINGS,
  partitionCount: PARTITIONS,
  meterCount: 9,
  recordsMax: RECORDS,
});
const options: ProcessorOptions[] = Array.from(
  { length: PARTITIONS },
  (_, partition) => coreOptions(MIXED_SETTINGS, partition),
);

/** Plays all records to the end, with a new set of tasks after each failure of the store. */
async function playToTheEnd(store: FaultyStore): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    try {
      const tasks = await openTasks(options, store, CHANGELOG_BYTES_MIN);
      const pipeline = pipelineOptions(PARTITIONS, { endsAfterMs: MIXED_SETTINGS.gapGraceMs });
      assert.equal(await playRecords(toChunks(records, 25), tasks, store, pipeline), true);
      return attempt;
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
    }
  }
  assert.fail(`not done after ${ATTEMPTS_MAX} attempts`);
}

/** One run with these faults; its answer must be the undisturbed run's. */
async function playWithFaults(
  faultAt: Faults["faultAt"],
  context: string,
): Promise<{ attempts: number; steps: number }> {
  const store = new FaultyStore(new MemoryStore(), { faultAt });
  const attempts = await playToTheEnd(store);
  assertSameAnswer(await answerOf(store.inner, options), (await undisturbed()).answer, context);
  return { attempts, steps: store.steps };
}

let known: { answer: string[]; steps: number; store: MemoryStore } | null = null;

async function undisturbed() {
  if (known !== null) return known;
  const store = new FaultyStore(new MemoryStore(), { faultAt: () => null });
  assert.equal(await playToTheEnd(store), 1);
  const answer = await answerOf(store.inner, options);
  return known = { answer, steps: store.steps, store: store.inner };
}

Deno.test("the stream of the crash tests has every disposition, gap state and a compaction", async () => {
  const { store, answer } = await undisturbed();
  const partitions = [...store.partitions.values()];
  const ledger = sumLedgers(partitions.map((p) => p.ledger));
  for (const disposition of DISPOSITIONS) assert.ok(ledger[disposition] > 0, disposition);
  assert.equal(ledgerDifference(ledger), 0);
  const states = new Set(partitions.flatMap((p) => p.outputs.gaps.map((gap) => gap.state)));
  assert.deepEqual([...states].sort(), ["CLOSED", "EXPIRED", "FILLED", "OPEN"]);
  const commits = Math.ceil(RECORDS / 16);
  assert.ok(partitions.every((p) => p.changelog.length < commits), "nothing was compacted");
  assert.ok(answer.length > RECORDS);
});

for (const kind of FAULT_KINDS) {
  Deno.test(`playRecords() resumes to the same answer whichever I/O step fails: ${kind}`, async () => {
    const { steps } = await undisturbed();
    assert.ok(steps > 60);
    for (let at = 0; at < steps; at++) {
      const { attempts } = await playWithFaults(
        (step) => step === at ? kind : null,
        `fault ${kind} at step ${at}, seed ${SEED}`,
      );
      assert.equal(attempts, 2, `step ${at}`);
    }
  });
}

Deno.test("playRecords() resumes to the same answer when restoring fails, too", async () => {
  for (const first of [15, 30, 45]) {
    for (let after = 1; after <= 25; after++) {
      const kind = FAULT_KINDS[after % FAULT_KINDS.length];
      const { attempts, steps } = await playWithFaults(
        (step) => step === first ? "after" : step === first + after ? kind : null,
        `faults at steps ${first} and ${first + after}, seed ${SEED}`,
      );
      assert.equal(attempts, steps > first + after ? 3 : 2);
    }
  }
});

Deno.test("playRecords() gets to the end although every few commits fail", async () => {
  for (const period of [2, 3, 5]) {
    let commits = 0;
    const { attempts } = await playWithFaults(
      (step, operation) =>
        operation === "commit" && ++commits % period === 0 ? FAULT_KINDS[step % 3] : null,
      `a fault every ${period} commits, seed ${SEED}`,
    );
    assert.equal(attempts - 1, Math.floor(commits / period));
    assert.ok(attempts > 10, `${attempts} attempts`);
  }
});

Deno.test("playRecords() resumes to the same answer after its record source failed", async () => {
  for (const failsAt of [0, 100, 329]) {
    const store = new MemoryStore();
    const tasks = await openTasks(options, store, CHANGELOG_BYTES_MIN);
    const broken = async function* () {
      yield* toChunks(records.slice(0, failsAt), 7);
      throw new RangeError("the file ends in the middle of a row");
    };
    const played = playRecords(broken(), tasks, store, pipelineOptions(PARTITIONS));
    await assert.rejects(played, RangeError);
    await playToTheEnd(new FaultyStore(store, { faultAt: () => null }));
    const { answer } = await undisturbed();
    assertSameAnswer(await answerOf(store, options), answer, `source failed at ${failsAt}`);
  }
});

Deno.test("Task restored from the store has the state of the one that went on", async () => {
  const store = new MemoryStore();
  const live = await openTasks(options, store, CHANGELOG_BYTES_MIN);
  for (let at = 0; at < RECORDS; at += 10) {
    const chunk = records.slice(0, at + 10);
    await playRecords(toChunks(chunk), live, store, pipelineOptions(PARTITIONS));
    const reopened = await openTasks(options, store);
    reopened.forEach((task, p) => {
      const context = `partition ${p} after ${at + 10} records, seed ${SEED}`;
      assertSameAnswer(stateLines(task.processor), stateLines(live[p].processor), context);
      assert.deepEqual(task.processor.state, live[p].processor.state, context);
      assert.equal(task.processor.watermarkMs, live[p].processor.watermarkMs, context);
    });
  }
});

Deno.test("Task restored from the store keeps apart ids that differ by a byte order mark", async () => {
  const store = new MemoryStore();
  const live = await Task.open(options[0], store);
  const readings = ["M2", "M\ufeff2"].map((id, r) => ({
    partition: 0,
    text: JSON.stringify({ meter_id: id, timestamp: "2024-01-01T00:00:00Z", consumption_kwh: r }),
  }));
  foldLog(live, toLogs(readings, 1)[0]);
  await store.commit(live.takeCommit()!);
  const restored = await Task.open(options[0], store);
  assert.equal(restored.processor.meters.count, 2);
  assertSameAnswer(stateLines(restored.processor), stateLines(live.processor), "restored");
});

/** A task of partition 0 and the records of that partition, up to `count`. */
function foldFrom(task: Task, count: number): void {
  const log = records.filter(({ partition }) => partition === 0 || partition === -1);
  const { bytes, ends } = toChunk(log.slice(0, count));
  for (let r = task.nextOffset; r < Math.min(count, log.length); r++) {
    const start = r === 0 ? 0 : ends[r - 1];
    const offset = task.nextOffset;
    task.fold({ bytes, start, end: ends[r], offset, timeMs: NaN, replayStartMs: NaN });
  }
}

Deno.test("a task whose partition another has committed since is fenced, and nothing of it shows", async () => {
  for (const openedAt of [0, 30]) {
    const store = new MemoryStore();
    const first = await Task.open(options[0], store);
    foldFrom(first, openedAt);
    const commit = first.takeCommit();
    if (commit !== null) await store.commit(commit);
    const [zombie, owner] = [
      await Task.open(options[0], store),
      await Task.open(options[0], store),
    ];
    foldFrom(zombie, openedAt + 25);
    foldFrom(owner, openedAt + 20);
    const ownerCommit = owner.takeCommit()!;
    await store.commit(ownerCommit);
    const before = await answerOf(store, options.slice(0, 1));
    await assert.rejects(store.commit(zombie.takeCommit()!), FencedError);
    foldFrom(zombie, openedAt + 40);
    await assert.rejects(store.commit(zombie.takeCommit()!), FencedError, "tries again");
    await assert.rejects(store.commit(ownerCommit), FencedError, "the same commit again");
    assertSameAnswer(await answerOf(store, options.slice(0, 1)), before, "after the zombie");
    foldFrom(owner, openedAt + 45);
    await store.commit(owner.takeCommit()!);

    const straight = new MemoryStore();
    const task = await Task.open(options[0], straight);
    foldFrom(task, openedAt + 45);
    await straight.commit(task.takeCommit()!);
    assertSameAnswer(
      await answerOf(store, options.slice(0, 1), "none"),
      await answerOf(straight, options.slice(0, 1), "none"),
      "the owner went on",
    );
  }
});

Deno.test("a task restored while the old owner was still committing is fenced", async () => {
  const store = new MemoryStore();
  const old = await Task.open(options[0], store, { changelogBytesMin: 0 });
  foldFrom(old, 40);
  await store.commit(old.takeCommit()!);
  let turns = 0;
  const torn = new FaultyStore(store, {
    faultAt: () => null,
    pause: async () => {
      if (++turns !== 2) return; // once the position is read, before the changelog is
      foldFrom(old, 60);
      await store.commit(old.takeCommit()!);
    },
  });
  const task = await Task.open(options[0], torn);
  assert.equal(task.nextOffset, 40);
  const before = await answerOf(store, options.slice(0, 1));
  foldFrom(task, 70);
  await assert.rejects(torn.commit(task.takeCommit()!), FencedError);
  assertSameAnswer(await answerOf(store, options.slice(0, 1)), before, "after the torn restore");
});

Deno.test("playRecords() reports a store that fails at the last commit, and only then is done", async () => {
  const { steps } = await undisturbed();
  for (const kind of FAULT_KINDS) {
    const inner = new MemoryStore();
    const store = new FaultyStore(inner, { faultAt: (step) => step === steps - 1 ? kind : null });
    const tasks = await openTasks(options, store, CHANGELOG_BYTES_MIN);
    const pipeline = pipelineOptions(PARTITIONS, { endsAfterMs: MIXED_SETTINGS.gapGraceMs });
    const played = playRecords(toChunks(records, 25), tasks, store, pipeline);
    await assert.rejects(played, kind === "fenced" ? FencedError : StoreFault);
  }
});
