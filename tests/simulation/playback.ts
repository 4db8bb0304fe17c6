/**
 * What the tests of engine and stores share: raw records as chunks, a clock that nobody waits for,
 * and all that a store holds as lines of text, so that two runs are compared exactly and the first
 * line that differs says what went wrong.
 */
import assert from "node:assert/strict";
import type { MemoryStore } from "../../src/adapters/memory/store.ts";
import { ByteReader } from "../../src/core/bytes.ts";
import { encodeAll } from "../../src/core/codec.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import type { Metric, Outputs } from "../../src/core/outputs.ts";
import type { Processor } from "../../src/core/processor.ts";
import type { PipelineOptions } from "../../src/engine/pipeline.ts";
import type { Clock, CommitStore, RecordChunk } from "../../src/engine/ports.ts";
import { Task } from "../../src/engine/task.ts";
import { rawOf } from "./fold.ts";

/** One record of the raw stream; partition -1: a tick, for every partition. */
export type RawRecord = { readonly partition: number; readonly text: string };

/** One record of a partition's log; time NaN: it has none. */
export type LogRecord = {
  readonly offset: number;
  readonly timeMs: number;
  readonly text: string;
};

const encoder = new TextEncoder();

/** Records as one chunk. */
export function toChunk(records: readonly RawRecord[]): RecordChunk {
  const parts = records.map(({ text }) => encoder.encode(text));
  const ends = new Int32Array(records.length);
  parts.reduce((end, part, r) => ends[r] = end + part.length, 0);
  const bytes = new Uint8Array(ends.at(-1) ?? 0);
  parts.forEach((part, r) => bytes.set(part, ends[r] - part.length));
  return {
    bytes,
    ends,
    partitions: Int16Array.from(records, ({ partition }) => partition),
    count: records.length,
    rowsRead: records.length,
    lastEventTimeMs: NaN,
  };
}

/** The record source of a run: the same records in chunks of at most `chunkRecordsMax`. */
export async function* toChunks(
  records: readonly RawRecord[],
  chunkRecordsMax = Infinity,
): AsyncGenerator<RecordChunk> {
  for (let at = 0; at < records.length; at += chunkRecordsMax) {
    await Promise.resolve();
    yield toChunk(records.slice(at, at + chunkRecordsMax));
  }
}

/** The log of each partition: ticks go to all of them. */
export function toLogs(records: readonly RawRecord[], partitionCount: number): LogRecord[][] {
  const logs: LogRecord[][] = Array.from({ length: partitionCount }, () => []);
  for (const { partition, text } of records) {
    const to = partition >= 0 ? [logs[partition]] : logs;
    for (const log of to) log.push({ offset: log.length, timeMs: NaN, text });
  }
  return logs;
}

/** Where in a log, which may have holes, the record of this or the next offset lies. */
export function indexOf(log: readonly LogRecord[], offset: number): number {
  const at = log.findIndex((record) => record.offset >= offset);
  return at < 0 ? log.length : at;
}

/** Folds records of a partition's log into its task. */
export function foldLog(task: Task, records: readonly LogRecord[]): void {
  for (const { offset, timeMs, text } of records) {
    task.fold(rawOf(text, offset, timeMs));
  }
}

/** A clock that sleeping moves on, and nothing else. */
export function fakeClock(): Clock & { readonly sleepsMs: number[] } {
  let nowMs = 0;
  const sleepsMs: number[] = [];
  return {
    sleepsMs,
    nowMs: () => nowMs,
    sleep: (durationMs) => {
      sleepsMs.push(durationMs);
      nowMs += durationMs;
      return Promise.resolve();
    },
  };
}

/** Pipeline options of a run as fast as it goes. */
export function pipelineOptions(
  partitionCount: number,
  changes: Partial<PipelineOptions> = {},
): PipelineOptions {
  return {
    baseOffsets: new Array(partitionCount).fill(0),
    commitRecordsMax: 16,
    commitIntervalMs: 1000,
    ratePerSecond: Infinity,
    endsAfterMs: null,
    rowsTotal: null,
    clock: fakeClock(),
    signal: new AbortController().signal,
    onProgress: () => {},
    ...changes,
  };
}

/** Opens the tasks of all partitions, one after the other as a process does at its start. */
export async function openTasks(
  options: readonly ProcessorOptions[],
  store: CommitStore,
  changelogBytesMin?: number,
): Promise<Task[]> {
  const tasks: Task[] = [];
  for (const of of options) tasks.push(await Task.open(of, store, { changelogBytesMin }));
  return tasks;
}

/** Which metrics an answer holds: those of each commit, or (commits may differ) none. */
export type Metrics = "each" | "none";

/** Depend on the wall clock and on how far the source is, not on the records. */
const CLOCK_METRICS = ["commit_duration_ms", "consumer_lag_records"];

/** All that a store holds of these partitions, a line an item; state as a reopened task has it. */
export async function answerOf(
  store: MemoryStore,
  options: readonly ProcessorOptions[],
  metrics: Metrics = "each",
): Promise<string[]> {
  const lines: string[] = [];
  for (const of of options) {
    const { partition } = of;
    const stored = store.partitions.get(partition);
    if (stored === undefined) continue;
    const { nextOffset, watermarkMs, ledger, outputs } = stored;
    lines.push(`${partition} position ${JSON.stringify({ nextOffset, watermarkMs, ledger })}`);
    lines.push(...outputLines(outputs, metrics).map((line) => `${partition} ${line}`));
    const task = await Task.open(of, store);
    lines.push(`${partition} state ${JSON.stringify(task.processor.state)}`);
    lines.push(...stateLines(task.processor).map((line) => `${partition} ${line}`));
    assert.deepEqual(outputLines(task.processor.takeOutputs(), "each"), [], "a restore spoke");
  }
  return lines;
}

/** Outputs, a line a message, in their order. */
export function outputLines(outputs: Outputs, metrics: Metrics = "each"): string[] {
  const kept = outputs.metrics.filter(({ metricType }) =>
    metrics === "each" && !CLOCK_METRICS.includes(metricType)
  );
  return [
    ...outputs.validated.map((it) => `validated ${toText(it)}`),
    ...outputs.gaps.map((it) => `gap ${toText(it)}`),
    ...outputs.late.map((it) => `late ${toText(it)}`),
    ...outputs.rejected.map((it) => `rejected ${toText(it)}`),
    ...kept.map((it) => `metric ${toText(it)}`),
  ];
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function toText(message: object): string {
  return JSON.stringify(
    message,
    (_, value) => value instanceof Uint8Array ? decoder.decode(value) : value,
  );
}

/** The state of every meter as the changelog holds it, a line a meter, by id. */
export function stateLines(processor: Processor): string[] {
  const lines: string[] = [];
  if (processor.meters.count === 0) return lines;
  // A part is yielded after the first meter that fills it: one meter a part.
  for (const payload of encodeAll(processor, 1)) {
    const reader = new ByteReader(payload);
    reader.u8();
    for (let sections = reader.u8(); sections > 0; sections--) {
      reader.text();
      reader.u8();
    }
    lines.push(`meter ${JSON.stringify(reader.text())} ${payload.toHex()}`);
  }
  return lines.sort();
}

/** Counts of all commits together, by metric and tags: however the commits were cut. */
export function metricSums(metrics: readonly Metric[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { metricType, tags, value } of metrics) {
    if (CLOCK_METRICS.includes(metricType) || metricType === "watermark_lag_seconds") continue;
    const name = [metricType, ...Object.values(tags)].join(" ");
    sums[name] = (sums[name] ?? 0) + value;
  }
  return Object.fromEntries(Object.entries(sums).sort(([a], [b]) => a < b ? -1 : 1));
}

/** Requires two answers to be the same; the message shows the first line that is not. */
export function assertSameAnswer(
  actual: readonly string[],
  expected: readonly string[],
  context: string,
): void {
  const length = Math.max(actual.length, expected.length);
  for (let at = 0; at < length; at++) {
    if (actual[at] === expected[at]) continue;
    assert.fail(
      `${context}: line ${at} of ${expected.length}\n  is        ${actual[at]}\n` +
        `  should be ${expected[at]}`,
    );
  }
}
