import { createHash } from "node:crypto";
import init from "../../../sql/sqlite/001_init.sql" with { type: "text" };
import views from "../../../sql/sqlite/002_views.sql" with { type: "text" };
import validation from "../../../sql/sqlite/003_validation.sql" with { type: "text" };
import incidents from "../../../sql/sqlite/004_incidents.sql" with { type: "text" };
import estimates from "../../../sql/sqlite/005_estimates.sql" with { type: "text" };
import localDays from "../../../sql/sqlite/006_local_days.sql" with { type: "text" };
import quality from "../../../sql/sqlite/007_quality.sql" with { type: "text" };
import { DAMAGE_HINT, StoreError } from "./errors.ts";
import { type Database, prepareCells } from "./library.ts";

/** The numbered files of `sql/sqlite/`, in order. Once released, the text of one never changes. */
export const SQLITE_MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  { name: "001_init", sql: init },
  { name: "002_views", sql: views },
  { name: "003_validation", sql: validation },
  { name: "004_incidents", sql: incidents },
  { name: "005_estimates", sql: estimates },
  { name: "006_local_days", sql: localDays },
  { name: "007_quality", sql: quality },
];

/** "GrdW" in ASCII, in the file's header: `file` and SQLite's tools show whose file it is. */
const APPLICATION_ID = 0x47726457;

const TABLE = `CREATE TABLE IF NOT EXISTS schema_migrations (
  name       TEXT PRIMARY KEY,
  sha256     TEXT NOT NULL,
  applied_at TEXT NOT NULL
) STRICT`;

/** Whether the first bytes of a file are those of a store: SQLite's own, and whose it is. */
export function isStoreHeader(bytes: Uint8Array): boolean {
  if (bytes.length < APPLICATION_ID_AT + 4) return false;
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return magic === MAGIC && view.getInt32(APPLICATION_ID_AT) === APPLICATION_ID;
}

const MAGIC = "SQLite format 3\0";
/** https://www.sqlite.org/fileformat2.html#application_id */
const APPLICATION_ID_AT = 68;

/** What the header says of a file. */
export type Identity = "ours" | "older" | "empty";

/**
 * Whose file it is, by its header alone.
 *
 * @throws {StoreError} when it is none of ours, or from a newer version
 */
export function identityOf(database: Database, path: string): Identity {
  const application = pragma(database, "application_id");
  const version = pragma(database, "user_version");
  if (application === 0 && version === 0) {
    const [[tables]] = prepareCells(database, "SELECT count(*) FROM sqlite_schema")
      .all() as unknown as number[][];
    if (tables === 0) return "empty";
  }
  if (application !== APPLICATION_ID) {
    throw new StoreError(`${path} is no store of Gridwatch`, {
      hint: "it is left alone; --data DIR names another directory",
    });
  }
  if (version > SQLITE_MIGRATIONS.length) {
    throw new StoreError(
      `${path} was written by a newer version of Gridwatch (layout ${version}, this one knows ` +
        `${SQLITE_MIGRATIONS.length})`,
      { hint: "use that version; the store is left alone" },
    );
  }
  return version < SQLITE_MIGRATIONS.length ? "older" : "ours";
}

/** Brings a file to the newest schema, within the transaction that is open. */
export function migrateFile(database: Database, nowIso: string): void {
  database.exec(TABLE);
  const version = pragma(database, "user_version");
  const record = database.prepare("INSERT INTO schema_migrations VALUES (?, ?, ?)");
  for (const { name, sql } of SQLITE_MIGRATIONS.slice(version)) {
    database.exec(sql);
    record.run(name, sha256(sql), nowIso);
  }
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec(`PRAGMA user_version = ${SQLITE_MIGRATIONS.length}`);
}

/**
 * Checks that the migrations applied are the ones this build knows.
 *
 * @throws {StoreError} when one has another text
 */
export function checkMigrations(database: Database, path: string): void {
  const rows = database.prepare("SELECT name, sha256 FROM schema_migrations").all();
  const applied = new Map(rows.map((row) => [row.name, row.sha256]));
  for (const { name, sql } of SQLITE_MIGRATIONS) {
    if (applied.get(name) === sha256(sql) && applied.size === SQLITE_MIGRATIONS.length) continue;
    throw new StoreError(`${path} was made by migrations that this version does not know`, {
      hint: DAMAGE_HINT,
    });
  }
}

/** Tables, indexes and views that are not there as the migrations make them, by name. */
export function findChangedSchema(database: Database, made: Database): string[] {
  const read = (from: Database) =>
    new Map(
      from.prepare("SELECT type || ' ' || name AS name, sql FROM sqlite_schema").all()
        .map(({ name, sql }) => [String(name), sql]),
    );
  const expected = read(made);
  const found = read(database);
  const names = new Set([...expected.keys(), ...found.keys()]);
  return [...names].filter((name) => expected.get(name) !== found.get(name)).sort();
}

/** A number that a PRAGMA gives. */
export function pragma(database: Database, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
