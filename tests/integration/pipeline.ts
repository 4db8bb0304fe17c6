import { readConfig } from "../../src/config.ts";
import { processorOptions } from "../../src/judging.ts";
import type { KafkaLog } from "../../src/adapters/kafka/log.ts";
import { Processor } from "../../src/core/processor.ts";
import { newRawRecord } from "../../src/core/wire/raw_record.ts";
import type { LogAdmin, LogBatch, LogRecords } from "../../src/engine/log/ports.ts";
import {
  outputRecords,
  placeRecord,
  topicNames,
  type Topics,
} from "../../src/engine/log/records.ts";
import { openLog, READER_OPTIONS } from "./kafka_fixture.ts";
import { until } from "./kafka_broker.ts";
import { assertAnswer } from "../schemas.ts";

/** Our own commands as child processes, on topics and a group that nobody else uses. */

const ROOT = new URL("../../", import.meta.url).pathname;
const CLOCK_TICKS_PER_SECOND = 100;
const decoder = new TextDecoder();

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** One line of a processor's log. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** A command that runs. */
export class Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";
  readonly #child: Deno.ChildProcess;

  constructor(command: Deno.Command) {
    this.#child = command.spawn();
    this.pid = this.#child.pid;
    this.ended = this.#follow();
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The structured lines said so far. */
  get events(): Event[] {
    return this.#stderr.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line) => JSON.parse(line));
  }

  said(event: string): Event[] {
    return this.events.filter((said) => said.event === event);
  }

  /** No error when it has ended already. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Its CPU time so far; 0 when it has ended. */
  async cpuSeconds(): Promise<number> {
    const stat = await Deno.readTextFile(`/proc/${this.pid}/stat`).catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return Number.isNaN(ticks) ? 0 : ticks / CLOCK_TICKS_PER_SECOND;
  }

  async #follow(): Promise<Ended> {
    const read = async (stream: ReadableStream<Uint8Array>, take: (text: string) => void) => {
      for await (const chunk of stream) take(decoder.decode(chunk));
    };
    const [{ code }] = await Promise.all([
      this.#child.status,
      read(this.#child.stdout, (text) => this.#stdout += text),
      read(this.#child.stderr, (text) => this.#stderr += text),
    ]);
    return { code, stdout: this.#stdout, stderr: this.#stderr };
  }
}

export type PipelineOptions = {
  readonly partitions?: number;
  /** Settings by their environment variables, without `GRIDWATCH_`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Copies of each partition. */
  readonly replication?: number;
  /** What the topics' names begin with; absent: a name of its own. */
  readonly prefix?: string;
  /** Takes the place of the brokers for the commands: a proxy. */
  readonly commandBrokers?: readonly string[];
};

/** Topics, a group and a folder of one test, and the commands that work on them. */
export class Pipeline implements AsyncDisposable {
  /** The settings' group, and the start of the topics' names. */
  readonly name: string;
  readonly topics: Topics;
  readonly group: string;
  readonly folder: string;
  readonly partitions: number;
  readonly log: KafkaLog;
  readonly admin: LogAdmin;
  readonly #brokers: readonly string[];
  readonly #environment: Record<string, string>;
  readonly #running: Running[] = [];
  readonly #replication: number;

  constructor(brokers: readonly string[], options: PipelineOptions = {}) {
    const name = `t${crypto.randomUUID().slice(0, 8)}`;
    this.name = name;
    const prefix = options.prefix ?? `${name}_`;
    this.topics = topicNames(prefix);
    this.group = `${name}-${this.topics.raw}`;
    this.folder = Deno.makeTempDirSync({ prefix: "gridwatch-pipeline-" });
    this.partitions = options.partitions ?? 3;
    this.#replication = options.replication ?? 1;
    this.#brokers = options.commandBrokers ?? brokers;
    this.log = openLog(brokers);
    this.admin = this.log.admin({ deadlineMs: 30_000 });
    const settings = {
      KAFKA_TOPIC_PREFIX: prefix,
      KAFKA_GROUP: name,
      KAFKA_SESSION_TIMEOUT_MS: 3000,
      COMMIT_INTERVAL_MS: 100,
      WATERMARK_SCOPE: "meter",
      ...options.settings,
    };
    this.#environment = Object.fromEntries(
      Object.entries(settings).map(([key, value]) => [`GRIDWATCH_${key}`, String(value)]),
    );
  }

  /** Starts a command. */
  start(...args: string[]): Running {
    const running = new Running(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", `${ROOT}cli.ts`, ...args],
        cwd: this.folder,
        env: { ...this.#environment, NO_COLOR: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
    );
    this.#running.push(running);
    return running;
  }

  /** Runs a command to its end. */
  async run(...args: string[]): Promise<Ended> {
    return await this.start(...args).ended;
  }

  /** Runs a command that talks to Kafka; another exit code than 0 is an error. */
  async onKafka(...args: string[]): Promise<Ended> {
    const ended = await this.run(...args, ...this.brokers);
    if (ended.code === 0) return ended;
    throw new Error(`${args.join(" ")} ended with ${ended.code}: ${ended.stderr}`);
  }

  get brokers(): string[] {
    return ["--brokers", this.#brokers.join()];
  }

  async createTopics(): Promise<void> {
    const size = ["--partitions", this.partitions, "--replication", this.#replication].map(String);
    await this.onKafka("topics", "--create", ...size);
  }

  process(...args: string[]): Running {
    return this.start("process", ...args, ...this.brokers);
  }

  /** `verify --kafka --json`, over a database, too, where one is named. */
  async verify(databaseUrl: string | null = null) {
    const database = databaseUrl === null ? [] : ["--database", databaseUrl];
    const args = ["--kafka", "--json", ...database, ...this.brokers];
    const { code, stdout, stderr } = await this.run("verify", ...args);
    const found = stdout === "" ? null : JSON.parse(stdout);
    if (found !== null) await assertAnswer("verify.json", found);
    return { code, stderr, found };
  }

  get partitionNumbers(): number[] {
    return Array.from({ length: this.partitions }, (_, partition) => partition);
  }

  /** The committed records of a topic, partition by partition, as they were read. */
  async read(topic: string, options: { partition?: number } = {}): Promise<LogBatch[][]> {
    const partitions = options.partition === undefined
      ? this.partitionNumbers
      : [options.partition];
    return await Promise.all(partitions.map((partition) => this.#readPartition(topic, partition)));
  }

  /** Keys, values and origins of a topic's records, in their order. */
  async lines(topic: string): Promise<string[]> {
    return (await this.read(topic)).flatMap((batches, partition) =>
      batches.flatMap((batch) =>
        Array.from({ length: batch.count }, (_, r) => {
          const text = (spans: LogBatch["values"]) => decoder.decode(bytesAt(batch, spans, r));
          const { partitions, offsets, indexes } = batch.origins!;
          const origin = `${partitions[r]}/${offsets[r]}/${indexes[r]}`;
          return `${partition} ${origin} ${text(batch.keys!)} ${text(batch.values)}`;
        })
      )
    );
  }

  /** The values of a topic, parsed. */
  // deno-lint-ignore no-explicit-any -- messages of any topic
  async messages(topic: string): Promise<any[]> {
    return (await this.read(topic)).flat().flatMap((batch) =>
      Array.from(
        { length: batch.count },
        (_, r) => JSON.parse(decoder.decode(bytesAt(batch, batch.values, r))),
      )
    );
  }

  /** Waits until every record that is in the raw topic now has been judged. */
  async untilJudged(deadlineMs = 60_000): Promise<void> {
    const raw = await this.read(this.topics.raw);
    const refs = this.partitionNumbers.map((partition) => ({ topic: this.topics.raw, partition }));
    const ends = raw.map((batches) => {
      const last = batches.findLast(({ count }) => count > 0);
      return last === undefined ? 0 : last.offsets[last.count - 1] + 1;
    });
    await until("all is judged", async () => {
      const stored = await this.admin.groupOffsets(this.group, refs);
      return stored.every(({ partition, nextOffset }) =>
        Math.max(0, nextOffset) >= ends[partition]
      );
    }, deadlineMs);
  }

  /** What the raw topic says that the outputs are: `lines` of each topic but the metrics. */
  async expectedLines(): Promise<Map<string, string[]>> {
    const { topics } = this;
    const { validated, gapAlerts, lateEvents, rejected, validation } = topics;
    const names = [validated, gapAlerts, lateEvents, rejected, validation];
    const expected = new Map(names.map((name): [string, string[]] => [name, []]));
    const config = readConfig(null, (name) => this.#environment[name]);
    for (const [partition, batches] of (await this.read(topics.raw)).entries()) {
      const processor = new Processor(processorOptions(config, partition, null));
      const record = newRawRecord();
      for (const batch of batches) {
        for (let r = 0; r < batch.count; r++) processor.record(placeRecord(record, batch, r));
      }
      const outputs = { ...processor.takeOutputs(), metrics: [] };
      for (const run of outputRecords(outputs, { topics, partition, nowMs: 0 })) {
        expected.get(run.topic)?.push(...linesOf(run));
      }
    }
    return expected;
  }

  /** The first output that is not what the raw topic says; null: all are. */
  async difference(): Promise<string | null> {
    for (const [topic, expected] of await this.expectedLines()) {
      const found = await this.lines(topic);
      const at = expected.findIndex((line, n) => line !== found[n]);
      if (at >= 0) {
        return `${topic}, record ${at}:\n  is        ${found[at]}\n  should be ${expected[at]}`;
      }
      if (found.length > expected.length) return `${topic} has more: ${found[expected.length]}`;
    }
    return null;
  }

  /** The log of every command so far, for a failure. */
  logs(): string {
    return this.#running.map(({ pid, stderr }) => `--- ${pid}\n${stderr.slice(-4000)}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) running.kill("SIGKILL");
    await Promise.all(this.#running.map(({ ended }) => ended));
    await this.log.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #readPartition(topic: string, partition: number): Promise<LogBatch[]> {
    const ref = { topic, partition };
    const [{ offset: end }] = await this.admin.listOffsets([ref], "end");
    const reader = this.log.reader({ ...READER_OPTIONS, isolation: "committed" });
    try {
      reader.assign({ ...ref, offset: 0 });
      const batches: LogBatch[] = [];
      for (let next = 0, waits = 0; next < end;) {
        const batch = await reader.next(1000);
        if (batch === null) {
          if (++waits > 90) throw new Error(`${topic}/${partition} stops at ${next} of ${end}`);
          continue;
        }
        batches.push(batch);
        next = batch.nextOffset;
      }
      return batches;
    } finally {
      await reader.close();
    }
  }
}

/** Span r; empty where it is null. */
export function bytesAt({ bytes }: LogBatch, spans: LogBatch["values"], r: number): Uint8Array {
  return spans.starts[r] < 0 ? new Uint8Array(0) : bytes.slice(spans.starts[r], spans.ends[r]);
}

function linesOf(run: LogRecords): string[] {
  const text = (bytes: Uint8Array | null, ends: ArrayLike<number> | null, r: number) =>
    bytes === null || ends === null
      ? ""
      : decoder.decode(bytes.subarray(r === 0 ? 0 : ends[r - 1], ends[r]));
  return Array.from({ length: run.count }, (_, r) => {
    const { partition, offsets, indexes } = run.origins!;
    const origin = `${partition}/${offsets[r]}/${indexes[r]}`;
    const key = text(run.keys, run.keyEnds, r);
    return `${run.partition} ${origin} ${key} ${text(run.values, run.valueEnds, r)}`;
  });
}

/** Runs a test on a pipeline of its own; prints what its commands said when it fails. */
export async function withPipeline(
  brokers: readonly string[],
  options: PipelineOptions,
  test: (pipeline: Pipeline) => Promise<void>,
): Promise<void> {
  await using pipeline = new Pipeline(brokers, options);
  try {
    await test(pipeline);
  } catch (error) {
    console.error(pipeline.logs());
    throw error;
  }
}

/** Stops a processor as an operator does; gives how long it took, and its exit code. */
export async function terminate(running: Running): Promise<{ ms: number; code: number }> {
  const startedAt = performance.now();
  running.kill("SIGTERM");
  const { code } = await running.ended;
  return { ms: performance.now() - startedAt, code };
}
