import { HASH_PRIME, HASH_SEED, hashText, mixHash, sameText } from "../core/hash.ts";
import type { CopyWriter } from "./copy.ts";

const DAY_MS = 86_400_000;
const MWH_PER_KWH = 1e6;
/** A reading beyond a billion kWh counts as that: a day's sum stays a whole number. */
const MWH_MAX = 1e15;

/** The columns of `readings_meter_daily`, in the order its rows are written. */
export const METER_DAY_COLUMNS: readonly string[] = [
  ...["bucket", "meter_id", "source_partition", "readings", "late_readings", "flagged_readings"],
  ...["consumption_kwh", "first_at", "last_at", "revised_readings", "consumption_mwh"],
  ...["last_offset", "last_late_offset"],
];

/**
 * What a reading adds to its day, in milliwatt-hours: whole numbers, whose sum does not depend on
 * their order. One that replaces another adds the difference.
 */
export function mwhOf(kwh: number, revisesKwh: number | null): number {
  return wholeMwh(kwh) - (revisesKwh === null ? 0 : wholeMwh(revisesKwh));
}

function wholeMwh(kwh: number): number {
  return Math.max(-MWH_MAX, Math.min(MWH_MAX, Math.round(kwh * MWH_PER_KWH)));
}

/** An accepted reading without its meter. */
export type MeterDayReading = {
  readonly timestampMs: number;
  readonly kwh: number;
  /** The value that it replaces; null: none. */
  readonly revisesKwh: number | null;
  readonly offset: number;
  readonly isLate: boolean;
  readonly isFlagged: boolean;
};

type MeterDay = {
  readonly meterId: string;
  readonly day: number;
  readonly hash: number;
  readings: number;
  late: number;
  flagged: number;
  mwh: number;
  firstMs: number;
  lastMs: number;
  revised: number;
  lastOffset: number;
  lastLateOffset: number;
};

/**
 * Accepted readings added up by meter and day (UTC), as `readings_meter_daily` has them. One lookup a
 * reading: a hash table of its own finds a meter by the bytes of a message, without a text for each.
 */
export class MeterDays {
  readonly #days: MeterDay[] = [];
  #buckets = new Int32Array(1024).fill(-1);
  #last: MeterDay | null = null;

  add(meterId: string, reading: MeterDayReading): void {
    // A lone surrogate is written as U+FFFD: two ids must not become one row each of the same key.
    const id = meterId.toWellFormed();
    const day = Math.floor(reading.timestampMs / DAY_MS);
    const hash = mixed(hashText(id), day);
    const mask = this.#buckets.length - 1;
    let b = hash & mask;
    for (let i = this.#buckets[b]; i >= 0; b = (b + 1) & mask, i = this.#buckets[b]) {
      const known = this.#days[i];
      if (known.hash === hash && known.day === day && known.meterId === id) {
        return count(known, reading);
      }
    }
    count(this.#begin({ meterId: id, day, hash }, b), reading);
  }

  /** The same for a meter whose id are the UTF-8 bytes `[start, end)`. */
  addUtf8(bytes: Uint8Array, start: number, end: number, reading: MeterDayReading): void {
    const day = Math.floor(reading.timestampMs / DAY_MS);
    const last = this.#last;
    if (last !== null && last.day === day && sameText(last.meterId, bytes, start, end)) {
      return count(last, reading);
    }
    let textHash = HASH_SEED;
    let all = 0;
    for (let p = start; p < end; p++) {
      all |= bytes[p];
      textHash = Math.imul(textHash ^ bytes[p], HASH_PRIME);
    }
    if (all > 0x7f) return this.add(decoder.decode(bytes.subarray(start, end)), reading);
    const hash = mixed(textHash, day);
    const mask = this.#buckets.length - 1;
    let b = hash & mask;
    for (let i = this.#buckets[b]; i >= 0; b = (b + 1) & mask, i = this.#buckets[b]) {
      const known = this.#days[i];
      if (known.hash !== hash || known.day !== day) continue;
      if (!sameText(known.meterId, bytes, start, end)) continue;
      this.#last = known;
      return count(known, reading);
    }
    const meterId = decoder.decode(bytes.subarray(start, end));
    count(this.#last = this.#begin({ meterId, day, hash }, b), reading);
  }

  /** How many rows there are. */
  get size(): number {
    return this.#days.length;
  }

  /** Writes the rows, in the order the meters and days came. */
  write(writer: CopyWriter, partition: number): CopyWriter {
    for (const one of this.#days) {
      writer.row(METER_DAY_COLUMNS.length);
      writer.timestamp(one.day * DAY_MS);
      writer.text(one.meterId);
      writer.int32(partition);
      writer.int32(one.readings);
      writer.int32(one.late);
      writer.int32(one.flagged);
      writer.float64(one.mwh / MWH_PER_KWH);
      writer.timestamp(one.firstMs);
      writer.timestamp(one.lastMs);
      writer.int32(one.revised);
      writer.int64(one.mwh);
      writer.int64(one.lastOffset);
      writer.int64(one.lastLateOffset);
    }
    return writer;
  }

  #begin(key: { meterId: string; day: number; hash: number }, bucket: number): MeterDay {
    const counts = {
      readings: 0,
      late: 0,
      flagged: 0,
      mwh: 0,
      firstMs: Infinity,
      lastMs: -Infinity,
      revised: 0,
      lastOffset: -1,
      lastLateOffset: -1,
    };
    const begun = { ...key, ...counts };
    this.#buckets[bucket] = this.#days.length;
    this.#days.push(begun);
    if (this.#days.length * 2 > this.#buckets.length) this.#grow();
    return begun;
  }

  #grow(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2).fill(-1);
    const mask = this.#buckets.length - 1;
    this.#days.forEach(({ hash }, i) => {
      let b = hash & mask;
      while (this.#buckets[b] >= 0) b = (b + 1) & mask;
      this.#buckets[b] = i;
    });
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function count(day: MeterDay, reading: MeterDayReading): void {
  const { timestampMs, kwh, revisesKwh, offset, isLate, isFlagged } = reading;
  day.readings++;
  day.mwh += mwhOf(kwh, revisesKwh);
  if (revisesKwh !== null) day.revised++;
  if (offset > day.lastOffset) day.lastOffset = offset;
  if (isLate && offset > day.lastLateOffset) day.lastLateOffset = offset;
  if (isLate) day.late++;
  if (isFlagged) day.flagged++;
  if (timestampMs < day.firstMs) day.firstMs = timestampMs;
  if (timestampMs > day.lastMs) day.lastMs = timestampMs;
}

function mixed(textHash: number, day: number): number {
  return mixHash(Math.imul(textHash ^ day, HASH_PRIME));
}
