import type { Config } from "../settings.ts";
import type { RecordChunk } from "../engine/ports.ts";
import { processorOptions } from "../judging.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import { changedFile, type FileStamp } from "../replay/file_stamp.ts";
import { checkUnchanged, stampFile } from "../replay/check_file.ts";
import { inspectFiles } from "../replay/inspect.ts";
import { replayFiles } from "../replay/replay_files.ts";
import { replayRecorded } from "../replay/replay_recorded.ts";
import type { Inspection, ReplayJudging, ReplayOptions } from "../replay/records.ts";
import type { FoundFiles } from "../replay/find_files.ts";
import { meterFiles } from "./meter_files.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";

/** What a replay does to the readings on their way; all probabilities 0: nothing. */
export type Defects = {
  readonly gapProbability: number;
  readonly delayProbability: number;
  readonly maxDelaySeconds: number;
  readonly duplicateProbability: number;
  readonly seed: number;
};

/** Files to be played, by their names and their edges. */
export type NamedInput = {
  /** As they were named. */
  readonly names: readonly string[];
  /** Of archives among them, the files in them. */
  readonly paths: readonly string[];
  /** A recorded raw topic, played as it stands. */
  readonly isRecorded: boolean;
  readonly description: string;
  /** The same for the same records: what a run may be resumed with. */
  readonly fingerprint: string;
};

/** Files to be played, looked through once. */
export type Input = NamedInput & {
  /** Null for a recorded topic, which is not counted beforehand. */
  readonly inspection: Inspection | null;
  /** What each file was seen to be, in the order of the paths. */
  readonly stamps: readonly FileStamp[];
  /** Hash of all their bytes: with the fingerprint, which looks at their edges, what is played. */
  readonly content: string;
  /** The same with the settings that decide what the records of a file say of its series. */
  readonly stream: string;
};

export type InputOptions = {
  readonly config: Config;
  readonly partitions: number;
  readonly nowMs: number;
  readonly defects: Defects;
  readonly columns: CsvColumns;
  /** What the files were found to be; none: plain CSV, or a recorded topic. */
  readonly found?: FoundFiles;
  readonly temporaryDirectory: string;
  readonly signal: AbortSignal;
  /** Whether a recorded topic is given its last tick here; else whoever folds it sends one. */
  readonly endsRecorded: boolean;
};

/**
 * Names an input without reading it.
 *
 * @throws {UsageError} when no file is named, or recorded topics are mixed with others
 * @throws {RunError} for a file that is not there
 */
export async function nameInput(
  command: string,
  paths: readonly string[],
  options: Omit<InputOptions, "nowMs">,
): Promise<NamedInput> {
  if (paths.length === 0) {
    throw new UsageError(
      `Cannot ${command}: no file named`,
      `gridwatch ${command} data/sample/london_MAC000002.csv`,
    );
  }
  const recorded = paths.filter((path) => path.endsWith(".jsonl"));
  if (recorded.length > 0 && recorded.length < paths.length) {
    throw new UsageError(
      `Cannot ${command} ${recorded[0]} together with ${paths.find((p) => !p.endsWith(".jsonl"))}`,
      "a recorded raw topic (.jsonl) is played as it stands: play the others by themselves",
    );
  }
  const [twice] = paths.filter((path, p) => paths.indexOf(path) < p);
  if (twice !== undefined) {
    throw new UsageError(`Cannot ${command} "${twice}" twice in one command`, "name it once");
  }
  if (recorded.length > 0 && hasDefects(options.defects)) {
    throw new UsageError(
      `Cannot ${command} ${recorded[0]} with defects: a recorded raw topic is played as it stands`,
      "leave the probabilities out, or put them into the CSV files it came from",
    );
  }
  const names = paths.map((path) => path.split(/[\\/]/).pop() ?? path);
  const more = paths.length > 3 ? ` and ${paths.length - 2} more` : "";
  return {
    names: paths,
    paths: options.found?.paths ?? paths,
    isRecorded: recorded.length > 0,
    description: names.slice(0, more === "" ? 3 : 2).join(", ") + more,
    fingerprint: await fingerprint(paths, options),
  };
}

function hasDefects(defects: Defects): boolean {
  const { gapProbability, delayProbability, duplicateProbability } = defects;
  return gapProbability > 0 || delayProbability > 0 || duplicateProbability > 0;
}

/**
 * Looks the files through.
 *
 * @throws {ReadError} for a file that cannot be replayed
 */
export async function openInput(named: NamedInput, options: InputOptions): Promise<Input> {
  const { isRecorded, paths } = named;
  const inspection = isRecorded ? null : await inspectFiles(paths, replayOptions(options));
  const stamps = inspection?.files.map(({ stamp }) => stamp) ??
    await stampFiles(paths, options.signal);
  const content = await contentOf(stamps);
  const stream = await streamOf(content, replayOptions(options).judging);
  return { ...named, inspection, stamps, content, stream };
}

/** Hash of what is played and of what its records are looked at by, before they are sent. */
async function streamOf(content: string, judging: ReplayJudging): Promise<string> {
  const { expectedIntervalMs, intervalMsByMeter, gapGraceMs, negative } = judging;
  const { minTimestampMs, maxFutureMs, maxKwh } = judging;
  const meters = [...intervalMsByMeter].sort(([a], [b]) => a < b ? -1 : 1);
  const { allowedLatenessMs } = judging;
  const limits = [
    gapGraceMs,
    allowedLatenessMs,
    negative,
    minTimestampMs,
    maxFutureMs,
    maxKwh,
  ];
  const text = JSON.stringify([content, expectedIntervalMs, meters, limits]);
  return (await hashOf(new TextEncoder().encode(text))).slice(0, 16);
}

/**
 * Reads files through, as little as it takes to know whether they are the same.
 *
 * @throws {ReadError} for a file that cannot be read
 */
export async function stampFiles(
  paths: readonly string[],
  signal: AbortSignal,
): Promise<FileStamp[]> {
  const stamps: FileStamp[] = [];
  for (const path of paths) stamps.push(await stampFile(path, { files: meterFiles, signal }));
  return stamps;
}

/** Hash of all bytes of files, by their stamps. */
export async function contentOf(stamps: readonly FileStamp[]): Promise<string> {
  const files = stamps.map(({ sizeBytes, sums }) => `${sizeBytes}:${sums.join(",")}`);
  return (await hashOf(new TextEncoder().encode(files.join("\n")))).slice(0, 16);
}

/**
 * The input's raw records, in arrival order. It ends only when every file still is what it was seen
 * to be: whoever counts an input as finished at the end counts what stands in the files.
 *
 * @throws {ReadError} when a file cannot be read on, or has changed
 */
export async function* inputRecords(
  input: Input,
  options: InputOptions,
): AsyncGenerator<RecordChunk> {
  if (input.inspection !== null) {
    yield* replayFiles(input.inspection, replayOptions(options));
  } else {
    for (const [p, path] of input.paths.entries()) {
      const finalTick = options.endsRecorded && p === input.paths.length - 1;
      const expected = input.stamps[p];
      yield* replayRecorded(path, { ...replayOptions(options), finalTick, expected });
    }
  }
  for (const stamp of input.stamps) checkUnchanged(stamp, meterFiles);
  // It was named before it was looked through.
  if (await fingerprint(input.names, options) === input.fingerprint) return;
  throw changedFile(input.description);
}

/** Records that may break off, and what whoever plays them is to be told. */
export type BreakableRecords = {
  readonly records: AsyncIterable<RecordChunk>;
  /** Aborted by a stop, and where the files cannot be read on: what came before is kept. */
  readonly signal: AbortSignal;
  /** @throws what broke the records off, if anything did. */
  readonly throwIfBroken: () => void;
};

/** The input's records for a player that keeps what came before a file could not be read on. */
export function breakableRecords(input: Input, options: InputOptions): BreakableRecords {
  const broken = new AbortController();
  const records = async function* () {
    try {
      yield* inputRecords(input, options);
    } catch (error) {
      if (!options.signal.aborted) broken.abort(error);
      throw error;
    }
  };
  return {
    records: records(),
    signal: AbortSignal.any([options.signal, broken.signal]),
    throwIfBroken: () => broken.signal.throwIfAborted(),
  };
}

function replayOptions(options: InputOptions): ReplayOptions {
  const { config, defects } = options;
  const judging = processorOptions(config, 0, options.nowMs);
  return {
    files: meterFiles,
    formats: options.found?.formats,
    partitions: options.partitions,
    zone: judging.zone,
    judging,
    nowMs: options.nowMs,
    tickMs: config["replay.tick_seconds"] * 1000,
    stateTtlMs: config.state_ttl_days * 86_400_000,
    judgedAfterMs: judgedAfterMs(config),
    gapProbability: defects.gapProbability,
    delayProbability: defects.delayProbability,
    maxDelayMs: defects.maxDelaySeconds * 1000,
    duplicateProbability: defects.duplicateProbability,
    seed: defects.seed,
    temporaryDirectory: options.temporaryDirectory,
    sortBytesMax: config["replay.sort_memory_mib"] * 2 ** 20,
    finalTick: true,
    columns: options.columns,
    signal: options.signal,
  };
}

/** How far the clock must be beyond a slot, in event time, for it to be judged. */
export function judgedAfterMs(config: Config): number {
  return (config.grace_period_seconds + config.out_of_orderness_seconds) * 1000;
}

const EDGE_BYTES = 1 << 16;
/** Grows whenever the same files become other records: a replay must not go on in them. */
const STREAM_VERSION = 2;

/** Hash of what decides which records are played: the files' sizes and both their ends, options. */
async function fingerprint(
  paths: readonly string[],
  options: Omit<InputOptions, "nowMs">,
): Promise<string> {
  const { config, defects, partitions, columns, found } = options;
  const zone = config.timezone;
  const ticks = [config["replay.tick_seconds"], config.state_ttl_days, judgedAfterMs(config)];
  const stream = STREAM_VERSION;
  const format = found?.said;
  const text = JSON.stringify({ stream, defects, partitions, columns, zone, ticks, format });
  const parts: Uint8Array[] = [new TextEncoder().encode(text)];
  for (const path of paths) parts.push(...await fileEdges(path));
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return await hashOf(all);
}

/** SHA-256, in hexadecimal. */
export async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Opens and closes every file, so that one that is not there is known before anything is made.
 *
 * @throws {RunError} for a file that cannot be read
 */
export async function lookAtFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) (await openFile(path)).close();
}

async function openFile(path: string): Promise<Deno.FsFile> {
  const file = await attempt(`read "${path}"`, () => Deno.open(path)).catch((error) => {
    if (!(error.cause instanceof Deno.errors.NotFound)) throw error;
    throw new RunError(`Cannot read "${path}": no such file`, undefined, { cause: error.cause });
  });
  const { isDirectory } = await file.stat();
  if (!isDirectory) return file;
  file.close();
  throw new RunError(
    `Cannot read "${path}": it is a directory`,
    `name the files in it: ${path.replace(/\/+$/, "")}/*.csv`,
  );
}

async function fileEdges(path: string): Promise<Uint8Array[]> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    const head = new Uint8Array(EDGE_BYTES);
    const tail = new Uint8Array(EDGE_BYTES);
    const headBytes = await file.read(head) ?? 0;
    await file.seek(Math.max(0, size - EDGE_BYTES), Deno.SeekMode.Start);
    const tailBytes = await file.read(tail) ?? 0;
    const bytes = new TextEncoder().encode(`${size}\n`);
    return [bytes, head.subarray(0, headBytes), tail.subarray(0, tailBytes)];
  } finally {
    file.close();
  }
}
