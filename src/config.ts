import { LineCounter, parseDocument } from "yaml";
import { checkSetting, findContradiction } from "./check_setting.ts";
import { nearest } from "./core/nearest.ts";
import type { Setting } from "./setting.ts";
import { type Config, type Key, SETTINGS } from "./settings.ts";

/* The settings of a run, read and checked: the only file that reads YAML or the environment. */

/** A setting that cannot be used: what, where, and what would do. */
export class ConfigError extends Error {
  override name = "ConfigError";
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}

const PREFIX = "GRIDWATCH_";

/** The environment variable of a setting: GRIDWATCH_VALIDATION_MAX_KWH. */
export function variableOf(key: string): string {
  return `${PREFIX}${key.toUpperCase().replaceAll(".", "_")}`;
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
  const meters = new Map<string, number>();
  const ruleFiles: string[] = [];
  if (yaml !== null) readYaml(yaml, values, { meters, ruleFiles });
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const text = environment(variableOf(key));
    // Empty is unset: what `VARIABLE=` and a compose file's `${VARIABLE:-}` give.
    if (text !== undefined && text !== "") values.set(key, check(setting, text, variableOf(key)));
  }
  const defaults = Object.entries(SETTINGS).map(([key, setting]) => [key, setting.default]);
  const settings = { ...Object.fromEntries(defaults), ...Object.fromEntries(values) };
  const given = new Set(values.keys());
  const config = { ...settings, meters, given, ruleFiles, ownRules: [] } as unknown as Config;
  const contradiction = findContradiction(config);
  if (contradiction !== null) {
    const { key, must } = contradiction;
    throw new ConfigError(`Cannot use ${key}=${config[key]}: ${must}`);
  }
  return config;
}

/** Not settings, and no mistake: Grafana's provisioning and the project's tests read these. */
const FOREIGN = /^GRIDWATCH_((DB|TEST|BENCH|COMPILE|UPDATE)_\w+|TIMESCALE_URL)$/;

/** A name in the environment that looks like a setting's and is none; `meant`: the nearest that is. */
export type UnknownVariable = { readonly name: string; readonly meant: string | null };

/** Names in the environment that nothing reads: most often a setting's, not quite as it is written. */
export function unknownVariables(names: readonly string[] = environmentNames()): UnknownVariable[] {
  const known = Object.keys(SETTINGS).map(variableOf);
  const ends = known.map((name) => name.slice(PREFIX.length));
  const isOurs = (name: string) => name.toUpperCase().startsWith(PREFIX);
  return names.filter((name) => isOurs(name) && !known.includes(name) && !FOREIGN.test(name)).sort()
    .map((name) => {
      const meant = nearest(name.slice(PREFIX.length), ends);
      return { name, meant: meant === null ? null : `${PREFIX}${meant}` };
    });
}

/** Of those that this process may see; where it may not list them, none. */
function environmentNames(): string[] {
  try {
    return Object.keys(Deno.env.toObject());
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return [];
    throw error;
  }
}

/** A file of YAML, checked. */
function documentOf({ path, text }: { path: string; text: string }, lineCounter: LineCounter) {
  const document = parseDocument(text, { lineCounter, prettyErrors: true });
  const fault = document.errors[0];
  if (fault === undefined) return document;
  // Its other lines show the text there, which may be a secret.
  const reason = fault.message.split("\n")[0].replace(/:$/, "");
  throw new ConfigError(`Cannot read ${path}: ${reason}`);
}

/**
 * What a file of YAML says, whatever it is about.
 *
 * @throws {ConfigError} where it is none
 */
export function parseYaml(file: { readonly path: string; readonly text: string }): unknown {
  return documentOf(file, new LineCounter()).toJS();
}

function readYaml(
  { path, text }: { path: string; text: string },
  values: Map<string, unknown>,
  lists: { readonly meters: Map<string, number>; readonly ruleFiles: string[] },
): void {
  const lines = new LineCounter();
  const document = documentOf({ path, text }, lines);
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
      if (key === "meters") readMeters(value, lists.meters, placeOf(keys));
      else if (key === "rules") lists.ruleFiles.push(...readRules(value, path, placeOf(keys)));
      else if (Object.hasOwn(SETTINGS, key)) {
        const setting: Setting = SETTINGS[key as Key];
        values.set(key, check(setting, value, `${key} (${placeOf(keys)})`));
      } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        visit(value as Record<string, unknown>, keys);
      } else {
        const meant = nearest(key, Object.keys(SETTINGS));
        const hint = meant === null
          ? "`gridwatch config` lists them all"
          : `did you mean ${meant}?`;
        throw new ConfigError(`Unknown setting ${key} (${placeOf(keys)})`, hint);
      }
    }
  };
  visit(root as Record<string, unknown>, []);
}

/** `rules: [./my_rule.ts]`: modules, looked for beside the file that names them. */
function readRules(value: unknown, path: string, place: string): string[] {
  const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
  if (!isList) throw new ConfigError(`Cannot use rules (${place}): must be a list of files`);
  const folder = path.slice(0, path.search(/[^/\\]*$/));
  return value.map((file) => /^([/\\]|[A-Za-z]:)/.test(file) ? file : `${folder}${file}`);
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

const NUMBERS: readonly Setting["type"][] = [
  ...["number", "integer", "interval", "tolerance", "threshold"] as const,
];

/** The value of a setting as it was written: in quotes and in the environment a number is text. */
function check(setting: Setting, value: unknown, name: string): number | string {
  const shown = setting.type === "secret" ? "" : `=${JSON.stringify(value)}`;
  const isNumber = typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value));
  const written = isNumber && NUMBERS.includes(setting.type) ? Number(value) : value;
  return checkSetting(
    setting,
    written,
    (must) => new ConfigError(`Cannot use ${name}${shown}: ${must}`, setting.doc),
  );
}
