import type { Hono } from "hono";
import { formatMetrics } from "./metrics.ts";
import type { StatusPorts } from "./ports.ts";
import type { Query } from "../tables/query.ts";
import type { Answers } from "./status.ts";

const NO_PROGRESS_MAX_MS = 60_000;
const READY_WAIT_MAX_MS = 5000;

/** `/healthz`: whether it gets on; `/readyz`: whether the store answers; `/metrics`: for Prometheus. */
export function addHealthRoutes(
  app: Hono,
  { ports, query, answers, eventClients }: {
    readonly ports: StatusPorts;
    readonly query: Query;
    readonly answers: Answers;
    readonly eventClients: () => number;
  },
): void {
  const { live, version, reportError, nowMs = Date.now } = ports;

  app.get("/healthz", (c) => {
    const { state, source, message, lastProgressAtMs } = live();
    const idleMs = nowMs() - lastProgressAtMs;
    if (state === "failed") {
      const error = message ?? "It failed";
      return c.json({ status: "failing", state, error, hint: "See its log, then restart it" }, 503);
    }
    // A database that is away is the readiness's to tell: no restart of this one brings it back.
    if (state === "running" && source === "replay" && idleMs > NO_PROGRESS_MAX_MS) {
      const error = `No progress for ${Math.floor(idleMs / 1000)} s`;
      return c.json({ status: "failing", state, error, hint: "Restart it: it will resume" }, 503);
    }
    return c.json({ status: "ok", state });
  });

  app.get("/readyz", async (c) => {
    if (live().state === "starting") {
      return c.json({ status: "not ready", error: "Still starting", hint: "Ask again soon" }, 503);
    }
    const { problems } = live();
    if (problems.length > 0) {
      const [error] = problems;
      return c.json({ status: "not ready", error, problems, hint: "gridwatch doctor" }, 503);
    }
    if (await answersInTime(query, READY_WAIT_MAX_MS)) return c.json({ status: "ready" });
    const error = "The store does not answer";
    return c.json({ status: "not ready", error, hint: "See the log of gridwatch" }, 503);
  });

  app.get("/metrics", async (c) => {
    const [ledger, gaps, pipeline] = await Promise.all([
      answers.ledger(),
      answers.gaps(),
      answers.pipeline(),
    ]).catch((error) => {
      reportError?.(error, "/metrics");
      return [null, null, null] as const;
    });
    const text = formatMetrics({
      version,
      live: live(),
      ledger,
      gaps,
      pipeline,
      eventClients: eventClients(),
    });
    return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}

async function answersInTime(query: Query, waitMaxMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMaxMs);
  });
  const answer = query("SELECT 1 AS one").then(() => true, () => false);
  const answered = await Promise.race([answer, tooLate]);
  clearTimeout(timer);
  return answered;
}
