import { readArguments, refuseTogether } from "../console/arguments.ts";
import { UsageError } from "../console/errors.ts";
import { loadConfig, print, say, stdoutColumns } from "../console/shell.ts";
import { formatCsv, formatTable } from "../console/table.ts";
import { databaseMeant, openDatabase } from "../setup/database.ts";
import { kpiTarget } from "../setup/kpi.ts";
import { openStoreReader } from "../setup/store.ts";
import {
  BURN_RATES_MAX,
  type KeyedKpis,
  KPI_KEYS,
  type KpiKey,
  type Kpis,
  readKpis,
  readKpisBy,
} from "../tables/kpi.ts";
import { queryOf, type Reader } from "../tables/query.ts";

export const usage = `Usage: gridwatch kpi [options]

The key figures of what a store or a database holds: completeness, gaps and how long they lasted,
timeliness by the hours after the end of a day, latency, and how much of the error budget is used.

  --from DAY      from this day (UTC) on
  --to DAY        up to this day, which does not count
  --by KEY        day, group or meter: a line each
  --data DIR      of the embedded store (default: .gridwatch)
  --database URL  of a database (default: database.url, unless --data is given)
  --json          an object, or with --by an array of them
  --csv
  --config FILE   settings; kpi.completeness_target_percent is what the error budget is of

Shares are numbers from 0 to 1. Latency is told of readings that say when they were received.

Examples:
  gridwatch kpi
  gridwatch kpi --from 2013-03-01 --to 2013-04-01 --by day --csv
`;

const OPTIONS = {
  from: { type: "string" },
  to: { type: "string" },
  by: { type: "string" },
  data: { type: "string" },
  database: { type: "string" },
  json: { type: "boolean", default: false },
  csv: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Runs `gridwatch kpi`. */
export async function kpi(args: string[]): Promise<number> {
  const { values } = readArguments("kpi", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("kpi", values, ["json", "csv"]);
  refuseTogether("kpi", values, ["data", "database"]);
  const by = readKey(values.by);
  const config = await loadConfig(values.config);
  const options = {
    fromMs: readDay("from", values.from),
    toMs: readDay("to", values.to),
    target: kpiTarget(config),
  };
  const url = databaseMeant("kpi", config, values);
  const reader: Reader & { close(): Promise<void> } = url === null
    ? await openStoreReader(values.data ?? config.data_directory, { statementMsMax: Infinity })
    : await openDatabase(url, { statementMsMax: 0 });
  try {
    const query = queryOf(reader);
    if (by !== null) printBy(await readKpisBy(query, by, options), values);
    else printAll(await readKpis(query, options), values);
    return 0;
  } finally {
    await reader.close();
  }
}

type Form = { readonly json: boolean; readonly csv: boolean };

function printAll(kpis: Kpis, { json, csv }: Form): void {
  if (json) print(`${JSON.stringify(kpis)}\n`);
  else if (csv) print(formatCsv(Object.keys(flat(kpis)), [Object.values(flat(kpis))]));
  else {print(
      formatTable(
        ["figure", "value"],
        Object.entries(flat(kpis)).map(([name, value]) => [name, value]),
      ),
    );}
  for (const [name, max] of Object.entries(BURN_RATES_MAX)) {
    const rate = kpis[name as keyof typeof BURN_RATES_MAX];
    if (rate !== null && rate >= max) {
      say(`warning: ${name} is ${rate}, ${max} or more: the error budget will not last`);
    }
  }
}

function printBy(rows: readonly KeyedKpis[], { json, csv }: Form): void {
  if (json) return print(`${JSON.stringify(rows)}\n`);
  // Burn rates are of the last hours of all.
  const cells = rows.map((row) => {
    const { burn_rate_1h: _, burn_rate_6h: __, ...shown } = flat(row);
    return shown;
  });
  const columns = Object.keys(cells[0] ?? {});
  const values = cells.map((each) => Object.values(each));
  if (csv) print(formatCsv(columns, values));
  else print(formatTable(columns, values, { widthMax: stdoutColumns() }));
}

/** `timeliness.6` and the like: a figure a column. */
function flat(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      typeof value === "object" && value !== null
        ? Object.entries(value).map(([part, figure]) => [`${name}.${part}`, figure])
        : [[name, value]]
    ),
  );
}

function readKey(text: string | undefined): KpiKey | null {
  if (text === undefined) return null;
  const key = KPI_KEYS.find((each) => each === text);
  if (key !== undefined) return key;
  throw new UsageError(
    `Cannot tell the key figures with --by="${text}": must be ${KPI_KEYS.join(", ")}`,
  );
}

function readDay(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new UsageError(
    `Cannot tell the key figures with --${name}="${text}": must be a day, such as 2013-03-01`,
  );
}
