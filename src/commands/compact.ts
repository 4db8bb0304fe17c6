import { freeBytes } from "../adapters/deno/disk.ts";
import { STORE_FILE } from "../adapters/sqlite/store.ts";
import { readArguments } from "../console/arguments.ts";
import { RunError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { formatBytes, formatCount } from "../console/progress.ts";
import { loadConfig, print, say } from "../console/shell.ts";
import { openStore, refuseAbsent, runError } from "../setup/store.ts";

export const usage = `Usage: gridwatch compact [--data DIR]

Gives the disk what the embedded store does not use any more: first drops what retention_days lets
go, then the room of all that was dropped. It goes in steps that are each whole: cut off anywhere,
the same command goes on. Others may read meanwhile; while a run writes the store it is refused.

  --data DIR     the store (default: .gridwatch)
  --config FILE  settings

Example:
  GRIDWATCH_RETENTION_DAYS=400 gridwatch compact
`;

const OPTIONS = {
  data: { type: "string" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** What a step may write beside the file before it is moved into it, at most. */
const STEP_BYTES_MAX = 64 << 20;

/** Runs `gridwatch compact`. */
export async function compact(args: string[]): Promise<number> {
  const { values } = readArguments("compact", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const config = await loadConfig(values.config);
  const directory = values.data ?? config.data_directory;
  await refuseAbsent(directory);
  const path = `${directory}/${STORE_FILE}`;
  const { size: before } = await attempt(`look at ${path}`, () => Deno.stat(path));
  await refuseSmallRoom(directory, before);
  const store = await openStore(directory, { retentionDays: config.retention_days });
  try {
    for (let free = Infinity, left = await store.compact(); left > 0 && left < free;) {
      free = left;
      left = await store.compact();
    }
  } catch (error) {
    throw runError(error);
  } finally {
    await store.close();
  }
  const { size: after } = await Deno.stat(path);
  say(
    `${path}: ${formatCount(after)} bytes, ${formatBytes(Math.max(0, before - after))} given back`,
  );
  return 0;
}

/** Says how much room it takes on the way, and whether that is there. */
async function refuseSmallRoom(directory: string, fileBytes: number): Promise<void> {
  // A step writes no page twice.
  const needed = Math.min(STEP_BYTES_MAX, fileBytes + (1 << 20));
  const free = await attempt(`look at the disk of ${directory}`, () => freeBytes(directory));
  const found = free === null ? "what is free is not known" : `${formatBytes(free)} are free`;
  if (free !== null && free < needed) {
    throw new RunError(
      `Cannot compact ${directory}: it takes up to ${formatBytes(needed)} on the way, and ${found}`,
      "free some space on that disk first",
    );
  }
  say(`${directory}: it takes up to ${formatBytes(needed)} on the way; ${found}`);
}
