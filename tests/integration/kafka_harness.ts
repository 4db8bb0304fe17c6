import { kafkaJars } from "./kafka_jars.ts";
import { makeCertificate, SCRAM_USERS, securedProperties } from "./kafka_secured.ts";

/**
 * A real Kafka for tests: its own Java process, free ports and a temporary folder each time, KRaft
 * with both roles in one process. The owner stops it, by its own process id; should the tests be
 * killed, a watcher does.
 */

/** The base version; set KAFKA_VERSION, or the option, to try another. */
export const KAFKA_VERSION = Deno.env.get("KAFKA_VERSION") ?? "3.9.1";

const START_MS_MAX = 90_000;
const POLL_MS = 50;
const LOG_LINES_SHOWN = 60;
const CLUSTER_ID = "R3JpZHdhdGNoVGVzdHNLQQ";

export type KafkaOptions = {
  /** A Kafka release on Maven Central. */
  readonly version?: string;
  /** True: the test kills or configures the broker, so KAFKA_BROKERS will not do. */
  readonly owned?: boolean;
  /** Lines of server.properties, over the harness's own. */
  readonly properties?: Readonly<Record<string, string>>;
  /** True: brokers have a second listener, with TLS and SASL (`kafka_secured.ts`). */
  readonly secured?: boolean;
  /** Heap of each broker, MiB. */
  readonly heapMib?: number;
};

export type ClusterOptions = KafkaOptions & { readonly brokers: number };

/** One broker process. */
export type KafkaNode = {
  readonly id: number;
  readonly address: string;
  /** SIGKILL, at once. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL when it does not follow. */
  stop(): Promise<void>;
  /** Starts it again on the same ports and folder; resolves when it answers. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: a broker that hangs. */
  pause(): void;
  resume(): void;
};

export type Kafka = AsyncDisposable & {
  readonly brokers: string[];
  /** Where they ask for TLS and SASL, and the certificate they show; null unless asked for. */
  readonly secured: { readonly brokers: string[]; readonly ca: string } | null;
  /** Of the brokers, or at least of the tools: those of KAFKA_BROKERS may be of another. */
  readonly version: string;
  readonly nodes: readonly KafkaNode[];
  /** SIGKILL of every broker. */
  kill(): Promise<void>;
  /** Starts every broker again on the same ports and folders, killing those that run. */
  restart(): Promise<void>;
  /** Ends the brokers and removes their folders. */
  stop(): Promise<void>;
  /** Runs a class of Kafka's own tools; resolves to what it printed. */
  java(className: string, args: readonly string[], stdin?: string): Promise<string>;
  /** The last lines of each broker's log. */
  logs(): Promise<string>;
};

/** One broker: that of KAFKA_BROKERS, or one started here. */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const given = Deno.env.get("KAFKA_BROKERS");
  if (given !== undefined && given !== "" && options.owned !== true) {
    return await externalKafka(given.split(",").map((broker) => broker.trim()));
  }
  return await startCluster({ ...options, brokers: 1 });
}

/** Several brokers, with replication as in production: factor 3, two in sync to write. */
export async function startCluster(options: ClusterOptions): Promise<Kafka> {
  const version = options.version ?? KAFKA_VERSION;
  const jars = await kafkaJars(version);
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-kafka-" });
  const ports = freePorts(options.brokers * 3);
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const brokers = addresses.slice(0, options.brokers);
  const controllers = addresses.slice(options.brokers, options.brokers * 2);
  const securedBrokers = options.secured ? addresses.slice(options.brokers * 2) : [];
  const ca = options.secured ? await makeCertificate(folder) : "";
  const nodes = brokers.map((address, index) =>
    new BrokerProcess({
      id: index + 1,
      address,
      folder: `${folder}/${index + 1}`,
      jars,
      heapMib: options.heapMib ?? 512,
      properties: serverProperties(index, {
        folder,
        brokers,
        controllers,
        securedBrokers,
        options,
      }),
      clusterSize: options.brokers,
    })
  );
  const secured = options.secured ? { brokers: securedBrokers, ca } : null;
  const cluster = ownedKafka({ version, brokers, secured, nodes, folder, jars });
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    console.error(await cluster.logs());
    await cluster.stop();
    throw error;
  }
  return cluster;
}

/** Runs a test on a Kafka of its own; prints the brokers' logs when it fails. */
export async function withKafka(
  options: KafkaOptions | ClusterOptions,
  test: (kafka: Kafka) => Promise<void>,
): Promise<void> {
  await using kafka = "brokers" in options
    ? await startCluster(options)
    : await startKafka(options);
  try {
    await test(kafka);
  } catch (error) {
    console.error(await kafka.logs());
    throw error;
  }
}

/** Polls until `check` gives something else than undefined or false; the only sleep in the tests. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  deadlineMs = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const giveUpAt = performance.now() + deadlineMs;
  while (performance.now() < giveUpAt) {
    const found = await check();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    await sleep(POLL_MS);
  }
  throw new Error(`not within ${deadlineMs} ms: ${what}`);
}

/** Java's console client: Kafka 4 moved the producer. */
export function consoleTool({ version }: Kafka, kind: "Producer" | "Consumer"): string {
  if (kind === "Consumer") return "org.apache.kafka.tools.consumer.ConsoleConsumer";
  return version.startsWith("3.")
    ? "kafka.tools.ConsoleProducer"
    : "org.apache.kafka.tools.ConsoleProducer";
}

function ownedKafka(
  { version, brokers, secured, nodes, folder, jars }: {
    version: string;
    brokers: string[];
    secured: Kafka["secured"];
    nodes: BrokerProcess[];
    folder: string;
    jars: string;
  },
): Kafka {
  const kill = async () => void await Promise.all(nodes.map((node) => node.kill()));
  const stop = async () => {
    await kill();
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  };
  return {
    brokers,
    secured,
    version,
    nodes,
    kill,
    stop,
    restart: async () => {
      await kill();
      await Promise.all(nodes.map((node) => node.start()));
    },
    java: (className, args, stdin = "") => runJava(jars, [className, ...args], stdin),
    logs: async () => (await Promise.all(nodes.map((node) => node.log()))).join("\n"),
    [Symbol.asyncDispose]: stop,
  };
}

async function externalKafka(brokers: string[]): Promise<Kafka> {
  const refuse = () => Promise.reject(new Error("the brokers of KAFKA_BROKERS are not ours"));
  const jars = await kafkaJars(KAFKA_VERSION);
  return {
    brokers,
    secured: null,
    version: KAFKA_VERSION,
    nodes: [],
    kill: refuse,
    restart: refuse,
    stop: () => Promise.resolve(),
    java: (className, args, stdin = "") => runJava(jars, [className, ...args], stdin),
    logs: () => Promise.resolve(`brokers of KAFKA_BROKERS: ${brokers.join(",")}`),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

type BrokerSettings = {
  id: number;
  address: string;
  folder: string;
  jars: string;
  heapMib: number;
  properties: string;
  clusterSize: number;
};

class BrokerProcess implements KafkaNode {
  readonly id: number;
  readonly address: string;
  readonly #settings: BrokerSettings;
  #process: Deno.ChildProcess | null = null;
  #watcher: Deno.ChildProcess | null = null;

  constructor(settings: BrokerSettings) {
    this.#settings = settings;
    this.id = settings.id;
    this.address = settings.address;
  }

  async start(): Promise<void> {
    const { folder, jars, heapMib, properties } = this.#settings;
    const configPath = `${folder}/server.properties`;
    if (!await exists(configPath)) {
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(configPath, properties);
      await runJava(jars, [
        ...["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", configPath],
        ...SCRAM_USERS.flatMap((user) => ["--add-scram", user]),
      ]);
    }
    // The shell gives the log file and its own process id to Java.
    this.#process = new Deno.Command("sh", {
      args: [
        ...["-c", `exec java "$@" >>"${folder}/broker.log" 2>&1`, "java"],
        ...[`-Xmx${heapMib}m`, "-XX:+UseSerialGC", "-Djava.awt.headless=true"],
        ...["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", `${jars}/*`],
        ...["kafka.Kafka", configPath],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    // Ends the broker when this process goes away without a word: its end of the pipe is closed.
    this.#watcher = new Deno.Command("sh", {
      args: ["-c", 'cat >/dev/null; kill -9 "$0"', String(this.#process.pid)],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await this.#answers();
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#process?.kill("SIGKILL"), 10_000);
    await this.#end("SIGTERM");
    clearTimeout(timer);
  }

  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async log(): Promise<string> {
    const path = `${this.#settings.folder}/broker.log`;
    const text = await Deno.readTextFile(path).catch(() => "(no log)");
    const lines = text.trimEnd().split("\n").slice(-LOG_LINES_SHOWN);
    return `--- Kafka broker ${this.id}, ${path}\n${lines.join("\n")}`;
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const [process, watcher] = [this.#process, this.#watcher];
    if (process === null || watcher === null) return;
    watcher.kill("SIGKILL");
    try {
      process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
    await process.status;
    await watcher.stdin.close().catch(() => {});
    await watcher.status;
    this.#process = this.#watcher = null;
  }

  async #answers(): Promise<void> {
    let ended: Deno.CommandStatus | null = null;
    this.#process?.status.then((status) => ended = status);
    await until(`Kafka broker ${this.id} answers`, async () => {
      if (ended !== null) {
        throw new Error(`Kafka broker ${this.id} ended: ${JSON.stringify(ended)}`);
      }
      return (await brokersKnown(this.address)) >= this.#settings.clusterSize;
    }, START_MS_MAX);
  }
}

function serverProperties(
  index: number,
  { folder, brokers, controllers, securedBrokers, options }: {
    folder: string;
    brokers: string[];
    controllers: string[];
    securedBrokers: string[];
    options: ClusterOptions;
  },
): string {
  const replication = Math.min(3, options.brokers);
  const inSync = Math.max(1, replication - 1);
  const listeners = [`PLAINTEXT://${brokers[index]}`];
  if (options.secured) listeners.push(`SECURED://${securedBrokers[index]}`);
  const properties: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": index + 1,
    "controller.quorum.voters": controllers.map((address, i) => `${i + 1}@${address}`).join(),
    "controller.listener.names": "CONTROLLER",
    "listeners": [...listeners, `CONTROLLER://${controllers[index]}`].join(),
    "advertised.listeners": listeners.join(),
    ...(options.secured ? securedProperties(folder) : {}),
    "log.dirs": `${folder}/${index + 1}/data`,
    "auto.create.topics.enable": "false",
    "num.network.threads": 2,
    "num.io.threads": 4,
    "default.replication.factor": replication,
    "min.insync.replicas": inSync,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": replication,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": replication,
    "transaction.state.log.min.isr": inSync,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    // A killed broker comes back only when its session has ended.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 300,
    "log.index.size.max.bytes": 1 << 20,
    "log.cleaner.dedupe.buffer.size": 8 << 20,
    "log.cleaner.backoff.ms": 200,
    // Old readings keep their own times.
    "log.retention.ms": -1,
    ...options.properties,
  };
  return Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join("");
}

/** The brokers that one of them counts as alive; 0 while it does not answer. A Metadata request. */
async function brokersKnown(address: string): Promise<number> {
  const [hostname, port] = address.split(":");
  try {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    // Length, key 3, version 1, correlation id, no client id, no topics.
    await connection.write(
      new Uint8Array([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0, 0, 0]),
    );
    const answer = new Uint8Array(12);
    for (let read = 0; read < answer.length;) {
      const count = await connection.read(answer.subarray(read));
      if (count === null) return 0;
      read += count;
    }
    return new DataView(answer.buffer).getInt32(8);
  } catch {
    return 0; // not yet there, or just ending: the caller asks again until its deadline
  }
}

async function runJava(jars: string, args: readonly string[], stdin = ""): Promise<string> {
  const process = new Deno.Command("java", {
    args: ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", `${jars}/*`, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [{ success, stdout, stderr }] = await Promise.all([
    process.output(),
    new Blob([stdin]).stream().pipeTo(process.stdin).catch(() => {}),
  ]);
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`java ${args.join(" ")} failed: ${decoder.decode(stderr).slice(-2000)}`);
}

/** Ports that nobody listens on now; held together, so that they differ. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
