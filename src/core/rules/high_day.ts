import type { SlotRule } from "./slot_rule.ts";
import { unusualDay } from "./unusual_day.ts";

/** `HIGH_DAY`: the day's sum is more than `times` the mean. */
export const highDay = (times: number): SlotRule =>
  unusualDay({
    name: "HIGH_DAY",
    severity: "warn",
    threshold: times,
    limitOf: ({ sumMwh }, { totalMwh, count }) =>
      sumMwh * count > times * totalMwh ? times * totalMwh / count : NaN,
  });
