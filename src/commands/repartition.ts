import { formatSeconds } from "../core/duration.js";
import { buildZone } from "../core/zone.ts";
import type { LogAdmin } from "../engine/log/ports.ts";
import { topicNames, type Topics } from "../engine/log/records.ts";
import { neededSettings } from "../engine/log/topic_settings.ts";
import { repartition, type Repartitioned } from "../replay/repartition.ts";
import { readArguments, readNumber } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { formatCount } from "../console/progress.ts";
import {
  committedReader,
  DEADLINE_MS,
  KAFKA_OPTIONS,
  type KafkaSetup,
  openKafka,
  reachKafka,
  withBrokers,
  writerOptions,
} from "../setup/kafka.ts";
import {
  loadConfig,
  print,
  say,
  shellProgress,
  STOPPED_EXIT_CODE,
  stopSignal,
} from "../console/shell.ts";
import { settleTopics } from "./topics.ts";

export const usage = `Usage: gridwatch repartition --to PREFIX [options]

Makes the topics of another kafka.topic_prefix, with as many partitions as wanted, and copies the raw
records of this one into them: each to the partition where its meter belongs, with the time that it
has in the log. Processors then judge all of it anew. Stop the producers before, and let them, the
processors and the sinks go on with the new prefix; sinks need an empty database.

  --to PREFIX       what the new topics' names begin with; none of them may exist
  --partitions N    of each new topic (default: as many as the raw topic has)
  --replication N   copies of each partition (default: as the raw topic has)
  --brokers LIST    host:port,… (default: kafka.brokers)
  --json            one JSON object on stdout
  --config FILE     settings

Example, for a raw topic that got partitions:
  gridwatch repartition --to smartmeter_6_ --partitions 6
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  to: { type: "string" },
  partitions: { type: "string" },
  replication: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

type Wish = {
  readonly topics: Topics;
  readonly partitions: number | null;
  readonly replication: number | null;
};

/** Runs `gridwatch repartition`. */
export async function repartitionRaw(args: string[]): Promise<number> {
  const { values } = readArguments("repartition", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const { to } = values;
  if (to === undefined || to === "") {
    throw new UsageError("Cannot repartition: no prefix named", "gridwatch repartition --help");
  }
  const whole = (name: "partitions" | "replication", max: number) => {
    const text = values[name];
    if (text === undefined) return null;
    return readNumber("repartition", name, text, { min: 1, max, whole: true });
  };
  const wish = {
    topics: topicNames(to),
    partitions: whole("partitions", 10_000),
    replication: whole("replication", 100),
  };
  const config = withBrokers(await loadConfig(values.config), values.brokers);
  const setup = await openKafka(config);
  const stop = stopSignal(() => say("stopping"));
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: stop.signal });
    const startedAtMs = performance.now();
    const copied = await copyInto(setup, wish, stop.signal);
    if (values.json) print(JSON.stringify({ topic: wish.topics.raw, ...copied }));
    const took = formatSeconds(Math.round(performance.now() - startedAtMs) / 1000);
    say(`${formatCount(copied.records)} records copied into ${wish.topics.raw} in ${took}`);
    say(`hint: kafka.topic_prefix: ${to} for processors, sinks and producers from here on`);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    say(`stopped: delete the topics of ${to} before the next try`);
    return STOPPED_EXIT_CODE;
  } finally {
    await setup.log.close();
    stop.release();
  }
}

/** @throws {RunError} Topics are missing, or there already; records came while others were copied. */
async function copyInto(
  setup: KafkaSetup,
  wish: Wish,
  signal: AbortSignal,
): Promise<Repartitioned> {
  const { log, config } = setup;
  const { raw: topic } = setup.topics;
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const [found] = await admin.describeTopics([topic]);
  if (found === undefined) {
    throw new RunError(`Cannot repartition: there is no ${topic}`, "name it: kafka.topic_prefix");
  }
  const partitions = wish.partitions ?? found.partitions;
  await makeTopics(admin, {
    ...wish,
    partitions,
    replication: wish.replication ?? found.replication,
  });
  const refs = Array.from({ length: found.partitions }, (_, partition) => ({ topic, partition }));
  const starts = await admin.listOffsets(refs, "start");
  const ends = await admin.listOffsets(refs, "committedEnd");
  const reader = committedReader(setup, { keys: true });
  const producer = log.producer(writerOptions(config));
  const progress = shellProgress({ verb: "copying", rowsTotal: null, isSilent: false });
  const copied = await repartition({
    from: {
      topic,
      partitions: refs.map(({ partition }) => ({
        partition,
        start: starts[partition].offset,
        end: ends[partition].offset,
      })),
    },
    to: { topic: wish.topics.raw, partitions },
    ...{ reader, producer, zone: buildZone(config.timezone), signal },
    onProgress: (records) => progress.update(records, null),
  });
  progress.clear();
  await producer.close();
  await reader.close();
  await admin.setTopic(wish.topics.raw, neededSettings(wish.topics.raw, wish.topics));
  const now = await admin.listOffsets(refs, "end");
  await admin.close();
  if (now.every(({ offset }, partition) => offset === ends[partition].offset)) return copied;
  throw new RunError(
    `Cannot repartition: records came into ${topic} while it was copied`,
    "stop its producers, delete the new topics, and start again",
  );
}

/**
 * Makes the new topics. The raw one keeps the times that its records bring with them, until all are
 * copied: then it is as `gridwatch topics --create` makes it.
 */
async function makeTopics(
  admin: LogAdmin,
  { topics, partitions, replication }: Wish & { readonly partitions: number; replication: number },
): Promise<void> {
  const there = await admin.describeTopics(Object.values(topics));
  if (there.length > 0) {
    const names = there.map(({ name }) => name).join(", ");
    throw new RunError(
      `Cannot repartition into topics that are there: ${names}`,
      "name another prefix with --to, or delete them",
    );
  }
  const configs = { ...neededSettings(topics.raw, topics), "message.timestamp.type": "CreateTime" };
  await admin.createTopics([{ name: topics.raw, partitions, replication, configs }]);
  const wish = { isCreating: true, partitions, replication, retentionMs: null };
  await settleTopics(admin, topics, wish);
}
