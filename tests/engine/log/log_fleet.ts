import { decodeTask, encodeTask } from "../../../src/core/codec.ts";
import type { ProcessorOptions } from "../../../src/core/options.ts";
import { Processor } from "../../../src/core/processor.ts";
import type { TaskState } from "../../../src/core/task_state.ts";
import type { LogRecords } from "../../../src/engine/log/ports.ts";
import { outputRecords, topicNames } from "../../../src/engine/log/records.ts";
import { verifyPartition } from "../../../src/engine/verify/partition.ts";
import type { Judging } from "../../../src/engine/log/judging.ts";
import { LogStore } from "../../../src/engine/log/store.ts";
import { Task } from "../../../src/engine/task.ts";
import type { WorkerEvent } from "../../../src/engine/event.ts";
import { Worker } from "../../../src/engine/log/worker.ts";
import { createRandom } from "../../../src/generate/random.ts";
import { fleetStream } from "../../simulation/fleet_stream.ts";
import { coreOptions, rawOf } from "../../simulation/fold.ts";
import type { OracleOptions } from "../../specification/oracle.ts";
import { metricSums, stateLines, toLogs } from "../../simulation/playback.ts";
import { MemoryClient, type StepFault } from "./memory_client.ts";
import { MemoryGroup } from "./memory_group.ts";
import { MemoryClock, MemoryLog, textOf } from "./memory_log.ts";
import { MIXED_SETTINGS } from "../../simulation/settings.ts";

/** A fleet's raw topic in a memory log, processes that work on it, and what must come of it. */

export const TOPICS = topicNames("t_");
export const GROUP = "workers";
/** Small, so that the changelog is folded into a snapshot every few commits. */
const CHANGELOG_BYTES_MIN = 800;
/** Small, so that ticks are folded in parts. */
const PART_METERS_MAX = 2;

export type Fleet = {
  readonly log: MemoryLog;
  readonly clock: MemoryClock;
  readonly group: MemoryGroup;
  readonly partitions: number;
  readonly options: (partition: number) => ProcessorOptions;
  /** What its readings are judged by; a test of settings that change sets others. */
  judging: Judging;
};

export type Process = {
  readonly client: MemoryClient;
  readonly worker: Worker;
  readonly events: WorkerEvent[];
  /** Resolves when its run has ended; never, when it dies. */
  readonly done: Promise<void>;
  /** SIGTERM. */
  stop(): void;
};

/** An empty log with a group. */
export function emptyFleet(partitions: number, changes: Partial<OracleOptions> = {}): Fleet {
  return {
    log: new MemoryLog(),
    clock: new MemoryClock(),
    group: new MemoryGroup(partitions),
    partitions,
    options: (partition) => coreOptions({ ...MIXED_SETTINGS, ...changes }, partition),
    judging: { hash: "0", values: { grace_period_seconds: "900" } },
  };
}

/** A raw topic with every kind of record, tombstone and hole in it. */
export function filledFleet(
  { seed, partitions, records }: { seed: number; partitions: number; records: number },
): Fleet {
  const fleet = emptyFleet(partitions);
  const stream = fleetStream(createRandom(seed), {
    settings: MIXED_SETTINGS,
    partitionCount: partitions,
    meterCount: 3 * partitions,
    recordsMax: records,
  });
  toLogs(stream, partitions).forEach((texts, partition) => {
    const epoch = fleet.log.takeOver(`replay-${partition}`);
    const owner = { id: `replay-${partition}`, epoch };
    for (let at = 0; at < texts.length; at += 20) {
      const run = texts.slice(at, at + 20);
      if (at % 60 === 0) {
        fleet.log.append(runOf(partition, run.slice(0, 2)), owner);
        fleet.log.end(owner, "aborted");
      }
      fleet.log.append(runOf(partition, run), owner);
      fleet.log.end(owner, "committed");
    }
  });
  return fleet;
}

/** Appends records to a partition of the raw topic, in a transaction. */
export function appendRaw(
  { log }: Fleet,
  partition: number,
  texts: readonly { readonly text: string; readonly timeMs: number }[],
): void {
  const owner = { id: "producer", epoch: log.takeOver("producer") };
  log.append(runOf(partition, texts), owner);
  log.end(owner, "committed");
}

function runOf(
  partition: number,
  texts: readonly { readonly text: string; readonly timeMs: number }[],
): LogRecords {
  const encoder = new TextEncoder();
  const values = texts.map(({ text }) => encoder.encode(text));
  let end = 0;
  const valueEnds = values.map(({ length }) => end += length);
  const all = new Uint8Array(end);
  values.forEach((value, r) => all.set(value, valueEnds[r] - value.length));
  return {
    ...{ topic: TOPICS.raw, partition, count: texts.length, values: all, valueEnds },
    ...{ keys: null, keyEnds: null, origins: null },
    timesMs: Float64Array.from(texts, ({ timeMs }) => timeMs),
  };
}

export type ProcessOptions = {
  readonly faultAt?: (step: number, operation: string) => StepFault | null;
  readonly turns?: () => number;
  readonly idleTimeoutMs?: number;
};

/** Starts a process that works on the fleet's raw topic. */
export function startProcess(fleet: Fleet, options: ProcessOptions = {}): Process {
  const { log, clock, group } = fleet;
  const client = new MemoryClient(log, {
    ...{ clock, group, batchRecordsMax: 7 },
    faultAt: options.faultAt ?? (() => null),
    turns: options.turns ?? (() => 1),
  });
  const controller = new AbortController();
  const events: WorkerEvent[] = [];
  const worker = new Worker(client.workerLog(GROUP), {
    topics: TOPICS,
    group: GROUP,
    judging: fleet.judging,
    processorOptions: fleet.options,
    commitRecordsMax: 16,
    commitIntervalMs: 100,
    commitIntervalBehindMs: 500,
    idleTimeoutMs: options.idleTimeoutMs ?? 0,
    changelogBytesMin: CHANGELOG_BYTES_MIN,
    partMetersMax: PART_METERS_MAX,
    clock,
    random: () => 1,
    signal: controller.signal,
    onEvent: (event) => void events.push(event),
  });
  const done = worker.run();
  done.catch(() => {}); // whoever waits for it hears it
  return { client, worker, events, done, stop: () => controller.abort() };
}

/** Gives the others their turn until `check` holds; nothing here waits for real time. */
export async function untilTrue(what: string, check: () => boolean): Promise<void> {
  for (let checks = 0; !check(); checks++) {
    if (checks > CHECKS_MAX) throw new Error(`not within ${CHECKS_MAX} checks: ${what}`);
    for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
  }
}

const CHECKS_MAX = 50_000;
const TURNS = 64;

/** What the owner of a partition committed last. */
export function committedTask({ log }: Fleet, partition: number): TaskState | null {
  const { entries } = log.committed({ topic: TOPICS.changelog, partition }, 0);
  const task = entries.findLast(({ key }) => textOf(key) === "task")?.value ?? null;
  return task === null ? null : decodeTask(task);
}

/** Whether every raw record has been judged and that is committed. */
export function isDone(fleet: Fleet): boolean {
  return partitionsOf(fleet).every((partition) => {
    const last = fleet.log.committed({ topic: TOPICS.raw, partition }, 0).entries.at(-1);
    return (committedTask(fleet, partition)?.nextOffset ?? 0) === (last?.offset ?? -1) + 1;
  });
}

export function partitionsOf({ partitions }: Fleet): number[] {
  return Array.from({ length: partitions }, (_, partition) => partition);
}

/** All that the log holds of the outputs, a line a record, and the state as it is restored. */
export async function foundLines(fleet: Fleet): Promise<string[]> {
  const lines: string[] = [];
  for (const partition of partitionsOf(fleet)) {
    for (const topic of [...COMPARED, TOPICS.metrics]) {
      const { entries } = fleet.log.committed({ topic, partition }, 0);
      if (topic === TOPICS.metrics) {
        lines.push(metricsLine(partition, entries.map(({ value }) => textOf(value))));
        continue;
      }
      for (const { origin, key, value } of entries) {
        const from = `${origin?.partition}/${origin?.offset}/${origin?.index}`;
        lines.push(`${topic} ${from} ${textOf(key)} ${textOf(value)}`);
      }
    }
    const { processor } = await restoreTask(fleet, partition);
    lines.push(...stateOf(partition, processor));
  }
  return lines;
}

function stateOf(partition: number, processor: Processor): string[] {
  const state = JSON.stringify(decodeTask(encodeTask(processor)));
  return [`${partition} ${state}`, ...stateLines(processor)];
}

const COMPARED = [
  ...[TOPICS.validated, TOPICS.gapAlerts, TOPICS.lateEvents, TOPICS.rejected, TOPICS.validation],
];

/** What the raw topic says that must be. */
export function expectedLines(fleet: Fleet): string[] {
  const lines: string[] = [];
  for (const partition of partitionsOf(fleet)) {
    const processor = new Processor(fleet.options(partition));
    for (const entry of fleet.log.committed({ topic: TOPICS.raw, partition }, 0).entries) {
      processor.record(rawOf(entry.value ?? "", entry.offset, entry.timeMs));
    }
    const outputs = processor.takeOutputs();
    const topics = TOPICS;
    const records = outputRecords(outputs, { topics, partition, nowMs: 0 });
    for (const topic of COMPARED) {
      for (const run of records.filter((run) => run.topic === topic)) lines.push(...linesOf(run));
    }
    const metrics = records.filter(({ topic }) => topic === TOPICS.metrics);
    lines.push(metricsLine(partition, metrics.flatMap((run) => valuesOf(run))));
    lines.push(...stateOf(partition, processor));
  }
  return lines;
}

function linesOf(run: LogRecords): string[] {
  const values = valuesOf(run);
  return values.map((value, r) => {
    const start = r === 0 ? 0 : run.keyEnds?.[r - 1];
    const key = textOf(run.keys?.slice(start, run.keyEnds?.[r]) ?? null);
    const { partition, offsets, indexes } = run.origins!;
    return `${run.topic} ${partition}/${offsets[r]}/${indexes[r]} ${key} ${value}`;
  });
}

function valuesOf({ count, values, valueEnds }: LogRecords): string[] {
  const ends = Array.from({ length: count }, (_, r) => valueEnds[r]);
  return ends.map((end, r) => textOf(values.slice(r === 0 ? 0 : ends[r - 1], end)));
}

function metricsLine(partition: number, texts: readonly string[]): string {
  const metrics = texts.map((text) => {
    const { metric_type: metricType, tags, value } = JSON.parse(text);
    return { metricType, tags, value, offset: 0, meterId: null, timestampMs: 0 };
  });
  return `${partition} metrics ${JSON.stringify(metricSums(metrics))}`;
}

/** The task of a partition as its next owner would have it. */
export async function restoreTask(fleet: Fleet, partition: number): Promise<Task> {
  return await Task.open(fleet.options(partition), openStore(fleet, partition), {
    changelogBytesMin: CHANGELOG_BYTES_MIN,
  });
}

/** The store of a partition, by a client without faults. */
export function openStore(fleet: Fleet, partition: number, client = reliable(fleet)): LogStore {
  return new LogStore({
    partition,
    topics: TOPICS,
    group: GROUP,
    judging: fleet.judging,
    membership: () => ({ memberId: "", generation: -1 }),
    committer: client.committer(`${GROUP}-${partition}`),
    admin: client.admin(),
    openReader: () => client.reader(),
    clock: fleet.clock,
    signal: new AbortController().signal,
    onRestore: () => {},
  });
}

export function reliable({ log, clock, group }: Fleet): MemoryClient {
  const options = { clock, group, faultAt: () => null, turns: () => 0, batchRecordsMax: 50 };
  return new MemoryClient(log, options);
}

/** `verifyPartition` of every partition. */
export async function verifyFleet(fleet: Fleet, accountAt: number | null = null) {
  const client = reliable(fleet);
  return await Promise.all(
    partitionsOf(fleet).map((partition) =>
      verifyPartition({
        partition,
        topics: TOPICS,
        processorOptions: fleet.options(partition),
        judging: fleet.judging,
        admin: client.admin(),
        openReader: () => client.reader(),
        accountAt,
        signal: new AbortController().signal,
        onProgress: () => {},
      })
    ),
  );
}
