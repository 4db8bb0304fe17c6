import { readArguments, readNumber, refuseTogether } from "../console/arguments.ts";
import { databaseError, databaseMeant, openDatabase } from "../setup/database.ts";
import { LiveTracker } from "../setup/live.ts";
import { loadConfig, print, say, stopSignal } from "../console/shell.ts";
import { type ApiStore, serveApi, type ServedAt, servedAt } from "../setup/serve_api.ts";
import { readLastInput } from "../adapters/sqlite/store.ts";
import { openStoreReader } from "../setup/store.ts";
import { pipelineProblems, readPipelineHealth } from "../tables/pipeline_health.ts";
import { queryOf } from "../tables/query.ts";
import { toMsOrNull } from "../tables/values.ts";

export const usage = `Usage: gridwatch serve [--data DIR | --database URL] [--port 8000]

Serves the status API and the page over a store, also while a run fills it, or over the
database that sinks write.

  --database URL postgres://user:password@host/name (default: database.url, unless --data is given)
  --data DIR     the store (default: .gridwatch)
  --port N       (default: 8000)
  --config FILE  settings
`;

const OPTIONS = {
  data: { type: "string" },
  database: { type: "string" },
  port: { type: "string", default: "8000" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch serve`, to Ctrl-C. */
export async function serve(args: string[]): Promise<number> {
  const { values } = readArguments("serve", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const port = readNumber("serve", "port", values.port, { min: 0, max: 65_535, whole: true });
  refuseTogether("serve", values, ["data", "database"]);
  const config = await loadConfig(values.config);
  const url = databaseMeant("serve", config, values);
  const at = servedAt(config, port);
  const stalledSeconds = config["health.stalled_seconds"];
  if (url !== null) {
    return await serveDatabase(url, { at, stalledSeconds });
  }
  return await serveStore(values.data ?? config.data_directory, at);
}

const LOOK_MS = 2000;
/** A database that takes longer to say how far it is does not answer. */
const LOOK_MS_MAX = 10_000;

/** Serves over a store, which a run beside may be writing. */
async function serveStore(directory: string, at: ServedAt): Promise<number> {
  const reader = await openStoreReader(directory);
  const live = new LiveTracker(Date.now);
  let before: Reach | null = null;
  try {
    return await serveTables(reader, { live, at }, async () => {
      const input = await readLastInput(reader);
      const reach = await readReach(reader);
      const isMoving = before !== null && before.rowsRead !== reach.rowsRead;
      if (before === null) live.begin(input?.description ?? directory, null);
      if (before === null || isMoving) live.progress(reach);
      if (isMoving && input?.finished === false) live.begin(input.description, null);
      else live.end(input?.finished === false ? "stopped" : "finished");
      before = reach;
    });
  } finally {
    await reader.close();
  }
}

/** Serves over a database; how far it is comes from the positions that the sinks write. */
async function serveDatabase(
  url: string,
  { at, stalledSeconds }: { readonly at: ServedAt; readonly stalledSeconds: number },
): Promise<number> {
  const database = await openDatabase(url);
  const live = new LiveTracker(Date.now, "database");
  live.begin(new URL(url).pathname.slice(1), null);
  try {
    return await serveTables(database, { live, at }, async () => {
      live.progress(await readReach(database));
      const partitions = await readPipelineHealth(queryOf(database));
      live.tell(pipelineProblems(partitions, { stalledSeconds }));
    });
  } finally {
    await database.close();
  }
}

/** Serves tables that others write, to Ctrl-C, and looks how far those are. */
async function serveTables(
  tables: ApiStore,
  { live, at }: { readonly live: LiveTracker; readonly at: ServedAt },
  look: () => Promise<void>,
): Promise<number> {
  const stop = stopSignal(() => {});
  try {
    await look().catch((error) => {
      throw databaseError("use", error);
    });
    const server = serveApi(tables, () => live.status, at);
    const onAway = (reason: string) => {
      if (live.status.source === "database") live.tell([`the database does not answer: ${reason}`]);
    };
    const timer = setInterval(watch(look, onAway), LOOK_MS);
    say(`page: ${server.url} (Ctrl-C ends)`);
    await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
    clearInterval(timer);
    await server.close();
    return 0;
  } finally {
    stop.release();
  }
}

type Reach = Parameters<LiveTracker["progress"]>[0];

async function readReach(tables: ApiStore): Promise<Reach> {
  const { rows: [row] } = await tables.query(
    "SELECT (SELECT max(watermark) FROM positions) AS watermark, " +
      "(SELECT coalesce(sum(raw - tick), 0) FROM ledger) AS readings",
  );
  const readings = Number(row.readings);
  return {
    rowsRead: readings,
    recordsFolded: readings,
    readingsFolded: readings,
    eventTimeMs: toMsOrNull(row.watermark),
  };
}

/** Looks, one after another; says that it fails when it begins to, and when it no longer does. */
function watch(look: () => Promise<void>, onAway: (reason: string) => void): () => void {
  let isAway = false;
  let lookingSinceMs: number | null = null;
  return async () => {
    if (lookingSinceMs !== null) {
      const ms = Date.now() - lookingSinceMs;
      if (ms > LOOK_MS_MAX) onAway(`no answer for ${Math.floor(ms / 1000)} s`);
      return;
    }
    lookingSinceMs = Date.now();
    try {
      await look();
      if (isAway) say("the database answers again");
      isAway = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : String(error);
      if (!isAway) say(`warning: the database does not answer: ${reason}`);
      isAway = true;
      onAway(reason);
    } finally {
      lookingSinceMs = null;
    }
  };
}
