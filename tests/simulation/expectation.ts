/** What a disturbed run must end with: found by an undisturbed fold, the oracle, and arithmetic. */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { ringLength } from "../../src/core/gap.ts";
import { type Ledger, ledgerDifference } from "../../src/core/ledger.ts";
import { heldReadings } from "../../src/core/held.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import type { Outputs } from "../../src/core/outputs.ts";
import type { Processor } from "../../src/core/processor.ts";
import { Task } from "../../src/engine/task.ts";
import { coreOptions, dispositionsOf, gapTable, plainGap } from "./fold.ts";
import { oracle, type OracleOptions } from "../specification/oracle.ts";
import {
  answerOf,
  assertSameAnswer,
  foldLog,
  type LogRecord,
  metricSums,
  type RawRecord,
} from "./playback.ts";

/** The oracle takes the square of the records, and more. */
const ORACLE_RECORDS_MAX = 120;

export type Expectation = {
  /** The log of each partition, with its last tick. */
  readonly logs: readonly (readonly LogRecord[])[];
  /** Requires that the store holds the answer, the whole answer, and nothing else. */
  readonly check: (store: MemoryStore) => Promise<void>;
};

type Question = {
  readonly seed: number;
  readonly settings: OracleOptions;
  readonly options: readonly ProcessorOptions[];
  readonly records: readonly RawRecord[];
  readonly logs: readonly (readonly LogRecord[])[];
};

/** Folds the records of each partition at one go, and ends them as a recorded topic ends. */
export async function expectAnswer(question: Question): Promise<Expectation> {
  const { seed, settings, options } = question;
  const logs = question.logs.map((log) => [...log]);
  const store = new MemoryStore();
  const tasks: Task[] = [];
  for (const of of options) tasks.push(await Task.open(of, store));
  tasks.forEach((task, p) => foldLog(task, logs[p]));
  const readingMaxMs = Math.max(...tasks.map((task) => task.processor.state.readingMaxMs));
  const isEnded = question.records.findLast(({ partition }) => partition < 0)?.text
    .endsWith(`,"final":true}`);
  if (readingMaxMs > -Infinity && !isEnded) {
    const timestamp = new Date(readingMaxMs + settings.gapGraceMs).toISOString();
    const text = `{"type":"tick","timestamp":"${timestamp}","final":true}`;
    tasks.forEach((task, p) => {
      logs[p].push({ offset: task.nextOffset, timeMs: NaN, text });
      foldLog(task, logs[p].slice(-1));
    });
  }
  for (const task of tasks) {
    checkBounds(task.processor, settings);
    const commit = task.takeCommit();
    if (commit !== null) await store.commit(commit);
  }
  const expected = await answerOf(store, options, "none");
  const check = async (actual: MemoryStore) => {
    assertSameAnswer(await answerOf(actual, options, "none"), expected, `seed ${seed}`);
    for (const [partition, { outputs, ledger }] of actual.partitions) {
      const context = `partition ${partition}, seed ${seed}`;
      checkLedger(ledger, outputs, context);
      assert.deepEqual(
        metricSums(outputs.metrics),
        metricSums(store.partitions.get(partition)!.outputs.metrics),
        context,
      );
      checkOracle(logs[partition], settings, outputs, ledger, context);
    }
  };
  return { logs, check };
}

/** Every disposition is found as often in the outputs as in the ledger, and in the metrics. */
function checkLedger(ledger: Ledger, outputs: Outputs, context: string): void {
  assert.equal(ledgerDifference(ledger), 0, context);
  const count = (of: readonly unknown[]) => of.length;
  const isRepeat = (reason: string) => reason === "DUPLICATE" || reason === "CONFLICT";
  const found = {
    ok: count(outputs.validated.filter(({ status }) => status === "OK")),
    late: count(outputs.validated.filter(({ status }) => status === "LATE")),
    too_late: count(outputs.late),
    duplicate: count(outputs.rejected.filter(({ reason }) => isRepeat(reason))),
    rejected: count(outputs.rejected.filter(({ reason }) => !isRepeat(reason))),
  };
  const { raw: _raw, tick: _tick, ...said } = ledger;
  assert.deepEqual(found, said, context);
  const sums = metricSums(outputs.metrics);
  const invalid = Object.entries(sums).filter(([name]) => name.startsWith("invalid_event "));
  const counted = {
    ok: sums["event_processed OK"] ?? 0,
    late: sums["event_processed LATE"] ?? 0,
    too_late: sums.too_late_event ?? 0,
    duplicate: sums.duplicate_event ?? 0,
    rejected: invalid.reduce((sum, [, value]) => sum + value, 0),
  };
  assert.deepEqual(counted, said, context);
}

function checkOracle(
  log: readonly LogRecord[],
  settings: OracleOptions,
  outputs: Outputs,
  ledger: Ledger,
  context: string,
): void {
  if (log.length > ORACLE_RECORDS_MAX) return;
  const timesMs = log.map(({ timeMs }) => Number.isNaN(timeMs) ? null : timeMs);
  const expected = oracle(log.map(({ text }) => text), timesMs, settings);
  assert.deepEqual(ledger, expected.ledger, context);
  const said = dispositionsOf(outputs);
  for (const { offset, disposition, reason, delayMs, flags } of expected.dispositions) {
    if (disposition === "tick") continue;
    const actual = said.get(log[offset].offset)!;
    assert.deepEqual(
      [actual.disposition, actual.reason, actual.delayMs, actual.flags],
      [disposition, reason, delayMs, flags],
      `offset ${offset}, ${context}`,
    );
  }
  const gaps = [...gapTable(outputs.gaps).values()].map(plainGap);
  assert.deepEqual(gaps.sort((a, b) => a.gapId < b.gapId ? -1 : 1), expected.gaps, context);
}

/** Unbounded state survives every comparison, so its bounds are checked by themselves. */
function checkBounds({ meters }: Processor, settings: OracleOptions): void {
  const { gapGraceMs, outOfOrdernessMs, stateTtlMs, learningReadings } = settings;
  for (const i of meters.indexes()) {
    if (meters.intervalMs[i] === 0) {
      assert.ok(heldReadings(meters, i).length < 2 * learningReadings, "it goes on learning");
    }
    const intervalMs = meters.intervalMs[i];
    if (intervalMs === 0) continue;
    const reach = ringLength(intervalMs, coreOptions(settings));
    const unjudged = Math.ceil((gapGraceMs + outOfOrdernessMs) / intervalMs);
    const holes = meters.holes.get(i)?.length ?? 0;
    assert.ok(holes <= reach + unjudged + 2, `${holes} holes of ${meters.idOf(i)}`);
    const marks = meters.marks.get(i)?.length ?? 0;
    const ttlSlots = Math.ceil(stateTtlMs / intervalMs);
    assert.ok(marks <= reach + unjudged + 2 * ttlSlots + 2, `${marks} marks of ${meters.idOf(i)}`);
  }
}
