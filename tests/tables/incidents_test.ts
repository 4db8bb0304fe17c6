/** Incidents as a function of gap starts, against the specification and on a million meters. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createRandom } from "../../src/generate/random.ts";
import {
  closedAtMs,
  findIncidents,
  fleetNeeds,
  neededStarts,
  slotOf,
  type SlotStarts,
} from "../../src/tables/incidents.ts";
import { smallestCount } from "../../src/tables/poisson.ts";
import {
  findIncidents as specifiedIncidents,
  type MeterGaps,
} from "../specification/validation/incidents.ts";

const SLOT_MS = 1_800_000;
const DAY_MS = 86_400_000;
const SLOTS_A_DAY = 48;
const START_MS = Date.UTC(2024, 0, 1);

/** Gap starts of a fleet, some of them in slots that many share. */
const fleetArbitrary = fc.record({
  meters: fc.integer({ min: 1, max: 250 }),
  alone: fc.array(fc.record({ slot: fc.nat(3000), meter: fc.nat(1000) }), { maxLength: 400 }),
  shared: fc.array(
    fc.record({ slot: fc.nat(3000), first: fc.nat(1000), count: fc.integer({ min: 2, max: 30 }) }),
    { maxLength: 25 },
  ),
  lives: fc.array(fc.record({ from: fc.nat(1500), silent: fc.option(fc.nat(3000)) }), {
    maxLength: 20,
  }),
});

function fleetOf(drawn: typeof fleetArbitrary extends fc.Arbitrary<infer T> ? T : never) {
  const starts = Array.from({ length: drawn.meters }, () => new Set<number>());
  const add = (meter: number, slot: number) => {
    const own = starts[meter % drawn.meters];
    // A gap that starts right behind another one's start would be the same gap.
    if (!own.has(slot - 1) && !own.has(slot + 1)) own.add(slot);
  };
  for (const { slot, meter } of drawn.alone) add(meter, slot);
  for (const { slot, first, count } of drawn.shared) {
    for (let n = 0; n < count; n++) add(first + n, slot + (n % 5 === 4 ? 1 : 0));
  }
  return starts.map((own, m): MeterGaps => {
    const { from = 0, silent = null } = drawn.lives[m] ?? {};
    return {
      meterId: `M${m}`,
      fromMs: START_MS + from * SLOT_MS,
      silentMs: silent === null ? null : START_MS + silent * SLOT_MS,
      starts: [...own].sort((a, b) => a - b).map((slot) => START_MS + slot * SLOT_MS),
    };
  });
}

function slotsOf(fleet: readonly MeterGaps[]): SlotStarts[] {
  const counts = new Map<number, number>();
  for (const { starts } of fleet) {
    for (const slotMs of starts) counts.set(slotMs, (counts.get(slotMs) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a - b)
    .map(([slotMs, starts]) => ({ slotMs, stepMs: SLOT_MS, starts, announced: starts }));
}

function expectedOf(fleet: readonly MeterGaps[], atMs: number): number {
  return fleet.filter(({ fromMs, silentMs }) =>
    fromMs <= atMs && (silentMs === null || silentMs > atMs)
  ).length;
}

/** Asks as the second stage does: for the slots alone that are in question. */
function found(fleet: readonly MeterGaps[], slots: readonly SlotStarts[], fromMs = -Infinity) {
  const before = fromMs === -Infinity
    ? []
    : found(fleet, slots).incidents.filter(({ slotMs }) => slotMs < fromMs);
  const expected = new Map<number, number>();
  for (;;) {
    const answer = findIncidents(slots, { fromMs, before, groups: 1, expected });
    if (answer.unknown.length === 0) return { incidents: answer.incidents, asked: expected.size };
    for (const atMs of answer.unknown) expected.set(atMs, expectedOf(fleet, atMs));
  }
}

Deno.test("findIncidents() finds what the specification finds, whichever slot it begins at", () => {
  let incidents = 0;
  fc.assert(
    fc.property(fleetArbitrary, fc.nat(3000), (drawn, slot) => {
      const fleet = fleetOf(drawn);
      const slots = slotsOf(fleet);
      const specified = specifiedIncidents(fleet, SLOT_MS).map((
        { fromMs, meters, expected, needed },
      ) => [fromMs, meters.length, expected, needed]);
      const all = found(fleet, slots).incidents;
      incidents += all.length;
      const linesOf = (list: typeof all) =>
        list.map(({ slotMs, meters, expected, needed }) => [slotMs, meters, expected, needed]);
      assert.deepEqual(linesOf(all), specified);
      assert.ok(all.every(({ isWithdrawn }) => !isWithdrawn));
      // From an incident's own slot, or any that is none of an incident's, the rest is found anew.
      const fromMs = START_MS + slot * SLOT_MS;
      if (all.some(({ nextMs }) => nextMs === fromMs)) return;
      const since = all.filter(({ slotMs }) => slotMs >= fromMs);
      assert.deepEqual(found(fleet, slots, fromMs).incidents, since);
    }),
    { numRuns: 200 },
  );
  assert.ok(incidents > 200, `${incidents} incidents: too few to tell`);
});

Deno.test("an incident whose starts late readings took is withdrawn, and takes no start with it", () => {
  const slot = (n: number, starts: number, announced: number): SlotStarts => ({
    ...{ slotMs: START_MS + n * SLOT_MS, stepMs: SLOT_MS, starts, announced },
  });
  const expected = new Map([0, 9].map((n) => [START_MS + n * SLOT_MS, 20]));
  const slots = [slot(0, 2, 6), slot(1, 1, 1), slot(9, 5, 5)];
  const { incidents } = findIncidents(slots, { fromMs: 0, before: [], groups: 1, expected });
  assert.deepEqual(
    incidents.map(({ slotMs, meters, isWithdrawn }) => [slotMs, meters, isWithdrawn]),
    [
      [START_MS, 6, true],
      [START_MS + 9 * SLOT_MS, 5, false],
    ],
  );
});

Deno.test("smallestCount() is the smallest count whose Poisson tail is small enough", () => {
  const tailOf = (mean: number, count: number) => {
    let term = Math.exp(-mean);
    let below = 0;
    for (let k = 0; k < count; k++) {
      below += term;
      term *= mean / (k + 1);
    }
    return 1 - below;
  };
  for (const mean of [0.0015, 0.01, 0.3, 1, 2.5, 7, 20, 100]) {
    for (const chance of [0.3, 0.01, 2e-4, 1e-8]) {
      const count = smallestCount(mean, chance);
      assert.ok(tailOf(mean, count) <= chance, `${mean} ${chance}: ${count} is too small`);
      assert.ok(tailOf(mean, count - 1) > chance, `${mean} ${chance}: ${count} is too large`);
    }
  }
  // Far beyond what a double's exp() reaches: 2,000 and 5 standard deviations or so.
  const large = smallestCount(2000, 1e-8);
  assert.ok(large > 2000 + 5 * Math.sqrt(2000) && large < 2000 + 7 * Math.sqrt(2000), `${large}`);
  assert.ok(smallestCount(5e-5, 1e-8) === 2);
});

Deno.test("neededStarts() is 3 at least, 3 % of the expected, or what chance does not reach", () => {
  const needed = (history: number, expected: number, groups = 1) =>
    neededStarts({ history, stepMs: SLOT_MS, groups, expected });
  assert.equal(needed(0, 50), 3);
  assert.equal(needed(0, 100), 3);
  assert.equal(needed(0, 101), 4);
  assert.equal(needed(0, 1000), 30);
  assert.equal(needed(67, 50, 20_000), 6);
  assert.ok(needed(20_000, 0) > 50);
});

Deno.test("closedAtMs() is the first slot in which fewer than needed are missing", () => {
  const end = (endMs: number | null, meters: number) => ({ endMs, meters });
  assert.equal(closedAtMs([end(10, 2), end(30, 2), end(20, 1)], 3), 20);
  assert.equal(closedAtMs([end(10, 2), end(null, 2), end(20, 1)], 3), 20);
  assert.equal(closedAtMs([end(10, 2), end(null, 3)], 3), null);
  assert.equal(closedAtMs([end(10, 1), end(10, 1), end(10, 1)], 3), 10);
});

Deno.test("slotOf() brings meters whose clocks differ by less than half an interval together", () => {
  for (const offMs of [-899_000, -1, 0, 7000, 899_999]) {
    assert.equal(slotOf(START_MS + offMs, SLOT_MS), START_MS);
  }
  assert.equal(slotOf(START_MS + 900_000, SLOT_MS), START_MS + SLOT_MS);
  assert.equal(slotOf(START_MS + 123, 0), START_MS + 123);
});

Deno.test("fleetNeeds() is half of the groups and of the expected meters", () => {
  assert.deepEqual(fleetNeeds({ groups: 3, expected: 151 }), { groups: 2, meters: 76 });
});

const GROUPS = 20_000;
const GROUP_METERS = 50;
const RATE = 1e-3;
/** Days after those that the rate is learned in. */
const DAYS = Number(Deno.env.get("GRIDWATCH_INCIDENT_DAYS") ?? 14);

/** How many of a group's meters start a gap in each slot: Bernoulli trials, told by their distance. */
function startsOf(random: () => number, slots: number): SlotStarts[] {
  const found: SlotStarts[] = [];
  const trials = slots * GROUP_METERS;
  const scale = 1 / Math.log(1 - RATE);
  let slot = -1;
  let starts = 0;
  const push = () => {
    if (starts === 0) return;
    found.push({ slotMs: START_MS + slot * SLOT_MS, stepMs: SLOT_MS, starts, announced: starts });
  };
  for (let t = 0;; t++) {
    t += Math.floor(Math.log(1 - random()) * scale);
    if (t >= trials) break;
    const at = Math.floor(t / GROUP_METERS);
    if (at !== slot) {
      push();
      slot = at;
      starts = 0;
    }
    starts++;
  }
  push();
  return found;
}

Deno.test(`a million meters in 20,000 groups that start gaps at 1e-3 a slot: no false incident in ${DAYS} days, and half a transformer is found`, () => {
  const random = createRandom(18);
  const slotCount = (28 + DAYS) * SLOTS_A_DAY;
  const fromMs = START_MS + 28 * DAY_MS;
  let starts = 0;
  let found = 0;
  for (let group = 0; group < GROUPS; group++) {
    const slots = startsOf(random, slotCount);
    starts += slots.reduce((sum, slot) => sum + slot.starts, 0);
    const options = { fromMs, before: [], groups: GROUPS };
    const expected = new Map(slots.map(({ slotMs }) => [slotMs, GROUP_METERS]));
    const { incidents } = findIncidents(slots, { ...options, expected });
    assert.deepEqual(incidents, [], `group ${group}`);
    if (group % 100 !== 0) continue;
    // Half of it fails in one slot: 25 of 50 start together.
    const outageMs = fromMs + (group % (DAYS * SLOTS_A_DAY)) * SLOT_MS;
    const outage = {
      ...{ slotMs: outageMs, stepMs: SLOT_MS },
      ...{ starts: GROUP_METERS / 2, announced: GROUP_METERS / 2 },
    };
    const failing = [...slots.filter(({ slotMs }) => slotMs !== outageMs), outage]
      .sort((a, b) => a.slotMs - b.slotMs);
    expected.set(outageMs, GROUP_METERS);
    const { incidents: [incident] } = findIncidents(failing, { ...options, expected });
    assert.equal(incident?.slotMs, outageMs);
    assert.ok(incident.meters >= GROUP_METERS / 2);
    found++;
  }
  assert.equal(found, GROUPS / 100);
  const mean = GROUPS * GROUP_METERS * slotCount * RATE;
  assert.ok(Math.abs(starts / mean - 1) < 0.01, `${starts} starts`);
});
