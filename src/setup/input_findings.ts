import { formatCount } from "../console/progress.ts";
import { say } from "../console/shell.ts";
import type { Inspection, Warning, WarningCode } from "../replay/records.ts";
import type { Input } from "./input.ts";

/** Warnings of what is as it should be, once it is known. */
const NOTES: ReadonlySet<string> = new Set<WarningCode>([
  "interval_changed",
  "no_offset",
  "clock_artefact",
]);

/** Warnings of an input of which nothing can be used. */
const USELESS: ReadonlySet<WarningCode> = new Set(["all_rejected", "no_rows"]);

/** Whether nothing of what was to be played could be used, and what is said of it; null: some was. */
export function uselessOf(
  warnings: readonly Warning[],
  inspection: Inspection | null,
): Warning | null {
  const useless = warnings.find(({ code }) => USELESS.has(code)) ?? null;
  // One of several files may have no rows.
  return useless?.code === "no_rows" && (inspection?.rows ?? 0) > 0 ? null : useless;
}

/**
 * Tells, before anything is played, of rows that will be rejected and of what the files show;
 * `saysUseless` false: somebody else says it where nothing in them can be used.
 */
export function sayFindings(
  { inspection }: Pick<Input, "inspection">,
  { saysUseless = true } = {},
): void {
  if (inspection === null) return;
  sayInspection(inspection, inspection.warnings, { saysUseless });
  sayFaults(inspection, "warning");
}

/** Tells what in each file could not be read. */
export function sayFaults(
  { files }: Pick<Inspection, "files">,
  level: "error" | "warning",
): void {
  for (const { path, faults } of files) {
    if (faults.length > 0) say(`${level}: ${faultText(path, faults)}`);
  }
}

/** The same of files that were looked through, with the warnings that there are of them. */
export function sayInspection(
  inspection: Inspection,
  warnings: readonly { readonly code: string; readonly text: string }[],
  { saysUseless = true } = {},
): void {
  const useless = uselessOf(inspection.warnings, inspection);
  for (const { problem, rows, file, line, example, isWarned } of inspection.problems) {
    if (isWarned || useless !== null) continue;
    say(`note: ${count(rows, "row")}: ${problem}, first in ${file}:${line}: ${example}`);
  }
  for (const { path, notes } of inspection.files) {
    for (const note of notes) say(`note: ${path}: ${note}`);
  }
  for (const { path, repeatedHeaders } of inspection.files) {
    if (repeatedHeaders === 0) continue;
    say(`note: ${count(repeatedHeaders, "repeated header line")} passed over in ${path}`);
  }
  for (const warning of warnings) {
    if (warning === useless && !saysUseless) continue;
    say(`${NOTES.has(warning.code) ? "note" : "warning"}: ${warning.text}`);
  }
}

/** What in a file could not be read, in one line: the first of it, and how much more there is. */
function faultText(path: string, [first, ...more]: readonly string[]): string {
  const rest = more.length === 0 ? "" : `; ${formatCount(more.length)} more like it`;
  return `Cannot read all of "${path}": ${first}${rest}`;
}

function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${number === 1 ? "" : "s"}`;
}
