import { denoFiles } from "../adapters/deno/files.ts";
import { UsageError } from "../console/errors.ts";
import { decide, type Decided, type Decision } from "../formats/decided.ts";
import { findFormat, type Found } from "../formats/found.ts";
import { PROFILES } from "../formats/profile.ts";
import type { FormatOptions } from "../formats/table.ts";
import { withArchives } from "../replay/packed_files.ts";
import type { FileFormats } from "../replay/records.ts";
import { type Config, SETTINGS } from "../settings.ts";
import { type FileHead, plainDecided, readHead, unreadError } from "./recognize.ts";

/** The files of this machine, those in archives among them. */
export const meterFiles = withArchives(denoFiles);

/** Options of every command that reads meter files. */
export const FORMAT_OPTIONS = {
  "meter-column": { type: "string" },
  "time-column": { type: "string" },
  "value-column": { type: "string" },
  "channel-column": { type: "string" },
  "meter-id": { type: "string" },
  format: { type: "string" },
  decimal: { type: "string" },
  "date-order": { type: "string" },
  "header-line": { type: "string" },
} as const;

/** What is said of them in a command's help. */
export const FORMAT_USAGE =
  `  --meter-column NAME, --time-column NAME, --value-column NAME, --channel-column NAME
                        columns by other names than the usual ones
  --meter-id NAME       the meter of a file without such a column (default: the file's name)
  --format NAME         read as this, whatever it looks like; \`gridwatch formats\` lists them
  --decimal .|,         the decimal mark, where the file does not show it
  --date-order dmy|mdy  whether day or month comes first, where the file does not show it
  --header-line N       the line with the columns' names (default: the first 30 are searched)`;

type FormatValues = { readonly [Name in keyof typeof FORMAT_OPTIONS]?: string };

/**
 * What was said of the format of files.
 *
 * @throws {UsageError} for what cannot be
 */
export function readFormatOptions(command: string, values: FormatValues): FormatOptions {
  const refuse = (name: keyof FormatValues, must: string) =>
    new UsageError(`Cannot ${command} with --${name}="${values[name]}": must be ${must}`);
  const { decimal, format } = values;
  const order = values["date-order"];
  const line = values["header-line"];
  if (decimal !== undefined && decimal !== "," && decimal !== ".") {
    throw refuse("decimal", ", or .");
  }
  if (order !== undefined && order !== "dmy" && order !== "mdy") {
    throw refuse("date-order", "dmy or mdy");
  }
  if (line !== undefined && !/^[1-9]\d{0,6}$/.test(line)) throw refuse("header-line", "a number");
  const profile = format === undefined ? undefined : PROFILES.find(({ name }) => name === format);
  if (format !== undefined && profile === undefined) {
    throw new UsageError(
      `Cannot ${command} with --format="${format}": there is no such format`,
      "gridwatch formats lists them",
    );
  }
  return {
    columns: {
      meter: values["meter-column"],
      time: values["time-column"],
      value: values["value-column"],
      channel: values["channel-column"],
    },
    meterId: values["meter-id"],
    decimal: decimal === undefined ? undefined : decimal === "," ? "comma" : "point",
    dateOrder: order,
    headerLine: line === undefined ? undefined : Number(line),
    profile,
  };
}

/** Files as they were found. */
export type FoundFiles = {
  /** Of archives, the files in them. */
  readonly paths: readonly string[];
  readonly formats: FileFormats;
  readonly decided: Decided;
  /** The zone that their format says, where all of them say the same; null: none does. */
  readonly timezone: string | null;
  /** Whether their times are those of a settled exchange: of no clock that may have been reset. */
  readonly isSettled: boolean;
  /** Formats of which no sample was ever at hand. */
  readonly unverified: readonly string[];
  /** Differs wherever files are read otherwise; absent: all are plain CSV. */
  readonly said?: string;
};

/**
 * Finds out what files are, by their beginnings, before anything is made.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export function findFiles(named: readonly string[], options: FormatOptions): FoundFiles {
  const paths = named.flatMap((path) => path.endsWith(".jsonl") ? [path] : meterFiles.expand(path));
  const found = new Map<string, Found | null>();
  const decided: Decided[] = [];
  for (const path of paths) {
    if (path.endsWith(".jsonl")) continue;
    const head = readHead(meterFiles, path);
    const one = findFile(path, head, options);
    found.set(path, one);
    decided.push(one?.decided ?? plainDecided(head, options.columns));
  }
  const all = [...found.values()].filter((one) => one !== null);
  const zones = new Set(all.flatMap(({ timezone }) => timezone ?? []));
  if (zones.size > 1) {
    throw new UsageError(
      `Cannot read files of different zones at once: ${[...zones].join(", ")}`,
      "read them one by one",
    );
  }
  return {
    paths,
    formats: (path) => found.get(path) ?? null,
    decided: mergeDecided(decided),
    timezone: [...zones][0] ?? null,
    isSettled: all.length === found.size && all.every(({ format }) => SETTLED.has(format)),
    said: all.length === 0 ? undefined : JSON.stringify([...found.values()]),
    unverified: [...new Set(all.flatMap((one) => one.isUnverified ? [one.format] : []))],
  };
}

/** Formats that are exchanged after the readings were looked at. */
const SETTLED: ReadonlySet<string> = new Set(["nem12", "nem13"]);

/** What a file is; null: plain CSV. */
function findFile(path: string, head: FileHead, options: FormatOptions): Found | null {
  const { columns, meterId, decimal, dateOrder, headerLine, profile } = options;
  const isAsked = [columns.channel, meterId, decimal, dateOrder, headerLine, profile]
    .some((one) => one !== undefined);
  const unread = unreadError(path, head, columns);
  if (unread === null && !isAsked) return null;
  const name = path.split(/[\\/]/).pop()!.replace(/(\.(csv|txt|tsv|xml|xlsx|zip|gz))+$/i, "");
  const found = findFormat({ bytes: head.head, isWhole: head.isWhole, file: path, name }, options);
  if (found !== null) return found;
  if (unread === null) return null;
  throw unread;
}

/** Of several files what was decided of each, where they differ. */
function mergeDecided(all: readonly Decided[]): Decided {
  const keys = Object.keys(all[0] ?? {}) as (keyof Decided)[];
  const entries = keys.map((key): [keyof Decided, Decision] => {
    const values = [...new Set(all.map((one) => one[key].value))];
    const value = values.length === 1 ? values[0] : values.map((one) => one ?? "none").join(", ");
    return [key, decide(value, all[0][key].evidence)];
  });
  return Object.fromEntries(entries) as Decided;
}

/** What is said, before anything else, of formats that were never tried on a real file. */
export function unverifiedLines({ unverified }: FoundFiles): string[] {
  return unverified.map((name) =>
    `warning: format ${name} is unverified: no real sample of it was at hand`
  );
}

/**
 * The settings with what the files' format says, where they stand as they do by default: the zone;
 * and of formats whose times no meter's clock writes, that they may be old.
 */
export function judgedAs(config: Config, { timezone, isSettled }: FoundFiles): Config {
  const oldest = "validation.min_timestamp";
  return {
    ...config,
    ...timezone !== null && config.timezone === SETTINGS.timezone.default ? { timezone } : {},
    ...isSettled && config[oldest] === SETTINGS[oldest].default ? { [oldest]: OLDEST } : {},
  };
}

/** Before this no interval was metered. */
const OLDEST = "1990-01-01";
