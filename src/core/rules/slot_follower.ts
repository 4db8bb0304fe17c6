import type { ByteReader, ByteWriter } from "../bytes.ts";
import { DAY_MS, isCalendar } from "../calendar.ts";
import type { MeterTable } from "../meters.ts";
import type { Step } from "../step.ts";
import { grown } from "../timers.ts";
import { SENTINEL_MWH } from "./capacity.ts";
import { DayHistories, type HistoryFigures } from "./day_history.ts";
import { mwhOf, mwhOfPower } from "./energy.ts";
import type { Finding, JudgedDay, JudgedSlot, SlotRule } from "./slot_rule.ts";
import { RuleNumbers } from "./slot_rule.ts";

type Changing<Fields> = { -readonly [Field in keyof Fields]: Fields[Field] };

/**
 * Follows the slots of each series in the order of time, behind the allowed lateness, and lets every
 * slot rule judge them: a column a field, as in the table of meters.
 *
 * The values stand in the rings of the table. A slot is passed before its ring forgets it, and is
 * judged with the one after it, so that what is passed can no longer change. Series with an interval
 * of a day or longer are not followed.
 */
export class SlotFollower {
  readonly rules: readonly SlotRule[];
  readonly #maxKw: number;
  readonly #histories: DayHistories;
  /** The ordinal of the next slot to pass. */
  #next: Int32Array;
  /** The UTC day, since 1970, of the slot passed last; 0: none was passed. */
  #day: Int32Array;
  /** Of that day so far. */
  #readings: Uint16Array;
  #zeros: Uint16Array;
  #changes: Uint16Array;
  #sum: Float64Array;
  #highest: Float64Array;
  #hash: Int32Array;
  /** The slot passed last; NaN: missing, or no value. */
  #before: Float64Array;
  /** What every rule keeps, side by side. */
  #numbers: Float64Array;
  readonly #numbersEach: number;
  readonly #kept = new RuleNumbers();
  /** Whose finding is said, and by which rule. */
  readonly #saying: { step: Step | null; i: number; rule: SlotRule | null } = {
    step: null,
    i: -1,
    rule: null,
  };
  readonly #say = (finding: Finding): void => {
    const { step, i, rule } = this.#saying;
    if (step === null || rule === null) return;
    const { name, severity } = rule;
    const meterId = step.meters.idOf(i);
    const limit = Math.floor(finding.limit + 0.5);
    step.outputs.findings.push({
      ...finding,
      limit,
      offset: step.offset,
      meterId,
      rule: name,
      severity,
    });
  };
  readonly #figures: HistoryFigures = {
    days: 0,
    highestMwh: 0,
    areZerosRare: false,
    completeDays: 0,
    totalMwh: 0,
  };
  /** What the slots of the open day are judged against; found anew from the days before it. */
  #historyDays: Uint8Array;
  #historyHighest: Float64Array;
  #areZerosRare: Uint8Array;
  readonly #slot: Changing<JudgedSlot> = {
    atMs: 0,
    intervalMs: 0,
    mwh: NaN,
    beforeMwh: NaN,
    afterMwh: NaN,
    historyDays: 0,
    highestMwh: 0,
    areZerosRare: false,
  };

  constructor(rules: readonly SlotRule[], maxKw: number, capacity = 1024) {
    this.rules = rules;
    this.#maxKw = maxKw;
    this.#histories = new DayHistories(capacity);
    this.#numbersEach = rules.reduce((sum, { numbers }) => sum + numbers, 0);
    this.#next = new Int32Array(capacity);
    this.#day = new Int32Array(capacity);
    this.#readings = new Uint16Array(capacity);
    this.#zeros = new Uint16Array(capacity);
    this.#changes = new Uint16Array(capacity);
    this.#sum = new Float64Array(capacity);
    this.#highest = new Float64Array(capacity);
    this.#hash = new Int32Array(capacity);
    this.#before = new Float64Array(capacity);
    this.#numbers = new Float64Array(capacity * this.#numbersEach);
    this.#historyDays = new Uint8Array(capacity);
    this.#historyHighest = new Float64Array(capacity);
    this.#areZerosRare = new Uint8Array(capacity);
  }

  grow(capacity: number): void {
    this.#histories.grow(capacity);
    this.#next = grown(this.#next, capacity);
    this.#day = grown(this.#day, capacity);
    this.#readings = grown(this.#readings, capacity);
    this.#zeros = grown(this.#zeros, capacity);
    this.#changes = grown(this.#changes, capacity);
    this.#sum = grown(this.#sum, capacity);
    this.#highest = grown(this.#highest, capacity);
    this.#hash = grown(this.#hash, capacity);
    this.#before = grown(this.#before, capacity);
    this.#numbers = grown(this.#numbers, capacity * this.#numbersEach);
    this.#historyDays = grown(this.#historyDays, capacity);
    this.#historyHighest = grown(this.#historyHighest, capacity);
    this.#areZerosRare = grown(this.#areZerosRare, capacity);
  }

  /** A series begins, of which nothing is remembered. */
  begin(i: number): void {
    this.#histories.clear(i);
    this.#day[i] = 0;
    this.#clearDay(i);
    this.beginPiece(i);
  }

  /** The slots of a series are numbered from 0 on, by another interval than before. */
  beginPiece(i: number): void {
    this.#next[i] = 0;
    this.#before[i] = NaN;
    this.#numbers.fill(0, i * this.#numbersEach, (i + 1) * this.#numbersEach);
  }

  /** A series that was not followed so far is, from the oldest slot on that is remembered of it. */
  join(meters: MeterTable, i: number): void {
    this.begin(i);
    const remembered = meters.hasRing(i) ? meters.ringLength(i) : 0;
    this.#next[i] = Math.max(meters.firstOrdinal[i], meters.ordinal[i] - remembered + 1);
  }

  /** A series begins earlier than it did, at this slot. */
  beginEarlier(i: number, first: number, firstBefore: number): void {
    if (this.#next[i] === firstBefore) this.#next[i] = first;
  }

  /** Passes the slots that can no longer change at this watermark, which judges lateness. */
  passDue(step: Step, i: number, watermarkMs: number): void {
    const { meters: { grids }, options: { allowedLatenessMs } } = step;
    const intervalMs = grids.intervalMs[i];
    if (!this.#follows(intervalMs)) return;
    const sinceMs = watermarkMs - allowedLatenessMs - grids.slotMs[i];
    const last = grids.ordinal[i] + Math.floor(sinceMs / intervalMs) - 1;
    if (last >= this.#next[i]) this.#passTo(step, i, Math.min(last, grids.ordinal[i] + 1));
  }

  /** Passes what the ring of a series forgets when its latest slot becomes this one. */
  passForgotten(step: Step, i: number, latest: number): void {
    const { meters } = step;
    if (!this.#follows(meters.intervalMs[i])) return;
    const last = latest - meters.ringLength(i);
    if (last >= this.#next[i]) this.#passTo(step, i, last);
  }

  /** Passes every slot up to the latest one: nothing will change them. */
  passAll(step: Step, i: number): void {
    const { meters: { grids } } = step;
    if (this.#follows(grids.intervalMs[i])) this.#passTo(step, i, grids.ordinal[i]);
  }

  /** The input has ended: what goes on is said with the length that it has by now. */
  sayAll(step: Step, i: number): void {
    const { meters: { grids } } = step;
    if (!this.#follows(grids.intervalMs[i])) return;
    this.#passTo(step, i, grids.ordinal[i]);
    const slot = this.#slot;
    if (Number.isNaN(this.#before[i])) return;
    slot.intervalMs = grids.intervalMs[i];
    slot.atMs = grids.slotMs[i] + (this.#next[i] - 1 - grids.ordinal[i]) * slot.intervalMs;
    slot.mwh = slot.beforeMwh = this.#before[i];
    let at = this.#beginSaying(step, i);
    for (const rule of this.rules) {
      this.#pointTo(rule, at);
      rule.soFar?.(slot, this.#kept, this.#say);
      at += rule.numbers;
    }
  }

  /** Packs how far a series is followed, and the days that ended since the last call (or all). */
  write(writer: ByteWriter, i: number, { isWhole }: { readonly isWhole: boolean }): void {
    writer.i32(this.#next[i]);
    writer.i32(this.#day[i]);
    writer.u16(this.#readings[i]);
    writer.u16(this.#zeros[i]);
    writer.u16(this.#changes[i]);
    writer.f64(this.#sum[i]);
    writer.f64(this.#highest[i]);
    writer.i32(this.#hash[i]);
    writer.f64(this.#before[i]);
    this.#histories.write(writer, i, { isWhole });
  }

  /** Reads what `write` packed, behind the days that are remembered already. */
  read(reader: ByteReader, i: number, intervalMs: number): void {
    this.beginPiece(i); // what a rule keeps that is not written, was not judged meanwhile
    this.#next[i] = reader.i32();
    this.#day[i] = reader.i32();
    this.#readings[i] = reader.u16();
    this.#zeros[i] = reader.u16();
    this.#changes[i] = reader.u16();
    this.#sum[i] = reader.f64();
    this.#highest[i] = reader.f64();
    this.#hash[i] = reader.i32();
    this.#before[i] = reader.f64();
    this.#histories.read(reader, i);
    if (intervalMs !== 0) this.#findFigures(i, intervalMs);
  }

  /** Packs what a rule keeps of a series. */
  writeNumbers(writer: ByteWriter, i: number, rule: SlotRule): void {
    const at = this.#placeOf(i, rule);
    for (let k = 0; k < rule.numbers; k++) writer.f64(this.#numbers[at + k]);
  }

  readNumbers(reader: ByteReader, i: number, rule: SlotRule): void {
    const at = this.#placeOf(i, rule);
    for (let k = 0; k < rule.numbers; k++) this.#numbers[at + k] = reader.f64();
  }

  #placeOf(i: number, rule: SlotRule): number {
    const before = this.rules.slice(0, this.rules.indexOf(rule));
    return i * this.#numbersEach + before.reduce((sum, { numbers }) => sum + numbers, 0);
  }

  #follows(intervalMs: number): boolean {
    return intervalMs > 0 && intervalMs < DAY_MS && !isCalendar(intervalMs);
  }

  /** The day of a slot: never one before the open one, which slots of an older interval may be in. */
  #dayAt(i: number, atMs: number, intervalMs: number): number {
    const day = dayOf(atMs, intervalMs);
    const open = this.#day[i];
    return open !== 0 && day < open ? open : day;
  }

  /** Passes the slots up to `last`; those after the latest reading are missing. */
  #passTo(step: Step, i: number, last: number): void {
    const { meters, meters: { grids } } = step;
    const latest = grids.ordinal[i];
    const intervalMs = grids.intervalMs[i];
    if (this.#next[i] <= last) meters.markChanged(i);
    while (this.#next[i] <= last) {
      const ordinal = this.#next[i];
      const atMs = grids.slotMs[i] + (ordinal - latest) * intervalMs;
      const day = this.#dayAt(i, atMs, intervalMs);
      if (day !== this.#day[i]) this.#openDay(step, i, day);
      const isAfterLatest = ordinal > latest;
      const mwh = isAfterLatest ? NaN : valueOf(meters.valueAt(i, ordinal));
      const after = ordinal < latest ? meters.valueAt(i, ordinal + 1) : NaN;
      this.#next[i] = isAfterLatest ? last + 1 : ordinal + 1;
      if (!Number.isNaN(mwh)) this.#judge(step, i, atMs, mwh, valueOf(after));
      else if (!Number.isNaN(this.#before[i])) this.#judge(step, i, atMs, mwh, NaN);
      if (this.#dayAt(i, atMs + intervalMs, intervalMs) !== day) this.#closeDay(step, i);
    }
  }

  #judge(step: Step, i: number, atMs: number, mwh: number, afterMwh: number): void {
    const slot = this.#slot;
    slot.atMs = atMs;
    slot.intervalMs = step.meters.intervalMs[i];
    slot.mwh = mwh;
    slot.beforeMwh = this.#before[i];
    slot.afterMwh = afterMwh;
    slot.historyDays = this.#historyDays[i];
    slot.highestMwh = this.#historyHighest[i];
    slot.areZerosRare = this.#areZerosRare[i] === 1;
    let counts = Math.min(mwh, mwhOfPower(this.#maxKw, slot.intervalMs));
    let at = this.#beginSaying(step, i);
    for (let r = 0; r < this.rules.length; r++) {
      const rule = this.rules[r];
      if (rule.slot !== undefined) {
        this.#pointTo(rule, at);
        counts = Math.min(counts, rule.slot(slot, this.#kept, this.#say));
      }
      at += rule.numbers;
    }
    if (!Number.isNaN(mwh)) this.#count(i, mwh, counts);
    this.#before[i] = mwh;
  }

  #count(i: number, mwh: number, counts: number): void {
    if (mwh !== this.#before[i] && this.#readings[i] > 0) this.#changes[i]++;
    this.#readings[i]++;
    if (mwh === 0) this.#zeros[i]++;
    this.#sum[i] += mwh;
    if (counts > this.#highest[i]) this.#highest[i] = counts;
    const high = mwh / 4_294_967_296 | 0;
    this.#hash[i] = Math.imul(Math.imul(this.#hash[i] ^ (mwh | 0), 0x01000193) ^ high, 0x5bd1e995);
  }

  /** The day before is over: it is judged, and what the next is judged against is found. */
  #openDay(step: Step, i: number, day: number): void {
    this.#closeDay(step, i);
    this.#day[i] = day;
    this.#findFigures(i, step.meters.intervalMs[i]);
  }

  /** What the slots of the open day are judged against. */
  #findFigures(i: number, intervalMs: number): void {
    const figures = this.#figures;
    this.#histories.figures(i, this.#day[i], DAY_MS / intervalMs, figures);
    this.#historyDays[i] = figures.days;
    this.#historyHighest[i] = figures.highestMwh;
    this.#areZerosRare[i] = figures.areZerosRare ? 1 : 0;
  }

  #closeDay(step: Step, i: number): void {
    if (this.#readings[i] === 0) return;
    const figures = this.#figures;
    const number = this.#day[i];
    const perDay = DAY_MS / step.meters.intervalMs[i];
    this.#histories.figures(i, number, perDay, figures);
    const isComplete = this.#readings[i] === perDay;
    const day: JudgedDay = {
      fromMs: number * DAY_MS,
      toMs: (number + 1) * DAY_MS,
      slots: perDay,
      sumMwh: this.#sum[i],
      zeros: this.#zeros[i],
      changes: this.#changes[i],
      isComplete,
      isNext: this.#histories.latest(i) === number - 1,
      completeDays: figures.completeDays,
      totalMwh: figures.totalMwh,
      sameAsMs: isComplete ? this.#histories.sameAs(i, number, this.#hash[i]) * DAY_MS : NaN,
    };
    let counts = day.sumMwh;
    let at = this.#beginSaying(step, i);
    for (const rule of this.rules) {
      if (rule.day !== undefined) {
        this.#pointTo(rule, at);
        const limit = rule.day(day, this.#kept, this.#say);
        if (limit < day.sumMwh) counts = Math.min(counts, limit);
        else if (limit > day.sumMwh) counts = Math.max(counts, limit);
      }
      at += rule.numbers;
    }
    this.#histories.add(i, number, {
      readings: this.#readings[i],
      zeros: this.#zeros[i],
      highestMwh: Math.floor(this.#highest[i] + 0.5),
      sumMwh: isComplete ? Math.floor(counts + 0.5) : NaN,
      hash: this.#hash[i],
    });
    this.#clearDay(i);
  }

  /** Where the numbers of a series begin. */
  #beginSaying(step: Step, i: number): number {
    this.#saying.step = step;
    this.#saying.i = i;
    return i * this.#numbersEach;
  }

  #pointTo(rule: SlotRule, at: number): void {
    this.#saying.rule = rule;
    this.#kept.point(this.#numbers, at);
  }

  #clearDay(i: number): void {
    this.#readings[i] = this.#zeros[i] = this.#changes[i] = 0;
    this.#sum[i] = this.#highest[i] = this.#hash[i] = 0;
  }
}

/** The UTC day of a slot: those on a grid lie a little off the clock, and count as on it. */
function dayOf(atMs: number, intervalMs: number): number {
  return Math.floor((Math.floor(atMs / intervalMs + 0.5) * intervalMs) / DAY_MS);
}

/** What cannot be a value, below 0 or a sentinel, is missing; what is only too much is judged. */
function valueOf(kwh: number): number {
  const mwh = mwhOf(kwh);
  return mwh < 0 || mwh >= SENTINEL_MWH ? NaN : mwh;
}
