/** Runs of the whole program in processes of their own, and what their stores say. */
import assert from "node:assert/strict";
import { openFile } from "../../src/adapters/sqlite/library.ts";
import { answersOf } from "../adapters/sqlite/fleet.ts";
import { gridwatch } from "./command_line.ts";

/** Plays of one file with these are alike. */
export const DEFECTS = [
  ...["--delay-probability", "0.05", "--max-delay-seconds", "20000"],
  ...["--duplicate-probability", "0.05", "--gap-probability", "0.02"],
  ...["--now", "2025-01-01T00:00:00Z"],
];

/** Starts a command line in a process of its own; `commit_records_max` makes many commits of few. */
export function spawnGridwatch(
  args: readonly string[],
  { commitRecordsMax = 2000 } = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("../../cli.ts", import.meta.url).pathname, ...args],
    env: { GRIDWATCH_COMMIT_RECORDS_MAX: String(commitRecordsMax) },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Makes a file of 20 meters, some 960 readings a day. */
export async function writeFleet(path: string, { days = 20 } = {}): Promise<void> {
  const size = ["--meters", "20", "--days", String(days)];
  const made = await gridwatch("generate", ...size, "--output", path);
  assert.equal(made.code, 0, made.stderr);
}

/**
 * All that a store says, but how long its commits took and how far behind they were. Of what commits
 * counted the sums: where one ends is a matter of time, too.
 */
export function saidBy(path: string): string {
  const tables = answersOf(path).split("\n\n").filter((table) => !table.startsWith("metrics\n"));
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    const rows = database.prepare(
      "SELECT metric_type, meter_id, tags, source_partition, sum(value) FROM metrics WHERE " +
        "metric_type NOT IN ('consumer_lag_records', 'commit_duration_ms', " +
        "'watermark_lag_seconds') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    ).all();
    assert.ok(rows.length > 0);
    return [...tables, ...rows.map((row) => JSON.stringify(row))].join("\n");
  } finally {
    database.close();
  }
}

/** The first line that differs is told: all of them would be many megabytes. */
export function assertSame(answers: string, expected: string, what: string): void {
  if (answers === expected) return;
  const [lines, wanted] = [answers.split("\n"), expected.split("\n")];
  const at = lines.findIndex((line, index) => line !== wanted[index]);
  assert.fail(`${what}, line ${at}: ${lines[at]} instead of ${wanted[at]}`);
}
