import type { Rule } from "./rule.ts";

/**
 * `TIME_SHIFT`: the reading is further off its slot than `time_tolerance_seconds`, or else than a
 * tenth of its interval.
 */
export const timeShift: Rule = {
  name: "TIME_SHIFT",
  fails: (_reading, { offSlotMs, intervalMs }, { timeToleranceMs }) =>
    Math.abs(offSlotMs) > (timeToleranceMs ?? intervalMs / 10),
};
