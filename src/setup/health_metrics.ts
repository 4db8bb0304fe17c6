import { DISPOSITIONS } from "../core/ledger.ts";
import { type Health, type HealthStatus, isStuck } from "./health.ts";

type Sample = readonly [labels: string, value: number];

/** The figures of a processor or a sink, in Prometheus' text format 0.0.4. */
export function healthMetrics(
  partitions: readonly HealthStatus[],
  { troubles, stalledMs, status }: Health,
  nowMs: number,
): string {
  const lines: string[] = [];
  const add = (name: string, help: string, samples: readonly Sample[]) => {
    if (samples.length === 0) return;
    const type = name.endsWith("_total") ? "counter" : "gauge";
    lines.push(`# HELP gridwatch_${name} ${help}`, `# TYPE gridwatch_${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`gridwatch_${name}${labels} ${value}`);
  };
  const each = (name: string, help: string, valueOf: (one: HealthStatus) => number | null) =>
    add(
      name,
      help,
      partitions.flatMap((one): Sample[] => {
        const value = valueOf(one);
        return value === null ? [] : [[`{partition="${one.partition}"}`, value]];
      }),
    );
  const ends = (one: HealthStatus) => "ends" in one ? one.ends : null;
  const rows = (one: HealthStatus) => "rowsWritten" in one ? one : null;
  const seconds = (ms: number | null) => ms === null ? null : ms / 1000;
  add("started", "1 when it has begun; 0 while it waits.", [["", status() === null ? 0 : 1]]);
  add("kafka_up", "1 while Kafka answers.", [["", troubles.has("Kafka") ? 0 : 1]]);
  add("database_up", "1 while the database takes what it is given.", [
    ["", troubles.has("database") ? 0 : 1],
  ]);
  each("consumer_lag_records", "Records not committed yet, to the log's end.", (s) => s.lagRecords);
  each("next_offset", "Offset of the next raw record.", (s) => s.nextOffset);
  each("log_end_offset", "The log's end.", (s) => ends(s)?.logEndOffset ?? null);
  each("last_stable_offset", "Where the first open transaction begins, or the log ends.", (s) => {
    return ends(s)?.lastStableOffset ?? null;
  });
  each("meters", "Meters with state.", (s) => "meters" in s ? s.meters : null);
  each("shared_meters_total", "Meters that another partition has, too.", (s) => {
    return "sharedMeters" in s ? s.sharedMeters : null;
  });
  each("watermark_seconds", "Watermark, epoch seconds.", (s) => seconds(s.watermarkMs));
  each("rows_written_total", "Rows written.", (s) => rows(s)?.rowsWritten ?? null);
  each("rows_refused_total", "Messages that became no row.", (s) => rows(s)?.rowsRefused ?? null);
  each("running", "1 while the partition is worked on.", (s) => s.state === "running" ? 1 : 0);
  each(
    "stuck",
    "1 when it has work and nothing moves.",
    (s) => isStuck(s, stalledMs, nowMs) ? 1 : 0,
  );
  each("commits_total", "Commits since it is held.", (s) => s.commits);
  each("failures_total", "Failures since it is held.", (s) => s.failures);
  each("restores_total", "Restores since it is held.", (s) => s.restores);
  each("commit_duration_seconds", "How long the last commit took.", (s) => {
    return seconds(s.commitDurationMs);
  });
  each("last_commit_time_seconds", "When the last commit ended.", (s) => seconds(s.lastCommitAtMs));
  each("last_progress_time_seconds", "When a figure last moved, or nothing waited.", (s) => {
    return seconds(s.lastProgressAtMs);
  });
  add(
    "records_total",
    "Raw records by what became of them.",
    partitions.flatMap(({ partition, ledger }) =>
      ledger === null ? [] : DISPOSITIONS.map((disposition): Sample => [
        `{partition="${partition}",disposition="${disposition}"}`,
        ledger[disposition],
      ])
    ),
  );
  return `${lines.join("\n")}\n`;
}
