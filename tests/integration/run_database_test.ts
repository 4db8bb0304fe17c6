import assert from "node:assert/strict";
import { assertAnswer } from "../schemas.ts";
import { PostgresDatabase } from "../../src/adapters/postgres/database.ts";
import { migrateDatabase, openForSchema } from "../../src/adapters/postgres/migrate.ts";
import { PostgresSink } from "../../src/adapters/postgres/sink.ts";
import { PostgresStore } from "../../src/adapters/postgres/store.ts";
import { emptyLedger } from "../../src/core/ledger.ts";
import { emptyOutputs } from "../../src/core/outputs.ts";
import { FencedError, OtherLogError } from "../../src/engine/ports.ts";
import { createApp } from "../../src/api/app.ts";
import { LiveTracker } from "../../src/setup/live.ts";
import { type Ended, gridwatch, inFolder } from "../commands/command_line.ts";
import { until } from "./kafka_broker.ts";
import { Running } from "./pipeline.ts";
import { type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";

const { serverTest, beforeAll } = await serverTests("postgres");
const ROOT = new URL("../../", import.meta.url).pathname;
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres();
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
});

const NOW = ["--now", "2030-01-01"];
const DEFECTS = [
  ...["--delay-probability", "0.05", "--max-delay-seconds", "864000"],
  ...["--duplicate-probability", "0.02", "--gap-probability", "0.02", "--seed", "7"],
];
/** Small commits, so that a run has many places to be killed at. */
const SETTINGS = "commit_records_max: 500\n";

type Site = {
  readonly url: string;
  readonly folder: string;
  readonly csv: string;
  readonly config: readonly string[];
};

/** A fleet's readings and an empty database. */
function databaseTest(name: string, test: (site: Site) => Promise<void>): void {
  serverTest(name, () =>
    inFolder(async (folder) => {
      const csv = `${folder}/fleet.csv`;
      const size = ["--meters", "20", "--days", "20", "--seed", "5", "--quiet"];
      await passes("generate", "--output", csv, ...size);
      // A NUL and a text beyond the plane: what a database could stumble over.
      await Deno.writeTextFile(csv, "a\0b,2013-01-02T00:00:00Z,x\nm\u{1f4a1},never,1\n", {
        append: true,
      });
      await Deno.writeTextFile(`${folder}/small.yaml`, SETTINGS);
      const config = ["--config", `${folder}/small.yaml`];
      await test({ url: await server.createDatabase(), folder, csv, config });
    }));
}

/** Runs a command that is to succeed. */
async function passes(...args: string[]): Promise<Ended> {
  const ended = await gridwatch(...args);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

const runArgs = ({ csv, config }: Site, url: string) => [
  ...["run", csv, "--database", url, "--exit", "--json", ...NOW, ...DEFECTS],
  ...config,
];

const KEYED = "source_partition, source_offset, time, meter_id";
/** What must be the same in every database that the same files were played into. */
const TABLES: readonly string[] = [
  `SELECT * FROM validated_readings ORDER BY ${KEYED}`,
  "SELECT * FROM gap_alerts ORDER BY gap_id, source_partition",
  `SELECT * FROM late_events ORDER BY ${KEYED}`,
  `SELECT * FROM rejected_readings ORDER BY ${KEYED}`,
  "SELECT bucket, meter_id, source_partition, readings, late_readings, flagged_readings, " +
  "round(consumption_kwh::numeric, 6)::text AS kwh, first_at, last_at FROM readings_meter_daily " +
  "ORDER BY 1, 2, 3",
  "SELECT * FROM ledger ORDER BY partition",
  "SELECT * FROM positions ORDER BY partition",
  "SELECT metric_type, tags::text, count(*), sum(value) AS value FROM metrics WHERE metric_type IN " +
  "('event_processed', 'too_late_event', 'duplicate_event', 'gap_detected') " +
  "GROUP BY 1, 2 ORDER BY 1, 2",
  "SELECT bucket, meter_id, readings, missing_intervals FROM completeness_daily ORDER BY 1, 2",
];

async function assertSameTables(url: string, expected: string): Promise<void> {
  for (const sql of TABLES) {
    const rows = await rowsOf(expected, sql);
    assert.ok(rows.length > 0, `nothing to compare: ${sql}`);
    assert.deepEqual(await rowsOf(url, sql), rows, sql);
  }
}

for (const partitions of [1, 3]) {
  const parts = ["--partitions", String(partitions), "--scope", "meter"];
  databaseTest(
    `gridwatch run --database killed goes on to the same tables, ${partitions} partitions`,
    async (site) => {
      const { url } = site;
      const undisturbed = await server.createDatabase();
      const whole = await passes(...runArgs(site, undisturbed), ...parts);
      const [{ commits }] = await rowsOf(
        undisturbed,
        "SELECT count(DISTINCT source_offset)::int AS commits FROM metrics",
      );
      assert.ok(Number(commits) > 10, `${commits} commits`);
      await assertAnswer("run.json", JSON.parse(whole.stdout));
      const { raw } = JSON.parse(whole.stdout).ledger;
      await migrated(url);
      for (const share of [0, 0.3, 0.6, 0.95]) {
        await using gate = await Gate.at(url, raw * share);
        const run = start(...runArgs(site, url), ...parts);
        await until("a commit is held", () => gate.holds());
        run.kill("SIGKILL");
        await run.ended;
      }
      const resumed = await passes(...runArgs(site, url), ...parts);
      assert.match(resumed.stderr, /^resuming /m);
      await assertSameTables(url, undisturbed);
      const [{ ledger, meters, gaps }, expected] = [resumed, whole].map(({ stdout }) =>
        JSON.parse(stdout)
      );
      assert.deepEqual({ ledger, meters, gaps }, {
        ledger: expected.ledger,
        meters: expected.meters,
        gaps: expected.gaps,
      });
      const verified = await passes("verify", "--database", url, "--json");
      await assertAnswer("verify.json", JSON.parse(verified.stdout));
      assert.equal(JSON.parse(verified.stdout).balanced, true);
      const again = await passes(...runArgs(site, url), ...parts);
      assert.match(again.stderr, /already: nothing to play/);
      await rowsOf(
        url,
        "DELETE FROM late_events WHERE source_offset = (SELECT max(source_offset) FROM late_events)",
      );
      assert.equal((await gridwatch("verify", "--database", url)).code, 3);
    },
  );
}

/** Brings a database to the schema of a run, before there is one. */
async function migrated(url: string): Promise<void> {
  const database = openForSchema(url);
  try {
    const options = { chunkDays: 7, columnstoreAfterDays: 0, retentionDays: 0, embedded: true };
    await migrateDatabase(database, options);
  } finally {
    await database.close();
  }
}

const OPTIONS = { answerMsMax: 60_000, lockMsMax: 1 };

const GATE = 42;

/** Holds the first commit that brings the positions to so many records, between its statements. */
class Gate implements AsyncDisposable {
  private constructor(readonly url: string, readonly database: PostgresDatabase) {}

  static async at(url: string, records: number): Promise<Gate> {
    const database = new PostgresDatabase(url, { connections: 2, name: "t", statementMsMax: 0 });
    await database.query(`SELECT pg_advisory_lock(${GATE})`);
    await database.script(`
      CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT sum(next_offset) FROM positions) >= ${records} THEN
          PERFORM pg_advisory_xact_lock(${GATE});
        END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER hold AFTER INSERT OR UPDATE ON ledger EXECUTE FUNCTION hold();`);
    return new Gate(url, database);
  }

  async holds(): Promise<boolean> {
    const rows = await rowsOf(
      this.url,
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = ${GATE} AND NOT granted`,
    );
    return rows.length > 0;
  }

  /** Lets it go: the server finds that nobody is there any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.database.query(`SELECT pg_advisory_unlock(${GATE})`);
    await this.database.script("DROP FUNCTION hold CASCADE");
    await this.database.close();
  }
}

function start(...args: string[]): Running {
  return new Running(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", `${ROOT}cli.ts`, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }),
  );
}

databaseTest("gridwatch run --database fills the tables of the embedded store", async (site) => {
  const { csv, config, folder, url } = site;
  const embedded = await passes(
    ...["run", csv, "--data", `${folder}/store`, "--exit", "--json", ...NOW, ...DEFECTS],
    ...config,
  );
  const database = await passes(...runArgs(site, url));
  const summaryOf = ({ stdout }: Ended) => {
    const { ledger, meters, gaps } = JSON.parse(stdout);
    return { ledger, meters, gaps };
  };
  assert.deepEqual(summaryOf(database), summaryOf(embedded));
  const counted = "SELECT count(*) AS n, sum(source_offset) AS offsets FROM ";
  for (const table of ["validated_readings", "gap_alerts", "late_events", "rejected_readings"]) {
    const { stdout } = await passes(
      ...["query", counted + table, "--data", `${folder}/store`, "--json"],
    );
    const [expected] = JSON.parse(stdout);
    const [row] = await rowsOf(url, counted + table);
    assert.deepEqual([Number(row.n), Number(row.offsets)], [expected.n, expected.offsets], table);
  }
});

databaseTest("a database is written by runs or by sinks, and not by both", async (site) => {
  const { url } = site;
  const topicId = crypto.randomUUID();
  const position = [{ topic: "validated", topicId, partition: 0, offset: 0 }];
  const withSink = async (url: string, work: (sink: PostgresSink) => Promise<void>) => {
    const database = new PostgresDatabase(url, { connections: 2, name: "t", statementMsMax: 0 });
    try {
      await work(
        new PostgresSink(database, {
          answerMsMax: 60_000,
          gapGraceMs: 900_000,
          stateTtlMs: 604_800_000,
        }),
      );
    } finally {
      await database.close();
    }
  };
  await passes(...runArgs(site, url));
  await withSink(url, async (sink) => {
    await assert.rejects(sink.load(position), OtherLogError);
  });
  assert.deepEqual(await rowsOf(url, "SELECT * FROM sink_positions"), []);
  assert.equal((await gridwatch(...runArgs(site, url))).code, 0);

  const sinks = await server.createDatabase();
  await passes("migrate", "--database", sinks);
  await withSink(sinks, async (sink) => void await sink.load(position));
  const refused = await gridwatch(...runArgs(site, sinks));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^error: Cannot run into .*: sinks write into the database/m);
  assert.match(refused.stderr, /^hint: --database URL of another database$/m);
  const [{ found }] = await rowsOf(sinks, "SELECT to_regclass('inputs') IS NOT NULL AS found");
  assert.equal(found, false, "a sinks' database was changed");
});

databaseTest("a database that was played into is migrated and shown as one", async (site) => {
  await passes(...runArgs(site, site.url));
  const { stdout } = await passes("migrate", "--status", "--json", "--database", site.url);
  const { current, migrations } = JSON.parse(stdout);
  assert.equal(current, true);
  assert.ok(migrations.some(({ name }: { name: string }) => name === "002_embedded"));
  const { stderr } = await passes("migrate", "--database", site.url);
  assert.match(stderr, /up to date/);
});

databaseTest(
  "PostgresStore refuses who comes second, and a commit that does not follow",
  async (site) => {
    const { url } = site;
    await passes(...runArgs(site, url));
    const open = () => new PostgresDatabase(url, { connections: 2, name: "t", statementMsMax: 0 });
    const [first, second] = [open(), open()];
    try {
      const store = await PostgresStore.open(first, OPTIONS);
      await assert.rejects(PostgresStore.open(second, OPTIONS), FencedError);
      const last = await store.lastInput();
      assert.ok(last !== null && last.finished);
      await assert.rejects(store.beginInput(last), FencedError);
      const snapshot = await store.load(0);
      assert.ok(snapshot !== null);
      const before = await rowsOf(url, "SELECT * FROM positions, ledger, task_state");
      for (const fromOffset of [0, snapshot.nextOffset - 1, snapshot.nextOffset + 1]) {
        const late = [{ offset: 7, meterId: "m", timestampMs: 0, consumptionKwh: 1, delayMs: 1 }];
        const commit = {
          partition: 0,
          fromOffset,
          nextOffset: fromOffset + 1,
          outputs: { ...emptyOutputs(), late },
          changelog: [],
          compacts: true,
          task: new Uint8Array(1),
          watermarkMs: 0,
          judgedToMs: 0,
          ledger: { ...emptyLedger(), raw: 1e9 },
          stateTtlMs: 604_800_000,
        };
        await assert.rejects(store.commit(commit), FencedError);
      }
      assert.deepEqual(await rowsOf(url, "SELECT * FROM positions, ledger, task_state"), before);
      assert.deepEqual(await rowsOf(url, "SELECT * FROM late_events WHERE meter_id = 'm'"), []);
    } finally {
      await first.close();
      await second.close();
    }
  },
);

databaseTest("PostgresStore keeps texts with a NUL, which PostgreSQL has none of", async (site) => {
  const { url } = site;
  await migrated(url);
  const database = new PostgresDatabase(url, { connections: 2, name: "t", statementMsMax: 0 });
  try {
    const store = await PostgresStore.open(database, OPTIONS);
    const rejected = [{
      offset: 0,
      reason: "BAD_METER_ID" as const,
      detail: "of a\0b",
      raw: new Uint8Array([97, 0, 98]),
      meterId: "a\0b",
      timestampMs: null,
      consumptionKwh: null,
      atMs: 0,
    }];
    await store.commit({
      partition: 0,
      fromOffset: 0,
      nextOffset: 1,
      outputs: { ...emptyOutputs(), rejected },
      changelog: [],
      compacts: false,
      task: new Uint8Array(1),
      watermarkMs: null,
      judgedToMs: null,
      ledger: { ...emptyLedger(), raw: 1, rejected: 1 },
      stateTtlMs: 604_800_000,
    });
    assert.deepEqual(await rowsOf(url, "SELECT detail, meter_id, raw FROM rejected_readings"), [
      { detail: "of a\ufffdb", meter_id: "a\ufffdb", raw: "YQBi" },
    ]);
  } finally {
    await database.close();
  }
});

databaseTest(
  "the hints of a run into a database name no folder",
  async ({ url, folder, config }) => {
    const csv = `${folder}/useless.csv`;
    await Deno.writeTextFile(
      csv,
      "meter_id,timestamp,consumption_kwh\na,2024-01-01T00:00:00Z,-1\n",
    );
    const { stderr } = await gridwatch("run", csv, "--database", url, "--exit", ...NOW, ...config);
    assert.match(stderr, /^error: Cannot use anything of this/m);
    assert.match(stderr, /^hint: /m);
    assert.doesNotMatch(stderr, /--data |--fresh/);
  },
);

databaseTest("serve and doctor ask of a played database what verify asks", async (site) => {
  const { url, config } = site;
  await passes(...runArgs(site, url));
  const query = (sql: string, params: unknown[] = []) =>
    rowsOf(url, sql, params as (string | number)[]);
  const said = async () => {
    const app = createApp({
      query,
      live: () => new LiveTracker(() => 0, "database").status,
      version: "0",
      reportError: (error) => console.error(error),
    });
    const { stdout } = await gridwatch("doctor", "--database", url, "--json", ...config);
    const [{ state }] = JSON.parse(stdout).checks
      .filter(({ check }: { check: string }) => check === "ledger");
    const { balanced } = await (await app.request("/api/ledger")).json();
    return [state, balanced];
  };
  assert.deepEqual(await said(), ["ok", true]);
  // An offset of Kafka has holes before it; a position of a run counts its records.
  await rowsOf(url, "UPDATE positions SET next_offset = next_offset + 7");
  assert.deepEqual(await said(), ["failed", false]);
  const { code, stderr } = await gridwatch("verify", "--database", url);
  assert.equal(code, 3);
  assert.match(stderr, /^partition 0: position: /m);
});

databaseTest("gridwatch run takes --data or --database", async (site) => {
  const { code, stderr } = await gridwatch(...runArgs(site, site.url), "--data", site.folder);
  assert.equal(code, 2);
  assert.match(stderr, /Cannot run with both --data and --database/);
});
