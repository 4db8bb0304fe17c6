import { type Context, Hono } from "hono";
import { addListRoutes } from "./list_routes.ts";
import { ASSETS, NOT_FOUND } from "./assets.ts";
import { createAnswerCache } from "./cache.ts";
import { createEventHub } from "./events.ts";
import { formatMetrics } from "./metrics.ts";
import { ParameterError, readParameters } from "./parameters.ts";
import type { Query, StatusPorts } from "./ports.ts";
import { createAnswers, readStatus, statusOfLive, summarizeLedger } from "./status.ts";
import { isoFromMs } from "./values.ts";

const NO_PROGRESS_MAX_MS = 60_000;
const READY_WAIT_MAX_MS = 5000;
const EVENT_CLIENTS_MAX = 100;
const EVENT_BEAT_MS = 1000;

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

/** The store did not answer. Becomes a 503; `cause` is for the log alone. */
class StoreError extends Error {
  override name = "StoreError";
}

/**
 * The status API and the page. Reads, never writes; asks the store no more for a hundred pages than
 * for one. Every answer to an error is `{error, hint}` without internals.
 */
export function createApp(ports: StatusPorts): Hono {
  const { live, version, reportError } = ports;
  const nowMs = ports.nowMs ?? Date.now;
  const query: Query = async (sql, params) => {
    try {
      return await ports.query(sql, params);
    } catch (cause) {
      throw new StoreError("The store does not answer", { cause });
    }
  };
  const cache = createAnswerCache({
    nowMs,
    activity() {
      const { state, source, rowsRead, eventTimeMs, lastProgressAtMs } = live();
      // Of a database it is known how far it is; here that something was committed.
      const changedAtMs = source === "database" ? eventTimeMs : lastProgressAtMs;
      return { stamp: `${state} ${rowsRead} ${changedAtMs}`, busy: state === "running" };
    },
  });
  const answers = createAnswers({ query, cache, nowMs, live });
  const hub = createEventHub({
    clientsMax: EVENT_CLIENTS_MAX,
    beatMs: EVENT_BEAT_MS,
    closing: ports.closing,
    async readStatus() {
      try {
        return JSON.stringify(await readStatus({ answers, live, version }));
      } catch (error) {
        reportError?.(error, "/api/events");
        const store = { ok: false, error: "The store does not answer" };
        return JSON.stringify({ ...statusOfLive(live(), version), store });
      }
    },
  });

  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
  });
  app.use(async (c, next) => {
    if (c.req.method === "GET" || c.req.method === "HEAD") return await next();
    c.header("allow", "GET, HEAD");
    return c.json(
      { error: `Cannot ${c.req.method}: this address is read only`, hint: "GET it" },
      405,
    );
  });

  for (const [path, asset] of Object.entries(ASSETS)) {
    app.get(path, (c) => {
      c.header("cache-control", "no-cache");
      return c.body(asset.text, 200, { "content-type": asset.type });
    });
  }

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
    if (await answersInTime(query, READY_WAIT_MAX_MS)) return c.json({ status: "ready" });
    const error = "The store does not answer";
    return c.json({ status: "not ready", error, hint: "See the log of gridwatch" }, 503);
  });

  app.get("/metrics", async (c) => {
    const [ledger, gaps] = await Promise.all([answers.ledger(), answers.gaps()]).catch((error) => {
      reportError?.(error, "/metrics");
      return [null, null] as const;
    });
    const eventClients = hub.clients();
    const text = formatMetrics({ version, live: live(), ledger, gaps, eventClients });
    return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });

  app.get("/api/status", async (c) => {
    readParameters(c.req.url, []);
    return c.json(await readStatus({ answers, live, version }));
  });

  app.get("/api/ledger", async (c) => {
    readParameters(c.req.url, []);
    // The check first: the ledger is then at least as new, and equal once nothing is committed.
    const check = await answers.tableCheck();
    const ledger = await answers.ledger();
    const { balanced, table_differences } = summarizeLedger(ledger, check);
    return c.json({
      ...ledger,
      balanced,
      tables: check.tables,
      tables_ledger: check.ledger,
      table_differences,
      tables_checked_at: isoFromMs(check.checkedAtMs),
    });
  });

  app.get("/api/events", (c) => {
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    };
    // A HEAD's body is thrown away unread: no stream would ever be cancelled.
    if (c.req.method === "HEAD") return c.body(null, 200, headers);
    const stream = hub.subscribe();
    if (stream !== null) return c.body(stream, 200, headers);
    c.header("retry-after", "10");
    return c.json({
      error: `Cannot listen: there are ${EVENT_CLIENTS_MAX} listeners, or it is shutting down`,
      hint: "Close a page, or poll /api/status",
    }, 503);
  });

  addListRoutes(app, { query, cache, answers, nowMs });
  app.notFound((c) => notFound(c));
  app.onError((error, c) => {
    if (error instanceof ParameterError) {
      return c.json({ error: error.message, hint: error.hint }, 400);
    }
    reportError?.(error, c.req.path);
    if (error instanceof StoreError) {
      return c.json({ error: error.message, hint: "Try again; see the log of gridwatch" }, 503);
    }
    return c.json({ error: "It failed here", hint: "See the log of gridwatch" }, 500);
  });
  return app;
}

function notFound(c: Context): Response {
  if (!c.req.path.startsWith("/api/")) {
    return c.body(NOT_FOUND.text, 404, { "content-type": NOT_FOUND.type });
  }
  const hint = "There are /api/status, ledger, meters, meters/:id, gaps, late, rejected, delays, " +
    "timeline and events";
  return c.json({ error: "There is no such address", hint }, 404);
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
