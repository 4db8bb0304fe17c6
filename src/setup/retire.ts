import { encodeRetirement } from "../core/wire/retirement.ts";
import { newRawRecord } from "../core/wire/raw_record.ts";
import { Task } from "../engine/task.ts";
import { RunError } from "../console/errors.ts";
import { processorOptions } from "../judging.ts";
import { partitionOf } from "../replay/partitioner.ts";
import type { Config } from "../settings.ts";
import { readMeter } from "../tables/meters.ts";
import { queryOf, type Reader } from "../tables/query.ts";
import { openDatabase } from "./database.ts";
import { checkTopics, DEADLINE_MS, openKafka, reachKafka, writerOptions } from "./kafka.ts";
import type { OpenStore } from "./play.ts";

/** What became of meters that were to be retired. */
export type Retired = {
  readonly retired: readonly string[];
  /** They had been retired, and no reading came since. */
  readonly already: readonly string[];
  /** Nobody knows them. Nothing was written of them. */
  readonly unknown: readonly string[];
  /** What else is to be said of those retired, for people. */
  readonly where: string;
};

/**
 * Retires meters in a store that files are played into: a record each, committed as those of a file
 * are. It is dated at the watermark of its partition, where a silence ends.
 *
 * @throws {RunError} while an input is unfinished, whose records are counted
 */
export async function retireInStore(
  { writer, reader }: Pick<OpenStore, "writer" | "reader">,
  config: Config,
  meterIds: readonly string[],
): Promise<Retired> {
  const last = await writer.lastInput();
  if (last !== null && !last.finished) {
    throw new RunError(
      `Cannot retire a meter: ${last.description} is not played to its end`,
      "play it to its end first, by the command that began it",
    );
  }
  const { toRetire, ...others } = await sortOut(reader, meterIds);
  const { partitions = "1", scope } = await writer.settings();
  const watermark_scope = scope === "meter" || scope === "partition"
    ? scope
    : config.watermark_scope;
  const nowMs = Date.now();
  for (const [partition, ids] of byPartition(toRetire, Number(partitions))) {
    const options = processorOptions({ ...config, watermark_scope }, partition, nowMs);
    const task = await Task.open(options, writer);
    const record = newRawRecord();
    for (const id of ids) {
      record.bytes = encodeRetirement(id, task.processor.watermarkMs ?? nowMs);
      record.end = record.bytes.length;
      record.offset = task.nextOffset;
      task.fold(record);
    }
    const commit = task.takeCommit();
    if (commit !== null) await writer.commit(commit);
  }
  return { ...others, retired: toRetire, where: "" };
}

/**
 * Retires meters on Kafka: a record each in the raw topic. Which meters there are is known to a
 * database alone; without one all are taken as they are named.
 */
export async function retireOnKafka(
  config: Config,
  meterIds: readonly string[],
): Promise<Retired> {
  const url = config["database.url"];
  const database = url === "" ? null : await openDatabase(url);
  const { toRetire, ...others } =
    await (database === null
      ? { toRetire: meterIds, already: [], unknown: [] }
      : sortOut(database, meterIds).finally(() => database.close()));
  const setup = await openKafka(config);
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: NEVER });
    const topic = setup.topics.raw;
    const nowMs = Date.now();
    const producer = setup.log.producer(writerOptions(config));
    const { partitions } = await checkTopics(setup);
    for (const [partition, ids] of byPartition(toRetire, partitions)) {
      const values = joined(ids.map((id) => encodeRetirement(id, nowMs)));
      const keys = joined(ids.map((id) => encoder.encode(id)));
      await producer.send([{
        ...{ topic, partition, count: ids.length, timesMs: nowMs, origins: null },
        ...{ values: values.bytes, valueEnds: values.ends },
        ...{ keys: keys.bytes, keyEnds: keys.ends },
      }]);
    }
    await producer.close();
    const unchecked = database === null ? ", if its processor knows it" : "";
    return { ...others, retired: toRetire, where: `: said in ${topic}${unchecked}` };
  } finally {
    await setup.log.close();
  }
}

/** What the tables know of meters. */
async function sortOut(reader: Reader, meterIds: readonly string[]) {
  const toRetire: string[] = [];
  const already: string[] = [];
  const unknown: string[] = [];
  for (const id of meterIds) {
    const meter = await readMeter(queryOf(reader), id);
    if (meter === null) unknown.push(id);
    else if (meter.status === "retired") already.push(id);
    else toRetire.push(id);
  }
  return { toRetire, already, unknown };
}

const encoder = new TextEncoder();
const NEVER = new AbortController().signal;

/** Ids by the partition that their records belong into. */
export function byPartition(ids: readonly string[], partitions: number): Map<number, string[]> {
  return Map.groupBy(ids, (id) => partitionOf(encoder.encode(id), partitions));
}

/** Texts one behind another, and where each ends. */
export function joined(parts: readonly Uint8Array[]) {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  const ends: number[] = [];
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    ends.push(at += part.length);
  }
  return { bytes, ends };
}
