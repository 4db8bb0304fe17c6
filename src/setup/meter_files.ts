import { denoFiles } from "../adapters/deno/files.ts";
import { parseYaml } from "../config.ts";
import { UsageError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { decide, type Decided, type Decision } from "../formats/decided.ts";
import type { Found } from "../formats/found.ts";
import { headThrough } from "../formats/stage.ts";
import { isForced } from "../formats/list.ts";
import { ReadError } from "../formats/read_error.ts";
import { ownProfile, ProfileError } from "../formats/own_profile.ts";
import { type Profile, PROFILES } from "../formats/profile.ts";
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
  --format NAME         read as this, whatever it looks like; \`gridwatch formats\` lists them;
                        or FILE.yaml, a profile of your own
  --decimal .|,         the decimal mark, where the file does not show it
  --date-order dmy|mdy  whether day or month comes first, where the file does not show it
  --header-line N       the line with the columns' names (default: the first 30 are searched)`;

type FormatValues = { readonly [Name in keyof typeof FORMAT_OPTIONS]?: string };

/**
 * What was said of the format of files.
 *
 * @throws {UsageError} for what cannot be
 */
export async function readFormatOptions(
  command: string,
  values: FormatValues,
): Promise<FormatOptions> {
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
  const profile = format === undefined
    ? undefined
    : /\.ya?ml$/i.test(format)
    ? await readOwnProfile(command, format)
    : PROFILES.find(({ name }) => name === format);
  const forced = format !== undefined && isForced(format) ? format : undefined;
  if (format !== undefined && profile === undefined && forced === undefined) {
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
    forced,
  };
}

/** A profile that a user wrote, as YAML. */
async function readOwnProfile(command: string, path: string): Promise<Profile> {
  const text = await attempt(`read "${path}"`, () => Deno.readTextFile(path));
  const name = path.split(/[\\/]/).pop()!.replace(/\.ya?ml$/i, "");
  try {
    return ownProfile(parseYaml({ path, text }), name);
  } catch (cause) {
    if (!(cause instanceof ProfileError)) throw cause;
    throw new UsageError(
      `Cannot ${command} with --format="${path}": ${cause.message}`,
      "docs/formats.md describes a profile of your own",
      { cause },
    );
  }
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
  /** What of the files is not read, in a line each. */
  readonly notes: readonly string[];
  /** Differs wherever files are read otherwise; absent: all are plain CSV. */
  readonly said?: string;
};

/**
 * Finds out what files are, by their beginnings, before anything is made.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export async function findFiles(
  named: readonly string[],
  options: FormatOptions,
): Promise<FoundFiles> {
  const paths: string[] = [];
  const found = new Map<string, Found | null>();
  const decided: Decided[] = [];
  const notes: string[] = [];
  for (const name of named) {
    const packed = name.endsWith(".jsonl") ? [name] : await meterFiles.expand(name);
    const errors: ReadError[] = [];
    for (const path of packed) {
      if (!path.endsWith(".jsonl")) {
        const head = readHead(meterFiles, path);
        try {
          const one = await findFile(path, head, options);
          found.set(path, one);
          decided.push(
            packedDecided(path, one?.decided ?? plainDecided(head, options.columns)),
          );
        } catch (error) {
          // One of a workbook's sheets has the readings, others are for people.
          if (!(error instanceof ReadError) || !meterFiles.isSheet(path)) throw error;
          errors.push(error);
          continue;
        }
      }
      paths.push(path);
    }
    if (errors.length > 0 && errors.length === packed.length) throw errors[0];
    notes.push(...errors.map(({ message }) => `note: passed over: ${message}`));
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
    notes,
  };
}

/** Formats that are exchanged after the readings were looked at. */
const SETTLED: ReadonlySet<string> = new Set(["nem12", "nem13"]);

/** What a file is; null: plain CSV. */
async function findFile(
  path: string,
  head: FileHead,
  options: FormatOptions,
): Promise<Found | null> {
  const { columns, meterId, decimal, dateOrder, headerLine, profile, forced } = options;
  const stages = meterFiles.stagesOf(path);
  const isAsked = [columns.channel, meterId, decimal, dateOrder, headerLine, profile, forced]
    .some((one) => one !== undefined);
  const unread = stages.length > 0 ? null : unreadError(path, head, columns);
  if (unread === null && !isAsked && stages.length === 0) return null;
  const { findFormat } = await import("../formats/found.ts");
  const found = findFormat({
    bytes: head.head,
    isWhole: head.isWhole,
    file: path,
    name: nameOf(path),
    stages,
  }, options);
  if (found !== null) return found;
  if (unread !== null) throw unread;
  const text = headThrough(stages.map((make) => make()), head.head, head.isWhole);
  const inside = unreadError(path, { head: text, isWhole: head.isWhole }, columns);
  if (inside !== null && profile === undefined && forced === undefined) throw inside;
  const format = profile?.name ?? forced;
  throw new ReadError(
    `Cannot read "${path}"${format === undefined ? "" : ` as ${format}`}: no line of it names ` +
      "the columns that are looked for",
    format === undefined
      ? "--meter-column, --time-column and --value-column NAME say which they are"
      : "gridwatch formats FILE says what it is taken for without --format",
  );
}

/** What is decided of a file, with what it is packed in. */
function packedDecided(path: string, decided: Decided): Decided {
  const packing = meterFiles.packingOf(path);
  const { value, evidence } = decided.format;
  return packing === null
    ? decided
    : { ...decided, format: decide(value, `${packing}; ${evidence}`) };
}

/** What a file of one meter is called by: without folder and endings; of a sheet its workbook. */
function nameOf(path: string): string {
  const file = meterFiles.isSheet(path) ? path.replace(/\/[^/]*$/, "") : path;
  return file.split(/[\\/]/).pop()!.replace(/(\.(csv|txt|tsv|xml|xlsx|parquet|zip|gz))+$/i, "");
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

/** What is said, before anything else, of files as they were found. */
export function foundLines({ unverified, notes }: FoundFiles): string[] {
  const untried = unverified.map((name) =>
    `warning: format ${name} is unverified: no real sample of it was at hand`
  );
  return [...untried, ...notes];
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
