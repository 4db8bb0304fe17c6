/**
 * Rung 4: everything drawn from one seed: options, fleet, stream, commits, compactions, workers
 * that take partitions from each other, stores that fail. After so many steps the world heals, and
 * then it must converge to what an undisturbed fold of the same records says.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { MemoryStore } from "../../src/adapters/memory_store.ts";
import { ledgerDifference } from "../../src/core/ledger.ts";
import { partitionOf } from "../../src/core/partitioner.ts";
import { newParsedRecord, parseRecord } from "../../src/core/reading.ts";
import { UTC_ZONE } from "../../src/core/time.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import { type Commit, FencedError } from "../../src/engine/ports.ts";
import { Task } from "../../src/engine/task.ts";
import {
  createRandom,
  type Random,
  randomInteger,
  randomLogUniform,
} from "../../src/formats/random.ts";
import { optionsArbitrary, streamArbitrary } from "./arbitraries.ts";
import { FAULT_KINDS, FaultyStore, isStoreFailure } from "./faulty_store.ts";
import { fleetStream } from "./fleet_stream.ts";
import { coreOptions } from "./fold.ts";
import { oracle, type OracleOptions } from "./oracle.ts";
import {
  fakeClock,
  foldLog,
  indexOf,
  type LogRecord,
  openTasks,
  pipelineOptions,
  type RawRecord,
  toChunks,
  toLogs,
} from "./playback.ts";
import { expectAnswer } from "./expectation.ts";

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

export type Scenario = {
  readonly seed: number;
  /** One process that plays all partitions, or workers that share them. */
  readonly isPipeline: boolean;
  readonly random: Random;
  readonly settings: OracleOptions;
  readonly options: readonly ProcessorOptions[];
  readonly records: readonly RawRecord[];
  /** Disturbances end after so many steps. */
  readonly stepsMax: number;
  readonly changelogBytesMin: number;
  /** How likely an I/O step fails. */
  readonly faultProbability: number;
  /** How likely, at a step of the scheduler, a partition is given to another worker. */
  readonly rebalanceProbability: number;
};

const PARTITIONS_MAX = 6;
const METERS_MAX = 50;
const RECORDS_MAX = 3000;
const STEPS_MAX = 3000;
const SLOTS_MAX = 4;
/** Once healed, a partition is folded and committed to its end in so many steps at most. */
const HEALED_STEPS_MAX = 200_000;

/** Runs one seed; rejects with an `AssertionError` when the world does not converge. */
export async function runSwarm(seed: number, stepsMax: number | null): Promise<SwarmReport> {
  const scenario = newScenario(seed, stepsMax);
  const { isPipeline } = scenario;
  const expectation = await expectAnswer(scenario);
  const store = new CountingStore();
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
  compactions = 0;
  #raw = 0;

  override async commit(commit: Commit): Promise<void> {
    const before = this.partitions.get(commit.partition)?.nextOffset ?? 0;
    await super.commit(commit);
    assert.equal(ledgerDifference(commit.ledger), 0, "a commit does not balance");
    assert.equal(commit.ledger.raw, commit.nextOffset, "a commit misses records");
    this.#raw += commit.nextOffset - before;
    if (commit.compacts) this.compactions++;
  }

  /** The share of these logs that is committed. */
  share(logs: readonly (readonly LogRecord[])[]): number {
    return this.#raw / Math.max(1, logs.reduce((sum, log) => sum + log.length, 0));
  }
}

function newScenario(seed: number, stepsMax: number | null): Scenario {
  const random = createRandom(seed);
  const [settings] = fc.sample(optionsArbitrary, { seed, numRuns: 1 });
  const partitionCount = randomInteger(random, 1, PARTITIONS_MAX);
  const records = random() < 0.25
    ? edgeRecords(seed, settings, partitionCount)
    : fleetStream(random, {
      settings,
      partitionCount,
      meterCount: randomInteger(random, 1, METERS_MAX),
      recordsMax: Math.round(randomLogUniform(random, 50, RECORDS_MAX)),
    });
  const isPipeline = random() < 0.4;
  return {
    seed,
    isPipeline,
    random,
    settings,
    options: Array.from({ length: partitionCount }, (_, p) => coreOptions(settings, p)),
    records: isPipeline || random() < 0.5
      ? records
      : records.map((record) => timed(random, record)),
    stepsMax: stepsMax ?? Math.round(randomLogUniform(random, 50, STEPS_MAX)),
    changelogBytesMin: [0, 300, 3000, 1 << 22][randomInteger(random, 0, 3)],
    faultProbability: [0, 0.005, 0.02, 0.1][randomInteger(random, 0, 3)],
    rebalanceProbability: [0.003, 0.01, 0.05][randomInteger(random, 0, 2)],
  };
}

const encoder = new TextEncoder();

/** A short stream at the edges of the options, as the oracle's own tests have it. */
function edgeRecords(
  seed: number,
  settings: OracleOptions,
  partitionCount: number,
): RawRecord[] {
  const [texts] = fc.sample(streamArbitrary(settings), { seed, numRuns: 1 });
  const { dispositions } = oracle(texts, null, settings);
  return texts.map((text, r) => {
    const { disposition, meterId } = dispositions[r];
    const key = encoder.encode(meterId ?? String(r));
    return { partition: disposition === "tick" ? -1 : partitionOf(key, partitionCount), text };
  });
}

const parsed = newParsedRecord();

/**
 * A record with a time of its log, mostly near its own. Ticks are never ahead of it: one that is
 * gets rejected with the value of the reading before it, see suspect_test.ts.
 */
function timed(random: Random, record: RawRecord): RawRecord {
  const bytes = encoder.encode(record.text);
  parseRecord(bytes, 0, bytes.length, UTC_ZONE, parsed);
  const { kind, timestampMs } = parsed;
  const draw = random();
  if (draw < 0.2 || Number.isNaN(timestampMs)) return record;
  const aheadMs = kind === "reading" && draw < 0.25 ? 31 * 86_400_000 : 0;
  return { ...record, timeMs: timestampMs - aheadMs + randomInteger(random, 0, 300_000) };
}

type Outcome = Pick<SwarmReport, "steps" | "lost" | "committed">;

/** One process that plays all partitions, fails or is stopped, and starts again. */
async function runPipeline(
  scenario: Scenario,
  inner: CountingStore,
  logs: readonly (readonly LogRecord[])[],
): Promise<Outcome> {
  const { random, options, records, settings, stepsMax, faultProbability } = scenario;
  const isHealed = (): boolean => store.steps >= stepsMax;
  const store: FaultyStore = new FaultyStore(inner, {
    faultAt: () =>
      !isHealed() && random() < faultProbability ? FAULT_KINDS[randomInteger(random, 0, 2)] : null,
  });
  for (let lost = 0;; lost++) {
    const wasHealed = isHealed();
    const committed = inner.share(logs);
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
  const committed = inner.share(logs);
  await cluster.heal();
  return { steps, lost, committed };
}
