import type { Rule } from "./rule.ts";

/** Whether a value is below 0, which energy on an import channel cannot be; -0 is not. */
export function isNegative(consumptionKwh: number): boolean {
  return consumptionKwh < 0;
}

/** `NEGATIVE`: x < 0, where `validation.negative` lets such readings in. */
export const negative: Rule = {
  name: "NEGATIVE",
  severity: "error",
  isOn: ({ negative }) => negative === "flag",
  fails: ({ consumptionKwh }) => isNegative(consumptionKwh),
};
