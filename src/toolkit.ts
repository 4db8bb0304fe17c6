/**
 * The toolkit: readings judged inside any program, with the answers of the long-running processor.
 * Runs wherever JavaScript does: Deno, Node, an edge worker, a browser page. No I/O of its own.
 *
 * @module
 */
import { CodecError } from "./core/bytes.ts";
import { applyChanges, decodeTask, encodeAll, encodeTask, finishRestore } from "./core/codec.ts";
import type { Ledger } from "./core/ledger.ts";
import { Processor } from "./core/processor.ts";
import { formatTimestamp } from "./core/time.ts";
import type {
  GapMessage,
  LateMessage,
  MetricMessage,
  RejectedMessage,
  ValidatedMessage,
  ValidationMessage,
} from "./core/wire/messages.ts";
import { JsonWriter } from "./core/wire/output_json.ts";
import { type JudgeOptions, type Judging, readOptions } from "./toolkit/options.ts";
import {
  type JudgeReading,
  readingText,
  recordText,
  type TickOptions,
  tickText,
} from "./toolkit/raw_text.ts";
import { packParts, unpackParts } from "./toolkit/saved.ts";

export { judgeOptions } from "./toolkit/options.ts";
export { CodecError };
export type { JudgeOptions, Threshold } from "./toolkit/options.ts";
export type { JudgeReading, TickOptions } from "./toolkit/raw_text.ts";
export type {
  Finding,
  JudgedDay,
  JudgedSlot,
  RuleNumbers,
  Say,
  Severity,
  SlotRule,
} from "./core/rules/slot_rule.ts";
export type { Rule, RuleMemory } from "./core/rules/rule.ts";
export type { Ledger } from "./core/ledger.ts";
export type { ProcessorOptions } from "./core/options.ts";
export type { GapState, RejectReason } from "./core/outputs.ts";
export type {
  GapMessage,
  LateMessage,
  MetricMessage,
  RejectedMessage,
  ValidatedMessage,
  ValidationMessage,
} from "./core/wire/messages.ts";

/**
 * What was said since the last call. `JSON.stringify` of each gives the bytes that the processor on
 * Kafka writes into the topic of its kind.
 */
export type Taken = {
  readonly accepted: ValidatedMessage[];
  /** Each gap as often as it changed: the last of each `gap_id` is how it stands. */
  readonly gaps: GapMessage[];
  readonly tooLate: LateMessage[];
  readonly rejected: RejectedMessage[];
  readonly metrics: MetricMessage[];
  /** What rules have found: of the same rule, meter and `from` the last is how it stands. */
  readonly findings: ValidationMessage[];
};

/**
 * Judges readings one by one. Nothing that is handed in makes it throw: a reading that cannot be used
 * is counted, and told by `take().rejected`.
 */
export type Judge = {
  /** Judges a reading. */
  reading(reading: JudgeReading): void;
  /** Judges a raw record: the JSON of one as the raw topic has it, or its fields. */
  record(record: string | Uint8Array | Readonly<Record<string, unknown>>): void;
  /**
   * Says that event time has come so far, though no reading came: this is what makes silence visible.
   * A `final` one ends a finite input: gaps that are open are told with the length known by then.
   */
  tick(at: string | number | Date, options?: TickOptions): void;
  /** Takes what was said since the last call. */
  take(): Taken;
  /**
   * The state in bytes, for `restoreJudge` on this runtime or another. What was said and not yet taken
   * is in it. Keep it together with what was taken, in one transaction, and nothing is said twice.
   */
  save(): Uint8Array<ArrayBuffer>;
  /** How many records there were, and what became of each. */
  readonly ledger: Readonly<Ledger>;
  /** How far event time has come, less `outOfOrdernessSeconds`; null: nothing came yet. */
  readonly watermark: string | null;
};

/**
 * A judge that has seen nothing yet.
 *
 * @throws {TypeError} that names the option which cannot be used
 *
 * @example A meter misses the readings of 10:30 and 11:00
 * ```ts
 * import { createJudge } from "@gridwatch/gridwatch";
 *
 * const judge = createJudge({ intervalMinutes: 30, scope: "meter" });
 * judge.reading({ meterId: "M1", at: "2013-01-01T10:00:00Z", kwh: 0.2 });
 * judge.reading({ meterId: "M1", at: "2013-01-01T11:30:00Z", kwh: 0.3 });
 * judge.tick("2013-01-01T12:00:00Z");
 * const { accepted, gaps } = judge.take();
 *
 * const [gap] = gaps.slice(-1);
 * if (accepted.length !== 2) throw new Error("not accepted");
 * if (gap.missing_from !== "2013-01-01T10:30:00Z") throw new Error("another gap");
 * if (gap.state !== "CLOSED" || gap.missing_intervals !== 2) throw new Error("another length");
 * ```
 */
export function createJudge(options: JudgeOptions = {}): Judge {
  const judging = readOptions(options);
  return judgeOf(new Processor(judging.processor), judging, emptyTaken());
}

/**
 * A judge that goes on from a state that `save()` gave, on whatever runtime. The options must be those
 * that the state was judged by; an interval may be added for a meter that has not come yet.
 *
 * @throws {TypeError} that names the option which cannot be used, or is another than it was
 * @throws {CodecError} when the bytes are no state, of a newer version, or damaged
 *
 * @example A state goes from one judge to the next
 * ```ts
 * import { createJudge, restoreJudge } from "@gridwatch/gridwatch";
 *
 * const judge = createJudge({ intervalMinutes: 30 });
 * judge.reading({ meterId: "M1", at: "2013-01-01T10:00:00Z", kwh: 0.2 });
 * const saved = judge.save(); // to IndexedDB, a Durable Object, a file
 *
 * const later = restoreJudge(saved, { intervalMinutes: 30 });
 * later.reading({ meterId: "M1", at: "2013-01-01T10:00:00Z", kwh: 0.2 });
 * if (later.take().rejected[0].reason !== "DUPLICATE") throw new Error("it has forgotten");
 * ```
 */
export function restoreJudge(
  saved: Uint8Array | ArrayBuffer,
  options: JudgeOptions = {},
): Judge {
  const judging = readOptions(options);
  const bytes = saved instanceof ArrayBuffer ? new Uint8Array(saved) : bytesOf(saved);
  if (bytes === null) throw new TypeError("Cannot restore: saved must be bytes");
  const [judged, said, task, ...changelog] = unpackParts(bytes);
  const before: Judged = JSON.parse(decoder.decode(judged));
  for (const [name, value] of Object.entries(judging.values)) {
    refuseOther(name, value, before.values[name] ?? value);
  }
  const processor = new Processor(judging.processor, decodeTask(task));
  for (const payload of changelog) applyChanges(payload, processor);
  refuseOtherIntervals(processor, new Map(before.meters));
  finishRestore(processor);
  // Of a version before rules, it says nothing of findings.
  return judgeOf(processor, judging, { ...emptyTaken(), ...JSON.parse(decoder.decode(said)) });
}

/** What a state was judged by. */
type Judged = {
  readonly values: Readonly<Record<string, string>>;
  /** Meters and their intervals in milliseconds. */
  readonly meters: readonly (readonly [id: string, intervalMs: number])[];
};

/** One state is judged by one value of each option: a part of it would else mean something else. */
function refuseOther(name: string, now: string, before: string): void {
  if (now === before) return;
  throw new TypeError(`Cannot restore with ${name}=${now}: the state was judged by ${before}`);
}

/** The same of the intervals of meters that have come. */
function refuseOtherIntervals(
  { meters, options: { intervalMsByMeter } }: Processor,
  before: ReadonlyMap<string, number>,
): void {
  for (const id of [...intervalMsByMeter.keys(), ...before.keys()]) {
    if (meters.find(id) < 0) continue;
    refuseOther(`meters.${id}`, minutesOf(intervalMsByMeter, id), minutesOf(before, id));
  }
}

function minutesOf(intervals: ReadonlyMap<string, number>, id: string): string {
  const intervalMs = intervals.get(id);
  return intervalMs === undefined ? "none" : `${intervalMs / 60_000}`;
}

/** The bytes that a view shows; null: it is none. */
function bytesOf(value: unknown): Uint8Array | null {
  if (!ArrayBuffer.isView(value)) return null;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function judgeOf(processor: Processor, judging: Judging, untaken: Taken): Judge {
  const { partition, intervalMsByMeter } = judging.processor;
  let said = untaken;
  let saidOffset = processor.state.nextOffset;

  function fold(bytes: Uint8Array): void {
    processor.record({
      bytes,
      start: 0,
      end: bytes.length,
      offset: processor.state.nextOffset,
      timeMs: judging.nowMs(),
      replayStartMs: NaN,
    });
  }

  /** Moves what the processor has said to what was said. */
  function collect(): void {
    if (processor.state.nextOffset === saidOffset) return;
    saidOffset = processor.state.nextOffset;
    const { validated, gaps, late, rejected, metrics, findings } = processor.takeOutputs();
    processor.meters.takeChanges(); // a state holds every meter: which have changed is of no use
    append(said.accepted, validated, (writer, each) => writer.validated(each));
    append(said.gaps, gaps, (writer, each) => writer.gap(each));
    append(said.tooLate, late, (writer, each) => writer.late(each));
    append(said.rejected, rejected, (writer, each) => writer.rejected(each, partition));
    append(said.findings, findings, (writer, each) => writer.finding(each));
    append(said.metrics, metrics, (writer, each) => writer.metric(each));
  }

  return {
    reading: (reading) => fold(encoder.encode(readingText(reading))),
    record: (record) => fold(bytesOf(record) ?? encoder.encode(recordText(record))),
    tick: (at, options) => fold(encoder.encode(tickText(at, options))),
    take() {
      collect();
      const taken = said;
      said = emptyTaken();
      return taken;
    },
    save() {
      collect();
      const judged: Judged = { values: judging.values, meters: [...intervalMsByMeter] };
      return packParts([
        encoder.encode(JSON.stringify(judged)),
        encoder.encode(JSON.stringify(said)),
        encodeTask(processor),
        ...encodeAll(processor, Infinity),
      ]);
    },
    get ledger() {
      return { ...processor.state.ledger };
    },
    get watermark() {
      return processor.watermarkMs === null ? null : formatTimestamp(processor.watermarkMs);
    },
  };
}

/** Room for a few messages, to begin with. */
const MESSAGES_BYTES = 2048;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function emptyTaken(): Taken {
  return { accepted: [], gaps: [], tooLate: [], rejected: [], metrics: [], findings: [] };
}

/** Adds outputs as the messages that they become. */
function append<Output, Message>(
  messages: Message[],
  outputs: readonly Output[],
  write: (writer: JsonWriter, output: Output) => void,
): void {
  if (outputs.length === 0) return;
  const writer = new JsonWriter(MESSAGES_BYTES);
  for (const output of outputs) write(writer, output);
  let start = 0;
  for (const end of writer.ends) {
    messages.push(JSON.parse(decoder.decode(writer.bytes.subarray(start, end))));
    start = end;
  }
}
