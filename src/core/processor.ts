import { type Arrival, findFault, isOfItsSlot, isUnbelievable } from "./fault.ts";
import { announceOpenGap, judgeMeter, ringLength, type Step } from "./gap.ts";
import { DISPOSITIONS, type Ledger } from "./ledger.ts";
import { beginMeter, markUnusable, takeReading } from "./meter.ts";
import { MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import { emptyOutputs, type Outputs, type RejectReason, type ValidatedReading } from "./outputs.ts";
import { newParsedRecord, parseRecord, type RawRecord } from "./wire/raw_record.ts";
import type { Rule } from "./rules/rule.ts";
import { flagReading, NO_FLAGS, rulesOf } from "./rules/rules.ts";
import { initialTaskState, type TaskState } from "./task_state.ts";
import { LATEST_MS } from "./time.ts";
import { asciiText, cutBetweenCharacters, cutNote } from "./text.ts";

const NO_BYTES = new Uint8Array(0);

/** A reading that needs no check of its own. */
export type UsableReading = {
  readonly meterId: string;
  readonly timestampMs: number;
  readonly consumptionKwh: number;
  readonly offset: number;
};

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
  /** The raw record being folded: `#bytes[#start..#end)`. */
  #bytes: Uint8Array = NO_BYTES;
  #start = 0;
  #end = 0;
  readonly #arrival: Arrival = { arrivedMs: NaN, aheadMs: NaN };
  #rejectedByReason = new Map<RejectReason, number>();
  #ledgerBefore: Ledger;

  constructor(options: ProcessorOptions, state: TaskState = initialTaskState()) {
    this.options = options;
    this.rules = rulesOf(options);
    this.state = state;
    this.meters = new MeterTable((intervalMs) => ringLength(intervalMs, options));
    this.meters.nextSerial = state.nextSerial;
    this.#byMeter = options.watermarkScope === "meter";
    this.#ledgerBefore = { ...state.ledger };
    this.#step = {
      meters: this.meters,
      options,
      outputs: emptyOutputs(),
      offset: 0,
      placing: { offSlotMs: NaN, intervalMs: 0 },
      gapsDetected: 0,
    };
  }

  /** The partition's watermark in epoch milliseconds; null until a reading or a tick came. */
  get watermarkMs(): number | null {
    const maxMs = Math.max(this.state.readingMaxMs, this.state.tickMaxMs);
    return maxMs === -Infinity ? null : maxMs - this.options.outOfOrdernessMs;
  }

  /** Folds a raw record. */
  record({ bytes, start, end, offset, timeMs }: Readonly<RawRecord>): void {
    const parsed = this.#parsed;
    parseRecord(bytes, start, end, this.options.zone, parsed);
    this.#begin(offset, bytes, start, end);
    const loggedMs = timeMs >= 0 && timeMs <= LATEST_MS ? timeMs : NaN;
    if (parsed.kind === "tick") return this.#tick(loggedMs);
    const arrival = this.#noteArrival(parsed.receivedMs, loggedMs);
    const reason = parsed.kind === "reading"
      ? findFault(parsed, arrival, this.options)
      : parsed.reason;
    const i = parsed.idEnd > 0
      ? this.meters.findBytes(bytes, parsed.idStart, parsed.idEnd)
      : parsed.meterId === null
      ? -1
      : this.meters.find(parsed.meterId);
    this.#noteClock(reason === null ? parsed.receivedMs : NaN, loggedMs);
    if (i < 0 && parsed.idEnd > 0) parsed.meterId = asciiText(bytes, parsed.idStart, parsed.idEnd);
    if (reason !== null) return this.#reject(reason, i, arrival);
    const id = i < 0 ? parsed.meterId ?? "" : "";
    this.#fold(i, id, parsed.timestampMs, parsed.consumptionKwh);
  }

  /** Folds a reading that is already taken apart and known to be usable. */
  reading({ meterId, timestampMs, consumptionKwh, offset }: UsableReading): void {
    this.#begin(offset, NO_BYTES, 0, 0);
    const i = this.meters.find(meterId);
    this.#fold(i, meterId, timestampMs, consumptionKwh);
  }

  /** Takes what was said since the last call, with the counts of this commit as metrics. */
  takeOutputs(): Outputs {
    const { outputs } = this.#step;
    this.#count(outputs);
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
    judgeMeter(this.#step, i, this.#watermarkOf(i));
  }

  #begin(offset: number, bytes: Uint8Array, start: number, end: number): void {
    this.#step.offset = offset;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.state.nextOffset = offset + 1;
    this.state.ledger.raw++;
  }

  /** Finds the clock that a reading is judged by, and whether its own can be believed. */
  #noteArrival(receivedMs: number, loggedMs: number): Arrival {
    const arrival = this.#arrival;
    const isSaid = !Number.isNaN(receivedMs);
    arrival.aheadMs = isSaid ? receivedMs - this.#latestClock(loggedMs) : NaN;
    if (isSaid && !isUnbelievable(arrival, this.options)) arrival.arrivedMs = receivedMs;
    else if (this.state.replaying) arrival.arrivedMs = this.state.tickMaxMs;
    else arrival.arrivedMs = this.#wallClock(loggedMs);
    return arrival;
  }

  /** The time of the log, or else of the replay's start; NaN: neither is known. */
  #wallClock(loggedMs: number): number {
    return Number.isNaN(loggedMs) ? this.options.nowMs ?? NaN : loggedMs;
  }

  /**
   * What a `received_at` is held against: the later of the log's time and the replay's start; where
   * neither is known, the ticks of a replay. NaN: nothing tells the time.
   */
  #latestClock(loggedMs: number): number {
    const { nowMs } = this.options;
    const clockMs = nowMs === null || loggedMs > nowMs ? loggedMs : nowMs;
    return Number.isNaN(clockMs) && this.state.replaying ? this.state.tickMaxMs : clockMs;
  }

  /** Keeps the latest arrival that can be believed: that of an accepted reading, or the log's. */
  #noteClock(receivedMs: number, loggedMs: number): void {
    const { state } = this;
    if (receivedMs > state.clockMs) state.clockMs = receivedMs;
    if (!state.replaying && loggedMs > state.clockMs) state.clockMs = loggedMs;
  }

  /**
   * The watermark that judges a meter's silence. By meter, ticks before its history say nothing of
   * it: they may be those of another replay, of newer readings.
   */
  #watermarkOf(i: number): number {
    const { state, meters, options } = this;
    if (!this.#byMeter) {
      return Math.max(state.readingMaxMs, state.tickMaxMs) - options.outOfOrdernessMs;
    }
    const tickMs = meters.serial[i] < state.tickSerial ? state.tickMaxMs : -Infinity;
    return Math.max(meters.maxMs[i], tickMs) - options.outOfOrdernessMs;
  }

  /** The watermark that judges the lateness of a meter's next reading; i < 0: a new meter's. */
  #latenessWatermarkOf(i: number): number {
    const { state, options } = this;
    if (this.#byMeter) return i < 0 ? -Infinity : this.meters.maxMs[i] - options.outOfOrdernessMs;
    return Math.max(state.readingMaxMs, state.tickMaxMs) - options.outOfOrdernessMs;
  }

  /** One usable reading: too late, duplicate, or accepted; then everything due is judged. */
  #fold(known: number, id: string, timestampMs: number, value: number): void {
    const { state, options, meters } = this;
    const step = this.#step;
    const latenessMs = this.#latenessWatermarkOf(known);
    const delayMs = timestampMs >= latenessMs ? 0 : latenessMs - timestampMs;
    if (delayMs > options.allowedLatenessMs) {
      state.ledger.too_late++;
      const meterId = known < 0 ? id : meters.idOf(known);
      step.outputs.late.push({
        offset: step.offset,
        meterId,
        timestampMs,
        consumptionKwh: value,
        delayMs,
      });
      return;
    }
    let i = known;
    let meterId = i < 0 ? id : meters.idOf(i);
    const movedMs = timestampMs - options.outOfOrdernessMs;
    if (i >= 0) {
      const silenceMs = this.#watermarkOf(i);
      const judgedMs = movedMs > silenceMs ? movedMs : silenceMs;
      if (judgedMs >= meters.lastMs[i] + options.stateTtlMs) {
        judgeMeter(step, i, judgedMs);
        i = -1;
      }
    }
    if (i < 0) {
      i = beginMeter(step, meterId, timestampMs, value);
      meterId = meters.idOf(i);
    } else {
      const taking = takeReading(step, i, timestampMs, value, this.#watermarkOf(i));
      if (taking.disposition === "duplicate") {
        return this.#duplicate(i, timestampMs, value, taking.takenBy);
      }
    }
    if (delayMs === 0) state.ledger.ok++;
    else state.ledger.late++;
    const reading: { -readonly [Field in keyof ValidatedReading]: ValidatedReading[Field] } = {
      offset: step.offset,
      meterId,
      timestampMs,
      consumptionKwh: value,
      status: delayMs === 0 ? "OK" : "LATE",
      flags: NO_FLAGS,
      delayMs,
    };
    reading.flags = flagReading(this, i, reading, step.placing);
    step.outputs.validated.push(reading);
    if (timestampMs > state.readingMaxMs) state.readingMaxMs = timestampMs;
    judgeMeter(step, i, this.#watermarkOf(i));
    if (!this.#byMeter) this.#judgeDue();
  }

  #tick(loggedMs: number): void {
    const { state, options } = this;
    const { timestampMs, final } = this.#parsed;
    const arrival = this.#arrival;
    const arrivedMs = arrival.arrivedMs = this.#wallClock(loggedMs);
    arrival.aheadMs = NaN;
    if (timestampMs - arrivedMs > options.maxFutureMs) {
      this.#parsed.detail = `a tick ${(timestampMs - arrivedMs) / 1000} s ahead of its arrival`;
      return this.#reject("FUTURE", -1, arrival);
    }
    state.ledger.tick++;
    // The last tick ends a replay: what comes after it is live again.
    state.replaying = !final && !(Math.abs(timestampMs - loggedMs) <= options.maxFutureMs);
    if (timestampMs > state.clockMs) state.clockMs = timestampMs;
    if (timestampMs > state.tickMaxMs) {
      state.tickMaxMs = timestampMs;
      state.tickSerial = this.meters.nextSerial;
      this.#judgeDue();
    }
    if (final) {
      const step = this.#step;
      for (const i of this.#bySerial([...this.meters.indexes()])) {
        announceOpenGap(step, i, this.#watermarkOf(i));
      }
    }
  }

  /** Judges every meter whose timer is due at the partition's clock, oldest meter first. */
  #judgeDue(): void {
    const { state, options, meters } = this;
    const maxMs = this.#byMeter ? state.tickMaxMs : Math.max(state.readingMaxMs, state.tickMaxMs);
    const clockMs = maxMs - options.outOfOrdernessMs;
    if (!meters.timers.mayBeDue(clockMs)) return;
    const due = this.#due;
    due.length = 0;
    meters.timers.take(clockMs, due);
    for (const i of this.#bySerial(due)) judgeMeter(this.#step, i, this.#watermarkOf(i));
  }

  #bySerial(indexes: number[]): number[] {
    const { serial } = this.meters;
    let sorted = true;
    for (let d = 1; d < indexes.length && sorted; d++) {
      sorted = serial[indexes[d - 1]] < serial[indexes[d]];
    }
    return sorted ? indexes : indexes.sort((a, b) => serial[a] - serial[b]);
  }

  #duplicate(i: number, timestampMs: number, value: number, takenBy: number): void {
    this.state.ledger.duplicate++;
    const same = takenBy === value;
    const { raw, note } = this.#keptRaw();
    const detail = same ? "its interval is taken" : `its interval is taken by ${takenBy}`;
    this.#step.outputs.rejected.push({
      offset: this.#step.offset,
      reason: same ? "DUPLICATE" : "CONFLICT",
      detail: detail + note,
      raw,
      meterId: this.meters.idOf(i),
      timestampMs,
      consumptionKwh: value,
      atMs: timestampMs,
    });
  }

  #reject(reason: RejectReason, i: number, arrival: Arrival): void {
    const { state, options } = this;
    const { arrivedMs } = arrival;
    const parsed = this.#parsed;
    const { timestampMs, consumptionKwh } = parsed;
    state.ledger.rejected++;
    this.#rejectedByReason.set(reason, (this.#rejectedByReason.get(reason) ?? 0) + 1);
    const future = timestampMs > arrivedMs + options.maxFutureMs;
    const isCredible = !future && !isUnbelievable(arrival, options);
    if (i >= 0 && isCredible && isOfItsSlot(reason, parsed.valueMissing)) {
      const latenessMs = this.#latenessWatermarkOf(i);
      if (!(latenessMs - timestampMs > options.allowedLatenessMs)) {
        markUnusable(this.#step, i, timestampMs);
        judgeMeter(this.#step, i, this.#watermarkOf(i));
      }
    }
    const { raw, note } = this.#keptRaw();
    const atMs = Number.isNaN(timestampMs) || future ? arrivedMs : timestampMs;
    this.#step.outputs.rejected.push({
      offset: this.#step.offset,
      reason,
      detail: parsed.detail + note,
      raw,
      meterId: i >= 0 ? this.meters.idOf(i) : parsed.meterId,
      timestampMs: Number.isNaN(timestampMs) ? null : timestampMs,
      consumptionKwh: Number.isNaN(consumptionKwh) ? null : consumptionKwh,
      atMs: Number.isNaN(atMs) ? 0 : atMs,
    });
  }

  /** As much of the raw record as is kept of a rejected one, and a note where it is cut. */
  #keptRaw(): { raw: Uint8Array; note: string } {
    const bytesMax = this.options.rejectedRawBytesMax;
    const cutEnd = cutBetweenCharacters(this.#bytes, this.#start, this.#end, bytesMax);
    return {
      raw: this.#bytes.slice(this.#start, cutEnd),
      note: cutNote(this.#start, cutEnd, this.#end),
    };
  }

  /** The counts of this commit, at the watermark. */
  #count(outputs: Outputs): void {
    const { ledger, clockMs } = this.state;
    const watermarkMs = this.watermarkMs;
    const add = (metricType: string, value: number, tags: Record<string, string> = {}) =>
      outputs.metrics.push({
        offset: this.state.nextOffset,
        metricType,
        meterId: null,
        timestampMs: watermarkMs ?? 0,
        value,
        tags,
      });
    const before = this.#ledgerBefore;
    if (ledger.raw === before.raw) return;
    const since = Object.fromEntries(DISPOSITIONS.map((d) => [d, ledger[d] - before[d]]));
    if (since.ok > 0) add("event_processed", since.ok, { status: "OK" });
    if (since.late > 0) add("event_processed", since.late, { status: "LATE" });
    if (since.too_late > 0) add("too_late_event", since.too_late);
    if (since.duplicate > 0) add("duplicate_event", since.duplicate);
    for (const [error, value] of this.#rejectedByReason) add("invalid_event", value, { error });
    if (this.#step.gapsDetected > 0) add("gap_detected", this.#step.gapsDetected);
    if (watermarkMs !== null && clockMs > -Infinity) {
      add("watermark_lag_seconds", Math.max(0, clockMs - watermarkMs) / 1000);
    }
  }
}
