/** The status API and its page in a worker at the edge, over the database that this is given. */
import { type D1, queryOfD1 } from "../../src/adapters/d1/query.ts";
import { createApp } from "../../src/api/app.ts";
import { EDGE } from "./edge_app.ts";

export default {
  async fetch(request: Request, env: { DB: D1 }): Promise<Response> {
    const failures: string[] = [];
    const app = createApp({
      query: queryOfD1(env.DB),
      version: EDGE.version,
      live: () => EDGE.live,
      nowMs: () => EDGE.nowMs,
      reportError: (error) => failures.push(`${(error as Error).cause}`),
    });
    const response = await app.fetch(request);
    return failures.length === 0 ? response : new Response(failures.join("\n"), { status: 500 });
  },
};
