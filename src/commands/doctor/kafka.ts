import { formatSeconds } from "../../core/duration.js";
import type {
  LogAdmin,
  LogReader,
  PartitionOffset,
  PartitionRef,
  ReadFrom,
} from "../../engine/log/ports.ts";
import { repartitionHint } from "../../engine/log/mark.ts";
import type { Topics } from "../../engine/log/records.ts";
import { losingTopics, producersClock } from "../../engine/log/topic_settings.ts";
import type { Clock } from "../../engine/ports.ts";
import { type Chain, counted, failed, type Finding, notUsed, ok } from "./checks.ts";

/** What the checks of Kafka look at. */
export type KafkaPorts = {
  readonly brokers: string;
  /** Whether a person named the brokers: at the default's address there need not be one. */
  readonly areBrokersGiven: boolean;
  readonly group: string;
  readonly topics: Topics;
  /** Rejects when no broker answers. */
  readonly reach: (signal: AbortSignal) => Promise<void>;
  readonly admin: LogAdmin;
  /** A reader that sees all records. */
  readonly openReader: () => LogReader;
  readonly clock: Clock;
};

/** Clocks further apart than this put times and lateness in doubt. */
export const SKEW_MS_MAX = 5_000;
const REACHABLE = "Kafka reachable";
const TOPICS = "topics and partitions";
const CREATE = "gridwatch topics --create";
/** A processor that is behind commits every few seconds. */
const MOVE_MS_MAX = 8_000;
const MOVE_POLL_MS = 500;
const MARKERS_MAX = 100;
const READ_MS_MAX = 1_000;

/** Broker, topics, lag and clock, in this order. */
export function kafkaChecks(ports: KafkaPorts): Chain {
  return [
    {
      name: REACHABLE,
      needs: [],
      limitMs: 8_000,
      fix: `is a broker at ${ports.brokers}? kafka.brokers (GRIDWATCH_KAFKA_BROKERS) names another`,
      run: async (signal) => {
        try {
          await ports.reach(signal);
        } catch (error) {
          if (ports.areBrokersGiven) throw error;
          const way = "--brokers LIST, or GRIDWATCH_KAFKA_BROKERS";
          return notUsed(`none is configured, and none is at ${ports.brokers}`, way);
        }
        return ok(ports.brokers);
      },
    },
    {
      name: TOPICS,
      needs: [REACHABLE],
      limitMs: 8_000,
      fix: CREATE,
      run: () => checkTopicSet(ports),
    },
    {
      name: "consumer lag",
      needs: [REACHABLE, TOPICS],
      limitMs: MOVE_MS_MAX + 8_000,
      fix: "gridwatch process",
      run: (signal) => checkLag(ports, signal),
    },
    {
      name: "clock skew, Kafka",
      needs: [REACHABLE, TOPICS],
      limitMs: 8_000,
      fix: "run chrony or systemd-timesyncd on the brokers and here",
      run: (signal) => checkRecordClock(ports, signal),
    },
  ];
}

async function checkTopicSet({ admin, topics }: KafkaPorts): Promise<Finding> {
  const names = Object.values(topics);
  const found = await admin.describeTopics(names);
  const missing = names.filter((name) => !found.some((topic) => topic.name === name));
  if (missing.length > 0) return failed(`missing: ${missing.join(", ")}`, CREATE);
  const partitions = found.find(({ name }) => name === topics.raw)?.partitions ?? 0;
  const others = found.filter((topic) => topic.partitions !== partitions);
  if (others.length > 0) {
    const said = others.map((topic) => `${topic.name} ${topic.partitions}`).join(", ");
    return failed(
      `${topics.raw} has ${counted(partitions, "partition")}, but ${said}`,
      `were partitions added? ${repartitionHint(topics.raw, partitions)}. If nothing is judged ` +
        `yet: kafka-topics --alter --partitions ${partitions} for the others`,
    );
  }
  const [loses] = losingTopics(found, topics);
  if (loses !== undefined) return failed(loses.fault, loses.fix);
  const clock = producersClock(found, topics);
  if (clock !== null) return failed(clock.fault, clock.fix);
  const single = found.filter((topic) => topic.replication < 2).length;
  const said = `${counted(names.length, "topic")} of ${counted(partitions, "partition")}`;
  if (single === names.length) return ok(`${said}, one copy each (a single disk holds them)`);
  return ok(said);
}

/** A partition: records behind, and how far it is committed. */
type Standing = { readonly partition: number; readonly lag: number; readonly done: number };

const lagOf = (standing: readonly Standing[]) => standing.reduce((sum, { lag }) => sum + lag, 0);

async function checkLag(ports: KafkaPorts, signal: AbortSignal): Promise<Finding> {
  const { clock, group } = ports;
  const first = await readStanding(ports, signal);
  if (lagOf(first) === 0) return ok(`0 records behind (group ${group})`);
  const behind = `${counted(lagOf(first), "record")} behind (group ${group})`;
  const giveUpAtMs = clock.nowMs() + MOVE_MS_MAX;
  // Each must move: one that stands is not made good by the others.
  let standing = first.filter(({ lag }) => lag > 0);
  while (clock.nowMs() < giveUpAtMs && !signal.aborted) {
    await clock.sleep(MOVE_POLL_MS, signal);
    const now = await readStanding(ports, signal);
    const at = (partition: number) => now.find((one) => one.partition === partition);
    standing = standing.filter(({ partition, done }) => {
      const one = at(partition);
      return one !== undefined && one.lag > 0 && one.done <= done;
    });
    if (standing.length === 0) return ok(`${behind}, and moving`);
  }
  const named = standing.length === first.length
    ? "nothing moves"
    : `partition ${standing.map(({ partition }) => partition).join(", ")} does not move`;
  const isNew = first.every(({ done }) => done === 0);
  const idle = isNew ? "nothing was ever processed" : named;
  return failed(`${behind}, ${idle}`, "start one: gridwatch process; or look into its log");
}

async function readStanding(ports: KafkaPorts, signal: AbortSignal): Promise<Standing[]> {
  const { admin, topics, group } = ports;
  const partitions = await rawPartitions(admin, topics);
  const bounds = await readBounds(admin, partitions);
  const stored = await admin.groupOffsets(group, partitions);
  const standing: Standing[] = [];
  for (const { topic, partition, start, end } of bounds) {
    const next = stored.find((at) => at.partition === partition)?.nextOffset ?? -1;
    const offset = Math.max(next, start);
    let behind = Math.max(0, end - offset);
    // Markers of transactions take offsets, too: the last records are looked for, not counted.
    if (behind > 0 && behind <= MARKERS_MAX) {
      behind = (await readTimes(ports, { topic, partition, offset }, signal)).length;
    }
    standing.push({ partition, lag: behind, done: Math.max(0, next) });
  }
  return standing;
}

/** The sum of the raw offsets that the processors have committed. */
export async function readProcessed(ports: KafkaPorts): Promise<number> {
  const partitions = await rawPartitions(ports.admin, ports.topics);
  const stored = await ports.admin.groupOffsets(ports.group, partitions);
  return stored.reduce((sum, { nextOffset }) => sum + Math.max(0, nextOffset), 0);
}

type Bounds = PartitionRef & { readonly start: number; readonly end: number };

async function readBounds(
  admin: LogAdmin,
  partitions: readonly PartitionRef[],
): Promise<Bounds[]> {
  const starts = await admin.listOffsets(partitions, "start");
  const ends = await admin.listOffsets(partitions, "end");
  const of = (list: readonly PartitionOffset[], partition: number) =>
    list.find((at) => at.partition === partition)?.offset ?? 0;
  return partitions.map((ref) => ({
    ...ref,
    start: of(starts, ref.partition),
    end: of(ends, ref.partition),
  }));
}

/** Times of the records from an offset near the end on. */
async function readTimes(
  { openReader }: KafkaPorts,
  from: ReadFrom,
  signal: AbortSignal,
): Promise<number[]> {
  const reader = openReader();
  try {
    reader.assign(from);
    const batch = await reader.next(READ_MS_MAX, signal);
    return batch === null ? [] : [...batch.timesMs.subarray(0, batch.count)];
  } finally {
    await reader.close();
  }
}

async function rawPartitions(admin: LogAdmin, topics: Topics): Promise<PartitionRef[]> {
  const [raw] = await admin.describeTopics([topics.raw]);
  return Array.from(
    { length: raw?.partitions ?? 0 },
    (_, partition) => ({ topic: topics.raw, partition }),
  );
}

/** Only a time ahead of ours tells of a clock: an old record may just be old. */
async function checkRecordClock(ports: KafkaPorts, signal: AbortSignal): Promise<Finding> {
  const newestMs = await newestRecordMs(ports, signal);
  if (newestMs === null) return ok("no records to tell by");
  const aheadMs = newestMs - ports.clock.nowMs();
  if (aheadMs > SKEW_MS_MAX) {
    return failed(
      `the newest raw record is ${(aheadMs / 1000).toFixed(1)} s ahead of this clock`,
      "run chrony or systemd-timesyncd on the producers, the brokers and here",
    );
  }
  return ok(`the newest raw record is ${formatSeconds(Math.max(0, -aheadMs) / 1000)} old`);
}

async function newestRecordMs(ports: KafkaPorts, signal: AbortSignal): Promise<number | null> {
  const partitions = await rawPartitions(ports.admin, ports.topics);
  const bounds = await readBounds(ports.admin, partitions);
  let newestMs: number | null = null;
  for (const { topic, partition, start, end } of bounds) {
    if (end <= start) continue;
    const offset = Math.max(start, end - MARKERS_MAX);
    for (const timeMs of await readTimes(ports, { topic, partition, offset }, signal)) {
      newestMs = Math.max(newestMs ?? -Infinity, timeMs);
    }
  }
  return newestMs;
}
