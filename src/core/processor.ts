import { accept } from "./accept.ts";
import {
  type Arrival,
  findArrival,
  isUnbelievable,
  latestClockMs,
  noteClock,
  noteReplayTick,
  type RecordClocks,
} from "./arrival.ts";
import { countCommit, sayOfMeter } from "./counts.ts";
import { takeDue } from "./due.ts";
import { findControlFault, findFault } from "./fault.ts";
import { judgeMeter, ringLength } from "./gap.ts";
import { followRun } from "./interval_change.ts";
import { noteStep, noteUntaken } from "./interval_run.ts";
import type { Ledger } from "./ledger.ts";
import { beginMeter, chooseInstant, markUnusable, takeReading } from "./meter.ts";
import { MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import { emptyOutputs, type Outputs, type RejectReason } from "./outputs.ts";
import { newParsedRecord, parseRecord, type RawRecord } from "./wire/raw_record.ts";
import type { Rule } from "./rules/rule.ts";
import { duplicateOf, type Kept, rejectedOf, timeOfRejected } from "./rejected.ts";
import { rulesOf } from "./rules/rules.ts";
import { SlotFollower } from "./rules/slot_follower.ts";
import { advance, endHistory } from "./silence.ts";
import { keepLastAlerts, type Step } from "./step.ts";
import { isUndisturbed, takeNext } from "./take.ts";
import type { Reading, Taking, UsableReading } from "./taking.ts";
import { initialTaskState, type TaskState } from "./task_state.ts";
import { announceOpen, moveTick } from "./tick.ts";
import { LATEST_MS } from "./time.ts";
import { asciiText, keepBytes } from "./text.ts";
import { latenessWatermarkMs, silenceWatermarkMs } from "./watermark.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * Folds one partition's records, in order, into state and outputs: a pure function of the records.
 *
 * Every record gets exactly one disposition, counted in the ledger; no input makes it throw. The
 * caller commits outputs and state together, or drops the processor and restores another.
 */
export class Processor {
  readonly meters: MeterTable;
  readonly options: ProcessorOptions;
  /** Those of the options that judge. */
  readonly rules: readonly Rule[];
  readonly state: TaskState;
  readonly #step: Step;
  readonly #parsed = newParsedRecord();
  readonly #byMeter: boolean;
  readonly #due: number[] = [];
  /** How many of those are judged, by the parts of a tick before this one. */
  #dueAt = 0;
  #metersMax = Infinity;
  /** The raw record being folded: `#bytes[#start..#end)`. */
  #bytes: Uint8Array = NO_BYTES;
  #start = 0;
  #end = 0;
  readonly #arrival: Arrival = { arrivedMs: NaN, aheadMs: NaN };
  readonly #clocks: { -readonly [C in keyof RecordClocks]: RecordClocks[C] } = {
    loggedMs: NaN,
    replayStartMs: NaN,
  };
  #rejectedByReason = new Map<RejectReason, number>();
  #ledgerBefore: Ledger;

  constructor(options: ProcessorOptions, state: TaskState = initialTaskState()) {
    this.options = options;
    this.rules = rulesOf(options);
    this.state = state;
    this.meters = new MeterTable((intervalMs) => ringLength(intervalMs, options));
    if (options.slotRules.length > 0) {
      this.meters.follower = new SlotFollower(options.slotRules, options.maxKw);
    }
    this.meters.nextSerial = state.nextSerial;
    this.#byMeter = options.watermarkScope === "meter";
    this.#ledgerBefore = { ...state.ledger };
    this.#step = {
      meters: this.meters,
      options,
      outputs: emptyOutputs(),
      offset: 0,
      placing: { offSlotMs: NaN, offBeforeMs: NaN, intervalMs: 0 },
      gapsDetected: 0,
    };
  }

  /** The partition's watermark in epoch milliseconds; null until a reading or a tick came. */
  get watermarkMs(): number | null {
    const maxMs = Math.max(this.state.readingMaxMs, this.state.tickMaxMs);
    return maxMs === -Infinity ? null : maxMs - this.options.outOfOrdernessMs;
  }

  /** Folds a raw record. */
  record({ bytes, start, end, offset, timeMs, replayStartMs }: Readonly<RawRecord>): void {
    const parsed = this.#parsed;
    parseRecord(bytes, start, end, this.options.zone, parsed);
    this.#begin(offset, bytes, start, end);
    const clocks = this.#clocks;
    clocks.loggedMs = timeMs >= 0 && timeMs <= LATEST_MS ? timeMs : NaN;
    clocks.replayStartMs = replayStartMs;
    if (parsed.kind === "tick") return this.#tick();
    if (parsed.kind === "retire" || parsed.kind === "registration") return this.#ofMeter();
    const arrival = this.#arrival;
    findArrival(arrival, parsed.receivedMs, clocks, this);
    const reason = parsed.kind === "reading"
      ? findFault(parsed, arrival, this.options)
      : parsed.reason;
    const i = parsed.idEnd > 0
      ? this.meters.findBytes(bytes, parsed.idStart, parsed.idEnd)
      : parsed.meterId === null
      ? -1
      : this.meters.find(parsed.meterId);
    noteClock(this.state, reason === null ? parsed.receivedMs : NaN, clocks);
    if (i < 0 && parsed.idEnd > 0) parsed.meterId = asciiText(bytes, parsed.idStart, parsed.idEnd);
    if (reason !== null) return this.#reject(reason, i);
    if (!Number.isNaN(parsed.laterMs)) {
      parsed.timestampMs = chooseInstant(this.#step, i, parsed, latenessWatermarkMs(this, i));
    }
    this.#fold(i, i < 0 ? parsed.meterId ?? "" : "", parsed);
  }

  /**
   * Folds a raw record, or the next part of a tick by which more meters are due than `metersMax`.
   * False: the same record is to be folded again; until then it counts nowhere, and what was said of
   * it can be committed, for a processor restored from there goes on behind that.
   */
  recordPart(record: Readonly<RawRecord>, metersMax: number): boolean {
    this.#metersMax = metersMax;
    this.record(record);
    this.#metersMax = Infinity;
    return this.#dueAt === 0;
  }

  /** Folds a reading that is already taken apart and known to be usable. */
  reading({ meterId, timestampMs, consumptionKwh, offset }: UsableReading): void {
    this.#begin(offset, NO_BYTES, 0, 0);
    const parsed = this.#parsed;
    parsed.meterId = meterId;
    parsed.timestampMs = timestampMs;
    parsed.consumptionKwh = consumptionKwh;
    parsed.saidIntervalMs = parsed.skippedIntervals = 0;
    parsed.receivedMs = NaN;
    parsed.source = parsed.quality = null;
    this.#fold(this.meters.find(meterId), meterId, parsed);
  }

  /** Takes what was said since the last call, with the counts of this commit as metrics. */
  takeOutputs(): Outputs {
    const { outputs } = this.#step;
    countCommit(outputs, this.state, {
      before: this.#ledgerBefore,
      watermarkMs: this.watermarkMs,
      rejectedByReason: this.#rejectedByReason,
      gapsDetected: this.#step.gapsDetected,
    });
    this.#step.outputs = emptyOutputs();
    this.#step.gapsDetected = 0;
    this.#rejectedByReason = new Map();
    this.#ledgerBefore = { ...this.state.ledger };
    this.state.nextSerial = this.meters.nextSerial;
    return outputs;
  }

  /** Sets a restored meter's timer. */
  resume(i: number): void {
    this.#step.offset = Math.max(0, this.state.nextOffset - 1);
    judgeMeter(this.#step, i, silenceWatermarkMs(this, i));
  }

  #begin(offset: number, bytes: Uint8Array, start: number, end: number): void {
    this.#step.offset = offset;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.state.nextOffset = offset + 1;
    this.state.ledger.raw++;
  }

  /** One usable reading: too late, duplicate, or accepted; then everything due is judged. */
  #fold(known: number, id: string, reading: Reading): void {
    const { options, meters } = this;
    const { timestampMs } = reading;
    const latenessMs = latenessWatermarkMs(this, known);
    const delayMs = timestampMs >= latenessMs ? 0 : latenessMs - timestampMs;
    if (delayMs > options.allowedLatenessMs) {
      if (known >= 0) noteUntaken(meters, known, timestampMs);
      return this.#late(known < 0 ? id : meters.idOf(known), reading, delayMs);
    }
    if (known < 0) return this.#foldFirst(id, reading, delayMs);
    const beforeMs = meters.forwardMs(known);
    const isNext = timestampMs > beforeMs && meters.hasAside[known] === 0 &&
      timestampMs - beforeMs === meters.intervalMs[known];
    if (!isNext) noteStep(meters, known, beforeMs, timestampMs);
    const step = this.#step;
    const alerts = step.outputs.gaps.length;
    const watermarkMs = this.#byMeter ? silenceWatermarkMs(this, known) : latenessMs;
    const movedMs = timestampMs - options.outOfOrdernessMs;
    const clockMs = movedMs > watermarkMs ? movedMs : watermarkMs;
    if (clockMs >= meters.timers.dueMs(known)) {
      const meterId = meters.idOf(known);
      const hasLeft = advance(step, known, { clockMs, watermarkMs: clockMs, isBack: true });
      if (hasLeft) return this.#foldFirst(meterId, reading, delayMs);
    }
    if (isNext && isUndisturbed(meters, known, reading)) {
      takeNext(step, known, reading.consumptionKwh);
      accept(this, step, known, { reading, delayMs, revisesKwh: null });
      this.#judge(known);
    } else {
      const taking = takeReading(step, known, reading, watermarkMs);
      this.#settle(known, reading, taking, { delayMs, beforeMs });
    }
    if (step.outputs.gaps.length - alerts > 1) keepLastAlerts(step, alerts);
    if (!this.#byMeter) this.#judgeDue();
  }

  /** The first reading of a history. */
  #foldFirst(id: string, reading: Reading, delayMs: number): void {
    const { meters, options } = this;
    if (meters.count >= options.metersMax) {
      this.#parsed.detail = `more than ${options.metersMax} meters in this partition`;
      return this.#reject("TOO_MANY_METERS", -1);
    }
    const i = beginMeter(this.#step, id, reading);
    accept(this, this.#step, i, { reading, delayMs, revisesKwh: null });
    this.#judge(i);
    if (!this.#byMeter) this.#judgeDue();
  }

  /** What follows from a reading that was taken, or not, other than as the next of its series. */
  #settle(
    i: number,
    reading: Reading,
    taking: Taking,
    { delayMs, beforeMs }: {
      readonly delayMs: number;
      /** The latest reading before it, whatever became of that. */
      readonly beforeMs: number;
    },
  ): void {
    const { meters } = this;
    const step = this.#step;
    const { timestampMs } = reading;
    const { disposition } = taking;
    const isTaken = disposition !== "duplicate" && disposition !== "forgotten";
    const maxMs = meters.clocks.get(i)?.maxMs ?? beforeMs;
    const clocks = {
      maxMs: isTaken ? Math.max(maxMs, timestampMs) : maxMs,
      forwardMs: disposition === "begun" ? timestampMs : Math.max(beforeMs, timestampMs),
    };
    meters.setClocks(i, clocks);
    let holderKwh = reading.consumptionKwh;
    if (disposition === "duplicate") {
      holderKwh = taking.heldKwh;
      this.#duplicate(i, taking);
    } else if (disposition === "forgotten") this.#late(meters.idOf(i), reading, delayMs);
    else {
      const revisesKwh = disposition === "revised" ? taking.heldKwh : null;
      accept(this, step, i, { reading, delayMs, revisesKwh });
    }
    // A repeat, too, may say the interval, and so lay out the slots of its meter.
    if (isTaken || reading.saidIntervalMs !== 0) this.#judge(i);
    if (disposition === "forgotten") return;
    const watermarkMs = silenceWatermarkMs(this, i);
    if (followRun(step, i, { timestampMs, holderKwh, watermarkMs })) {
      meters.setClocks(i, clocks);
      this.#judge(i);
    }
  }

  /** Behind the allowed lateness, or its slot is older than what is remembered. */
  #late(meterId: string, { timestampMs, consumptionKwh }: Reading, delayMs: number): void {
    const { offset, outputs } = this.#step;
    this.state.ledger.too_late++;
    outputs.late.push({ offset, meterId, timestampMs, consumptionKwh, delayMs });
  }

  #tick(): void {
    const { state } = this;
    const { timestampMs, final } = this.#parsed;
    if (this.#rejectsControl("a tick")) return;
    const judgeDue = () => this.#judgeDue(this.#metersMax);
    const moves = timestampMs > state.tickMaxMs;
    if (moves && !moveTick(this.#step, state, { timestampMs, judgeDue })) return;
    state.ledger.tick++;
    const { replayStartMs } = this.#clocks;
    state.replaying = !Number.isNaN(replayStartMs) && !final;
    noteReplayTick(state, replayStartMs, timestampMs);
    if (timestampMs > state.clockMs) state.clockMs = timestampMs;
    if (final) announceOpen(this.#step, (i) => silenceWatermarkMs(this, i));
  }

  /** What a meter is; or it has left: its history ends at the watermark, which this does not move. */
  #ofMeter(): void {
    const { kind, meterId, timestampMs, tags } = this.#parsed;
    if (this.#rejectsControl(`a ${kind === "retire" ? "retirement" : kind}`)) return;
    this.state.ledger.tick++;
    const i = kind === "retire" ? this.meters.find(meterId ?? "") : -1;
    if (i >= 0) {
      const watermarkMs = silenceWatermarkMs(this, i);
      endHistory(this.#step, i, { clockMs: watermarkMs, watermarkMs });
    }
    const metricType = kind === "retire" ? "meter_retired" : "meter_registered";
    sayOfMeter(this.#step, { metricType, meterId: meterId ?? "", timestampMs, value: 1, tags });
  }

  /** Rejects a control record whose own time cannot be; false: it can. */
  #rejectsControl(what: string): boolean {
    const arrival = this.#arrival;
    arrival.arrivedMs = latestClockMs(this.#clocks, this.options);
    arrival.aheadMs = NaN;
    const fault = findControlFault(what, this.#parsed, arrival, this.options);
    if (fault !== null) this.#reject(fault, -1);
    return fault !== null;
  }

  /**
   * Judges the meters whose timers are due at the partition's clock, oldest meter first, at most so
   * many; of a tick that is folded in parts the next ones. False: there are more.
   */
  #judgeDue(metersMax = Infinity): boolean {
    const { state, options, meters } = this;
    const due = this.#due;
    if (this.#dueAt === 0) {
      const maxMs = this.#byMeter ? state.tickMaxMs : Math.max(state.readingMaxMs, state.tickMaxMs);
      const clockMs = maxMs - options.outOfOrdernessMs;
      if (!meters.timers.mayBeDue(clockMs)) return true;
      takeDue(meters, clockMs, due);
    }
    const end = Math.min(due.length, this.#dueAt + metersMax);
    for (let d = this.#dueAt; d < end; d++) {
      judgeMeter(this.#step, due[d], silenceWatermarkMs(this, due[d]));
    }
    this.#dueAt = end < due.length ? end : 0;
    return this.#dueAt === 0;
  }

  /**
   * Judges what a meter's watermarks have passed: its values, then its silence. Only with a reading of
   * its own, or a gap that is announced: a timer may fire early, and after a restore does not.
   */
  #judge(i: number): void {
    this.meters.follower?.passDue(this.#step, i, latenessWatermarkMs(this, i));
    judgeMeter(this.#step, i, silenceWatermarkMs(this, i));
  }

  #kept(): Kept {
    return keepBytes(this.#bytes, this.#start, this.#end, this.options.rejectedRawBytesMax);
  }

  #duplicate(i: number, taken: { readonly heldKwh: number; readonly slotMs: number }): void {
    const { offset, outputs } = this.#step;
    this.state.ledger.duplicate++;
    const place = { offset, meterId: this.meters.idOf(i), kept: this.#kept() };
    outputs.rejected.push(duplicateOf(this.#parsed, taken, place));
  }

  #reject(reason: RejectReason, i: number): void {
    const { state, options, meters } = this;
    const { arrivedMs } = this.#arrival;
    const parsed = this.#parsed;
    const { timestampMs } = parsed;
    state.ledger.rejected++;
    this.#rejectedByReason.set(reason, (this.#rejectedByReason.get(reason) ?? 0) + 1);
    const isFuture = timestampMs > arrivedMs + options.maxFutureMs;
    const isInTime = !isFuture && timestampMs >= options.minTimestampMs;
    if (i >= 0 && isInTime && !isUnbelievable(this.#arrival, options)) {
      noteUntaken(meters, i, timestampMs);
      const latenessMs = latenessWatermarkMs(this, i);
      if (!(latenessMs - timestampMs > options.allowedLatenessMs)) {
        markUnusable(this.#step, i, timestampMs);
        judgeMeter(this.#step, i, silenceWatermarkMs(this, i));
      }
    }
    const atMs = isInTime ? timeOfRejected(this, timestampMs, arrivedMs) : arrivedMs;
    this.#step.outputs.rejected.push(rejectedOf(parsed, reason, {
      offset: this.#step.offset,
      meterId: i >= 0 ? meters.idOf(i) : parsed.meterId,
      kept: this.#kept(),
      atMs: Number.isNaN(atMs) ? Number.isNaN(timestampMs) ? 0 : timestampMs : atMs,
    }));
  }
}
