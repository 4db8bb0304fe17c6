import { resolve } from "node:path";
import { formatSeconds } from "../core/duration.js";
import { formatTimestamp, parseTimestamp } from "../core/time.ts";
import { UTC_ZONE } from "../core/zone.ts";
import { fleetCsv, type FleetOptions, type FleetPlan, planFleet } from "../generate/fleet.ts";
import { countDefects, type Expected, expectLedger, truthJson } from "../generate/truth.ts";
import { readArguments, readNumber } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { openOutputFile, openOutputStream, type Output, writeAll } from "../console/output_file.ts";
import { createProgress, formatCount } from "../console/progress.ts";
import { draw, say, STOPPED_EXIT_CODE, stopSignal } from "../console/shell.ts";

/** The help text of `gridwatch generate`. */
export const usage = `Usage: gridwatch generate [options]

Writes the readings of a made-up fleet of meters as CSV, in order of arrival, with gaps, outages,
late, repeated, wrong and unusable readings in it; and the truth about each of them, if asked.
The same options give the same bytes.

Options:
  --output FILE    where to write; "-" is stdout (default data/sample_data.csv)
  --force          replace files that are there already
  --meters N       how many meters (default 10)
  --days N         how many days (default 7)
  --interval MIN   minutes from one reading of a meter to the next (default 30)
  --start TIME     the first reading, ISO 8601, UTC unless it says (default 2024-01-01T00:00:00Z)
  --seed N         another number, another fleet (default 1)
  --defects FILE   write every injected defect and the expected totals to FILE, as JSON
  --wrong-values   inject, besides, what validation rules look for: runs of zeros, scaled, high, low
                   and repeated days, lines filled in, clocks off, swapped meters, registers
  --clean          inject no defects
  --json           print one JSON object on stdout when done
  --quiet          no progress, no summary
  --help           print this text

Example:
  gridwatch generate --output data/fleet.csv --meters 200 --days 30 --defects data/fleet.json
`;

/** The world outside, for tests to replace. */
export type GeneratePorts = {
  readonly stdout: (bytes: Uint8Array) => Promise<void>;
  /** Says a line. */
  readonly say: (text: string) => void;
  /** Draws the progress line. */
  readonly draw: (text: string) => void;
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly nowMs: () => number;
};

type Options = FleetOptions & {
  readonly output: string;
  readonly defects: string | null;
  readonly replaces: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** More would hold too many defects in memory, and be more than 40 GB of CSV. */
const READINGS_MAX = 1_000_000_000;
const YEAR_10000_MS = Date.UTC(10_000, 0, 1);

/**
 * Runs `gridwatch generate`; the exit code is 0, or 130 when stopped. Files appear whole or not at
 * all.
 *
 * @throws {UsageError} for options out of range
 * @throws {RunError} when a file cannot be written
 */
export async function generate(args: string[], ports = processPorts()): Promise<number> {
  const options = parseOptions(args);
  if (options === "help") {
    await ports.stdout(new TextEncoder().encode(usage));
    return 0;
  }
  const startedMs = ports.nowMs();
  const plan = planFleet(options);
  const expected = expectLedger(plan, true);
  const ended = await writeFleet(plan, { options, expected, ports });
  if (ended === "stopped") ports.say("stopped: no file was written");
  if (ended !== "written") return ended === "stopped" ? STOPPED_EXIT_CODE : 0;
  const seconds = Math.round(ports.nowMs() - startedMs) / 1000;
  const counts = countDefects(plan);
  if (!options.quiet) {
    summary(options, { readings: expected.raw, counts, seconds }).forEach((line) =>
      ports.say(line)
    );
  }
  if (options.json) {
    const { output, meters } = options;
    const answer = { output, meters, readings: expected.raw, defects: counts, seconds };
    await ports.stdout(new TextEncoder().encode(JSON.stringify(answer) + "\n"));
  }
  return 0;
}

function parseOptions(args: string[]): Options | "help" {
  const { values } = readArguments("generate", args, OPTIONS);
  if (values.help) return "help";
  const whole = (name: "meters" | "days" | "interval" | "seed", min: number, max: number) =>
    readNumber("generate", name, values[name], { min, max, whole: true });
  const meters = whole("meters", 1, 1_000_000);
  const days = whole("days", 1, 36_500);
  const intervalMinutes = whole("interval", 1, 1440);
  const seed = whole("seed", 0, 2 ** 32 - 1);
  const readings = meters * Math.floor(days * 1440 / intervalMinutes);
  if (readings > READINGS_MAX) {
    throw new UsageError(
      `Cannot generate ${formatCount(readings)} readings: must be at most ` +
        formatCount(READINGS_MAX),
      "fewer --meters or --days, or a longer --interval",
    );
  }
  const startMs = parseTimestamp(values.start, UTC_ZONE);
  const isInRange = startMs >= 0 && startMs + days * 86_400_000 <= YEAR_10000_MS;
  if (!isInRange || startMs % 1000 !== 0) {
    throw new UsageError(
      `Cannot generate with --start="${values.start}": must be an ISO 8601 time in whole ` +
        "seconds from 1970 to 9999, such as 2024-01-01T00:00:00Z",
    );
  }
  const { output, defects = null, force: replaces, clean, json, quiet } = values;
  if (output === "") throw new UsageError('Cannot generate with --output="": must be a file or -');
  if (output === "-" && json) {
    throw new UsageError(
      "Cannot generate with --output=- and --json: both would be written to stdout",
      "write to a file, or leave --json out",
    );
  }
  if (
    defects === "" || defects === "-" || (defects !== null && resolve(defects) === resolve(output))
  ) {
    throw new UsageError(
      `Cannot generate with --defects="${defects}": must be a file of its own`,
    );
  }
  const hasWrongs = values["wrong-values"];
  if (hasWrongs && clean) {
    throw new UsageError("Cannot generate with --wrong-values and --clean: one says no defects");
  }
  const fleet = { seed, meters, days, intervalMinutes, startMs, clean, hasWrongs };
  return { ...fleet, output, defects, replaces, json, quiet };
}

const OPTIONS = {
  output: { type: "string", default: "data/sample_data.csv" },
  meters: { type: "string", default: "10" },
  days: { type: "string", default: "7" },
  interval: { type: "string", default: "30" },
  start: { type: "string", default: "2024-01-01T00:00:00Z" },
  seed: { type: "string", default: "1" },
  defects: { type: "string" },
  force: { type: "boolean", default: false },
  "wrong-values": { type: "boolean", default: false },
  clean: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  quiet: { type: "boolean", default: false },
  help: { type: "boolean", default: false, short: "h" },
} as const;

type Writing = {
  readonly options: Options;
  readonly expected: Expected;
  readonly ports: GeneratePorts;
};

/** Writes both files; `unread`: the reader of stdout has gone away. */
async function writeFleet(
  plan: FleetPlan,
  { options, expected, ports }: Writing,
): Promise<"written" | "stopped" | "unread"> {
  const { output, defects, replaces, quiet, json } = options;
  const { nowMs, draw: write, isTerminal, columns } = ports;
  const isSilent = quiet || json;
  const rowsTotal = expected.raw;
  const progress = createProgress(
    { verb: "generating", rowsTotal, nowMs, write, isTerminal, columns, isSilent },
  );
  const encoder = new TextEncoder();
  const outputs: Output[] = [];
  let rows = -1; // the header is no row
  const stop = stopSignal(() => {});
  try {
    outputs.push(
      output === "-" ? openOutputStream(ports.stdout) : await openOutputFile(output, { replaces }),
    );
    if (defects !== null) outputs.push(await openOutputFile(defects, { replaces }));
    const [readings, truth] = outputs;
    for (const text of fleetCsv(plan)) {
      const bytes = encoder.encode(text);
      for (let at = 0; (at = bytes.indexOf(10, at) + 1) > 0;) rows++;
      await readings.write(bytes);
      progress.update(rows);
      if (stop.signal.aborted) {
        for (const output of outputs) await output.abort();
        return "stopped";
      }
    }
    if (rows !== expected.raw) throw new Error(`wrote ${rows} rows, planned ${expected.raw}`);
    if (truth) {
      for (const text of truthJson(plan, expected)) await truth.write(encoder.encode(text));
    }
    for (const output of outputs) await output.commit();
    return "written";
  } catch (error) {
    for (const output of outputs) await output.abort();
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    // `generate --output - | head` is no failure, unless the truth was wanted too.
    if (defects === null) return "unread";
    throw new RunError(`Cannot write "${defects}": stdout was closed`, undefined, { cause: error });
  } finally {
    progress.clear();
    stop.release();
  }
}

function processPorts(): GeneratePorts {
  return {
    stdout: (bytes) => writeAll(Deno.stdout, bytes),
    say,
    draw,
    isTerminal: Deno.stderr.isTerminal(),
    columns: () => Deno.consoleSize().columns,
    nowMs: () => performance.now(),
  };
}

type Written = {
  readonly readings: number;
  readonly counts: ReturnType<typeof countDefects>;
  readonly seconds: number;
};

function summary(options: Options, { readings, counts, seconds }: Written): string[] {
  const { output, meters, intervalMinutes, startMs, defects } = options;
  const listed = Object.entries(counts).filter(([, count]) => count > 0);
  const lines = [
    `wrote ${output === "-" ? "stdout" : output}: ${formatCount(readings)} readings of ` +
    `${formatCount(meters)} ${
      meters === 1 ? "meter" : "meters"
    }, every ${intervalMinutes} min from ` +
    `${formatTimestamp(startMs)}, in ${formatSeconds(seconds)}`,
    listed.length === 0
      ? "without defects"
      : `with defects: ${
        listed.map(([kind, count]) => `${formatCount(count)} ${kind}`).join(", ")
      }`,
  ];
  if (defects !== null) lines.push(`wrote ${defects}: the truth about them`);
  return lines;
}
