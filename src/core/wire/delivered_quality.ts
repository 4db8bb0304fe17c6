/** A quality code as it was delivered is cut to so many characters. */
const LENGTH_MAX = 32;
/** NEM12's S, F and E with or without their method; CIM's category 8; Green Button's 8 and 9. */
const ESTIMATES = /^([SFE]\d{0,2}|\d+\.8\.\d+|8|9)$/;

/** The quality code that a reading was delivered with, as it came; null: it says none. */
export function readQuality(value: unknown): string | null {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return null;
  const trimmed = text.trim().slice(0, LENGTH_MAX);
  return trimmed === "" ? null : trimmed;
}

/** Whether whoever delivered a value with this code has estimated it. */
export function isEstimate(quality: string | null): boolean {
  return quality !== null && ESTIMATES.test(quality);
}
