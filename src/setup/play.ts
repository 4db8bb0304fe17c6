import { buildZone } from "../core/zone.ts";
import { type readArguments, readNumber, readRate, withScope } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";
import { formatSeconds } from "../core/duration.js";
import { parseTimestamp } from "../core/time.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { FencedError } from "../engine/ports.ts";
import { judgedAs } from "../judging.ts";
import type { Config } from "../settings.ts";
import type { Reader } from "../tables/query.ts";
import { readSummary, type Summary } from "../tables/summary.ts";
import type { RunAnswer } from "./answers.ts";
import { playFiles, type PlayOptions, type PlayResult, type PlayStore } from "./embedded.ts";
import { lookAtFiles } from "./input.ts";
import { uselessOf } from "./input_findings.ts";
import { LiveTracker } from "./live.ts";
import { findFiles, FORMAT_OPTIONS, foundLines, readFormatOptions } from "./meter_files.ts";
import { type ApiStore, serveApi, servedAt } from "./serve_api.ts";
import { inUse, openStore, openStoreReader, runError } from "./store.ts";
import { hintsFor } from "./useless.ts";

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
    format: await readFormatOptions(command, values),
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

/**
 * The embedded store of a directory; `isFresh`: what it holds is forgotten.
 *
 * @throws {RunError} where there is none, and none is to be made
 */
export async function openEmbedded(
  directory: string,
  { config, makes = true, isFresh = false }: {
    readonly config: Config;
    readonly makes?: boolean;
    readonly isFresh?: boolean;
  },
): Promise<OpenStore> {
  if (!makes) await (await openStoreReader(directory)).close();
  const store = await openStore(directory, {
    retentionDays: config.retention_days,
    zone: buildZone(config.timezone),
    isFresh,
  });
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
export async function withFoundFiles<Play extends Omit<PlayOptions, "signal" | "live">>(
  play: Play,
): Promise<Play> {
  const found = await findFiles(play.paths, play.format ?? { columns: play.columns });
  if (!play.isSilent) foundLines(found).forEach(say);
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
  /** What is said at the end, of the store as it is then: what a person may do next. */
  readonly next?: (store: Reader) => Promise<readonly string[]>;
};

/** Plays files into a store, with the page where a port is given, to the end or to Ctrl-C. */
export async function runPipeline(
  play: Omit<PlayOptions, "signal" | "live">,
  { port, staysUp, isJson, next, open = () => openEmbedded(play.directory, play) }: RunOptions,
): Promise<number> {
  if (play.paths.length === 0) {
    throw new UsageError(
      `Cannot ${play.command}: no file named`,
      `gridwatch ${play.command} --help`,
    );
  }
  await lookAtFiles(play.paths);
  play = await withFoundFiles(play);
  const stop = stopSignal(() => say("stopping: what was played is kept"));
  const live = new LiveTracker(Date.now);
  const store = await open().catch((error) => {
    stop.release();
    throw error;
  });
  let exitCode = 0;
  try {
    const server = port === null
      ? null
      : serveApi(store.reader, () => live.status, servedAt(play.config, port));
    try {
      if (server !== null) say(`page: ${server.url}`);
      const { directory, database } = store;
      const options = { ...play, directory, database, signal: stop.signal, live };
      const result = await playFiles(store.writer, options);
      live.end(result.isFinished ? "finished" : "stopped");
      const where = { directory, database };
      const isUsed = await report(store.reader, result, { ...play, ...where, isJson, next });
      exitCode = result.isFinished ? isUsed ? 0 : 1 : STOPPED_EXIT_CODE;
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

type Report = Omit<PlayOptions, "signal" | "live"> & Pick<RunOptions, "isJson" | "next">;

/** Tells how it went; false: nothing of what was played could be used. */
async function report(store: Reader, result: PlayResult, options: Report): Promise<boolean> {
  const { isJson, isSilent, next } = options;
  const { seconds, inspection, isFinished } = result;
  const readingsPerSecond = seconds > 0 ? Math.round(result.readings / seconds) : 0;
  const answer: RunAnswer = {
    ...await readSummary(store),
    seconds: Math.round(seconds * 1000) / 1000,
    readings_per_second: readingsPerSecond,
    warnings: result.warnings,
  };
  const useless = uselessOf(result.warnings, inspection);
  if (isJson) print(JSON.stringify(answer));
  if (!isSilent) {
    for (const line of describe(answer)) say(line);
    const rate = `${formatCount(readingsPerSecond)} readings/s`;
    say(`${formatCount(result.readings)} readings in ${formatSeconds(seconds)}, ${rate}`);
    for (const warning of result.found) {
      if (warning !== useless) say(`warning: ${warning.text}`);
    }
  }
  if (useless === null) {
    if (isFinished && !isSilent) (await next?.(store) ?? []).forEach(say);
    return true;
  }
  say(`error: Cannot use anything of this: ${useless.text}`);
  hintsFor(useless, result, options).forEach((line) => say(line));
  return false;
}

/** The summary in a few lines for people. */
export function describe(summary: Summary): string[] {
  const { ledger, meters, duplicates: { identical, conflicting } } = summary;
  const counts = ["ok", "late", "too_late", "duplicate", "rejected", "tick"] as const;
  const sum = counts.reduce((total, name) => total + ledger[name], 0);
  const parts = counts.map((name) => `${formatCount(ledger[name])} ${name.replace("_", " ")}`);
  // Of the ledger alone: whether the rows are there is for `verify` to say, which reads them.
  const seal = sum === ledger.raw ? "adds up" : `DOES NOT BALANCE: ${formatCount(sum)}`;
  const repeats = `duplicate: ${formatCount(identical)} identical, ${
    formatCount(conflicting)
  } conflicting with what is there`;
  return [
    `ledger: ${formatCount(ledger.raw)} raw = ${parts.join(" + ")}: ${seal}`,
    ...(identical + conflicting > 0 ? [repeats] : []),
    `${formatCount(meters)} ${meters === 1 ? "meter" : "meters"}, gaps: ${describeGaps(summary)}`,
    ...describeCompleteness(summary),
    ...describeFindings(summary),
  ];
}

/** How many runs and episodes rules have found, the commonest rule first. */
function describeFindings({ validation_records: records, validation_by_rule }: Summary): string[] {
  if (records === 0) return [];
  const rules = Object.entries(validation_by_rule).map(([rule, n]) => `${formatCount(n)} ${rule}`);
  return [
    `validation: ${formatCount(records)} ${records === 1 ? "record" : "records"}: ${
      rules.join(", ")
    }`,
  ];
}

/** How many gaps there are in each state; of a meter that is not judged it is not said that none is. */
function describeGaps({ gaps, meters, meters_by_status: { unjudged, unusable } }: Summary): string {
  const states = (["CLOSED", "OPEN", "EXPIRED", "FILLED"] as const).filter((state) =>
    gaps[state].gaps > 0
  ).map((state) => {
    // Those of silent meters go on: their length is said with the silence.
    const length = state === "EXPIRED"
      ? ""
      : ` (${formatCount(gaps[state].missing_intervals)} intervals)`;
    return `${formatCount(gaps[state].gaps)} ${state}${length}`;
  });
  const hasJudged = meters > unjudged + unusable;
  const found = states.length > 0 || !hasJudged ? states : ["none"];
  const unknown = [
    ...(unjudged > 0 ? [`${formatCount(unjudged)} unjudged (too few readings to tell)`] : []),
    ...(unusable > 0 ? [`${formatCount(unusable)} without a usable reading`] : []),
  ];
  return [...found, ...unknown].join(", ") || "none";
}

function describeCompleteness(
  { completeness_percent: percent, meters, meters_by_status, ...rest }: Summary,
): string[] {
  if (percent === null) return [];
  const { silent, retired, unusable } = meters_by_status;
  if (silent === 0) return [`completeness: ${percent} %`];
  const reporting = rest.completeness_reporting_percent;
  const count = meters - silent - retired - unusable;
  const others = count === 1 ? "1 meter that reports" : `${formatCount(count)} meters that report`;
  return [
    `completeness: ${percent} %` +
    (reporting === null ? "" : `, ${reporting} % of the ${others}`) +
    `; ${formatCount(silent)} silent (${formatCount(rest.silent_intervals)} intervals so far)`,
  ];
}
