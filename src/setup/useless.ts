import { commandAgain } from "../console/again.ts";
import { processorOptions } from "../judging.ts";
import type { Warning } from "../replay/records.ts";
import type { PlayOptions, PlayResult } from "./embedded.ts";
import { meterFiles } from "./meter_files.ts";
import { readHeadLines } from "../replay/file_head.ts";
import { type WayOut, wayOut } from "./ways_out.ts";

type Given = Pick<
  PlayOptions,
  "command" | "words" | "columns" | "config" | "directory" | "database"
>;

/**
 * What to do about input of which nothing could be used: the command as it was given, with what lets
 * its rows in, ready to be pasted.
 */
export function hintsFor(
  { code }: Warning,
  { inspection, isAlone }: Pick<PlayResult, "inspection" | "isAlone">,
  given: Given,
): string[] {
  if (code === "no_rows") return ["hint: what is read: CSV with a header and a row a reading"];
  const { columns, config, database, directory } = given;
  if (inspection === null) {
    const sql = "SELECT reason, detail, raw FROM rejected_readings LIMIT 10";
    if (database !== undefined) return [`hint: ${sql}`];
    return [`hint: ${commandAgain(["query", sql, "--data", directory], [])}`];
  }
  const { zone } = processorOptions(config, 0, null);
  const way = wayOut(inspection, {
    headOf: (path) => readHeadLines(meterFiles, path),
    columns,
    zone,
  });
  const command = way === null ? null : againWith(way, { ...given, isAlone });
  if (command !== null) return [`hint: ${command}`];
  return [
    "hint: what is read: times as 2024-01-31 13:30 or 2024-01-31T13:30:00Z, values as 0.219 in kWh",
  ];
}

/** What was rejected has moved the store's clock: the rows come anew where nothing else is. */
function againWith(
  { variables, options }: WayOut,
  { command, words, directory, database, isAlone }: Given & { readonly isAlone: boolean },
): string | null {
  if (words === undefined) return null;
  const kept = [...words];
  const added = [...options];
  if (database !== undefined) return null;
  if (isAlone && command === "run") {
    if (!kept.includes("--fresh")) added.push("--fresh");
  } else {
    const at = kept.indexOf("--data");
    if (at >= 0) kept.splice(at, 2);
    added.push("--data", `${directory}-again`);
  }
  for (const option of options.filter((word) => word.startsWith("--"))) {
    const at = kept.indexOf(option);
    if (at >= 0) kept.splice(at, 2);
  }
  const again = commandAgain([command, ...kept, ...added], added);
  return [...variables, again].join(" ");
}
