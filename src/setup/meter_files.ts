import { denoFiles } from "../adapters/deno/files.ts";
import { parseYaml } from "../config.ts";
import { UsageError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { quoteWord } from "../console/quote.ts";
import { isForced } from "../formats/list.ts";
import { ownProfile, ProfileError } from "../formats/own_profile.ts";
import { type Profile, PROFILES } from "../formats/profile.ts";
import type { FormatOptions } from "../formats/table.ts";
import { findFiles as findIn, type FoundFiles } from "../replay/find_files.ts";
import { withArchives } from "../replay/packed_files.ts";

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

/**
 * Finds out what files of this machine are.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export async function findFiles(
  named: readonly string[],
  options: FormatOptions,
): Promise<FoundFiles> {
  return await findIn(named, options, { files: meterFiles, quote: quoteWord });
}

/** What is said, before anything else, of files as they were found. */
export function foundLines({ unverified, notes }: FoundFiles): string[] {
  const untried = unverified.map((name) =>
    `warning: format ${name} is unverified: no real sample of it was at hand`
  );
  return [...untried, ...notes];
}
