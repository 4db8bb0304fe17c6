import { variableOf } from "../config.ts";
import { SETTINGS } from "../settings.ts";
import { readArguments } from "./arguments.ts";
import { loadConfig, print } from "./shell.ts";
import { formatTable } from "./table.ts";

export const usage = `Usage: gridwatch config [--config FILE]

Lists every setting: its value now, its environment variable, and what it is for.
`;

/** Runs `gridwatch config`. */
export async function settings(args: string[]): Promise<number> {
  const { values } = readArguments("config", args, {
    config: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    print(usage);
    return 0;
  }
  const config = await loadConfig(values.config);
  const rows = Object.entries(SETTINGS).map(([key, { doc, type }]) => [
    key,
    type === "secret" ? "(secret)" : String(config[key as keyof typeof SETTINGS]),
    variableOf(key),
    doc,
  ]);
  const widthMax = Deno.stdout.isTerminal() ? Deno.consoleSize().columns : undefined;
  print(formatTable(["setting", "value", "environment", "what it is for"], rows, { widthMax }));
  return 0;
}
