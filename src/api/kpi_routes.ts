import type { Hono } from "hono";
import { KPI_KEYS, readKpis, readKpisBy } from "../tables/kpi.ts";
import type { Query } from "../tables/query.ts";
import { type AnswerCache, RARE_SCAN } from "./cache.ts";
import { choice, instantMs, readParameters } from "./parameters.ts";

/** `/api/kpi`: the key figures of all, or of each day, group or meter. */
export function addKpiRoutes(
  app: Hono,
  { query, cache, target }: {
    readonly query: Query;
    readonly cache: AnswerCache;
    readonly target: number | null;
  },
): void {
  app.get("/api/kpi", async (c) => {
    const parameters = readParameters(c.req.url, ["from", "to", "by"]);
    const by = choice(parameters, "by", KPI_KEYS);
    const options = {
      fromMs: instantMs(parameters, "from"),
      toMs: instantMs(parameters, "to"),
      target,
    };
    const key = `kpi ${JSON.stringify({ by, ...options })}`;
    return c.json(
      by === null
        ? await cache.get(key, RARE_SCAN, () => readKpis(query, options))
        : { kpis: await cache.get(key, RARE_SCAN, () => readKpisBy(query, by, options)) },
    );
  });
}
