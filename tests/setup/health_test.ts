import assert from "node:assert/strict";
import { type HealthStatus, readHealthPort, serveHealth } from "../../src/setup/health.ts";
import { followTroubles } from "../../src/setup/troubles.ts";
import { RunError, UsageError } from "../../src/console/errors.ts";
import { freePort } from "../integration/ports.ts";

const RUNNING = {
  ...{ partition: 0, state: "running", nextOffset: 7, lagRecords: 3, watermarkMs: 1500 },
  ...{ lastProgressAtMs: Date.now(), rowsWritten: 5, rowsRefused: 1, commits: 2, restores: 1 },
  ...{ failures: 0, lastFailure: null, lastCommitAtMs: 2500, commitDurationMs: 40, ledger: null },
} as const satisfies HealthStatus;

const NONE = { status: () => null, troubles: followTroubles(), stalledMs: 60_000 };
const HOST = "127.0.0.1";

async function healthOf(status: HealthStatus[] | null, troubles = followTroubles()) {
  const port = freePort();
  const served = { status: () => status, troubles, stalledMs: 60_000 };
  const health = serveHealth({ host: HOST, port, hosts: [] }, served);
  try {
    const get = async (path: string) => {
      const response = await fetch(`http://${HOST}:${port}${path}`);
      return { code: response.status, text: await response.text() };
    };
    const ready = await get("/readyz");
    return {
      alive: (await get("/healthz")).code,
      ready: ready.code,
      problems: JSON.parse(ready.text).problems,
      metrics: (await get("/metrics")).text,
    };
  } finally {
    await health.close();
  }
}

Deno.test("serveHealth() of one that waits is alive and not ready", async () => {
  const { alive, ready, metrics } = await healthOf(null);
  assert.deepEqual([alive, ready], [200, 503]);
  assert.match(metrics, /^gridwatch_started 0$/m);
});

Deno.test("serveHealth() of a member without partitions is ready: it stands by", async () => {
  const { alive, ready } = await healthOf([]);
  assert.deepEqual([alive, ready], [200, 200]);
});

Deno.test("serveHealth() fails one whose records wait for a minute, and no other", async () => {
  const stuckAtMs = Date.now() - 61_000;
  const stuck = { ...RUNNING, lastProgressAtMs: stuckAtMs };
  assert.equal((await healthOf([RUNNING, stuck])).alive, 503);
  assert.equal((await healthOf([{ ...stuck, lagRecords: 0 }])).alive, 200);
  const { metrics } = await healthOf([RUNNING]);
  assert.match(metrics, /^gridwatch_rows_written_total\{partition="0"\} 5$/m);
  assert.match(metrics, /^gridwatch_watermark_seconds\{partition="0"\} 1\.5$/m);
  assert.doesNotMatch(metrics, /gridwatch_meters/, "a sink has none");
});

Deno.test("serveHealth() fails at once for a partition that is stopped, whatever the others do", async () => {
  const stopped = { ...RUNNING, partition: 1, state: "stopped", lagRecords: 0 } as const;
  const { alive, ready, metrics } = await healthOf([RUNNING, stopped]);
  assert.deepEqual([alive, ready], [503, 503]);
  assert.match(
    metrics,
    /^gridwatch_running\{partition="0"\} 1\ngridwatch_running\{partition="1"\} 0$/m,
  );
});

Deno.test("serveHealth() names another port where one is taken", () => {
  using taken = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = taken.addr;
  assert.throws(() => serveHealth({ host: HOST, port, hosts: [] }, NONE), (error) => {
    assert.ok(error instanceof RunError);
    assert.equal(error.message, `Cannot listen on ${HOST}:${port}: the port is taken`);
    assert.match(error.hint ?? "", /^--health-port \d+$/);
    return true;
  });
});

Deno.test("readHealthPort() takes whole ports alone", () => {
  assert.equal(readHealthPort("sink", undefined), null);
  assert.equal(readHealthPort("sink", "8002"), 8002);
  for (const text of ["80.5", "65536", "-1", "x"]) {
    assert.throws(() => readHealthPort("sink", text), UsageError, text);
  }
});

Deno.test("serveHealth() is not ready while Kafka or the database is out of reach, and needs no restart", async () => {
  const troubles = followTroubles();
  const stuck = { ...RUNNING, lastProgressAtMs: Date.now() - 61_000 };
  troubles.hear({ level: "warn", event: "database_away", fields: { error: "refused" } });
  troubles.hear({ level: "warn", event: "kafka_unreachable", fields: { error: "gone" } }, 1);
  const away = await healthOf([stuck], troubles);
  assert.deepEqual([away.alive, away.ready], [200, 503]);
  assert.deepEqual(away.problems.slice(0, 2), ["database: refused", "Kafka: gone"]);
  assert.match(away.metrics, /^gridwatch_kafka_up 0$/m);
  assert.match(away.metrics, /^gridwatch_database_up 0$/m);
  assert.match(away.metrics, /^gridwatch_stuck\{partition="0"\} 1$/m);
  troubles.hear({ level: "info", event: "kafka_reached", fields: {} });
  assert.equal(troubles.has("Kafka"), true, "another member reached it");
  troubles.hear({ level: "info", event: "kafka_reached", fields: {} }, 1);
  troubles.hear({ level: "info", event: "database_back", fields: {} });
  const back = await healthOf([stuck], troubles);
  assert.deepEqual([back.alive, back.ready], [503, 503], "it is stuck all the same");
  assert.match(back.problems[0], /^partition 0: 3 records wait, and nothing has moved for 6\d s$/);
  assert.deepEqual((await healthOf([RUNNING], troubles)).problems, []);
});

Deno.test("serveHealth() says what a partition that is not running failed by", async () => {
  const lastFailure = 'Cannot read "state_changelog" partition 0 from offset 7 on: damaged (CRC)';
  const failed = { ...RUNNING, state: "failed", lagRecords: 0, failures: 9, lastFailure } as const;
  const { alive, ready, problems, metrics } = await healthOf([failed]);
  assert.deepEqual([alive, ready], [200, 503], "it may pass");
  assert.deepEqual(problems, [`partition 0 is failed: ${lastFailure}`]);
  assert.match(metrics, /^gridwatch_failures_total\{partition="0"\} 9$/m);
  const loops = { ...failed, lastProgressAtMs: Date.now() - 61_000 };
  assert.equal((await healthOf([loops])).alive, 503, "it did not");
});

Deno.test("serveHealth() tells records behind an open transaction of another", async () => {
  const ends = { logStartOffset: 0, lastStableOffset: 7, logEndOffset: 309 };
  const { rowsWritten: _, rowsRefused: __, ...held } = RUNNING;
  const lagRecords = 302;
  const lastProgressAtMs = Date.now() - 61_000;
  const { problems, ready } = await healthOf([
    { ...held, ends, lagRecords, lastProgressAtMs, meters: 1, sharedMeters: 2, committedOffset: 7 },
  ]);
  assert.equal(ready, 503);
  assert.match(problems[0], /302 records wait.*a transaction is open at offset 7.*ends at 309/);
});
