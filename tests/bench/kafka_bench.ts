import { main } from "../../cli.ts";
import { startKafka } from "../integration/kafka_harness.ts";

const READINGS = Number(Deno.env.get("GRIDWATCH_BENCH_READINGS") ?? 2_000_000);
const METERS = 10_000;
const POLL_MS = 100;

/** Rows a second, CPU and memory of processors on a real broker, and their latency. */
export async function benchKafka(): Promise<void> {
  await using kafka = await startKafka();
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-bench-" });
  try {
    const csv = `${directory}/fleet.csv`;
    const days = String(Math.max(1, Math.round(READINGS / METERS / 48)));
    const fleet = ["--meters", String(METERS), "--days", days, "--clean"];
    await expectOk(["generate", ...fleet, "--output", csv, "--quiet"]);
    const brokers = kafka.brokers.join(",");
    for (const count of [1, 2, 3]) {
      await benchThroughput({ brokers, csv, partitions: count, processes: count });
    }
    for (const commitIntervalMs of [1000, 100]) {
      await benchLatency({ brokers, csv, commitIntervalMs });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function expectOk(args: string[]): Promise<void> {
  const exitCode = await main(args);
  if (exitCode !== 0) throw new Error(`gridwatch ${args[0]} ended with ${exitCode}`);
}

type Setup = { readonly brokers: string; readonly csv: string };

async function benchThroughput(
  { brokers, csv, partitions, processes }: Setup & { partitions: number; processes: number },
): Promise<void> {
  const name = `bench${partitions}x${processes}`;
  useNames(name);
  const quiet = await silenced(async () => {
    await expectOk([
      "topics",
      "--create",
      "--partitions",
      String(partitions),
      "--brokers",
      brokers,
    ]);
    await expectOk(["replay", csv, "--kafka", "--brokers", brokers, "--quiet"]);
  });
  const started = performance.now();
  const children = Array.from(
    { length: processes },
    (_, p) => startProcessor(brokers, 19_100 + p, {}),
  );
  const records = quiet.records;
  let first = 0;
  while (true) {
    const statuses = await Promise.all(children.map(({ port }) => readStatus(port)));
    const folded = statuses.flat().reduce((sum, { nextOffset }) => sum + nextOffset, 0);
    if (first === 0 && folded > 0) first = performance.now();
    const isDone = statuses.flat().length === partitions &&
      statuses.flat().every(({ lagRecords, nextOffset }) => lagRecords === 0 && nextOffset > 0);
    if (isDone) break;
    await delay(POLL_MS);
  }
  const wallSeconds = (performance.now() - started) / 1000;
  let cpuSeconds = 0;
  let rssMib = 0;
  for (const { child } of children) {
    const usage = await processUsage(child.pid);
    cpuSeconds += usage.cpuSeconds;
    rssMib = Math.max(rssMib, usage.peakMib);
    child.kill("SIGTERM");
  }
  for (const { child } of children) await child.status;
  const million = records / 1e6;
  console.log(
    `kafka: ${partitions} partitions, ${processes} processes  ` +
      `${
        Math.round(records / wallSeconds).toLocaleString("en-US")
      } readings/s from start to end, ` +
      `${(cpuSeconds / million).toFixed(2)} CPU s a million (start included), ` +
      `peak ${rssMib} MiB a process`,
  );
  await silenced(() => expectOk(["verify", "--kafka", "--brokers", brokers, "--json"]));
}

/** Time from a reading's arrival in the raw topic to its validated record's commit, at 5,000/s. */
async function benchLatency(
  { brokers, csv, commitIntervalMs }: Setup & { commitIntervalMs: number },
): Promise<void> {
  useNames(`latency${commitIntervalMs}`);
  await silenced(() => expectOk(["topics", "--create", "--brokers", brokers, "--partitions", "1"]));
  const processor = startProcessor(brokers, 19_200, {
    GRIDWATCH_COMMIT_INTERVAL_MS: String(commitIntervalMs),
  });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", new URL("./latency_probe.ts", import.meta.url).pathname],
      ...[brokers, csv, "5000", "15"],
    ],
    env: environment(),
    stdout: "piped",
    stderr: "inherit",
  });
  const { stdout } = await child.output();
  const { p50, p99, readings } = JSON.parse(new TextDecoder().decode(stdout));
  processor.child.kill("SIGTERM");
  await processor.child.status;
  console.log(
    `kafka: latency at 5,000 readings/s, commit_interval_ms ${commitIntervalMs}: ` +
      `p50 ${p50} ms, p99 ${p99} ms (${readings.toLocaleString("en-US")} readings)`,
  );
}

let names = "";

function useNames(name: string): void {
  names = name;
  for (const [key, value] of Object.entries(environment())) Deno.env.set(key, value);
}

function environment(): Record<string, string> {
  return {
    GRIDWATCH_KAFKA_TOPIC_PREFIX: `${names}_`,
    GRIDWATCH_KAFKA_GROUP: names,
    GRIDWATCH_API_HOST: "127.0.0.1",
  };
}

function startProcessor(brokers: string, port: number, env: Record<string, string>) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", new URL("../../cli.ts", import.meta.url).pathname, "process"],
      ...["--brokers", brokers, "--health-port", String(port)],
    ],
    env: { ...environment(), ...env },
    stdout: "null",
    stderr: "null",
  }).spawn();
  return { child, port };
}

type Status = { readonly nextOffset: number; readonly lagRecords: number };

async function readStatus(port: number): Promise<Status[]> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`);
    return (await response.json()).partitions;
  } catch (error) {
    if (error instanceof TypeError) return []; // it does not listen yet
    throw error;
  }
}

const TICKS_PER_SECOND = 100;

/** CPU seconds and peak memory of a process, from /proc. */
async function processUsage(pid: number): Promise<{ cpuSeconds: number; peakMib: number }> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const peakKib = Number(status.match(/VmHWM:\s+(\d+)/)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    peakMib: Math.round(peakKib / 1024),
  };
}

function delay(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

/** Runs commands without what they write; gives how many readings were played. */
async function silenced(work: () => Promise<void>): Promise<{ records: number }> {
  const { writeSync } = Deno.stdout;
  Deno.stdout.writeSync = (bytes) => bytes.length;
  try {
    await work();
  } finally {
    Deno.stdout.writeSync = writeSync;
  }
  return { records: Math.max(1, Math.round(READINGS / METERS / 48)) * METERS * 48 };
}
