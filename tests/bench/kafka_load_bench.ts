import { partitionOf } from "../../src/replay/partitioner.ts";
import { committedReader, openKafka, withBrokers, writerOptions } from "../../src/setup/kafka.ts";
import { loadConfig } from "../../src/console/shell.ts";
import type { KafkaSetup } from "../../src/setup/kafka.ts";
import { recordsOf } from "../integration/kafka_fixture.ts";
import { withFleet } from "./kafka_bench.ts";
import {
  delay,
  expectOk,
  judgeAll,
  processUsage,
  readStatus,
  silenced,
  startProcessor,
  useNames,
  withBefore,
} from "./kafka_process.ts";

/* What commits cost: ours and the broker's CPU, and the disk. */

/** Clients that are installed without more read these. */
const COMPRESSIONS = ["none", "gzip", "lz4"];
const ROUNDS = 2;

/** Each compression over the same fleet: replay, process and broker. */
export async function benchCompression(): Promise<void> {
  await withFleet(async ({ node, ...fleet }) => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const compression of COMPRESSIONS) {
        const name = `${compression}${round}`;
        const before = await processUsage(node.pid);
        const judged = await judgeAll({
          ...{ ...fleet, name, partitions: 1, processes: 1 },
          env: { GRIDWATCH_KAFKA_COMPRESSION: compression },
        });
        const after = await processUsage(node.pid);
        const million = fleet.readings / 1e6;
        const bytes = await bytesOf(`${node.folder}/data`, `${name}_`);
        console.log(
          `kafka, ${compression}: ${
            judged.readingsPerSecond.toLocaleString("en-US")
          } readings/s, ` +
            `${judged.cpuSeconds.toFixed(2)} CPU s a million, of the broker ` +
            `${
              ((after.cpuSeconds - before.cpuSeconds) / million).toFixed(2)
            } (all is read twice), ` +
            `${Math.round(bytes / million / 1e6)} MB on disk a million`,
        );
      }
    }
  });
}

/** Bytes of the topics whose names begin so. */
async function bytesOf(folder: string, prefix: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(prefix)) continue;
    for await (const file of Deno.readDir(`${folder}/${name}`)) {
      if (file.name.endsWith(".log")) {
        bytes += (await Deno.stat(`${folder}/${name}/${file.name}`)).size;
      }
    }
  }
  return bytes;
}

const RATE = 600;
const BATCH_MS = 100;
const METERS = 3000;
const WARM_MS = 8_000;
const MEASURED_MS = 20_000;

/** Few readings in many partitions: one processor, before and now. */
export async function benchPartitions(): Promise<void> {
  await withFleet(async ({ brokers, node }) => {
    await withBefore(async ({ root, name }) => {
      for (const partitions of [100, 300]) {
        const site = { brokers, node, partitions };
        await benchLoad(name, { ...site, topics: `before${partitions}`, root });
        await benchLoad("now", { ...site, topics: `now${partitions}` });
      }
    });
  });
}

async function benchLoad(
  what: string,
  { brokers, node, partitions, topics, root }: {
    readonly brokers: string;
    readonly node: { readonly pid: number };
    readonly partitions: number;
    readonly topics: string;
    readonly root?: string;
  },
): Promise<void> {
  useNames(topics);
  const at = ["--brokers", brokers];
  const create = ["topics", "--create", "--partitions", String(partitions), ...at];
  await silenced(() => expectOk(create));
  const setup = await openKafka(withBrokers(await loadConfig(undefined), brokers));
  const { child, port } = startProcessor(brokers, 19_100, { root });
  while ((await readStatus(port)).length < partitions) await delay(BATCH_MS);
  const stop = new AbortController();
  const sent = sendReadings(setup, partitions, stop.signal);
  await delay(WARM_MS);
  const look = async () => ({
    own: (await processUsage(child.pid)).cpuSeconds,
    broker: (await processUsage(node.pid)).cpuSeconds,
    commits: await commitsOf(setup, partitions),
    atMs: performance.now(),
  });
  const before = await look();
  await delay(MEASURED_MS);
  const after = await look();
  stop.abort();
  await sent;
  child.kill("SIGTERM");
  await child.status;
  await setup.log.close();
  const seconds = (after.atMs - before.atMs) / 1000;
  const share = (part: "own" | "broker") =>
    `${((after[part] - before[part]) / seconds * 100).toFixed(0)} %`;
  console.log(
    `kafka, ${what}: ${partitions} partitions, ${RATE} readings/s: ` +
      `${((after.commits - before.commits) / seconds).toFixed(0)} transactions/s, ` +
      `${share("own")} of a core, of the broker ${share("broker")}`,
  );
}

async function sendReadings(
  { log, topics, config }: KafkaSetup,
  partitions: number,
  signal: AbortSignal,
): Promise<void> {
  const producer = log.producer(writerOptions(config));
  const startedAtMs = performance.now();
  const places = Array.from(
    { length: METERS },
    (_, m) => partitionOf(new TextEncoder().encode(`M${m}`), partitions),
  );
  for (let sent = 0; !signal.aborted;) {
    const due = Math.floor((performance.now() - startedAtMs) / 1000 * RATE);
    const byPartition = new Map<number, string[]>();
    for (; sent < due; sent++) {
      const meter = sent % METERS;
      const timestamp = new Date(Date.UTC(2024, 0, 1) + Math.floor(sent / METERS) * 1_800_000);
      const values = byPartition.get(places[meter]) ?? [];
      values.push(JSON.stringify({ meter_id: `M${meter}`, timestamp, consumption_kwh: 1 }));
      byPartition.set(places[meter], values);
    }
    const runs = [...byPartition].map(([partition, values]) =>
      recordsOf(topics.raw, values, { partition })
    );
    if (runs.length > 0) await producer.send(runs);
    await delay(BATCH_MS);
  }
  await producer.close();
}

/** Commits so far: each leaves a marker in the changelog, which takes an offset and is no record. */
async function commitsOf(setup: KafkaSetup, partitions: number): Promise<number> {
  const { log, topics } = setup;
  const admin = log.admin({ deadlineMs: 30_000 });
  const refs = Array.from(
    { length: partitions },
    (_, partition) => ({ topic: topics.changelog, partition }),
  );
  const ends = await admin.listOffsets(refs, "committedEnd");
  await admin.close();
  const reader = committedReader(setup, { keys: true });
  const nexts = new Map(ends.map(({ partition }) => [partition, 0]));
  let records = 0;
  for (const ref of refs) reader.assign({ ...ref, offset: 0 });
  const isDone = () => ends.every(({ partition, offset }) => nexts.get(partition)! >= offset);
  while (!isDone()) {
    const batch = await reader.next(1000);
    if (batch === null) continue;
    const end = ends[batch.partition].offset;
    for (let r = 0; r < batch.count; r++) if (batch.offsets[r] < end) records++;
    nexts.set(batch.partition, batch.nextOffset);
  }
  await reader.close();
  return ends.reduce((sum, { offset }) => sum + offset, 0) - records;
}
