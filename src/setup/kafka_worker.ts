import type { Config } from "../settings.ts";
import { judgingFingerprint, processorOptions } from "../judging.ts";
import type { WorkerEvent } from "../engine/event.ts";
import { Worker } from "../engine/log/worker.ts";
import type { PartitionStatus } from "../engine/log/worker_partition.ts";
import type { LogError } from "../engine/log/ports.ts";
import { committedReader, DEADLINE_MS, openKafka, writerOptions } from "./kafka.ts";
import { systemClock } from "../console/shell.ts";

/** Whom a worker tells how it is. */
export type WorkerListener = {
  readonly onEvent: (event: WorkerEvent) => void;
  readonly onStatus: (status: PartitionStatus[]) => void;
};

const STATUS_MS = 1000;
/** A member hears that partitions move, to it or from it, with its next heartbeat. */
const HEARTBEAT_MS_MAX = 1000;
/** While behind, a commit may take this many times as long: fewer, larger transactions. */
const BEHIND_FACTOR = 5;

/** Runs a worker by the settings, until the signal. */
export async function runKafkaWorker(
  config: Config,
  signal: AbortSignal,
  { onEvent, onStatus }: WorkerListener,
): Promise<void> {
  const setup = await openKafka(config, (trouble) => onEvent(troubleEvent(trouble)));
  const { log, topics, group } = setup;
  const writer = writerOptions(config);
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const sessionTimeoutMs = config["kafka.session_timeout_ms"];
  const worker = new Worker({
    admin,
    reader: committedReader(setup),
    openProducer: () => log.producer(writer),
    openChangelogReader: () => committedReader(setup, { keys: true }),
    committer: (partition) =>
      log.committer({
        ...writer,
        transactionalId: `${group}-${partition}`,
        transactionTimeoutMs: config["kafka.transaction_timeout_ms"],
      }),
    join: (handlers) =>
      log.group({
        group,
        topic: topics.raw,
        binding: topics.raw,
        sessionTimeoutMs,
        heartbeatMs: Math.min(HEARTBEAT_MS_MAX, Math.floor(sessionTimeoutMs / 5)),
        rebalanceTimeoutMs: DEADLINE_MS,
      }, handlers),
  }, {
    topics,
    group,
    judging: await judgingFingerprint(config),
    processorOptions: (partition) => processorOptions(config, partition, null),
    commitRecordsMax: config.commit_records_max,
    commitIntervalMs: config.commit_interval_ms,
    commitIntervalBehindMs: config.commit_interval_ms * BEHIND_FACTOR,
    idleTimeoutMs: config.idle_timeout_seconds * 1000,
    clock: systemClock,
    random: Math.random,
    signal,
    onEvent,
  });
  const timer = setInterval(() => onStatus(worker.status()), STATUS_MS);
  try {
    await worker.run();
  } finally {
    clearInterval(timer);
    await admin.close();
    await log.close();
  }
}

/** That Kafka is out of reach, or back, as a line of the log. */
export function troubleEvent(trouble: LogError | null): WorkerEvent {
  if (trouble === null) return { level: "info", event: "kafka_reached", fields: {} };
  const fields = { error: trouble.message, hint: trouble.hint ?? null };
  return { level: "warn", event: "kafka_unreachable", fields };
}
