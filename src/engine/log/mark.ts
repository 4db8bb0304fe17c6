import { LogRefusedError, topicsMadeAnew } from "./ports.ts";
import type { Topics } from "./records.ts";

/**
 * What a commit says of its logs and its state, so that the next owner can tell whether they are
 * those that it finds. It stands in the changelog and, with the same transaction, beside the group's
 * offset: neither can be lost or made anew without the other's knowing.
 */
export type CommitMark = {
  /** What each topic is, in the order of `Topics`: the beginning of its identity. */
  readonly topics: readonly string[];
  /** Of the raw topic: with another number meters stand in other partitions. */
  readonly partitions: number;
  /** Nothing of the state stands in the changelog before this offset. */
  readonly stateFrom: number;
  /** Nothing of this commit stands in the changelog before this offset. */
  readonly commitFrom: number;
  /** Records of the state, from its latest snapshot on. */
  readonly stateRecords: number;
  /** What readings are judged by: the fingerprint of the settings. */
  readonly settings: string;
};

/** 32 bits tell topics apart: there are few of one name. */
const ID_LENGTH = 8;

/** The topics' part of a mark. */
export function markTopics(ids: readonly string[]): string[] {
  return ids.map((id) => id.slice(0, ID_LENGTH));
}

/** The mark as the text that is kept. */
export function formatMark(mark: CommitMark): string {
  const { topics, partitions, stateFrom, commitFrom, stateRecords, settings } = mark;
  return JSON.stringify({
    topics: topics.join(),
    partitions,
    state_from: stateFrom,
    commit_from: commitFrom,
    state_records: stateRecords,
    settings,
  });
}

/** The mark that a text is; null: it is none, such as an older version left it. */
export function readMark(text: string): CommitMark | null {
  if (!text.startsWith("{")) return null;
  try {
    const { topics, partitions, settings, ...offsets } = JSON.parse(text);
    const { state_from, commit_from, state_records } = offsets;
    const numbers = [partitions, state_from, commit_from, state_records];
    if (typeof topics !== "string" || !numbers.every(Number.isSafeInteger)) return null;
    return {
      topics: topics.split(","),
      partitions,
      stateFrom: state_from,
      commitFrom: commit_from,
      stateRecords: state_records,
      settings: String(settings),
    };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Whether a mark is of these topics. False: it is of others, one and all, or all but the raw one:
 * then nothing is left of what it speaks of, and everything is judged from the raw topic's start.
 *
 * @throws {LogRefusedError} Some of the topics are others, and the rest count what they held.
 */
export function isOfTopics(mark: CommitMark, topics: Topics, ids: readonly string[]): boolean {
  // A topic that came with a later version than the mark has held nothing that it speaks of.
  const names = Object.values(topics).slice(0, mark.topics.length);
  const anew = names.filter((_, t) => mark.topics[t] !== ids[t]);
  if (anew.length === 0) return true;
  const others = names.filter((name) => name !== topics.raw);
  if (others.every((name) => anew.includes(name))) return false;
  throw topicsMadeAnew(anew);
}

/** The way on with another number of partitions. */
export function repartitionHint(topic: string, partitions: number): string {
  return "stop the producers, `gridwatch repartition --to " +
    `${
      topic.replace(/raw$/, "")
    }${partitions}_ --partitions ${partitions}\`, and let processors, ` +
    "producers and sinks (of an empty database) go on with that as kafka.topic_prefix: all is " +
    "judged anew";
}

/** The refusal of a raw topic that has got other partitions than it was judged with. */
export function otherPartitions(
  topic: string,
  { before, now }: { readonly before: number; readonly now: number },
): LogRefusedError {
  return new LogRefusedError(
    `Cannot go on: "${topic}" has ${now} partitions, and was judged with ${before}: meters have ` +
      "moved to partitions where nobody knows them, and would have gaps that are none",
    { hint: repartitionHint(topic, now) },
  );
}

/** The refusal of a state that is not whole. */
export function stateNotWhole(topic: string, partition: number, why: string): LogRefusedError {
  return new LogRefusedError(
    `Cannot restore the state in "${topic}" partition ${partition}: ${why}`,
    {
      hint: "records of it are lost: give it cleanup.policy=compact, delete all topics of " +
        "kafka.topic_prefix but the raw one, and make them with `gridwatch topics --create`: all is " +
        "judged anew from the raw topic. The sinks then need an empty database",
    },
  );
}
