import { commonProperties, propertiesText } from "./broker_properties.ts";
import { BrokerProcess, type KafkaNode, runJava } from "./kafka_broker.ts";
import { kafkaJars } from "./kafka_jars.ts";
import { makeCertificate, securedProperties } from "./kafka_secured.ts";
import { freePorts } from "./ports.ts";

/**
 * A real Kafka for tests: its own Java process, free ports and a temporary folder each time, KRaft
 * with both roles in one process. The owner stops it, by its own process id; should the tests be
 * killed, a watcher does.
 */

/** The base version; set KAFKA_VERSION, or the option, to try another. */
export const KAFKA_VERSION = Deno.env.get("KAFKA_VERSION") ?? "3.9.1";

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
  return propertiesText({
    ...commonProperties({ replication, inSync }),
    "node.id": index + 1,
    "controller.quorum.voters": controllers.map((address, i) => `${i + 1}@${address}`).join(),
    "listeners": [...listeners, `CONTROLLER://${controllers[index]}`].join(),
    "advertised.listeners": listeners.join(),
    ...(options.secured ? securedProperties(folder) : {}),
    "log.dirs": `${folder}/${index + 1}/data`,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "default.replication.factor": replication,
    "min.insync.replicas": inSync,
    ...options.properties,
  });
}
