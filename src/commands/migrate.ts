import { buildZone } from "../core/zone.ts";
import { MigrationError } from "../tables/migrations.ts";
import {
  migrateDatabase,
  openForSchema,
  readSchema,
  type SchemaState,
} from "../adapters/postgres/migrate.ts";
import { readArguments } from "../console/arguments.ts";
import {
  DATABASE_OPTIONS,
  databaseError,
  databaseUrl,
  timescaleOptions,
} from "../setup/database.ts";
import { RunError } from "../console/errors.ts";
import { loadConfig, print, say } from "../console/shell.ts";
import { formatTable } from "../console/table.ts";

export const usage = `Usage: gridwatch migrate [--status] [--database URL]

Makes the tables in a PostgreSQL or TimescaleDB database, or brings them to this version. Each step is
one transaction; what is there already is left alone. On TimescaleDB the tables become hypertables and
the summaries continuous aggregates, and its jobs are set to what the settings say.

  --status       only shows how each step stands; exit code 1 when one is missing or another
  --database URL postgres://user:password@host:5432/name (default: database.url)
  --json         one JSON object on stdout
  --config FILE  settings
`;

const OPTIONS = {
  ...DATABASE_OPTIONS,
  status: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** Runs `gridwatch migrate`. */
export async function migrate(args: string[]): Promise<number> {
  const { values } = readArguments("migrate", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const config = await loadConfig(values.config);
  const database = openForSchema(databaseUrl("migrate", config, values.database));
  try {
    if (values.status) return report(await readSchema(database), values.json);
    const done = await migrateDatabase(database, {
      ...timescaleOptions(config),
      zone: buildZone(config.timezone),
    });
    if (values.json) print(JSON.stringify({ applied: done }));
    for (const name of done) say(`applied ${name}`);
    if (done.length === 0) say("the database is up to date");
    return 0;
  } catch (error) {
    if (error instanceof MigrationError) {
      throw new RunError(`Cannot migrate: ${error.message}`, "a Gridwatch of its version", {
        cause: error,
      });
    }
    throw databaseError("migrate", error);
  } finally {
    await database.close();
  }
}

function report({ migrations, timescale }: SchemaState, isJson: boolean): number {
  const isCurrent = migrations.every(({ state }) => state === "applied");
  const edition = timescale === null
    ? "PostgreSQL without TimescaleDB"
    : `TimescaleDB ${timescale.version}${timescale.licensed ? "" : ", Apache edition"}`;
  if (isJson) print(JSON.stringify({ current: isCurrent, edition, migrations }));
  else {
    print(formatTable(
      ["migration", "state", "applied"],
      migrations.map(({ name, state, appliedAt }) => [name, state, appliedAt ?? ""]),
    ));
    say(edition);
  }
  return isCurrent ? 0 : 1;
}
