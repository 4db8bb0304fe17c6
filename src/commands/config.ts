import { variableOf } from "../config.ts";
import type { Config } from "../settings.ts";
import { SETTINGS } from "../settings.ts";
import { readArguments } from "../console/arguments.ts";
import { loadConfig, print, stdoutColumns } from "../console/shell.ts";
import { formatTable } from "../console/table.ts";

export const usage = `Usage: gridwatch config [--config FILE] [--json]

Lists every setting: its value now, its environment variable, and what it is for. Of a secret it
shows only whether it is set.

  --config FILE  settings (default: config/config.yaml, where there is one)
  --json         one JSON object on stdout
`;

/** Runs `gridwatch config`. */
export async function settings(args: string[]): Promise<number> {
  const { values } = readArguments("config", args, {
    config: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    print(usage);
    return 0;
  }
  const listed = listSettings(await loadConfig(values.config));
  if (values.json) {
    print(
      JSON.stringify({ settings: Object.fromEntries(listed.map(({ key, ...of }) => [key, of])) }),
    );
    return 0;
  }
  const rows = listed.map(({ key, value, variable, doc }) => [key, value, variable, doc]);
  const columns = ["setting", "value", "environment", "what it is for"];
  print(formatTable(columns, rows, { widthMax: stdoutColumns(), wrapped: [3] }));
  return 0;
}

/** Every setting in its order; a secret's value is not among them. */
export function listSettings(config: Config) {
  return Object.entries(SETTINGS).map(([key, { doc, type }]) => {
    const value = config[key as keyof typeof SETTINGS];
    const shown = type !== "secret" ? value : value === "" ? "(not set)" : "(secret)";
    return { key, value: shown, variable: variableOf(key), doc };
  });
}
