import assert from "node:assert/strict";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { alertRules } from "../grafana/dashboards.ts";
import { StepTransaction } from "./kafka_fixture.ts";
import { openInChromium } from "./chromium.ts";
import { until } from "./kafka_broker.ts";
import { type Kafka, startKafka } from "./kafka_harness.ts";
import { type Pipeline, type Running, terminate, withPipeline } from "./pipeline.ts";
import { freePort } from "./ports.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";

/**
 * What everybody says who can be asked, when something has stopped under a live producer: none of
 * them may be green. `health.stalled_seconds` is short here; what is told after it, is told after 45
 * seconds else.
 */

const STALLED_SECONDS = 6;
const WITHIN_MS = 60_000;
const { serverTest, beforeAll } = await serverTests("kafka", "postgres");
let sharedKafka: Kafka;
let sharedServer: Postgres;

beforeAll(async () => {
  // A broker of our own: the logs in its folder are damaged.
  [sharedKafka, sharedServer] = await Promise.all([startKafka({ owned: true }), startPostgres()]);
});

Deno.test.afterAll(async () => {
  await sharedKafka?.stop(); // undefined when it did not start
  await sharedServer?.stop();
});

/** Who is asked. */
type Teller =
  | "page"
  | "api"
  | "metrics"
  | "alert"
  | "doctor"
  | "processor"
  | "sink" // at /readyz
  | "processorMetrics"
  | "sinkMetrics";
type Colour = "green" | "red";
type Told = Readonly<Record<Teller, { readonly colour: Colour; readonly said: string }>>;

type Site = {
  readonly pipeline: Pipeline;
  readonly url: string;
  readonly kafka: Kafka;
  readonly server: Postgres;
  readonly processor: Running;
  readonly sink: Running;
  /** Where the page is served. */
  readonly page: string;
  /** One record to each partition, as a producer that lives. */
  produce(): Promise<void>;
  startProcessor(): Running;
  tell(options?: { readonly doctor: boolean }): Promise<Told>;
};

const encoder = new TextEncoder();

/** A pipeline that works, with a page over it; `kills` servers of its own. */
function healthTest(
  name: string,
  test: (site: Site) => Promise<void>,
  { kills = null }: { readonly kills?: "kafka" | "postgres" | null } = {},
): void {
  const settings = {
    HEALTH_STALLED_SECONDS: STALLED_SECONDS,
    WATERMARK_SCOPE: "partition",
    IDLE_TIMEOUT_SECONDS: 2,
  };
  serverTest(name, async () => {
    await using own = new AsyncDisposableStack();
    const kafka = kills === "kafka" ? own.use(await startKafka({ owned: true })) : sharedKafka;
    const server = kills === "postgres"
      ? own.use(await startPostgres({ owned: true }))
      : sharedServer;
    await withPipeline(kafka.brokers, { partitions: 2, settings }, async (pipeline) => {
      await pipeline.createTopics();
      const url = await server.createDatabase();
      const ended = await pipeline.run("migrate", "--database", url);
      assert.equal(ended.code, 0, ended.stderr);
      const ports = { processor: freePort(), sink: freePort(), page: freePort() };
      const startProcessor = () => pipeline.process("--health-port", String(ports.processor));
      const on = [...pipeline.brokers, "--database", url];
      const sink = pipeline.start("sink", "--health-port", String(ports.sink), ...on);
      pipeline.start("serve", "--database", url, "--port", String(ports.page));
      const producer = pipeline.log.producer({
        ...{ compression: "none", batchBytesMax: 1 << 20, deadlineMs: 20_000 },
      });
      let sent = 0;
      const site: Site = {
        page: `http://127.0.0.1:${ports.page}`,
        ...{ pipeline, url, kafka, server, sink, startProcessor, processor: startProcessor() },
        async produce() {
          const nowMs = Date.now();
          await producer.send(pipeline.partitionNumbers.map((partition) => {
            const meter = `M${partition}`;
            const timestamp = new Date(nowMs + ++sent).toISOString();
            const values = encoder.encode(
              JSON.stringify({ meter_id: meter, timestamp, consumption_kwh: 1 }),
            );
            return {
              ...{ topic: pipeline.topics.raw, partition, count: 1, values, origins: null },
              ...{ valueEnds: [values.length], keys: null, keyEnds: null, timesMs: nowMs },
            };
          }));
        },
        tell: ({ doctor } = { doctor: false }) => tell(site, ports, doctor),
      };
      try {
        await until("all is green, and has written", async () => {
          await site.produce();
          const [{ n }] = await rowsOf(url, "SELECT count(*)::int AS n FROM validated_readings");
          return Number(n) > 0 && colours(await site.tell()) === ALL_GREEN;
        }, 90_000);
        await test(site);
      } finally {
        await producer.close();
      }
    });
  });
}

const TELLERS: readonly Exclude<Teller, "doctor">[] = [
  ...["page", "api", "metrics", "processor", "processorMetrics"] as const,
  ...["sink", "sinkMetrics", "alert"] as const,
];
const ALL_GREEN = TELLERS.map((teller) => `${teller} green`).join(", ");
const colours = (told: Told) =>
  TELLERS.map((teller) => `${teller} ${told[teller].colour}`).join(", ");

async function tell(
  { pipeline, url }: Site,
  ports: Readonly<Record<"processor" | "sink" | "page", number>>,
  withDoctor: boolean,
): Promise<Told> {
  const get = async (port: number, path: string) => {
    const signal = AbortSignal.timeout(20_000);
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal });
      return { isGood: response.ok, text: await response.text() };
    } catch (error) {
      return { isGood: false, text: String(error) };
    }
  };
  const [status, api, metrics, processor, processorMetrics, sink, sinkMetrics] = await Promise.all([
    get(ports.page, "/api/status"),
    get(ports.page, "/readyz"),
    get(ports.page, "/metrics"),
    get(ports.processor, "/readyz"),
    get(ports.processor, "/metrics"),
    get(ports.sink, "/readyz"),
    get(ports.sink, "/metrics"),
  ]);
  const colour = (isGreen: boolean, said: string) =>
    ({ colour: isGreen ? "green" : "red", said }) as const;
  const isShownRunning = status.isGood && JSON.parse(status.text).state === "running";
  const isCounted = metrics.isGood && /^gridwatch_problems 0$/m.test(metrics.text) &&
    /^gridwatch_store_up 1$/m.test(metrics.text);
  const [alert, doctor] = [await firing(url), withDoctor ? await asked(pipeline, url) : null];
  return {
    page: colour(isShownRunning, status.text),
    api: colour(api.isGood, api.text),
    metrics: colour(isCounted, metrics.text),
    processor: colour(processor.isGood, processor.text),
    processorMetrics: colour(areWell(processorMetrics), processorMetrics.text),
    sink: colour(sink.isGood, sink.text),
    sinkMetrics: colour(areWell(sinkMetrics), sinkMetrics.text),
    alert: colour(alert.length === 0, alert.join(", ")),
    doctor: colour(doctor === null || doctor.code === 0, doctor?.stdout ?? ""),
  };
}

/** Whether the figures of a processor or a sink are those of one that works, as an alert asks them. */
function areWell({ isGood, text }: { readonly isGood: boolean; readonly text: string }): boolean {
  const valuesOf = (name: string) =>
    [...text.matchAll(new RegExp(`^gridwatch_${name}(?:{.*})? (.*)$`, "gm"))]
      .map(([, value]) => Number(value));
  const areAll = (name: string, wanted: number) =>
    valuesOf(name).every((value) => value === wanted);
  return isGood && valuesOf("started").length === 1 && areAll("started", 1) &&
    areAll("kafka_up", 1) && areAll("database_up", 1) && areAll("running", 1) && areAll("stuck", 0);
}

/** Which rules fire, as Grafana would find: by query and condition, with our limit for its 45 s. */
async function firing(url: string): Promise<string[]> {
  const fires: string[] = [];
  for (const { uid, data, noDataState, execErrState } of alertRules()) {
    const [{ evaluator }] = data[1].model.conditions ?? [];
    const limit = evaluator.params[0] === 45 ? STALLED_SECONDS : evaluator.params[0];
    const rows = await rowsOf(url, data[0].model.rawSql ?? "").catch(() => null);
    const value = rows === null ? null : Object.values(rows[0] ?? {})[0] ?? null;
    const state = rows === null ? execErrState : noDataState;
    const isOver = value === null
      ? state !== "OK"
      : evaluator.type === "gt"
      ? Number(value) > limit
      : Number(value) < limit;
    if (isOver) fires.push(uid);
  }
  return fires;
}

async function asked(pipeline: Pipeline, url: string) {
  return await pipeline.run("doctor", "--json", "--database", url, ...pipeline.brokers);
}

/** Waits until those are red who must be; `produce`: records go on coming. */
async function untilRed(
  site: Site,
  red: readonly Teller[],
  { produce = true } = {},
): Promise<Told> {
  let last = "";
  const told = await until(`red: ${red.join(", ")}`, async () => {
    if (produce) await site.produce();
    const told = await site.tell();
    last = colours(told);
    return red.every((teller) => teller === "doctor" || told[teller].colour === "red") && told;
  }, WITHIN_MS).catch((error) => {
    throw new Error(`${error.message}; it is ${last}`, { cause: error });
  });
  if (produce) await site.produce();
  const { doctor } = await site.tell({ doctor: true });
  assert.equal(doctor.colour, "red", doctor.said);
  // The rule of what stands is among those that fire, and where the tables answer it is alone.
  const rules = alertRules().map(({ uid }) => uid);
  assert.ok([STALLED, rules.join(", ")].includes(told.alert.said), told.alert.said);
  return { ...told, doctor };
}

const STALLED = "gridwatch-stalled";
const ALL_BUT_OWNERS: readonly Teller[] = ["page", "api", "metrics", "alert"];
const OF_PROCESSOR: readonly Teller[] = ["processor", "processorMetrics"];
const OF_SINK: readonly Teller[] = ["sink", "sinkMetrics"];

healthTest("Health is green in quiet, all the time", async (site) => {
  const giveUpAt = performance.now() + 5 * STALLED_SECONDS * 1000;
  await until("the quiet is over", async () => {
    const told = await site.tell();
    assert.equal(colours(told), ALL_GREEN, JSON.stringify(told));
    return performance.now() > giveUpAt;
  }, 120_000);
  const { doctor } = await site.tell({ doctor: true });
  assert.equal(doctor.colour, "green", doctor.said);
});

healthTest("Health is red when the processor was killed", async (site) => {
  await using page = await openInChromium(`${site.page}/pipeline`); // null: there is no Chromium
  const isShown = (state: string) =>
    until(`the page says ${state}`, async () => {
      await site.produce();
      return page === null || (await page.textOf("#partitions")).includes(state);
    }, WITHIN_MS);
  await isShown("running");
  site.processor.kill("SIGKILL");
  const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_PROCESSOR]);
  await isShown("stalled");
  if (page !== null) assert.match(await page.textOf("#notices"), /The pipeline stands: partition/);
  assert.match(told.api.said, /partition \d: \d+ records wait, and none has come into the tables/);
  site.startProcessor();
  await until(
    "all is green again",
    async () => colours(await site.tell()) === ALL_GREEN,
    WITHIN_MS,
  );
});

healthTest("Health is red when the sink is stuck", async (site) => {
  const { pipeline, url } = site;
  const release = Promise.withResolvers<void>();
  const holder = new PostgresDatabase(url, { connections: 1, name: "holder", statementMsMax: 0 });
  const held = holder.transaction(async (tx) => {
    const sql = "SELECT * FROM sink_positions WHERE topic = $1 FOR UPDATE";
    await tx.query(sql, [pipeline.topics.validated]);
    await release.promise;
  });
  try {
    const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_SINK]);
    assert.equal(told.processor.colour, "green", "it does its work");
    assert.match(told.sink.said, /records wait, and nothing has moved/);
  } finally {
    release.resolve();
    await held;
    await holder.close();
  }
  await until(
    "all is green again",
    async () => colours(await site.tell()) === ALL_GREEN,
    WITHIN_MS,
  );
});

healthTest("Health is red behind a foreign transaction that hangs", async (site) => {
  await using foreign = new StepTransaction(site.kafka.brokers, `foreign-${site.pipeline.group}`);
  await foreign.open(10 * WITHIN_MS);
  const values = encoder.encode("{}");
  await foreign.write({
    ...{ topic: site.pipeline.topics.raw, partition: 0, count: 1, values, origins: null },
    ...{ valueEnds: [values.length], keys: null, keyEnds: null, timesMs: Date.now() },
  });
  const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_PROCESSOR]);
  assert.match(told.processor.said, /a transaction is open at offset \d+/);
  assert.match(told.api.said, /partition 0: .*: a transaction is open at offset \d+/);
  await foreign.end("abort");
  await until(
    "all is green again",
    async () => colours(await site.tell()) === ALL_GREEN,
    WITHIN_MS,
  );
});

healthTest("Health is red when a record of the changelog is damaged", async (site) => {
  const { pipeline, processor } = site;
  assert.equal((await terminate(processor)).code, 0);
  await damage(`${pipeline.topics.changelog}-0`);
  site.startProcessor();
  const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_PROCESSOR]);
  const place = `${pipeline.topics.changelog}.* partition 0 from offset \\d+ on`;
  assert.match(told.processor.said, new RegExp(`partition 0 is .*${place}.*CRC`));
});

healthTest("Health is red when the database is away", async (site) => {
  const { server } = site;
  await server.kill();
  try {
    const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_SINK]);
    assert.match(told.sink.said, /database: /);
    assert.match(told.api.said, /the (database|store) does not answer/i);
  } finally {
    await server.restart();
  }
  await until(
    "all is green again",
    async () => colours(await site.tell()) === ALL_GREEN,
    WITHIN_MS,
  );
}, { kills: "postgres" });

healthTest("Health is red when the broker is dead", async (site) => {
  const { kafka } = site;
  await kafka.kill();
  try {
    const told = await untilRed(site, [...ALL_BUT_OWNERS, ...OF_PROCESSOR, ...OF_SINK], {
      produce: false,
    });
    assert.match(told.processor.said, /Kafka: /);
    assert.match(told.api.said, /no sink has seen the raw topic/);
  } finally {
    await kafka.restart();
  }
  await until(
    "all is green again",
    async () => colours(await site.tell()) === ALL_GREEN,
    2 * WITHIN_MS,
  );
}, { kills: "kafka" });

/** Turns a byte of the last batch of a partition's log. */
async function damage(name: string): Promise<void> {
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  for await (const { name: folder } of Deno.readDir(temporary)) {
    if (!folder.startsWith("gridwatch-kafka-")) continue;
    const path = `${temporary}/${folder}/1/data/${name}/00000000000000000000.log`;
    const bytes = await Deno.readFile(path).catch(() => null);
    if (bytes === null) continue;
    // The first batch: 61 bytes of header, with the CRC before its last 40.
    using file = await Deno.open(path, { write: true });
    await file.seek(61, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(bytes[61] ^ 255));
    return;
  }
  throw new Error(`${name} is in no broker's folder`);
}
