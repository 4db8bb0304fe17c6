import { readArguments, refuseTogether } from "../console/arguments.ts";
import { formatCount } from "../console/progress.ts";
import { loadConfig, print, say } from "../console/shell.ts";
import { PostgresDatabase } from "../adapters/postgres/database.ts";
import { saveEstimates } from "../adapters/postgres/estimates.ts";
import type { Config } from "../settings.ts";
import { checkSchema, databaseError, databaseMeant } from "../setup/database.ts";
import { openStore, refuseAbsent, runError } from "../setup/store.ts";
import { estimateGaps, type Estimates } from "../tables/estimate_gaps.ts";
import { queryOf } from "../tables/query.ts";

export const usage = `Usage: gridwatch estimate [options]

Estimates the missing readings of every gap into the table estimated_readings: a line over an hour
between two readings, else the profile of like days of the 28 before. Readings are never written
over; once one comes, its estimate says that it is withdrawn. Gaps that are not estimated stand in
estimate_refusals with the reason: NO_HISTORY, or TOO_LONG (14 days). Saying it again goes on from
what there is by then; a timer may.

  --data DIR      the embedded store (default: .gridwatch), while no run writes it
  --database URL  a PostgreSQL or TimescaleDB database instead
  --json          one JSON object on stdout
  --config FILE   settings

Examples:
  gridwatch estimate
  gridwatch query "SELECT * FROM estimated_readings WHERE NOT withdrawn LIMIT 10"
`;

const OPTIONS = {
  data: { type: "string" },
  database: { type: "string" },
  json: { type: "boolean", default: false },
  config: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Estimates that are saved, and how many of those before were withdrawn. */
type Saved = Estimates & { readonly withdrawn: number };

/** Runs `gridwatch estimate`. */
export async function estimate(args: string[]): Promise<number> {
  const { values } = readArguments("estimate", args, OPTIONS);
  if (values.help) {
    print(usage);
    return 0;
  }
  refuseTogether("estimate", values, ["data", "database"]);
  const config = await loadConfig(values.config);
  const url = databaseMeant("estimate", config, values);
  report(
    url === null ? await estimateStore(config, values.data) : await estimateDatabase(url),
    values.json,
  );
  return 0;
}

async function estimateStore(config: Config, data: string | undefined): Promise<Saved> {
  const directory = data ?? config.data_directory;
  await refuseAbsent(directory);
  const store = await openStore(directory, { retentionDays: config.retention_days });
  try {
    const estimates = await estimateGaps(queryOf(store.reader));
    return { ...estimates, withdrawn: await store.saveEstimates(estimates) };
  } catch (error) {
    throw runError(error);
  } finally {
    await store.close();
  }
}

async function estimateDatabase(url: string): Promise<Saved> {
  await checkSchema(url);
  const database = new PostgresDatabase(url, {
    connections: 1,
    name: "gridwatch estimate",
    statementMsMax: 0,
  });
  try {
    const estimates = await estimateGaps(queryOf(database));
    return { ...estimates, withdrawn: await saveEstimates(database, estimates) };
  } catch (error) {
    throw databaseError("estimate in", error);
  } finally {
    await database.close();
  }
}

function report({ gaps, estimated, refused, withdrawn }: Saved, isJson: boolean): void {
  const methods = countBy(estimated.map(({ method }) => method));
  const reasons = countBy(refused.map(({ reason }) => reason));
  if (isJson) {
    const by = { by_method: methods, refused: refused.length, by_reason: reasons };
    return print(JSON.stringify({ gaps, estimated: estimated.length, ...by, withdrawn }));
  }
  say(
    `${formatCount(gaps)} ${gaps === 1 ? "gap" : "gaps"}: ${formatCount(estimated.length)} ` +
      `readings estimated${listed(methods)}; ${formatCount(refused.length)} gaps refused` +
      `${listed(reasons)}; ${formatCount(withdrawn)} estimates withdrawn`,
  );
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${formatCount(count)} ${name}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
