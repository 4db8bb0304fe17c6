import type { SlotRule } from "./slot_rule.ts";

const CHANGES_MIN = 12;

/**
 * `REPEATED_DAY`: a complete day equal, slot for slot, to one of the 28 before it, with 12 changes
 * of value or more.
 */
export const repeatedDay: SlotRule = {
  name: "REPEATED_DAY",
  severity: "warn",
  numbers: 0,
  day(day, _kept, say) {
    const { fromMs, toMs, slots, sumMwh: value, sameAsMs } = day;
    if (day.isComplete && day.changes >= CHANGES_MIN && !Number.isNaN(sameAsMs)) {
      const detail = `equal to ${new Date(sameAsMs).toISOString().slice(0, 10)}`;
      say({ fromMs, toMs, slots, value, limit: NaN, detail });
    }
    return value;
  },
};
