import { parseArgs } from "node:util";
import { type Action, chaosPlan, SESSION_TIMEOUT_MS } from "./chaos_plan.ts";
import { type Break, breakAndMend, breakOfSeed, BREAKS } from "./chaos_breaks.ts";
import { type ProxiedBrokers, startProxiedBrokers } from "./chaos_broker.ts";
import { pause } from "./chaos_proxy.ts";
import { recordsOf } from "./kafka_fixture.ts";
import { Pipeline, type PipelineOptions, type Running, terminate } from "./pipeline.ts";

/**
 * Random harm by seed: a replay runs at speed into six partitions, three processors work on them,
 * and processors, the replay, the brokers and the line between are killed, stopped and cut, beside
 * live readings of producers whose clocks run ahead. Then all is healed, and the outputs must be those
 * of an undisturbed run. At last something is broken that nobody can heal by waiting (`chaos_breaks`).
 */

const PARTITIONS = 6;
const PROCESSORS = 3;
const PROCESSORS_MAX = 5;
const METERS = 600;
const RATE = 5000;
const HEAL_MS_MAX = 120_000;
const READINGS_A_DAY = 48;
const TICKS_A_DAY = 1440;
/** What the meters' ids of producers with another clock begin with. */
const AHEAD = "AHEAD-";
const WRITER = { compression: "gzip", batchBytesMax: 512 << 10, deadlineMs: 60_000 } as const;

export type ChaosReport = {
  readonly seed: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly rawRecords: number;
  /** From the end of all harm until every record was judged. */
  readonly healSeconds: number;
  /** What is not as it should be; none: all is well. */
  readonly problems: readonly string[];
};

/** What a run is made of besides its seed. */
export type ChaosOptions = {
  readonly durationMs: number;
  readonly brokers?: number;
  /** Absent: that of the seed. */
  readonly breaks?: Break;
  /** Hears what happens. */
  readonly say: (text: string) => void;
};

/** One run. */
export async function runChaos(
  seed: number,
  { durationMs, brokers: count = 1, breaks = breakOfSeed(seed), say }: ChaosOptions,
): Promise<ChaosReport> {
  await using brokers = await startProxiedBrokers(count);
  const options: PipelineOptions = {
    partitions: PARTITIONS,
    replication: Math.min(3, count),
    commandBrokers: brokers.proxies.map(({ address }) => address),
    settings: {
      KAFKA_SESSION_TIMEOUT_MS: SESSION_TIMEOUT_MS,
      KAFKA_TRANSACTION_TIMEOUT_MS: 6000,
      COMMIT_RECORDS_MAX: 400,
      COMMIT_INTERVAL_MS: 50,
      IDLE_TIMEOUT_SECONDS: 0,
    },
  };
  await using pipeline = new Pipeline(brokers.addresses, options);
  const chaos = new Chaos(pipeline, { brokers, options, say });
  try {
    return await chaos.run(seed, { durationMs, breaks });
  } catch (error) {
    console.error(`chaos seed ${seed}\n${pipeline.logs()}\n${await brokers.logs()}`);
    throw error;
  }
}

class Chaos {
  readonly #pipeline: Pipeline;
  readonly #brokers: ProxiedBrokers;
  readonly #options: PipelineOptions;
  readonly #say: (text: string) => void;
  readonly #counts: Record<string, number> = {};
  readonly #problems: string[] = [];
  #processors: Running[] = [];
  /** Stopped, and not to be counted as an end of their own. */
  readonly #killed = new Set<Running>();
  readonly #later: Promise<void>[] = [];
  #replay: Running | null = null;
  #isHealing = false;

  constructor(
    pipeline: Pipeline,
    { brokers, options, say }: {
      readonly brokers: ProxiedBrokers;
      readonly options: PipelineOptions;
      readonly say: (text: string) => void;
    },
  ) {
    this.#pipeline = pipeline;
    this.#brokers = brokers;
    this.#options = options;
    this.#say = say;
  }

  async run(
    seed: number,
    { durationMs, breaks }: { readonly durationMs: number; readonly breaks: Break },
  ): Promise<ChaosReport> {
    const fleet = await this.#makeFleet(seed, durationMs);
    await this.#pipeline.createTopics();
    for (let n = 0; n < PROCESSORS; n++) this.#start();
    const replayed = this.#replayToItsEnd(replayArguments(fleet, seed));
    for (const action of chaosPlan(seed, durationMs)) {
      await pause(action.afterMs);
      this.#counts[action.kind] = (this.#counts[action.kind] ?? 0) + 1;
      await this.#act(action);
    }
    this.#isHealing = true;
    await Promise.all(this.#later);
    for (const proxy of this.#brokers.proxies) proxy.delayMs = 0;
    this.#say("healed");
    const healedAt = performance.now();
    await replayed;
    await this.#pipeline.untilJudged(HEAL_MS_MAX);
    const healSeconds = Math.round((performance.now() - healedAt) / 100) / 10;
    this.#say(`all is judged after ${healSeconds} s`);
    await this.#end();
    const rawRecords = await this.#compare(replayArguments(fleet, seed));
    if (this.#problems.length === 0) await this.#break(breaks, { fleet, seed });
    const { counts, problems } = { counts: this.#counts, problems: this.#problems };
    return { seed, counts, rawRecords, healSeconds, problems };
  }

  async #makeFleet(seed: number, durationMs: number): Promise<string> {
    const perDay = METERS * READINGS_A_DAY + PARTITIONS * TICKS_A_DAY;
    const days = Math.max(1, Math.round(RATE * durationMs / 1000 / perDay));
    const path = `${this.#pipeline.folder}/fleet.csv`;
    const size = ["--meters", String(METERS), "--days", String(days), "--seed", String(seed)];
    const { code, stderr } = await this.#pipeline.run("generate", "--output", path, ...size);
    if (code !== 0) throw new Error(stderr);
    return path;
  }

  /** Runs the replay, and again whenever it was cut off. */
  async #replayToItsEnd(args: readonly string[]): Promise<void> {
    for (let runs = 1;; runs++) {
      const rate = this.#isHealing ? [] : ["--rate", String(RATE)];
      const running = this.#replay = this.#pipeline.start(
        ...["replay", ...args, "--kafka", ...rate, "--quiet", ...this.#pipeline.brokers],
      );
      const { code, stderr } = await running.ended;
      if (code === 0) return this.#say(`replayed in ${runs} runs`);
      if (!this.#killed.has(running)) {
        this.#counts["replay failed"] = (this.#counts["replay failed"] ?? 0) + 1;
        this.#say(`the replay ended by itself: ${stderr.trim().split("\n").slice(-2).join(" | ")}`);
        if (stderr.includes("fault of Gridwatch")) this.#problems.push(`replay: ${stderr}`);
      }
      if (runs > 100) throw new Error("the replay never gets to its end");
    }
  }

  #start(): void {
    const running = this.#pipeline.process();
    this.#processors.push(running);
    running.ended.then(({ code, stderr }) => {
      if (this.#killed.has(running)) return;
      this.#problems.push(
        `processor ${running.pid} ended by itself with ${code}: ${stderr.slice(-1500)}`,
      );
    });
  }

  async #act(action: Action): Promise<void> {
    const { proxies, nodes } = this.#brokers;
    this.#say(JSON.stringify(action));
    switch (action.kind) {
      case "kill":
        return this.#replace(this.#take(action.target), "SIGKILL", action.againMs);
      case "terminate":
        return this.#replace(this.#take(action.target), "SIGTERM", 0);
      case "freeze": {
        const running = this.#processors[action.target % this.#processors.length];
        running.kill("SIGSTOP");
        this.#later.push(pause(action.forMs).then(() => running.kill("SIGCONT")));
        return;
      }
      case "add":
        this.#start();
        if (this.#processors.length <= PROCESSORS_MAX) return;
        return this.#replace(this.#take(0), "SIGTERM", Infinity);
      case "kill replay":
        if (this.#replay === null) return;
        this.#killed.add(this.#replay);
        return this.#replay.kill("SIGKILL");
      case "clock":
        return void this.#later.push(this.#sendAhead(action));
      case "kill broker": {
        const node = nodes[action.target % nodes.length];
        await node.kill();
        await pause(action.againMs);
        return await node.start();
      }
      case "cut":
        return proxies.forEach((proxy) => void proxy.cut());
      case "delay":
        for (const proxy of proxies) proxy.delayMs = action.delayMs;
        this.#later.push(
          pause(action.forMs).then(() => {
            for (const proxy of proxies) proxy.delayMs = 0;
          }),
        );
        return;
      default:
        return action satisfies never;
    }
  }

  /** A live reading by a clock that is ahead, dated by it. */
  async #sendAhead({ partition, aheadMs }: { partition: number; aheadMs: number }): Promise<void> {
    const atMs = Date.now() + aheadMs;
    const meterId = `${AHEAD}${crypto.randomUUID()}`;
    const value = JSON.stringify({
      meter_id: meterId,
      timestamp: new Date(atMs),
      consumption_kwh: 1,
    });
    const producer = this.#pipeline.log.producer(WRITER);
    const to = { partition: partition % PARTITIONS, keys: [meterId] };
    const run = { ...recordsOf(this.#pipeline.topics.raw, [value], to), timesMs: atMs };
    // What is not acknowledged may be there or not: it is counted where it is.
    await producer.send([run]).catch((error) => this.#say(`a live reading failed: ${error}`));
    await producer.close();
  }

  async #break(kind: Break, { fleet, seed }: { fleet: string; seed: number }): Promise<void> {
    const replay = async (to: Pipeline, defects: "same" | "others") => {
      const args = replayArguments(fleet, defects === "same" ? seed : seed + 1);
      await to.onKafka("replay", ...args, "--kafka", "--quiet");
    };
    const { problems, pipeline, brokers, options, say } = {
      ...{ problems: this.#problems, pipeline: this.#pipeline, brokers: this.#brokers },
      ...{ options: this.#options, say: this.#say },
    };
    this.#counts[kind] = 1;
    problems.push(...await breakAndMend(kind, { seed, pipeline, brokers, options, replay, say }));
  }

  #take(target: number): Running {
    const [running] = this.#processors.splice(target % this.#processors.length, 1);
    this.#killed.add(running);
    return running;
  }

  /** Ends a processor, and starts another a while later. */
  #replace(running: Running, signal: Deno.Signal, againMs: number): void {
    running.kill(signal);
    if (signal === "SIGTERM") running.kill("SIGCONT"); // it may be standing still
    if (againMs === Infinity) return;
    if (againMs === 0 || this.#processors.length === 0) return this.#start();
    this.#later.push(pause(againMs).then(() => this.#start()));
  }

  async #end(): Promise<void> {
    for (const running of this.#processors) this.#killed.add(running);
    await Promise.all(this.#processors.map(async (running) => {
      const { code, ms } = await terminate(running);
      const isHeard = running.stderr !== ""; // before that, the system ends it
      if ((code === 0 || (code === 143 && !isHeard)) && ms < 5000) return;
      this.#problems.push(`processor ${running.pid} left with ${code} after ${Math.round(ms)} ms`);
    }));
    this.#processors = [];
  }

  /** Against the core and against the embedded run; gives how many raw records there are. */
  async #compare(args: readonly string[]): Promise<number> {
    const pipeline = this.#pipeline;
    const { code, found, stderr } = await pipeline.verify();
    if (code !== 0) this.#problems.push(`verify exits with ${code}: ${stderr}`);
    const difference = await pipeline.difference();
    if (difference !== null) this.#problems.push(difference);
    const store = ["--data", `${pipeline.folder}/store`];
    const partitions = ["--scope", "meter", "--partitions", String(PARTITIONS)];
    const embedded = JSON.parse(
      (await pipeline.run("replay", ...args, ...store, ...partitions, "--quiet", "--json")).stdout,
    );
    const future = (await pipeline.messages(pipeline.topics.rejected))
      .filter(({ reason, meter_id }) => reason === "FUTURE" && meter_id.startsWith(AHEAD));
    const { raw, rejected } = embedded.ledger;
    const ahead = { raw: raw + future.length, rejected: rejected + future.length };
    const expected = { ...embedded.ledger, ...ahead };
    const [is, shouldBe] = [found?.ledger, expected].map((one) => JSON.stringify(one));
    if (is !== shouldBe) this.#problems.push(`the ledger is ${is}, embedded ${shouldBe}`);
    await this.#compareGaps(store);
    return found?.ledger?.raw ?? 0;
  }

  async #compareGaps(store: readonly string[]): Promise<void> {
    const query = `SELECT ${GAP_COLUMNS.join(", ")} FROM gap_alerts ORDER BY gap_id`;
    const { stdout } = await this.#pipeline.run("query", query, "--json", ...store);
    const gaps = new Map<string, string>();
    for (const gap of await this.#pipeline.messages(this.#pipeline.topics.gapAlerts)) {
      gaps.set(gap.gap_id, gapLine(gap));
    }
    const expected: Record<string, unknown>[] = JSON.parse(stdout);
    const wrong = expected.filter((gap) => gaps.get(String(gap.gap_id)) !== gapLine(gap));
    if (gaps.size === expected.length && wrong.length === 0) return;
    this.#problems.push(
      `${gaps.size} gaps, embedded ${expected.length}; ${wrong.length} differ: ${
        JSON.stringify(wrong[0])
      }`,
    );
  }
}

const GAP_COLUMNS = [
  ...["gap_id", "missing_from", "missing_to", "gap_minutes", "missing_intervals"],
  ...["rejected_intervals", "state"],
];

function gapLine(gap: Readonly<Record<string, unknown>>): string {
  return GAP_COLUMNS.map((column) => gap[column]).join(" ");
}

function replayArguments(path: string, seed: number): string[] {
  const defects = ["--delay-probability", "0.03", "--duplicate-probability", "0.01"];
  return [path, ...defects, "--gap-probability", "0.01", "--seed", String(seed)];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      minutes: { type: "string", default: "1" },
      brokers: { type: "string", default: "1" },
      break: { type: "string" },
    },
  });
  const breaks = BREAKS.find((one) => one === values.break);
  if (values.break !== undefined && breaks === undefined) {
    console.error(`error: no break "${values.break}"\nhint: ${BREAKS.join(", ")}`);
    Deno.exit(2);
  }
  console.log(`chaos seed ${values.seed}, brokers ${values.brokers}`);
  const startedAt = performance.now();
  const say = (text: string) =>
    console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  const report = await runChaos(Number(values.seed), {
    ...{ durationMs: Number(values.minutes) * 60_000, brokers: Number(values.brokers) },
    ...{ breaks, say },
  });
  console.log(JSON.stringify(report, null, 2));
  Deno.exit(report.problems.length === 0 ? 0 : 1);
}
