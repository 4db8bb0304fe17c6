import { readArguments, readNumber, refuseTogether } from "../console/arguments.ts";
import { databaseError, databaseUrl, openDatabase, type ReadDatabase } from "../setup/database.ts";
import { openStore } from "../setup/embedded.ts";
import { LiveTracker } from "../setup/live.ts";
import { loadConfig, print, say, stopSignal } from "../console/shell.ts";
import { serveApi } from "../setup/serve_api.ts";

export const usage = `Usage: gridwatch serve [--data DIR | --database URL] [--port 8000]

Serves the status API and the page over a store that no pipeline is filling, or over the database
that sinks write.

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
  const { database } = values;
  if (database !== undefined || (values.data === undefined && config["database.url"] !== "")) {
    return await serveDatabase(databaseUrl("serve", config, database), config["api.host"], port);
  }
  const directory = values.data ?? config.data_directory;
  const store = await openStore(directory, true);
  try {
    const input = await store.lastInput();
    const live = new LiveTracker(Date.now);
    live.begin(input?.description ?? directory, null);
    live.end(input?.finished === false ? "stopped" : "finished");
    const stop = stopSignal(() => {});
    const server = serveApi(store, () => live.status, { host: config["api.host"], port });
    say(`page: ${server.url} (Ctrl-C ends)`);
    await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
    await server.close();
    stop.release();
  } finally {
    await store.close();
  }
  return 0;
}

const LOOK_MS = 2000;

/** Serves over a database; how far it is comes from the positions that the sinks write. */
async function serveDatabase(url: string, host: string, port: number): Promise<number> {
  const database = await openDatabase(url);
  const live = new LiveTracker(Date.now, "database");
  live.begin(new URL(url).pathname.slice(1), null);
  const stop = stopSignal(() => {});
  try {
    await look(database, live).catch((error) => {
      throw databaseError("use", error);
    });
    const server = serveApi(database, () => live.status, { host, port });
    const timer = setInterval(watch(() => look(database, live)), LOOK_MS);
    say(`page: ${server.url} (Ctrl-C ends)`);
    await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
    clearInterval(timer);
    await server.close();
  } finally {
    await database.close();
    stop.release();
  }
  return 0;
}

async function look(database: ReadDatabase, live: LiveTracker): Promise<void> {
  const { rows: [row] } = await database.query(
    "SELECT (SELECT max(watermark) FROM positions) AS watermark, " +
      "(SELECT coalesce(sum(raw - tick), 0) FROM ledger) AS readings",
  );
  const readings = Number(row.readings);
  live.progress({
    rowsRead: readings,
    recordsFolded: readings,
    readingsFolded: readings,
    eventTimeMs: row.watermark instanceof Date ? row.watermark.getTime() : null,
  });
}

/** Looks, one after another; says that it fails when it begins to, and when it no longer does. */
function watch(look: () => Promise<void>): () => void {
  let isAway = false;
  let isLooking = false;
  return async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      await look();
      if (isAway) say("the database answers again");
      isAway = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : String(error);
      if (!isAway) say(`warning: the database does not answer: ${reason}`);
      isAway = true;
    } finally {
      isLooking = false;
    }
  };
}
