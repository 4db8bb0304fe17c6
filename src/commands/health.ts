import type { PartitionStatus } from "../engine/worker.ts";
import { RunError } from "./errors.ts";

/** A partition that has not moved for this long, though it has work, is stuck. */
const PROGRESS_MS_MAX = 60_000;

/**
 * Serves a processor's health. Liveness is by progress: 503 when a partition held has records to
 * read, or is being restored, and nothing of it has moved for a minute.
 *
 * @throws {RunError} when the port is taken
 */
export function serveHealth(
  { host, port }: { host: string; port: number },
  status: () => PartitionStatus[],
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
export function isAlive(status: PartitionStatus, nowMs: number): boolean {
  if (status.state === "running" && status.lagRecords === 0) return true;
  return nowMs - status.lastProgressAtMs < PROGRESS_MS_MAX;
}

function answer(isGood: boolean, partitions: readonly PartitionStatus[]): Response {
  return Response.json({ status: isGood ? "ok" : "failing", partitions }, {
    status: isGood ? 200 : 503,
  });
}

function metrics(partitions: readonly PartitionStatus[]): string {
  const lines: string[] = [];
  const add = (name: string, help: string, valueOf: (status: PartitionStatus) => number | null) => {
    lines.push(`# HELP gridwatch_${name} ${help}`, `# TYPE gridwatch_${name} gauge`);
    for (const status of partitions) {
      const value = valueOf(status);
      if (value === null) continue;
      lines.push(`gridwatch_${name}{partition="${status.partition}"} ${value}`);
    }
  };
  add("consumer_lag_records", "Records not read yet.", (s) => s.lagRecords);
  add("next_offset", "Offset of the next raw record.", (s) => s.nextOffset);
  add("meters", "Meters with state.", (s) => s.meters);
  add(
    "watermark_seconds",
    "Watermark, epoch seconds.",
    (s) => s.watermarkMs === null ? null : s.watermarkMs / 1000,
  );
  add("running", "1 while the partition is worked on.", (s) => s.state === "running" ? 1 : 0);
  return `${lines.join("\n")}\n`;
}
