import type { LogAdmin, TopicFound, TopicSpec } from "../engine/log/ports.ts";
import type { Topics } from "../engine/log/records.ts";
import { neededSettings } from "../engine/log/topic_settings.ts";
import { readArguments, readNumber } from "../console/arguments.ts";
import {
  DEADLINE_MS,
  KAFKA_OPTIONS,
  LOOK_MS_MAX,
  openKafka,
  reachKafka,
  withBrokers,
} from "../setup/kafka.ts";
import {
  closeInTime,
  loadConfig,
  print,
  say,
  stdoutColumns,
  STOPPED_EXIT_CODE,
  stopSignal,
} from "../console/shell.ts";
import { formatTable } from "../console/table.ts";

export const usage = `Usage: gridwatch topics [--create] [options]

Shows the topics of the pipeline, and makes those that are missing. One that exists is never
changed: what differs is shown. Exit code 1 when a topic is missing or differs.

  --create          make the missing ones
  --partitions N    of each topic (default: as many as those that exist have, or else 3);
                    with --create, topics that exist with another number are a warning only
  --replication N   copies of each partition (default: 1)
  --retention DAYS  how long raw and output records are kept (default: the broker's)
  --brokers LIST    host:port,… (default: kafka.brokers)
  --json            one JSON object on stdout
  --config FILE     settings
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  create: { type: "boolean", default: false },
  partitions: { type: "string" },
  replication: { type: "string", default: "1" },
  retention: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

const DAY_MS = 86_400_000;
const PARTITIONS = 3;

/** Runs `gridwatch topics`; the exit code is 1 when a topic is missing or differs. */
export async function topics(args: string[]): Promise<number> {
  const { values } = readArguments("topics", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const whole = (name: "partitions" | "replication", text: string, max: number) =>
    readNumber("topics", name, text, { min: 1, max, whole: true });
  const { partitions, retention } = values;
  const wish: TopicsWish = {
    isCreating: values.create,
    partitions: partitions === undefined ? null : whole("partitions", partitions, 10_000),
    replication: whole("replication", values.replication, 100),
    retentionMs: retention === undefined
      ? null
      : readNumber("topics", "retention", retention, { min: 0.01, max: 36_500 }) * DAY_MS,
  };
  const setup = await openKafka(withBrokers(await loadConfig(values.config), values.brokers));
  const stop = stopSignal(() => say("stopping"));
  const admin = setup.log.admin({ deadlineMs: DEADLINE_MS });
  try {
    await reachKafka(setup, { deadlineMs: LOOK_MS_MAX, signal: stop.signal });
    return report(await settleTopics(admin, setup.topics, wish), values.json);
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    throw error;
  } finally {
    await closeInTime([admin.close(), setup.log.close()]);
    stop.release();
  }
}

/** How the topics are to be. */
export type TopicsWish = {
  readonly isCreating: boolean;
  /** Null: as many as there are. */
  readonly partitions: number | null;
  readonly replication: number;
  readonly retentionMs: number | null;
};

/** How a topic stands. */
export type TopicState = {
  readonly topic: string;
  readonly partitions: number | null;
  readonly replication: number | null;
  readonly state: "ok" | "created" | "missing" | "differs";
  readonly differences: readonly string[];
};

/** How all topics stand, and what a person should know of it. */
export type TopicsStand = {
  readonly isGood: boolean;
  readonly topics: readonly TopicState[];
  readonly warning: string | null;
};

/** Looks at the topics, having made the missing ones where that is wished. */
export async function settleTopics(
  admin: Pick<LogAdmin, "describeTopics" | "createTopics">,
  topics: Topics,
  wish: TopicsWish,
): Promise<TopicsStand> {
  const names = Object.values(topics);
  const before = await admin.describeTopics(names);
  // The raw topic's number is the pipeline's; where it is missing, that of the first to be there.
  const first = before.find(({ name }) => name === topics.raw) ?? before[0];
  const isOther = first !== undefined && wish.partitions !== null &&
    wish.partitions !== first.partitions;
  const partitions = first !== undefined && (wish.isCreating || wish.partitions === null)
    ? first.partitions
    : wish.partitions ?? PARTITIONS;
  const wanted = names.map((name): TopicSpec => ({
    name,
    partitions,
    replication: wish.replication,
    configs: topicConfigs(name, topics, wish.retentionMs),
  }));
  const missing = wanted.filter(({ name }) => !before.some((topic) => topic.name === name));
  const makes = wish.isCreating && missing.length > 0;
  const created = makes ? await admin.createTopics(missing) : [];
  const found = makes ? await admin.describeTopics(names) : before;
  const states = wanted.map((topic) => stateOf(topic, found, created));
  return {
    isGood: states.every(({ state }) => state === "ok" || state === "created"),
    topics: states,
    warning: isOther ? `${first.name} has ${first.partitions}, not ${wish.partitions}` : null,
  };
}

function topicConfigs(
  name: string,
  topics: Topics,
  retentionMs: number | null,
): Record<string, string> {
  const needed = neededSettings(name, topics);
  // Small segments, so that the cleaner gets at them: the active one is never compacted.
  if (name === topics.changelog) return { ...needed, "segment.bytes": String(64 << 20) };
  if (retentionMs === null) return needed;
  return { ...needed, "retention.ms": String(Math.round(retentionMs)) };
}

function stateOf(
  wanted: TopicSpec,
  found: readonly TopicFound[],
  created: readonly string[],
): TopicState {
  const topic = found.find(({ name }) => name === wanted.name);
  if (topic === undefined) {
    return {
      topic: wanted.name,
      partitions: null,
      replication: null,
      state: "missing",
      differences: [],
    };
  }
  const { partitions, replication } = topic;
  const differences: string[] = [];
  if (partitions !== wanted.partitions) differences.push(`wanted ${wanted.partitions} partitions`);
  const differs = (setting: string): string[] => {
    const [is, needed] = [topic.settings[setting], wanted.configs[setting]];
    if (needed === undefined || is === undefined || is === needed) return [];
    return [`${setting} is ${is}, not ${needed}`];
  };
  differences.push(...differs("cleanup.policy"));
  const good = created.includes(topic.name) ? "created" : "ok";
  const state = differences.length === 0 ? good : "differs";
  // Somebody may have reasons for the producers' clocks: it is said, and no fault.
  differences.push(...differs("message.timestamp.type"));
  return { topic: topic.name, partitions, replication, state, differences };
}

function report({ isGood, topics, warning }: TopicsStand, isJson: boolean): number {
  if (isJson) print(JSON.stringify({ ok: isGood, topics }));
  else {
    const rows = topics.map(({ topic, partitions, replication, state, differences }) => {
      const said = differences.length === 0 ? state : `${state}: ${differences.join("; ")}`;
      return [topic, partitions, replication, said];
    });
    const columns = ["topic", "partitions", "replication", "state"];
    print(formatTable(columns, rows, { widthMax: stdoutColumns(), wrapped: [3] }));
  }
  if (warning !== null) {
    say(`${isGood ? "warning" : "error"}: Cannot change the number of partitions: ${warning}`);
    say("hint: leave --partitions out, or take topics of their own (kafka.topic_prefix)");
  }
  return isGood ? 0 : 1;
}
