import assert from "node:assert/strict";
import { createBench, HOSTILE_IDS, openFilled } from "../api/fixture.ts";

const filled = await openFilled();

Deno.test("/api/meters gives the least complete first, those without a reading last", async () => {
  const { body } = await createBench(filled).get("/api/meters");
  assert.deepEqual(body.meters[0], {
    meter_id: "MAC1",
    status: "gap",
    readings: 98,
    first_at: "2013-01-01T00:00:00Z",
    last_at: "2013-01-03T01:30:00Z",
    missing_intervals: 22,
    silent_intervals: 0,
    gaps: 2,
    open_gaps: 1,
    late: 0,
    too_late: 1,
    rejected: 0,
    duplicates: 1,
    identical: 1,
    conflicting: 0,
    revised_readings: 0,
    expected_intervals: 120,
    completeness_percent: 81.667,
  });
  const last = body.meters.at(-1);
  assert.equal(last.meter_id, "BAD");
  assert.equal(last.completeness_percent, null);
  assert.equal(body.total, 3 + HOSTILE_IDS.length);
});

Deno.test("/api/meters sorts by id, finds by part of it, and gives pages", async () => {
  const bench = createBench(filled);
  const all = (await bench.get("/api/meters?sort=id")).body.meters;
  const ids = all.map((meter: { meter_id: string }) => meter.meter_id);
  assert.deepEqual(ids, [...ids].sort());
  const page = (await bench.get("/api/meters?sort=id&limit=2&offset=3")).body;
  assert.deepEqual(page.meters, all.slice(3, 5));
  const found = (await bench.get("/api/meters?sort=id&q=mac")).body;
  assert.equal(found.total, 2);
  assert.equal(found.fleet_meters, 3 + HOSTILE_IDS.length);
  assert.deepEqual((await bench.get("/api/meters?offset=999")).body.meters, []);
});

Deno.test("/api/meters?spans=true gives the gaps of each meter up to the watermark, no filled ones", async () => {
  const { body } = await createBench(filled).get("/api/meters?spans=true&limit=100&q=mac");
  const [first, second] = body.meters;
  assert.deepEqual(first.spans, [
    { from: "2013-01-01T23:30:00Z", to: "2013-01-02T00:30:00Z", state: "CLOSED" },
    { from: "2013-01-03T02:00:00Z", to: "2013-01-03T12:00:00Z", state: "OPEN" },
  ]);
  assert.deepEqual(second.spans, []);
});

Deno.test("/api/meters of a running pipeline is kept a while, and says how old it is", async () => {
  const bench = createBench(filled, { state: "running" });
  assert.equal((await bench.get("/api/meters")).body.counted_seconds_ago, 0);
  const { queries } = bench;
  bench.nowMs += 2500;
  bench.live = { ...bench.live, rowsRead: 145 };
  assert.equal((await bench.get("/api/meters")).body.counted_seconds_ago, 2);
  assert.equal(bench.queries, queries);
  // Once it ended, nothing older than the last commit is given.
  bench.live = { ...bench.live, state: "finished" };
  assert.equal((await bench.get("/api/meters")).body.counted_seconds_ago, 0);
});

Deno.test("/api/meters/:id gives account, gaps, last readings and a series without invented points", async () => {
  const { body } = await createBench(filled).get("/api/meters/MAC1?readings=2&days=2");
  assert.equal(body.meter.missing_intervals, 22);
  assert.deepEqual(body.gaps.map((gap: { state: string }) => gap.state), ["OPEN", "CLOSED"]);
  assert.deepEqual(body.readings[0], {
    timestamp: "2013-01-03T01:30:00Z",
    consumption_kwh: 0.5,
    status: "OK",
    flags: [],
    delay_seconds: 0,
  });
  assert.equal(body.readings.length, 2);
  // The open gap reaches the watermark, and so does the chart.
  assert.equal(body.series.to, "2013-01-03T12:00:00Z");
  assert.equal(body.series.from, "2013-01-01T12:00:00Z");
  const byHour = new Map<string, { kwh: number; readings: number }>(
    body.series.points.map((point: { at: string }) => [point.at, point]),
  );
  assert.equal(byHour.get("2013-01-02T01:00:00Z")?.kwh, 1);
  assert.equal(byHour.get("2013-01-02T00:00:00Z")?.readings, 1);
  assert.equal(byHour.has("2013-01-03T02:00:00Z"), false);
});

Deno.test("/api/meters/:id?step=day sums days and begins with the meter", async () => {
  const { body } = await createBench(filled).get("/api/meters/MAC1?step=day");
  assert.equal(body.series.from, "2013-01-01T00:00:00Z");
  assert.deepEqual(body.series.points.map((point: { kwh: number }) => point.kwh), [23.5, 23.5, 2]);
});

Deno.test("/api/meters/:id answers 404 in JSON for a meter that no table knows", async () => {
  const { status, body } = await createBench(filled).get("/api/meters/NOBODY");
  assert.equal(status, 404);
  assert.equal(body.error, "There is no such meter");
});

Deno.test("/api/meters/:id knows a meter of which every record was rejected", async () => {
  const { status, body } = await createBench(filled).get("/api/meters/BAD");
  assert.equal(status, 200);
  assert.equal(body.meter.rejected, 1);
  assert.deepEqual(body.series.points, []);
});

Deno.test("hostile meter ids are found, listed and written back as they are", async () => {
  const bench = createBench(filled);
  const { body } = await bench.get("/api/meters?sort=id&limit=1000");
  const listed = body.meters.map((meter: { meter_id: string }) => meter.meter_id);
  for (const meterId of HOSTILE_IDS) {
    assert.ok(listed.includes(meterId), JSON.stringify(meterId));
    const encoded = encodeURIComponent(meterId);
    const one = await bench.get(`/api/meters/${encoded}`);
    assert.equal(one.status, 200, JSON.stringify(meterId));
    assert.equal(one.body.meter.meter_id, meterId);
    assert.equal((await bench.get(`/api/gaps?meter=${encoded}`)).status, 200);
    assert.equal((await bench.get(`/api/meters?spans=true&q=${encoded}`)).body.total, 1);
  }
  const ledger = await bench.get("/api/ledger");
  assert.equal(ledger.body.total.raw, 144);
});

Deno.test("/api/validation gives what rules have found, by rule, by meter and by time", async () => {
  const bench = createBench(filled);
  const { body } = await bench.get("/api/validation");
  assert.deepEqual(body.rules, [
    { rule: "STUCK", severity: "warn", count: 2 },
    { rule: "CAPACITY", severity: "error", count: 1 },
  ]);
  assert.deepEqual(body.validation[1], {
    ...{ meter_id: "MAC1", rule: "CAPACITY", severity: "error", slots: 1, value: 99, limit: 24 },
    ...{ from: "2013-01-02T05:00:00Z", to: "2013-01-02T05:30:00Z", detail: "", partition: 0 },
  });
  const found = async (query: string) => {
    const { validation, more } = (await bench.get(`/api/validation?${query}`)).body;
    const rows: { meter_id: string; rule: string }[] = validation;
    return [rows.map((row) => `${row.meter_id} ${row.rule}`).join(), more];
  };
  assert.deepEqual(await found("rule=STUCK"), ["MAC2 STUCK,MAC1 STUCK", false]);
  assert.deepEqual(await found("rule=STUCK&limit=1"), ["MAC2 STUCK", true]);
  assert.deepEqual(await found("meter=MAC1&limit=1&offset=1"), ["MAC1 STUCK", false]);
  assert.deepEqual(await found("rule=SPIKE"), ["", false]);
  const span = "from=2013-01-01T19:30:00Z&to=2013-01-02T05:00:00Z";
  assert.deepEqual(await found(span), ["MAC1 STUCK", false]);
  const meter = (await bench.get("/api/meters/MAC1")).body;
  assert.deepEqual(meter.validation.map(({ rule }: { rule: string }) => rule), [
    ...["CAPACITY", "STUCK"],
  ]);
  assert.equal((await bench.get("/api/validation?rule=STUCK&rule=SPIKE")).status, 400);
});

Deno.test("/api/gaps gives an open gap as stored and its length at the watermark", async () => {
  const { body } = await createBench(filled).get("/api/gaps?state=open");
  assert.equal(body.gaps.length, 1);
  assert.deepEqual(body.gaps[0], {
    gap_id: "MAC1@2013-01-03T02:00:00Z",
    meter_id: "MAC1",
    missing_from: "2013-01-03T02:00:00Z",
    missing_to: "2013-01-03T04:00:00Z",
    gap_minutes: 120,
    incident_id: null,
    known_minutes: 600,
    missing_intervals: 4,
    known_intervals: 20,
    filled_intervals: null,
    rejected_intervals: 0,
    state: "OPEN",
    silence: null,
    detected_at: "2013-01-03T04:15:00Z",
    partition: 0,
  });
  assert.equal(body.states.FILLED.gaps, 1);
});

Deno.test("/api/gaps orders by discovery or length, and takes a meter and a span of time", async () => {
  const bench = createBench(filled);
  const states = async (path: string) =>
    (await bench.get(path)).body.gaps.map((gap: { state: string }) => gap.state);
  assert.deepEqual(await states("/api/gaps"), ["FILLED", "OPEN", "CLOSED"]);
  assert.deepEqual(await states("/api/gaps?sort=longest"), ["OPEN", "CLOSED", "FILLED"]);
  assert.deepEqual(await states("/api/gaps?meter=MAC2"), ["FILLED"]);
  assert.deepEqual(await states("/api/gaps?to=2013-01-02"), ["CLOSED"]);
  // Half open at both ends: a gap that ends at `from` or begins at `to` does not touch the span.
  assert.deepEqual(await states("/api/gaps?from=2013-01-02T00:30:00Z&to=2013-01-03T02:00Z"), []);
  assert.deepEqual(await states("/api/gaps?from=2013-01-03T11:59Z"), ["OPEN"]);
});

Deno.test("lists say whether there are more rows than the limit", async () => {
  const bench = createBench(filled);
  const first = (await bench.get("/api/gaps?limit=2")).body;
  assert.deepEqual([first.gaps.length, first.more], [2, true]);
  const rest = (await bench.get("/api/gaps?limit=2&offset=2")).body;
  assert.deepEqual([rest.gaps.length, rest.more], [1, false]);
});

Deno.test("/api/late gives too-late readings, and accepted late ones when asked", async () => {
  const bench = createBench(filled);
  const tooLate = (await bench.get("/api/late?meter=MAC1")).body.late;
  assert.deepEqual(tooLate, [{
    meter_id: "MAC1",
    timestamp: "2013-01-01T23:30:00Z",
    consumption_kwh: 0.25,
    delay_seconds: 12600,
    judged_at: "2013-01-02T03:00:00Z",
    status: "TOO_LATE",
  }]);
  const accepted = (await bench.get("/api/late?status=LATE&limit=1")).body;
  assert.equal(accepted.late[0].timestamp, "2013-01-03T02:30:00Z");
  assert.equal(accepted.late[0].judged_at, "2013-01-03T02:35:01Z");
  assert.equal(accepted.more, true);
});

Deno.test("/api/delays counts a delay on a bound below it", async () => {
  const { body } = await createBench(filled).get("/api/delays");
  const late = body.delays.map((each: { late: number }) => each.late);
  const tooLate = body.delays.map((each: { too_late: number }) => each.too_late);
  assert.deepEqual(late, [0, 1, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual(tooLate, [0, 0, 0, 0, 2, 0, 0, 0]);
});

Deno.test("/api/rejected gives the raw text, by reason and by meter", async () => {
  const bench = createBench(filled);
  const { body } = await bench.get("/api/rejected?reason=MALFORMED");
  assert.equal(body.rejected[0].raw, "<img src=x onerror=alert(1)>");
  assert.equal(body.rejected[0].meter_id, null);
  assert.equal(body.rejected[0].offset, 101);
  assert.deepEqual(body.reasons.map((each: { count: number }) => each.count), [1, 1, 1]);
  assert.equal((await bench.get("/api/rejected?meter=BAD")).body.rejected.length, 1);
  assert.equal((await bench.get("/api/rejected")).body.rejected.length, 3);
});

Deno.test("/api/timeline counts each missing slot on its own day, open gaps up to the watermark", async () => {
  const { body } = await createBench(filled).get("/api/timeline");
  assert.equal(body.from, "2013-01-01T00:00:00Z");
  assert.equal(body.to, "2013-01-04T00:00:00Z");
  assert.deepEqual(body.days, [
    { day: "2013-01-01", missing_intervals: 1, meters_missing: 1, too_late: 1, rejected: 0 },
    { day: "2013-01-02", missing_intervals: 1, meters_missing: 1, too_late: 1, rejected: 2 },
    { day: "2013-01-03", missing_intervals: 20, meters_missing: 1, too_late: 0, rejected: 0 },
  ]);
  const short = (await createBench(filled).get("/api/timeline?days=1")).body;
  assert.equal(short.from, "2013-01-03T00:00:00Z");
});
