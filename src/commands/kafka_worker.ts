import { type Config, processorOptions } from "../config.ts";
import { type PartitionStatus, Worker, type WorkerEvent } from "../engine/worker.ts";
import { committedReader, DEADLINE_MS, openKafka, writerOptions } from "./kafka.ts";
import { systemClock } from "./shell.ts";

/** Whom a worker tells how it is. */
export type WorkerListener = {
  readonly onEvent: (event: WorkerEvent) => void;
  readonly onStatus: (status: PartitionStatus[]) => void;
};

const STATUS_MS = 1000;
/** While behind, a commit may take this many times as long: fewer, larger transactions. */
const BEHIND_FACTOR = 5;

/** Runs a worker by the settings, until the signal. */
export async function runKafkaWorker(
  config: Config,
  signal: AbortSignal,
  { onEvent, onStatus }: WorkerListener,
): Promise<void> {
  const setup = await openKafka(config);
  const { log, topics } = setup;
  const writer = writerOptions(config);
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const producer = log.producer(writer);
  const group = config["kafka.group"];
  const sessionTimeoutMs = config["kafka.session_timeout_ms"];
  const worker = new Worker({
    admin,
    reader: committedReader(setup),
    producer,
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
        sessionTimeoutMs,
        heartbeatMs: Math.floor(sessionTimeoutMs / 5),
        rebalanceTimeoutMs: DEADLINE_MS,
      }, handlers),
  }, {
    topics,
    group,
    processorOptions: (partition) => processorOptions(config, partition, null),
    commitRecordsMax: config.commit_records_max,
    commitIntervalMs: config.commit_interval_ms,
    commitIntervalBehindMs: config.commit_interval_ms * BEHIND_FACTOR,
    idleTimeoutMs: config.idle_timeout_seconds * 1000,
    clock: systemClock,
    signal,
    onEvent,
  });
  const timer = setInterval(() => onStatus(worker.status()), STATUS_MS);
  try {
    await worker.run();
  } finally {
    clearInterval(timer);
    await producer.close();
    await admin.close();
    await log.close();
  }
}
