import { startKafka } from "../integration/kafka_harness.ts";
import { type Pipeline, terminate, withPipeline } from "../integration/pipeline.ts";
import { type Postgres, rowsOf, startPostgres } from "../integration/postgres_harness.ts";

const READINGS = Number(Deno.env.get("GRIDWATCH_BENCH_READINGS") ?? 1_000_000);
const ROUNDS = Number(Deno.env.get("GRIDWATCH_BENCH_ROUNDS") ?? 3);
const METERS = 10_000;
const PARTITIONS = 4;
const CONNECTIONS = 2;
const POLL_MS = 50;

type Measured = { readonly rowsPerSecond: number; readonly cpuSeconds: number };

/**
 * `gridwatch sink` on two connections from Kafka into PostgreSQL against `psql \copy` of the same
 * rows from a file into the same tables, in turns on the same servers.
 */
export async function benchSink(): Promise<void> {
  await using kafka = await startKafka();
  await using server = await startPostgres({ owned: true });
  const settings = { WATERMARK_SCOPE: "partition", SINK_CONNECTIONS: CONNECTIONS };
  await withPipeline(kafka.brokers, { partitions: PARTITIONS, settings }, async (pipeline) => {
    await fillTopics(pipeline);
    const ratios: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { url, rows, sink } = await measureSink(pipeline, server, round);
      const copy = await measureCopy(pipeline, server, url);
      ratios.push(sink.rowsPerSecond / copy);
      console.log(
        `sink: ${rows.toLocaleString("en")} rows at ` +
          `${Math.round(sink.rowsPerSecond).toLocaleString("en")}/s, ` +
          `${(sink.cpuSeconds / rows * 1e6).toFixed(1)} CPU s a million; ` +
          `\\copy ${Math.round(copy).toLocaleString("en")}/s; ` +
          `${(sink.rowsPerSecond / copy).toFixed(2)} of it`,
      );
    }
    ratios.sort((a, b) => a - b);
    console.log(
      `sink: median ${ratios[ratios.length >> 1].toFixed(2)} of \\copy, ` +
        `${CONNECTIONS} connections, ${PARTITIONS} partitions`,
    );
  });
}

async function fillTopics(pipeline: Pipeline): Promise<void> {
  const csv = `${pipeline.folder}/fleet.csv`;
  const days = String(Math.max(1, Math.round(READINGS / METERS / 48)));
  const size = ["--meters", String(METERS), "--days", days, "--quiet"];
  await pipeline.run("generate", "--output", csv, ...size);
  await pipeline.createTopics();
  await pipeline.onKafka("replay", csv, "--kafka");
  const processor = pipeline.process();
  await pipeline.untilJudged(600_000);
  await terminate(processor);
}

/** From the first commit to the last, into an empty database. */
async function measureSink(
  pipeline: Pipeline,
  server: Postgres,
  round: number,
): Promise<{ url: string; rows: number; sink: Measured }> {
  const url = await server.createDatabase();
  const migrated = await pipeline.run("migrate", "--database", url);
  if (migrated.code !== 0) throw new Error(migrated.stderr);
  const sink = pipeline.start(
    ...["sink", "--database", url, "--group", `bench-${pipeline.group}-${round}`],
    ...pipeline.brokers,
  );
  const judged = await judgedRecords(pipeline);
  while (sink.said("partition_loaded").length < PARTITIONS) await sleep();
  const startedAt = performance.now();
  const startCpu = await sink.cpuSeconds();
  while (await writtenRecords(url) < judged) await sleep();
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = await sink.cpuSeconds() - startCpu;
  await terminate(sink);
  const [{ rows }] = await rowsOf(url, "SELECT count(*)::int AS rows FROM validated_readings");
  return { url, rows: Number(rows), sink: { rowsPerSecond: Number(rows) / seconds, cpuSeconds } };
}

/** Rows a second of `psql \copy` on one connection, from a file of the rows that the sink wrote. */
async function measureCopy(pipeline: Pipeline, server: Postgres, from: string): Promise<number> {
  const file = `${pipeline.folder}/rows.csv`;
  await psql(from, `\\copy validated_readings to '${file}' csv`);
  const url = await server.createDatabase();
  await pipeline.run("migrate", "--database", url);
  const startedAt = performance.now();
  await psql(url, `\\copy validated_readings from '${file}' csv`);
  const seconds = (performance.now() - startedAt) / 1000;
  const [{ rows }] = await rowsOf(url, "SELECT count(*)::int AS rows FROM validated_readings");
  return Number(rows) / seconds;
}

async function psql(url: string, command: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("psql", {
    args: [url, "-q", "-v", "ON_ERROR_STOP=1", "-c", command],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`psql: ${new TextDecoder().decode(stderr)}`);
}

/** Raw records that the processors have judged. */
async function judgedRecords(pipeline: Pipeline): Promise<number> {
  const refs = pipeline.partitionNumbers.map((partition) => ({
    topic: pipeline.topics.raw,
    partition,
  }));
  const stored = await pipeline.admin.groupOffsets(pipeline.group, refs);
  return stored.reduce((sum, { nextOffset }) => sum + Math.max(0, nextOffset), 0);
}

/** Raw records whose account, and so whose rows, are in the database. */
async function writtenRecords(url: string): Promise<number> {
  const [{ n }] = await rowsOf(
    url,
    "SELECT coalesce(sum(next_offset), 0)::bigint n FROM positions",
  );
  return Number(n);
}

function sleep(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
