import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearest } from "../core/nearest.ts";
import type { Config } from "../settings.ts";
import { UsageError } from "./errors.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What `parseArgs` gives for these options. */
export type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true; args: string[] }>
>;

/** What a command does, where its name is no verb: an error says that it cannot do it. */
const VERBS: Readonly<Record<string, string>> = {
  config: "list the settings",
  dashboards: "write the dashboards",
  demo: "run the demo",
  doctor: "check everything",
  down: "stop the stack",
  meters: "keep the registry",
  kpi: "tell the key figures",
  logs: "show the logs",
  sink: "run the sink",
  topics: "look after the topics",
  up: "start the stack",
};

/** What a command does, to stand behind "Cannot". */
export function verbOf(command: string): string {
  return Object.hasOwn(VERBS, command) ? VERBS[command] : command;
}

/**
 * Reads a command's arguments strictly; words that are no options are taken where `takesWords`.
 *
 * @throws {UsageError} for an option or a word that the command does not have, or an option without
 * its value.
 */
export function readArguments<T extends Options>(
  command: string,
  args: string[],
  options: T,
  { takesWords = false } = {},
): Parsed<T> {
  const refuse = (reason: string, cause?: Error) => {
    const written = /^unknown option --(.*)/.exec(reason)?.[1];
    const meant = written === undefined ? null : nearest(written, Object.keys(options));
    const help = `gridwatch ${command} --help`;
    const hint = meant === null ? help : `did you mean --${meant}? ${help}`;
    return new UsageError(`Cannot ${verbOf(command)}: ${reason}`, hint, { cause });
  };
  let parsed: Parsed<T>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw refuse(reasonOf(error), error);
  }
  const { values, positionals } = parsed;
  const isHelp = (values as { help?: boolean }).help === true;
  if (positionals.length > 0 && !takesWords && !isHelp) {
    throw refuse(`unexpected "${positionals[0]}"`);
  }
  return parsed;
}

/** Node's own words for a command line that it cannot read, as the rest of a sentence. */
function reasonOf({ message }: TypeError): string {
  const unknown = /^Unknown option '([^']+)'/.exec(message);
  if (unknown !== null) return `unknown option ${unknown[1]}`;
  const option = /^Option '(?:-\w, )?(-[^' ]+)[^']*' /.exec(message)?.[1];
  if (option !== undefined && /does not take an argument/.test(message)) {
    return `${option} takes no value`;
  }
  if (option !== undefined && /argument missing/.test(message)) return `${option} needs a value`;
  if (option !== undefined && /is ambiguous/.test(message)) {
    return `${option} needs a value (${option}=-… for one that begins with a dash)`;
  }
  const [sentence] = message.split(/\. |\n/);
  return sentence[0].toLowerCase() + sentence.slice(1);
}

/**
 * Refuses options of which only one can be followed.
 *
 * @throws {UsageError} when more than one is given
 */
export function refuseTogether(
  command: string,
  values: Readonly<Record<string, unknown>>,
  names: readonly string[],
): void {
  const given = names.filter((name) => values[name] !== undefined && values[name] !== false);
  if (given.length < 2) return;
  throw new UsageError(
    `Cannot ${verbOf(command)} with both --${given[0]} and --${given[1]}`,
    "leave one of them out",
  );
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A number given as an option.
 *
 * @throws {UsageError} when it is none or out of range.
 */
export function readNumber(
  command: string,
  name: string,
  text: string,
  { min, max, whole = false }: { min: number; max: number; whole?: boolean },
): number {
  const value = DECIMAL.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw new UsageError(
    `Cannot ${verbOf(command)} with --${name}="${text}": must be a ${
      whole ? "whole " : ""
    }number ` +
      `from ${min} to ${max}`,
  );
}

/**
 * Readings a second; `max`: Infinity.
 *
 * @throws {UsageError} when it is neither.
 */
export function readRate(command: string, text: string): number {
  if (text === "max") return Infinity;
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new UsageError(
    `Cannot ${
      verbOf(command)
    } at --rate="${text}": must be a number > 0 of readings a second, or max`,
  );
}

/**
 * The settings with `--scope` put in.
 *
 * @throws {UsageError} when there is no such scope
 */
export function withScope(command: string, config: Config, scope: string | undefined): Config {
  if (scope === undefined) return config;
  if (scope === "partition" || scope === "meter") return { ...config, watermark_scope: scope };
  throw new UsageError(
    `Cannot ${verbOf(command)} with --scope="${scope}": must be partition or meter`,
  );
}
