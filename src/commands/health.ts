import type { ProjectionStatus } from "../engine/projector.ts";
import type { PartitionStatus } from "../engine/worker.ts";
import { RunError } from "./errors.ts";

/** How a partition stands that a processor or a sink holds. */
export type HealthStatus = PartitionStatus | ProjectionStatus;

/** A partition that has not moved for this long, though it has work, is stuck. */
const PROGRESS_MS_MAX = 60_000;

/**
 * Serves the health of a processor or a sink. Liveness is by progress: 503 when a partition held has records to
 * read, or is being loaded, and nothing of it has moved for a minute.
 *
 * @throws {RunError} when the port is taken
 */
export function serveHealth(
  { host, port }: { host: string; port: number },
  status: () => HealthStatus[],
): { close(): Promise<void> } {
  try {
    const server = Deno.serve({ hostname: host, port, onListen: () => {} }, (request) => {
      const partitions = status();
      switch (new URL(request.url).pathname) {
        case "/healthz":
          return answer(partitions.every((p) => isAlive(p, Date.now())), partitions);
        case "/readyz":
          return answer(partitions.every((p) => p.state === "running"), partitions);
        case "/metrics":
          return new Response(metrics(partitions), {
            headers: { "content-type": "text/plain; version=0.0.4" },
          });
        default:
          return Response.json({ error: "not found" }, { status: 404 });
      }
    });
    return { close: () => server.shutdown() };
  } catch (error) {
    throw new RunError(`Cannot listen on ${host}:${port}: ${error}`, `--health-port ${port + 1}`, {
      cause: error,
    });
  }
}

/** Whether a partition moves, or has no reason to. */
export function isAlive(status: HealthStatus, nowMs: number): boolean {
  if (status.state === "running" && status.lagRecords === 0) return true;
  return nowMs - status.lastProgressAtMs < PROGRESS_MS_MAX;
}

function answer(isGood: boolean, partitions: readonly HealthStatus[]): Response {
  return Response.json({ status: isGood ? "ok" : "failing", partitions }, {
    status: isGood ? 200 : 503,
  });
}

function metrics(partitions: readonly HealthStatus[]): string {
  const lines: string[] = [];
  const add = (name: string, help: string, valueOf: (status: HealthStatus) => number | null) => {
    const type = name.endsWith("_total") ? "counter" : "gauge";
    const values = partitions.flatMap((status) => {
      const value = valueOf(status);
      return value === null ? [] : [`gridwatch_${name}{partition="${status.partition}"} ${value}`];
    });
    if (values.length === 0) return;
    lines.push(`# HELP gridwatch_${name} ${help}`, `# TYPE gridwatch_${name} ${type}`, ...values);
  };
  add("consumer_lag_records", "Records not read yet.", (s) => s.lagRecords);
  add("next_offset", "Offset of the next raw record.", (s) => s.nextOffset);
  add("meters", "Meters with state.", (s) => "meters" in s ? s.meters : null);
  add(
    "watermark_seconds",
    "Watermark, epoch seconds.",
    (s) => s.watermarkMs === null ? null : s.watermarkMs / 1000,
  );
  const rows = (s: HealthStatus) => "rowsWritten" in s ? s : null;
  add("rows_written_total", "Rows written.", (s) => rows(s)?.rowsWritten ?? null);
  add("rows_refused_total", "Messages that became no row.", (s) => rows(s)?.rowsRefused ?? null);
  add("running", "1 while the partition is worked on.", (s) => s.state === "running" ? 1 : 0);
  return `${lines.join("\n")}\n`;
}
