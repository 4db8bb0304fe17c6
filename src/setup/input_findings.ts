import { formatCount } from "../console/progress.ts";
import { say } from "../console/shell.ts";
import type { Inspection, Warning, WarningCode } from "../replay/records.ts";
import type { Input } from "./input.ts";

/** Warnings of what is as it should be, once it is known. */
const NOTES: ReadonlySet<WarningCode> = new Set([
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
  const useless = uselessOf(inspection.warnings, inspection);
  for (const { problem, rows, file, line, example, isWarned } of inspection.problems) {
    if (isWarned || useless !== null) continue;
    say(`note: ${count(rows, "row")}: ${problem}, first in ${file}:${line}: ${example}`);
  }
  for (const { path, repeatedHeaders } of inspection.files) {
    if (repeatedHeaders === 0) continue;
    say(`note: ${count(repeatedHeaders, "repeated header line")} passed over in ${path}`);
  }
  for (const warning of inspection.warnings) {
    if (warning === useless && !saysUseless) continue;
    say(`${NOTES.has(warning.code) ? "note" : "warning"}: ${warning.text}`);
  }
}

function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${number === 1 ? "" : "s"}`;
}
