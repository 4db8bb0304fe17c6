import { hasEmbedded, type MigrationClient, readMigrations } from "../../tables/migrations.ts";
import { migrationsFor } from "../../adapters/postgres/migrate.ts";
import type { Config } from "../../settings.ts";
import { readArguments } from "../../console/arguments.ts";
import {
  type CheckResult,
  failed,
  type Finding,
  messageOf,
  ok,
  runChecks,
  toResult,
} from "./checks.ts";
import {
  databaseChecks,
  type DatabasePorts,
  type DoctorDatabase,
  type Edition,
} from "./database.ts";
import { authorizationOf, grafanaChecks, type GrafanaPorts } from "./grafana.ts";
import { kafkaChecks, type KafkaPorts, readProcessed } from "./kafka.ts";
import { storeChecks, type StorePorts } from "./store.ts";
import { directoryHolder } from "../../adapters/deno/directory_lock.ts";
import { freeBytes } from "../../adapters/deno/disk.ts";
import { readStanding, STORE_FILE } from "../../adapters/sqlite/store.ts";
import { exists, hasEarlier, openStoreReader } from "../../setup/store.ts";
import { databaseUrl, openDatabase } from "../../setup/database.ts";
import { KAFKA_OPTIONS, openKafka, withBrokers } from "../../setup/kafka.ts";
import { closeInTime, loadConfig, print, stdoutColumns, systemClock } from "../../console/shell.ts";
import { formatTable } from "../../console/table.ts";

export const usage = `Usage: gridwatch doctor [options]

Looks at everything a Gridwatch needs, and says of each thing that is wrong how to right it. Nothing
is changed. Exit code 0: all is well; 1: something failed.

  --data DIR      the embedded store (default: .gridwatch)
  --brokers LIST  host:port,… (default: kafka.brokers)
  --database URL  postgres://… (default: database.url)
  --grafana URL   http://… (default: grafana.url); GRIDWATCH_GRAFANA_TOKEN, or …_USER and
                  …_PASSWORD, let it look at the data source
  --json          one JSON object on stdout
  --config FILE   settings
`;

const OPTIONS = {
  ...KAFKA_OPTIONS,
  data: { type: "string" },
  database: { type: "string" },
  grafana: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** The oldest Deno that the code runs on. */
const DENO_VERSION_MIN = [2, 6] as const;
/** Below the limit of a check, so that the reason is heard rather than "no answer". */
const KAFKA_DEADLINE_MS = 5_000;
/** A broker that nobody named is not waited for. */
const GUESS_MS_MAX = 500;
const DENO_FIX = "deno upgrade, or npx -y deno@2.9.6";

/** The world outside, for tests to replace. */
export type DoctorPorts = {
  readonly denoVersion: string;
  readonly loadConfig: (path: string | undefined) => Promise<Config>;
  readonly openKafka: (config: Config) => Promise<KafkaPorts & { close(): Promise<void> }>;
  readonly openDatabase: DatabasePorts["open"];
  readonly fetch: GrafanaPorts["fetch"];
  readonly store: Omit<StorePorts, "directory" | "retentionDays">;
  readonly print: (text: string) => void;
  readonly widthMax: number | undefined;
};

/** Runs `gridwatch doctor`; the exit code is 1 when a check failed. */
export async function doctor(
  args: string[],
  ports: DoctorPorts = processPorts(),
): Promise<number> {
  const { values } = readArguments("doctor", args, OPTIONS);
  if (values.help) {
    ports.print(usage);
    return 0;
  }
  const results: CheckResult[] = [toResult("Deno", checkDeno(ports.denoVersion))];
  const config = await readSettings(values.config, ports, results);
  if (config !== null) {
    results.push(...await lookAround(withBrokers(config, values.brokers), values, ports));
  }
  const isGood = results.every(({ state }) => state !== "failed");
  if (values.json) {
    ports.print(JSON.stringify({ ok: isGood, checks: results }));
  } else {
    const rows = results.map(({ check, state, found, fix }) => [check, state, found, fix]);
    const { widthMax } = ports;
    const columns = ["check", "state", "found", "fix"];
    ports.print(formatTable(columns, rows, { widthMax, wrapped: [2, 3] }));
  }
  return isGood ? 0 : 1;
}

async function readSettings(
  path: string | undefined,
  ports: DoctorPorts,
  results: CheckResult[],
): Promise<Config | null> {
  try {
    const config = await ports.loadConfig(path);
    results.push(toResult("config", ok(path ?? "config/config.yaml and GRIDWATCH_…")));
    return config;
  } catch (error) {
    const hint = (error as { hint?: string }).hint ?? "`gridwatch config` lists every setting";
    results.push(toResult("config", failed(messageOf(error), hint)));
    return null;
  }
}

async function lookAround(
  config: Config,
  given: { readonly data?: string; readonly database?: string; readonly grafana?: string },
  ports: DoctorPorts,
): Promise<CheckResult[]> {
  const clock = systemClock;
  const kafka = await ports.openKafka(config).catch((error: unknown) => ({ error }));
  const database = databaseChecks({
    url: given.database ?? (config["database.url"] || null),
    open: async (url) => await ports.openDatabase(databaseUrl("doctor", config, url)),
    readMigrations: migrationsOf,
    processed: async () => "error" in kafka ? null : await readProcessed(kafka).catch(() => null),
    clock,
    stalledSeconds: config["health.stalled_seconds"],
  });
  const store = storeChecks({
    ...ports.store,
    directory: given.data ?? config.data_directory,
    retentionDays: config.retention_days,
  });
  const grafana = grafanaChecks({
    url: given.grafana ?? (config["grafana.url"] || null),
    authorization: authorizationOf({
      token: config["grafana.token"],
      user: config["grafana.user"],
      password: config["grafana.password"],
    }),
    fetch: ports.fetch,
  });
  try {
    const chains = [store.chain, database.chain, grafana];
    if (!("error" in kafka)) return await runChecks([kafkaChecks(kafka), ...chains]);
    const hint = (kafka.error as { hint?: string }).hint ?? "the kafka.* settings";
    const refused = toResult("Kafka reachable", failed(messageOf(kafka.error), hint));
    return [refused, ...await runChecks(chains)];
  } finally {
    await closeInTime([
      store.close(),
      database.close(),
      ...("error" in kafka ? [] : [kafka.close()]),
    ]);
  }
}

async function migrationsOf(database: DoctorDatabase, { version, license }: Edition) {
  const script = () => Promise.reject(new Error("the doctor changes nothing"));
  const client: MigrationClient = { query: (...args) => database.query(...args), script };
  const timescale = version === null ? null : { version, licensed: license === "timescale" };
  const migrations = migrationsFor(timescale, { embedded: await hasEmbedded(client) });
  return await readMigrations(client, migrations);
}

function checkDeno(version: string): Finding {
  const [major, minor] = version.split(".").map(Number);
  const [majorMin, minorMin] = DENO_VERSION_MIN;
  const isNew = major > majorMin || (major === majorMin && minor >= minorMin);
  return isNew ? ok(version) : failed(`${version} is too old`, DENO_FIX);
}

function processPorts(): DoctorPorts {
  return {
    denoVersion: Deno.version.deno,
    loadConfig,
    openKafka: kafkaPorts,
    openDatabase,
    fetch,
    store: storePorts(),
    print,
    widthMax: stdoutColumns(),
  };
}

function storePorts(): DoctorPorts["store"] {
  return {
    open: async (directory) => {
      const isThere = await exists(`${directory}/${STORE_FILE}`) || await hasEarlier(directory);
      return isThere ? await openStoreReader(directory) : null;
    },
    standing: readStanding,
    holder: directoryHolder,
    freeBytes,
  };
}

async function kafkaPorts(config: Config): Promise<KafkaPorts & { close(): Promise<void> }> {
  const { log, topics, group } = await openKafka(config);
  const admin = log.admin({ deadlineMs: KAFKA_DEADLINE_MS });
  const areBrokersGiven = config.given.has("kafka.brokers");
  const reachMs = areBrokersGiven ? KAFKA_DEADLINE_MS : GUESS_MS_MAX;
  return {
    brokers: config["kafka.brokers"],
    areBrokersGiven,
    group,
    topics,
    reach: (signal) => log.reach(reachMs, signal),
    admin,
    openReader: () =>
      log.reader({
        isolation: "all",
        keys: false,
        origins: false,
        bufferBytesMax: 4 << 20,
        partitionBytesMax: 1 << 20,
        pollMs: 200,
      }),
    clock: systemClock,
    close: async () => {
      await admin.close();
      await log.close();
    },
  };
}
