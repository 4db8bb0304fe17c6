import assert from "node:assert/strict";
import { fleetCsv, type FleetOptions, meterId, planFleet } from "../../src/generate/fleet.ts";
import { countDefects, expectLedger, truthJson } from "../../src/generate/truth.ts";
import { type Wrong, WRONG_KINDS } from "../../src/generate/wrong_values.ts";
import { judgeSeries, toMwh } from "../specification/validation/rules.ts";

const START_MS = Date.UTC(2024, 0, 1);
const SLOT_MS = 1_800_000;
const OPTIONS: FleetOptions = {
  seed: 1,
  meters: 30,
  days: 42,
  intervalMinutes: 30,
  startMs: START_MS,
  clean: false,
  hasWrongs: true,
};

/** The values of each slot of each meter; of one that is written twice the first. */
function valuesOf(csv: string): Map<string, (number | null)[]> {
  const meters = new Map<string, (number | null)[]>();
  for (const line of csv.trimEnd().split("\n").slice(1)) {
    const [meter, timestamp, value] = line.split(",");
    const values = meters.get(meter) ?? Array(OPTIONS.days * 48).fill(null);
    meters.set(meter, values);
    const slot = (Date.parse(timestamp) - START_MS) / SLOT_MS;
    const kwh = Number(value || NaN);
    if (!(kwh < 0)) values[slot] ??= Number.isNaN(kwh) ? null : kwh;
  }
  return meters;
}

Deno.test("planFleet() puts every kind of wrong values in, and no defect into them", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const plan = planFleet({ ...OPTIONS, seed });
    const kinds = new Set(plan.wrongsByMeter.flat().map(({ kind }) => kind));
    assert.deepEqual(WRONG_KINDS.filter((kind) => !kinds.has(kind)), [], `seed ${seed}`);
    for (const [meter, wrongs] of plan.wrongsByMeter.entries()) {
      let free = 8 * 48;
      for (const { kind, from, to } of wrongs) {
        assert.ok(from >= free && from < to && to <= plan.slots - 4, `${seed} ${meter} ${kind}`);
        free = to + 1;
        for (const defect of plan.defectsByMeter[meter]) {
          assert.ok(defect.end < from || defect.from > to, `${seed} ${meter} ${defect.kind}`);
        }
      }
    }
  }
});

Deno.test("fleetCsv() writes what a span says instead of what was used, and nothing else", () => {
  const used = valuesOf([...fleetCsv(planFleet({ ...OPTIONS, clean: true }))].join(""));
  const plan = planFleet(OPTIONS);
  const written = valuesOf([...fleetCsv(plan)].join(""));
  const seen = new Set<string>();
  for (const wrong of plan.wrongsByMeter.flat()) {
    seen.add(wrong.kind);
    for (let slot = wrong.from; slot < wrong.to; slot++) {
      const kwh = written.get(meterId(wrong.meter))![slot];
      assert.equal(kwh, wrongKwh(wrong, slot, used), `${wrong.kind} of ${wrong.meter} at ${slot}`);
    }
  }
  assert.deepEqual(WRONG_KINDS.filter((kind) => !seen.has(kind)), []);
  const apart = planFleet({ ...OPTIONS, hasWrongs: false });
  for (const [meter, wrongs] of plan.wrongsByMeter.entries()) {
    const { [meter]: defects } = apart.defectsByMeter;
    for (let slot = 0; slot < plan.slots; slot++) {
      const isSpoiled = [...wrongs, ...defects].some(({ from, to }) => from <= slot && slot <= to);
      if (isSpoiled) continue;
      assert.equal(written.get(meterId(meter))![slot], used.get(meterId(meter))![slot]);
    }
  }
});

/** What a span writes, from what every meter used. */
function wrongKwh(
  { kind, meter, from, detail }: Wrong,
  slot: number,
  used: ReadonlyMap<string, readonly (number | null)[]>,
): number {
  const own = used.get(meterId(meter))!.map((kwh) => Math.round(kwh! * 1000));
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const wh: Record<Wrong["kind"], () => number> = {
    zero_run: () => 0,
    unit_scale: () => own[slot] * 1000,
    high_day: () => own[slot] * 10,
    low_day: () => Math.round(own[slot] / 10),
    straight_line: () => own[from] + detail * (slot - from),
    repeated_day: () => own[slot - 48],
    clock_shift: () => own[slot - detail],
    swapped: () => Math.round(used.get(meterId(detail))![slot]! * 1000),
    register: () => 1_000_000 + sum(own.slice(from, slot + 1)),
  };
  return Number((wh[kind]() / 1000).toFixed(3));
}

Deno.test("the rules that are named of a span find it in nearly every fleet", () => {
  let named = 0, found = 0;
  for (let seed = 1; seed <= 5; seed++) {
    const plan = planFleet({ ...OPTIONS, seed });
    const meters = valuesOf([...fleetCsv(plan)].join(""));
    const truth = JSON.parse([...truthJson(plan, expectLedger(plan, true))].join(""));
    for (const { rules, meter_id, from, to } of truth.defects) {
      if (!rules?.length) continue;
      named++;
      const mwh = meters.get(meter_id)!.map((kwh) => kwh === null ? null : toMwh(kwh));
      const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
      const records = judgeSeries({ startMs: START_MS, intervalMs: SLOT_MS, mwh });
      const isFound = records.some((record) =>
        rules.includes(record.rule) && record.fromMs < toMs && record.toMs > fromMs
      );
      if (isFound) found++;
    }
  }
  assert.ok(named > 50 && found / named > 0.8, `${found} of ${named}`);
});

Deno.test("without wrong values the counts name none of their kinds", () => {
  const counts = countDefects(planFleet({ ...OPTIONS, hasWrongs: false }));
  assert.deepEqual(WRONG_KINDS.filter((kind) => kind in counts), []);
  const asked = countDefects(planFleet(OPTIONS));
  assert.deepEqual(WRONG_KINDS.filter((kind) => !asked[kind]), []);
});
