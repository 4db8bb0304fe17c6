import type { DateOrder, Profile, Unit } from "./profile.ts";

/* A profile that a user wrote, as what its YAML says: docs/formats.md describes it. */

const UNITS: readonly Unit[] = ["kWh", "Wh", "MWh", "W", "kW"];
const ORDERS: readonly DateOrder[] = ["ymd", "dmy", "mdy"];
const KEYS = [
  ...["name", "about", "header", "meter", "meter_above", "time", "clock", "value", "wide"],
  ...["channel", "channels", "unit_column", "unit", "unit_above", "date_order", "label"],
  ...["minutes", "minutes_above", "decimal", "timezone"],
] as const;

type Said = { readonly [key in (typeof KEYS)[number]]?: unknown };

/** What is wrong with a profile, with the key. */
export class ProfileError extends Error {
  override name = "ProfileError";
}

/**
 * The profile that was written; columns are named as they stand, or by a pattern: `/^V\d+$/`.
 *
 * @throws {ProfileError} for what cannot be
 */
export function ownProfile(said: unknown, name: string): Profile {
  if (typeof said !== "object" || said === null || Array.isArray(said)) {
    throw new ProfileError("must be keys and values");
  }
  const unknown = Object.keys(said).find((key) => !(KEYS as readonly string[]).includes(key));
  if (unknown !== undefined) {
    throw new ProfileError(`${unknown}: there is no such key; there are ${KEYS.join(", ")}`);
  }
  const keys = said as Said;
  const time = patternOf(keys, "time");
  const value = patternOf(keys, "value");
  if (time === undefined) throw new ProfileError("time: must name the column of times");
  if (value === undefined) throw new ProfileError("value: must name the column of values");
  const named = [patternOf(keys, "meter"), time, patternOf(keys, "clock"), value];
  const header = keys.header === undefined
    ? named.filter((pattern) => pattern !== undefined)
    : listOf(keys.header).map((one) => toPattern("header", one));
  return {
    name: textOf(keys, "name") ?? name,
    about: textOf(keys, "about") ?? "a profile of your own",
    header,
    time,
    value,
    meter: patternOf(keys, "meter"),
    meterAbove: patternOf(keys, "meter_above"),
    clock: patternOf(keys, "clock"),
    wide: oneOf(keys, "wide", ["meter", "channel", "clock"] as const),
    channel: patternOf(keys, "channel"),
    channels: channelsOf(keys.channels),
    unitColumn: patternOf(keys, "unit_column"),
    unit: oneOf(keys, "unit", UNITS),
    unitAbove: patternOf(keys, "unit_above"),
    dateOrder: oneOf(keys, "date_order", ORDERS),
    label: oneOf(keys, "label", ["start", "end"] as const),
    minutes: minutesOf(keys.minutes),
    minutesAbove: patternOf(keys, "minutes_above"),
    decimal: oneOf(keys, "decimal", ["point", "comma"] as const),
    timezone: textOf(keys, "timezone"),
  };
}

const listOf = (said: unknown): unknown[] => Array.isArray(said) ? said : [said];

function toPattern(key: string, said: unknown): RegExp {
  if (typeof said !== "string" && typeof said !== "number") {
    throw new ProfileError(`${key}: must be a column's name, or a pattern between slashes`);
  }
  const text = String(said);
  const pattern = /^\/(.*)\/$/.exec(text)?.[1];
  if (pattern === undefined) {
    return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`, "i");
  }
  try {
    return new RegExp(pattern, "i");
  } catch (cause) {
    throw new ProfileError(`${key}: ${text} is no pattern`, { cause });
  }
}

function patternOf(said: Said, key: keyof Said): RegExp | undefined {
  return said[key] === undefined ? undefined : toPattern(key, said[key]);
}

function textOf(said: Said, key: keyof Said): string | undefined {
  const value = said[key];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "") throw new ProfileError(`${key}: must be a text`);
  return value;
}

function oneOf<Value extends string>(
  said: Said,
  key: keyof Said,
  values: readonly Value[],
): Value | undefined {
  if (said[key] === undefined) return undefined;
  const found = values.find((value) => value === said[key]);
  if (found === undefined) throw new ProfileError(`${key}: must be one of ${values.join(", ")}`);
  return found;
}

function minutesOf(said: unknown): number | undefined {
  if (said === undefined) return undefined;
  if (typeof said !== "number" || !(said > 0 && said <= 1440)) {
    throw new ProfileError("minutes: must be a number from 1 to 1440");
  }
  return said;
}

function channelsOf(said: unknown): Profile["channels"] {
  if (said === undefined) return undefined;
  if (typeof said !== "object" || said === null || Array.isArray(said)) {
    throw new ProfileError("channels: must be names, each with how its rows say it");
  }
  return Object.fromEntries(
    Object.entries(said).map(([name, pattern]) => [name, toPattern("channels", pattern)]),
  );
}
