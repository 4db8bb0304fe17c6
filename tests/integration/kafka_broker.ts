import { SCRAM_USERS } from "./kafka_secured.ts";

const START_MS_MAX = 90_000;
const POLL_MS = 50;
const LOG_LINES_SHOWN = 60;
const CLUSTER_ID = "R3JpZHdhdGNoVGVzdHNLQQ";

/** One broker process. */
export type KafkaNode = {
  readonly id: number;
  readonly address: string;
  /** Of its files: properties, log, data. */
  readonly folder: string;
  /** Null while it does not run. */
  readonly pid: number | null;
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

/** What a broker process is made of. It counts as up when `clusterSize` brokers are there. */
export type BrokerSettings = {
  id: number;
  address: string;
  folder: string;
  jars: string;
  heapMib: number;
  properties: string;
  clusterSize: number;
};

export class BrokerProcess implements KafkaNode {
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

  get folder(): string {
    return this.#settings.folder;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
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

/** Polls until `check` gives something but undefined or false; the only sleep in the tests. */
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

/** Runs a class of Kafka's jars; resolves to what it printed. */
export async function runJava(jars: string, args: readonly string[], stdin = ""): Promise<string> {
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

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
