import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Digest, hashOfText, RowHash } from "../../tables/digest.ts";
import { mwhOf } from "../../tables/meter_days.ts";
import type { ReadingColumns } from "./batch.ts";
import type { DigestBook } from "./digest_book.ts";
import { SlotText } from "./slot_text.ts";

const DAY_MS = 86_400_000;
const NO_CHANNEL = "";

type Hashed = { readonly low: number; readonly high: number };
const CHANNEL_HASH = hashOfText(NO_CHANNEL);

/**
 * A reading as `slots` has it: second of the day, kWh, offset, and where there are any delay, flags,
 * the value that it replaces, when it arrived, in seconds since the day began, and the quality that it
 * was delivered with.
 */
export type Slot = [
  ...[number, number, number, (number | null)?, string[]?],
  ...[(number | null)?, (number | null)?, string?],
];

/** What a meter's day adds up to. */
export type DaySum = {
  readings: number;
  late: number;
  flagged: number;
  /** Milliwatt-hours: whole numbers, whose sum does not depend on their order. */
  mwh: number;
  firstMs: number;
  lastMs: number;
  revised: number;
  lastOffset: number;
  lastLateOffset: number;
};

/** The sum of no readings. */
export function emptySum(): DaySum {
  const counts = { readings: 0, late: 0, flagged: 0, mwh: 0, revised: 0 };
  const span = { firstMs: Infinity, lastMs: -Infinity };
  return { ...counts, ...span, lastOffset: -1, lastLateOffset: -1 };
}

/** Adds a reading at `ms` of the day. */
export function addToSum(
  sum: DaySum,
  { ms, kwh, revisesKwh, offset, isLate, isFlagged }: {
    readonly ms: number;
    readonly kwh: number;
    readonly revisesKwh: number | null;
    readonly offset: number;
    readonly isLate: boolean;
    readonly isFlagged: boolean;
  },
): void {
  sum.readings++;
  if (isLate) sum.late++;
  if (isFlagged) sum.flagged++;
  sum.mwh += mwhOf(kwh, revisesKwh);
  if (revisesKwh !== null) sum.revised++;
  if (offset > sum.lastOffset) sum.lastOffset = offset;
  if (isLate && offset > sum.lastLateOffset) sum.lastLateOffset = offset;
  if (ms < sum.firstMs) sum.firstMs = ms;
  if (ms > sum.lastMs) sum.lastMs = ms;
}

/** A meter's day, as far as a commit knows it. */
type MeterDay = {
  readonly day: number;
  readonly meterId: string;
  readonly sum: DaySum;
  /** Where its readings begin among those put in order, once all are counted. */
  start: number;
};

/** Hashes a reading as the row of `validated_readings` that it is. */
export function hashReading(
  hash: RowHash,
  meter: { readonly id: Hashed; readonly channel: Hashed },
  { timeMs, kwh, revisesKwh, receivedMs, offset, delaySeconds, partition, quality }: {
    readonly timeMs: number;
    readonly kwh: number;
    readonly revisesKwh: number | null;
    readonly receivedMs: number | null;
    readonly offset: number;
    readonly delaySeconds: number | null;
    readonly partition: number;
    /** Empty: none, and the hash is that of a version which knew of none. */
    readonly quality: string;
  },
  flags: Hashed | null,
): RowHash {
  hash.begin().number(timeMs).hashedText(meter.id.low, meter.id.high);
  hash.hashedText(meter.channel.low, meter.channel.high).number(kwh);
  if (delaySeconds === null) hash.null();
  else hash.number(delaySeconds);
  if (flags === null) hash.null();
  else hash.hashedText(flags.low, flags.high);
  if (revisesKwh !== null) hash.number(revisesKwh);
  if (receivedMs !== null) hash.number(receivedMs);
  if (quality !== "") hash.text(quality);
  return hash.number(partition).number(offset);
}

/** Writes accepted readings as the days of their meters. */
export class ReadingDays {
  readonly #slots: StatementSync;
  readonly #sums: StatementSync;
  readonly #totals: StatementSync;
  readonly #digests: DigestBook;
  readonly #hash = new RowHash();
  readonly #text = new SlotText();

  constructor(database: DatabaseSync, digests: DigestBook) {
    this.#digests = digests;
    // Two arrays become one: the first without its `]`, a comma, the second without its `[`.
    this.#slots = database.prepare(
      `INSERT INTO reading_days VALUES (?, ?, '${NO_CHANNEL}', ?, CAST(? AS TEXT))
       ON CONFLICT DO UPDATE SET
         slots = substr(slots, 1, length(slots) - 1) || ',' || substr(excluded.slots, 2)`,
    );
    this.#sums = database.prepare(
      `INSERT INTO meter_days VALUES (?, ?, '${NO_CHANNEL}', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         readings = readings + excluded.readings,
         late_readings = late_readings + excluded.late_readings,
         flagged_readings = flagged_readings + excluded.flagged_readings,
         consumption_mwh = consumption_mwh + excluded.consumption_mwh,
         first_ms = min(first_ms, excluded.first_ms),
         last_ms = max(last_ms, excluded.last_ms),
         revised_readings = revised_readings + excluded.revised_readings,
         last_offset = max(last_offset, excluded.last_offset),
         last_late_offset = max(last_late_offset, excluded.last_late_offset)`,
    );
    this.#totals = database.prepare(
      `INSERT INTO meter_totals VALUES (?, '${NO_CHANNEL}', ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         readings = readings + excluded.readings,
         late_readings = late_readings + excluded.late_readings,
         flagged_readings = flagged_readings + excluded.flagged_readings,
         first_ms = min(first_ms, excluded.first_ms),
         last_ms = max(last_ms, excluded.last_ms),
         revised_readings = revised_readings + excluded.revised_readings,
         last_offset = max(last_offset, excluded.last_offset),
         last_late_offset = max(last_late_offset, excluded.last_late_offset)`,
    );
  }

  write(readings: ReadingColumns, partition: number): void {
    const { days, places } = this.#count(readings, partition);
    const order = orderOf(days, places);
    // In the order of the key: the rows of a page are written one after another.
    days.sort((a, b) => a.day - b.day || (a.meterId < b.meterId ? -1 : 1));
    for (const one of days) {
      const slots = this.#slotsOf(one, readings, order);
      this.#slots.run(one.day, one.meterId, partition, slots);
      this.#sums.run(one.day, one.meterId, partition, ...sumColumns(one.sum));
    }
    for (const [meterId, total] of totalsOf(days)) {
      this.#totals.run(meterId, partition, ...sumColumns(total).toSpliced(MWH_AT, 1));
    }
  }

  /** Adds the readings up by meter and day; `places` says which of the days each belongs to. */
  #count(readings: ReadingColumns, partition: number) {
    const { count, meterIds, flagSets, meters, flags, timesMs, kwh, offsets } = readings;
    const { delaysMs, revisesKwh: revised, receivedMs: received, qualities } = readings;
    const meterHashes = meterIds.map((id) => ({ id: hashOfText(id), channel: CHANNEL_HASH }));
    const flagHashes = flagSets.map((set) => set.length === 0 ? null : hashOfText(set.join(",")));
    const days: MeterDay[] = [];
    const places = new Int32Array(count);
    const known = new Map<number, number>();
    const digests = new Map<number, Digest>();
    for (let r = 0; r < count; r++) {
      const timeMs = timesMs[r];
      const day = Math.floor(timeMs / DAY_MS);
      const meter = meters[r];
      const key = day * meterIds.length + meter;
      let place = known.get(key);
      if (place === undefined) {
        known.set(key, place = days.length);
        days.push({ day, meterId: meterIds[meter], sum: emptySum(), start: 0 });
      }
      places[r] = place;
      let digest = digests.get(day);
      if (digest === undefined) {
        digest = this.#digests.of({ table: "validated_readings", partition, day });
        digests.set(day, digest);
      }
      const delaySeconds = numberOrNull(delaysMs[r] / 1000);
      const revisesKwh = numberOrNull(revised[r]);
      const offset = offsets[r];
      const isLate = delaySeconds !== null;
      const ms = timeMs - day * DAY_MS;
      const isFlagged = flags[r] > 0;
      addToSum(days[place].sum, { ms, kwh: kwh[r], revisesKwh, offset, isLate, isFlagged });
      const quality = qualities[readings.quality[r]];
      const value = { timeMs, kwh: kwh[r], revisesKwh, offset, delaySeconds, partition, quality };
      const values = { ...value, receivedMs: numberOrNull(received[r]) };
      hashReading(this.#hash, meterHashes[meter], values, flagHashes[flags[r]]).addTo(digest);
    }
    return { days, places };
  }

  #slotsOf(
    { day, start, sum }: MeterDay,
    readings: ReadingColumns,
    order: Int32Array,
  ): Uint8Array<ArrayBuffer> {
    const { timesMs, kwh, offsets, flags, flagSets, delaysMs, revisesKwh: revised } = readings;
    const { receivedMs: received } = readings;
    const text = this.#text;
    text.begin();
    for (let at = start; at < start + sum.readings; at++) {
      const r = order[at];
      const seconds = (timesMs[r] - day * DAY_MS) / 1000;
      const delaySeconds = numberOrNull(delaysMs[r] / 1000);
      const revisesKwh = numberOrNull(revised[r]);
      const receivedSeconds = numberOrNull((received[r] - day * DAY_MS) / 1000);
      const quality = readings.qualities[readings.quality[r]];
      const value = { seconds, kwh: kwh[r], offset: offsets[r], delaySeconds, revisesKwh, quality };
      text.add({ ...value, receivedSeconds }, flagSets[flags[r]]);
    }
    return text.finish();
  }
}

/** A number of a column; NaN stands for none. */
function numberOrNull(value: number): number | null {
  return value === value ? value : null;
}

/** Where milliwatt-hours stand among the columns of a sum. */
export const MWH_AT = 3;

/** A sum in the order of its columns. */
export function sumColumns(sum: DaySum): number[] {
  const { readings, late, flagged, mwh, firstMs, lastMs, revised, lastOffset } = sum;
  return [readings, late, flagged, mwh, firstMs, lastMs, revised, lastOffset, sum.lastLateOffset];
}

/** The days of each meter added up, with times since 1970. */
function totalsOf(days: readonly MeterDay[]): Map<string, DaySum> {
  const totals = new Map<string, DaySum>();
  for (const { day, meterId, sum } of days) {
    let total = totals.get(meterId);
    if (total === undefined) totals.set(meterId, total = emptySum());
    total.readings += sum.readings;
    total.late += sum.late;
    total.flagged += sum.flagged;
    total.firstMs = Math.min(total.firstMs, day * DAY_MS + sum.firstMs);
    total.lastMs = Math.max(total.lastMs, day * DAY_MS + sum.lastMs);
    total.revised += sum.revised;
    total.lastOffset = Math.max(total.lastOffset, sum.lastOffset);
    total.lastLateOffset = Math.max(total.lastLateOffset, sum.lastLateOffset);
  }
  return totals;
}

/** The readings of each day one behind another, in the order they came; sets where each day starts. */
function orderOf(days: readonly MeterDay[], places: Int32Array): Int32Array {
  const next = new Int32Array(days.length);
  let start = 0;
  days.forEach((one, place) => {
    next[place] = one.start = start;
    start += one.sum.readings;
  });
  const order = new Int32Array(places.length);
  for (let r = 0; r < places.length; r++) order[next[places[r]]++] = r;
  return order;
}
