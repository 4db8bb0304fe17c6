import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  DEFECT_KINDS,
  fleetCsv,
  type FleetOptions,
  type FleetPlan,
  isDelayed,
  isGap,
  meterId,
  planFleet,
  UNUSABLE_VALUES,
} from "../../src/generate/fleet.ts";
import {
  createRandom,
  hash32,
  normalOf32,
  randomFailures,
  randomInteger,
} from "../../src/generate/random.ts";

const START_MS = Date.UTC(2024, 0, 1);
const TEN_METERS: FleetOptions = {
  seed: 1,
  meters: 10,
  days: 7,
  intervalMinutes: 30,
  startMs: START_MS,
  clean: false,
};

/** Meters, days, minutes: the smallest, one slot, either side of the limits, all sorts of steps. */
const SIZES = [
  [1, 1, 30],
  [1, 1, 1440],
  [1, 5, 1440],
  [1, 1, 1],
  [2, 60, 30],
  [4, 30, 30],
  [5, 4, 30],
  [5, 5, 30],
  [5, 5, 60],
  [5, 6, 61],
  [5, 5, 5],
  [5, 120, 1440],
  [9, 20, 240],
  [12, 5, 15],
  [13, 10, 7],
  [100, 7, 30],
] as const;
const SEEDS = [0, 1, 2, 2 ** 32 - 1];

function* fleets(): Generator<FleetOptions> {
  for (const [meters, days, intervalMinutes] of SIZES) {
    for (const seed of SEEDS) yield { ...TEN_METERS, seed, meters, days, intervalMinutes };
  }
}

function csvOf(options: FleetOptions): string {
  return [...fleetCsv(planFleet(options))].join("");
}

type Row = { meter: string; slot: number; value: string; receivedMs: number | null };

function rowsOf(csv: string, { startMs, intervalMinutes }: FleetOptions): Row[] {
  return csv.trimEnd().split("\n").slice(1).map((line) => {
    const [meter, timestamp, value, receivedAt] = line.split(",");
    const slot = (Date.parse(timestamp) - startMs) / (intervalMinutes * 60_000);
    return { meter, slot, value, receivedMs: receivedAt ? Date.parse(receivedAt) : null };
  });
}

/** Rows by meter and slot, in the order of the file. */
function rowsBySlot(rows: readonly Row[]): Map<string, Row[]> {
  return Map.groupBy(rows, ({ meter, slot }) => `${meter} ${slot}`);
}

Deno.test("fleetCsv() gives the same bytes for the same seed, and others for another", () => {
  for (const options of fleets()) {
    assert.equal(csvOf(options), csvOf(options), JSON.stringify(options));
  }
  assert.notEqual(csvOf(TEN_METERS), csvOf({ ...TEN_METERS, seed: 2 }));
});

Deno.test("fleetCsv() gives the bytes it always gave: a change of them is a change of the seed", () => {
  const digest = createHash("sha256").update(csvOf(TEN_METERS)).digest("hex");
  assert.equal(digest, "da27cefbb69784632a49f1a88d4654652092922baf40b7d0542c1f998549f76a");
});

Deno.test("planFleet() keeps two clean slots between a meter's defects, and four at either end", () => {
  for (const options of fleets()) {
    const { slots, defectsByMeter } = planFleet(options);
    for (const defects of defectsByMeter) {
      let free = 4;
      for (const { kind, from, to, end } of defects) {
        const where = `${JSON.stringify(options)} ${kind} at ${from}`;
        assert.ok(from >= free && from < to && to <= end, where);
        assert.ok(kind === "churn" ? end === slots : end <= slots - 4, where);
        free = end + 2;
      }
    }
  }
});

Deno.test("planFleet() has each kind in 5 meters and 5 days, and the churn is never meter 0's", () => {
  for (const options of fleets()) {
    const { slots, defectsByMeter } = planFleet(options);
    const kinds = new Set(defectsByMeter.flat().map(({ kind }) => kind));
    if (options.meters >= 5 && options.days >= 5 && slots >= 120) {
      assert.deepEqual(
        DEFECT_KINDS.filter((kind) => !kinds.has(kind)),
        [],
        JSON.stringify(options),
      );
    }
    assert.ok(defectsByMeter[0].every(({ kind }) => kind !== "churn"));
  }
});

Deno.test("planFleet() hits two meters or more, side by side and at once, in the group outage", () => {
  for (const options of fleets()) {
    const hit = planFleet(options).defectsByMeter.flat().filter((d) => d.kind === "group_outage");
    if (hit.length === 0) continue;
    assert.ok(hit.length >= 2 && hit.length <= options.meters);
    hit.forEach(({ meter, from, to }, i) =>
      assert.deepEqual([meter, from, to], [hit[0].meter + i, hit[0].from, hit[0].to])
    );
  }
});

Deno.test("planFleet() keeps the rates, whether the interval is 30 minutes or 1", () => {
  for (const [meters, days, intervalMinutes] of [[2000, 28, 30], [100, 28, 1]]) {
    const plan = planFleet({ ...TEN_METERS, meters, days, intervalMinutes });
    const share = (kind: string) =>
      plan.defectsByMeter.flat().filter((d) => d.kind === kind).length / meters / plan.slots;
    for (
      const [kind, want] of [["missing", 0.003], ["late", 0.005], ["duplicate", 0.002]] as const
    ) {
      assert.ok(
        Math.abs(share(kind) / want - 1) < 0.1,
        `${kind} ${intervalMinutes}: ${share(kind)}`,
      );
    }
  }
  const outages = planFleet({ ...TEN_METERS, meters: 2000, days: 28 }).defectsByMeter.flat()
    .filter(({ kind }) => kind === "outage").length;
  assert.ok(Math.abs(outages / (2000 * 4 / 20) - 1) < 0.2, `${outages} outages`);
});

Deno.test("fleetCsv() writes each defect as planned and every other slot once, as without defects", () => {
  for (const options of fleets()) {
    const plan = planFleet(options);
    const rows = rowsBySlot(rowsOf([...fleetCsv(plan)].join(""), options));
    const clean = rowsBySlot(rowsOf(csvOf({ ...options, clean: true }), options));
    assert.equal(clean.size, options.meters * plan.slots);
    plan.defectsByMeter.forEach((defects, meter) => {
      let next = 0;
      for (let slot = 0; slot < plan.slots; slot++) {
        if (next < defects.length && slot >= defects[next].to) next++;
        const key = `${meterId(meter)} ${slot}`;
        const truth = Number(clean.get(key)![0].value);
        const got = rows.get(key) ?? [];
        const defect = defects[next];
        const where = `${JSON.stringify(options)} ${key}`;
        if (defect && slot >= defect.from) checkDefect(defect, { got, truth, plan, where });
        else checkClean(got, { truth, afterStuck: defects[next - 1], where });
      }
    });
  }
});

type Seen = { got: readonly Row[]; truth: number; plan: FleetPlan; where: string };
type Defect = FleetPlan["defectsByMeter"][number][number];

function checkDefect(defect: Defect, { got, truth, plan, where }: Seen): void {
  const { kind, detail, from } = defect;
  const values = got.map(({ value }) => value);
  if (isGap(kind)) return assert.deepEqual(values, [], where);
  assert.ok(Math.abs(defect.trueWh / 1000 - truth) < 1e-9 || kind === "stuck", where);
  const written = (defect.writtenWh / 1000).toFixed(3);
  if (isDelayed(kind)) {
    const delaySeconds = kind === "late" ? [300, 3300] : [3601, 21_600];
    assert.ok(detail >= delaySeconds[0] && detail <= delaySeconds[1], where);
    const sentMs = plan.options.startMs + from * plan.intervalMs;
    assert.deepEqual(got.map((row) => row.receivedMs), [sentMs + detail * 1000], where);
  } else {
    assert.ok(got.every((row) => row.receivedMs === null), where);
  }
  if (kind === "duplicate") return assert.deepEqual(values, [written, written], where);
  if (kind === "conflict") {
    assert.deepEqual(values, [truth.toFixed(3), written], where);
    return assert.notEqual(values[0], values[1], where);
  }
  assert.equal(values.length, 1, where);
  if (kind === "unusable") return assert.equal(values[0], UNUSABLE_VALUES[detail], where);
  assert.equal(values[0], written, where);
  if (kind === "negative") assert.ok(Number(written) < 0, where);
  if (kind === "stuck") assert.ok(Number(written) > 0, where);
  if (kind === "spike" && truth > 0) {
    assert.ok(
      Math.abs(Number(written) / truth - detail) < 1e-6 && detail >= 20 && detail <= 50,
      where,
    );
    assert.ok(Number(written) < 100_000, where);
  }
}

function checkClean(
  got: readonly Row[],
  { truth, afterStuck, where }: { truth: number; afterStuck: Defect | undefined; where: string },
): void {
  assert.equal(got.length, 1, where);
  assert.equal(got[0].receivedMs, null, where);
  const isBumped = afterStuck?.kind === "stuck" && afterStuck.to === got[0].slot &&
    afterStuck.writtenWh === Math.round(truth * 1000);
  assert.equal(got[0].value, (truth + (isBumped ? 0.001 : 0)).toFixed(3), where);
}

Deno.test("fleetCsv() writes another value before a stuck run and after it", () => {
  for (const options of fleets()) {
    const plan = planFleet(options);
    const rows = rowsBySlot(rowsOf([...fleetCsv(plan)].join(""), options));
    for (const { kind, meter, from, to } of plan.defectsByMeter.flat()) {
      if (kind !== "stuck") continue;
      const valueAt = (slot: number) => rows.get(`${meterId(meter)} ${slot}`)![0].value;
      assert.ok(to - from >= 4);
      assert.notEqual(valueAt(from - 1), valueAt(from), JSON.stringify(options));
      assert.notEqual(valueAt(to), valueAt(from), JSON.stringify(options));
    }
  }
});

Deno.test("fleetCsv() is in order of arrival, and everything arrives before the last slot", () => {
  for (const options of fleets()) {
    const stepMs = options.intervalMinutes * 60_000;
    let latestMs = options.startMs;
    const rows = rowsOf(csvOf(options), options);
    for (const { slot, receivedMs } of rows) {
      const arrivedMs = receivedMs ?? options.startMs + slot * stepMs;
      assert.ok(arrivedMs >= latestMs, JSON.stringify(options));
      latestMs = arrivedMs;
    }
    const slots = Math.floor(options.days * 1440 / options.intervalMinutes);
    assert.equal(latestMs, options.startMs + (slots - 1) * stepMs);
  }
});

Deno.test("fleetCsv() has a received_at column only when a reading is late", () => {
  const headerOf = (options: FleetOptions) => csvOf(options).slice(0, csvOf(options).indexOf("\n"));
  assert.equal(headerOf(TEN_METERS), "meter_id,timestamp,consumption_kwh,received_at");
  assert.equal(
    headerOf({ ...TEN_METERS, clean: true }),
    "meter_id,timestamp,consumption_kwh",
  );
  assert.equal(headerOf({ ...TEN_METERS, meters: 1, days: 1, intervalMinutes: 1440 }).length, 34);
});

Deno.test("fleetCsv() writes ISO times in Z, three decimals and LF from its first line to its last", () => {
  const csv = csvOf({ ...TEN_METERS, clean: true });
  const line = /^MTR\d{6},2024-01-0[1-7]T\d\d:[03]0:00Z,\d+\.\d{3}$/;
  const lines = csv.split("\n");
  assert.equal(lines.pop(), "");
  assert.equal(lines.length, 1 + 10 * 7 * 48);
  assert.deepEqual(lines.slice(1).filter((text) => !line.test(text)), []);
});

Deno.test("fleetCsv() gives a meter the same readings in a small fleet and in a large one", () => {
  const linesOf = (meters: number) =>
    csvOf({ ...TEN_METERS, meters, clean: true }).split("\n").filter((line) =>
      line.startsWith("MTR000003")
    );
  assert.deepEqual(linesOf(3), linesOf(50));
});

Deno.test("fleetCsv() uses what households use: 2,500 to 5,500 kWh a year, most in the evening", () => {
  const kwhByHour = new Float64Array(24);
  const year = { ...TEN_METERS, meters: 100, days: 364, intervalMinutes: 60, clean: true };
  for (const { slot, value } of rowsOf(csvOf(year), year)) kwhByHour[slot % 24] += Number(value);
  const kwhAYear = kwhByHour.reduce((sum, kwh) => sum + kwh) / 100;
  assert.ok(kwhAYear > 2500 && kwhAYear < 5500, `${kwhAYear} kWh`);
  const peak = kwhByHour.indexOf(Math.max(...kwhByHour));
  assert.ok(peak >= 17 && peak <= 20, `the peak is at ${peak} h`);
  assert.ok(kwhByHour[8] > kwhByHour[10] && kwhByHour[18] > 1.5 * kwhByHour[13]);
});

Deno.test("fleetCsv() gives the same energy at any interval, within 5 %", () => {
  const totalOf = (intervalMinutes: number) => {
    const options = { ...TEN_METERS, meters: 200, intervalMinutes, clean: true };
    return rowsOf(csvOf(options), options).reduce((sum, { value }) => sum + Number(value), 0);
  };
  const halfHourly = totalOf(30);
  for (const minutes of [5, 60, 240]) {
    const ratio = totalOf(minutes) / halfHourly;
    assert.ok(Math.abs(ratio - 1) < 0.05, `${minutes} min: ${ratio}`);
  }
});

Deno.test("createRandom() repeats itself for a seed, and spreads evenly over [0, 1)", () => {
  const tenths = new Int32Array(10);
  const random = createRandom(7), again = createRandom(7), other = createRandom(8);
  let equal = 0;
  for (let i = 0; i < 100_000; i++) {
    const number = random();
    assert.equal(number, again());
    if (number === other()) equal++;
    tenths[Math.floor(number * 10)]++;
  }
  assert.ok(equal < 3);
  assert.ok(tenths.every((count) => Math.abs(count - 10_000) < 500), tenths.join(" "));
});

Deno.test("randomInteger() reaches both of its ends, and never passes them", () => {
  const random = createRandom(1);
  const seen = new Set(Array.from({ length: 1000 }, () => randomInteger(random, -1, 2)));
  assert.deepEqual([...seen].sort((a, b) => a - b), [-1, 0, 1, 2]);
});

Deno.test("randomFailures() has the mean asked for, and is 0 when that is not positive", () => {
  const random = createRandom(1);
  let sum = 0;
  for (let i = 0; i < 100_000; i++) sum += randomFailures(random, 65);
  assert.ok(Math.abs(sum / 100_000 - 65) < 1, `${sum / 100_000}`);
  assert.equal(randomFailures(random, 0), 0);
  assert.equal(randomFailures(random, -5), 0);
});

Deno.test("normalOf32() has mean 0 and deviation 1 over the bits of hash32()", () => {
  let sum = 0, squares = 0;
  for (let i = 0; i < 100_000; i++) {
    const number = normalOf32(hash32(3, i));
    sum += number;
    squares += number ** 2;
  }
  assert.ok(Math.abs(sum / 100_000) < 0.02, `${sum / 100_000}`);
  assert.ok(Math.abs(squares / 100_000 - 1) < 0.02, `${squares / 100_000}`);
});
