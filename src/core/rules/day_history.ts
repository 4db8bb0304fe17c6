import type { ByteReader, ByteWriter } from "../bytes.ts";
import { grown } from "../timers.ts";

/** Days that are remembered before the one that a series is in. */
export const HISTORY_DAYS = 28;
/** Days with readings, without which zeros are not called rare. */
const DAYS_MIN = 7;
/** Two to the 32nd: a sum of energies has 48 bits, in two columns. */
const HIGH_UNIT = 2 ** 32;
/** In place of the sum of a day that is not complete. */
const NO_SUM = 2 ** 48 - 1;
/** Of a count of days that are written: they are all, whatever was remembered before. */
const ARE_ALL = 0x80;

/** A day that has ended, as it is remembered. */
export type PastDay = {
  readonly readings: number;
  readonly zeros: number;
  readonly highestMwh: number;
  /** NaN: not complete. */
  readonly sumMwh: number;
  /** Of the values of its slots; the same for days that are the same, slot for slot. */
  readonly hash: number;
};

/** What the 28 days before a day come to. */
export type HistoryFigures = {
  days: number;
  highestMwh: number;
  areZerosRare: boolean;
  completeDays: number;
  totalMwh: number;
};

/**
 * The UTC days of each series that lie behind it, 28 at most: a column a field, 20 bytes a day. The
 * place of a day is its number (since 1970) modulo 28; a day of no readings was none.
 */
export class DayHistories {
  /** The latest day that is remembered. */
  #latest: Int32Array;
  #readings: Uint16Array;
  #zeros: Uint16Array;
  #highest: Uint32Array;
  #highestHigh: Uint16Array;
  #sum: Uint32Array;
  #sumHigh: Uint16Array;
  #hash: Int32Array;
  /** The latest day that the state of each series has been written with. */
  #written: Int32Array;

  constructor(capacity: number) {
    this.#latest = new Int32Array(capacity);
    this.#written = new Int32Array(capacity);
    const days = capacity * HISTORY_DAYS;
    this.#readings = new Uint16Array(days);
    this.#zeros = new Uint16Array(days);
    this.#highest = new Uint32Array(days);
    this.#highestHigh = new Uint16Array(days);
    this.#sum = new Uint32Array(days);
    this.#sumHigh = new Uint16Array(days);
    this.#hash = new Int32Array(days);
  }

  grow(capacity: number): void {
    this.#latest = grown(this.#latest, capacity);
    this.#written = grown(this.#written, capacity);
    const days = capacity * HISTORY_DAYS;
    this.#readings = grown(this.#readings, days);
    this.#zeros = grown(this.#zeros, days);
    this.#highest = grown(this.#highest, days);
    this.#highestHigh = grown(this.#highestHigh, days);
    this.#sum = grown(this.#sum, days);
    this.#sumHigh = grown(this.#sumHigh, days);
    this.#hash = grown(this.#hash, days);
  }

  /** Forgets everything of a series. */
  clear(i: number): void {
    this.#latest[i] = 0;
    this.#written[i] = 0;
    this.#readings.fill(0, i * HISTORY_DAYS, (i + 1) * HISTORY_DAYS);
  }

  /** The latest day that is remembered of a series. */
  latest(i: number): number {
    return this.#latest[i];
  }

  /** Remembers a day later than every one before; the same or an earlier one when slots are passed again. */
  add(i: number, day: number, past: PastDay): void {
    const from = Math.max(this.#latest[i] + 1, day - HISTORY_DAYS + 1);
    for (let d = from; d < day; d++) this.#readings[this.#placeOf(i, d)] = 0;
    this.#latest[i] = day;
    // A change of the interval passes slots again: their days are to be written once more.
    this.#written[i] = Math.min(this.#written[i], day - 1);
    const at = this.#placeOf(i, day);
    const sum = Number.isNaN(past.sumMwh) ? NO_SUM : Math.min(past.sumMwh, NO_SUM - 1);
    const highest = Math.min(past.highestMwh, NO_SUM);
    this.#readings[at] = past.readings;
    this.#zeros[at] = past.zeros;
    this.#highest[at] = highest % HIGH_UNIT;
    this.#highestHigh[at] = highest / HIGH_UNIT;
    this.#sum[at] = sum % HIGH_UNIT;
    this.#sumHigh[at] = sum / HIGH_UNIT;
    this.#hash[at] = past.hash;
  }

  /** What the 28 days before `day`, which is later than every one that is remembered, come to. */
  figures(i: number, day: number, perDay: number, figures: HistoryFigures): void {
    let days = 0, readings = 0, zeros = 0, highest = 0, completeDays = 0, total = 0;
    for (let d = day - HISTORY_DAYS; d <= this.#latest[i]; d++) {
      const at = this.#placeOf(i, d);
      if (this.#readings[at] === 0) continue;
      days++;
      readings += this.#readings[at];
      zeros += this.#zeros[at];
      highest = Math.max(highest, this.#highestHigh[at] * HIGH_UNIT + this.#highest[at]);
      const sum = this.#sumHigh[at] * HIGH_UNIT + this.#sum[at];
      if (sum === NO_SUM) continue;
      completeDays++;
      total += sum;
    }
    figures.days = days;
    figures.highestMwh = highest;
    figures.areZerosRare = readings >= DAYS_MIN * perDay && zeros * 10 <= readings;
    figures.completeDays = completeDays;
    figures.totalMwh = total;
  }

  /** The latest complete day of the 28 before `day` that has this hash; NaN: none. */
  sameAs(i: number, day: number, hash: number): number {
    for (let d = this.#latest[i]; d >= day - HISTORY_DAYS && d > 0; d--) {
      const at = this.#placeOf(i, d);
      if (this.#readings[at] === 0 || this.#hash[at] !== hash) continue;
      if (this.#sumHigh[at] * HIGH_UNIT + this.#sum[at] !== NO_SUM) return d;
    }
    return NaN;
  }

  /**
   * Packs the days of a series that ended since the last call, or all that are remembered: so, too, of a
   * series that has begun since, of whose name another may be remembered.
   */
  write(writer: ByteWriter, i: number, { isWhole }: { readonly isWhole: boolean }): void {
    const latest = this.#latest[i];
    const areAll = isWhole || this.#written[i] === 0;
    const ended = areAll ? Infinity : latest - this.#written[i];
    const days = latest === 0 ? 0 : Math.min(HISTORY_DAYS, ended);
    writer.i32(latest);
    writer.u8(days | (areAll ? ARE_ALL : 0));
    for (let d = latest - days + 1; d <= latest; d++) {
      const at = this.#placeOf(i, d);
      writer.u16(this.#readings[at]);
      if (this.#readings[at] === 0) continue;
      writer.u16(this.#zeros[at]);
      writer.u32(this.#highest[at]);
      writer.u16(this.#highestHigh[at]);
      writer.u32(this.#sum[at]);
      writer.u16(this.#sumHigh[at]);
      writer.i32(this.#hash[at]);
    }
    this.#written[i] = latest;
  }

  /** Reads what `write` packed, behind what is remembered already. */
  read(reader: ByteReader, i: number): void {
    const latest = reader.i32();
    const said = reader.u8();
    const days = said & ~ARE_ALL;
    if ((said & ARE_ALL) !== 0) this.clear(i);
    const from = Math.max(this.#latest[i] + 1, latest - HISTORY_DAYS + 1);
    for (let d = from; d <= latest - days; d++) this.#readings[this.#placeOf(i, d)] = 0;
    for (let d = latest - days + 1; d <= latest; d++) {
      const at = this.#placeOf(i, d);
      this.#readings[at] = reader.u16();
      if (this.#readings[at] === 0) continue;
      this.#zeros[at] = reader.u16();
      this.#highest[at] = reader.u32();
      this.#highestHigh[at] = reader.u16();
      this.#sum[at] = reader.u32();
      this.#sumHigh[at] = reader.u16();
      this.#hash[at] = reader.i32();
    }
    this.#latest[i] = this.#written[i] = latest;
  }

  #placeOf(i: number, day: number): number {
    const rest = day % HISTORY_DAYS;
    return i * HISTORY_DAYS + (rest < 0 ? rest + HISTORY_DAYS : rest);
  }
}
