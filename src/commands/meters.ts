import { readArguments, refuseTogether } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say, stdoutColumns } from "../console/shell.ts";
import { formatCsv, formatJson, formatTable } from "../console/table.ts";
import type { Config } from "../settings.ts";
import { databaseMeant, databaseUrl, openDatabase } from "../setup/database.ts";
import { KAFKA_OPTIONS, withBrokers } from "../setup/kafka.ts";
import { openEmbedded } from "../setup/play.ts";
import {
  type Imported,
  importIntoStore,
  importOnKafka,
  readRegistryFile,
  type RegistryRow,
} from "../setup/registry.ts";
import { openRunDatabase } from "../setup/run_database.ts";
import { openStoreReader } from "../setup/store.ts";
import { queryOf, type Reader } from "../tables/query.ts";
import { readRegistry } from "../tables/registry.ts";
import { isoFromMs } from "../tables/values.ts";

export const usage = `Usage: gridwatch meters import FILE | list [options]

The registry: which meters there are, in which group (a transformer, a concentrator), how often and from
when to when they report. Shared outages are found by group. Importing the same file again changes
nothing; of a row that says something else a new version is in force from then on.

  import FILE     CSV with the columns meter_id, channel, group, interval_minutes, timezone,
                  active_from, active_to, direction (import or export), max_kw; all but the first
                  may be left out
  list            what is in force
  --data DIR      of the embedded store (default: .gridwatch)
  --database URL  of a database that \`gridwatch run\` plays into; list: of any
  --kafka         import: records in the raw topic, held against what --database has
  --brokers LIST  Kafka's addresses (default: kafka.brokers)
  --json          of import one object, of list an array
  --csv           list: as a file that import takes
  --config FILE   settings

Examples:
  gridwatch meters import meters.csv
  gridwatch meters list --csv > meters.csv
`;

const OPTIONS = {
  data: { type: "string" },
  database: { type: "string" },
  kafka: { type: "boolean", default: false },
  ...KAFKA_OPTIONS,
  json: { type: "boolean", default: false },
  csv: { type: "boolean", default: false },
} as const;

type Values = { readonly data?: string; readonly database?: string; readonly kafka: boolean };

/** Runs `gridwatch meters`. */
export async function meters(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("meters", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("meters", values, ["json", "csv"]);
  refuseTogether("meters", values, ["data", "database"]);
  refuseTogether("meters", values, ["data", "kafka"]);
  const [verb, path, ...more] = positionals;
  const config = withBrokers(await loadConfig(values.config), values.brokers);
  if (verb === "list" && path === undefined) return await list(config, values);
  if (verb !== "import" || path === undefined || more.length > 0) {
    throw new UsageError(
      "Cannot keep the registry: import FILE, or list",
      "gridwatch meters --help",
    );
  }
  const text = await attempt(`read ${path}`, () => Deno.readTextFile(path));
  const imported = await importRows(config, values, readRegistryFile(path, text));
  if (values.json) print(JSON.stringify(imported));
  const { changed, unchanged, version } = imported;
  say(
    changed === 0
      ? `nothing new of ${formatCount(unchanged)} meters`
      : `${formatCount(changed)} meters are registered anew, as version ${version}; of ` +
        `${formatCount(unchanged)} nothing is new`,
  );
  return 0;
}

async function importRows(
  config: Config,
  values: Values,
  rows: readonly RegistryRow[],
): Promise<Imported> {
  if (values.kafka) {
    return await importOnKafka(config, {
      url: databaseUrl("meters", config, values.database),
      rows,
    });
  }
  const store = values.database === undefined
    ? await openEmbedded(values.data ?? config.data_directory, { config })
    : await openRunDatabase(databaseUrl("meters", config, values.database), {
      config,
      isSilent: true,
    });
  try {
    return await importIntoStore(store, config, rows);
  } catch (error) {
    throw store.explain(error);
  } finally {
    await store.close();
  }
}

async function list(
  config: Config,
  values: Values & { readonly json: boolean; readonly csv: boolean },
): Promise<number> {
  const url = databaseMeant("meters", config, values);
  const reader: Reader & { close(): Promise<void> } = url === null
    ? await openStoreReader(values.data ?? config.data_directory)
    : await openDatabase(url);
  try {
    const rows = (await readRegistry(queryOf(reader))).map((meter) => ({
      meter_id: meter.meterId,
      channel: meter.channel === "" ? null : meter.channel,
      group: meter.group,
      interval_minutes: meter.intervalMinutes,
      timezone: meter.timezone,
      active_from: isoFromMs(meter.activeFromMs),
      active_to: isoFromMs(meter.activeToMs),
      direction: meter.direction,
      max_kw: meter.maxKw,
      ...(values.csv ? {} : { version: meter.version, in_force: meter.inForce }),
    }));
    const columns = Object.keys(rows[0] ?? { meter_id: null });
    const cells = rows.map((row) => Object.values(row));
    if (values.json) print(formatJson(columns, cells));
    else if (values.csv) print(formatCsv(columns, cells));
    else print(formatTable(columns, cells, { widthMax: stdoutColumns() }));
    return 0;
  } finally {
    await reader.close();
  }
}
