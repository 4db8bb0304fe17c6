import { parseTimestamp } from "./core/time.ts";
import { buildZone, UTC_ZONE } from "./core/zone.ts";
import type { Setting } from "./setting.ts";

/**
 * A value as its setting takes it, wherever it was written: in YAML, the environment or a program.
 * What cannot be used becomes the error that `refuse` makes of what it must be.
 */
export function checkSetting(
  setting: Setting,
  value: unknown,
  refuse: (must: string) => Error,
): number | string {
  switch (setting.type) {
    case "text":
    case "secret":
      if (typeof value === "string" && (value !== "" || setting.default === "")) return value;
      throw refuse("must be a text, in quotes");
    case "time":
      if (typeof value === "string" && !Number.isNaN(parseTimestamp(value, UTC_ZONE))) return value;
      throw refuse('must be a time, such as "2005-01-01", in quotes');
    case "timezone":
      try {
        if (typeof value === "string") return buildZone(value).name;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
      }
      throw refuse('must be an IANA time zone, such as "Europe/London"');
    case "choice": {
      const choices = setting.choices ?? [];
      const choice = typeof value === "boolean" ? String(value) : value;
      if (typeof choice === "string" && choices.includes(choice)) return choice;
      throw refuse(`must be ${choices.join(" or ")}`);
    }
    case "interval":
    case "tolerance":
      if (value === "auto") return value;
      return checkNumber(setting, value, refuse, ", or auto");
    case "threshold":
      // YAML reads an unquoted `off` as a word, and `false` is what others write.
      if (value === "off" || value === false) return "off";
      return checkNumber(setting, value, refuse, ", or off");
    case "number":
    case "integer":
      return checkNumber(setting, value, refuse, "");
    default:
      return setting.type satisfies never;
  }
}

function checkNumber(
  { type, min = -Infinity, max = Infinity }: Setting,
  value: unknown,
  refuse: (must: string) => Error,
  orElse: string,
): number {
  const whole = type === "integer";
  const usable = typeof value === "number" && value >= min && value <= max &&
    (!whole || Number.isInteger(value));
  if (!usable) {
    throw refuse(`must be a ${whole ? "whole " : ""}number from ${min} to ${max}${orElse}`);
  }
  return value;
}

const DAY_SECONDS = 86_400;

/** A setting that cannot stand beside another, and what it must be. */
export type Contradiction = {
  readonly key: "allowed_lateness_seconds" | "forget_after_days";
  readonly must: string;
};

/** The first setting that contradicts another, which `nameOf` names; null: none does. */
export function findContradiction(
  { allowed_lateness_seconds, state_ttl_days, forget_after_days }: {
    readonly allowed_lateness_seconds: number;
    readonly state_ttl_days: number;
    readonly forget_after_days: number;
  },
  nameOf: (key: "state_ttl_days") => string = (key) => key,
): Contradiction | null {
  const other = nameOf("state_ttl_days");
  const ttlSeconds = state_ttl_days * DAY_SECONDS;
  if (allowed_lateness_seconds >= ttlSeconds) {
    return {
      key: "allowed_lateness_seconds",
      must: `must be less than ${other} (${ttlSeconds} seconds)`,
    };
  }
  if (forget_after_days < state_ttl_days) {
    return { key: "forget_after_days", must: `must not be less than ${other} (${state_ttl_days})` };
  }
  return null;
}
