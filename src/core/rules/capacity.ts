import { mwhOf, mwhOfPower } from "./energy.ts";
import type { Rule } from "./rule.ts";

/** 2²⁴ − 1 Wh: what a register of 24 bits says when it has no value. */
export const SENTINEL_MWH = 16_777_215_000;

/** Whether an energy is more than a connection of `maxKw` carries in an interval, or a sentinel. */
export function isBeyondCapacity(mwh: number, intervalMs: number, maxKw: number): boolean {
  return mwh >= SENTINEL_MWH || mwh > mwhOfPower(maxKw, intervalMs);
}

/**
 * `CAPACITY`: x > `max_kw` · s, with s the interval, or the sentinel of a register of 24 bits (as
 * long as the interval is learned, that alone).
 */
export const capacity: Rule = {
  name: "CAPACITY",
  severity: "error",
  isOn: ({ maxKw }) => maxKw < Infinity,
  limitOf: ({ intervalMs }, { maxKw }) => intervalMs === 0 ? NaN : mwhOfPower(maxKw, intervalMs),
  fails: ({ consumptionKwh }, { intervalMs }, { maxKw }) =>
    isBeyondCapacity(mwhOf(consumptionKwh), intervalMs === 0 ? Infinity : intervalMs, maxKw),
};
