import assert from "node:assert/strict";
import { EPISODE_KINDS, type EpisodeKind } from "../../src/generate/episodes.ts";
import { fleetCsv, type FleetOptions, meterId, planFleet } from "../../src/generate/fleet.ts";
import { expectLedger, truthJson } from "../../src/generate/truth.ts";
import { Processor } from "../../src/core/processor.ts";
import { DEFAULTS, SLOT_RULES } from "../core/harness.ts";
import { RULES } from "../../src/core/rules/rules.ts";

const OPTIONS: FleetOptions = {
  ...{ seed: 7, meters: 24, days: 20, intervalMinutes: 30, clean: false },
  startMs: Date.UTC(2024, 0, 1),
};
const DAY = 48;

/** The values of each meter by its slot, kWh, of what stands there first. */
function valuesOf(options: FleetOptions) {
  const plan = planFleet(options);
  const values = new Map<string, Map<number, number>>();
  for (const line of [...fleetCsv(plan)].join("").trim().split("\n").slice(1)) {
    const [id, time, kwh] = line.split(",");
    const of = values.get(id) ?? new Map();
    values.set(id, of);
    const slot = (Date.parse(time) - options.startMs) / plan.intervalMs;
    if (!of.has(slot)) of.set(slot, Number(kwh));
  }
  return { plan, values };
}

Deno.test("planFleet() plans a day of each kind where it is asked, and changes no other value", () => {
  const plain = valuesOf(OPTIONS);
  assert.deepEqual(plain.plan.episodes, []);
  const { plan, values } = valuesOf({ ...OPTIONS, hasEpisodes: true });
  const kinds = new Set(plan.episodes.map(({ kind }) => kind));
  assert.deepEqual(EPISODE_KINDS.filter((kind) => !kinds.has(kind)), []);
  const checks: Record<EpisodeKind, (now: number, before: number, at: number) => boolean> = {
    zero_run: (now) => now === 0,
    thousandfold: (now, before) => Math.abs(now - before * 1000) < 1e-6,
    straight_line: (now, before, at) => at > 0 || now === before,
    repeated_day: () => true,
    high_day: (now, before) => Math.abs(now - before * 10) < 1e-6,
    low_day: (now, before) => Math.abs(now - before / 10) <= 0.0005 + 1e-9,
  };
  for (const { kind, meter, from, to } of plan.episodes) {
    const [now, before] = [values, plain.values].map((of) => of.get(meterId(meter))!);
    for (const [slot, kwh] of before) {
      const found = now.get(slot)!;
      if (slot < from || slot >= to) assert.ok(Object.is(found, kwh), `${kind}, slot ${slot}`);
      else assert.ok(checks[kind](found, kwh, slot - from), `${kind}, slot ${slot}: ${found}`);
      if (kind === "repeated_day" && slot >= from && slot < to) {
        assert.equal(found, before.get(slot - DAY));
      }
    }
  }
  assert.deepEqual(expectLedger(plan, true), expectLedger(plain.plan, true));
  const truth = JSON.parse([...truthJson(plan, expectLedger(plan, true))].join(""));
  assert.equal(truth.episodes.length, plan.episodes.length);
});

Deno.test("The rules find the days that a fleet has for them", () => {
  const { plan, values } = valuesOf({ ...OPTIONS, meters: 60, hasEpisodes: true });
  const options = { ...DEFAULTS, watermarkScope: "meter" as const, rules: RULES };
  const processor = new Processor({ ...options, slotRules: SLOT_RULES });
  let offset = 0;
  for (const [meterId, of] of values) {
    for (const [slot, kwh] of [...of].sort(([a], [b]) => a - b)) {
      if (!(kwh >= 0)) continue; // not usable
      const timestampMs = OPTIONS.startMs + slot * plan.intervalMs;
      processor.reading({ meterId, timestampMs, consumptionKwh: kwh, offset: offset++ });
    }
  }
  const { findings } = processor.takeOutputs();
  const truth = JSON.parse([...truthJson(plan, expectLedger(plan, true))].join(""));
  const missed = truth.episodes.filter((
    one: { meter_id: string; from: string; to: string; found_by: string[] },
  ) =>
    !findings.some(({ meterId, rule, fromMs, toMs }) =>
      meterId === one.meter_id && one.found_by.includes(rule) && fromMs < Date.parse(one.to) &&
      toMs > Date.parse(one.from)
    )
  );
  assert.ok(truth.episodes.length > 40, `${truth.episodes.length} days`);
  assert.ok(missed.length <= 2, JSON.stringify(missed));
});
