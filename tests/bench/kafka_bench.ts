import { startKafka } from "../integration/kafka_harness.ts";
import {
  environment,
  expectOk,
  judgeAll,
  type Judging,
  silenced,
  startProcessor,
  useNames,
  withBefore,
} from "./kafka_process.ts";

const READINGS = Number(Deno.env.get("GRIDWATCH_BENCH_READINGS") ?? 2_000_000);
const METERS = 10_000;
const READINGS_A_DAY = 48;
const DAYS = Math.max(1, Math.round(READINGS / METERS / READINGS_A_DAY));
/** Pairs with the commit before: a shared machine's figures wander from one to the next. */
const PAIRS = 2;

/** Rows a second, CPU and memory of processors on a real broker, and their latency. */
export async function benchKafka(): Promise<void> {
  await withFleet(async ({ brokers, csv, readings }) => {
    const fleet = { brokers, csv, readings };
    await withBefore(async ({ root, name }) => {
      for (let pair = 0; pair < PAIRS; pair++) {
        const one = { ...fleet, partitions: 1, processes: 1 };
        await benchThroughput(name, { ...one, name: `before${pair}`, root });
        await benchThroughput("now", { ...one, name: `now${pair}` });
      }
    });
    for (const count of [2, 3]) {
      const many = { ...fleet, partitions: count, processes: count };
      await benchThroughput("now", { ...many, name: `bench${count}` });
    }
    for (const workers of ["1", "2"]) {
      const one = { ...fleet, partitions: 2, processes: 1, args: ["--workers", workers] };
      await benchThroughput(`--workers ${workers}`, { ...one, name: `workers${workers}` });
    }
    await benchLatency({ brokers, csv });
  });
}

/** A broker, and a file of clean readings. */
export async function withFleet(
  work: (fleet: {
    readonly brokers: string;
    readonly csv: string;
    readonly readings: number;
    /** The broker's files and process. */
    readonly node: { readonly folder: string; readonly pid: number };
  }) => Promise<void>,
): Promise<void> {
  await using kafka = await startKafka({ owned: true, heapMib: 1024 });
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-bench-" });
  try {
    const csv = `${directory}/fleet.csv`;
    const fleet = ["--meters", String(METERS), "--days", String(DAYS), "--clean"];
    await silenced(() => expectOk(["generate", ...fleet, "--output", csv, "--quiet"]));
    const [{ folder, pid }] = kafka.nodes;
    await work({
      ...{ brokers: kafka.brokers.join(), csv, readings: DAYS * METERS * READINGS_A_DAY },
      node: { folder, pid: pid ?? 0 },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function benchThroughput(what: string, judging: Judging): Promise<void> {
  const { readingsPerSecond, cpuSeconds, peakMib } = await judgeAll(judging);
  console.log(
    `kafka, ${what}: ${judging.partitions} partitions, ${judging.processes} processes  ` +
      `${readingsPerSecond.toLocaleString("en-US")} readings/s from start to end, ` +
      `${cpuSeconds.toFixed(2)} CPU s a million (start included), ` +
      `peak ${peakMib} MiB a process`,
  );
}

/** Time from a reading's arrival in the raw topic to its validated record's commit, at 5,000/s. */
async function benchLatency(
  { brokers, csv }: { readonly brokers: string; readonly csv: string },
): Promise<void> {
  useNames("latency");
  await silenced(() => expectOk(["topics", "--create", "--brokers", brokers, "--partitions", "1"]));
  const processor = startProcessor(brokers, 19_200);
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
    `kafka: latency at 5,000 readings/s: p50 ${p50} ms, p99 ${p99} ms ` +
      `(${readings.toLocaleString("en-US")} readings), goal 200 ms`,
  );
}
