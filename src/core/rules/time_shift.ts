import type { Rule } from "./rule.ts";

/**
 * `TIME_SHIFT`: the reading is further off its slot than `time_tolerance_seconds`, or else than a
 * tenth of its interval, and so far off from where the latest reading before it lay on its own. So
 * a steady offset, or a clock that drifts, is not flagged reading by reading.
 */
export const timeShift: Rule = {
  name: "TIME_SHIFT",
  looksAtPlaceOnly: true,
  fails: (_reading, { offSlotMs, offBeforeMs, intervalMs }, { timeToleranceMs }) => {
    const limitMs = timeToleranceMs ?? intervalMs / 10;
    return Math.abs(offSlotMs) > limitMs && Math.abs(offSlotMs - offBeforeMs) > limitMs;
  },
};
