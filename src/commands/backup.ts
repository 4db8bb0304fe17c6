import { readArguments } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say } from "../console/shell.ts";
import { exists, openStoreReader } from "../setup/store.ts";

export const usage = `Usage: gridwatch backup FILE [--data DIR]

Writes a copy of the embedded store into FILE, also while a run writes the store: the copy is of one
moment, whole, and takes its name when it is on the disk. To restore it, copy it back as gridwatch.db
into an empty directory, and name that with --data.

  --data DIR     the store (default: .gridwatch)
  --config FILE  settings

Example:
  gridwatch backup /backups/gridwatch-$(date +%F).db
`;

const OPTIONS = {
  data: { type: "string" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch backup`. */
export async function backup(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("backup", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  if (positionals.length !== 1) {
    throw new UsageError("Cannot backup: exactly one file is needed", "gridwatch backup FILE");
  }
  const [path] = positionals;
  if (await exists(path)) {
    throw new RunError(`Cannot write ${path}: it is there already`, "name another file");
  }
  const config = await loadConfig(values.config);
  const reader = await openStoreReader(values.data ?? config.data_directory);
  const part = `${path}.part`;
  try {
    await attempt(`write ${path}`, async () => {
      await Deno.remove(part).catch(ignoreAbsent); // one that a killed backup has left
      await reader.copyInto(part);
      using file = await Deno.open(part, { write: true });
      await file.sync();
      await Deno.rename(part, path);
    });
  } catch (error) {
    await Deno.remove(part).catch(ignoreAbsent);
    throw error;
  } finally {
    await reader.close();
  }
  say(`${path}: ${formatCount((await Deno.stat(path)).size)} bytes`);
  return 0;
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
