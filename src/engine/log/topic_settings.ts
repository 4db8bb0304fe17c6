import type { TopicFound } from "./ports.ts";
import type { Topics } from "./records.ts";

/** What is wrong with a topic's settings, and the command of Kafka's own tools that mends it. */
export type TopicFault = {
  readonly topic: string;
  readonly fault: string;
  readonly fix: string;
};

const CLEANUP = "cleanup.policy";
const TIMESTAMP = "message.timestamp.type";
const APPEND_TIME = "LogAppendTime";

/** The settings that a topic of the pipeline is made with, and needs. */
export function neededSettings(name: string, topics: Topics): Record<string, string> {
  if (name === topics.changelog) return { [CLEANUP]: "compact" };
  if (name === topics.raw) return { [CLEANUP]: "delete", [TIMESTAMP]: APPEND_TIME };
  return { [CLEANUP]: "delete" };
}

/** Topics whose settings lose records: `delete` forgets states, `compact` all but a key's last. */
export function losingTopics(found: readonly TopicFound[], topics: Topics): TopicFault[] {
  return found.flatMap((topic) => {
    const policy = topic.settings[CLEANUP] ?? "delete";
    const needed = neededSettings(topic.name, topics)[CLEANUP];
    if (policy === needed) return [];
    const lost = needed === "compact" ? "state will be lost" : "records will be lost";
    return [{
      topic: topic.name,
      fault: `${topic.name} has ${CLEANUP}=${policy}: ${lost}`,
      fix: alterCommand(topic.name, CLEANUP, needed),
    }];
  });
}

/**
 * That the raw topic's records carry their producers' clocks: one that runs ahead turns the readings
 * of everybody else in its partition too late. Null: they carry the brokers'.
 */
export function producersClock(found: readonly TopicFound[], topics: Topics): TopicFault | null {
  const raw = found.find(({ name }) => name === topics.raw);
  if (raw === undefined || raw.settings[TIMESTAMP] === APPEND_TIME) return null;
  return {
    topic: raw.name,
    fault: `${raw.name} keeps the clocks of its producers (${TIMESTAMP}=CreateTime): one that is ` +
      "days ahead turns the readings of all others too late",
    fix: alterCommand(raw.name, TIMESTAMP, APPEND_TIME),
  };
}

function alterCommand(topic: string, setting: string, value: string): string {
  return `kafka-configs --alter --entity-type topics --entity-name ${topic} ` +
    `--add-config ${setting}=${value}`;
}
