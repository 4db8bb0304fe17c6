/**
 * Quality codes of readings, gaps and estimates: CIM's (IEC 61968-9, `system.category.index`), and
 * those of Green Button (ESPI) and NEM12 that stand for them. The mapping is not one to one.
 */

/** 2²⁴ − 1 Wh in kWh: what a register of 24 bits says when it has no value. */
const SENTINEL_KWH = 16_777.215;

/** What no rule finds fault with, what is missing, and what was estimated. */
export const VALID = "3.0.1";
export const MISSING = "3.5.259";
export const ESTIMATED = "3.8.0";
const SENTINEL = "3.5.257";

/** The code of each rule; of several, the first that a reading fails. */
const CODES: Readonly<Record<string, string>> = {
  NEGATIVE: "3.5.256",
  CAPACITY: "3.6.3",
  UNIT_SCALE: "3.6.1004",
  SPIKE: "3.6.5",
  HIGH_DAY: "3.6.5",
  LOW_DAY: "3.6.6",
  ZERO_RUN: "3.6.1",
  STUCK: "3.6.1001",
  STRAIGHT_LINE: "3.6.1002",
  REPEATED_DAY: "3.6.1003",
  SUM_CHECK: "3.6.1005",
  TIME_SHIFT: "3.4.9",
};
const RULES_OF_CODES = Object.keys(CODES);
/** A rule of the user's own. */
const OTHER_RULE = "3.6.1099";
/** Flags that say nothing of the value. */
const NO_FAULTS: readonly string[] = ["REVISES"];

/** The code of a reading that these rules find fault with. */
export function codeOf(rules: Iterable<string>, kwh: number): string {
  const failed = new Set(rules);
  NO_FAULTS.forEach((flag) => failed.delete(flag));
  if (failed.size === 0) return VALID;
  if (failed.has("CAPACITY") && kwh >= SENTINEL_KWH) return SENTINEL;
  const first = RULES_OF_CODES.find((rule) => failed.has(rule));
  return first === undefined ? OTHER_RULE : CODES[first];
}

/** Green Button's quality of reading; null: it has no reading at all. `method` of an estimate. */
export function greenButtonOf(code: string, method: string | null = null): number | null {
  if (code === MISSING) return null;
  if (code === VALID) return 17;
  if (code === ESTIMATED) return method === "LINEAR" ? 9 : 8;
  return 10;
}

/** NEM12's quality method: A, N, or S with the method of substitution. */
export function nem12Of(code: string, method: string | null = null): string {
  if (code === ESTIMATED) return method === "LINEAR" ? "S17" : method === "SCALED" ? "S24" : "S18";
  return code.startsWith("3.5.") ? "N" : "A";
}

const FROM_GREEN_BUTTON: Readonly<Record<number, string>> = {
  ...{ 7: "3.7.0", 8: "3.8.0", 9: "3.8.0", 10: "3.10.0", 11: "3.11.0", 12: "3.12.0" },
  ...{ 0: "3.0.0", 17: "3.0.0", 18: "3.0.0", 19: "3.0.0" },
};

/** The code of a Green Button reading as it was delivered; null: it says none (14: raw). */
export function codeFromGreenButton(quality: number): string | null {
  return FROM_GREEN_BUTTON[quality] ?? null;
}

/** The code of a NEM12 quality method as it was delivered; null: it is none. */
export function codeFromNem12(quality: string): string | null {
  switch (quality.charAt(0)) {
    case "A":
      return "3.0.0";
    case "S":
    case "F":
    case "E":
      return ESTIMATED;
    case "N":
      return MISSING;
    default:
      return null;
  }
}
