import type { JudgedDay, RuleNumbers, Say, Severity, SlotRule } from "./slot_rule.ts";

/** Complete days among the 28 before, without which nothing is unusual. */
const DAYS_MIN = 7;
/** Their mean must be 0.5 kWh at least. */
const MEAN_MWH_MIN = 500_000;
/** Its number: where the days in a row begin. */
const FROM_MS = 0;

/** The mean of the days before as a fraction: total by count. */
export type DayMean = { readonly totalMwh: number; readonly count: number };

/**
 * A rule on complete days against the mean of at least 7 complete ones of the 28 before. `limitOf`
 * gives the limit that the day fails, milliwatt-hours; NaN: it does not. Days in a row are one.
 */
export function unusualDay(
  { name, severity, threshold, limitOf }: {
    readonly name: string;
    readonly severity: Severity;
    readonly threshold: number;
    readonly limitOf: (day: JudgedDay, mean: DayMean) => number;
  },
): SlotRule {
  return {
    name,
    severity,
    threshold,
    numbers: 1,
    day(day, kept, say) {
      if (!day.isNext) kept.set(FROM_MS, 0);
      const { completeDays: count, totalMwh, sumMwh } = day;
      const isJudged = day.isComplete && count >= DAYS_MIN && totalMwh >= MEAN_MWH_MIN * count;
      const limit = isJudged ? limitOf(day, { totalMwh, count }) : NaN;
      if (Number.isNaN(limit)) {
        kept.set(FROM_MS, 0);
        return sumMwh;
      }
      sayDays(day, limit, kept, say);
      return limit;
    },
  };
}

function sayDays(day: JudgedDay, limit: number, kept: RuleNumbers, say: Say): void {
  if (kept.get(FROM_MS) === 0) kept.set(FROM_MS, day.fromMs);
  const fromMs = kept.get(FROM_MS);
  const days = Math.round((day.toMs - fromMs) / (day.toMs - day.fromMs));
  const slots = days * day.slots;
  say({ fromMs, toMs: day.toMs, slots, value: day.sumMwh, limit, detail: "" });
}
