import type { SlotRule } from "./slot_rule.ts";
import { unusualDay } from "./unusual_day.ts";

/**
 * `UNIT_SCALE`: the day's sum is more than `times` the mean, or the mean more than `times` the day's
 * sum although a quarter of its slots, at least, are not 0.
 */
export const unitScale = (times: number): SlotRule =>
  unusualDay({
    name: "UNIT_SCALE",
    severity: "error",
    threshold: times,
    limitOf: ({ sumMwh, zeros, slots }, { totalMwh, count }) => {
      if (sumMwh * count > times * totalMwh) return times * totalMwh / count;
      const isSmall = sumMwh * count * times < totalMwh && zeros * 4 <= slots * 3;
      return isSmall ? totalMwh / count / times : NaN;
    },
  });
