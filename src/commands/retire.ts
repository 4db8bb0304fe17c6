import { readArguments, refuseTogether } from "../console/arguments.ts";
import { RunError, UsageError } from "../console/errors.ts";
import { loadConfig, print, say } from "../console/shell.ts";
import { isMeterId, trimMeterId } from "../core/meter_id.ts";
import { quoteWord } from "../console/quote.ts";
import { databaseUrl } from "../setup/database.ts";
import { KAFKA_OPTIONS, withBrokers } from "../setup/kafka.ts";
import { openEmbedded } from "../setup/play.ts";
import { type Retired, retireInStore, retireOnKafka } from "../setup/retire.ts";
import { openRunDatabase } from "../setup/run_database.ts";

export const usage = `Usage: gridwatch retire METER… [options]

Says of meters that they have left. Their silence ends: no slot of theirs is missing from here on, and
they no longer count among the silent. A reading that comes all the same begins a new history.
Saying it again changes nothing.

  METER…          their ids, as \`gridwatch query "SELECT meter_id FROM silences"\` lists them
  --data DIR      in the embedded store (default: .gridwatch)
  --database URL  in a PostgreSQL or TimescaleDB database that \`gridwatch run\` plays into
  --kafka         on Kafka: a record in the raw topic, in the partition of its meter
  --brokers LIST  Kafka's addresses (default: kafka.brokers)
  --json          one JSON object on stdout
  --config FILE   settings (default: config/config.yaml, where there is one)

Examples:
  gridwatch retire MAC000065 MAC000071
  gridwatch retire MAC000065 --kafka
`;

const OPTIONS = {
  data: { type: "string" },
  database: { type: "string" },
  kafka: { type: "boolean", default: false },
  ...KAFKA_OPTIONS,
  json: { type: "boolean", default: false },
} as const;

/** Runs `gridwatch retire`. */
export async function retire(args: string[]): Promise<number> {
  const { values, positionals } = readArguments("retire", args, OPTIONS, { takesWords: true });
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("retire", values, ["data", "database", "kafka"]);
  const meterIds = readMeterIds(positionals);
  const config = withBrokers(await loadConfig(values.config), values.brokers);
  let retired: Retired;
  if (values.kafka) retired = await retireOnKafka(config, meterIds);
  else {
    const store = values.database === undefined
      ? await openEmbedded(values.data ?? config.data_directory, { config, makes: false })
      : await openRunDatabase(databaseUrl("retire", config, values.database), {
        config,
        isSilent: true,
      });
    try {
      retired = await retireInStore(store, config, meterIds);
    } catch (error) {
      throw store.explain(error);
    } finally {
      await store.close();
    }
  }
  return report(retired, values.json);
}

function readMeterIds(words: readonly string[]): string[] {
  const ids = words.map(trimMeterId);
  if (ids.length === 0) {
    throw new UsageError("Cannot retire: no meter named", "gridwatch retire --help");
  }
  const wrong = words.find((_, w) => !isMeterId(ids[w]));
  if (wrong === undefined) return [...new Set(ids)];
  throw new UsageError(`Cannot retire ${quoteWord(wrong)}: it is no meter's id`);
}

function report({ retired, already, unknown, where }: Retired, isJson: boolean): number {
  if (isJson) print(JSON.stringify({ retired, already, unknown }));
  for (const id of retired) say(`${id} is retired${where}`);
  for (const id of already) say(`${id} was retired before`);
  if (unknown.length === 0) return 0;
  throw new RunError(
    `Cannot retire ${unknown.map(quoteWord).join(", ")}: no reading of it has ever come`,
    'gridwatch query "SELECT meter_id, status FROM meter_status" lists the meters',
  );
}
