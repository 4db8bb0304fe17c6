import type { Setting } from "./setting.ts";
import { type Config, type Key, SETTINGS } from "./settings.ts";
import type { ProcessorOptions } from "./core/options.ts";
import { RULES, slotRulesOf } from "./core/rules/rules.ts";
import type { SlotRule } from "./core/rules/slot_rule.ts";
import { parseTimestamp } from "./core/time.ts";
import { buildZone, UTC_ZONE } from "./core/zone.ts";

/** How many readings an interval is learned from at the latest. */
const LEARNING_READINGS = 48;

/** What the core of one partition is told. */
export function processorOptions(
  config: Config,
  partition: number,
  nowMs: number | null,
): ProcessorOptions {
  const minutes = config.expected_interval_minutes;
  const tolerance = config.time_tolerance_seconds;
  return {
    partition,
    watermarkScope: config.watermark_scope,
    outOfOrdernessMs: config.out_of_orderness_seconds * 1000,
    allowedLatenessMs: config.allowed_lateness_seconds * 1000,
    gapGraceMs: config.grace_period_seconds * 1000,
    timeToleranceMs: tolerance === "auto" ? null : tolerance * 1000,
    stateTtlMs: config.state_ttl_days * 86_400_000,
    forgetAfterMs: config.forget_after_days * 86_400_000,
    expectedIntervalMs: minutes === "auto" ? "auto" : minutes * 60_000,
    intervalMsByMeter: config.meters,
    learningReadings: LEARNING_READINGS,
    zone: buildZone(config.timezone),
    revisions: config.revisions,
    metersMax: config.meters_max,
    minTimestampMs: parseTimestamp(config["validation.min_timestamp"], UTC_ZONE),
    maxKwh: config["validation.max_kwh"],
    maxFutureMs: config["validation.max_future_seconds"] * 1000,
    rules: [...RULES, ...config.ownRules.flatMap(({ rule }) => "fails" in rule ? [rule] : [])],
    slotRules: slotRulesWith(config),
    maxKw: thresholdOf(config["validation.max_kw"]) ?? Infinity,
    negative: config["validation.negative"],
    nowMs,
    rejectedRawBytesMax: config["validation.raw_bytes_max"],
  };
}

/** The rules that follow slots: ours by their thresholds, and the user's own. */
function slotRulesWith(config: Config): SlotRule[] {
  return [
    ...slotRulesOf({
      spikeTimes: thresholdOf(config["validation.spike_times"]),
      highDayTimes: thresholdOf(config["validation.high_day_times"]),
      lowDayTimes: thresholdOf(config["validation.low_day_times"]),
      unitScaleTimes: thresholdOf(config["validation.unit_scale_times"]),
      zeroRunHours: thresholdOf(config["validation.zero_run_hours"]),
      stuckHours: thresholdOf(config["validation.stuck_hours"]),
      straightLineReadings: thresholdOf(config["validation.straight_line_readings"]),
      repeatedDayChanges: thresholdOf(config["validation.repeated_day_changes"]),
    }),
    ...config.ownRules.flatMap(({ rule }) => "fails" in rule ? [] : [rule]),
  ];
}

/** A rule's threshold; null: the rule is off. */
function thresholdOf(value: number | "off"): number | null {
  return value === "off" ? null : value;
}

/** What readings are judged by. */
export type JudgingFingerprint = {
  /** 16 hexadecimal digits of the SHA-256 of every judging setting's name and value. */
  readonly hash: string;
  /** The same by name, as text to compare and to show; many `meters` are a count and a hash. */
  readonly values: Readonly<Record<string, string>>;
};

const METERS_TEXT_MAX = 200;

/** The settings marked `judges`, by name, as text; `meters` is not among them. */
export function judgingValues(config: Config): Readonly<Record<string, string>> {
  const keys = (Object.keys(SETTINGS) as Key[]).filter((key) => {
    const setting: Setting = SETTINGS[key];
    return setting.judges === true;
  });
  return Object.fromEntries(keys.map((key) => [key, String(config[key])]));
}

/**
 * The settings marked `judges`, `meters`, and the user's own rules by the text of their modules. Two configurations that judge alike have the same
 * fingerprint, in whatever order their meters are written.
 */
export async function judgingFingerprint(config: Config): Promise<JudgingFingerprint> {
  const values = judgingValues(config);
  const meters = metersText(config.meters);
  const rules = config.ownRules.map(({ rule, hash }) => `${rule.name} ${hash}`).join(", ");
  const judging = [...Object.entries(values).sort(), meters, ...(rules === "" ? [] : [rules])];
  const hash = await hashOf(JSON.stringify(judging));
  const isLong = meters.length > METERS_TEXT_MAX;
  const shown = isLong ? `${config.meters.size} meters, ${await hashOf(meters)}` : meters;
  return { hash, values: { ...values, meters: shown, rules: rules === "" ? "none" : rules } };
}

/** `A: 30, B: 15`: minutes by meter, in the order of the ids. An id of other signs is in quotes. */
function metersText(meters: Config["meters"]): string {
  if (meters.size === 0) return "none";
  return [...meters].sort(([a], [b]) => a < b ? -1 : 1).map(([id, intervalMs]) =>
    `${/^[\w.-]+$/.test(id) ? id : JSON.stringify(id)}: ${intervalMs / 60_000}`
  ).join(", ");
}

async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/**
 * The settings with what the files' format says, where they stand as they do by default: the zone;
 * and of formats whose times no meter's clock writes, that they may be old.
 */
export function judgedAs(
  config: Config,
  { timezone, isSettled }: { readonly timezone: string | null; readonly isSettled: boolean },
): Config {
  const oldest = "validation.min_timestamp";
  return {
    ...config,
    ...timezone !== null && config.timezone === SETTINGS.timezone.default ? { timezone } : {},
    ...isSettled && config[oldest] === SETTINGS[oldest].default ? { [oldest]: OLDEST } : {},
  };
}

/** Before this no interval was metered. */
const OLDEST = "1990-01-01";
