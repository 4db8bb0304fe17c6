import { isMeterId, trimMeterId } from "../core/meter_id.ts";
import { parseTimestamp } from "../core/time.ts";
import {
  DIRECTION,
  encodeRegistration,
  type Registration,
  tagsOf,
} from "../core/wire/registration.ts";
import { buildZone, UTC_ZONE } from "../core/zone.ts";
import { newRawRecord } from "../core/wire/raw_record.ts";
import { Task } from "../engine/task.ts";
import { RunError } from "../console/errors.ts";
import { processorOptions } from "../judging.ts";
import type { Config } from "../settings.ts";
import { queryOf } from "../tables/query.ts";
import { readRegistry } from "../tables/registry.ts";
import { openDatabase } from "./database.ts";
import { checkTopics, DEADLINE_MS, openKafka, reachKafka, writerOptions } from "./kafka.ts";
import type { OpenStore } from "./play.ts";
import { byPartition, joined } from "./retire.ts";

/** A row of a registry's file: a version is given to it as it is imported. */
export type RegistryRow = Omit<Registration, "version">;

/** What became of a registry's file. */
export type Imported = {
  /** Rows that say something new, and the version that they have. */
  readonly changed: number;
  readonly unchanged: number;
  readonly version: number | null;
};

const COLUMNS = [
  ...["meter_id", "channel", "group", "interval_minutes", "timezone", "active_from", "active_to"],
  ...["direction", "max_kw"],
];

/**
 * Reads `meters.csv`: a header, and a row a meter (and register). Its columns may stand in any order,
 * and all but `meter_id` may be left out.
 *
 * @throws {RunError} that names the first row that cannot be used
 */
export function readRegistryFile(path: string, text: string): RegistryRow[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const header = cellsOf(lines[0]).map((name) => name.toLowerCase());
  const refuse = (line: number, what: string): never => {
    throw new RunError(
      `Cannot import ${path}:${line}: ${what}`,
      `the columns are ${COLUMNS.join(", ")}`,
    );
  };
  const unknown = header.find((name) => !COLUMNS.includes(name));
  if (unknown !== undefined) refuse(1, `there is no column "${unknown}"`);
  if (!header.includes("meter_id")) refuse(1, "there is no column meter_id");
  const rows = new Map<string, RegistryRow>();
  for (const [at, line] of lines.entries()) {
    if (at === 0 || line.trim() === "") continue;
    const cells = cellsOf(line);
    const of = (name: string) => cells[header.indexOf(name)] ?? "";
    const row = rowOf(of, (what) => refuse(at + 1, what));
    const key = JSON.stringify([row.meterId, row.channel]);
    if (rows.has(key)) refuse(at + 1, `${row.meterId} has another row`);
    rows.set(key, row);
  }
  return [...rows.values()];
}

/** A line of CSV (RFC 4180) whose cells have no line ends. */
function cellsOf(line: string): string[] {
  const cells = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...cells].map(([, quoted, plain]) => (quoted?.replaceAll('""', '"') ?? plain).trim());
}

function rowOf(of: (name: string) => string, refuse: (what: string) => never): RegistryRow {
  const meterId = trimMeterId(of("meter_id"));
  if (!isMeterId(meterId)) refuse(`"${of("meter_id")}" is no meter's id`);
  const number = (name: string, max: number) => {
    if (of(name) === "") return null;
    const value = Number(of(name));
    return value > 0 && value <= max ? value : refuse(`${name} is ${of(name)}`);
  };
  const time = (name: string) => {
    if (of(name) === "") return null;
    const ms = parseTimestamp(of(name), UTC_ZONE);
    return Number.isNaN(ms) ? refuse(`${name} is ${of(name)}`) : ms;
  };
  const direction = of("direction").toLowerCase();
  if (direction !== "" && !DIRECTION.test(direction)) refuse(`direction is ${direction}`);
  return {
    meterId,
    channel: of("channel"),
    group: of("group") || null,
    intervalMinutes: number("interval_minutes", MINUTES_MAX),
    timezone: of("timezone") === "" ? null : zoneOf(of("timezone"), refuse),
    activeFromMs: time("active_from"),
    activeToMs: time("active_to"),
    direction: direction === "" ? null : direction,
    maxKw: number("max_kw", Infinity),
  };
}

const MINUTES_MAX = 44_640;

function zoneOf(name: string, refuse: (what: string) => never): string {
  try {
    return buildZone(name).name;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return refuse(`timezone is ${name}`);
  }
}

/** Which rows say something else than what is in force, with the next version. */
async function changesOf(
  reader: Parameters<typeof queryOf>[0],
  rows: readonly RegistryRow[],
): Promise<Registration[]> {
  const known = await readRegistry(queryOf(reader));
  const textOf = (row: RegistryRow) => JSON.stringify(tagsOf({ ...row, version: 0 }));
  const before = new Map(known.map((row) => [keyOf(row), textOf(row)]));
  const version = Math.max(0, ...known.map((row) => row.version)) + 1;
  return rows.filter((row) => before.get(keyOf(row)) !== textOf(row))
    .map((row) => ({ ...row, version }));
}

function keyOf({ meterId, channel }: RegistryRow): string {
  return JSON.stringify([meterId, channel]);
}

function importedOf(rows: readonly RegistryRow[], changes: readonly Registration[]): Imported {
  const version = changes[0]?.version ?? null;
  return { changed: changes.length, unchanged: rows.length - changes.length, version };
}

/**
 * Imports a registry into a store that files are played into: a record of each meter of which it says
 * something new. It is in force from the watermark of its partition on; in a store that nothing was
 * played into, from the earliest time that a reading can have.
 *
 * @throws {RunError} while an input is unfinished, whose records are counted
 */
export async function importIntoStore(
  { writer, reader }: Pick<OpenStore, "writer" | "reader">,
  config: Config,
  rows: readonly RegistryRow[],
): Promise<Imported> {
  const last = await writer.lastInput();
  if (last !== null && !last.finished) {
    throw new RunError(
      `Cannot import meters: ${last.description} is not played to its end`,
      "play it to its end first, by the command that began it",
    );
  }
  const changes = await changesOf(reader, rows);
  const { partitions = "1", scope } = await writer.settings();
  const watermark_scope = scope === "meter" || scope === "partition"
    ? scope
    : config.watermark_scope;
  const nowMs = Date.now();
  const earliestMs = parseTimestamp(config["validation.min_timestamp"], UTC_ZONE);
  const byId = Map.groupBy(changes, ({ meterId }) => meterId);
  for (const [partition, ids] of byPartition([...byId.keys()], Number(partitions))) {
    const options = processorOptions({ ...config, watermark_scope }, partition, nowMs);
    const task = await Task.open(options, writer);
    const inForceMs = task.processor.watermarkMs ?? earliestMs;
    const record = newRawRecord();
    for (const registration of ids.flatMap((id) => byId.get(id) ?? [])) {
      record.bytes = encodeRegistration(registration, inForceMs);
      record.end = record.bytes.length;
      record.offset = task.nextOffset;
      task.fold(record);
    }
    const commit = task.takeCommit();
    if (commit !== null) await writer.commit(commit);
  }
  return importedOf(rows, changes);
}

/**
 * Imports a registry on Kafka: a record in the raw topic of each meter of which it says something new
 * to what the database has. It is in force from now on.
 */
export async function importOnKafka(
  config: Config,
  { url, rows }: { readonly url: string; readonly rows: readonly RegistryRow[] },
): Promise<Imported> {
  const database = await openDatabase(url);
  const changes = await changesOf(database, rows).finally(() => database.close());
  const setup = await openKafka(config);
  try {
    await reachKafka(setup, { deadlineMs: DEADLINE_MS, signal: new AbortController().signal });
    const topic = setup.topics.raw;
    const nowMs = Date.now();
    const producer = setup.log.producer(writerOptions(config));
    const { partitions } = await checkTopics(setup);
    const byId = Map.groupBy(changes, ({ meterId }) => meterId);
    const encoder = new TextEncoder();
    for (const [partition, ids] of byPartition([...byId.keys()], partitions)) {
      const all = ids.flatMap((id) => byId.get(id) ?? []);
      const values = joined(all.map((registration) => encodeRegistration(registration, nowMs)));
      const keys = joined(all.map(({ meterId }) => encoder.encode(meterId)));
      await producer.send([{
        ...{ topic, partition, count: all.length, timesMs: nowMs, origins: null },
        ...{ values: values.bytes, valueEnds: values.ends },
        ...{ keys: keys.bytes, keyEnds: keys.ends },
      }]);
    }
    await producer.close();
    return importedOf(rows, changes);
  } finally {
    await setup.log.close();
  }
}
