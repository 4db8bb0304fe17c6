import { removeLeftRuns } from "../adapters/deno/files.ts";
import type { Config } from "../settings.ts";
import { judgingFingerprint, processorOptions } from "../judging.ts";
import { playRecords } from "../engine/pipeline.ts";
import type { InputStore, StoredInput } from "../engine/ports.ts";
import { Task } from "../engine/task.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import type { FormatOptions } from "../formats/table.ts";
import type { Inspection, Warning } from "../replay/records.ts";
import type { FoundFiles } from "../replay/find_files.ts";
import type { Reader } from "../tables/query.ts";
import { toMsOrNull } from "../tables/values.ts";
import { verbOf } from "../console/arguments.ts";
import { behindLines } from "./behind.ts";
import { UsageError } from "../console/errors.ts";
import {
  breakableRecords,
  contentOf,
  type Defects,
  type Input,
  type InputOptions,
  judgedAfterMs,
  type NamedInput,
  nameInput,
  openInput,
  stampFiles,
} from "./input.ts";
import { sayFindings } from "./input_findings.ts";
import type { LiveTracker } from "./live.ts";
import { say, shellProgress, systemClock } from "../console/shell.ts";
import { storeWarnings } from "./store_warnings.ts";
import { formatCount } from "../console/progress.ts";

/** What files are played into. */
export type PlayStore = InputStore & Reader;

/** What a play of files into a store is told. */
export type PlayOptions = {
  readonly command: string;
  /** The words behind the command, as they were given. */
  readonly words?: readonly string[];
  readonly paths: readonly string[];
  readonly config: Config;
  /** Of the embedded store; of a run into a database, of what is sorted on the way alone. */
  readonly directory: string;
  /** The database that is played into, as people may see it; none: the embedded store. */
  readonly database?: string;
  /** Null: as the store was made, or 1. */
  readonly partitions: number | null;
  readonly ratePerSecond: number;
  readonly defects: Defects;
  readonly columns: CsvColumns;
  /** What was said of the files' format. */
  readonly format?: FormatOptions;
  /** What the files were found to be. */
  readonly found?: FoundFiles;
  /** Null: the wall clock at the input's first start. */
  readonly nowMs: number | null;
  readonly isSilent: boolean;
  readonly signal: AbortSignal;
  readonly live: LiveTracker;
};

/** How a play ended. */
export type PlayResult = {
  readonly isFinished: boolean;
  readonly readings: number;
  readonly seconds: number;
  /** What a person should know of the input, and of the settings it is judged by. */
  readonly warnings: readonly Warning[];
  /** Of these, what only shows when all is played: it has not been said yet. */
  readonly found: readonly Warning[];
  /** What only looking the files through tells; null: they were not. */
  readonly inspection: Inspection | null;
  /** Nothing else is in the store. */
  readonly isAlone: boolean;
};

/** The store's temporary files: by a name that nobody else gives to a folder. */
const TEMPORARY = ".gridwatch-tmp";

/**
 * Plays files through the core into the store. An input that was cut off goes on where it stood; one
 * that was played to its end is not played again.
 */
export async function playFiles(store: PlayStore, options: PlayOptions): Promise<PlayResult> {
  const startedAtMs = performance.now();
  const partitions = await settlePartitions(store, options);
  const last = await store.lastInput();
  const resumed = last !== null && !last.finished ? last : null;
  const nowMs = resumed?.nowMs ?? options.nowMs ?? Date.now();
  const temporaryDirectory = `${options.directory}/${TEMPORARY}`;
  removeLeftRuns(temporaryDirectory);
  const inputOptions = {
    ...options,
    partitions,
    nowMs,
    temporaryDirectory,
    endsRecorded: false, // the pipeline does: it knows which readings were taken
  };
  const named = await nameInput(options.command, options.paths, inputOptions);
  const open = (partition: number) =>
    Task.open(processorOptions(options.config, partition, nowMs), store);
  const tasks: Task[] = [];
  for (let partition = 0; partition < partitions; partition++) tasks.push(await open(partition));
  const begun = { tasks, last, startedAtMs };
  if (last !== null && last.finished && await isPlayed(last, named, options.signal)) {
    return await endPlayed(store, named, begun, options);
  }
  const input = await openInput(named, inputOptions);
  if (!options.isSilent) sayFindings(input, { saysUseless: false });
  if (input.inspection?.rows === 0) {
    options.live.begin(input.description, 0);
    return resultOf(input, begun, input.inspection.warnings);
  }
  return await playInput(store, input, begun, inputOptions);
}

/** What a play finds as it begins. */
type Begun = {
  readonly tasks: readonly Task[];
  /** The input played last, finished or not. */
  readonly last: StoredInput | null;
  readonly startedAtMs: number;
};

/** Says that there is nothing to play, and what was said when it was played. */
async function endPlayed(
  store: PlayStore,
  named: NamedInput,
  begun: Begun,
  options: PlayOptions,
): Promise<PlayResult> {
  if (!options.isSilent) {
    say(`${named.description} is in ${placeOf(options)} already: nothing to play`);
  }
  options.live.begin(named.description, null);
  const settings = await store.settings();
  const warnings: Warning[] = JSON.parse(settings[WARNINGS] ?? "[]");
  const changed = changedSettings(settings, await judgingSettings(options.config));
  if (changed.length > 0) {
    const text = `settings changed since it was played: ${changed.join(", ")}; nothing is judged ` +
      `anew without ${freshOf(options)}`;
    warnings.push({ code: "settings_changed", text });
    if (!options.isSilent) say(`warning: ${text}`);
  }
  return resultOf({ inspection: null }, begun, warnings);
}

async function playInput(
  store: PlayStore,
  input: Input,
  begun: Begun,
  options: PlayOptions & InputOptions,
): Promise<PlayResult> {
  const { tasks, last } = begun;
  const { config, nowMs } = options;
  const rowsTotal = input.inspection?.rows ?? null;
  options.live.begin(input.description, rowsTotal);
  const changed = await changedSince(store, input, last, options);
  const stored = await settleInput(store, input, last, tasks, nowMs, options);
  const before = readingsOf(tasks);
  const progress = shellProgress({ verb: "playing", rowsTotal, isSilent: options.isSilent });
  let readings = 0;
  const { records, signal, throwIfBroken } = breakableRecords(input, options);
  const isFinished = await playRecords(records, tasks, store, {
    baseOffsets: stored.baseOffsets,
    commitRecordsMax: config.commit_records_max,
    commitIntervalMs: config.commit_interval_ms,
    ratePerSecond: options.ratePerSecond,
    endsAfterMs: input.isRecorded ? judgedAfterMs(config) : null,
    rowsTotal,
    clock: systemClock,
    signal,
    onProgress: (state) => {
      readings = state.readingsFolded;
      options.live.progress(state);
      progress.update(state.rowsRead, state.eventTimeMs);
    },
  });
  progress.clear();
  throwIfBroken();
  const found = isFinished ? await storeWarnings(store, input.inspection) : [];
  if (input.isRecorded && isFinished) found.push(...ofRecorded(before, readingsOf(tasks)));
  const warnings = [...changed, ...input.inspection?.warnings ?? [], ...found];
  // It is told once more when somebody plays it again.
  await store.saveSettings({ [WARNINGS]: JSON.stringify(warnings) });
  if (isFinished) await store.finishInput(stored.id);
  const isAlone = stored.id === 1;
  return { ...resultOf(input, begun, warnings), isFinished, found, readings, isAlone };
}

function resultOf(
  { inspection }: Pick<Input, "inspection">,
  { last, startedAtMs }: Begun,
  warnings: readonly Warning[],
): PlayResult {
  return {
    isFinished: true,
    readings: 0,
    seconds: (performance.now() - startedAtMs) / 1000,
    warnings,
    found: [],
    inspection,
    isAlone: last === null || last.id === 1,
  };
}

/** Where the store keeps what was said of the input played last. */
const WARNINGS = "warnings";

type Readings = { readonly all: number; readonly rejected: number };

function readingsOf(tasks: readonly Task[]): Readings {
  const ledgers = tasks.map(({ processor }) => processor.state.ledger);
  return {
    all: ledgers.reduce((sum, { raw, tick }) => sum + raw - tick, 0),
    rejected: ledgers.reduce((sum, { rejected }) => sum + rejected, 0),
  };
}

/** Of a recorded topic, which is not looked through, it is known at its end. */
function ofRecorded(before: Readings, after: Readings): Warning[] {
  const rows = after.all - before.all;
  if (rows === 0) return [{ code: "no_rows", text: "the recorded topic has no readings" }];
  if (after.rejected - before.rejected < rows) return [];
  return [{
    code: "all_rejected",
    text: "every record of the recorded topic is rejected",
  }];
}

/** Where a store is, for people. */
function placeOf({ directory, database }: PlayOptions): string {
  return database ?? directory;
}

/** How another store is named. */
function anotherOf({ database }: PlayOptions): string {
  return database === undefined ? "--data DIR for a new store" : "--database URL of an empty one";
}

/** The same where an option does it. */
function freshOf(options: PlayOptions): string {
  const isRun = options.command === "run" && options.database === undefined;
  return isRun ? "--fresh" : anotherOf(options);
}

/** Whether the finished input was these files, byte for byte. */
async function isPlayed(
  last: StoredInput,
  named: NamedInput,
  signal: AbortSignal,
): Promise<boolean> {
  if (last.fingerprint.split(".")[0] !== named.fingerprint) return false;
  return isInput(last, {
    ...named,
    content: await contentOf(await stampFiles(named.paths, signal)),
  });
}

/** Whether a stored input is this one; what was stored by an older version knows no content. */
function isInput(
  stored: StoredInput,
  { fingerprint, content }: Pick<Input, "fingerprint" | "content">,
): boolean {
  const [edges, bytes] = stored.fingerprint.split(".");
  return edges === fingerprint && (bytes === undefined || bytes === content);
}

/** A store keeps the partitions and the scope it was made with: its state belongs to them. */
async function settlePartitions(store: PlayStore, options: PlayOptions): Promise<number> {
  const settings = await store.settings();
  const { command, config } = options;
  const partitions = options.partitions ?? Number(settings.partitions ?? 1);
  const wanted: Record<string, string> = {
    partitions: String(partitions),
    scope: config.watermark_scope,
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (settings[name] === undefined || settings[name] === value) continue;
    throw new UsageError(
      `Cannot ${verbOf(command)} with --${name}="${value}": ${placeOf(options)} was made with ${
        settings[name]
      }`,
      `--${name} ${settings[name]}, or ${anotherOf(options)}`,
    );
  }
  if (settings.partitions === undefined) await store.saveSettings(wanted);
  return partitions;
}

/** Finds or begins the stored input. */
async function settleInput(
  store: PlayStore,
  input: Input,
  last: StoredInput | null,
  tasks: readonly Task[],
  nowMs: number,
  options: PlayOptions,
): Promise<StoredInput> {
  const { command, isSilent } = options;
  if (last !== null && isInput(last, input)) {
    await refuseOtherJudging(store, options);
    const base = last.baseOffsets.reduce((sum, offset) => sum + offset, 0);
    const done = tasks.reduce((sum, task) => sum + task.nextOffset, 0) - base;
    if (!isSilent) say(`resuming ${input.description} after ${formatCount(done)} records`);
    return last;
  }
  if (last !== null && !last.finished) {
    throw new UsageError(
      `Cannot ${verbOf(command)} ${input.description}: ${last.description} is unfinished in ${
        placeOf(options)
      }, ` +
        "with other options or other bytes in its files",
      "play that to its end first, with the same options and its files as they were, or use " +
        anotherOf(options),
    );
  }
  if (last !== null && !isSilent) {
    const { rows: [{ watermark }] } = await store.query(
      "SELECT max(watermark) AS watermark FROM positions",
    );
    behindLines({
      firstMs: input.inspection?.firstEventTimeMs ?? null,
      heldToMs: toMsOrNull(watermark),
      config: options.config,
    }, {
      place: placeOf(options),
      wayOut: `name the newer files alone, or all of them with ${anotherOf(options)}`,
    }).forEach(say);
  }
  const begun: StoredInput = {
    id: (last?.id ?? 0) + 1,
    fingerprint: `${input.fingerprint}.${input.content}`,
    description: input.description,
    baseOffsets: tasks.map((task) => task.nextOffset),
    nowMs,
    finished: false,
  };
  await store.saveSettings(await judgingSettings(options.config));
  await store.beginInput(begun);
  return begun;
}

/** What is judged otherwise from an input on that follows another. */
async function changedSince(
  store: PlayStore,
  input: Input,
  last: StoredInput | null,
  options: PlayOptions,
): Promise<Warning[]> {
  if (last === null || isInput(last, input)) return [];
  const changed = changedSettings(await store.settings(), await judgingSettings(options.config));
  if (changed.length === 0) return [];
  const text = `settings changed since ${last.description} was played: ${changed.join(", ")}; ` +
    "they hold from here on, and nothing is judged anew";
  if (!options.isSilent) say(`warning: ${text}`);
  return [{ code: "settings_changed", text }];
}

/** Each as `validation.negative is flag, was reject`. */
function changedSettings(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  return Object.entries(now)
    .filter(([key, value]) => before[key] !== undefined && before[key] !== value)
    .map(([key, value]) => `${key.slice(JUDGING_PREFIX.length)} is ${value}, was ${before[key]}`);
}

/** What readings are judged by: fixed while an input is played, or its parts would not agree. */
async function judgingSettings(config: Config): Promise<Record<string, string>> {
  const { values } = await judgingFingerprint(config);
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${JUDGING_PREFIX}${name}`, value]),
  );
}

const JUDGING_PREFIX = "judging.";

async function refuseOtherJudging(store: PlayStore, options: PlayOptions): Promise<void> {
  const before = await store.settings();
  for (const [key, value] of Object.entries(await judgingSettings(options.config))) {
    if (before[key] === undefined || before[key] === value) continue;
    const name = key.slice(JUDGING_PREFIX.length);
    throw new UsageError(
      `Cannot ${verbOf(options.command)} on with ${name}=${value}: it was begun with ${
        before[key]
      }`,
      `set ${name} to ${before[key]} until it is played to its end, or use ${anotherOf(options)}`,
    );
  }
}
