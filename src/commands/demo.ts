import { lockDirectory, LockedError } from "../adapters/deno/directory_lock.ts";
import { readArguments, readNumber, readRate } from "../console/arguments.ts";
import { removeFiles, storeFiles } from "../setup/store.ts";
import { RunError } from "../console/errors.ts";
import { generate } from "./generate.ts";
import { attempt } from "../console/output_file.ts";
import { formatCount } from "../console/progress.ts";
import { quoteWord } from "../console/quote.ts";
import { loadConfig, print, say, STOPPED_EXIT_CODE } from "../console/shell.ts";
import { runPipeline } from "../setup/play.ts";
import type { Expected } from "../generate/truth.ts";
import type { Reader } from "../tables/query.ts";

export const usage = `Usage: gridwatch demo [options]

Plays the shipped sample (a real London meter, 2012 to 2014) and a generated fleet of 200 meters
(January 2014, with gaps, outages, late, double and bad readings), serves the page, and says at the
end what it found of that which was planted in the fleet.

  --port N       the page's port (default: 8000)
  --rate X|max   readings a second (default: 20000)
  --data DIR     the store (default: .gridwatch/demo)
  --exit         end when all is played
  --json         one JSON object on stdout at the end
  --quiet        no progress
  --fresh        forget an earlier demo's store first
  --config FILE  settings (default: config/config.yaml, where there is one)
`;

const OPTIONS = {
  port: { type: "string" },
  rate: { type: "string", default: "20000" },
  data: { type: "string" },
  exit: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  quiet: { type: "boolean", default: false },
  fresh: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

const SAMPLE = new URL("../../data/sample/london_MAC000002.csv", import.meta.url);

const SAMPLE_METER = "MAC000002";

/** The files that are played: in a folder of our name, since --data may name anybody's folder. */
const PLAYED = "gridwatch-demo";

/** Runs `gridwatch demo`. */
export async function demo(args: string[]): Promise<number> {
  const { values } = readArguments("demo", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  const config = await loadConfig(values.config);
  const directory = values.data ?? `${config.data_directory}/demo`;
  const port = values.port === undefined
    ? null
    : readNumber("demo", "port", values.port, { min: 0, max: 65_535, whole: true });
  const ratePerSecond = readRate("demo", values.rate);
  const prepared = await prepareFolder(directory, {
    isFresh: values.fresh,
    isSilent: values.quiet,
  });
  if (prepared === null) return STOPPED_EXIT_CODE;
  const { files, truth } = prepared;
  return await runPipeline({
    command: "demo",
    paths: files,
    config,
    directory,
    partitions: null,
    ratePerSecond,
    defects: {
      gapProbability: 0,
      delayProbability: 0,
      maxDelaySeconds: 300,
      duplicateProbability: 0,
      seed: 1,
    },
    columns: {},
    nowMs: null,
    isSilent: values.quiet,
  }, {
    port: port ?? (values.exit ? null : 8000),
    staysUp: !values.exit,
    isJson: values.json,
    next: async (store) => [
      await compareTruth(store, truth),
      await compareWrongs(store, truth),
      ...nextSteps(directory),
    ],
  });
}

/** What a made fleet must come to, by its truth, and what the store says of it. */
async function compareTruth(store: Reader, truthPath: string): Promise<string> {
  const { expected }: { expected: Expected } = JSON.parse(await Deno.readTextFile(truthPath));
  const { rows: [found] } = await store.query(
    `SELECT sum(readings - late_readings) AS ok, sum(late_readings) AS late,
       (SELECT count(*) FROM late_events WHERE meter_id <> $1) AS too_late,
       (SELECT count(*) FROM rejected_readings
        WHERE meter_id IS NOT $1 AND reason IN ('DUPLICATE', 'CONFLICT')) AS duplicate,
       (SELECT count(*) FROM rejected_readings
        WHERE meter_id IS NOT $1 AND reason NOT IN ('DUPLICATE', 'CONFLICT')) AS rejected,
       (SELECT count(*) FROM gap_alerts WHERE meter_id <> $1 AND state = 'CLOSED') AS gaps,
       (SELECT sum(missing_intervals) FROM gap_alerts WHERE meter_id <> $1 AND state = 'CLOSED')
         AS missing_intervals
     FROM readings_meter_daily WHERE meter_id <> $1`,
    [SAMPLE_METER],
  );
  const names = ["ok", "late", "too_late", "duplicate", "rejected", "gaps", "missing_intervals"];
  const parts = names.map((name) => {
    const [planted, counted] = [Number(expected[name as keyof Expected]), Number(found[name])];
    const said = `${formatCount(counted)} ${name.replaceAll("_", " ")}`;
    return planted === counted ? said : `${said} where ${formatCount(planted)} were planted`;
  });
  const isSame = parts.every((part) => !part.endsWith("planted"));
  return `the made fleet, beside what was planted in it: ${parts.join(", ")}: ${
    isSame ? "all is found" : "it differs; do the settings?"
  }`;
}

/** A defect that rules should find, of the truth of a made fleet. */
type PlantedWrong = {
  readonly kind: string;
  readonly meter_id: string;
  readonly from: string;
  readonly to: string;
  readonly rules?: readonly string[];
};

/** How many of the planted wrong values have a record of a rule that looks for them. */
async function compareWrongs(store: Reader, truthPath: string): Promise<string> {
  const { defects }: { defects: PlantedWrong[] } = JSON.parse(await Deno.readTextFile(truthPath));
  const { rows } = await store.query(
    `SELECT meter_id, rule, "from" AS from_at, "to" AS to_at FROM validation_records`,
  );
  const records = Map.groupBy(rows, ({ meter_id }) => String(meter_id));
  const planted = defects.filter(({ rules }) => (rules ?? []).length > 0);
  const kinds = Map.groupBy(planted, ({ kind }) => kind);
  const isFound = ({ meter_id, rules, from, to }: PlantedWrong) =>
    (records.get(meter_id) ?? []).some((record) =>
      rules!.includes(String(record.rule)) &&
      Date.parse(String(record.from_at)) < Date.parse(to) &&
      Date.parse(String(record.to_at)) > Date.parse(from)
    );
  const parts = [...kinds].map(([kind, of]) =>
    `${formatCount(of.filter(isFound).length)} of ${formatCount(of.length)} ${
      kind.replaceAll("_", " ")
    }`
  );
  const found = planted.filter(isFound).length;
  return `wrong values planted in it, and found by rules: ${formatCount(found)} of ` +
    `${formatCount(planted.length)}: ${
      parts.join(", ")
    }; swapped meters and clocks that are off no ` +
    "rule can see";
}

/** What to do after the demo, ready to paste: a look into its store, and one's own files. */
function nextSteps(directory: string): string[] {
  const gridwatch = Deno.build.standalone ? "gridwatch" : "deno task gridwatch";
  const sql = "SELECT * FROM completeness_daily ORDER BY completeness_percent LIMIT 5";
  return [
    "next, the worst days in it, and your own files:",
    `  ${gridwatch} query "${sql}" --data ${quoteWord(directory)}`,
    `  ${gridwatch} run YOUR_FILE.csv`,
  ];
}

/**
 * Makes the files that are played, and the folder of their store; null: stopped. Under the store's
 * lock: a demo that runs there is not disturbed.
 *
 * @throws {RunError} when the folder is in use, or cannot be written
 */
async function prepareFolder(
  directory: string,
  { isFresh, isSilent }: { isFresh: boolean; isSilent: boolean },
): Promise<{ readonly files: string[]; readonly truth: string } | null> {
  const what = `make the demo in ${directory}`;
  // Before the lock is taken, which marks a folder as ours.
  const forgotten = isFresh ? await storeFiles(directory) : [];
  const lock = await attempt(what, () => lockDirectory(directory)).catch((error) => {
    if (!(error.cause instanceof LockedError)) throw error;
    throw new RunError(error.message, "stop it, or use --data DIR", { cause: error });
  });
  try {
    await removeFiles(forgotten);
    const played = `${directory}/${PLAYED}`;
    await attempt(what, () => Deno.mkdir(played, { recursive: true }));
    const samplePath = `${played}/london_MAC000002.csv`;
    const sample = await Deno.readTextFile(SAMPLE);
    await attempt(what, () => Deno.writeTextFile(samplePath, sample));
    const fleetPath = `${played}/fleet.csv`;
    if (!isSilent) say("making a fleet of 200 meters");
    const fleet = ["--meters", "200", "--days", "28", "--start", "2013-12-29T00:00:00Z"];
    fleet.push("--wrong-values");
    const truth = `${played}/fleet_truth.json`;
    const outputs = ["--output", fleetPath, "--defects", truth, "--force", "--quiet"];
    const code = await generate([...fleet, ...outputs]);
    return code === 0 ? { files: [samplePath, fleetPath], truth } : null;
  } finally {
    lock.release();
  }
}
