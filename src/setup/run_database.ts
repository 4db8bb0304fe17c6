import { buildZone } from "../core/zone.ts";
import { PostgresDatabase } from "../adapters/postgres/database.ts";
import { migrateDatabase, openForSchema } from "../adapters/postgres/migrate.ts";
import { PostgresStore, refuseSinks } from "../adapters/postgres/store.ts";
import { RunError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { say } from "../console/shell.ts";
import { FencedError, OtherLogError } from "../engine/ports.ts";
import { StoreAwayError } from "../engine/sink/ports.ts";
import type { Config } from "../settings.ts";
import { MigrationError } from "../tables/migrations.ts";
import { databaseError, openDatabase, shownUrl, timescaleOptions } from "./database.ts";
import type { OpenStore } from "./play.ts";

const ANSWER_MS_MAX = 90_000;
const LOCK_MS_MAX = 5000;

/**
 * Opens a database that a run plays into, for its one writer. Its schema is brought to this version
 * before, as that of the embedded store is.
 *
 * @throws {RunError} when it does not answer, sinks write it, another process plays into it, or it
 * has another schema
 */
export async function openRunDatabase(
  url: string,
  { config, isSilent }: { readonly config: Config; readonly isSilent: boolean },
): Promise<OpenStore> {
  const explain = (error: unknown) => runDatabaseError(error, shownUrl(url));
  const refuse = (error: unknown) => {
    throw databaseError("use", error);
  };
  const directory = await attempt(
    "make a temporary folder",
    () => Deno.makeTempDir({ prefix: "gridwatch-" }),
  );
  const database = new PostgresDatabase(url, {
    connections: 2, // one holds the lock
    name: "gridwatch run",
    statementMsMax: 0,
  });
  try {
    for (const name of await prepare(url, config)) if (!isSilent) say(`applied ${name}`);
    const writer = await PostgresStore.open(database, {
      answerMsMax: ANSWER_MS_MAX,
      lockMsMax: LOCK_MS_MAX,
    });
    const reader = await openDatabase(url);
    return {
      writer,
      reader: { query: (...asked) => reader.query(...asked).catch(refuse) },
      directory,
      database: shownUrl(url),
      explain,
      close: async () => {
        await reader.close();
        await database.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  } catch (error) {
    await database.close();
    await Deno.remove(directory);
    throw databaseError("use", explain(error));
  }
}

/** A database that sinks write is left as it is. */
async function prepare(url: string, config: Config): Promise<string[]> {
  const database = openForSchema(url);
  try {
    await refuseSinks(database);
    return await migrateDatabase(database, {
      ...timescaleOptions(config),
      zone: buildZone(config.timezone),
      embedded: true,
    });
  } finally {
    await database.close();
  }
}

function runDatabaseError(error: unknown, shown: string): unknown {
  const refused = (reason: string, hint: string) =>
    new RunError(`Cannot run into ${shown}: ${reason}`, hint, { cause: error });
  if (error instanceof OtherLogError) {
    return refused(
      `${error.message}, and a position belongs to its log`,
      "--database URL of another database",
    );
  }
  if (error instanceof FencedError) {
    return refused(error.message, "stop the other; the same command goes on where they stood");
  }
  if (error instanceof MigrationError) return refused(error.message, "a Gridwatch of its version");
  if (error instanceof StoreAwayError) {
    const hint = error.hint ?? "the same command goes on where it stood";
    return new RunError(error.message, hint, { cause: error });
  }
  return error;
}
