import type { SlotRule } from "./slot_rule.ts";
import { unusualDay } from "./unusual_day.ts";

/** `LOW_DAY`: the mean is more than `times` the day's sum. */
export const lowDay = (times: number): SlotRule =>
  unusualDay({
    name: "LOW_DAY",
    severity: "warn",
    threshold: times,
    limitOf: ({ sumMwh }, { totalMwh, count }) =>
      sumMwh * count * times < totalMwh ? totalMwh / count / times : NaN,
  });
