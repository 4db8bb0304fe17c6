import { readArguments, refuseTogether, withScope } from "../../console/arguments.ts";
import type { StoreVerified, TablesVerified } from "../../setup/answers.ts";
import { databaseMeant } from "../../setup/database.ts";
import { DAMAGE_HINT, SqlError } from "../../adapters/sqlite/errors.ts";
import { openStoreReader } from "../../setup/store.ts";
import { UsageError } from "../../console/errors.ts";
import { withBrokers } from "../../setup/kafka.ts";
import { verifyKafka } from "./kafka.ts";
import { describeTables, readTables, rowsVerified, sealOf } from "./tables.ts";
import { loadConfig, print, say } from "../../console/shell.ts";
import { formatCount } from "../../console/progress.ts";
import { emptyLedger } from "../../core/ledger.ts";
import { readBalance } from "../../tables/balance.ts";
import { describeDropped } from "../../setup/dropped.ts";
import { readDropped } from "../../tables/dropped.ts";
import { queryOf } from "../../tables/query.ts";

export const usage =
  `Usage: gridwatch verify [--data DIR | --database URL | --kafka [--database URL]] [--json]

Holds the ledger against the rows: every raw record has one disposition, every disposition its row.
It proves the rows, too: none is lost, doubled or altered. Exit code 0: it balances; 3: it does not,
and the differences are listed. What retention has dropped is told, and is no difference.

On Kafka it recomputes every output from the raw topic, as far as the processors have committed,
and compares it with what the output topics hold, byte for byte; with a database, the tables that
sinks have written with both. It works while they run.

  --database URL the tables of a database (default: database.url, unless --data is given)
  --kafka        the topics, and the tables where a database is named
  --brokers LIST of these brokers (default: kafka.brokers)
  --scope partition|meter
                 as the processors were started with (default: watermark_scope)
  --data DIR     the store (default: .gridwatch)
  --json         one JSON object on stdout
  --config FILE  settings
`;

const OPTIONS = {
  database: { type: "string" },
  kafka: { type: "boolean", default: false },
  brokers: { type: "string" },
  scope: { type: "string" },
  data: { type: "string" },
  json: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch verify`; the exit code is 3 when the ledger does not balance. */
export async function verify(args: string[]): Promise<number> {
  const { values } = readArguments("verify", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("verify", values, ["data", "database"]);
  const isKafka = values.kafka || values.brokers !== undefined;
  if (values.scope !== undefined && !isKafka) {
    throw new UsageError(
      "Cannot verify with --scope: only outputs on Kafka are recomputed",
      "--kafka, or leave it out",
    );
  }
  const config = await loadConfig(values.config);
  const { data, json } = values;
  const url = databaseMeant("verify", config, values);
  if (isKafka) {
    const scoped = withScope("verify", config, values.scope);
    return await verifyKafka(withBrokers(scoped, values.brokers), { url, isJson: json });
  }
  if (url !== null) return await verifyDatabase(url, json);
  return await verifyStore(data ?? config.data_directory, json);
}

async function verifyDatabase(url: string, isJson: boolean): Promise<number> {
  const tables = await readTables(url);
  const { balanced, ledger, differences, notCompared } = tables;
  if (isJson) {
    const answer: TablesVerified = {
      balanced,
      ledger,
      ...rowsVerified(tables, differences),
      not_compared: notCompared,
    };
    print(JSON.stringify(answer));
  }
  for (const line of describeTables(tables, differences)) say(line);
  return balanced === false ? 3 : 0;
}

const NOTHING = { ledger: emptyLedger(), differences: [], notCompared: [] };

async function verifyStore(directory: string, isJson: boolean): Promise<number> {
  const reader = await openStoreReader(directory, { statementMsMax: Infinity });
  try {
    const { balance, dropped, findings } = await reader.transaction(async (moment) => {
      const findings = await moment.check();
      // Where a table cannot even be read, the findings say so, and there is nothing to hold them to.
      const orNull = (error: unknown) => {
        if (findings.length > 0 && error instanceof SqlError) return null;
        throw error;
      };
      const balance = await readBalance(queryOf(moment), "store").catch(orNull);
      const dropped = await readDropped(queryOf(moment)).catch(orNull);
      return { balance, dropped, findings };
    });
    const { ledger, differences, notCompared } = balance ?? NOTHING;
    const all = [...differences, ...findings];
    if (isJson) {
      const balanced = balance?.balanced === true && findings.length === 0;
      const answer: StoreVerified = { balanced, ledger, differences: all, dropped };
      print(JSON.stringify(answer));
    }
    for (const { partition, what, ledger, found } of differences) {
      say(
        `partition ${partition}: ${what}: ledger ${formatCount(ledger)}, found ${
          formatCount(found)
        }`,
      );
    }
    for (const { partition, what } of findings) {
      say(partition === null ? what : `partition ${partition}: ${what}`);
    }
    if (all.length > 0) {
      say("the store does not balance");
      say(`hint: ${DAMAGE_HINT}`);
      return 3;
    }
    say(sealOf("the ledger balances", ledger, notCompared));
    if (dropped !== null) say(`retention has dropped of them ${describeDropped(dropped)}`);
    return 0;
  } finally {
    await reader.close();
  }
}
