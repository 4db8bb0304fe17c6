/**
 * A store's values as JSON has them. Drivers disagree: a bigint is a number, a string or a bigint;
 * a timestamptz is a Date or a string.
 */

/** A number; null and undefined are 0, as a sum over no rows is. */
export function toNumber(value: unknown): number {
  return value === null || value === undefined ? 0 : Number(value);
}

/** A number, or null where there is none. */
export function toNumberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** Text, or null where there is none. */
export function toTextOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

/** A list of texts, which is JSON text in the embedded store; empty where there is none. */
export function toTexts(value: unknown): string[] {
  const list = typeof value === "string" ? JSON.parse(value) : value;
  return Array.isArray(list) ? list.map(String) : [];
}

/** Epoch milliseconds of a timestamptz, or null where there is none. */
export function toMsOrNull(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const ms = value instanceof Date ? value.getTime() : new Date(String(value)).getTime();
  return Number.isNaN(ms) ? null : ms;
}

/** ISO 8601 in UTC with `Z`, without a fraction when it is whole seconds. */
export function isoFromMs(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString().replace(".000Z", "Z");
}

/** ISO 8601 of a timestamptz, or null where there is none. */
export function toIsoOrNull(value: unknown): string | null {
  return isoFromMs(toMsOrNull(value));
}

/** `part` of `part + rest` in percent, to a thousandth, never rounded up to 100; null of nothing. */
export function percentOf(part: number, rest: number): number | null {
  if (part + rest <= 0) return null;
  if (rest <= 0) return 100;
  return Math.min(99.999, Math.round((part / (part + rest)) * 100_000) / 1000);
}
