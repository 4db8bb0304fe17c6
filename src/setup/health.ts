import type { SinkStatus } from "../engine/sink/sink.ts";
import type { PartitionStatus } from "../engine/log/worker_partition.ts";
import { readNumber } from "../console/arguments.ts";
import { listen } from "../console/listen.ts";
import { isHostKnown, misdirected } from "../api/host.ts";
import { healthMetrics } from "./health_metrics.ts";
import type { ServedAt } from "./serve_api.ts";
import type { Troubles } from "./troubles.ts";

/** How a partition stands that a processor or a sink holds. */
export type HealthStatus = PartitionStatus | SinkStatus;

/** What the health of a processor or a sink is told by. */
export type Health = {
  /** Null: it waits for the log or the database. */
  readonly status: () => readonly HealthStatus[] | null;
  readonly troubles: Troubles;
  /** How long ago the slowest of its threads said how it stands. */
  readonly silentMs?: (nowMs: number) => number;
  /** A partition that has work, and whose figures have not moved for so long, is stuck. */
  readonly stalledMs: number;
};

/**
 * Serves the health of a processor or a sink, by what moved: figures, not the program's own clock.
 *
 * - `/healthz`: 503 when a partition is stopped, as its invariant is broken, or stuck while all that
 *   it needs is in reach: a restart may help.
 * - `/readyz`: 503 when anything keeps it from its work; `problems` says what.
 *
 * @throws {RunError} when the port is taken
 */
export function serveHealth(
  { host, port, hosts }: ServedAt,
  health: Health,
): { close(): Promise<void> } {
  const server = listen({ host, port, flag: "--health-port" }, (request) => {
    if (!isHostKnown(request.url, hosts)) return misdirected();
    const partitions = health.status();
    const nowMs = Date.now();
    switch (new URL(request.url).pathname) {
      case "/healthz":
        return answer(isAlive(health, nowMs), health, nowMs);
      case "/readyz":
        return answer(problemsOf(health, nowMs).length === 0, health, nowMs);
      case "/metrics":
        return new Response(healthMetrics(partitions ?? [], health, nowMs), {
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

/** Whether a partition has work, and nothing of it has moved for too long. */
export function isStuck(status: HealthStatus, stalledMs: number, nowMs: number): boolean {
  const hasWork = status.state !== "running" || status.lagRecords > 0;
  return hasWork && nowMs - status.lastProgressAtMs >= stalledMs;
}

/** Whether it needs no restart. */
export function isAlive(health: Health, nowMs: number): boolean {
  const { status, troubles, stalledMs } = health;
  const all = status() ?? [];
  if (isSilent(health, nowMs)) return false;
  if (all.some(({ state }) => state === "stopped")) return false;
  return troubles.now().length > 0 || !all.some((one) => isStuck(one, stalledMs, nowMs));
}

/** What keeps it from its work, a line each. */
export function problemsOf(health: Health, nowMs: number): string[] {
  const { status, troubles, stalledMs } = health;
  const partitions = status();
  if (partitions === null) return [...troubles.now(), "it waits for Kafka or the database"];
  return [
    ...troubles.now(),
    ...(isSilent(health, nowMs) ? ["a thread of it says nothing any more"] : []),
    ...partitions.flatMap((one) => {
      const { partition, state, lastFailure, lagRecords, lastProgressAtMs } = one;
      const why = lastFailure === null ? "" : `: ${lastFailure}`;
      if (state !== "running") return [`partition ${partition} is ${state}${why}`];
      if (!isStuck(one, stalledMs, nowMs)) return [];
      const seconds = Math.floor((nowMs - lastProgressAtMs) / 1000);
      return [
        `partition ${partition}: ${lagRecords} records wait, and nothing has moved for ` +
        `${seconds} s${openTransaction(one)}${why}`,
      ];
    }),
  ];
}

function isSilent({ status, silentMs, stalledMs }: Health, nowMs: number): boolean {
  return status() !== null && silentMs !== undefined && silentMs(nowMs) >= stalledMs;
}

/** Records behind an open transaction are read by nobody: its producer is to be looked for. */
function openTransaction(status: HealthStatus): string {
  const ends = "ends" in status ? status.ends : null;
  if (ends === null || ends.lastStableOffset >= ends.logEndOffset) return "";
  return `; a transaction is open at offset ${ends.lastStableOffset}, and the log ends at ` +
    `${ends.logEndOffset}`;
}

function answer(isGood: boolean, health: Health, nowMs: number): Response {
  const status = isGood ? "ok" : "failing";
  const partitions = health.status() ?? [];
  return Response.json({ status, problems: problemsOf(health, nowMs), partitions }, {
    status: isGood ? 200 : 503,
  });
}
