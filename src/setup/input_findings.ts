import { formatCount } from "../console/progress.ts";
import { say } from "../console/shell.ts";
import type { Inspection, WarningCode } from "../replay/records.ts";
import type { Input } from "./input.ts";

/** Warnings of what is as it should be, once it is known. */
const NOTES: ReadonlySet<string> = new Set<WarningCode>([
  "interval_changed",
  "no_offset",
  "clock_artefact",
]);

/** Tells, before anything is played, of rows that will be rejected and of what the files show. */
export function sayFindings({ inspection, description }: Input): void {
  if (inspection === null) return;
  if (inspection.rows === 0) say(`warning: ${description} has a header and no rows`);
  sayInspection(inspection, inspection.warnings);
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
  inspection: Pick<Inspection, "problems" | "files">,
  warnings: readonly { readonly code: string; readonly text: string }[],
): void {
  for (const { problem, rows, file, line, example, isWarned } of inspection.problems) {
    if (isWarned) continue;
    say(`note: ${count(rows, "row")}: ${problem}, first in ${file}:${line}: ${example}`);
  }
  for (const { path, notes } of inspection.files) {
    for (const note of notes) say(`note: ${path}: ${note}`);
  }
  for (const { path, repeatedHeaders } of inspection.files) {
    if (repeatedHeaders === 0) continue;
    say(`note: ${count(repeatedHeaders, "repeated header line")} passed over in ${path}`);
  }
  for (const { code, text } of warnings) {
    say(`${NOTES.has(code) ? "note" : "warning"}: ${text}`);
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
