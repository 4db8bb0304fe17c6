import {
  hasEmbedded,
  migrate,
  type Migration,
  MIGRATIONS,
  type MigrationState,
  readMigrations,
  TIMESCALE_MIGRATIONS,
} from "../../tables/migrations.ts";
import type { Zone } from "../../core/zone.ts";
import { zoneRows } from "../../tables/local_days.ts";
import { PostgresDatabase } from "./database.ts";
import { holdLock } from "./lock.ts";
import {
  applyTimescaleOptions,
  type TimescaleEdition,
  timescaleEdition,
  type TimescaleOptions,
} from "./timescale.ts";

/** The schema of a database, and what of TimescaleDB it has. */
export type SchemaState = {
  readonly migrations: readonly MigrationState[];
  readonly timescale: TimescaleEdition | null;
};

/** One migration at a time, whoever starts it: "gridwatc" in ASCII. */
const LOCK = "7453301640498869347";

/** Opens a database for its schema: one connection, and one for the lock; no limit on statements. */
export function openForSchema(url: string): PostgresDatabase {
  return new PostgresDatabase(url, {
    connections: 2,
    name: "gridwatch migrate",
    statementMsMax: 0,
  });
}

/**
 * Brings a database to the newest schema, and TimescaleDB's jobs to the settings. `embedded`: with the
 * tables that `run` keeps its own state in, which are not taken away where they are. The database
 * has two connections at least: one holds the lock.
 *
 * @throws {MigrationError} when it has another schema than this build knows
 */
export async function migrateDatabase(
  database: PostgresDatabase,
  { embedded = false, zone, ...options }: TimescaleOptions & {
    readonly embedded?: boolean;
    /** Of local days; not given: the one of before, or UTC. */
    readonly zone?: Zone;
  },
): Promise<string[]> {
  const release = await holdLock(database, LOCK, { waitMsMax: 0 });
  try {
    const timescale = await timescaleEdition(database);
    const migrations = migrationsFor(timescale, {
      embedded: embedded || await hasEmbedded(database),
    });
    const done = await migrate(database, migrations, {
      chunk_interval: `${options.chunkDays} days`,
    });
    if (zone !== undefined) await saveZone(database, zone);
    if (timescale !== null) await applyTimescaleOptions(database, options, timescale);
    return done;
  } finally {
    await release();
  }
}

async function saveZone(database: PostgresDatabase, zone: Zone): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query("DELETE FROM zone_offsets");
    await tx.query(
      `INSERT INTO zone_offsets SELECT * FROM jsonb_to_recordset($1::text::jsonb)
         AS z (starts_at timestamptz, offset_seconds integer, zone text)`,
      [JSON.stringify(zoneRows(zone))],
    );
  });
}

/** How the migrations that belong into this database stand; changes nothing. */
export async function readSchema(database: PostgresDatabase): Promise<SchemaState> {
  const timescale = await timescaleEdition(database);
  const migrations = migrationsFor(timescale, { embedded: await hasEmbedded(database) });
  return { migrations: await readMigrations(database, migrations), timescale };
}

/** The migrations that belong into a database of this edition; null: plain PostgreSQL. */
export function migrationsFor(
  timescale: TimescaleEdition | null,
  { embedded: isWanted }: { readonly embedded: boolean },
): Migration[] {
  return [
    ...MIGRATIONS.filter(({ embedded }) => isWanted || !embedded),
    ...TIMESCALE_MIGRATIONS.filter(({ licensed }) =>
      timescale !== null && (timescale.licensed || !licensed)
    ),
  ];
}
