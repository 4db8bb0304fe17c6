import { logEvent } from "../console/log_event.ts";
import type { WorkerEvent } from "../engine/event.ts";
import type { PartitionStatus } from "../engine/log/worker_partition.ts";
import { readArguments, readNumber, withScope } from "../console/arguments.ts";
import { RunError } from "../console/errors.ts";
import { readHealthPort, serveHealth } from "../setup/health.ts";
import { servedAt } from "../setup/serve_api.ts";
import { checkTopics, KAFKA_OPTIONS, openKafka, reachKafka, withBrokers } from "../setup/kafka.ts";
import { runKafkaWorker, troubleEvent, type WorkerListener } from "../setup/kafka_worker.ts";
import { followTroubles } from "../setup/troubles.ts";
import type { ThreadMessage, ThreadStart } from "../setup/process_thread.ts";
import { loadConfig, print, stopSignal } from "../console/shell.ts";
import type { Config } from "../settings.ts";

export const usage = `Usage: gridwatch process [options]

Shares the partitions of the raw topic with the other processors of its group, judges every reading,
and writes the outputs exactly once. Start as many as there are partitions, on any servers.

  --workers N     threads in this process, each a member of the group (default: 1, which judges
                  hundreds of thousands of readings a second; each more costs CPU and memory, and
                  pays where one is behind and there are cores left)
  --group NAME    (default: kafka.group)
  --health-port N /healthz, /readyz and /metrics (default: none)
  --brokers LIST  host:port,… (default: kafka.brokers)
  --scope partition|meter
                  whose clock judges lateness (default: watermark_scope)
  --config FILE   settings

Ctrl-C and SIGTERM commit, give the partitions back and leave. A structured log goes to stderr.
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  workers: { type: "string", default: "1" },
  group: { type: "string" },
  scope: { type: "string" },
  "health-port": { type: "string" },
} as const;

/** Runs `gridwatch process`, to Ctrl-C or SIGTERM. */
export async function processRaw(args: string[]): Promise<number> {
  const { values } = readArguments("process", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const workers = readNumber("process", "workers", values.workers, {
    min: 1,
    max: 64,
    whole: true,
  });
  const port = readHealthPort("process", values["health-port"]);
  const loaded = withBrokers(await loadConfig(values.config), values.brokers);
  const config = {
    ...withScope("process", loaded, values.scope),
    ...(values.group === undefined ? {} : { "kafka.group": values.group }),
  };
  const stop = stopSignal(() => logEvent({ level: "info", event: "stopping", fields: {} }));
  /** Of each worker; null: it has not begun. */
  const statuses: (PartitionStatus[] | null)[] = Array.from({ length: workers }, () => null);
  const heardAtMs = statuses.map(() => Date.now());
  const troubles = followTroubles();
  const tell = (w: number) => (event: WorkerEvent) => {
    troubles.hear(event, w);
    logEvent(event);
  };
  const health = port === null ? null : serveHealth(servedAt(config, port), {
    status: () => statuses.includes(null) ? null : statuses.flatMap((one) => one ?? []),
    silentMs: (nowMs) => nowMs - Math.min(...heardAtMs),
    troubles,
    stalledMs: config["health.stalled_seconds"] * 1000,
  });
  try {
    const partitions = await countPartitions(config, stop.signal, tell(0));
    if (partitions !== null) {
      const fields = { workers, partitions, brokers: config["kafka.brokers"], pid: Deno.pid };
      logEvent({ level: "info", event: "started", fields });
      await Promise.all(statuses.map((_, w) => {
        const onStatus = (status: PartitionStatus[]) => {
          statuses[w] = status;
          heardAtMs[w] = Date.now();
        };
        const listener = { onEvent: tell(w), onStatus };
        return workers === 1
          ? runKafkaWorker(config, stop.signal, listener)
          : runThread(config, stop.signal, listener);
      }));
    }
  } finally {
    await health?.close();
    stop.release();
  }
  logEvent({ level: "info", event: "stopped", fields: {} });
  return 0;
}

/** Waits for Kafka, for as long as it takes; null: told to stop meanwhile. */
async function countPartitions(
  config: Config,
  signal: AbortSignal,
  onEvent: (event: WorkerEvent) => void,
): Promise<number | null> {
  const setup = await openKafka(config, (trouble) => onEvent(troubleEvent(trouble)));
  try {
    await reachKafka(setup, { deadlineMs: Infinity, signal });
    const { partitions, warnings } = await checkTopics(setup);
    for (const { topic, fault, fix } of warnings) {
      const fields = { topic, warning: fault, hint: fix };
      logEvent({ level: "warn", event: "producers_clock_trusted", fields });
    }
    return partitions;
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  } finally {
    await setup.log.close();
  }
}

/** Runs a worker in a thread of its own, until it ends. */
function runThread(
  config: Config,
  signal: AbortSignal,
  { onEvent, onStatus }: WorkerListener,
): Promise<void> {
  const thread = new Worker(import.meta.resolve("../setup/process_thread.ts"), { type: "module" });
  const stop = () => thread.postMessage("stop");
  signal.addEventListener("abort", stop);
  return new Promise<void>((resolve, reject) => {
    thread.onerror = (event) => {
      event.preventDefault();
      reject(new RunError(`A worker thread failed: ${event.message}`));
    };
    thread.onmessage = ({ data }: MessageEvent<ThreadMessage>) => {
      switch (data.kind) {
        case "event":
          return onEvent(data.event);
        case "status":
          return onStatus(data.status);
        case "ended":
          return data.error === null ? resolve() : reject(new RunError(data.error, data.hint));
        default:
          return data satisfies never;
      }
    };
    const { ownRules: _, ...told } = config;
    const start: ThreadStart = { config: told };
    thread.postMessage(start);
    if (signal.aborted) stop();
  }).finally(() => {
    signal.removeEventListener("abort", stop);
    thread.terminate();
  });
}
