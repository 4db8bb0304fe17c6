import { HASH_PRIME, HASH_SEED, hashText, mixHash, sameText } from "./hash.ts";
import { Grids } from "./grid.ts";
import type { Hole } from "./hole.ts";
import { HELD_NUMBERS_MAX, NO_RING, RingPool } from "./rings.ts";
import type { SlotFollower } from "./rules/slot_follower.ts";
import { grown, Timers } from "./timers.ts";

/** What is left of a series' slots on an older interval: holes that may still be filled. */
export type PastPiece = {
  readonly intervalMs: number;
  /** Its grid, as it lay last. */
  readonly ordinal: number;
  readonly slotMs: number;
  readonly prevMs: number;
  readonly holes: Hole[];
  readonly marks: number[];
};

/** The times of a series, where its latest forward reading is not the latest in every respect. */
export type Clocks = {
  /** The latest accepted reading: the meter's own clock. */
  readonly maxMs: number;
  /** The latest reading with a good time, whatever became of it. */
  readonly forwardMs: number;
};

/** Equal steps in a row between readings that came forward, which are not the interval. */
export type ContraryRun = {
  /** The time of the reading before the first of them. */
  fromMs: number;
  readonly stepMs: number;
  steps: number;
  /** That a fixed interval is contradicted has been told, once for all. */
  isTold: boolean;
};

/** Slots that its source's clock never had: those before `ordinal` lie `skippedMs` earlier. */
export type Skip = { readonly ordinal: number; readonly skippedMs: number };

/** What is kept of an open or silent gap beside its length, where it is not what it would be. */
export type OpenGap = {
  /** The time in its id, where that is not its first slot any more; NaN: it is. */
  readonly idMs: number;
  /** The most slots it ever had, where that is more than now. */
  readonly most: number;
  /** Its count of unusable readings, once a time to live has passed over it; -1: none has. */
  readonly frozenRejected: number;
};

/**
 * The state of all meters of a partition, a column a field: a million meters in a few hundred
 * bytes each, and nothing for the garbage collector to walk.
 *
 * A meter is an index, valid until it is removed. Its slots are numbered by ordinals; the values of
 * the latest ones, as far back as a late reading can reach, stand in a ring. What few meters have
 * (holes that may still be filled, marks of unusable readings) is kept aside in maps.
 * A silent meter has no ring: what stood in its slots is forgotten.
 */
export class MeterTable {
  readonly timers: Timers;
  /** Whether any of the maps below, but `heldMany` and `unusable`, may hold a meter. */
  hasAside: Uint8Array;
  readonly holes: Map<number, Hole[]> = new Map();
  /** Ordinals of slots for which an unusable reading came, ascending. */
  readonly marks: Map<number, number[]> = new Map();
  /** Of a meter whose interval is not known yet, more readings than its ring holds: `held.ts`. */
  readonly heldMany: Map<number, readonly number[]> = new Map();
  /** Of such a meter, the times of unusable readings, ascending. */
  readonly unusable: Map<number, number[]> = new Map();
  /** Of series whose interval has changed: oldest first. */
  readonly past: Map<number, PastPiece[]> = new Map();
  readonly runs: Map<number, ContraryRun> = new Map();
  readonly skips: Map<number, Skip> = new Map();
  /** Ordinals of slots whose values were delivered as estimates, ascending. */
  readonly estimates: Map<number, number[]> = new Map();
  readonly openGaps: Map<number, OpenGap> = new Map();
  readonly clocks: Map<number, Clocks> = new Map();
  /** The ordinal below which only holes are remembered, where the ring alone does not say it. */
  readonly rememberedFrom: Map<number, number> = new Map();
  /** Follows the slots of each meter for the rules; null: there are none. */
  follower: SlotFollower | null = null;
  /** Those that make `hasAside`. */
  readonly #asides: readonly Map<number, unknown>[] = [
    ...[this.holes, this.marks, this.past, this.runs, this.skips, this.estimates],
    ...[this.openGaps, this.clocks, this.rememberedFrom],
  ];
  /** What rules remember of a meter, each at its place among the rules. */
  readonly memories: Map<number, unknown[]> = new Map();

  readonly grids: Grids;
  /** The ordinal of the first slot: of the history, or of the piece since its interval changed. */
  firstOrdinal: Int32Array;
  /** Length of the open gap as last announced; 0: none. */
  openSent: Int32Array;
  /** Order of creation: timers due together fire in this order, also after a restore. */
  serial: Float64Array;
  nextSerial = 0;
  /** Ids of the meters whose histories began before the last `takeChanges`, and after the one before. */
  begun: readonly string[] = [];

  #ids: string[] = [];
  #hashes: Int32Array;
  #buckets: Int32Array;
  #rings: Int32Array;
  /** The pool used last: most fleets have one interval. */
  #pool = new RingPool(0, HELD_NUMBERS_MAX);
  readonly #pools = new Map([[0, this.#pool]]);
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
    this.grids = new Grids(capacity);
    this.firstOrdinal = new Int32Array(capacity);
    this.hasAside = new Uint8Array(capacity);
    this.openSent = new Int32Array(capacity);
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

  /** See `Grids`. */
  get intervalMs(): Int32Array {
    return this.grids.intervalMs;
  }

  /** See `Grids`. */
  get ordinal(): Int32Array {
    return this.grids.ordinal;
  }

  /** The time of the latest reading that went forward. */
  lastMs(i: number): number {
    return this.grids.slotMs[i] + this.grids.prevMs(i);
  }

  /** See `Clocks`. */
  maxMs(i: number): number {
    return (this.hasAside[i] === 0 ? undefined : this.clocks.get(i)?.maxMs) ?? this.lastMs(i);
  }

  /** See `Clocks`. */
  forwardMs(i: number): number {
    return (this.hasAside[i] === 0 ? undefined : this.clocks.get(i)?.forwardMs) ?? this.lastMs(i);
  }

  /** Sets the clocks of a meter, once its latest forward reading stands. */
  setClocks(i: number, clocks: Clocks): void {
    const lastMs = this.lastMs(i);
    if (clocks.maxMs === this.maxMs(i) && clocks.forwardMs === this.forwardMs(i)) return;
    if (clocks.maxMs !== lastMs || clocks.forwardMs !== lastMs) this.keep(this.clocks, i, clocks);
    else this.clocks.delete(i);
    this.markChanged(i);
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
      if (this.#size === this.serial.length) this.#grow();
      i = this.#size++;
    }
    const hash = mixHash(hashText(id));
    this.#ids[i] = id;
    this.#hashes[i] = hash;
    this.#place(i);
    this.#count++;
    this.intervalMs[i] =
      this.ordinal[i] =
      this.firstOrdinal[i] =
      this.openSent[i] =
        0;
    this.hasAside[i] = 0;
    this.#rings[i] = NO_RING;
    this.serial[i] = this.nextSerial++;
    this.#added.push(id);
    return i;
  }

  /** Forgets a meter; its index may be given to another. */
  remove(i: number): void {
    const id = this.#ids[i];
    this.#unplace(i);
    this.timers.clear(i);
    for (const asides of this.#asides) asides.delete(i);
    this.heldMany.delete(i);
    this.unusable.delete(i);
    this.memories.delete(i);
    this.dropRing(i);
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

  /** Keeps something of a meter in one of the maps for what few have. */
  keep<Aside>(asides: Map<number, Aside>, i: number, aside: Aside): void {
    asides.set(i, aside);
    this.hasAside[i] = 1;
  }

  /** Looks anew whether anything is kept of a meter in the maps for what few have. */
  settleAside(i: number): void {
    if (!this.#asides.some((asides) => asides.has(i))) this.hasAside[i] = 0;
  }

  hasRing(i: number): boolean {
    return this.#rings[i] !== NO_RING;
  }

  /** Gives a meter a ring of empty slots. */
  takeRing(i: number): void {
    this.#rings[i] = this.#poolOf(i).take();
  }

  /** Forgets what stood in the slots of a meter. */
  dropRing(i: number): void {
    const ring = this.#rings[i];
    if (ring === NO_RING) return;
    this.#poolOf(i).release(ring);
    this.#rings[i] = NO_RING;
  }

  /** Whether a meter of a known interval has been silent for its time to live. */
  isSilent(i: number): boolean {
    return this.#rings[i] === NO_RING && this.intervalMs[i] !== 0;
  }

  ringLength(i: number): number {
    return this.#poolOf(i).length;
  }

  /** Whether it is remembered what became of a slot, up to the latest. */
  remembers(i: number, ordinal: number): boolean {
    if (this.#rings[i] === NO_RING || ordinal <= this.ordinal[i] - this.#poolOf(i).length) {
      return false;
    }
    return this.hasAside[i] === 0 || ordinal >= (this.rememberedFrom.get(i) ?? -Infinity);
  }

  /** The value that took this slot; NaN when none did, or the slot is older than the ring. */
  valueAt(i: number, ordinal: number): number {
    const pool = this.#poolOf(i);
    const ring = this.#rings[i];
    if (ring === NO_RING || ordinal <= this.ordinal[i] - pool.length) return NaN;
    return pool.values[pool.placeOf(ring, ordinal)];
  }

  /** Sets the value of a slot up to the latest; the meter must have a ring. */
  setValueAt(i: number, ordinal: number, value: number): void {
    const pool = this.#poolOf(i);
    if (ordinal <= this.ordinal[i] - pool.length) return;
    pool.values[pool.placeOf(this.#rings[i], ordinal)] = value;
  }

  /** Puts the value of the latest slot, which is `steps` ≥ 1 after the one before it. */
  setLatestValue(i: number, steps: number, value: number): void {
    const pool = this.#poolOf(i);
    const ring = this.#rings[i];
    const ordinal = this.ordinal[i];
    for (let s = Math.min(steps, pool.length) - 1; s > 0; s--) {
      pool.values[pool.placeOf(ring, ordinal - s)] = NaN;
    }
    pool.values[pool.placeOf(ring, ordinal)] = value;
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
    const capacity = this.serial.length * 2;
    this.timers.grow(capacity);
    this.follower?.grow(capacity);
    this.grids.grow(capacity);
    this.firstOrdinal = grown(this.firstOrdinal, capacity);
    this.hasAside = grown(this.hasAside, capacity);
    this.openSent = grown(this.openSent, capacity);
    this.serial = grown(this.serial, capacity);
    this.#hashes = grown(this.#hashes, capacity);
    this.#rings = grown(this.#rings, capacity);
    this.#dirty = grown(this.#dirty, capacity);
    this.#buckets = new Int32Array(capacity * 2).fill(-1);
    for (let i = 0; i < this.#size; i++) if (this.#ids[i] !== "") this.#place(i);
  }
}
