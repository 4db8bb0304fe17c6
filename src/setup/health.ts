import type { SinkStatus } from "../engine/sink/sink.ts";
import type { PartitionStatus } from "../engine/log/worker.ts";
import { readNumber } from "../console/arguments.ts";
import { listen } from "../console/listen.ts";

/** How a partition stands that a processor or a sink holds. */
export type HealthStatus = PartitionStatus | SinkStatus;

/** A partition that has not moved for this long, though it has work, is stuck. */
const PROGRESS_MS_MAX = 60_000;

/**
 * Serves the health of a processor or a sink; `status` null: it waits for the log or the database.
 * Liveness is by progress: 503 when a partition held has records to read, or is being loaded, and
 * nothing of it has moved for a minute; and at once when one is stopped, as its invariant is broken.
 * What only waits is alive, and not ready.
 *
 * @throws {RunError} when the port is taken
 */
export function serveHealth(
  { host, port }: { host: string; port: number },
  status: () => HealthStatus[] | null,
): { close(): Promise<void> } {
  const server = listen({ host, port, flag: "--health-port" }, (request) => {
    const partitions = status();
    const all = partitions ?? [];
    switch (new URL(request.url).pathname) {
      case "/healthz":
        return answer(all.every((p) => isAlive(p, Date.now())), all);
      case "/readyz":
        return answer(partitions !== null && all.every((p) => p.state === "running"), all);
      case "/metrics":
        return new Response(metrics(all), {
          headers: { "content-type": "text/plain; version=0.0.4" },
        });
      default:
        return Response.json({ error: "not found" }, { status: 404 });
    }
  });
  return { close: () => server.shutdown() };
}

/**
 * Reads `--health-port`; null: it is not given.
 *
 * @throws {UsageError} when it is no port
 */
export function readHealthPort(command: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  return readNumber(command, "health-port", text, { min: 0, max: 65_535, whole: true });
}

/** Whether a partition moves, or has no reason to; one that is stopped needs a person. */
export function isAlive(status: HealthStatus, nowMs: number): boolean {
  if (status.state === "stopped") return false;
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
    "shared_meters_total",
    "Meters that another partition has, too.",
    (s) => "sharedMeters" in s ? s.sharedMeters : null,
  );
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
