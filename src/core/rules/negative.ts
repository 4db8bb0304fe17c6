import type { Rule } from "./rule.ts";

/** Whether a value is below 0, which energy on an import channel cannot be; -0 is not. */
export function isNegative(consumptionKwh: number): boolean {
  return consumptionKwh < 0;
}

/** `NEGATIVE`: x < 0. It flags what `validation.negative` lets in. */
export const negative: Rule = {
  name: "NEGATIVE",
  fails: ({ consumptionKwh }) => isNegative(consumptionKwh),
};
