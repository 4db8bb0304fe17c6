import {
  CommitFailedError,
  CommitUnknownError,
  type GroupHandlers,
  type GroupOffset,
  type LogAdmin,
  type LogBatch,
  type LogCommit,
  type LogCommitter,
  type LogEnds,
  LogError,
  type LogGroup,
  type LogProducer,
  type LogReader,
  OffsetGoneError,
  type PartitionRef,
  RecordTooLargeError,
} from "../../../src/engine/log/ports.ts";
import { FencedError } from "../../../src/engine/ports.ts";
import type { WorkerLog } from "../../../src/engine/log/worker.ts";
import type { MemoryGroup } from "./memory_group.ts";
import type { Entry, MemoryClock, MemoryLog } from "./memory_log.ts";

/** One process's line to a memory log: it fails, stands still, or dies at a step. */

export type Operation = "open" | "write" | "offset" | "end" | "list" | "read" | "send";

/**
 * How a step fails: nothing happened; all of it did and the answer is lost; another owner, so it
 * is claimed; or the process dies before it or after it.
 */
export type StepFault = "before" | "after" | "fenced" | "dies before" | "dies after";

export const STEP_FAULTS: readonly StepFault[] = [
  ...["before", "after", "fenced", "dies before", "dies after"] as const,
];

export type ClientOptions = {
  readonly clock: MemoryClock;
  readonly group: MemoryGroup;
  /** The fault, if any, of this client's step of this number, counted from 0. */
  readonly faultAt: (step: number, operation: Operation) => StepFault | null;
  /** Turns of the others within a step. */
  readonly turns: () => number;
  readonly batchRecordsMax: number;
};

/** So many steps of one client and it is not getting anywhere. */
const MEMBERSHIP_TURNS_MAX = 2000;
const STEPS_MAX = 200_000;

export class MemoryClient {
  readonly log: MemoryLog;
  readonly options: ClientOptions;
  steps = 0;
  isDead = false;
  isFrozen = false;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => {};

  constructor(log: MemoryLog, options: ClientOptions) {
    this.log = log;
    this.options = options;
  }

  /** SIGSTOP: nothing goes on before `thaw`. */
  freeze(): void {
    if (this.isFrozen) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    this.#open = resolve;
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    this.#open();
  }

  /** SIGKILL: no promise of it is ever kept. */
  die(): void {
    this.isDead = true;
  }

  async step<T>(operation: Operation, run: () => T): Promise<T> {
    const step = this.steps++;
    if (step > STEPS_MAX) throw new Error(`${step} steps and no end`);
    const fault = this.options.faultAt(step, operation);
    await this.#turns();
    if (fault === "dies before") this.die();
    if (this.isDead) return await never();
    const what = `${operation}, step ${step}`;
    if (fault === "before") throw new LogError(`${what}: nothing happened`);
    if (fault === "fenced") throw new FencedError(`${what}: so it claims`);
    const answer = run();
    if (fault === "dies after") this.die();
    await this.#turns();
    if (this.isDead) return await never();
    if (fault === "after") throw new LogError(`${what}: the answer is lost`);
    return answer;
  }

  workerLog(application: string): WorkerLog {
    return {
      admin: this.admin(),
      reader: this.reader(),
      openProducer: () => this.producer(),
      openChangelogReader: () => this.reader(),
      committer: (partition) => this.committer(`${application}-${partition}`),
      join: (handlers) => this.join(handlers),
    };
  }

  admin(): LogAdmin {
    const refuse = () => Promise.reject(new Error("not part of these tests"));
    return {
      describeTopics: refuse,
      createTopics: refuse,
      deleteTopics: refuse,
      setTopic: refuse,
      identify: (names) =>
        this.step("list", () =>
          names.map((name) => {
            const id = this.log.topicIds.get(name) ?? `id of ${name}`;
            return { name, id, partitions: this.options.group.partitions };
          })),
      listOffsets: (refs, at) =>
        this.step("list", () =>
          refs.map((ref) => {
            const ends = this.log.ends(ref);
            const offset = at === "start"
              ? ends.logStartOffset
              : at === "end"
              ? ends.logEndOffset
              : ends.lastStableOffset;
            return { ...ref, offset };
          })),
      groupOffsets: (group, refs) =>
        this.step(
          "list",
          () => refs.map((ref) => ({ ...ref, ...this.log.groupOffset(group, ref) })),
        ),
      close: () => Promise.resolve(),
    };
  }

  reader(): LogReader {
    return new MemoryReader(this);
  }

  committer(id: string): LogCommitter {
    return new MemoryCommitter(this, id);
  }

  producer(): LogProducer {
    return {
      send: async (runs) => {
        const offsets: number[] = [];
        for (const run of runs) {
          offsets.push(await this.step("send", () => this.log.append(run, null)));
        }
        return offsets;
      },
      close: () => Promise.resolve(),
    };
  }

  join(handlers: GroupHandlers): LogGroup {
    return this.options.group.join(this, handlers);
  }

  async #turns(): Promise<void> {
    await this.#gate;
    for (let turn = this.options.turns(); turn > 0; turn--) await Promise.resolve();
    await this.#gate;
  }
}

export function never(): Promise<never> {
  return new Promise(() => {});
}

class MemoryCommitter implements LogCommitter {
  readonly #client: MemoryClient;
  readonly #id: string;
  #epoch: number | null = null;
  #commits = false;

  constructor(client: MemoryClient, id: string) {
    this.#client = client;
    this.#id = id;
  }

  async open(): Promise<void> {
    this.#epoch = null;
    this.#epoch = await this.#client.step("open", () => this.#client.log.takeOver(this.#id));
  }

  async commit(commit: LogCommit): Promise<number[]> {
    const epoch = this.#epoch;
    if (epoch === null) throw new CommitFailedError("not open");
    if (this.#commits) throw new Error("a commit is under way");
    this.#commits = true;
    const owner = { id: this.#id, epoch };
    try {
      this.#check(commit);
      this.#epoch = null;
      const offsets = await this.#write(commit, owner);
      await this.#end(owner);
      this.#epoch = epoch;
      return offsets;
    } finally {
      this.#commits = false;
    }
  }

  close(): Promise<void> {
    this.#epoch = null;
    return Promise.resolve();
  }

  #check({ records }: LogCommit): void {
    for (const { count, valueEnds } of records) {
      for (let r = 0; r < count; r++) {
        const bytes = valueEnds[r] - (r === 0 ? 0 : valueEnds[r - 1]);
        if (bytes <= this.#client.log.recordBytesMax) continue;
        throw new RecordTooLargeError(`a record of ${bytes} bytes`);
      }
    }
  }

  async #write({ records, groupOffset }: LogCommit, owner: { id: string; epoch: number }) {
    const { log } = this.#client;
    const offsets: number[] = [];
    try {
      for (const run of records) {
        offsets.push(await this.#client.step("write", () => log.append(run, owner)));
      }
      if (groupOffset === null) return offsets;
      await this.#untilMember(groupOffset);
      await this.#client.step("offset", () => log.stageOffset(groupOffset, owner));
      return offsets;
    } catch (error) {
      if (error instanceof FencedError) throw error;
      log.end(owner, "aborted");
      throw new CommitFailedError("the commit failed", { cause: error });
    }
  }

  /** As the adapter: one that the group does not know waits for word that it is out. */
  async #untilMember({ membership }: GroupOffset): Promise<void> {
    for (let turns = 0; membership !== undefined; turns++) {
      const member = membership();
      if (member === null) throw new FencedError("the partition is another member's");
      if (this.#client.options.group.knows(member.memberId)) return;
      if (turns > MEMBERSHIP_TURNS_MAX) throw new LogError("the group does not know this member");
      await Promise.resolve();
    }
  }

  async #end(owner: { id: string; epoch: number }): Promise<void> {
    try {
      await this.#client.step("end", () => this.#client.log.end(owner, "committed"));
    } catch (error) {
      if (error instanceof FencedError) throw error;
      throw new CommitUnknownError("the commit may have happened", { cause: error });
    }
  }
}

type Assigned = PartitionRef & { offset: number; paused: boolean; ends: LogEnds | null };

class MemoryReader implements LogReader {
  readonly bufferedBytes = 0;
  readonly #client: MemoryClient;
  readonly #assigned = new Map<string, Assigned>();
  #turn = 0;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  assign(from: PartitionRef & { offset: number }): void {
    this.#assigned.set(keyOf(from), { ...from, paused: false, ends: null });
  }

  unassign(ref: PartitionRef): void {
    this.#assigned.delete(keyOf(ref));
  }

  pause(ref: PartitionRef): void {
    const assigned = this.#assigned.get(keyOf(ref));
    if (assigned !== undefined) assigned.paused = true;
  }

  resume(ref: PartitionRef): void {
    const assigned = this.#assigned.get(keyOf(ref));
    if (assigned !== undefined) assigned.paused = false;
  }

  ends(ref: PartitionRef): LogEnds | null {
    return this.#assigned.get(keyOf(ref))?.ends ?? null;
  }

  /** A fault is waited out, as the port says; time passes while there is nothing to read. */
  async next(waitMsMax: number): Promise<LogBatch | null> {
    const { clock } = this.#client.options;
    let batch: LogBatch | null = null;
    try {
      const taken = await this.#client.step("read", () => this.#take());
      // Moved or given back meanwhile, it is another one: a late answer is of no use.
      if (taken !== null && this.#assigned.get(keyOf(taken.assigned)) === taken.assigned) {
        batch = taken.batch;
        taken.assigned.offset = batch.nextOffset;
      }
    } catch (error) {
      if (error instanceof OffsetGoneError) throw error;
      if (!(error instanceof LogError || error instanceof FencedError)) throw error;
    }
    if (batch === null) clock.advance(waitMsMax);
    return batch;
  }

  close(): Promise<void> {
    this.#assigned.clear();
    return Promise.resolve();
  }

  #take(): { batch: LogBatch; assigned: Assigned } | null {
    const all = [...this.#assigned.values()];
    for (let tries = 0; tries < all.length; tries++) {
      const assigned = all[this.#turn++ % all.length];
      if (assigned.paused) continue;
      const batch = this.#fetch(assigned);
      if (batch !== null) return { batch, assigned };
    }
    return null;
  }

  #fetch(assigned: Assigned): LogBatch | null {
    const { log, options } = this.#client;
    const ends = assigned.ends = log.ends(assigned);
    if (assigned.offset < ends.logStartOffset || assigned.offset > ends.logEndOffset) {
      this.unassign(assigned);
      throw new OffsetGoneError(`offset ${assigned.offset} is not there`, assigned);
    }
    const { entries, nextOffset } = log.committed(
      assigned,
      assigned.offset,
      options.batchRecordsMax,
    );
    if (nextOffset === assigned.offset) return null;
    return toBatch(assigned, entries, ends, nextOffset);
  }
}

function keyOf({ topic, partition }: PartitionRef): string {
  return `${topic}/${partition}`;
}

function toBatch(
  { topic, partition }: PartitionRef,
  entries: readonly Entry[],
  ends: LogEnds,
  nextOffset: number,
): LogBatch {
  const parts: Uint8Array[] = [];
  let length = 0;
  const spansOf = (texts: readonly (Uint8Array | null)[]) => {
    const spans = { starts: new Int32Array(texts.length), ends: new Int32Array(texts.length) };
    for (const [i, text] of texts.entries()) {
      spans.starts[i] = text === null ? -1 : length;
      if (text !== null) parts.push(text);
      spans.ends[i] = length += text?.length ?? 0;
    }
    return spans;
  };
  const values = spansOf(entries.map(({ value }) => value));
  const keys = spansOf(entries.map(({ key }) => key));
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return {
    ...{ topic, partition, count: entries.length, bytes, values, keys, nextOffset },
    offsets: Float64Array.from(entries, ({ offset }) => offset),
    timesMs: Float64Array.from(entries, ({ timeMs }) => timeMs),
    replayStartsMs: Float64Array.from(entries, ({ replayStartMs }) => replayStartMs),
    origins: {
      partitions: Int32Array.from(entries, ({ origin }) => origin?.partition ?? -1),
      offsets: Float64Array.from(entries, ({ origin }) => origin?.offset ?? -1),
      indexes: Int32Array.from(entries, ({ origin }) => origin?.index ?? -1),
    },
    logEndOffset: ends.logEndOffset,
    lastStableOffset: ends.lastStableOffset,
  };
}
