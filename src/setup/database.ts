import { openForSchema, readSchema } from "../adapters/postgres/migrate.ts";
import { type Answer, PostgresDatabase, type Transaction } from "../adapters/postgres/database.ts";
import { hintOf } from "../adapters/postgres/errors.ts";
import type { TimescaleOptions } from "../adapters/postgres/timescale.ts";
import { SSL_MODES } from "../adapters/postgres/tls.ts";
import type { Config } from "../settings.ts";
import { redacted } from "../console/redact.ts";
import { RunError, UsageError } from "../console/errors.ts";

/** Options that every command talking to a database has. */
export const DATABASE_OPTIONS = {
  database: { type: "string" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Questions of one transaction. */
export type ReadTransaction = Pick<Transaction, "query" | "copyOut">;

/** A database that is read: nothing can be changed through it. */
export type ReadDatabase = {
  query(sql: string, params?: readonly unknown[]): Promise<Answer>;
  /** Runs `work` in one transaction. */
  transaction<T>(work: (tx: ReadTransaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

const CONNECTIONS_READING = 4;
const STATEMENT_MS_MAX_READING = 30_000;

/**
 * The database's URL: what was given, or else the setting.
 *
 * @throws {UsageError} when there is neither, or it is no URL of PostgreSQL
 */
export function databaseUrl(command: string, config: Config, given: string | undefined): string {
  const url = given ?? config["database.url"];
  if (url === "") {
    throw new UsageError(
      `Cannot ${command}: no database is named`,
      "--database postgres://user:password@host/name, or GRIDWATCH_DATABASE_URL",
    );
  }
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return completed(url, config);
  throw new UsageError(
    `Cannot ${command} with --database="${shownUrl(url)}": ` +
      "must be postgres://user:password@host:port/name",
    "characters of a password that a URL has another use for are written as %40 (@), %2F (/), …",
  );
}

/**
 * The URL of the database that is meant, given or by the setting; null: none is, or a store is named
 * by `data`, which goes before the setting.
 *
 * @throws {UsageError} when it is no URL of PostgreSQL
 */
export function databaseMeant(
  command: string,
  config: Config,
  { database, data }: { readonly database?: string; readonly data?: string },
): string | null {
  const isMeant = database !== undefined || (data === undefined && config["database.url"] !== "");
  return isMeant ? databaseUrl(command, config, database) : null;
}

/** A URL with the password and the authorities that the settings name files of. */
function completed(text: string, config: Config): string {
  const url = new URL(text);
  const passwordFile = config["database.password_file"];
  const caFile = config["database.tls_ca_file"];
  if (passwordFile !== "" && url.password === "") {
    if (url.hostname === "") url.hostname = "localhost"; // a URL has no user without a host
    url.password = encodeURIComponent(readFile(passwordFile));
  }
  const mode = url.searchParams.get("sslmode") ?? url.searchParams.get("ssl");
  if (mode !== null && !SSL_MODES.some((one) => one === mode)) {
    throw new UsageError(`Cannot use sslmode=${mode}: must be ${SSL_MODES.join(" or ")}`);
  }
  if (caFile !== "" && !url.searchParams.has("sslrootcert")) {
    readFile(caFile); // named now where it cannot be read, and not once for each connection
    url.searchParams.set("sslrootcert", caFile);
  }
  return url.href;
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new RunError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** A database's address without its password. */
export function shownUrl(url: string): string {
  if (!url.includes("://")) return "(not a URL)";
  return redacted(url.replace(/[\s"]/g, encodeURIComponent));
}

/**
 * Opens a database for the status API and for checks. A statement may take `statementMsMax`; 0: as
 * long as it takes.
 *
 * @throws {RunError} when it does not answer
 */
export async function openDatabase(
  url: string,
  { statementMsMax = STATEMENT_MS_MAX_READING } = {},
): Promise<ReadDatabase> {
  const database = new PostgresDatabase(url, {
    connections: CONNECTIONS_READING,
    name: "gridwatch",
    readOnly: true,
    statementMsMax,
  });
  try {
    await database.query("SELECT 1");
    return database;
  } catch (error) {
    await database.close();
    throw databaseError("use", error);
  }
}

/** An error of the database as one to people; a fault of our own as it is. */
export function databaseError(verb: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  const message = error.message === "" ? String(error.code) : error.message;
  return new RunError(`Cannot ${verb} the database: ${message}`, hintOf(error), { cause: error });
}

/**
 * Checks that a database has this build's schema; gives which database it is.
 *
 * @throws {RunError} when it has not
 */
export async function checkSchema(url: string): Promise<string> {
  const database = openForSchema(url);
  try {
    const { migrations } = await readSchema(database);
    const others = migrations.filter(({ state }) => state !== "applied");
    if (others.length === 0) {
      const { rows: [{ id }] } = await database.query("SELECT id FROM database_identity");
      return String(id);
    }
    const named = others.map(({ name, state }) => `${name} is ${state}`).join(", ");
    throw new RunError(`Cannot use the database: ${named}`, "gridwatch migrate");
  } finally {
    await database.close();
  }
}

/** What TimescaleDB is told, by the settings. */
export function timescaleOptions(config: Config): TimescaleOptions {
  return {
    chunkDays: config["timescale.chunk_days"],
    columnstoreAfterDays: config["timescale.columnstore_after_days"],
    retentionDays: config["timescale.retention_days"],
  };
}
