import init from "../../sql/001_init.sql" with { type: "text" };
import embedded from "../../sql/002_embedded.sql" with { type: "text" };

/** The numbered files of `sql/`, in order. `embedded` ones are for the embedded store alone. */
export const MIGRATIONS: readonly Migration[] = [
  { name: "001_init", sql: init, embedded: false },
  { name: "002_embedded", sql: embedded, embedded: true },
];

/** A change of the schema. Once released, its text never changes: its hash is checked. */
export type Migration = { readonly name: string; readonly sql: string; readonly embedded: boolean };

/** The part of a database client that migrations need. */
export type MigrationClient = {
  query(sql: string, params?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  script(sql: string): Promise<void>;
};

const TABLE = `CREATE TABLE IF NOT EXISTS schema_migrations (
  name       text PRIMARY KEY,
  sha256     text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/**
 * Brings a database to the newest schema; each migration and its record are one transaction.
 *
 * @throws {Error} when an applied migration is not the one this build knows, or is unknown to it.
 */
export async function migrate(
  client: MigrationClient,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<string[]> {
  await client.script(TABLE);
  const { rows } = await client.query("SELECT name, sha256 FROM schema_migrations ORDER BY name");
  const applied = new Map(rows.map((row) => [String(row.name), String(row.sha256)]));
  for (const name of applied.keys()) {
    if (!migrations.some((migration) => migration.name === name)) {
      throw new Error(`the database has migration ${name}, which this version does not know`);
    }
  }
  const done: string[] = [];
  for (const migration of migrations) {
    const hash = await sha256(migration.sql);
    const known = applied.get(migration.name);
    if (known !== undefined && known !== hash) {
      throw new Error(`migration ${migration.name} was applied with another text`);
    }
    if (known !== undefined) continue;
    await client.script(
      `BEGIN;\n${migration.sql}\nINSERT INTO schema_migrations (name, sha256) VALUES ` +
        `('${migration.name}', '${hash}');\nCOMMIT;`,
    );
    done.push(migration.name);
  }
  return done;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
