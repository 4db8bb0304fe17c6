import { readArguments, refuseTogether } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { inputRecords, nameInput, openInput } from "../setup/input.ts";
import { sayFindings } from "../setup/input_findings.ts";
import { withBrokers } from "../setup/kafka.ts";
import { replayIntoKafka } from "./replay_kafka.ts";
import { openOutputFile, openOutputStream, type Output, writeAll } from "../console/output_file.ts";
import { print, say, shellProgress, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";
import { formatCount } from "../console/progress.ts";
import { PLAY_OPTIONS, readPlayOptions, runPipeline, withFoundFiles } from "../setup/play.ts";

export const usage = `Usage: gridwatch replay FILE… [options]

Plays meter files in event time, one tick a minute, with defects put in where asked for; the same
seed gives the same stream. The target is the embedded pipeline, the raw topic on Kafka, or a file.

  FILE…                 CSV with a meter, a time and a value column, in any order
  --data DIR            into the store of this directory (default: .gridwatch)
  --kafka               into the raw topic instead, each record once however often it is cut off
  --brokers LIST        of these brokers (default: kafka.brokers)
  --output FILE.jsonl   into a file instead: a recorded raw topic; - is stdout. The file appears
                        whole, or not at all when it is stopped
  --force               replace that file where it is there already
  --rate X|max          readings a second (default: max)
  --gap-probability P   share of readings left out, such as 0.05 (default: 0)
  --delay-probability P share of readings that arrive late, such as 0.1 (default: 0)
  --max-delay-seconds N … by up to this much (default: 300)
  --duplicate-probability P
                        share of readings sent twice (default: 0)
  --seed N              (default: 1)
  --partitions N, --scope partition|meter, --now ISO, --json, --quiet, --config FILE,
  --format NAME, --meter-id NAME, --meter-column NAME, and what else says how files are read
                        as of \`gridwatch run\`

Examples:
  gridwatch replay data/sample/london_MAC000002.csv --gap-probability 0.05 --data /tmp/trial
  gridwatch replay data/sample/london_MAC000002.csv --delay-probability 0.1 --output raw.jsonl
`;

/** Runs `gridwatch replay`. */
export async function replay(args: string[]): Promise<number> {
  const options = {
    ...PLAY_OPTIONS,
    output: { type: "string" },
    force: { type: "boolean", default: false },
    kafka: { type: "boolean", default: false },
    brokers: { type: "string" },
  } as const;
  const { values, positionals } = readArguments("replay", args, options, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("replay", values, ["kafka", "output", "data"]);
  refuseTogether("replay", values, ["brokers", "output", "data"]);
  const play = { ...await readPlayOptions("replay", values), paths: positionals };
  if (values.kafka || values.brokers !== undefined) {
    const config = withBrokers(play.config, values.brokers);
    return await replayIntoKafka(await withFoundFiles({ ...play, config }), values.json);
  }
  if (values.output === "") {
    throw new UsageError('Cannot replay with --output="": must be a file, or -');
  }
  if (values.output === undefined) {
    return await runPipeline(play, { port: null, staysUp: false, isJson: values.json });
  }
  if (Number.isFinite(play.ratePerSecond)) {
    throw new UsageError("Cannot replay with --rate into a file", "leave --rate out");
  }
  return await record(await withFoundFiles(play), values.output, {
    replaces: values.force,
    isJson: values.json,
  });
}

type Play = Awaited<ReturnType<typeof readPlayOptions>> & { readonly paths: string[] };

/** Writes the raw records as lines; a tick stands once, though every partition gets it. */
async function record(
  play: Play,
  path: string,
  { replaces, isJson }: { readonly replaces: boolean; readonly isJson: boolean },
): Promise<number> {
  const output = path === "-"
    ? openOutputStream((bytes) => writeAll(Deno.stdout, bytes))
    : await openOutputFile(path, { replaces });
  const stop = stopSignal(() => say("stopping"));
  try {
    const { readings, rows } = await recordInto(output, play, stop.signal);
    if (stop.signal.aborted) {
      if (path !== "-") say(`stopped: ${path} was not written`);
      return STOPPED_EXIT_CODE;
    }
    await output.commit();
    if (isJson && path !== "-") print(JSON.stringify({ output: path, readings, rows }));
    if (!play.isSilent) say(`${formatCount(readings)} readings written to ${path}`);
    return 0;
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return STOPPED_EXIT_CODE;
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return 0; // `replay --output - | head` has seen enough
  } finally {
    await output.abort();
    stop.release();
  }
}

/** Writes lines until the input ends or the signal aborts; gives what was written. */
async function recordInto(
  output: Output,
  play: Play,
  signal: AbortSignal,
): Promise<{ readings: number; rows: number }> {
  const nowMs = play.nowMs ?? Date.now();
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "gridwatch-" });
  const options = {
    ...play,
    partitions: 1,
    nowMs,
    temporaryDirectory,
    signal,
    endsRecorded: true,
  };
  let readings = 0;
  let rows = 0;
  try {
    const input = await openInput(await nameInput("replay", play.paths, options), options);
    if (!play.isSilent) sayFindings(input);
    const progress = shellProgress({
      verb: "replaying",
      rowsTotal: input.inspection?.rows ?? null,
      isSilent: play.isSilent,
    });
    try {
      for await (const chunk of inputRecords(input, options)) {
        if (signal.aborted) break;
        await output.write(linesOf(chunk));
        for (const partition of chunk.partitions) if (partition >= 0) readings++;
        rows += chunk.rowsRead;
        progress.update(rows, Number.isNaN(chunk.lastEventTimeMs) ? null : chunk.lastEventTimeMs);
      }
    } finally {
      progress.clear();
    }
  } finally {
    await Deno.remove(temporaryDirectory, { recursive: true });
  }
  return { readings, rows };
}

const NEWLINE = 0x0a;

function linesOf(
  { bytes, ends, count }: { bytes: Uint8Array; ends: Int32Array; count: number },
): Uint8Array {
  const lines = new Uint8Array((count === 0 ? 0 : ends[count - 1]) + count);
  let at = 0;
  for (let r = 0, start = 0; r < count; start = ends[r++]) {
    lines.set(bytes.subarray(start, ends[r]), at);
    at += ends[r] - start;
    lines[at++] = NEWLINE;
  }
  return lines;
}
