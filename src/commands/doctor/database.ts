import type { Clock } from "../../engine/ports.ts";
import {
  type Chain,
  counted,
  failed,
  type Finding,
  notUsed,
  ok,
  skipped,
  warning,
} from "./checks.ts";
import { formatCount } from "../../console/progress.ts";
import { readBalance, tablesOf } from "../../tables/balance.ts";
import { isPlayedInto } from "../../tables/migrations.ts";
import { pipelineProblems, readPipelineHealth } from "../../tables/pipeline_health.ts";
import { queryOf } from "../../tables/query.ts";
import { shownUrl } from "../../setup/database.ts";
import { SKEW_MS_MAX } from "./kafka.ts";

/** A connection to the database, as far as the checks need one. */
export type DoctorDatabase = {
  query(sql: string, params?: readonly unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  close(): Promise<void>;
};

/** What the checks of the database look at. */
export type DatabasePorts = {
  /** Null: none is configured. */
  readonly url: string | null;
  readonly open: (url: string) => Promise<DoctorDatabase>;
  /** How the migrations that belong into a database of this edition stand in it. */
  readonly readMigrations: (
    database: DoctorDatabase,
    edition: Edition,
  ) => Promise<readonly MigrationStanding[]>;
  /** The sum of the offsets that the processors have committed; null: Kafka does not say. */
  readonly processed: () => Promise<number | null>;
  readonly clock: Clock;
  /** Records that have waited for so long without progress are stuck. */
  readonly stalledSeconds: number;
};

/** TimescaleDB's; null on plain PostgreSQL. */
export type Edition = { readonly version: string | null; readonly license: string | null };

/** One migration of this version or of the database. */
export type MigrationStanding = {
  readonly name: string;
  readonly state: "applied" | "pending" | "changed" | "unknown";
};

const REACHABLE = "database reachable";
const SCHEMA = "migrations";
const LIMIT_MS = 8_000;
/** A sink that is behind commits every few seconds. */
const MOVE_MS_MAX = 8_000;
const MOVE_POLL_MS = 500;
const MIGRATE = "gridwatch migrate --database URL";
const URL_HINT = "--database URL, or GRIDWATCH_DATABASE_URL";
const VERIFY = "gridwatch verify --database URL";
/** Reading the tables through may take as long as any statement, which the server then ends. */
const BALANCE_MS_MAX = 35_000;
/** SQLSTATE of a statement that took too long. */
const STATEMENT_CANCELED = "57014";
const DIFFERENCES_SHOWN_MAX = 3;
const POSTGRES_VERSION_MIN = 150_000;
/** Releases whose job scheduler can stop for good, by minor version: the first patch without it. */
const SCHEDULER_FIXED: Readonly<Record<number, number>> = {
  27: 3,
  28: 4,
  29: Infinity,
  30: Infinity,
  31: 2,
  32: 1,
};

/** Connection, schema, extension, clock and ledger, in this order. */
export function databaseChecks(ports: DatabasePorts): {
  readonly chain: Chain;
  close(): Promise<void>;
} {
  let opened: DoctorDatabase | null = null;
  const database = () => {
    if (opened === null) throw new Error("the database is not open");
    return opened;
  };
  const check = (
    name: string,
    fix: string,
    run: (database: DoctorDatabase) => Promise<Finding>,
    needs: readonly string[] = [],
  ) => ({
    name,
    fix,
    limitMs: LIMIT_MS,
    needs: [REACHABLE, ...needs],
    run: () => run(database()),
  });
  const chain: Chain = [
    {
      name: REACHABLE,
      needs: [],
      limitMs: LIMIT_MS,
      fix: `is PostgreSQL there, and are user and password right? ${URL_HINT}`,
      run: async () => {
        if (ports.url === null) return notUsed("none is configured", URL_HINT);
        opened = await ports.open(ports.url);
        return await checkServer(opened, ports.url);
      },
    },
    check(SCHEMA, MIGRATE, (db) => checkMigrations(db, ports.readMigrations)),
    check("TimescaleDB edition", MIGRATE, checkTimescale),
    check("clock skew, database", "run chrony on both", (db) => checkClock(db, ports.clock)),
    { ...check("ledger", VERIFY, checkLedger, [SCHEMA]), limitMs: BALANCE_MS_MAX },
    {
      ...check("sink lag", "gridwatch sink", (db) => checkSink(db, ports), [SCHEMA]),
      limitMs: MOVE_MS_MAX + LIMIT_MS,
    },
    check("way into the tables", "gridwatch sink", (db) => checkWay(db, ports), [SCHEMA]),
  ];
  return { chain, close: async () => await opened?.close() };
}

async function checkServer(database: DoctorDatabase, url: string): Promise<Finding> {
  const { rows: [row] } = await database.query(
    "SELECT current_setting('server_version') AS version, " +
      "current_setting('server_version_num')::int AS number",
  );
  const found = `PostgreSQL ${row.version} at ${shownUrl(url)}`;
  if (Number(row.number) >= POSTGRES_VERSION_MIN) return ok(found);
  return failed(`${found}: too old`, "PostgreSQL 15 or later");
}

async function checkMigrations(
  database: DoctorDatabase,
  read: DatabasePorts["readMigrations"],
): Promise<Finding> {
  const states = await read(database, await readEdition(database));
  const of = (state: string) => states.filter((one) => one.state === state);
  const named = (state: string) => of(state).map(({ name }) => name).join(", ");
  if (of("unknown").length > 0) {
    return failed(`of a later version: ${named("unknown")}`, "a Gridwatch as new as the database");
  }
  if (of("changed").length > 0) {
    return failed(
      `applied with another text: ${named("changed")}`,
      "the Gridwatch that applied it",
    );
  }
  if (of("applied").length === 0) return failed("no tables yet", MIGRATE);
  if (of("pending").length > 0) return failed(`not applied: ${named("pending")}`, MIGRATE);
  return ok(`${counted(states.length, "migration")} applied`);
}

async function readEdition(database: DoctorDatabase): Promise<Edition> {
  const { rows: [row] } = await database.query(
    "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS version, " +
      "current_setting('timescaledb.license', true) AS license",
  );
  return row as Edition;
}

async function checkTimescale(database: DoctorDatabase): Promise<Finding> {
  const { version, license } = await readEdition(database);
  if (version === null) return ok("plain PostgreSQL: summaries are views, nothing is compressed");
  const found = `TimescaleDB ${version}, licence ${license ?? "unknown"}`;
  if (license !== "timescale") {
    return warning(
      `${found}: no columnstore, no continuous aggregates, no retention`,
      "ALTER SYSTEM SET timescaledb.license = 'timescale', with the community build",
    );
  }
  const [, minor, patch] = version.split(".").map((part) => Number.parseInt(part, 10));
  const fixed = SCHEDULER_FIXED[minor];
  if (version.startsWith("2.") && fixed !== undefined && patch < fixed) {
    return warning(
      `${found}: its job scheduler can stop, and policies with it`,
      "2.27.3, 2.28.4, 2.31.2, 2.32.1 or later",
    );
  }
  return ok(found);
}

async function checkClock(database: DoctorDatabase, clock: Clock): Promise<Finding> {
  const beforeMs = clock.nowMs();
  const { rows: [row] } = await database.query(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now_ms",
  );
  const afterMs = clock.nowMs();
  const skewMs = Number(row.now_ms) - (beforeMs + afterMs) / 2;
  // The answer was made at some moment between the two: half the way is not held against it.
  const surelyMs = Math.max(0, Math.abs(skewMs) - (afterMs - beforeMs) / 2);
  const found = `${Math.abs(skewMs / 1000).toFixed(1)} s ${skewMs < 0 ? "behind" : "ahead"}`;
  if (surelyMs <= SKEW_MS_MAX) return ok(found);
  return failed(`the database's clock is ${found} of this one`, "run chrony on both");
}

async function checkLedger(database: DoctorDatabase): Promise<Finding> {
  const query = queryOf(database);
  const of = await tablesOf(query);
  const writer = of === "store" ? "gridwatch run FILE --database URL" : "gridwatch sink";
  const answer = await readBalance(query, of).catch((error) => {
    if ((error as { code?: unknown }).code === STATEMENT_CANCELED) return null;
    throw error;
  });
  if (answer === null) {
    return warning("not compared: the tables are too large for a quick look", VERIFY);
  }
  const { differences, notCompared, partitions, ledger } = answer;
  if (differences.length > 0) {
    const said = differences.slice(0, DIFFERENCES_SHOWN_MAX).map(({ partition, what, ...of }) =>
      `partition ${partition}: ${what}: ledger ${formatCount(of.ledger)}, found ` +
      formatCount(of.found)
    );
    const more = differences.length - said.length;
    if (more > 0) said.push(`${formatCount(more)} more`);
    return failed(`out of balance: ${said.join("; ")}`, VERIFY);
  }
  if (notCompared.length > 0) {
    const named = notCompared.join(", ");
    return warning(`not compared: partition ${named} has no account yet`, writer);
  }
  if (partitions === 0) return warning("no partition has an account yet", writer);
  return ok(`balances: ${formatCount(ledger.raw)} raw records, each with its row`);
}

/** What the sinks say of the raw topic, and what the tables refused. */
async function checkWay(
  database: DoctorDatabase,
  { stalledSeconds }: DatabasePorts,
): Promise<Finding> {
  const query = queryOf(database);
  const partitions = await readPipelineHealth(query);
  if (partitions.length === 0) return skipped("no sink has looked at the raw topic yet");
  const problems = pipelineProblems(partitions, { stalledSeconds });
  if (problems.length > 0) {
    return failed(
      problems.join("; "),
      "/readyz and the log of gridwatch process and gridwatch sink",
    );
  }
  const [row] = await query("SELECT count(*) AS n FROM sink_errors");
  const refused = Number(row.n);
  if (refused > 0) {
    return warning(
      `${counted(refused, "message")} became no row`,
      "look into the table sink_errors",
    );
  }
  const waiting = partitions.reduce((sum, { waitingRecords }) => sum + waitingRecords, 0);
  return ok(`${counted(waiting, "raw record")} on the way`);
}

async function checkSink(
  database: DoctorDatabase,
  { processed, clock }: DatabasePorts,
): Promise<Finding> {
  const written = async () => {
    const { rows: [row] } = await database.query(
      "SELECT coalesce(sum(next_offset), 0) AS written FROM positions",
    );
    return Number(row.written);
  };
  if (await isPlayedInto(database)) return skipped("files were played into it: no sink writes it");
  const [done, first] = [await processed(), await written()];
  if (done === null) return skipped("Kafka does not say how far the processors are");
  if (first >= done) return ok("0 records behind the processors");
  const behind = `${counted(done - first, "record")} behind the processors`;
  for (const giveUpAtMs = clock.nowMs() + MOVE_MS_MAX; clock.nowMs() < giveUpAtMs;) {
    await clock.sleep(MOVE_POLL_MS);
    if (await written() > first) return ok(`${behind}, and moving`);
  }
  return failed(`${behind}, nothing moves`, "start one: gridwatch sink; or look into its log");
}
