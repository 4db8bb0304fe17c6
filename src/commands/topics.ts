import type { TopicSpec } from "../engine/log_ports.ts";
import { readArguments, readNumber } from "./arguments.ts";
import { DEADLINE_MS, KAFKA_OPTIONS, openKafka, withBrokers } from "./kafka.ts";
import { loadConfig, print } from "./shell.ts";
import { formatTable } from "./table.ts";

export const usage = `Usage: gridwatch topics [--create] [options]

Shows the topics of the pipeline, and makes those that are missing. One that exists is never
changed: what differs is shown.

  --create          make the missing ones
  --partitions N    of each topic (default: 3)
  --replication N   copies of each partition (default: 1)
  --retention DAYS  how long raw and output records are kept (default: the broker's)
  --brokers LIST    host:port,… (default: kafka.brokers)
  --config FILE     settings
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  create: { type: "boolean", default: false },
  partitions: { type: "string", default: "3" },
  replication: { type: "string", default: "1" },
  retention: { type: "string" },
} as const;

const DAY_MS = 86_400_000;

/** Runs `gridwatch topics`; the exit code is 1 when a topic is missing or differs. */
export async function topics(args: string[]): Promise<number> {
  const { values } = readArguments("topics", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const whole = (name: "partitions" | "replication", max: number) =>
    readNumber("topics", name, values[name], { min: 1, max, whole: true });
  const partitions = whole("partitions", 10_000);
  const replication = whole("replication", 100);
  const retentionMs = values.retention === undefined
    ? null
    : readNumber("topics", "retention", values.retention, { min: 0.01, max: 36_500 }) * DAY_MS;
  const setup = await openKafka(withBrokers(await loadConfig(values.config), values.brokers));
  const admin = setup.log.admin({ deadlineMs: DEADLINE_MS });
  try {
    const wanted = Object.values(setup.topics).map((name): TopicSpec => ({
      name,
      partitions,
      replication,
      configs: topicConfigs(name === setup.topics.changelog, retentionMs),
    }));
    const created = values.create ? await admin.createTopics(wanted) : [];
    const found = await admin.describeTopics(wanted.map(({ name }) => name));
    const rows = wanted.map((topic) => describe(topic, found, created));
    print(formatTable(["topic", "partitions", "replication", "state"], rows));
    return rows.every(([, , , state]) => state === "ok" || state === "created") ? 0 : 1;
  } finally {
    await admin.close();
    await setup.log.close();
  }
}

function topicConfigs(isChangelog: boolean, retentionMs: number | null): Record<string, string> {
  if (isChangelog) {
    // Small segments, so that the cleaner gets at them: the active one is never compacted.
    return { "cleanup.policy": "compact", "segment.bytes": String(64 << 20) };
  }
  return {
    "cleanup.policy": "delete",
    ...(retentionMs === null ? {} : { "retention.ms": String(Math.round(retentionMs)) }),
  };
}

function describe(
  wanted: TopicSpec,
  found: readonly TopicSpec[],
  created: readonly string[],
): [string, number | null, number | null, string] {
  const topic = found.find(({ name }) => name === wanted.name);
  if (topic === undefined) return [wanted.name, null, null, "missing"];
  const differences: string[] = [];
  if (topic.partitions !== wanted.partitions) differences.push(`wanted ${wanted.partitions}`);
  const policy = topic.configs["cleanup.policy"];
  if (policy !== undefined && policy !== wanted.configs["cleanup.policy"]) {
    differences.push(`cleanup.policy is ${policy}, not ${wanted.configs["cleanup.policy"]}`);
  }
  const state = created.includes(topic.name) ? "created" : "ok";
  const said = differences.length === 0 ? state : `differs: ${differences.join("; ")}`;
  return [topic.name, topic.partitions, topic.replication, said];
}
