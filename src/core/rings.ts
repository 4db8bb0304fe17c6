import { grown } from "./timers.ts";

/** What has no ring. */
export const NO_RING = -1;

/** Rings of one length, side by side in one array: the values of a series' latest slots. */
export class RingPool {
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

  /** A ring of empty slots. */
  take(): number {
    const ring = this.#free.pop() ?? this.#size++;
    if ((ring + 1) * this.length > this.values.length) {
      this.values = grown(this.values, this.values.length * 2);
    }
    this.values.fill(NaN, ring * this.length, (ring + 1) * this.length);
    return ring;
  }

  release(ring: number): void {
    this.#free.push(ring);
  }

  /** Where the value of a slot stands. */
  placeOf(ring: number, ordinal: number): number {
    const rest = ordinal % this.length;
    return ring * this.length + (rest < 0 ? rest + this.length : rest);
  }
}
