import { HASH_PRIME, HASH_SEED, hashText, mixHash, sameText } from "./hash.ts";
import { grown, Timers } from "./timers.ts";

/** A run of slots without a reading between two readings, from where it was first seen to be one. */
export type Hole = {
  /** Ordinal and time of its first slot. */
  from: number;
  fromMs: number;
  /** How many slots it has, and how many of these, from the first on, are judged missing. */
  count: number;
  judged: number;
  /** What was last announced of it; `idMs` is NaN until then. */
  idMs: number;
  sentState: "" | "OPEN" | "CLOSED";
  sentFromMs: number;
  sentCount: number;
  sentRejected: number;
};

/** The first readings of a meter whose interval is not known yet, in time order. */
export type Learning = { readonly timesMs: number[]; readonly values: number[] };

/**
 * The state of all meters of a partition, a column a field: a million meters in a few hundred
 * bytes each, and nothing for the garbage collector to walk.
 *
 * A meter is an index, valid until it is removed. Its slots are numbered by ordinals; the values of
 * the latest ones, as far back as a late reading can reach, stand in a ring. What few meters have
 * (holes that may still be filled, marks of unusable readings, learning) is kept aside in maps.
 */
export class MeterTable {
  readonly timers: Timers;
  readonly holes = new Map<number, Hole[]>();
  /** Ordinals of slots for which an unusable reading came, ascending. */
  readonly marks = new Map<number, number[]>();
  readonly learning = new Map<number, Learning>();
  /** What rules remember of a meter, each at its place among the rules. */
  readonly memories = new Map<number, unknown[]>();

  /** Latest reading that opened a slot, its ordinal, and the ordinal of the history's first slot. */
  lastMs: Float64Array;
  ordinal: Int32Array;
  firstOrdinal: Int32Array;
  /** The latest accepted reading: the meter's own clock. */
  maxMs: Float64Array;
  /** 0 while it is being learned. */
  intervalMs: Int32Array;
  /** Length of the open gap as last announced, 0: none; and its id's time, NaN: its first slot. */
  openSent: Int32Array;
  openIdMs: Float64Array;
  /** Order of creation: timers due together fire in this order, also after a restore. */
  serial: Float64Array;
  nextSerial = 0;
  /** Ids of the meters whose histories began before the last `takeChanges`, and after the one before. */
  begun: readonly string[] = [];

  #ids: string[] = [];
  #hashes: Int32Array;
  #buckets: Int32Array;
  #rings: Int32Array;
  readonly #pools = new Map<number, RingPool>();
  /** The pool used last: most fleets have one interval. */
  #pool = new RingPool(0, 1);
  readonly #ringLengthOf: (intervalMs: number) => number;
  readonly #free: number[] = [];
  #dirty: Uint8Array;
  #changed: number[] = [];
  #added: string[] = [];
  readonly #removed = new Set<string>();
  #size = 0;
  #count = 0;

  /** `ringLengthOf` says how many slots, the latest included, a late reading can reach. */
  constructor(ringLengthOf: (intervalMs: number) => number, capacity = 1024) {
    this.#ringLengthOf = ringLengthOf;
    this.timers = new Timers(capacity);
    this.lastMs = new Float64Array(capacity);
    this.ordinal = new Int32Array(capacity);
    this.firstOrdinal = new Int32Array(capacity);
    this.maxMs = new Float64Array(capacity);
    this.intervalMs = new Int32Array(capacity);
    this.openSent = new Int32Array(capacity);
    this.openIdMs = new Float64Array(capacity);
    this.serial = new Float64Array(capacity);
    this.#hashes = new Int32Array(capacity);
    this.#rings = new Int32Array(capacity);
    this.#dirty = new Uint8Array(capacity);
    this.#buckets = new Int32Array(capacity * 2).fill(-1);
  }

  /** How many meters there are. */
  get count(): number {
    return this.#count;
  }

  idOf(i: number): string {
    return this.#ids[i];
  }

  /** The meter of this id, or -1. */
  find(id: string): number {
    const hash = mixHash(hashText(id));
    const mask = this.#buckets.length - 1;
    for (let b = hash & mask;; b = (b + 1) & mask) {
      const i = this.#buckets[b];
      if (i < 0 || (this.#hashes[i] === hash && this.#ids[i] === id)) return i;
    }
  }

  /** The meter whose id stands in these bytes, which must be ASCII; or -1. */
  findBytes(bytes: Uint8Array, start: number, end: number): number {
    let hash = HASH_SEED;
    for (let p = start; p < end; p++) hash = Math.imul(hash ^ bytes[p], HASH_PRIME);
    hash = mixHash(hash);
    const mask = this.#buckets.length - 1;
    for (let b = hash & mask;; b = (b + 1) & mask) {
      const i = this.#buckets[b];
      if (i < 0) return -1;
      if (this.#hashes[i] === hash && sameText(this.#ids[i], bytes, start, end)) return i;
    }
  }

  /** Adds a meter that must not be there yet; its columns are zero. */
  add(id: string): number {
    let i = this.#free.pop() ?? -1;
    if (i < 0) {
      if (this.#size === this.lastMs.length) this.#grow();
      i = this.#size++;
    }
    const hash = mixHash(hashText(id));
    this.#ids[i] = id;
    this.#hashes[i] = hash;
    this.#place(i);
    this.#count++;
    this.ordinal[i] =
      this.firstOrdinal[i] =
      this.openSent[i] =
      this.intervalMs[i] =
        0;
    this.openIdMs[i] = NaN;
    this.serial[i] = this.nextSerial++;
    this.#added.push(id);
    return i;
  }

  /** Forgets a meter; its index may be given to another. */
  remove(i: number): void {
    const id = this.#ids[i];
    this.#unplace(i);
    this.timers.clear(i);
    this.holes.delete(i);
    this.marks.delete(i);
    this.learning.delete(i);
    this.memories.delete(i);
    if (this.intervalMs[i] > 0) this.#poolOf(i).release(this.#rings[i]);
    this.#removed.add(id);
    this.#ids[i] = "";
    this.#free.push(i);
    this.#count--;
  }

  /** Keeps what the rule at place `r` remembers of a meter, and returns it. */
  remember(i: number, r: number, remembered: unknown): unknown {
    const memories = this.memories.get(i) ?? [];
    memories[r] = remembered;
    this.memories.set(i, memories);
    return remembered;
  }

  /** Fixes the interval of a meter and gives it a ring of empty slots. */
  setInterval(i: number, intervalMs: number): void {
    this.intervalMs[i] = intervalMs;
    this.#rings[i] = this.#poolOf(i).take();
  }

  ringLength(i: number): number {
    return this.#poolOf(i).length;
  }

  /** The value that took this slot; NaN when none did, or the slot is older than the ring. */
  valueAt(i: number, ordinal: number): number {
    const pool = this.#poolOf(i);
    if (ordinal <= this.ordinal[i] - pool.length) return NaN;
    return pool.values[this.#rings[i] * pool.length + modulo(ordinal, pool.length)];
  }

  setValueAt(i: number, ordinal: number, value: number): void {
    const pool = this.#poolOf(i);
    if (ordinal <= this.ordinal[i] - pool.length) return;
    pool.values[this.#rings[i] * pool.length + modulo(ordinal, pool.length)] = value;
  }

  /** Moves the latest slot on by `steps` ≥ 1, the slots between left empty. */
  moveOn(i: number, steps: number, timestampMs: number, value: number): void {
    const pool = this.#poolOf(i);
    const base = this.#rings[i] * pool.length;
    const ordinal = this.ordinal[i] + steps;
    for (let s = Math.min(steps, pool.length) - 1; s > 0; s--) {
      pool.values[base + modulo(ordinal - s, pool.length)] = NaN;
    }
    pool.values[base + modulo(ordinal, pool.length)] = value;
    this.ordinal[i] = ordinal;
    this.lastMs[i] = timestampMs;
  }

  markChanged(i: number): void {
    if (this.#dirty[i] === 1) return;
    this.#dirty[i] = 1;
    this.#changed.push(i);
  }

  /** Meters changed, and ids removed, since the last call. An id is in one of the two at most. */
  takeChanges(): { changed: number[]; removed: string[] } {
    const changed: number[] = [];
    for (const i of this.#changed) {
      if (this.#dirty[i] === 0) continue;
      this.#dirty[i] = 0;
      if (this.#ids[i] !== "") changed.push(i);
    }
    for (const i of changed) this.#removed.delete(this.#ids[i]);
    const removed = [...this.#removed];
    this.#removed.clear();
    this.#changed = [];
    this.begun = this.#added;
    this.#added = [];
    return { changed, removed };
  }

  /** Every meter's index, in no particular order. */
  *indexes(): Generator<number> {
    for (let i = 0; i < this.#size; i++) if (this.#ids[i] !== "") yield i;
  }

  #poolOf(i: number): RingPool {
    const intervalMs = this.intervalMs[i];
    if (intervalMs === this.#pool.intervalMs) return this.#pool;
    let pool = this.#pools.get(intervalMs);
    if (pool === undefined) {
      pool = new RingPool(intervalMs, this.#ringLengthOf(intervalMs));
      this.#pools.set(intervalMs, pool);
    }
    this.#pool = pool;
    return pool;
  }

  #place(i: number): void {
    const mask = this.#buckets.length - 1;
    let b = this.#hashes[i] & mask;
    while (this.#buckets[b] >= 0) b = (b + 1) & mask;
    this.#buckets[b] = i;
  }

  /** Takes a meter out of the open-addressing table, closing up the run behind it. */
  #unplace(i: number): void {
    const mask = this.#buckets.length - 1;
    let hole = this.#hashes[i] & mask;
    while (this.#buckets[hole] !== i) hole = (hole + 1) & mask;
    for (let b = (hole + 1) & mask;; b = (b + 1) & mask) {
      const other = this.#buckets[b];
      if (other < 0) break;
      const home = this.#hashes[other] & mask;
      if (((b - home) & mask) >= ((b - hole) & mask)) {
        this.#buckets[hole] = other;
        hole = b;
      }
    }
    this.#buckets[hole] = -1;
  }

  #grow(): void {
    const capacity = this.lastMs.length * 2;
    this.timers.grow(capacity);
    this.lastMs = grown(this.lastMs, capacity);
    this.ordinal = grown(this.ordinal, capacity);
    this.firstOrdinal = grown(this.firstOrdinal, capacity);
    this.maxMs = grown(this.maxMs, capacity);
    this.intervalMs = grown(this.intervalMs, capacity);
    this.openSent = grown(this.openSent, capacity);
    this.openIdMs = grown(this.openIdMs, capacity);
    this.serial = grown(this.serial, capacity);
    this.#hashes = grown(this.#hashes, capacity);
    this.#rings = grown(this.#rings, capacity);
    this.#dirty = grown(this.#dirty, capacity);
    this.#buckets = new Int32Array(capacity * 2).fill(-1);
    for (let i = 0; i < this.#size; i++) if (this.#ids[i] !== "") this.#place(i);
  }
}

/** Rings of one length, side by side in one array. */
class RingPool {
  readonly intervalMs: number;
  readonly length: number;
  values: Float64Array;
  #size = 0;
  readonly #free: number[] = [];

  constructor(intervalMs: number, length: number) {
    this.intervalMs = intervalMs;
    this.length = length;
    this.values = new Float64Array(64 * length);
  }

  take(): number {
    const slot = this.#free.pop() ?? this.#size++;
    if ((slot + 1) * this.length > this.values.length) {
      this.values = grown(this.values, this.values.length * 2);
    }
    this.values.fill(NaN, slot * this.length, (slot + 1) * this.length);
    return slot;
  }

  release(slot: number): void {
    this.#free.push(slot);
  }
}

function modulo(value: number, length: number): number {
  const rest = value % length;
  return rest < 0 ? rest + length : rest;
}
