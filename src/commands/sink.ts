import { PostgresDatabase } from "../adapters/postgres/database.ts";
import { awayOf } from "../adapters/postgres/errors.ts";
import { PostgresSink } from "../adapters/postgres/sink.ts";
import { Sink, type SinkLog, type SinkStatus } from "../engine/sink/sink.ts";
import type { LogAdmin } from "../engine/log/ports.ts";
import { OtherLogError } from "../engine/ports.ts";
import type { WorkerEvent } from "../engine/event.ts";
import { StoreAwayError } from "../engine/sink/ports.ts";
import { storeEvent } from "../engine/sink/store_event.ts";
import { RunError } from "../console/errors.ts";
import { readArguments } from "../console/arguments.ts";
import { checkSchema, DATABASE_OPTIONS, databaseUrl } from "../setup/database.ts";
import { readHealthPort, serveHealth } from "../setup/health.ts";
import { servedAt } from "../setup/serve_api.ts";
import {
  checkTopics,
  DEADLINE_MS,
  KAFKA_OPTIONS,
  type KafkaSetup,
  openKafka,
  reachKafka,
  withBrokers,
} from "../setup/kafka.ts";
import { troubleEvent } from "../setup/kafka_worker.ts";
import { watchRawEnds } from "../setup/raw_ends.ts";
import { followTroubles } from "../setup/troubles.ts";
import { logEvent } from "../console/log_event.ts";
import { closeInTime, loadConfig, print, stopSignal, systemClock } from "../console/shell.ts";

export const usage = `Usage: gridwatch sink [options]

Writes what the processors say into PostgreSQL or TimescaleDB, each row once. Start as many as there
are partitions, on any servers: they share them. While the database is away it waits.

  --database URL  postgres://user:password@host:5432/name (default: database.url)
  --group NAME    that shares the partitions (default: one of the topics and the database)
  --health-port N /healthz, /readyz and /metrics (default: none)
  --brokers LIST  host:port,… (default: kafka.brokers)
  --config FILE   settings

Ctrl-C and SIGTERM finish the commits under way and leave. A structured log goes to stderr. Messages
that the database refuses are kept in the table sink_errors.
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  ...DATABASE_OPTIONS,
  group: { type: "string" },
  "health-port": { type: "string" },
} as const;

/** What is fetched ahead of one partition: a few thousand messages of every topic. */
const PARTITION_BYTES_MAX = 4 << 20;
/** Also how long it takes to know that a quiet topic has nothing more. */
const POLL_MS = 100;
const STATEMENT_MS_MAX = 60_000;
const ANSWER_MS_MAX = 90_000;
const HEARTBEAT_MS_MAX = 1000;
const SCHEMA_RETRY_MS = 2000;
/** Of a database's identity so much stands in the name of its sinks' group. */
const DATABASE_LENGTH = 8;
/** Between two looks at how far the raw topic goes, at most. */
const LOOK_MS = 5000;

/** Runs `gridwatch sink`, to Ctrl-C or SIGTERM. */
export async function sink(args: string[]): Promise<number> {
  const { values } = readArguments("sink", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const port = readHealthPort("sink", values["health-port"]);
  const config = withBrokers(await loadConfig(values.config), values.brokers);
  const url = databaseUrl("sink", config, values.database);
  const stop = stopSignal(() => logEvent({ level: "info", event: "stopping", fields: {} }));
  let status = (): SinkStatus[] | null => null;
  const troubles = followTroubles();
  const onEvent = (event: WorkerEvent) => {
    troubles.hear(event);
    logEvent(event);
  };
  const stalledMs = config["health.stalled_seconds"] * 1000;
  const health = port === null ? null : serveHealth(servedAt(config, port), {
    status: () => status(),
    ...{ troubles, stalledMs },
  });
  const setup = await openKafka(config, (trouble) => onEvent(troubleEvent(trouble)));
  try {
    await reachKafka(setup, { deadlineMs: Infinity, signal: stop.signal });
    const { partitions } = await checkTopics(setup);
    const database = await awaitSchema(url, { signal: stop.signal, onEvent });
    const group = values.group ?? `${setup.group}-sink-${database.slice(0, DATABASE_LENGTH)}`;
    const fields = { group, partitions, brokers: config["kafka.brokers"], pid: Deno.pid };
    logEvent({ level: "info", event: "started", fields });
    await runSink(setup, { url, group, database, signal: stop.signal, onEvent }, (running) => {
      status = () => running.status();
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error instanceof OtherLogError ? otherLog(error) : error;
  } finally {
    await setup.log.close();
    await health?.close();
    stop.release();
  }
  logEvent({ level: "info", event: "stopped", fields: {} });
  return 0;
}

function otherLog(error: OtherLogError): RunError {
  return new RunError(
    `Cannot write the database: ${error.message}, and a position belongs to its log`,
    "--database URL of another database",
    { cause: error },
  );
}

async function runSink(
  setup: KafkaSetup,
  { url, group, database: binding, signal, onEvent }: {
    url: string;
    group: string;
    database: string;
    signal: AbortSignal;
    onEvent: (event: WorkerEvent) => void;
  },
  onSink: (sink: Sink) => void,
): Promise<void> {
  const { log, topics, config } = setup;
  const connections = config["sink.connections"];
  const database = new PostgresDatabase(url, {
    connections: connections + 1, // one for loading while all commit
    name: "gridwatch sink",
    statementMsMax: STATEMENT_MS_MAX,
  });
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const sink = new Sink(
    sinkLog(setup, { admin, group, binding }),
    new PostgresSink(database, {
      answerMsMax: ANSWER_MS_MAX,
      gapGraceMs: config.grace_period_seconds * 1000,
      stateTtlMs: config.state_ttl_days * 86_400_000,
    }),
    {
      topics,
      commitRecordsMax: config["sink.commit_records_max"],
      commitIntervalMs: config["sink.commit_interval_ms"],
      commitsMax: connections,
      clock: systemClock,
      random: Math.random,
      signal,
      onEvent,
    },
  );
  onSink(sink);
  const ended = new AbortController();
  const watching = watchRawEnds({
    ...{ log, topic: topics.raw, url, clock: systemClock },
    partitions: () => sink.status(),
    everyMs: Math.min(LOOK_MS, config["health.stalled_seconds"] * 250),
    signal: AbortSignal.any([signal, ended.signal]),
  });
  try {
    await sink.run();
  } finally {
    ended.abort();
    await closeInTime([watching]);
    await admin.close();
    await database.close();
  }
}

/** The log as a sink reads it, sharing its partitions with the group. */
function sinkLog(
  { log, topics, config }: KafkaSetup,
  { admin, group, binding }: {
    readonly admin: LogAdmin;
    readonly group: string;
    /** The identity of the database that the group writes. */
    readonly binding: string;
  },
): SinkLog {
  const sessionTimeoutMs = config["kafka.session_timeout_ms"];
  return {
    admin,
    reader: log.reader({
      isolation: "committed",
      keys: true,
      origins: true,
      bufferBytesMax: config["kafka.fetch_bytes_max"],
      partitionBytesMax: PARTITION_BYTES_MAX,
      pollMs: POLL_MS,
    }),
    join: (handlers) =>
      log.group({
        group,
        topic: topics.validated,
        binding,
        sessionTimeoutMs,
        heartbeatMs: Math.min(HEARTBEAT_MS_MAX, Math.floor(sessionTimeoutMs / 5)),
        rebalanceTimeoutMs: DEADLINE_MS,
      }, handlers),
  };
}

/**
 * Waits for the database, for as long as it takes; gives which one it is. One with another schema is
 * an error.
 */
async function awaitSchema(
  url: string,
  { signal, onEvent }: { signal: AbortSignal; onEvent: (event: WorkerEvent) => void },
): Promise<string> {
  for (let isAway = false;; isAway = true) {
    try {
      const database = await checkSchema(url);
      if (isAway) onEvent(storeEvent(null));
      return database;
    } catch (error) {
      signal.throwIfAborted();
      const away = awayOf(error);
      if (!(away instanceof StoreAwayError)) throw error;
      if (!isAway) onEvent(storeEvent(away));
      await systemClock.sleep(SCHEMA_RETRY_MS, signal);
      signal.throwIfAborted();
    }
  }
}
