import { checkSetting, findContradiction } from "../check_setting.ts";
import { nearest } from "../core/nearest.ts";
import type { ProcessorOptions } from "../core/options.ts";
import { judgingValues, processorOptions } from "../judging.ts";
import type { Setting } from "../setting.ts";
import { type Config, type Key, SETTINGS } from "../settings.ts";

/**
 * How readings are judged. Every option has a default, that of the setting of the same meaning (`deno
 * task gridwatch config` lists them), so that a judge answers as the long-running processor does.
 */
export type JudgeOptions = {
  /** Minutes between two readings, 0.25 to 1440; "auto" (default): learned from the readings. */
  readonly intervalMinutes?: number | "auto";
  /** Intervals known per meter, in minutes; they win over `intervalMinutes`. */
  readonly meters?: Readonly<Record<string, number>> | ReadonlyMap<string, number>;
  /**
   * Whose clock judges lateness: that of all the judge's meters together ("partition", default), or
   * each meter's own ("meter"), so that readings may come meter by meter.
   */
  readonly scope?: "partition" | "meter";
  /** A slot is missing once the watermark has passed it by this much. Default 900. */
  readonly gracePeriodSeconds?: number;
  /** A reading further behind the watermark than this is too late. Default 3600. */
  readonly allowedLatenessSeconds?: number;
  /** The watermark stands this far behind the latest event time. Default 0. */
  readonly outOfOrdernessSeconds?: number;
  /** Further off its slot a reading is flagged TIME_SHIFT; "auto" (default): interval / 10. */
  readonly timeToleranceSeconds?: number | "auto";
  /** A meter without a reading for this long is silent; its open gap is EXPIRED. Default 7. */
  readonly stateTtlDays?: number;
  /** A meter without a reading for this long is forgotten. Default 400. */
  readonly forgetAfterDays?: number;
  /** Meters that are known at most; those beyond are TOO_MANY_METERS. Default 2,000,000. */
  readonly metersMax?: number;
  /** Which of two values for one interval stands. Default "first". */
  readonly revisions?: "first" | "last";
  /** IANA zone of timestamps written without an offset. Default "UTC". */
  readonly timezone?: string;
  /** A reading from before this is TOO_OLD. Default "2005-01-01". */
  readonly minTimestamp?: string;
  /** A larger value is TOO_LARGE. Default 100,000. */
  readonly maxKwh?: number;
  /** A reading further ahead of its arrival than this is FUTURE. Default 3600. */
  readonly maxFutureSeconds?: number;
  /** What becomes of a negative value. Default "reject". */
  readonly negative?: "reject" | "flag";
  /** CAPACITY: more power than this no connection carries, kW. Default 48. */
  readonly maxKw?: Threshold;
  /** SPIKE: a reading of more than so many times the highest of 28 days. Default 1.5. */
  readonly spikeTimes?: Threshold;
  /** HIGH_DAY: a day of more than so many times the mean. Default 5. */
  readonly highDayTimes?: Threshold;
  /** LOW_DAY: a day of less than the mean divided by this. Default 5. */
  readonly lowDayTimes?: Threshold;
  /** UNIT_SCALE: a day so many times above or below the mean. Default 100. */
  readonly unitScaleTimes?: Threshold;
  /** ZERO_RUN: so many hours of zeros of a meter that seldom has any. Default 12. */
  readonly zeroRunHours?: Threshold;
  /** STUCK: one value, which is not 0, for so many hours. Default 8. */
  readonly stuckHours?: Threshold;
  /** STRAIGHT_LINE: so many readings in equal steps. Default 6. */
  readonly straightLineReadings?: Threshold;
  /** REPEATED_DAY: a day like one before it, with so many changes of value. Default 12. */
  readonly repeatedDayChanges?: Threshold;
  /** Of a rejected record at most this many bytes are kept. Default 65,536. */
  readonly rawBytesMax?: number;
  /** The number that rejected records carry as their partition. Default 0. */
  readonly partition?: number;
  /**
   * The wall clock, epoch milliseconds: when a record is handed in. Default `Date.now`; null: there
   * is none, and a reading that does not say when it was received is never FUTURE.
   */
  readonly nowMs?: (() => number) | null;
};

/** That of a rule of validation; "off": it does not judge. */
export type Threshold = number | "off";

/** The options that are settings, by the settings' names. */
export const SETTING_OF: Readonly<
  Record<Exclude<keyof JudgeOptions, "meters" | "partition" | "nowMs">, Key>
> = {
  intervalMinutes: "expected_interval_minutes",
  scope: "watermark_scope",
  gracePeriodSeconds: "grace_period_seconds",
  allowedLatenessSeconds: "allowed_lateness_seconds",
  outOfOrdernessSeconds: "out_of_orderness_seconds",
  timeToleranceSeconds: "time_tolerance_seconds",
  stateTtlDays: "state_ttl_days",
  forgetAfterDays: "forget_after_days",
  metersMax: "meters_max",
  revisions: "revisions",
  timezone: "timezone",
  minTimestamp: "validation.min_timestamp",
  maxKwh: "validation.max_kwh",
  maxFutureSeconds: "validation.max_future_seconds",
  negative: "validation.negative",
  maxKw: "validation.max_kw",
  spikeTimes: "validation.spike_times",
  highDayTimes: "validation.high_day_times",
  lowDayTimes: "validation.low_day_times",
  unitScaleTimes: "validation.unit_scale_times",
  zeroRunHours: "validation.zero_run_hours",
  stuckHours: "validation.stuck_hours",
  straightLineReadings: "validation.straight_line_readings",
  repeatedDayChanges: "validation.repeated_day_changes",
  rawBytesMax: "validation.raw_bytes_max",
};

const OTHER_OPTIONS = ["meters", "partition", "nowMs"];
const PARTITION_MAX = 2 ** 31 - 1;

/** Options as checked: what the core is told, and what a state remembers of them. */
export type Judging = {
  readonly processor: ProcessorOptions;
  readonly nowMs: () => number;
  /** Every judging setting's value as text, by the option's name. */
  readonly values: Readonly<Record<string, string>>;
};

/**
 * What the core is told, for whoever drives a `Task` over a store of their own.
 *
 * @throws {TypeError} that names the option which cannot be used
 *
 * @example The state of one partition, kept in a store
 * ```ts
 * import { judgeOptions } from "@gridwatch/gridwatch";
 * import { Task } from "@gridwatch/gridwatch/task";
 * import { MemoryStore } from "@gridwatch/gridwatch/memory-store";
 *
 * const store = new MemoryStore();
 * const task = await Task.open(judgeOptions({ intervalMinutes: 30 }), store);
 * if (task.nextOffset !== 0) throw new Error("the store is not empty");
 * ```
 */
export function judgeOptions(options: JudgeOptions = {}): ProcessorOptions {
  return readOptions(options).processor;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {TypeError} that names the option which cannot be used
 */
export function readOptions(options: JudgeOptions): Judging {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("Cannot use the options: must be an object");
  }
  refuseUnknown(options);
  const { partition = 0, nowMs = Date.now } = options;
  if (!Number.isInteger(partition) || partition < 0 || partition > PARTITION_MAX) {
    throw unusable("partition", partition, `must be a whole number from 0 to ${PARTITION_MAX}`);
  }
  if (nowMs !== null && typeof nowMs !== "function") {
    throw unusable("nowMs", nowMs, "must be a function, or null");
  }
  const config = configOf(options);
  const values = judgingValues(config);
  return {
    processor: processorOptions(config, partition, null),
    nowMs: () => nowMs === null ? NaN : Number(nowMs()),
    values: Object.fromEntries(Object.entries(values).map(([key, text]) => [optionOf(key), text])),
  };
}

function configOf(options: JudgeOptions): Config {
  const config: Record<string, unknown> = Object.fromEntries(
    Object.entries(SETTINGS).map(([key, setting]) => [key, setting.default]),
  );
  for (const [name, key] of Object.entries(SETTING_OF)) {
    const value = options[name as keyof typeof SETTING_OF];
    if (value === undefined) continue;
    const setting: Setting = SETTINGS[key];
    config[key] = checkSetting(setting, value, (must) => unusable(name, value, must));
  }
  const settings = {
    ...{ ...config, meters: metersOf(options.meters), given: new Set() },
    ...{ ruleFiles: [], ownRules: [] },
  };
  const checked = settings as unknown as Config;
  const contradiction = findContradiction(checked, optionOf);
  if (contradiction !== null) {
    const { key, must } = contradiction;
    throw unusable(optionOf(key), checked[key], must);
  }
  return checked;
}

function metersOf(meters: JudgeOptions["meters"] = {}): Map<string, number> {
  if (typeof meters !== "object" || meters === null) {
    throw unusable("meters", meters, "must map meter ids to minutes");
  }
  const { min, max } = SETTINGS.expected_interval_minutes;
  const entries = meters instanceof Map ? meters : Object.entries(meters);
  const intervals = new Map<string, number>();
  for (const [id, minutes] of entries) {
    if (typeof minutes !== "number" || !(minutes >= min && minutes <= max)) {
      throw unusable(`meters.${id}`, minutes, `must be minutes from ${min} to ${max}`);
    }
    intervals.set(id, minutes * 60_000);
  }
  return intervals;
}

function refuseUnknown(options: JudgeOptions): void {
  const known = [...Object.keys(SETTING_OF), ...OTHER_OPTIONS];
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    const hint = meant === null ? `there are ${known.join(", ")}` : `did you mean ${meant}?`;
    throw new TypeError(`Unknown option ${name}: ${hint}`);
  }
}

/** The option that is this setting; a setting that no option is keeps its name. */
function optionOf(key: string): string {
  const option = Object.entries(SETTING_OF).find(([, setting]) => setting === key);
  return option?.[0] ?? key;
}

function unusable(name: string, value: unknown, must: string): TypeError {
  return new TypeError(`Cannot use ${name}=${shownOf(value)}: ${must}`);
}

const SHOWN_LENGTH_MAX = 60;

function shownOf(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, SHOWN_LENGTH_MAX));
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
