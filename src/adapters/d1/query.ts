import { SQLITE } from "../../tables/dialect.ts";
import type { Query, Row } from "../../tables/query.ts";

/** A database as edge platforms give one: the part of D1 that reading needs. */
export type D1 = {
  prepare(sql: string): {
    bind(...values: unknown[]): { all(): Promise<{ results: Record<string, unknown>[] }> };
  };
};

/**
 * The questions of the status API, put to a database at the edge that holds the tables of the embedded
 * store.
 *
 * @example The page and the lists, in a worker with a database `DB`
 * ```ts
 * import { createApp } from "@gridwatch/gridwatch/app";
 * import { type D1, queryOfD1 } from "@gridwatch/gridwatch/d1";
 *
 * const nowMs = Date.now();
 *
 * function answer(request: Request, env: { DB: D1 }): Response | Promise<Response> {
 *   const app = createApp({
 *     query: queryOfD1(env.DB),
 *     version: "1",
 *     live: () => ({
 *       state: "finished",
 *       source: "replay",
 *       message: null,
 *       inputs: "the store of yesterday",
 *       rowsRead: 0,
 *       rowsTotal: null,
 *       readingsPerSecond: 0,
 *       eventTimeMs: null,
 *       startedAtMs: nowMs,
 *       lastProgressAtMs: nowMs,
 *       openGaps: null,
 *       problems: [],
 *     }),
 *   });
 *   return app.fetch(request);
 * }
 * ```
 */
export function queryOfD1(database: D1): Query {
  const query = async (sql: string, params: unknown[] = []): Promise<Row[]> => {
    const { results } = await database.prepare(numbered(sql)).bind(...params).all();
    return results;
  };
  return Object.assign(query, { dialect: SQLITE });
}

/** Parameters as D1 has them, by number: SQLite itself takes `$2` for a name. */
function numbered(sql: string): string {
  return sql.replaceAll(/('(?:[^']|'')*')|\$(\d+)/g, (_, text, n) => text ?? `?${n}`);
}
