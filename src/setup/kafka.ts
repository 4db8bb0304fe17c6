import { unreachable } from "../adapters/kafka/errors.ts";
import { KafkaLog } from "../adapters/kafka/log.ts";
import type { KafkaOptions, Sasl, Tls } from "../adapters/kafka/connections.ts";
import type { Config } from "../settings.ts";
import { repartitionHint } from "../engine/log/mark.ts";
import { LogError, type LogReader } from "../engine/log/ports.ts";
import { topicNames, type Topics } from "../engine/log/records.ts";
import { losingTopics, producersClock, type TopicFault } from "../engine/log/topic_settings.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { say, systemClock } from "../console/shell.ts";

/** A Kafka cluster by the settings, and the names on it. */
export type KafkaSetup = {
  readonly log: KafkaLog;
  readonly topics: Topics;
  /**
   * The group of the processors, and the start of their transactional ids: that of the settings,
   * and of the raw topic. Pipelines of two prefixes do not take each other's partitions.
   */
  readonly group: string;
  readonly config: Config;
  readonly onTrouble: OnTrouble;
};

const CONNECT_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 30_000;
/** So long nothing is said of a cluster that does not answer. */
const FIRST_WAIT_MS = 1000;
/** How long a command waits for an answer before it gives up. */
export const DEADLINE_MS = 30_000;
/** How long a command waits that only looks: a person sits before it. */
export const LOOK_MS_MAX = 3_000;
/** What a broker that holds the line open is given beyond a deadline. */
const HANG_MS_MAX = 500;
/** Bytes of a record batch; below the broker's default limit of 1 MB with room to spare. */
const BATCH_BYTES_MAX = 512 * 1024;

/** Options that every command talking to Kafka has. */
export const KAFKA_OPTIONS = {
  brokers: { type: "string" },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/**
 * The settings with `--brokers` put in.
 *
 * @throws {UsageError} when it names none
 */
export function withBrokers(config: Config, brokers: string | undefined): Config {
  if (brokers === undefined) return config;
  if (brokers.split(",").every((broker) => broker.trim() !== "")) {
    const given = new Set(config.given).add("kafka.brokers");
    return { ...config, "kafka.brokers": brokers, given };
  }
  throw new UsageError(
    `Cannot use --brokers="${brokers}": must be host:port, with commas between several`,
  );
}

/** Who hears that the cluster is out of reach, and null when it is back: each once. */
export type OnTrouble = (trouble: LogError | null) => void;

/** Trouble said to people. */
function sayTrouble(trouble: LogError | null): void {
  if (trouble === null) return say("Kafka answers again");
  say(`warning: ${trouble.message}${trouble.hint === undefined ? "" : ` (${trouble.hint})`}`);
}

/** The first of all connections to notice tells, and the first to be back. */
function once(onTrouble: OnTrouble): OnTrouble {
  let isAway = false;
  return (trouble) => {
    if ((trouble !== null) === isAway) return;
    isAway = trouble !== null;
    onTrouble(trouble);
  };
}

/**
 * Opens the cluster of the settings; nothing is connected yet.
 *
 * @throws {UsageError} for settings that do not go together
 * @throws {RunError} for a file of theirs that cannot be read
 */
export async function openKafka(
  config: Config,
  onTrouble: OnTrouble = sayTrouble,
): Promise<KafkaSetup> {
  const options: KafkaOptions = {
    brokers: config["kafka.brokers"].split(",").map((broker) => broker.trim()),
    clientId: config["kafka.group"],
    tls: await readTls(config),
    sasl: await readSasl(config),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  };
  const hear = once(onTrouble);
  const log = new KafkaLog(options, hear);
  const topics = topicNames(config["kafka.topic_prefix"]);
  const group = `${config["kafka.group"]}-${topics.raw}`;
  return { log, topics, group, config, onTrouble: hear };
}

/**
 * Waits until a broker answers; says so when it is not there at once and there is time to wait.
 *
 * @throws {LogError} when none has by the deadline, also where one takes the connection and is silent
 * @throws the signal's reason when that aborts
 */
export async function reachKafka(
  setup: KafkaSetup,
  { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
): Promise<void> {
  if (deadlineMs === Infinity) return await reachUntil(setup, deadlineMs, signal);
  const patience = new AbortController();
  const hangs = systemClock.sleep(deadlineMs + HANG_MS_MAX, patience.signal).then(() => {
    patience.signal.throwIfAborted();
    const brokers = setup.config["kafka.brokers"].split(",");
    throw unreachable(brokers, new Error("timed out"));
  });
  const reaching = reachUntil(setup, deadlineMs, signal);
  try {
    await Promise.race([reaching, hangs]);
  } finally {
    patience.abort();
    // The one that lost ends on its own, with an error that nobody waits for.
    Promise.allSettled([reaching, hangs]);
  }
}

async function reachUntil(
  { log, onTrouble }: KafkaSetup,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  const firstMs = deadlineMs > LOOK_MS_MAX ? FIRST_WAIT_MS : deadlineMs;
  for (let waitMs = firstMs;; waitMs = DEADLINE_MS) {
    const leftMs = giveUpAt - performance.now();
    try {
      await log.reach(Math.min(waitMs, leftMs), signal);
      return onTrouble(null);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LogError) || waitMs >= leftMs) throw error;
      onTrouble(error);
    }
  }
}

async function readTls(config: Config): Promise<Tls | null> {
  if (config["kafka.tls"] === "false") return null;
  const read = async (key: "tls_ca_file" | "tls_cert_file" | "tls_key_file") => {
    const path = config[`kafka.${key}`];
    return path === "" ? undefined : await readFile(path);
  };
  return {
    ca: await read("tls_ca_file"),
    cert: await read("tls_cert_file"),
    key: await read("tls_key_file"),
  };
}

async function readSasl(config: Config): Promise<Sasl | null> {
  const mechanism = config["kafka.sasl_mechanism"];
  if (mechanism === "none") return null;
  if (mechanism === "OAUTHBEARER") {
    const path = config["kafka.sasl_token_file"];
    if (path === "") throw new UsageError("Cannot use OAUTHBEARER without kafka.sasl_token_file");
    return { mechanism, token: () => readFile(path) };
  }
  const passwordFile = config["kafka.sasl_password_file"];
  return {
    mechanism,
    username: config["kafka.sasl_username"],
    password: passwordFile === "" ? config["kafka.sasl_password"] : await readFile(passwordFile),
  };
}

async function readFile(path: string): Promise<string> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    throw new RunError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** How records are written, whoever writes them. */
export function writerOptions(config: Config) {
  return {
    compression: config["kafka.compression"],
    batchBytesMax: BATCH_BYTES_MAX,
    deadlineMs: DEADLINE_MS,
  };
}

/** A reader of committed records. */
export function committedReader(
  { log, config }: KafkaSetup,
  { keys = false, origins = false }: { keys?: boolean; origins?: boolean } = {},
): LogReader {
  return log.reader({
    isolation: "committed",
    keys,
    origins,
    replays: true,
    bufferBytesMax: config["kafka.fetch_bytes_max"],
    partitionBytesMax: 1 << 20,
    pollMs: 500,
  });
}

/** Topics that can be worked on. */
export type TopicsChecked = {
  readonly partitions: number;
  readonly warnings: readonly TopicFault[];
};

/**
 * How many partitions the raw topic has, and what a person should know of the topics.
 *
 * @throws {RunError} when a topic of the pipeline is not there, has another number of them, or loses
 * records by its settings
 */
export async function checkTopics({ log, topics }: KafkaSetup): Promise<TopicsChecked> {
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  try {
    const names = Object.values(topics);
    const found = await admin.describeTopics(names);
    const missing = names.filter((name) => !found.some((topic) => topic.name === name));
    if (missing.length > 0) {
      throw new RunError(
        `Cannot use the topics: there is no ${missing.join(", ")}`,
        "gridwatch topics --create",
      );
    }
    const raw = found.find((topic) => topic.name === topics.raw);
    const partitions = raw?.partitions ?? 0;
    const others = found.filter((topic) => topic.partitions !== partitions);
    if (others.length > 0) {
      throw new RunError(
        `Cannot use the topics: ${topics.raw} has ${partitions} partitions, but ` +
          others.map((topic) => `${topic.name} has ${topic.partitions}`).join(", "),
        `were partitions added? ${repartitionHint(topics.raw, partitions)}. If nothing is judged ` +
          "yet, give the raw topic's number to the others",
      );
    }
    const losing = losingTopics(found, topics);
    if (losing.length > 0) {
      throw new RunError(
        `Cannot use the topics: ${losing.map(({ fault }) => fault).join("; ")}`,
        losing.map(({ fix }) => fix).join("; "),
      );
    }
    const clock = producersClock(found, topics);
    return { partitions, warnings: clock === null ? [] : [clock] };
  } finally {
    await admin.close();
  }
}
