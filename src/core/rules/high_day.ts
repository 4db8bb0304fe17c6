import { unusualDay } from "./unusual_day.ts";

/** `HIGH_DAY`: the day's sum is more than 5 × the mean. */
export const highDay = unusualDay({
  name: "HIGH_DAY",
  severity: "warn",
  limitOf: ({ sumMwh }, { totalMwh, count }) =>
    sumMwh * count > 5 * totalMwh ? 5 * totalMwh / count : NaN,
});
