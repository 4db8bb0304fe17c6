import { unusualDay } from "./unusual_day.ts";

/** `LOW_DAY`: the day's sum is less than a fifth of the mean. */
export const lowDay = unusualDay({
  name: "LOW_DAY",
  severity: "warn",
  limitOf: ({ sumMwh }, { totalMwh, count }) =>
    sumMwh * count * 5 < totalMwh ? totalMwh / count / 5 : NaN,
});
