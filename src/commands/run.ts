import { readArguments, readNumber, refuseTogether } from "../console/arguments.ts";
import { print } from "../console/shell.ts";
import { databaseUrl } from "../setup/database.ts";
import { FORMAT_USAGE } from "../setup/meter_files.ts";
import { openEmbedded, PLAY_OPTIONS, readPlayOptions, runPipeline } from "../setup/play.ts";
import { openRunDatabase } from "../setup/run_database.ts";

export const usage = `Usage: gridwatch run FILE… [options]

Plays meter files through the whole pipeline: replay, processor, store, status page.
Cut off anywhere, the same command goes on where it stood. Exit code 1 where nothing in the files
could be used.

  FILE…                 CSV with a meter, a time and a value column; or .jsonl: a recorded raw
                        topic, played as it stands
  --data DIR            the store (default: .gridwatch)
  --database URL        a PostgreSQL or TimescaleDB database instead, which is brought to this
                        version's schema: postgres://user:password@host:5432/name
  --fresh               forget what the store holds first
  --rate X|max          readings a second (default: max)
  --partitions N        partitions of the raw log (default: 1)
  --scope partition|meter
                        whose clock judges lateness (default: partition)
  --port N              the page's port (default: 8000)
  --exit                end when all is played; no page, unless --port is given
  --json                one JSON object on stdout at the end
  --quiet               no progress
${FORMAT_USAGE}
  --now ISO             readings dated after this are from the future (default: now)
  --config FILE         settings (default: config/config.yaml, where there is one)

Defects, for trying things out; the same seed gives the same stream:
  --gap-probability P   share of readings left out (default: 0)
  --delay-probability P share of readings that arrive late (default: 0)
  --max-delay-seconds N … by up to this much (default: 300)
  --duplicate-probability P
                        share of readings sent twice (default: 0)
  --seed N              (default: 1)

Examples:
  gridwatch run data/sample/london_MAC000002.csv
  gridwatch run data/sample/*.csv --exit --json
`;

/** Runs `gridwatch run`. */
export async function run(args: string[]): Promise<number> {
  const options = {
    ...PLAY_OPTIONS,
    database: { type: "string" },
    port: { type: "string" },
    exit: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
  } as const;
  const { values, positionals } = readArguments("run", args, options, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("run", values, ["data", "database"]);
  refuseTogether("run", values, ["fresh", "database"]);
  const play = await readPlayOptions("run", values);
  const { config, isSilent } = play;
  const url = values.database === undefined ? null : databaseUrl("run", config, values.database);
  const port = values.port === undefined
    ? null
    : readNumber("run", "port", values.port, { min: 0, max: 65_535, whole: true });
  return await runPipeline({ ...play, words: args, paths: positionals }, {
    port: port ?? (values.exit ? null : 8000),
    staysUp: !values.exit,
    isJson: values.json,
    open: url === null
      ? () => openEmbedded(play.directory, { config, isFresh: values.fresh })
      : () => openRunDatabase(url, { config, isSilent }),
  });
}
