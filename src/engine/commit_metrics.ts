import type { Metric } from "../core/outputs.ts";
import type { Commit } from "./ports.ts";

/** Metrics that describe a moment. They are not summed, so one may be left out. */
const GAUGES = ["consumer_lag_records", "commit_duration_ms", "watermark_lag_seconds"];

/** Adds to a commit how far its partition is behind, and how long the commit before took. */
export function addGauges(
  commit: Commit,
  { lagRecords, durationMs }: { lagRecords: number | null; durationMs: number | null },
): void {
  const add = (metricType: string, value: number | null) => {
    if (value !== null) commit.outputs.metrics.push({ ...metricOf(commit), metricType, value });
  };
  add("commit_duration_ms", durationMs);
  add("consumer_lag_records", lagRecords);
}

/** Takes the gauges out of a commit: one a second from each partition is more than anyone reads. */
export function dropGauges({ outputs: { metrics } }: Commit): void {
  const counted = metrics.filter(({ metricType }) => !GAUGES.includes(metricType));
  metrics.splice(0, metrics.length, ...counted);
}

/** Place and time of a commit's own figures. */
export function metricOf(
  { nextOffset, watermarkMs }: Commit,
): Pick<Metric, "offset" | "meterId" | "timestampMs" | "tags"> {
  return { offset: nextOffset, meterId: null, timestampMs: watermarkMs ?? 0, tags: {} };
}
