import { createApp } from "../api/app.ts";
import type { LiveStatus } from "../api/ports.ts";
import { listen } from "../console/listen.ts";
import { say } from "../console/shell.ts";
import { VERSION } from "../console/version.ts";
import type { Config } from "../settings.ts";
import type { Dialect } from "../tables/dialect.ts";
import { kpiTarget } from "./kpi.ts";

/** The status API, being served. */
export type ApiServer = { readonly url: string; close(): Promise<void> };

/** Where something is served, and by which names it is known there. */
export type ServedAt = {
  readonly host: string;
  readonly port: number;
  readonly hosts: readonly string[];
  readonly stalledSeconds?: number;
  /** See `StatusPorts.kpiTarget`. */
  readonly kpiTarget?: number;
};

/** A port on the address of the settings. */
export function servedAt(config: Config, port: number): ServedAt {
  const host = config["api.host"];
  const names = config["api.hosts"].split(",").map((name) => name.trim());
  const stalledSeconds = config["health.stalled_seconds"];
  return {
    ...{ host, port, stalledSeconds, kpiTarget: kpiTarget(config) },
    hosts: [host, ...names.filter((name) => name !== "")],
  };
}

/** The part of a store that the API reads by: statements that cannot change anything. */
export type ApiStore = {
  /** What it speaks; PostgreSQL's unless it says. */
  readonly dialect?: Dialect;
  query(
    sql: string,
    params?: readonly unknown[],
  ): Promise<{ rows: Record<string, unknown>[] }>;
};

/**
 * Serves the status API and the page over a store.
 *
 * @throws {RunError} when the port is taken or may not be used
 */
export function serveApi(
  store: ApiStore,
  live: () => LiveStatus,
  { host, port, hosts, stalledSeconds, kpiTarget }: ServedAt,
): ApiServer {
  const closing = new AbortController();
  const { dialect } = store;
  const query = async (sql: string, params?: unknown[]) => (await store.query(sql, params)).rows;
  const app = createApp({
    query: Object.assign(query, { dialect }),
    live,
    hosts,
    stalledSeconds,
    version: VERSION,
    kpiTarget,
    reportError: (error, path) =>
      say(`error: ${path}: ${error instanceof Error ? error.message : error}`),
    closing: closing.signal,
  });
  const server = listen({ host, port, flag: "--port" }, app.fetch);
  const shown = host === "0.0.0.0" || host === "127.0.0.1" ? "localhost" : host;
  return {
    url: `http://${shown.includes(":") ? `[${shown}]` : shown}:${server.addr.port}`,
    close: async () => {
      closing.abort();
      await server.shutdown();
    },
  };
}
