import { readArguments } from "../console/arguments.ts";
import { print, stdoutColumns } from "../console/shell.ts";
import { formatTable } from "../console/table.ts";
import type { FoundFiles } from "../replay/find_files.ts";
import { FORMATS } from "../formats/list.ts";
import {
  findFiles,
  FORMAT_OPTIONS,
  FORMAT_USAGE,
  readFormatOptions,
} from "../setup/meter_files.ts";

export const usage = `Usage: gridwatch formats [FILE…] [options]

Lists the formats of meter files that are read. Of files: what each is taken for, and why.

${FORMAT_USAGE}
  --json                as JSON on stdout

Examples:
  gridwatch formats
  gridwatch formats download.csv
`;

const OPTIONS = {
  ...FORMAT_OPTIONS,
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch formats`. */
export async function formats(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("formats", args, OPTIONS, { takesWords: true });
  if (values.help) print(usage);
  else if (positionals.length === 0) list(values.json);
  else {
    const options = await readFormatOptions("formats", values);
    for (const path of positionals) {
      tell(path, (await findFiles([path], options)).decided, values.json);
    }
  }
  return 0;
}

function list(isJson: boolean): void {
  if (isJson) return print(JSON.stringify(FORMATS));
  const rows = FORMATS.map((
    { name, about, unverified },
  ) => [name, unverified ? `${about} (unverified)` : about]);
  print(formatTable(["format", "what it is"], rows, { widthMax: stdoutColumns(), wrapped: [1] }));
}

function tell(
  path: string,
  decided: FoundFiles["decided"],
  isJson: boolean,
): void {
  if (isJson) return print(JSON.stringify({ path, decided }));
  const rows = Object.entries(decided).map((
    [what, { value, evidence }],
  ) => [what, value, evidence]);
  print(path);
  print(formatTable(["", "taken for", "by"], rows, { widthMax: stdoutColumns(), wrapped: [2] }));
}
