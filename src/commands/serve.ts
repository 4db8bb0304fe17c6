import { readArguments, readNumber } from "./arguments.ts";
import { openStore } from "./embedded.ts";
import { LiveTracker } from "./live.ts";
import { loadConfig, print, say, stopSignal } from "./shell.ts";
import { serveApi } from "./serve_api.ts";

export const usage = `Usage: gridwatch serve [--data DIR] [--port 8000]

Serves the status API and the page over a store that no pipeline is filling.

  --data DIR     the store (default: .gridwatch)
  --port N       (default: 8000)
  --config FILE  settings
`;

const OPTIONS = {
  data: { type: "string" },
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
  const config = await loadConfig(values.config);
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
