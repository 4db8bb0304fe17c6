import { type readArguments, readNumber, readRate, withScope } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";
import { formatSeconds } from "../core/duration.js";
import { parseTimestamp } from "../core/time.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { FencedError } from "../engine/ports.ts";
import type { Reader } from "../tables/query.ts";
import { countShifted, readSummary, type Summary, suspicions } from "../tables/summary.ts";
import type { RunAnswer } from "./answers.ts";
import { playFiles, type PlayOptions, type PlayResult, type PlayStore } from "./embedded.ts";
import { lookAtFiles } from "./input.ts";
import { LiveTracker } from "./live.ts";
import {
  findFiles,
  FORMAT_OPTIONS,
  judgedAs,
  readFormatOptions,
  unverifiedLines,
} from "./meter_files.ts";
import { type ApiStore, serveApi } from "./serve_api.ts";
import { inUse, openStore, runError } from "./store.ts";

/** Options that every command playing files has. */
export const PLAY_OPTIONS = {
  data: { type: "string" },
  rate: { type: "string", default: "max" },
  partitions: { type: "string" },
  scope: { type: "string" },
  json: { type: "boolean", default: false },
  quiet: { type: "boolean", default: false },
  ...FORMAT_OPTIONS,
  now: { type: "string" },
  config: { type: "string" },
  "gap-probability": { type: "string", default: "0" },
  "delay-probability": { type: "string", default: "0" },
  "max-delay-seconds": { type: "string", default: "300" },
  "duplicate-probability": { type: "string", default: "0" },
  seed: { type: "string", default: "1" },
  help: { type: "boolean", short: "h", default: false },
} as const;

type PlayValues = ReturnType<typeof readArguments<typeof PLAY_OPTIONS>>["values"];

/** What the options of a playing command say, checked. */
export async function readPlayOptions(
  command: string,
  values: PlayValues,
): Promise<Omit<PlayOptions, "paths" | "signal" | "live">> {
  const config = withScope(command, await loadConfig(values.config), values.scope);
  const share = (name: "gap-probability" | "delay-probability" | "duplicate-probability") =>
    readNumber(command, name, values[name], { min: 0, max: 1 });
  const seed = { min: 0, max: 2 ** 32 - 1, whole: true };
  return {
    command,
    config,
    directory: values.data ?? config.data_directory,
    partitions: values.partitions === undefined
      ? null
      : readNumber(command, "partitions", values.partitions, { min: 1, max: 1024, whole: true }),
    ratePerSecond: readRate(command, values.rate),
    defects: {
      gapProbability: share("gap-probability"),
      delayProbability: share("delay-probability"),
      duplicateProbability: share("duplicate-probability"),
      maxDelaySeconds: readNumber(command, "max-delay-seconds", values["max-delay-seconds"], {
        min: 1,
        max: 2_592_000,
        whole: true,
      }),
      seed: readNumber(command, "seed", values.seed, seed),
    },
    columns: {
      meter: values["meter-column"],
      time: values["time-column"],
      value: values["value-column"],
    },
    format: readFormatOptions(command, values),
    nowMs: values.now === undefined ? null : readNow(command, values.now),
    isSilent: values.quiet,
  };
}

function readNow(command: string, text: string): number {
  const nowMs = parseTimestamp(text, UTC_ZONE);
  if (!Number.isNaN(nowMs)) return nowMs;
  throw new UsageError(
    `Cannot ${command} with --now="${text}": must be an ISO 8601 time, such as 2030-01-01`,
  );
}

/** A store that is open to be played into. */
export type OpenStore = {
  readonly writer: PlayStore;
  /** Reads beside the commits. */
  readonly reader: ApiStore;
  /** For what is sorted on the way. */
  readonly directory: string;
  /** Its address, where it is a database. */
  readonly database?: string;
  /** An error of it as one to people; a fault of our own as it is. */
  explain(error: unknown): unknown;
  close(): Promise<void>;
};

/** The embedded store of a directory. */
async function openEmbedded(directory: string): Promise<OpenStore> {
  const store = await openStore(directory);
  return {
    writer: store,
    reader: store.reader,
    directory,
    explain: (error) =>
      error instanceof FencedError ? inUse(error.message, error) : runError(error),
    close: () => store.close(),
  };
}

/**
 * Finds out what the files of a play are, and judges them by the zone that their format says.
 *
 * @throws {ReadError} for the first that cannot be read: what it is, and what to do
 */
export function withFoundFiles<Play extends Omit<PlayOptions, "signal" | "live">>(
  play: Play,
): Play {
  const found = findFiles(play.paths, play.format ?? { columns: play.columns });
  if (!play.isSilent) unverifiedLines(found).forEach(say);
  return { ...play, found, config: judgedAs(play.config, found) };
}

type RunOptions = {
  /** Null: no page. */
  readonly port: number | null;
  /** Whether the page stays when all is played. */
  readonly staysUp: boolean;
  readonly isJson: boolean;
  /** Opens what is played into; none: the embedded store. */
  readonly open?: () => Promise<OpenStore>;
  /** Said at the end: what a person may do next. */
  readonly next?: readonly string[];
};

/** Plays files into a store, with the page where a port is given, to the end or to Ctrl-C. */
export async function runPipeline(
  play: Omit<PlayOptions, "signal" | "live">,
  { port, staysUp, isJson, next = [], open = () => openEmbedded(play.directory) }: RunOptions,
): Promise<number> {
  if (play.paths.length === 0) {
    throw new UsageError(
      `Cannot ${play.command}: no file named`,
      `gridwatch ${play.command} --help`,
    );
  }
  await lookAtFiles(play.paths);
  play = withFoundFiles(play);
  const stop = stopSignal(() => say("stopping: what was played is kept"));
  const live = new LiveTracker(Date.now);
  const store = await open().catch((error) => {
    stop.release();
    throw error;
  });
  let exitCode = 0;
  try {
    const host = play.config["api.host"];
    const server = port === null ? null : serveApi(store.reader, () => live.status, { host, port });
    try {
      if (server !== null) say(`page: ${server.url}`);
      const { directory, database } = store;
      const options = { ...play, directory, database, signal: stop.signal, live };
      const result = await playFiles(store.writer, options);
      live.end(result.isFinished ? "finished" : "stopped");
      await report(store.reader, result, { isJson, isSilent: play.isSilent });
      if (!result.isFinished) exitCode = STOPPED_EXIT_CODE;
      else if (!play.isSilent) next.forEach(say);
      if (server !== null && staysUp && !stop.signal.aborted) {
        say(`page: ${server.url} (Ctrl-C ends)`);
        await new Promise<void>((resolve) =>
          stop.signal.addEventListener("abort", () => resolve())
        );
      }
    } catch (error) {
      if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
      live.end("failed", error instanceof Error ? error.message : String(error));
      throw store.explain(error);
    } finally {
      await server?.close();
    }
  } finally {
    await store.close();
    stop.release();
  }
  return exitCode;
}

async function report(
  store: Reader,
  result: PlayResult,
  { isJson, isSilent }: { isJson: boolean; isSilent: boolean },
): Promise<void> {
  const summary = await readSummary(store);
  const readingsPerSecond = result.seconds > 0 ? Math.round(result.readings / result.seconds) : 0;
  const seconds = Math.round(result.seconds * 1000) / 1000;
  if (isJson) {
    const answer: RunAnswer = { ...summary, seconds, readings_per_second: readingsPerSecond };
    print(JSON.stringify(answer));
  }
  if (!isSilent) {
    for (const line of describe(summary)) say(line);
    const rate = `${formatCount(readingsPerSecond)} readings/s`;
    say(`${formatCount(result.readings)} readings in ${formatSeconds(result.seconds)}, ${rate}`);
    for (const line of suspicions(summary, await countShifted(store, summary))) say(line);
  }
}

/** The summary in a few lines for people. */
export function describe({ ledger, meters, gaps }: Summary): string[] {
  const counts = ["ok", "late", "too_late", "duplicate", "rejected", "tick"] as const;
  const sum = counts.reduce((total, name) => total + ledger[name], 0);
  const parts = counts.map((name) => `${formatCount(ledger[name])} ${name.replace("_", " ")}`);
  // Of the ledger alone: whether the rows are there is for `verify` to say, which reads them.
  const seal = sum === ledger.raw ? "adds up" : `DOES NOT BALANCE: ${formatCount(sum)}`;
  const states = Object.entries(gaps).filter(([, { gaps }]) => gaps > 0).map(([state, count]) =>
    `${formatCount(count.gaps)} ${state} (${formatCount(count.missing_intervals)} intervals)`
  );
  return [
    `ledger: ${formatCount(ledger.raw)} raw = ${parts.join(" + ")}: ${seal}`,
    `${formatCount(meters)} ${meters === 1 ? "meter" : "meters"}, gaps: ${
      states.join(", ") || "none"
    }`,
  ];
}
