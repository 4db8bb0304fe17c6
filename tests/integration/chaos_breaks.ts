import { markTopics, readMark } from "../../src/engine/log/mark.ts";
import { createRandom, randomInteger } from "../../src/generate/random.ts";
import type { ProxiedBrokers } from "./chaos_broker.ts";
import { until } from "./kafka_broker.ts";
import { Pipeline, type PipelineOptions, terminate } from "./pipeline.ts";

/** What people do to topics and settings; each must be refused loudly, or change nothing. */
export const BREAKS = [
  "raw made anew",
  "an output made anew",
  "all but raw made anew",
  "partitions added",
  "changelog damaged",
  "settings changed",
] as const;

export type Break = (typeof BREAKS)[number];

/** What a seed breaks: always the same. */
export function breakOfSeed(seed: number): Break {
  return BREAKS[randomInteger(createRandom(seed + 1), 0, BREAKS.length - 1)];
}

export type Breaking = {
  readonly seed: number;
  readonly pipeline: Pipeline;
  readonly brokers: ProxiedBrokers;
  readonly options: PipelineOptions;
  /** Plays the fleet of the run; other defects are another replay of the same readings. */
  replay(to: Pipeline, defects: "same" | "others"): Promise<void>;
  readonly say: (text: string) => void;
};

const JUDGED_MS_MAX = 120_000;

/**
 * Breaks something of a pipeline whose outputs are right, sends it more, and starts a processor. It
 * must refuse, with nothing more said by any partition that it refuses; or go on, and be right. Then
 * the way out that it names is gone, and all must be right again.
 *
 * @returns What is not as it should be; none: all is well.
 */
export async function breakAndMend(kind: Break, breaking: Breaking): Promise<string[]> {
  const { pipeline, say, replay } = breaking;
  say(`breaks: ${kind}`);
  await breakIt(kind, breaking);
  if (kind !== "partitions added") {
    if (kind === "raw made anew") await replay(pipeline, "same");
    await replay(pipeline, "others");
  }
  const args = kind === "settings changed" ? ["--scope", "partition"] : [];
  // A changelog may have lost nothing that still counts; the others leave no way to go on.
  const mayGoOn = kind === "all but raw made anew" || kind === "changelog damaged";
  const before = await endsOf(pipeline);
  const refusal = await refusalOf(pipeline, { args, mayGoOn });
  say(refusal === null ? "nothing is refused" : `refused: ${refusal.split("\n")[0]}`);
  const problems: string[] = [];
  if (!mayGoOn && await endsOf(pipeline) !== before) problems.push(`${kind}: it says more`);
  const mended = refusal === null ? pipeline : await mend(kind, breaking, refusal);
  const processor = mended.process();
  await untilJudgedNow(mended);
  const { code } = await terminate(processor);
  if (code !== 0) problems.push(`${kind}: the processor ended with ${code}: ${processor.stderr}`);
  const difference = await mended.difference();
  if (difference !== null) problems.push(`${kind}: ${difference}`);
  const verified = await mended.verify();
  if (verified.code !== 0) problems.push(`${kind}: verify ${verified.code}: ${verified.stderr}`);
  if (mended !== pipeline) await mended[Symbol.asyncDispose]();
  return problems;
}

async function breakIt(kind: Break, { seed, pipeline, brokers }: Breaking): Promise<void> {
  const { topics } = pipeline;
  const { raw, ...others } = topics;
  const random = createRandom(seed + 2);
  switch (kind) {
    case "raw made anew":
      return await makeAnew(pipeline, [raw]);
    case "an output made anew": {
      const names = Object.values(others);
      return await makeAnew(pipeline, [names[randomInteger(random, 0, names.length - 1)]]);
    }
    case "all but raw made anew":
      return await makeAnew(pipeline, Object.values(others));
    case "partitions added":
      await brokers.java("org.apache.kafka.tools.TopicCommand", [
        ...["--alter", "--topic", raw, "--partitions", String(pipeline.partitions + 2)],
      ]);
      return;
    case "changelog damaged":
      return await damage(pipeline, brokers, randomInteger(random, 10, 90) / 100);
    case "settings changed":
      return;
    default:
      return kind satisfies never;
  }
}

async function makeAnew(pipeline: Pipeline, names: readonly string[]): Promise<void> {
  await pipeline.admin.deleteTopics(names);
  await until(
    "they are gone",
    async () => (await pipeline.admin.describeTopics(names)).length === 0,
  );
  await pipeline.createTopics();
}

/** Deletes the first records of every partition of the changelog. */
async function damage(pipeline: Pipeline, brokers: ProxiedBrokers, share: number): Promise<void> {
  const { changelog: topic } = pipeline.topics;
  const refs = pipeline.partitionNumbers.map((partition) => ({ topic, partition }));
  const starts = await pipeline.admin.listOffsets(refs, "start");
  const ends = await pipeline.admin.listOffsets(refs, "committedEnd");
  const partitions = starts.map(({ offset, partition }) => ({
    ...{ topic, partition },
    offset: offset + Math.floor((ends[partition].offset - offset) * share),
  }));
  const path = `${pipeline.folder}/delete.json`;
  await Deno.writeTextFile(path, JSON.stringify({ partitions, version: 1 }));
  await pipeline.admin.setTopic(topic, { "cleanup.policy": "delete" }); // else the broker refuses to
  await brokers.java("org.apache.kafka.tools.DeleteRecordsCommand", ["--offset-json-file", path]);
  await pipeline.admin.setTopic(topic, { "cleanup.policy": "compact" });
}

/** How far all topics but the raw one go: what is committed there moves it. */
async function endsOf({ admin, topics, partitionNumbers }: Pipeline): Promise<string> {
  const { raw: _, ...others } = topics;
  const refs = Object.values(others).flatMap((topic) =>
    partitionNumbers.map((partition) => ({ topic, partition }))
  );
  return (await admin.listOffsets(refs, "committedEnd")).map(({ offset }) => offset).join();
}

/** What a processor says that refuses; null: it may go on, and has judged everything rightly. */
async function refusalOf(
  pipeline: Pipeline,
  { args, mayGoOn }: { readonly args: readonly string[]; readonly mayGoOn: boolean },
): Promise<string | null> {
  const processor = pipeline.process(...args);
  let code: number | null = null;
  processor.ended.then((ended) => code = ended.code);
  const refusals = () =>
    processor.said("partition_stopped").filter(({ why }) => why === "broken")
      .map(({ error, hint }) => `${error}\nhint: ${hint}`);
  await until("it refuses, or has judged all", async () => {
    if (code !== null || refusals().length > 0) return true;
    return mayGoOn && await pipeline.difference() === null;
  }, JUDGED_MS_MAX);
  const refusal = code !== null && code !== 0 ? processor.stderr : refusals()[0] ?? null;
  await terminate(processor);
  return refusal;
}

/** Waits until all is judged into the topics that are there now: older ones left their positions. */
async function untilJudgedNow(pipeline: Pipeline): Promise<void> {
  const { admin, topics, group, partitionNumbers } = pipeline;
  const identities = await admin.identify(Object.values(topics));
  const now = markTopics(identities.map(({ id }) => id)).join();
  const refs = partitionNumbers.map((partition) => ({ topic: topics.raw, partition }));
  await until("all is judged by the topics of now", async () => {
    const stored = await admin.groupOffsets(group, refs);
    return stored.every(({ metadata }) => readMark(metadata)?.topics.join() === now);
  }, JUDGED_MS_MAX);
  await pipeline.untilJudged(JUDGED_MS_MAX);
}

/** Goes the way out that the refusal names. */
async function mend(kind: Break, breaking: Breaking, refusal: string): Promise<Pipeline> {
  const { pipeline, options, brokers } = breaking;
  const { raw: _, ...others } = pipeline.topics;
  switch (kind) {
    case "partitions added": {
      const [, command] = /`gridwatch (repartition [^`]+)`/.exec(refusal) ?? [];
      if (command === undefined) throw new Error(`no way out is named: ${refusal}`);
      const copied = await pipeline.onKafka(...command.split(" "));
      const prefix = /kafka\.topic_prefix: (\S+) /.exec(copied.stderr)?.[1];
      const partitions = pipeline.partitions + 2;
      return new Pipeline(brokers.addresses, { ...options, partitions, prefix });
    }
    case "settings changed":
      return pipeline; // with those that it names
    case "raw made anew":
    case "an output made anew":
    case "all but raw made anew":
    case "changelog damaged":
      await makeAnew(pipeline, Object.values(others));
      return pipeline;
    default:
      return kind satisfies never;
  }
}
