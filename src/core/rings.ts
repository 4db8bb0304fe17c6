import { grown } from "./timers.ts";

/** What has no ring. */
export const NO_RING = -1;
/** Numbers that are held in a ring of a meter whose interval is not known yet. */
export const HELD_NUMBERS_MAX = 16;
/** Rings that a pool has room for when none is taken. */
const ROOM_MIN = 64;

/** Rings of one length, side by side in one array: the values of a series' latest slots. */
export class RingPool {
  readonly intervalMs: number;
  readonly length: number;
  values: Float64Array;
  #size = 0;
  #free: number[] = [];

  constructor(intervalMs: number, length: number) {
    this.intervalMs = intervalMs;
    this.length = length;
    this.values = new Float64Array(ROOM_MIN * length);
  }

  /** A ring of empty slots. */
  take(): number {
    const ring = this.#free.pop() ?? this.#size++;
    if ((ring + 1) * this.length > this.values.length) {
      this.values = grown(this.values, this.values.length * 2);
    }
    this.values.fill(NaN, ring * this.length, (ring + 1) * this.length);
    return ring;
  }

  /** Takes a ring back; when it was the last one, so does the memory that they took. */
  release(ring: number): void {
    this.#free.push(ring);
    if (this.#free.length < this.#size || this.#size <= ROOM_MIN) return;
    this.values = new Float64Array(ROOM_MIN * this.length);
    this.#free = [];
    this.#size = 0;
  }

  /** Where the value of a slot stands. */
  placeOf(ring: number, ordinal: number): number {
    const rest = ordinal % this.length;
    return ring * this.length + (rest < 0 ? rest + this.length : rest);
  }
}
