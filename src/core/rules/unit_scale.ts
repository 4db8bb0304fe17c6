import { unusualDay } from "./unusual_day.ts";

/**
 * `UNIT_SCALE`: the day's sum is more than 100 × the mean, or less than a hundredth of it although a
 * quarter of its slots, at least, are not 0.
 */
export const unitScale = unusualDay({
  name: "UNIT_SCALE",
  severity: "error",
  limitOf: ({ sumMwh, zeros, slots }, { totalMwh, count }) => {
    if (sumMwh * count > 100 * totalMwh) return 100 * totalMwh / count;
    const isSmall = sumMwh * count * 100 < totalMwh && zeros * 4 <= slots * 3;
    return isSmall ? totalMwh / count / 100 : NaN;
  },
});
