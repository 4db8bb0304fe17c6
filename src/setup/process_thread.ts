import { loadOwnRules } from "../console/own_rules.ts";
import type { Config } from "../settings.ts";
import type { WorkerEvent } from "../engine/event.ts";
import type { PartitionStatus } from "../engine/log/worker_partition.ts";
import { runKafkaWorker } from "./kafka_worker.ts";

/** What a thread is told first; after that only "stop". */
export type ThreadStart = { readonly config: Omit<Config, "ownRules"> };

export type ThreadMessage =
  | { readonly kind: "event"; readonly event: WorkerEvent }
  | { readonly kind: "status"; readonly status: PartitionStatus[] }
  | { readonly kind: "ended"; readonly error: string | null; readonly hint?: string };

/** The worker's own global, of which the page types know nothing. */
const thread = globalThis as unknown as {
  onmessage: (event: MessageEvent<ThreadStart | "stop">) => void;
  postMessage(message: ThreadMessage): void;
};
const controller = new AbortController();

/** Tells the process why the thread ended. */
function fail(error: unknown, during = ""): void {
  thread.postMessage({
    kind: "ended",
    error: during + (error instanceof Error ? error.message : String(error)),
    hint: (error as { hint?: string } | null)?.hint,
  });
}

/** What nobody caught is told too: the runtime would print it to stderr as it is. */
function failUncaught(event: Event, error: unknown): void {
  event.preventDefault();
  fail(error, "A worker thread failed: ");
}

globalThis.addEventListener("error", (event) => failUncaught(event, event.error));
globalThis.addEventListener("unhandledrejection", (event) => failUncaught(event, event.reason));

/** A thread loads the user's own rules itself: functions cannot be sent. */
async function work(config: ThreadStart["config"]): Promise<void> {
  const ownRules = await loadOwnRules(config.ruleFiles);
  await runKafkaWorker({ ...config, ownRules }, controller.signal, {
    onEvent: (event) => thread.postMessage({ kind: "event", event }),
    onStatus: (status) => thread.postMessage({ kind: "status", status }),
  });
}

thread.onmessage = ({ data }) => {
  if (data === "stop") return controller.abort();
  work(data.config).then(
    () => thread.postMessage({ kind: "ended", error: null }),
    (error) => fail(error),
  );
};
