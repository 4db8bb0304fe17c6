import { DISPOSITIONS, type Ledger } from "../../core/ledger.ts";
import { findingKey, type GapState, type Metric, type Outputs } from "../../core/outputs.ts";
import { Processor } from "../../core/processor.ts";
import { newRawRecord } from "../../core/wire/raw_record.ts";
import { decodeAccount } from "../../core/codec.ts";
import type { TaskAccount } from "../../core/task_state.ts";
import { gapId } from "../../core/wire/output_json.ts";
import { MessageError, parseMessage, readMetric } from "../../core/wire/output_message.ts";
import { readChangelog } from "../log/changelog.ts";
import { findOtherSetting } from "../log/judging.ts";
import { LogRefusedError } from "../log/ports.ts";
import { outputRecords, placeRecord } from "../log/records.ts";
import { MetricSums } from "./metric_sums.ts";
import {
  Differences,
  type LogDifference,
  OutputCursor,
  readCommittedRecords,
  type VerifyOptions,
} from "./output_cursor.ts";

/** What a partition comes to: its ledger, its gaps by the state that each is in, what rules found. */
export type PartitionAccount = {
  readonly ledger: Ledger;
  readonly gaps: Readonly<Record<GapState, number>>;
  readonly findings: number;
};

export type PartitionVerified = {
  readonly partition: number;
  readonly rawRecords: number;
  readonly ledger: Ledger | null;
  /** Recomputed at `accountAt`; null where none was asked for, or it was not reached. */
  readonly account: PartitionAccount | null;
  /**
   * Raw records before this offset are deleted: what was judged from them cannot be recomputed, and
   * nothing of the partition is compared. 0: all are there.
   */
  readonly deletedBefore: number;
  readonly differences: readonly LogDifference[];
  /** Differences beyond those kept. */
  readonly moreDifferences: number;
  readonly meterIds: ReadonlySet<string>;
};

const FOLD_RECORDS = 20_000;
const decoder = new TextDecoder();

/**
 * Recomputes one partition from its raw log, up to where its owner has committed. Every output is
 * compared with what the topics hold, in order and byte for byte. Only the metrics are compared by
 * their sums: they are counted per commit. Memory is bounded by the core's state and a few batches.
 */
export async function verifyPartition(options: VerifyOptions): Promise<PartitionVerified> {
  const { partition, topics, admin, signal, accountAt } = options;
  const differences = new Differences(partition);
  const committed = await readCommitted(options);
  const meterIds = new Set<string>();
  const none = {
    ...{ partition, rawRecords: 0, ledger: null, account: null, deletedBefore: 0, meterIds },
  };
  if (committed === null) return { ...none, ...differences.all() };
  const [{ offset: start }] = await admin.listOffsets([{ topic: topics.raw, partition }], "start");
  if (start > 0) {
    return { ...none, ledger: committed.ledger, deletedBefore: start, ...differences.all() };
  }
  const processor = new Processor(options.processorOptions);
  const { validated, gapAlerts, lateEvents, rejected, validation } = topics;
  const compared = [validated, gapAlerts, lateEvents, rejected, validation];
  const cursors = new Map<string, OutputCursor>();
  const sums = new MetricSums();
  const gapStates = new Map<string, GapState>();
  const found = new Set<string>();
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
        for (const finding of outputs.findings) found.add(findingKey(finding));
        if (nextOffset >= accountAt) account = accountOf(processor.state.ledger, gapStates, found);
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
  return {
    ...{ partition, rawRecords: ledger.raw, ledger, account, deletedBefore: 0, meterIds },
    ...differences.all(),
  };
}

function accountOf(
  ledger: Ledger,
  states: ReadonlyMap<string, GapState>,
  { size: findings }: ReadonlySet<string>,
): PartitionAccount {
  const gaps = { OPEN: 0, CLOSED: 0, FILLED: 0, EXPIRED: 0 };
  for (const state of states.values()) gaps[state]++;
  return { ledger: { ...ledger }, gaps, findings };
}

/**
 * What the partition's owner committed last; null: nothing yet.
 *
 * @throws {LogRefusedError} when it judged by other settings: every output would seem to be wrong
 */
async function readCommitted(options: VerifyOptions): Promise<TaskAccount | null> {
  const { topics, partition, judging } = options;
  let account: TaskAccount | null = null;
  let settings: Record<string, string> = {};
  const ref = { topic: topics.changelog, partition };
  for await (const batch of readCommittedRecords(ref, options)) {
    for (const { kind, value } of readChangelog(batch)) {
      if (kind === "task") account = decodeAccount(value);
      else if (kind === "settings") settings = JSON.parse(decoder.decode(value));
    }
  }
  const other = findOtherSetting(judging, settings);
  if (other === null) return account;
  throw new LogRefusedError(
    `Cannot verify partition ${partition} with ${other.name}=${other.value}: it was judged with ` +
      other.before,
    { hint: `set ${other.name} to ${other.before}, as the processors have it` },
  );
}

/** The outputs of the raw records before `nextOffset` that are in no earlier portion. */
type Portion = { readonly outputs: Outputs; readonly nextOffset: number };

/** Folds the raw records before `end` in portions. One portion ends at `accountAt`. */
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
    const metric = offset < 0 ? null : metricIn(value, offset);
    if (metric === null) cursor.extra(differences);
    else sums.find(metric);
  }
}

/** The metric that a message is; null: it is none. */
function metricIn(value: Uint8Array, offset: number): Metric | null {
  try {
    return readMetric(parseMessage(value, 0, value.length), offset);
  } catch (error) {
    if (error instanceof MessageError) return null;
    throw error;
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
