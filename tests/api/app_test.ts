import assert from "node:assert/strict";
import { createBench, HOSTILE_IDS, NOW_MS, openEmpty, openFilled } from "./fixture.ts";

const filled = await openFilled();
const empty = await openEmpty();

const STATUS_PATHS = ["/api/status", "/api/ledger"];
const LIST_PATHS = [
  "/api/silences",
  "/api/incidents",
  "/api/meters",
  "/api/gaps",
  "/api/validation",
  "/api/late",
  "/api/late?status=LATE",
  "/api/rejected",
];
const OTHER_PATHS = ["/api/kpi", "/api/delays", "/api/timeline", "/api/meters/MAC1"];

Deno.test("/healthz is alive while a running pipeline gets on, and fails after a minute without", async () => {
  const bench = createBench(filled, { state: "running" });
  bench.nowMs = NOW_MS + 60_000;
  assert.deepEqual((await bench.get("/healthz")).body, { status: "ok", state: "running" });
  bench.nowMs++;
  const { status, body } = await bench.get("/healthz");
  assert.equal(status, 503);
  assert.equal(body.error, "No progress for 60 s");
  for (const state of ["starting", "finished", "stopped"] as const) {
    bench.live = { ...bench.live, state };
    assert.equal((await bench.get("/healthz")).status, 200, state);
  }
});

Deno.test("/healthz fails with the message of a failed run", async () => {
  const bench = createBench(filled, { state: "failed", message: "the disk is full" });
  const { status, body } = await bench.get("/healthz");
  assert.equal(status, 503);
  assert.equal(body.error, "the disk is full");
});

Deno.test("/api/kpi gives the key figures of all, of days, and of a span", async () => {
  const { get } = createBench(filled, {}, { kpiTarget: 0.9 });
  const { body } = await get("/api/kpi");
  assert.equal(body.expected, body.valid + body.not_estimated);
  assert.equal(body.completeness, Math.round(body.valid / body.expected * 1e6) / 1e6);
  assert.equal(
    body.error_budget_used,
    Math.round((body.expected - body.valid) / (0.1 * body.expected) * 1e6) / 1e6,
  );
  assert.deepEqual([body.gaps, body.open_gaps, body.mean_minutes_to_recover], [2, 1, 60]);
  const { body: { kpis } } = await get("/api/kpi?by=day");
  assert.deepEqual(kpis.map(({ day }: { day: string }) => day), [
    ...["2013-01-01", "2013-01-02", "2013-01-03"],
  ]);
  const sum = kpis.reduce((sum: number, { valid }: { valid: number }) => sum + valid, 0);
  assert.equal(sum, body.valid);
  const { body: first } = await get("/api/kpi?to=2013-01-02");
  assert.equal(first.valid, kpis[0].valid);
  assert.equal((await get("/api/kpi?by=week")).status, 400);
  const { body: without } = await createBench(filled).get("/api/kpi");
  assert.equal(without.error_budget_used, null);
});

Deno.test("/api/incidents gives shared outages, those that stand first, the latest first, and those that are asked for", async () => {
  const db = await openEmpty();
  try {
    const slot = (hour: number) => Date.UTC(2013, 0, 3, hour);
    const row = (hour: number, group: string, more: string) =>
      `('${group}@2013-01-03T0${hour}:00:00Z', '${group}', '2013-01-03T0${hour}:00Z', ${more},
        ${slot(hour)}, ${slot(hour) + (group === "fleet" ? 0 : 1_800_000)})`;
    await db.exec(`INSERT INTO incidents VALUES ${
      [
        row(1, "A", "'2013-01-03T02:00Z', 'CLOSED', 5, 50, 3, NULL"),
        row(3, "A", "NULL, 'OPEN', 26, 50, 3, 'fleet@2013-01-03T03:00:00Z'"),
        row(3, "fleet", "NULL, 'OPEN', 60, 100, 50, NULL"),
        row(5, "B", "'2013-01-03T05:00Z', 'WITHDRAWN', 4, 50, 3, NULL"),
      ].join(", ")
    }`);
    const { get } = createBench(db);
    const { body } = await get("/api/incidents");
    const idsOf = (list: { incident_id: string }[]) => list.map(({ incident_id }) => incident_id);
    assert.deepEqual(idsOf(body.incidents), [
      "fleet@2013-01-03T03:00:00Z",
      "A@2013-01-03T03:00:00Z",
      "A@2013-01-03T01:00:00Z",
      "B@2013-01-03T05:00:00Z",
    ]);
    assert.deepEqual(body.states, { OPEN: 2, CLOSED: 1, WITHDRAWN: 1 });
    assert.deepEqual(body.incidents[1], {
      incident_id: "A@2013-01-03T03:00:00Z",
      group_id: "A",
      from: "2013-01-03T03:00:00Z",
      to: null,
      state: "OPEN",
      meters: 26,
      expected: 50,
      needed: 3,
      part_of: "fleet@2013-01-03T03:00:00Z",
    });
    for (
      const [question, found] of [
        ["state=open&group=A", 1],
        ["group=A", 2],
        ["from=2013-01-03T02:00:00Z", 3],
        ["to=2013-01-03T03:00:00Z", 1],
        ["limit=1&offset=3", 1],
      ] as const
    ) {
      const { body: { incidents } } = await get(`/api/incidents?${question}`);
      assert.equal(incidents.length, found, question);
    }
    assert.equal((await get("/api/incidents?state=FILLED")).status, 400);
  } finally {
    await db.close();
  }
});

Deno.test("/readyz waits for the start, then for the store", async () => {
  const bench = createBench(filled, { state: "starting" });
  assert.equal((await bench.get("/readyz")).status, 503);
  bench.live = { ...bench.live, state: "running" };
  assert.deepEqual((await bench.get("/readyz")).body, { status: "ready" });
  bench.fail = true;
  assert.equal((await bench.get("/readyz")).status, 503);
});

Deno.test("/api/ledger gives every partition, the total, and the same counts out of the tables", async () => {
  const { body } = await createBench(filled).get("/api/ledger");
  assert.deepEqual(body.partitions[1], {
    partition: 1,
    raw: 34,
    ok: 30,
    late: 2,
    too_late: 1,
    duplicate: 0,
    rejected: 0,
    tick: 1,
    next_offset: 34,
    watermark: "2013-01-03T11:30:00Z",
  });
  const total = { raw: 144, ok: 128, late: 2, too_late: 2, duplicate: 1, rejected: 2, tick: 9 };
  assert.deepEqual(body.total, total);
  assert.deepEqual(body.tables_ledger, total);
  const rows = { validated_ok: 128, validated_late: 2, late_events: 2, duplicate: 1, rejected: 2 };
  assert.deepEqual(body.tables, rows);
  assert.equal(body.difference, 0);
  assert.equal(body.balanced, true);
  assert.equal(body.tables_checked_at, "2026-01-01T00:00:00Z");
});

Deno.test("/api/status tells the run, the ledger, the gaps and the fleet", async () => {
  const bench = createBench(filled, {
    state: "running",
    rowsRead: 36,
    readingsPerSecond: 12,
    startedAtMs: NOW_MS - 1500,
  });
  // While commits go on the scans are fetched behind the answer.
  const first = (await bench.get("/api/status")).body;
  assert.deepEqual([first.fleet.meters, first.fleet.readings], [null, 130]);
  await bench.get("/api/meters");
  const { body } = await bench.get("/api/status");
  assert.equal(body.version, "1.2.3");
  assert.equal(body.percent, 25);
  assert.equal(body.seconds_left, 9);
  assert.equal(body.event_time, "2013-01-03T12:00:00Z");
  assert.equal(body.started_at, "2025-12-31T23:59:58.500Z");
  assert.equal(body.open_gaps, 1);
  assert.deepEqual(body.gaps.CLOSED, { gaps: 1, missing_intervals: 2 });
  assert.deepEqual(body.gaps.EXPIRED, { gaps: 0, missing_intervals: 0 });
  assert.equal(body.ledger.total.raw, 144);
  assert.deepEqual(body.fleet, {
    meters: 3 + HOSTILE_IDS.length,
    readings: 130,
    meters_by_status: {
      ...{ retired: 0, silent: 0, gap: 1, unusable: 1, unjudged: 0, late: 0 },
      healthy: 1 + HOSTILE_IDS.length,
    },
    missing_intervals: 22,
    expected_intervals: 151,
    completeness_percent: 85.43,
    completeness_reporting_percent: 85.43,
    silent_meters: 0,
    silent_intervals: 0,
    duplicates: { identical: 1, conflicting: 0 },
    first_at: "2013-01-01T00:00:00Z",
    last_at: "2013-01-03T11:30:00Z",
  });
});

Deno.test("/api/status takes open gaps from the driver, the event time from who is further", async () => {
  const bench = createBench(filled, { openGaps: 7, eventTimeMs: null });
  const { body } = await bench.get("/api/status");
  assert.equal(body.open_gaps, 7);
  assert.equal(body.event_time, "2013-01-03T12:00:00Z");
  bench.live = { ...bench.live, eventTimeMs: Date.UTC(2013, 0, 4) };
  assert.equal((await bench.get("/api/status")).body.event_time, "2013-01-04T00:00:00Z");
});

Deno.test("an empty store gives empty lists and zeros, not errors", async () => {
  const bench = createBench(empty, { eventTimeMs: null, rowsTotal: null });
  for (const path of [...STATUS_PATHS, ...LIST_PATHS, "/api/delays", "/api/timeline"]) {
    assert.equal((await bench.get(path)).status, 200, path);
  }
  assert.equal((await bench.get("/api/ledger")).body.balanced, true);
  assert.equal((await bench.get("/api/status")).body.fleet.completeness_percent, null);
  assert.equal((await bench.get("/api/status")).body.event_time, null);
});

Deno.test("a parameter that cannot be used is a 400 with an error and a hint", async () => {
  const bench = createBench(filled);
  const wrong = [
    ...LIST_PATHS.flatMap((path) => {
      const joint = path.includes("?") ? "&" : "?";
      return ["limit=0", "limit=1001", "limit=-1", "limit=1.5", "limit=", "limit=1e2", "offset=x"]
        .map((each) => path + joint + each);
    }),
    "/api/status?x=1",
    "/api/gaps?metre=MAC1",
    "/api/gaps?state=CLOSED&state=OPEN",
    "/api/gaps?state=GONE",
    "/api/gaps?sort=worst",
    "/api/gaps?from=yesterday",
    "/api/gaps?from=2013-01-01T00:00:00",
    "/api/gaps?from=2013-13-01",
    "/api/gaps?from=2013-02-31",
    "/api/gaps?from=0000-01-01",
    "/api/gaps?meter=",
    "/api/gaps?meter=%00",
    `/api/late?meter=${"x".repeat(1001)}`,
    "/api/late?status=OK",
    "/api/rejected?reason=UGLY",
    "/api/meters?sort=best",
    "/api/meters?spans=true&limit=101",
    "/api/meters/MAC1?days=93",
    "/api/meters/MAC1?step=minute",
    "/api/meters/MAC1?readings=1001",
    "/api/meters/%00",
    "/api/timeline?days=0",
    "/api/timeline?cell=0",
  ];
  for (const path of wrong) {
    const { status, body } = await bench.get(path);
    assert.equal(status, 400, path);
    assert.deepEqual(Object.keys(body), ["error", "hint"], path);
    assert.ok(body.error.length < 300 && body.hint.length > 0, path);
  }
  assert.equal(bench.queries, 0);
});

Deno.test("/api/timeline counts a meter once in days that are put together", async () => {
  const bench = createBench(filled);
  const { body: { cells: days } } = await bench.get("/api/timeline");
  assert.deepEqual(days.map((cell: { meters_missing: number }) => cell.meters_missing), [1, 1, 1]);
  const { body } = await bench.get("/api/timeline?cell=7");
  assert.equal(body.cell_days, 7);
  assert.deepEqual(body.cells, [{ from: "2013-01-01T00:00:00Z", meters_missing: 1 }]);
});

Deno.test("limits at their bounds are taken", async () => {
  const bench = createBench(filled);
  for (const path of LIST_PATHS) {
    const joint = path.includes("?") ? "&" : "?";
    assert.equal((await bench.get(`${path}${joint}limit=1`)).status, 200);
    assert.equal((await bench.get(`${path}${joint}limit=1000&offset=10000000`)).status, 200);
  }
});

Deno.test("a store that fails is a 503 in JSON without its words, and is reported", async () => {
  const bench = createBench(filled);
  bench.fail = true;
  for (const path of [...STATUS_PATHS, ...LIST_PATHS, ...OTHER_PATHS]) {
    const { status, body, response } = await bench.get(path);
    assert.equal(status, 503, path);
    assert.deepEqual(Object.keys(body), ["error", "hint"], path);
    assert.doesNotMatch(JSON.stringify(body), /10\.0\.0\.7|admin|at .*\.ts/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  }
  assert.equal(bench.errors.length, STATUS_PATHS.length + LIST_PATHS.length + OTHER_PATHS.length);
  bench.fail = false;
  assert.equal((await bench.get("/api/meters")).status, 200);
});

Deno.test("an unknown address is JSON under /api/ and a page elsewhere", async () => {
  const bench = createBench(filled);
  const { status, body } = await bench.get("/api/nothing");
  assert.equal(status, 404);
  assert.match(body.hint, /\/api\/status/);
  const page = await bench.app.request("/nothing?<script>");
  assert.equal(page.status, 404);
  const html = await page.text();
  assert.match(html, /There is no such page/);
  assert.doesNotMatch(html, /<script>/);
});

Deno.test("nothing but GET and HEAD is taken", async () => {
  const bench = createBench(filled);
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const response = await bench.app.request("/api/gaps", { method });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
    await response.body?.cancel();
  }
  assert.equal((await bench.app.request("/api/gaps", { method: "HEAD" })).status, 200);
});

Deno.test("/metrics gives the ledger, open gaps, watermarks and the rate for Prometheus", async () => {
  const bench = createBench(filled, { readingsPerSecond: 81_000 });
  const response = await bench.app.request("/metrics");
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split("\n");
  for (
    const line of [
      'gridwatch_build_info{version="1.2.3"} 1',
      'gridwatch_state{state="finished"} 1',
      "gridwatch_store_up 1",
      'gridwatch_raw_records_total{partition="0"} 110',
      'gridwatch_records_total{partition="1",disposition="late"} 2',
      "gridwatch_ledger_difference 0",
      'gridwatch_gaps{state="OPEN"} 1',
      'gridwatch_watermark_seconds{partition="0"} 1357214400',
      "gridwatch_readings_per_second 81000",
    ]
  ) {
    assert.ok(lines.includes(line), line);
  }
  const sample = /^(# (HELP|TYPE) .*|[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? -?[0-9.e+-]+|)$/;
  for (const line of lines) assert.match(line, sample);
});

Deno.test("/metrics still tells of the run when the store fails", async () => {
  const bench = createBench(filled);
  bench.fail = true;
  const response = await bench.app.request("/metrics");
  assert.equal(response.status, 200);
  const text = await response.text();
  assert.match(text, /^gridwatch_store_up 0$/m);
  assert.doesNotMatch(text, /gridwatch_gaps/);
});

Deno.test("an address that is none is a 400, not a fault", async () => {
  const { app } = createBench(empty);
  for (const host of ["[", "a b"]) {
    const request = new Request("http://host/api/gaps");
    Object.defineProperty(request, "url", { value: `http://${host}/api/gaps` });
    const response = await app.fetch(request);
    assert.equal(response.status, 400, host);
    assert.match((await response.json()).error, /^Cannot read the address/);
  }
});

Deno.test("/healthz of one that serves a database does not fail with it", async () => {
  const bench = createBench(empty, { state: "running", source: "database" });
  bench.nowMs += 120_000;
  bench.fail = true;
  assert.equal((await bench.get("/healthz")).status, 200);
  assert.equal((await bench.get("/readyz")).status, 503);
});
