/** The key figures, counted by hand, on both databases. */
import assert from "node:assert/strict";
import { openFile } from "../../src/adapters/sqlite/library.ts";
import { openReader, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { encodeTick } from "../../src/core/wire/raw_record.ts";
import { Task } from "../../src/engine/task.ts";
import { type Kpis, readKpis, readKpisBy } from "../../src/tables/kpi.ts";
import { type Query, queryOf } from "../../src/tables/query.ts";
import { SessionStore } from "../adapters/sqlite/fleet.ts";
import { TestPostgres } from "../pglite.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";

const HALF_HOUR_MS = 1_800_000;
const HOUR_MS = 2 * HALF_HOUR_MS;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2024, 0, 1);
const OPTIONS = { fromMs: null, toMs: null, target: 0.995 };

type Sent = {
  readonly meter: string;
  readonly atMs: number;
  readonly receivedMs: number;
  readonly kwh?: number;
};

/** Plays readings in the order of their arrival up to a last tick; asks both databases. */
async function figuresOf(
  sent: readonly Sent[],
  { endMs, estimates = [], ask = (query) => readKpis(query, OPTIONS) }: {
    readonly endMs: number;
    readonly estimates?: readonly { readonly meter: string; readonly time: string }[];
    readonly ask?: (query: Query) => Promise<unknown>;
  },
): Promise<unknown> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-kpi-" });
  const store = new SessionStore(`${folder}/${STORE_FILE}`);
  const settings = { ...PLAIN_SETTINGS, allowedLatenessMs: 3 * DAY_MS, stateTtlMs: 7 * DAY_MS };
  const options = { ...settings, forgetAfterMs: 400 * DAY_MS, negative: "flag" } as const;
  const task = await Task.open(coreOptions(options), store);
  for (const { meter, atMs, receivedMs, kwh = 0.5 } of sent) {
    const [timestamp, received_at] = [atMs, receivedMs].map((ms) => new Date(ms).toISOString());
    const record = { meter_id: meter, timestamp, consumption_kwh: kwh, received_at };
    task.fold(rawOf(JSON.stringify(record), task.nextOffset));
  }
  task.fold(rawOf(encodeTick(endMs, true), task.nextOffset));
  await store.commit(task.takeCommit()!);
  store.session.close();
  const database = openFile(`${folder}/${STORE_FILE}`, { readOnly: false, busyMs: 0 });
  const rows = estimates.map(({ meter, time }) =>
    `('${meter}', '${time}', 0.5, 'LINEAR', '3.8.0', 'G', false)`
  );
  const inserted = `INSERT INTO estimated_readings (meter_id, time, consumption_kwh, method, code,
    gap_id, withdrawn) VALUES ${rows.join(", ")}`;
  if (rows.length > 0) database.exec(inserted);
  database.close();
  const reader = await openReader(folder);
  const postgres = await TestPostgres.open();
  try {
    await postgres.copyFrom(reader);
    if (rows.length > 0) await postgres.script(inserted);
    const [embedded, other] = [await ask(queryOf(reader)), await ask(queryOf(postgres))];
    assert.deepEqual(embedded, other, "another answer on PostgreSQL");
    return embedded;
  } finally {
    await postgres.close();
    await reader.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Readings of a meter from slot to slot, each so long after its half hour. */
function readings(meter: string, from: number, to: number, delayMs: number): Sent[] {
  return Array.from({ length: to - from }, (_, n) => {
    const atMs = START_MS + (from + n) * HALF_HOUR_MS;
    return { meter, atMs, receivedMs: atMs + HALF_HOUR_MS + delayMs };
  });
}

const byArrival = (sent: Sent[]) => sent.sort((a, b) => a.receivedMs - b.receivedMs);

Deno.test("KPIs of a day with two slots missing: the contract's case A", async () => {
  const sent = [...readings("A", 0, 20, 300_000), ...readings("A", 22, 48, 300_000)];
  const estimates = ["10:00", "10:30"].map((at) => ({ meter: "A", time: `2024-01-01T${at}:00Z` }));
  const kpis = await figuresOf(sent, { endMs: START_MS + DAY_MS, estimates }) as Kpis;
  const { burn_rate_1h, burn_rate_6h, ...others } = kpis;
  assert.deepEqual([burn_rate_1h, burn_rate_6h], [0, 0]);
  assert.deepEqual(others, {
    expected: 48,
    valid: 46,
    completeness: 0.958333,
    completeness_by_kwh: 0.958333,
    gaps: 1,
    open_gaps: 0,
    silent_meters: 0,
    mean_minutes_to_recover: 60,
    p95_minutes_to_recover: 60,
    estimated_share: 0.041667,
    not_estimated: 0,
    error_budget_used: 8.333333,
    timeliness: { "6": 0.958333, "12": 0.958333, "23": 0.958333, "120": 0.958333 },
    latency_seconds: { p50: 300, p95: 300, p99: 300 },
  });
});

/** Day 1 in one batch at 31:00, day 2 as it comes up to 20:00; beside it a meter that reads on. */
const CASE_B = byArrival([
  ...readings("X", 0, 96, 60_000),
  ...readings("B", 0, 48, 0).map((each) => ({ ...each, receivedMs: START_MS + 31 * HOUR_MS })),
  ...readings("B", 48, 88, 60_000),
]);

Deno.test("KPIs of a day that came late and a meter that fell silent: the contract's case B", async () => {
  const kpis = await figuresOf(CASE_B, { endMs: START_MS + 2 * DAY_MS }) as Kpis;
  assert.deepEqual([kpis.expected, kpis.valid], [192, 184]);
  assert.deepEqual([kpis.gaps, kpis.open_gaps, kpis.silent_meters], [1, 1, 0]);
  assert.deepEqual([kpis.mean_minutes_to_recover, kpis.p95_minutes_to_recover], [null, null]);
  assert.deepEqual(kpis.timeliness, {
    "6": 0.708333,
    "12": 0.958333,
    "23": 0.958333,
    "120": 0.958333,
  });
  assert.deepEqual(kpis.latency_seconds, { p50: 60, p95: 93_600, p99: 108_000 });
  // Half of the last four hours' slots are missing, of the last six a third.
  assert.deepEqual([kpis.burn_rate_1h, kpis.burn_rate_6h], [100, 66.666667]);
});

Deno.test("KPIs by day and by meter add up to those of all, and a span takes its days", async () => {
  const ask = async (query: Query) => ({
    days: await readKpisBy(query, "day", OPTIONS),
    meters: await readKpisBy(query, "meter", OPTIONS),
    groups: await readKpisBy(query, "group", OPTIONS),
    second: await readKpis(query, { ...OPTIONS, fromMs: START_MS + DAY_MS + 5 }),
    first: await readKpis(query, { ...OPTIONS, toMs: START_MS + DAY_MS }),
  });
  const answer = await figuresOf(CASE_B, { endMs: START_MS + 2 * DAY_MS, ask });
  const { days, meters, groups, second, first } = answer as Awaited<ReturnType<typeof ask>>;
  assert.deepEqual(days.map(({ day, expected, valid }) => [day, expected, valid]), [
    ["2024-01-01", 96, 96],
    ["2024-01-02", 96, 88],
  ]);
  assert.deepEqual(
    meters.map(({ meter, expected, valid, open_gaps }) => [
      ...[meter, expected, valid, open_gaps],
    ]),
    [["B", 96, 88, 1], ["X", 96, 96, 0]],
  );
  assert.deepEqual(groups.map(({ group, expected }) => [group, expected]), [["fleet", 192]]);
  assert.deepEqual([second.expected, second.valid, first.expected, first.valid], [96, 88, 96, 96]);
  assert.equal(first.timeliness["6"], 0.5);
});

Deno.test("a reading with the flag NEGATIVE is expected, and neither valid nor energy", async () => {
  const sent = readings("A", 0, 48, 60_000).map((each, n) => n === 7 ? { ...each, kwh: -3 } : each);
  const kpis = await figuresOf(sent, { endMs: START_MS + DAY_MS }) as Kpis;
  assert.deepEqual([kpis.expected, kpis.valid, kpis.completeness_by_kwh], [48, 47, 1]);
  assert.equal(kpis.not_estimated, 1);
});
