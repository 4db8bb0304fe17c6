import type { ProcessorOptions } from "../core/options.ts";
import type { Zone } from "../core/zone.ts";
import { inspectFiles, type InspectOptions, type RowWatch } from "../replay/inspect.ts";
import type { Inspection } from "../replay/records.ts";
import type { Decided } from "../formats/decided.ts";
import type { AuditAnswer } from "./answer.ts";
import type { RejectCounts } from "./faults.ts";
import { auditSeries, newAuditLog, type SeriesVisitor } from "./audit.ts";
import { addSeries, answerOf, type AuditSum, newAuditSum } from "./sum.ts";
import { suspicionsOf } from "./suspicions.ts";

export type AuditOptions = Pick<InspectOptions, "files" | "columns" | "formats" | "signal"> & {
  readonly judging: ProcessorOptions;
  /** Readings dated after this are from the future. */
  readonly nowMs: number;
  readonly decided: Decided;
  /** Percent. */
  readonly target: number;
  readonly onBlock?: RowWatch["onBlock"];
  /** Looks at each series while its readings are at hand. */
  readonly visit?: SeriesVisitor;
};

/** Files as they were judged. */
export type Audited = {
  readonly answer: AuditAnswer;
  readonly sum: AuditSum;
  readonly inspection: Inspection;
  readonly rejectLines: RejectCounts["lines"];
  /** Of the days. */
  readonly zone: Zone;
};

/**
 * Judges meter files: each series by itself, in time order, in the slots in which the processor
 * would judge it.
 *
 * @throws {ReadError} for a file that cannot be read
 */
export async function auditFiles(
  paths: readonly string[],
  { files, columns, formats, signal, judging, nowMs, decided, target, onBlock, visit }:
    AuditOptions,
): Promise<Audited> {
  const watch = newAuditLog(onBlock);
  const { zone } = judging;
  const inspection = await inspectFiles(paths, {
    files,
    columns,
    formats,
    signal,
    zone,
    judging,
    nowMs,
    watch,
  });
  const sum = newAuditSum();
  auditSeries(inspection, watch, judging, (audited, readings) => {
    addSeries(sum, audited, zone);
    visit?.(audited, readings);
  });
  const rejected = watch.rejects.total;
  const warnings = suspicionsOf(sum, inspection);
  const answer = answerOf(sum, { judging, inspection, rejected, decided, target, warnings });
  return { answer, sum, inspection, rejectLines: watch.rejects.lines, zone };
}
