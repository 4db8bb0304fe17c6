import assert from "node:assert/strict";
import { type HealthStatus, readHealthPort, serveHealth } from "../../src/setup/health.ts";
import { RunError, UsageError } from "../../src/console/errors.ts";
import { freePort } from "../integration/ports.ts";

const RUNNING = {
  ...{ partition: 0, state: "running", nextOffset: 7, lagRecords: 3, watermarkMs: 1500 },
  ...{ lastProgressAtMs: Date.now(), rowsWritten: 5, rowsRefused: 1 },
} as const satisfies HealthStatus;

const HOST = "127.0.0.1";

async function healthOf(status: HealthStatus[] | null) {
  const port = freePort();
  const health = serveHealth({ host: HOST, port }, () => status);
  try {
    const get = async (path: string) => {
      const response = await fetch(`http://${HOST}:${port}${path}`);
      return { code: response.status, text: await response.text() };
    };
    return {
      alive: (await get("/healthz")).code,
      ready: (await get("/readyz")).code,
      metrics: (await get("/metrics")).text,
    };
  } finally {
    await health.close();
  }
}

Deno.test("serveHealth() of one that waits is alive and not ready", async () => {
  assert.deepEqual(await healthOf(null), { alive: 200, ready: 503, metrics: "\n" });
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
  assert.throws(() => serveHealth({ host: HOST, port }, () => null), (error) => {
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
