import type { Clock } from "./ports.ts";

export type PaceOptions = {
  /** Readings a second, ticks not counted; Infinity: as fast as they are taken. */
  readonly ratePerSecond: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** Longest time a paced replay sleeps, and with it the time to stop. */
const SLICE_MS = 50;

/** Holds a replay to a rate. */
export class Pace {
  readonly #options: PaceOptions;
  readonly #startedAtMs: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.nowMs();
  }

  /** Whether more readings than are due by now were taken. */
  isAhead(readings: number): boolean {
    const { clock, ratePerSecond } = this.#options;
    if (ratePerSecond === Infinity) return false;
    return readings > (clock.nowMs() - this.#startedAtMs) / 1000 * ratePerSecond;
  }

  /** Sleeps until the next reading is due, or it is aborted; `onSlice` before each short sleep. */
  async wait(readings: number, onSlice: () => Promise<void>): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted && this.isAhead(readings)) {
      await onSlice();
      await clock.sleep(SLICE_MS, signal);
    }
  }
}
