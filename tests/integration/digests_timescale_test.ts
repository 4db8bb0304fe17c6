import assert from "node:assert/strict";
import { gridwatch } from "../commands/command_line.ts";
import { findTimescale, type Postgres, rowsOf, startPostgres } from "./postgres_harness.ts";
import { serverTests } from "./servers.ts";
import { commitMessages } from "./sink_commits.ts";
import { compress, migrate } from "./timescale_site.ts";

const found = await findTimescale();
const { serverTest, beforeAll } = await serverTests("postgres");
let server: Postgres;

beforeAll(async () => {
  if (found.running) server = await startPostgres({ timescale: "timescale" });
});

Deno.test.afterAll(async () => {
  await server?.stop(); // undefined when it did not start
});

function timescaleTest(name: string, test: () => Promise<void>): void {
  const lack = " [skipped: no TimescaleDB: GRIDWATCH_TIMESCALE_URL names a server that has it]";
  serverTest(found.running ? name : name + lack, test, { ignore: !found.running });
}

const START_MS = Date.UTC(2024, 0, 1, 20);
const AGEING = ["validated_readings", "late_events", "rejected_readings", "metrics"];

/** Ten commits, four of them on the first of January 2024; no job runs but by hand. */
async function written(): Promise<string> {
  const url = await server.createDatabase({ extension: true });
  await rowsOf(url, "SELECT _timescaledb_functions.stop_background_workers()");
  await migrate(url);
  await commitMessages(url, { first: 0, end: 10, startMs: START_MS });
  return url;
}

async function verified(url: string) {
  const { code, stdout, stderr } = await gridwatch("verify", "--database", url, "--json");
  const { differences, dropped } = JSON.parse(stdout);
  return { code, differences, dropped, stderr };
}

timescaleTest("days that retention has dropped are told, and are no difference", async () => {
  const url = await written();
  assert.deepEqual((await verified(url)).dropped, null);
  for (const table of AGEING) {
    await rowsOf(url, `SELECT drop_chunks('${table}', older_than => timestamptz '2024-01-02')`);
  }
  const { code, differences, dropped, stderr } = await verified(url);
  assert.deepEqual([code, differences], [0, []], stderr);
  assert.deepEqual(dropped, {
    ...{ before: "2024-01-02", readings: 48, too_late: 8, duplicate: 8, rejected: 8, metrics: 16 },
  });
  assert.match(stderr, /^retention has dropped of them 48 readings, 8 too late, 16 rejected/m);

  await rowsOf(
    url,
    "UPDATE readings_meter_daily SET readings = readings + 1 WHERE meter_id = 'm0'",
  );
  const wrong = await verified(url);
  assert.equal(wrong.code, 3);
  const days = wrong.differences.filter(({ table }: { table?: string }) =>
    table === "readings_meter_daily"
  ).map(({ day }: { day: string }) => day);
  assert.deepEqual([...new Set(days)].sort(), ["2024-01-01", "2024-01-02"]);
});

timescaleTest("a row lost from a chunk that is there is told, compressed or not", async () => {
  const url = await written();
  for (const table of AGEING) assert.ok(await compress(url, table) > 0);
  const whole = await verified(url);
  assert.equal(whole.code, 0, whole.stderr);
  for (const table of AGEING) {
    await rowsOf(url, `DELETE FROM ${table} WHERE source_partition = 1 AND time < '2024-01-02'`);
    const { code, differences } = await verified(url);
    assert.equal(code, 3);
    assert.ok(
      differences.some((one: Record<string, unknown>) =>
        one.table === table && one.partition === 1 && one.day === "2024-01-01"
      ),
      JSON.stringify(differences),
    );
  }
});

timescaleTest("rows that come for a day that was dropped are no difference", async () => {
  const url = await written();
  await migrate(url, { retentionDays: 30 });
  for (const table of AGEING) {
    await rowsOf(url, `SELECT drop_chunks('${table}', older_than => timestamptz '2024-01-02')`);
  }
  // Commit 10, ten hours before: at the hour of commit 0.
  await commitMessages(url, { first: 10, end: 11, startMs: START_MS - 10 * 3_600_000 });
  const { code, differences, dropped, stderr } = await verified(url);
  assert.deepEqual([code, differences], [0, []], stderr);
  assert.deepEqual([dropped.readings, dropped.too_late], [48, 8]);
  await rowsOf(
    url,
    "INSERT INTO late_events SELECT time, 'x', event_timestamp, 1, 1, 0, 1 FROM late_events LIMIT 1",
  );
  assert.equal((await verified(url)).code, 3);
});
