import type { SlotRule } from "./slot_rule.ts";

/**
 * `REPEATED_DAY`: a complete day equal, slot for slot, to one of the 28 before it, with `changesMin`
 * changes of value or more.
 */
export const repeatedDay = (changesMin: number): SlotRule => ({
  name: "REPEATED_DAY",
  severity: "warn",
  threshold: changesMin,
  numbers: 0,
  day(day, _kept, say) {
    const { fromMs, toMs, slots, sumMwh: value, sameAsMs } = day;
    if (day.isComplete && day.changes >= changesMin && !Number.isNaN(sameAsMs)) {
      const detail = `equal to ${new Date(sameAsMs).toISOString().slice(0, 10)}`;
      say({ fromMs, toMs, slots, value, limit: NaN, detail });
    }
    return value;
  },
});
