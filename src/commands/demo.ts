import { readArguments, readNumber, readRate } from "./arguments.ts";
import { generate } from "./generate.ts";
import { loadConfig, print, say } from "./shell.ts";
import { runPipeline } from "./run.ts";

export const usage = `Usage: gridwatch demo [options]

Plays the shipped sample (a real London meter, 2012 to 2014) and a generated fleet of 200 meters
(January 2014, with gaps, outages, late, double and bad readings) and serves the page.

  --port N       the page's port (default: 8000)
  --rate X|max   readings a second (default: 20000)
  --data DIR     the store (default: .gridwatch/demo)
  --exit         end when all is played
  --json         one JSON object on stdout at the end
  --quiet        no progress
  --fresh        forget an earlier demo's store first
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
  if (values.fresh) await removeStore(directory);
  await Deno.mkdir(directory, { recursive: true });
  const samplePath = `${directory}/london_MAC000002.csv`;
  await Deno.writeTextFile(samplePath, await Deno.readTextFile(SAMPLE));
  const fleetPath = `${directory}/fleet.csv`;
  if (!values.quiet) say("making a fleet of 200 meters");
  const fleet = ["--meters", "200", "--days", "28", "--start", "2013-12-29T00:00:00Z"];
  await generate([...fleet, "--output", fleetPath, "--quiet"]);
  return await runPipeline({
    command: "demo",
    paths: [samplePath, fleetPath],
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
  }, { port: port ?? (values.exit ? null : 8000), staysUp: !values.exit, isJson: values.json });
}

/** Removes what a store consists of, and nothing else that may stand there. */
async function removeStore(directory: string): Promise<void> {
  for (const name of ["pg", "tmp"]) {
    try {
      await Deno.remove(`${directory}/${name}`, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
