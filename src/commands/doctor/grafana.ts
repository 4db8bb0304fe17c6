import { type Chain, failed, type Finding, notUsed, ok, skipped, warning } from "./checks.ts";

/** What the checks of Grafana look at. */
export type GrafanaPorts = {
  /** Null: none is configured. */
  readonly url: string | null;
  /** The `Authorization` header; null: no credentials are configured. */
  readonly authorization: string | null;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
};

/** The data source that the dashboards name, in `grafana/provisioning/datasources/`. */
export const DATASOURCE_UID = "gridwatch";
const LIMIT_MS = 8_000;
const CREDENTIALS = "GRIDWATCH_GRAFANA_TOKEN, or GRIDWATCH_GRAFANA_USER and …_PASSWORD";
const PROVISION = "mount grafana/provisioning at /etc/grafana/provisioning and restart Grafana";

type Answer = { readonly status: number; readonly body: Record<string, unknown> };

/** Grafana itself, then its data source. */
export function grafanaChecks(ports: GrafanaPorts): Chain {
  const fix = "is Grafana there? grafana.url (GRIDWATCH_GRAFANA_URL), or --grafana URL";
  return [
    {
      name: "Grafana",
      needs: [],
      limitMs: LIMIT_MS,
      fix,
      run: (signal) => checkHealth(ports, signal),
    },
    {
      name: "Grafana data source",
      needs: ["Grafana"],
      limitMs: LIMIT_MS,
      fix: PROVISION,
      run: (signal) => checkDatasource(ports, signal),
    },
  ];
}

/** The header of a token, or of a user and password; null without either. */
export function authorizationOf(
  { token, user, password }: { token: string; user: string; password: string },
): string | null {
  if (token !== "") return `Bearer ${token}`;
  if (user === "" || password === "") return null;
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

async function checkHealth(ports: GrafanaPorts, signal: AbortSignal): Promise<Finding> {
  const { url } = ports;
  if (url === null) return notUsed("none is configured", "--grafana http://localhost:3000");
  const { status, body } = await get(ports, "/api/health", signal);
  if (status !== 200 || typeof body.version !== "string") {
    return failed(`${url} answers ${status}, and not as Grafana does`, "--grafana URL");
  }
  if (body.database !== "ok") {
    return failed(`Grafana ${body.version}: its own database is ${body.database}`, "see its log");
  }
  return ok(`Grafana ${body.version} at ${url}`);
}

async function checkDatasource(ports: GrafanaPorts, signal: AbortSignal): Promise<Finding> {
  if (ports.authorization === null) return skipped("no credentials", CREDENTIALS);
  const path = `/api/datasources/uid/${DATASOURCE_UID}`;
  const { status, body } = await get(ports, path, signal);
  if (status === 401 || status === 403) {
    return failed(`Grafana refuses the credentials (${status})`, CREDENTIALS);
  }
  if (status === 404) return failed(`no data source "${DATASOURCE_UID}"`, PROVISION);
  if (status !== 200) return failed(`${path} answers ${status}`, "see Grafana's log");
  const health = await get(ports, `${path}/health`, signal);
  if (health.status === 200 && health.body.status === "OK") return ok(`${body.name} answers`);
  if (health.status === 404) {
    return warning(`${body.name} is there; this Grafana cannot be asked for its health`, "");
  }
  const said = String(health.body.message ?? health.status).split("\n")[0];
  return failed(`${body.name} has no database: ${said}`, "its host, user and password");
}

async function get(
  { url, authorization, fetch }: GrafanaPorts,
  path: string,
  signal: AbortSignal,
): Promise<Answer> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (authorization !== null) headers.authorization = authorization;
  const response = await fetch(`${(url ?? "").replace(/\/+$/, "")}${path}`, { headers, signal });
  const text = await response.text();
  return { status: response.status, body: parseObject(text) };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}
