/**
 * Rung 4: everything drawn from one seed: options, fleet, stream, commits, compactions, workers
 * that take partitions from each other, stores that fail. After so many steps the world heals, and
 * then it must converge to what an undisturbed fold of the same records says.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { ledgerDifference, sumLedgers } from "../../src/core/ledger.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import { type Commit, FencedError } from "../../src/engine/ports.ts";
import { Task } from "../../src/engine/task.ts";
import { randomInteger, randomLogUniform } from "../../src/generate/random.ts";
import { FAULT_KINDS, FaultyStore, isStoreFailure } from "./faulty_store.ts";
import {
  fakeClock,
  foldLog,
  indexOf,
  type LogRecord,
  openTasks,
  pipelineOptions,
  toChunks,
} from "./playback.ts";
import { expectAnswer } from "./expectation.ts";
import { newScenario, type Scenario } from "./scenario.ts";

/** What a seed turned out to be. */
export type SwarmReport = {
  readonly seed: number;
  readonly mode: "pipeline" | "workers";
  readonly partitions: number;
  readonly records: number;
  /** I/O steps, or steps of the scheduler. */
  readonly steps: number;
  /** How often a task was lost: to a crash, a failure, or another owner. */
  readonly lost: number;
  /** The share of all records committed before the world healed. */
  readonly committed: number;
  /** Commits that folded the changelog into a snapshot. */
  readonly compactions: number;
};

const SLOTS_MAX = 4;
/** Once healed, a partition is folded and committed to its end in so many steps at most. */
const HEALED_STEPS_MAX = 200_000;

/** Runs one seed; rejects with an `AssertionError` when the world does not converge. */
export async function runSwarm(seed: number, stepsMax: number | null): Promise<SwarmReport> {
  const scenario = newScenario(seed, stepsMax);
  const { isPipeline } = scenario;
  const expectation = await expectAnswer(scenario);
  const store = new CountingStore(expectation.logs);
  const run = isPipeline ? runPipeline : runWorkers;
  const outcome = await run(scenario, store, expectation.logs);
  await expectation.check(store);
  return {
    seed,
    mode: isPipeline ? "pipeline" : "workers",
    partitions: scenario.options.length,
    records: scenario.records.length,
    ...outcome,
    compactions: store.compactions,
  };
}

/** Checks the account of every commit, and counts the compacting ones. */
class CountingStore extends MemoryStore {
  readonly #logs: readonly (readonly LogRecord[])[];
  compactions = 0;

  constructor(logs: readonly (readonly LogRecord[])[]) {
    super();
    this.#logs = logs;
  }

  override async commit(commit: Commit): Promise<void> {
    await super.commit(commit);
    const { partition, nextOffset, ledger } = commit;
    assert.equal(ledgerDifference(ledger), 0, "a commit does not balance");
    const records = indexOf(this.#logs[partition], nextOffset);
    assert.equal(ledger.raw, records, "a commit misses records, or has them twice");
    if (commit.compacts) this.compactions++;
  }

  /** The share of the logs that is committed. */
  get share(): number {
    const { raw } = sumLedgers([...this.partitions.values()].map(({ ledger }) => ledger));
    return raw / Math.max(1, this.#logs.reduce((sum, log) => sum + log.length, 0));
  }
}

type Outcome = Pick<SwarmReport, "steps" | "lost" | "committed">;

/** One process that plays all partitions, fails or is stopped, and starts again. */
async function runPipeline(scenario: Scenario, inner: CountingStore): Promise<Outcome> {
  const { random, options, records, settings, stepsMax, faultProbability } = scenario;
  const isHealed = (): boolean => store.steps >= stepsMax;
  const store: FaultyStore = new FaultyStore(inner, {
    faultAt: () =>
      !isHealed() && random() < faultProbability ? FAULT_KINDS[randomInteger(random, 0, 2)] : null,
  });
  for (let lost = 0;; lost++) {
    const wasHealed = isHealed();
    const committed = inner.share;
    const stopsAfter = !wasHealed && random() < 0.5 ? random() * records.length : Infinity;
    let looks = 0;
    const signal = {
      get aborted() {
        return ++looks > stopsAfter;
      },
    };
    try {
      const tasks = await openTasks(options, store, scenario.changelogBytesMin);
      const pipeline = pipelineOptions(options.length, {
        commitRecordsMax: Math.round(randomLogUniform(random, 1, 500)),
        ratePerSecond: random() < 0.2 ? 100 : Infinity,
        endsAfterMs: settings.gapGraceMs,
        clock: fakeClock(),
        signal: signal as AbortSignal,
      });
      const chunks = toChunks(records, Math.round(randomLogUniform(random, 1, 1000)));
      if (await playRecords(chunks, tasks, store, pipeline)) {
        return { steps: store.steps, lost, committed };
      }
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
    }
    assert.ok(!wasHealed, "not done in one attempt although nothing failed any more");
  }
}

/** A worker's task of a partition. Several of one partition: all but the newest are zombies. */
type Slot = {
  readonly partition: number;
  task: Task | null;
  isCommitting: boolean;
  isLost: boolean;
};

/** Workers, and the I/O they wait for: each pause within it ends when the scheduler says so. */
class Cluster {
  readonly #scenario: Scenario;
  readonly #logs: readonly (readonly LogRecord[])[];
  readonly #store: FaultyStore;
  #slots: Slot[] = [];
  readonly #parked: (() => void)[] = [];
  #isHealed = false;
  #failure: unknown = null;
  lost = 0;
  steps = 0;

  constructor(scenario: Scenario, inner: MemoryStore, logs: readonly (readonly LogRecord[])[]) {
    this.#scenario = scenario;
    this.#logs = logs;
    const { random, faultProbability } = scenario;
    this.#store = new FaultyStore(inner, {
      faultAt: () =>
        !this.#isHealed && random() < faultProbability
          ? FAULT_KINDS[randomInteger(random, 0, 2)]
          : null,
      pause: () =>
        this.#isHealed ? Promise.resolve() : new Promise((resolve) => this.#parked.push(resolve)),
    });
    this.#adopt();
  }

  /** One step of the scheduler, and all that follows from it until everybody waits again. */
  async step(): Promise<void> {
    const { random, rebalanceProbability } = this.#scenario;
    const draw = random();
    const live = this.#slots.filter(({ task }) => task !== null);
    const slot = live[randomInteger(random, 0, live.length - 1)] as Slot | undefined;
    if (draw < rebalanceProbability) this.#open(randomInteger(random, 0, this.#logs.length - 1));
    else if (draw < 0.6) this.#release(randomInteger(random, 0, this.#parked.length - 1));
    else if (slot === undefined) this.#release(0);
    else if (draw < 0.8) this.#fold(slot);
    else if (draw < 0.995) this.#commit(slot);
    else this.#lose(slot);
    this.#adopt();
    this.steps++;
    await this.#settle();
  }

  /** Ends all disturbances. New owners go on to the end of each log; then the old ones try. */
  async heal(): Promise<void> {
    this.#isHealed = true;
    while (this.#parked.length > 0) this.#release(0);
    await this.#settle();
    const zombies = this.#slots;
    this.#slots = [];
    for (let partition = 0; partition < this.#logs.length; partition++) {
      const owner = this.#open(partition);
      await this.#settle();
      let steps = 0;
      while (owner.task !== null && !this.#isAtEnd(owner.task)) {
        assert.ok(++steps < HEALED_STEPS_MAX, "not done within the step budget");
        this.#fold(owner);
        this.#commit(owner);
        await this.#settle();
      }
      assert.ok(!owner.isLost, `the owner of partition ${partition} is lost although all is well`);
    }
    for (const { task, isLost } of zombies) {
      const commit = isLost ? null : task?.takeCommit() ?? null;
      if (commit !== null) await assert.rejects(this.#store.commit(commit), FencedError);
    }
  }

  /** A partition that nobody has is taken by some worker. */
  #adopt(): void {
    for (let partition = 0; partition < this.#logs.length; partition++) {
      if (!this.#slots.some((slot) => slot.partition === partition)) this.#open(partition);
    }
  }

  #isAtEnd({ partition, nextOffset }: Task): boolean {
    const log = this.#logs[partition];
    return indexOf(log, nextOffset) === log.length;
  }

  #open(partition: number): Slot {
    const slot: Slot = { partition, task: null, isCommitting: false, isLost: false };
    const older = this.#slots.filter((other) => other.partition === partition);
    if (older.length >= SLOTS_MAX) this.#lose(older[0]);
    this.#slots.push(slot);
    const { options, changelogBytesMin } = this.#scenario;
    Task.open(options[partition], this.#store, { changelogBytesMin }).then((task) => {
      if (!slot.isLost) slot.task = task;
    }).catch((error) => this.#fail(slot, error));
    return slot;
  }

  #fold({ task, partition }: Slot): void {
    if (task === null) return;
    const log = this.#logs[partition];
    const at = indexOf(log, task.nextOffset);
    const count = Math.round(randomLogUniform(this.#scenario.random, 1, 100));
    foldLog(task, log.slice(at, at + count));
  }

  #commit(slot: Slot): void {
    if (slot.isCommitting) return;
    const commit = slot.task?.takeCommit() ?? null;
    if (commit === null) return;
    slot.isCommitting = true;
    this.#store.commit(commit).then(() => {
      slot.isCommitting = false;
    }).catch((error) => this.#fail(slot, error));
  }

  /** The worker is gone; what it has asked of the store may still happen. */
  #lose(slot: Slot): void {
    slot.isLost = true;
    slot.task = null;
    this.#slots = this.#slots.filter((other) => other !== slot);
    this.lost++;
  }

  #fail(slot: Slot, error: unknown): void {
    if (!isStoreFailure(error)) this.#failure ??= error;
    else if (!slot.isLost) this.#lose(slot);
  }

  #release(at: number): void {
    this.#parked.splice(at, 1)[0]?.();
  }

  async #settle(): Promise<void> {
    await setImmediate();
    if (this.#failure !== null) throw this.#failure;
  }
}

async function runWorkers(
  scenario: Scenario,
  inner: CountingStore,
  logs: readonly (readonly LogRecord[])[],
): Promise<Outcome> {
  const cluster = new Cluster(scenario, inner, logs);
  while (cluster.steps < scenario.stepsMax) await cluster.step();
  const { steps, lost } = cluster;
  const committed = inner.share;
  await cluster.heal();
  return { steps, lost, committed };
}
