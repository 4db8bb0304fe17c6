import type { Config } from "../settings.ts";
import { buildZone } from "../core/time.ts";
import type { RecordChunk } from "../engine/ports.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import { inspectFiles } from "../replay/inspect.ts";
import { replayFiles } from "../replay/replay_files.ts";
import { replayRecorded } from "../replay/replay_recorded.ts";
import type { Inspection, ReplayOptions } from "../replay/records.ts";
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
};

export type InputOptions = {
  readonly config: Config;
  readonly partitions: number;
  readonly nowMs: number;
  readonly defects: Defects;
  readonly columns: CsvColumns;
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
    paths,
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
  return { ...named, inspection };
}

/** The input's raw records, in arrival order. */
export async function* inputRecords(
  input: Input,
  options: InputOptions,
): AsyncGenerator<RecordChunk> {
  if (input.inspection !== null) {
    yield* replayFiles(input.inspection, replayOptions(options));
    return;
  }
  for (const [p, path] of input.paths.entries()) {
    const finalTick = options.endsRecorded && p === input.paths.length - 1;
    yield* replayRecorded(path, { ...replayOptions(options), finalTick });
  }
}

function replayOptions(options: InputOptions): ReplayOptions {
  const { config, defects } = options;
  return {
    partitions: options.partitions,
    zone: buildZone(config.timezone),
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

/** Hash of what decides which records are played: the files' sizes and both their ends, options. */
async function fingerprint(
  paths: readonly string[],
  options: Omit<InputOptions, "nowMs">,
): Promise<string> {
  const { config, defects, partitions, columns } = options;
  const zone = config.timezone;
  const ticks = [config["replay.tick_seconds"], config.state_ttl_days, judgedAfterMs(config)];
  const text = JSON.stringify({ defects, partitions, columns, zone, ticks });
  const parts: Uint8Array[] = [new TextEncoder().encode(text)];
  for (const path of paths) parts.push(...await fileEdges(path));
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
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
