import type { Context, Hono } from "hono";
import { type AnswerCache, LIST, RARE_SCAN } from "./cache.ts";
import { countDelays } from "../tables/meters.ts";
import { choice, instantMs, listPage, readParameters, text } from "./parameters.ts";
import type { Query } from "../tables/query.ts";
import {
  countRejected,
  GAP_STATES,
  listGaps,
  listLate,
  listRejected,
  listSilences,
  REJECT_REASONS,
} from "../tables/lists.ts";
import { countFindings, listFindings } from "../tables/validation.ts";
import { countIncidents, INCIDENT_STATES, listIncidents } from "../tables/incident_lists.ts";
import type { Answers } from "./status.ts";

/** What a route answers from. */
export type RoutePorts = {
  readonly query: Query;
  readonly cache: AnswerCache;
  readonly answers: Answers;
  readonly nowMs: () => number;
};

/** The lists: gaps, what rules have found, late readings and their delays, rejected records. */
export function addListRoutes(app: Hono, ports: RoutePorts): void {
  app.get("/api/gaps", (c) => answerGaps(c, ports));
  app.get("/api/validation", (c) => answerValidation(c, ports));
  app.get("/api/incidents", (c) => answerIncidents(c, ports));
  app.get("/api/silences", (c) => answerSilences(c, ports));
  app.get("/api/late", (c) => answerLate(c, ports));
  app.get("/api/delays", (c) => answerDelays(c, ports));
  app.get("/api/rejected", (c) => answerRejected(c, ports));
}

/** `/api/gaps`: gaps as they stand, and how many there are in each state. */
async function answerGaps(c: Context, { query, cache, answers }: RoutePorts): Promise<Response> {
  const names = ["limit", "offset", "state", "meter", "sort", "from", "to"];
  const parameters = readParameters(c.req.url, names);
  const filter = {
    ...listPage(parameters),
    state: choice(parameters, "state", GAP_STATES),
    meterId: text(parameters, "meter"),
    fromMs: instantMs(parameters, "from"),
    toMs: instantMs(parameters, "to"),
    sort: choice(parameters, "sort", ["recent", "longest"]) ?? "recent",
  };
  const key = `gaps ${JSON.stringify(filter)}`;
  const [{ rows, more }, states] = await Promise.all([
    cache.get(key, LIST, () => listGaps(query, filter)),
    answers.gaps(),
  ]);
  const { limit, offset } = filter;
  return c.json({ gaps: rows, more, limit, offset, states });
}

/** `/api/incidents`: shared outages, and how many there are in each state. */
async function answerIncidents(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const names = ["limit", "offset", "state", "group", "from", "to"];
  const parameters = readParameters(c.req.url, names);
  const filter = {
    ...listPage(parameters),
    state: choice(parameters, "state", INCIDENT_STATES),
    groupId: text(parameters, "group"),
    fromMs: instantMs(parameters, "from"),
    toMs: instantMs(parameters, "to"),
  };
  const key = `incidents ${JSON.stringify(filter)}`;
  const [{ rows, more }, states] = await Promise.all([
    cache.get(key, LIST, () => listIncidents(query, filter)),
    cache.get("incident states", LIST, () => countIncidents(query)),
  ]);
  const { limit, offset } = filter;
  return c.json({ incidents: rows, more, limit, offset, states });
}

/** `/api/silences`: the silent meters, and how many slots are missing by now. */
async function answerSilences(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const parameters = readParameters(c.req.url, ["limit", "offset", "meter"]);
  const filter = { ...listPage(parameters), meterId: text(parameters, "meter") };
  const key = `silences ${JSON.stringify(filter)}`;
  const { rows, more } = await cache.get(key, LIST, () => listSilences(query, filter));
  return c.json({ silences: rows, more, limit: filter.limit, offset: filter.offset });
}

/** `/api/validation`: what rules have found, and how much of each. */
async function answerValidation(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const names = ["limit", "offset", "rule", "meter", "from", "to"];
  const parameters = readParameters(c.req.url, names);
  const filter = {
    ...listPage(parameters),
    rule: text(parameters, "rule"),
    meterId: text(parameters, "meter"),
    fromMs: instantMs(parameters, "from"),
    toMs: instantMs(parameters, "to"),
  };
  const [{ rows, more }, rules] = await Promise.all([
    cache.get(`validation ${JSON.stringify(filter)}`, LIST, () => listFindings(query, filter)),
    cache.get("rules", LIST, () => countFindings(query)),
  ]);
  const { limit, offset } = filter;
  return c.json({ validation: rows, more, limit, offset, rules });
}

/** `/api/late`: too-late readings, or those accepted late. */
async function answerLate(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const parameters = readParameters(c.req.url, ["limit", "offset", "meter", "status"]);
  const filter = {
    ...listPage(parameters),
    meterId: text(parameters, "meter"),
    status: choice(parameters, "status", ["TOO_LATE", "LATE"]) ?? "TOO_LATE",
  };
  const key = `late ${JSON.stringify(filter)}`;
  const freshness = filter.status === "LATE" ? RARE_SCAN : LIST;
  const { rows, more } = await cache.get(key, freshness, () => listLate(query, filter));
  return c.json({ late: rows, more, limit: filter.limit, offset: filter.offset });
}

/** `/api/delays`: how late late readings were. */
async function answerDelays(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  readParameters(c.req.url, []);
  const delays = await cache.get("delays", RARE_SCAN, () => countDelays(query));
  return c.json({ delays });
}

/** `/api/rejected`: rejected records, and how many there are of each reason. */
async function answerRejected(c: Context, { query, cache }: RoutePorts): Promise<Response> {
  const parameters = readParameters(c.req.url, ["limit", "offset", "meter", "reason"]);
  const filter = {
    ...listPage(parameters),
    meterId: text(parameters, "meter"),
    reason: choice(parameters, "reason", REJECT_REASONS),
  };
  const key = `rejected ${JSON.stringify(filter)}`;
  const [{ rows, more }, reasons] = await Promise.all([
    cache.get(key, LIST, () => listRejected(query, filter)),
    cache.get("reasons", LIST, () => countRejected(query)),
  ]);
  const { limit, offset } = filter;
  return c.json({ rejected: rows, more, limit, offset, reasons });
}
