import { type Context, Hono } from "hono";
import { ASSETS, AUDIT, AUDIT_POLICY, NOT_FOUND } from "./assets.ts";
import { createAnswerCache } from "./cache.ts";
import { addHealthRoutes } from "./health_routes.ts";
import { isHostKnown, misdirected } from "./host.ts";
import { addKpiRoutes } from "./kpi_routes.ts";
import { addListRoutes } from "./list_routes.ts";
import { addMeterRoutes } from "./meter_routes.ts";
import { addPipelineRoutes } from "./pipeline_routes.ts";
import { ParameterError } from "./parameters.ts";
import type { StatusPorts } from "./ports.ts";
import type { Query } from "../tables/query.ts";
import { createAnswers } from "./status.ts";
import { addStatusRoutes } from "./status_routes.ts";

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
  const { live, reportError } = ports;
  const nowMs = ports.nowMs ?? Date.now;
  const { dialect } = ports.query;
  const query: Query = Object.assign(async (sql: string, params?: unknown[]) => {
    try {
      return await ports.query(sql, params);
    } catch (cause) {
      throw new StoreError("The store does not answer", { cause });
    }
  }, { dialect });
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

  const app = new Hono();
  app.use(async (c, next) => {
    if (ports.hosts !== undefined && !isHostKnown(c.req.url, ports.hosts)) return misdirected();
    await next();
  });
  addPage(app);
  const hub = addStatusRoutes(app, { ports, answers });
  addHealthRoutes(app, { ports, query, answers, eventClients: hub.clients });
  addPipelineRoutes(app, { ports, answers });
  addListRoutes(app, { query, cache, answers, nowMs });
  addKpiRoutes(app, { query, cache, target: ports.kpiTarget ?? null });
  addMeterRoutes(app, { query, cache, answers, nowMs });
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

/** What every answer carries, what may be asked, and the page's files. */
function addPage(app: Hono): void {
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!c.res.headers.has(name)) c.header(name, value);
    }
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

  app.get("/audit", (c) => {
    c.header("cache-control", "no-cache");
    c.header("content-security-policy", AUDIT_POLICY);
    return c.body(AUDIT.text, 200, { "content-type": AUDIT.type });
  });
  for (const [path, asset] of Object.entries(ASSETS)) {
    app.get(path, (c) => {
      c.header("cache-control", "no-cache");
      return c.body(asset.text, 200, { "content-type": asset.type });
    });
  }
}

function notFound(c: Context): Response {
  if (!c.req.path.startsWith("/api/")) {
    return c.body(NOT_FOUND.text, 404, { "content-type": NOT_FOUND.type });
  }
  const hint =
    "There are /api/status, pipeline, ledger, meters, meters/:id, gaps, incidents, validation, silences, " +
    "late, rejected, delays, timeline, kpi and events";
  return c.json({ error: "There is no such address", hint }, 404);
}
