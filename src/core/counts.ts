import { MONTH } from "./calendar.ts";
import { DISPOSITIONS, type Ledger } from "./ledger.ts";
import type { Metric, Outputs, RejectReason } from "./outputs.ts";
import type { Step } from "./step.ts";
import type { TaskState } from "./task_state.ts";
import { MONTH_MINUTES } from "./wire/file_fields.ts";

/** Adds the counts of a commit to what it says, at the watermark. */
export function countCommit(
  outputs: Outputs,
  { ledger, clockMs, nextOffset }: TaskState,
  { before, watermarkMs, rejectedByReason, gapsDetected }: {
    /** The ledger at the commit before. */
    readonly before: Readonly<Ledger>;
    readonly watermarkMs: number | null;
    readonly rejectedByReason: ReadonlyMap<RejectReason, number>;
    readonly gapsDetected: number;
  },
): void {
  // A part of a tick, which counts with its last part: what it says has the offset after it, too.
  const isPart = ledger.raw === before.raw;
  if (isPart && gapsDetected === 0) return;
  const offset = isPart ? nextOffset + 1 : nextOffset;
  const add = (metricType: string, value: number, tags: Record<string, string> = {}) =>
    outputs.metrics.push({
      offset,
      metricType,
      meterId: null,
      timestampMs: watermarkMs ?? 0,
      value,
      tags,
    });
  const since = Object.fromEntries(DISPOSITIONS.map((d) => [d, ledger[d] - before[d]]));
  if (since.ok > 0) add("event_processed", since.ok, { status: "OK" });
  if (since.late > 0) add("event_processed", since.late, { status: "LATE" });
  if (since.too_late > 0) add("too_late_event", since.too_late);
  if (since.duplicate > 0) add("duplicate_event", since.duplicate);
  for (const [error, value] of rejectedByReason) add("invalid_event", value, { error });
  if (gapsDetected > 0) add("gap_detected", gapsDetected);
  if (!isPart && watermarkMs !== null && clockMs > -Infinity) {
    add("watermark_lag_seconds", Math.max(0, clockMs - watermarkMs) / 1000);
  }
}

/**
 * Adds what happened to one meter. It has the offset after its cause, as the counts have: so no two
 * figures of a log have the same offset but in one commit.
 */
export function sayOfMeter(
  { outputs, offset }: Step,
  metric: Pick<Metric, "metricType" | "timestampMs" | "value" | "tags"> & {
    readonly meterId: string;
  },
): void {
  outputs.metrics.push({ offset: offset + 1, ...metric });
}

/** An interval as metrics and records say it. */
export function minutesOf(intervalMs: number): number {
  return intervalMs === MONTH ? MONTH_MINUTES : intervalMs / 60_000;
}
