import { mwhOfPower } from "./energy.ts";

/** 2²⁴ − 1 Wh: what a register of 24 bits says when it has no value. */
const SENTINEL_MWH = 16_777_215_000;

/** The most that a household's connection carries, and that its panels feed in, kW. */
export const DOMESTIC_MAX_KW = 48;

/** Whether an energy is more than a connection of `maxKw` carries in an interval, or a sentinel. */
export function isBeyondCapacity(mwh: number, intervalMs: number, maxKw: number): boolean {
  return mwh >= SENTINEL_MWH || Math.abs(mwh) > mwhOfPower(maxKw, intervalMs);
}
