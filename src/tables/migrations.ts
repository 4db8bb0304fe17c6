import init from "../../sql/001_init.sql" with { type: "text" };
import embedded from "../../sql/002_embedded.sql" with { type: "text" };
import summaries from "../../sql/003_summaries.sql" with { type: "text" };
import digests from "../../sql/004_digests.sql" with { type: "text" };
import completeness from "../../sql/005_completeness.sql" with { type: "text" };
import identity from "../../sql/006_identity.sql" with { type: "text" };
import health from "../../sql/007_health.sql" with { type: "text" };
import validation from "../../sql/009_validation.sql" with { type: "text" };
import incidents from "../../sql/010_incidents.sql" with { type: "text" };
import estimates from "../../sql/011_estimates.sql" with { type: "text" };
import localDays from "../../sql/012_local_days.sql" with { type: "text" };
import quality from "../../sql/013_quality.sql" with { type: "text" };
import hypertables from "../../sql/timescale/001_hypertables.sql" with { type: "text" };
import aggregates from "../../sql/timescale/002_aggregates.sql" with { type: "text" };
import columnstore from "../../sql/timescale/003_columnstore.sql" with { type: "text" };
import dropped from "../../sql/timescale/004_dropped.sql" with { type: "text" };

/**
 * The numbered files of `sql/`, in order. `embedded` ones are for databases alone that `run` plays
 * files into.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: "001_init", sql: init, embedded: false },
  { name: "002_embedded", sql: embedded, embedded: true },
  { name: "003_summaries", sql: summaries, embedded: false },
  { name: "004_digests", sql: digests, embedded: false },
  { name: "005_completeness", sql: completeness, embedded: false },
  { name: "006_identity", sql: identity, embedded: false },
  { name: "007_health", sql: health, embedded: false },
  { name: "009_validation", sql: validation, embedded: false },
  { name: "010_incidents", sql: incidents, embedded: false },
  { name: "011_estimates", sql: estimates, embedded: false },
  { name: "012_local_days", sql: localDays, embedded: false },
  { name: "013_quality", sql: quality, embedded: false },
];

/** What TimescaleDB adds; `licensed`: its Apache edition lacks what this needs. */
export const TIMESCALE_MIGRATIONS: readonly (Migration & { readonly licensed: boolean })[] = [
  { name: "timescale_001_hypertables", sql: hypertables, embedded: false, licensed: false },
  { name: "timescale_002_aggregates", sql: aggregates, embedded: false, licensed: true },
  { name: "timescale_003_columnstore", sql: columnstore, embedded: false, licensed: true },
  { name: "timescale_004_dropped", sql: dropped, embedded: false, licensed: false },
];

/** A change of the schema. Once released, its text never changes: its hash is checked. */
export type Migration = { readonly name: string; readonly sql: string; readonly embedded: boolean };

/** The part of a database client that migrations need. */
export type MigrationClient = {
  query(sql: string, params?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  script(sql: string): Promise<void>;
};

/** What only asks a database. */
type Asked = Pick<MigrationClient, "query">;

/** How a migration stands in a database; `unknown`: this build does not have it. */
export type MigrationState = {
  readonly name: string;
  readonly state: "applied" | "pending" | "changed" | "unknown";
  readonly appliedAt: string | null;
};

/** The schema of a database cannot be brought to what this build knows. */
export class MigrationError extends Error {
  override name = "MigrationError";
}

const TABLE = `CREATE TABLE IF NOT EXISTS schema_migrations (
  name       text PRIMARY KEY,
  sha256     text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/**
 * Brings a database to the newest schema; each migration and its record are one transaction.
 * `parameters` are put in for `:name` in the texts; the hash is that of the text without them.
 *
 * @throws {MigrationError} when an applied migration is not the one this build knows, or is unknown
 * to it.
 */
export async function migrate(
  client: MigrationClient,
  migrations: readonly Migration[] = MIGRATIONS,
  parameters: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  await client.script(TABLE);
  const done: string[] = [];
  for (const { name, state } of await readMigrations(client, migrations)) {
    if (state === "unknown") {
      throw new MigrationError(
        `the database has migration ${name}, which this version does not know`,
      );
    }
    if (state === "changed") {
      throw new MigrationError(`migration ${name} was applied with another text`);
    }
    const migration = migrations.find((one) => one.name === name);
    if (state === "applied" || migration === undefined) continue;
    let sql = migration.sql;
    for (const [key, value] of Object.entries(parameters)) sql = sql.replaceAll(`:${key}`, value);
    await client.script(
      `BEGIN;\n${sql}\nINSERT INTO schema_migrations (name, sha256) VALUES ` +
        `('${name}', '${await sha256(migration.sql)}');\nCOMMIT;`,
    );
    done.push(name);
  }
  return done;
}

/** How each migration stands, those first that the database alone knows. */
export async function readMigrations(
  client: MigrationClient,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<MigrationState[]> {
  const { rows: [{ found }] } = await client.query(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS found",
  );
  const { rows } = found
    ? await client.query("SELECT name, sha256, applied_at FROM schema_migrations ORDER BY name")
    : { rows: [] };
  const states: MigrationState[] = rows
    .filter(({ name }) => !migrations.some((migration) => migration.name === name))
    .map((row) => ({ name: String(row.name), state: "unknown", appliedAt: timeOf(row) }));
  for (const { name, sql } of migrations) {
    const row = rows.find((one) => one.name === name);
    if (row === undefined) states.push({ name, state: "pending", appliedAt: null });
    else {
      const state = row.sha256 === await sha256(sql) ? "applied" : "changed";
      states.push({ name, state, appliedAt: timeOf(row) });
    }
  }
  return states;
}

/** Whether a database has the tables of the embedded pipeline. */
export async function hasEmbedded(client: Asked): Promise<boolean> {
  const { rows: [table] } = await client.query(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS found",
  );
  if (table?.found !== true) return false;
  const names = MIGRATIONS.filter(({ embedded }) => embedded).map(({ name }) => `'${name}'`);
  const { rows } = await client.query(
    `SELECT name FROM schema_migrations WHERE name IN (${names.join(", ")})`,
  );
  return rows.length > 0;
}

/** Whether files were played into a database: its positions count their records, and none of Kafka. */
export async function isPlayedInto(client: Asked): Promise<boolean> {
  if (!await hasEmbedded(client)) return false;
  const { rows } = await client.query("SELECT id FROM inputs LIMIT 1");
  return rows.length > 0;
}

function timeOf({ applied_at: at }: Record<string, unknown>): string {
  return at instanceof Date ? at.toISOString() : String(at);
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
