import { LineCounter, parseDocument } from "yaml";
import type { ProcessorOptions } from "./core/options.ts";
import { buildZone } from "./core/time.ts";

/**
 * Every setting: declared once, here, and from this table read from YAML and the environment,
 * checked, and documented (`gridwatch config`). This is the only file that reads either.
 */
export const SETTINGS = {
  expected_interval_minutes: {
    type: "interval",
    default: 30,
    min: 0.25,
    max: 1440,
    doc: "Minutes between two readings of a meter, or auto: learned from its first readings.",
  },
  learning_readings: {
    type: "integer",
    default: 6,
    min: 2,
    max: 1000,
    doc: "How many readings an interval is learned from.",
  },
  grace_period_seconds: {
    type: "number",
    default: 900,
    min: 0,
    max: 604_800,
    doc: "A slot is missing once the watermark has passed it by this much.",
  },
  allowed_lateness_seconds: {
    type: "number",
    default: 3600,
    min: 0,
    max: 2_592_000,
    doc: "A reading further behind the watermark than this is too late.",
  },
  out_of_orderness_seconds: {
    type: "number",
    default: 0,
    min: 0,
    max: 2_592_000,
    doc: "The watermark stands this far behind the latest event time.",
  },
  watermark_scope: {
    type: "choice",
    default: "partition",
    choices: ["partition", "meter"],
    doc: "Whose clock judges lateness: the partition's, or each meter's own.",
  },
  time_tolerance_seconds: {
    type: "tolerance",
    default: "auto",
    min: 0,
    max: 86_400,
    doc: "Further off its slot than this a reading is flagged TIME_SHIFT; auto: interval / 10.",
  },
  state_ttl_days: {
    type: "number",
    default: 7,
    min: 0.01,
    max: 3650,
    doc: "A meter silent for this long is forgotten; its open gap is EXPIRED.",
  },
  timezone: {
    type: "timezone",
    default: "UTC",
    doc: "IANA zone of timestamps written without an offset.",
  },
  "validation.max_kwh": {
    type: "number",
    default: 100_000,
    min: 0,
    max: 1e12,
    doc: "A larger value is rejected as TOO_LARGE.",
  },
  "validation.max_future_seconds": {
    type: "number",
    default: 3600,
    min: 0,
    max: 31_536_000,
    doc: "A reading further ahead of its arrival than this is rejected as FUTURE.",
  },
  "validation.negative": {
    type: "choice",
    default: "reject",
    choices: ["reject", "flag"],
    doc: "What becomes of a negative value; flag: accepted as NEGATIVE (export meters).",
  },
  "validation.raw_bytes_max": {
    type: "integer",
    default: 65_536,
    min: 1024,
    max: 900_000,
    doc: "Of a rejected record at most this many bytes are kept.",
  },
  commit_records_max: {
    type: "integer",
    default: 32_768,
    min: 1,
    max: 1_000_000,
    doc: "Records folded between two commits, at most.",
  },
  commit_interval_ms: {
    type: "integer",
    default: 1000,
    min: 1,
    max: 600_000,
    doc: "Time between two commits while records come slowly, at most.",
  },
  "replay.sort_memory_mib": {
    type: "integer",
    default: 64,
    min: 1,
    max: 8192,
    doc: "Memory for sorting a file that is not in time order; the rest goes to disk.",
  },
  "replay.tick_seconds": {
    type: "integer",
    default: 60,
    min: 1,
    max: 3600,
    doc: "Event time between two ticks of a replay.",
  },
  "api.host": {
    type: "text",
    default: "127.0.0.1",
    doc: "Address that the status page listens on.",
  },
  data_directory: {
    type: "text",
    default: ".gridwatch",
    doc: "Where the embedded store keeps its files.",
  },
} as const satisfies Record<string, Setting>;

type Setting = {
  readonly type: "number" | "integer" | "interval" | "tolerance" | "choice" | "text" | "timezone";
  readonly default: number | string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly doc: string;
};

type Key = keyof typeof SETTINGS;
type ValueOf<S extends Setting> = S extends { type: "number" | "integer" } ? number
  : S extends { type: "interval" | "tolerance" } ? number | "auto"
  : S extends { choices: readonly (infer C)[] } ? C
  : string;

/** All settings by their dotted names, and intervals known per meter. */
export type Config =
  & { readonly [K in Key]: ValueOf<(typeof SETTINGS)[K]> }
  & {
    readonly meters: ReadonlyMap<string, number>;
  };

/** A setting that cannot be used: what, where, and what would do. */
export class ConfigError extends Error {
  override name = "ConfigError";
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}

/** The environment variable of a setting: GRIDWATCH_VALIDATION_MAX_KWH. */
export function variableOf(key: string): string {
  return `GRIDWATCH_${key.toUpperCase().replaceAll(".", "_")}`;
}

/**
 * Reads the settings: defaults, over these the YAML text, over these the environment.
 *
 * @throws {ConfigError} naming the first setting that is unknown or out of range, and its line.
 */
export function readConfig(
  yaml: { readonly path: string; readonly text: string } | null,
  environment: (name: string) => string | undefined,
): Config {
  const values = new Map<string, unknown>();
  for (const [key, setting] of Object.entries(SETTINGS)) values.set(key, setting.default);
  const meters = new Map<string, number>();
  if (yaml !== null) readYaml(yaml, values, meters);
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const text = environment(variableOf(key));
    if (text !== undefined) values.set(key, check(setting, text, variableOf(key)));
  }
  const config = { ...Object.fromEntries(values), meters } as unknown as Config;
  if (config.allowed_lateness_seconds >= config.state_ttl_days * 86_400) {
    throw new ConfigError(
      `Cannot use allowed_lateness_seconds=${config.allowed_lateness_seconds}: ` +
        `must be less than state_ttl_days (${config.state_ttl_days * 86_400} seconds)`,
    );
  }
  return config;
}

function readYaml(
  { path, text }: { path: string; text: string },
  values: Map<string, unknown>,
  meters: Map<string, number>,
): void {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true });
  const fault = document.errors[0];
  if (fault !== undefined) throw new ConfigError(`Cannot read ${path}: ${fault.message}`);
  const root: unknown = document.toJS() ?? {};
  if (typeof root !== "object" || root === null || Array.isArray(root)) {
    throw new ConfigError(`Cannot read ${path}: must be a mapping of settings`);
  }
  const placeOf = (keys: string[]) => {
    const node = document.getIn(keys, true) as { range?: [number, number, number] } | undefined;
    const at = node?.range === undefined ? null : lines.linePos(node.range[0]);
    return at === null ? path : `${path}:${at.line}:${at.col}`;
  };
  const visit = (mapping: Record<string, unknown>, prefix: string[]) => {
    for (const [name, value] of Object.entries(mapping)) {
      const keys = [...prefix, name];
      const key = keys.join(".");
      if (key === "meters") readMeters(value, meters, placeOf(keys));
      else if (key in SETTINGS) {
        const setting: Setting = SETTINGS[key as Key];
        values.set(key, check(setting, value, `${key} (${placeOf(keys)})`));
      } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        visit(value as Record<string, unknown>, keys);
      } else {
        throw new ConfigError(`Unknown setting ${key} (${placeOf(keys)})`, nearest(key));
      }
    }
  };
  visit(root as Record<string, unknown>, []);
}

/** `meters: {MAC000002: 30}`: the registry of intervals in minutes. */
function readMeters(value: unknown, meters: Map<string, number>, place: string): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError(`Cannot use meters (${place}): must map meter ids to minutes`);
  }
  for (const [id, minutes] of Object.entries(value)) {
    if (typeof minutes !== "number" || !(minutes >= 0.25 && minutes <= 1440)) {
      throw new ConfigError(
        `Cannot use meters.${id}=${JSON.stringify(minutes)} (${place}): ` +
          `must be minutes from 0.25 to 1440`,
      );
    }
    meters.set(id, minutes * 60_000);
  }
}

function check(setting: Setting, value: unknown, name: string): number | string {
  const refuse = (must: string) =>
    new ConfigError(`Cannot use ${name}=${JSON.stringify(value)}: ${must}`, setting.doc);
  switch (setting.type) {
    case "text":
      if (typeof value !== "string" || value === "") throw refuse("must be a text");
      return value;
    case "timezone":
      try {
        return buildZone(String(value)).name;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        throw refuse('must be an IANA time zone, such as "Europe/London"');
      }
    case "choice": {
      const choices = setting.choices ?? [];
      if (!choices.includes(String(value))) throw refuse(`must be ${choices.join(" or ")}`);
      return String(value);
    }
    case "interval":
    case "tolerance":
      if (value === "auto") return value;
      return checkNumber(setting, value, refuse, ", or auto");
    case "number":
    case "integer":
      return checkNumber(setting, value, refuse, "");
    default:
      return setting.type satisfies never;
  }
}

function checkNumber(
  setting: Setting,
  value: unknown,
  refuse: (must: string) => ConfigError,
  orElse: string,
): number {
  const { type, min = -Infinity, max = Infinity } = setting;
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  const whole = type === "integer";
  const usable = typeof number === "number" && number >= min && number <= max &&
    (!whole || Number.isInteger(number));
  if (!usable) {
    throw refuse(`must be a ${whole ? "whole " : ""}number from ${min} to ${max}${orElse}`);
  }
  return number;
}

/** "Did you mean …", by the number of letters to change. */
function nearest(key: string): string | undefined {
  let best: string | undefined;
  let bestDistance = 4;
  for (const known of Object.keys(SETTINGS)) {
    const distance = editDistance(key, known);
    if (distance < bestDistance) {
      best = known;
      bestDistance = distance;
    }
  }
  return best === undefined ? "`gridwatch config` lists them all" : `did you mean ${best}?`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current[j] = Math.min(swap, previous[j] + 1, current[j - 1] + 1);
    }
    previous = current;
  }
  return previous[b.length];
}

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
    expectedIntervalMs: minutes === "auto" ? "auto" : minutes * 60_000,
    intervalMsByMeter: config.meters,
    learningReadings: config.learning_readings,
    zone: buildZone(config.timezone),
    maxKwh: config["validation.max_kwh"],
    maxFutureMs: config["validation.max_future_seconds"] * 1000,
    negative: config["validation.negative"],
    nowMs,
    rejectedRawBytesMax: config["validation.raw_bytes_max"],
  };
}
