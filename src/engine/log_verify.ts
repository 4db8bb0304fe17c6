import { decodeTask } from "../core/codec.ts";
import { DISPOSITIONS, type Ledger } from "../core/ledger.ts";
import type { ProcessorOptions } from "../core/options.ts";
import type { GapState, Outputs } from "../core/outputs.ts";
import { Processor } from "../core/processor.ts";
import { newRawRecord } from "../core/reading.ts";
import type { TaskState } from "../core/task_state.ts";
import { gapId } from "../core/json.ts";
import type { LogAdmin, LogBatch, LogReader, LogRecords } from "./log_ports.ts";
import { outputRecords, placeRecord, type Topics } from "./log_records.ts";
import { MetricSums, parseMetric } from "./metric_sums.ts";

export type VerifyOptions = {
  readonly partition: number;
  readonly topics: Topics;
  readonly processorOptions: ProcessorOptions;
  readonly admin: LogAdmin;
  /** A reader of committed records with their keys and origins. */
  readonly openReader: () => LogReader;
  /** Also gives the account as it is before the raw record of this offset; null: no. */
  readonly accountAt: number | null;
  readonly signal: AbortSignal;
  readonly onProgress: (records: number) => void;
};

/** What a partition comes to: its ledger, and its gaps by the state that each is in. */
export type PartitionAccount = {
  readonly ledger: Ledger;
  readonly gaps: Readonly<Record<GapState, number>>;
};

/** One thing that is not as the raw log says it must be. */
export type LogDifference = {
  readonly partition: number;
  readonly topic: string;
  /** The raw record it is about; null: the sum of all. */
  readonly inputOffset: number | null;
  readonly problem: "missing" | "extra" | "different" | "ledger" | "unreadable";
  readonly expected: string | null;
  readonly found: string | null;
};

export type PartitionVerified = {
  readonly partition: number;
  readonly rawRecords: number;
  readonly ledger: Ledger | null;
  /** Recomputed at `accountAt`; null where none was asked for, or it was not reached. */
  readonly account: PartitionAccount | null;
  readonly differences: readonly LogDifference[];
  /** Differences beyond those kept. */
  readonly moreDifferences: number;
  readonly meterIds: ReadonlySet<string>;
};

const DIFFERENCES_MAX = 20;
const WAIT_MS = 500;
/** How often nothing may come though the log has more, before that is said. */
const WAITS_MAX = 240;
const FOLD_RECORDS = 20_000;
const NO_BYTES = new Uint8Array(0);
const decoder = new TextDecoder();

/**
 * Recomputes one partition from its raw log, up to where its owner has committed, and compares every
 * output with what the topics hold, in order and byte for byte. Only the metrics are compared by
 * their sums: they are counted per commit. Memory is bounded by the core's state and a few batches.
 */
export async function verifyPartition(options: VerifyOptions): Promise<PartitionVerified> {
  const { partition, topics, admin, signal, accountAt } = options;
  const differences = new Differences(partition);
  const committed = await readCommitted(options);
  const meterIds = new Set<string>();
  const none = { partition, rawRecords: 0, ledger: null, account: null, meterIds };
  if (committed === null) return { ...none, ...differences.all() };
  const [{ offset: start }] = await admin.listOffsets([{ topic: topics.raw, partition }], "start");
  if (start > 0) {
    differences.add({
      topic: topics.raw,
      inputOffset: 0,
      problem: "unreadable",
      expected: "offset 0",
      found: `offset ${start}: older records are deleted`,
    });
    return { ...none, ledger: committed.ledger, ...differences.all() };
  }
  const processor = new Processor(options.processorOptions);
  const compared = [topics.validated, topics.gapAlerts, topics.lateEvents, topics.rejected];
  const cursors = new Map<string, OutputCursor>();
  const sums = new MetricSums();
  const gapStates = new Map<string, GapState>();
  let account: PartitionAccount | null = null;
  try {
    for (const topic of compared) {
      cursors.set(topic, await OutputCursor.open(topic, committed.nextOffset, options));
    }
    for await (const { outputs, nextOffset } of foldRaw(processor, committed.nextOffset, options)) {
      signal.throwIfAborted();
      for (const { meterId } of outputs.validated) meterIds.add(meterId);
      if (account === null && accountAt !== null) {
        for (const gap of outputs.gaps) gapStates.set(gapId(gap), gap.state);
        if (nextOffset >= accountAt) account = accountOf(processor.state.ledger, gapStates);
      }
      const expected = outputRecords({ ...outputs, metrics: [] }, { topics, partition, nowMs: 0 });
      for (const records of expected) {
        await cursors.get(records.topic)?.compare(records, differences);
      }
      sums.expect(outputs);
      options.onProgress(processor.state.ledger.raw);
    }
    for (const cursor of cursors.values()) await cursor.end(differences);
    const metrics = await OutputCursor.open(topics.metrics, Infinity, options);
    cursors.set(topics.metrics, metrics);
    await readMetrics(metrics, { sums, nextOffset: committed.nextOffset, differences });
  } finally {
    for (const cursor of cursors.values()) await cursor.close();
  }
  for (const { expected, found } of sums.differences()) {
    const base = { topic: topics.metrics, inputOffset: null, problem: "different" as const };
    differences.add({ ...base, expected, found });
  }
  compareLedgers(processor.state.ledger, committed.ledger, topics.raw, differences);
  const { ledger } = processor.state;
  return { partition, rawRecords: ledger.raw, ledger, account, ...differences.all(), meterIds };
}

function accountOf(ledger: Ledger, states: ReadonlyMap<string, GapState>): PartitionAccount {
  const gaps = { OPEN: 0, CLOSED: 0, FILLED: 0, EXPIRED: 0 };
  for (const state of states.values()) gaps[state]++;
  return { ledger: { ...ledger }, gaps };
}

/** What the partition's owner committed last; null: nothing yet. */
async function readCommitted(options: VerifyOptions): Promise<TaskState | null> {
  const { topics, partition } = options;
  let task: Uint8Array | null = null;
  const ref = { topic: topics.changelog, partition };
  for await (const batch of readCommittedRecords(ref, options)) {
    for (let r = 0; r < batch.count; r++) {
      if (batch.keys === null || batch.values.starts[r] < 0) continue;
      const key = batch.bytes.subarray(batch.keys.starts[r], batch.keys.ends[r]);
      if (key.length !== 4 || decoder.decode(key) !== "task") continue;
      task = batch.bytes.slice(batch.values.starts[r], batch.values.ends[r]);
    }
  }
  return task === null ? null : decodeTask(task);
}

/** What the raw records before `nextOffset` said that no portion before has told. */
type Portion = { readonly outputs: Outputs; readonly nextOffset: number };

/** Folds the raw records before `end` in portions, of which one ends at `accountAt`. */
async function* foldRaw(
  processor: Processor,
  end: number,
  options: VerifyOptions,
): AsyncGenerator<Portion> {
  const { topics, partition } = options;
  const ref = { topic: topics.raw, partition };
  let mark = options.accountAt ?? Infinity;
  let held = 0;
  const record = newRawRecord();
  for await (const batch of readCommittedRecords(ref, options, end)) {
    const { offsets } = batch;
    for (let r = 0; r < batch.count && offsets[r] < end; r++) {
      if (offsets[r] >= mark) {
        yield { outputs: processor.takeOutputs(), nextOffset: mark };
        mark = Infinity;
      }
      processor.record(placeRecord(record, batch, r));
      if (++held % FOLD_RECORDS > 0) continue;
      yield { outputs: processor.takeOutputs(), nextOffset: offsets[r] + 1 };
    }
    processor.meters.takeChanges();
  }
  yield { outputs: processor.takeOutputs(), nextOffset: end };
}

/**
 * The committed records of a partition, up to `end` or else to where it ends now. Transactions under
 * way are waited for: a commit is decided before each partition it wrote to has been told.
 */
async function* readCommittedRecords(
  ref: { topic: string; partition: number },
  { admin, openReader, signal }: VerifyOptions,
  end = Infinity,
): AsyncGenerator<LogBatch> {
  const [{ offset: start }] = await admin.listOffsets([ref], "start");
  const [{ offset: logEnd }] = await admin.listOffsets([ref], "end");
  const stop = Math.min(end, logEnd);
  if (start >= stop) return;
  const reader = openReader();
  try {
    reader.assign({ ...ref, offset: start });
    for (let next = start, waits = 0; next < stop;) {
      signal.throwIfAborted();
      const batch = await reader.next(WAIT_MS, signal);
      if (batch === null) {
        if (++waits > WAITS_MAX) throw new Error(`${ref.topic}/${ref.partition} stops at ${next}`);
        continue;
      }
      waits = 0;
      next = batch.nextOffset;
      yield batch;
    }
  } finally {
    await reader.close();
  }
}

type Found = { readonly offset: number; readonly index: number; readonly value: Uint8Array };

/** The records of one output topic, one by one, as far as the committed input goes. */
class OutputCursor {
  readonly #topic: string;
  readonly #partition: number;
  readonly #nextInputOffset: number;
  readonly #batches: AsyncGenerator<LogBatch>;
  #batch: LogBatch | null = null;
  #at = 0;
  #current: Found | null = null;

  private constructor(
    { topic, partition }: { topic: string; partition: number },
    nextInputOffset: number,
    batches: AsyncGenerator<LogBatch>,
  ) {
    this.#topic = topic;
    this.#partition = partition;
    this.#nextInputOffset = nextInputOffset;
    this.#batches = batches;
  }

  static async open(
    topic: string,
    nextInputOffset: number,
    options: VerifyOptions,
  ): Promise<OutputCursor> {
    const ref = { topic, partition: options.partition };
    const batches = readCommittedRecords(ref, options);
    const cursor = new OutputCursor(ref, nextInputOffset, batches);
    await cursor.advance();
    return cursor;
  }

  get current(): Found | null {
    return this.#current;
  }

  /** Goes to the next record, passing over those of input that was not committed at the start. */
  async advance(): Promise<void> {
    do {
      while (this.#batch === null || this.#at >= this.#batch.count) {
        const { value, done } = await this.#batches.next();
        if (done) {
          this.#current = null;
          return;
        }
        this.#batch = value;
        this.#at = 0;
      }
      this.#current = foundAt(this.#batch, this.#at++, this.#partition);
    } while (this.#current.offset >= this.#nextInputOffset);
  }

  /** Compares the next records with those expected. */
  async compare(expected: LogRecords, differences: Differences): Promise<void> {
    const offsets = expected.origins?.offsets ?? [];
    const indexes = expected.origins?.indexes ?? [];
    for (let r = 0, start = 0; r < expected.count; start = expected.valueEnds[r++]) {
      const value = expected.values.subarray(start, expected.valueEnds[r]);
      let order = orderOf(this.#current, offsets[r], indexes[r]);
      while (order < 0) {
        this.extra(differences);
        await this.advance();
        order = orderOf(this.#current, offsets[r], indexes[r]);
      }
      const base = { topic: this.#topic, inputOffset: offsets[r] };
      if (order > 0) {
        const text = textOf(value);
        differences.add({ ...base, problem: "missing", expected: text, found: null });
        continue;
      }
      if (!isSame(value, this.#current?.value)) {
        const found = textOf(this.#current?.value ?? null);
        differences.add({ ...base, problem: "different", expected: textOf(value), found });
      }
      await this.advance();
    }
  }

  /** What is left is more than there should be. */
  async end(differences: Differences): Promise<void> {
    while (this.#current !== null) {
      this.extra(differences);
      await this.advance();
    }
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }

  /** The current record is one that should not be there. */
  extra(differences: Differences): void {
    if (this.#current === null) return;
    const { offset, value } = this.#current;
    const inputOffset = offset < 0 ? null : offset;
    const found = textOf(value);
    differences.add({ topic: this.#topic, inputOffset, problem: "extra", expected: null, found });
  }
}

/** Record r; one that does not come from this partition's input comes before all that do. */
function foundAt({ bytes, values, origins }: LogBatch, r: number, partition: number): Found {
  const start = values.starts[r];
  const value = start < 0 ? NO_BYTES : bytes.subarray(start, values.ends[r]);
  const isOurs = origins !== null && origins.partitions[r] === partition;
  return {
    offset: isOurs ? origins.offsets[r] : -1,
    index: isOurs ? origins.indexes[r] : -1,
    value,
  };
}

/** Below 0: the record found comes before the one expected; above: behind it, or there is none. */
function orderOf(found: Found | null, offset: number, index: number): number {
  if (found === null) return 1;
  return found.offset - offset || found.index - index;
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  if (b === undefined || a.length !== b.length) return false;
  for (let p = 0; p < a.length; p++) if (a[p] !== b[p]) return false;
  return true;
}

const TEXT_LENGTH_MAX = 300;

function textOf(value: Uint8Array | null): string | null {
  return value === null ? null : decoder.decode(value.subarray(0, TEXT_LENGTH_MAX));
}

/** The first differences, and how many there are. */
class Differences {
  readonly #partition: number;
  readonly #kept: LogDifference[] = [];
  #more = 0;

  constructor(partition: number) {
    this.#partition = partition;
  }

  add(difference: Omit<LogDifference, "partition">): void {
    if (this.#kept.length >= DIFFERENCES_MAX) this.#more++;
    else this.#kept.push({ partition: this.#partition, ...difference });
  }

  all(): { differences: readonly LogDifference[]; moreDifferences: number } {
    return { differences: this.#kept, moreDifferences: this.#more };
  }
}

/** Sums the metrics of the commits up to `nextOffset`, which is what they carry as their origin. */
async function readMetrics(
  cursor: OutputCursor,
  { sums, nextOffset, differences }: {
    sums: MetricSums;
    nextOffset: number;
    differences: Differences;
  },
): Promise<void> {
  for (; cursor.current !== null; await cursor.advance()) {
    const { offset, value } = cursor.current;
    if (offset > nextOffset) continue;
    const metric = offset < 0 ? null : parseMetric(decoder.decode(value));
    if (metric === null) cursor.extra(differences);
    else sums.find(metric);
  }
}

function compareLedgers(
  expected: Ledger,
  found: Ledger,
  topic: string,
  differences: Differences,
): void {
  for (const name of ["raw", ...DISPOSITIONS] as const) {
    if (expected[name] === found[name]) continue;
    differences.add({
      topic,
      inputOffset: null,
      problem: "ledger",
      expected: `${name}: ${expected[name]}`,
      found: `${name}: ${found[name]}`,
    });
  }
}
