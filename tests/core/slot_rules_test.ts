import assert from "node:assert/strict";
import fc from "fast-check";
import { applyChanges, encodeAll, encodeChanges, finishRestore } from "../../src/core/codec.ts";
import { Processor } from "../../src/core/processor.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { RULES } from "../../src/core/rules/rules.ts";
import { judgeSeries, type Slots, toMwh } from "../specification/validation/rules.ts";
import { DEFAULTS, SLOT_RULES } from "./harness.ts";

const SLOT_MS = 1_800_000;
const DAY_SLOTS = 48;
const START_MS = Date.UTC(2024, 0, 1);
const OPTIONS: ProcessorOptions = {
  ...DEFAULTS,
  watermarkScope: "meter",
  expectedIntervalMs: SLOT_MS,
  rules: RULES,
  slotRules: SLOT_RULES,
};
const encoder = new TextEncoder();

/** One record a run: rule, first slot, number of slots. */
type Found = string;

function tick(processor: Processor, atMs: number, offset: number): void {
  const timestamp = new Date(atMs).toISOString();
  const bytes = encoder.encode(`{"type":"tick","timestamp":"${timestamp}","final":true}`);
  const times = { timeMs: NaN, replayStartMs: NaN };
  processor.record({ bytes, start: 0, end: bytes.length, offset, ...times });
}

function take(processor: Processor, found: Map<string, number>): void {
  for (const { rule, fromMs, slots } of processor.takeOutputs().findings) {
    found.set(`${rule} ${(fromMs - START_MS) / SLOT_MS}`, slots);
  }
}

/** What the core finds in a series, its readings given in an order, and restored now and then. */
function findingsOf(
  kwh: readonly (number | null)[],
  { order, restoreEach = Infinity }: {
    readonly order?: readonly number[];
    readonly restoreEach?: number;
  } = {},
): Found[] {
  const found = new Map<string, number>();
  let processor = new Processor(OPTIONS);
  const changelog: Uint8Array[] = [];
  let offset = 0;
  for (const slot of order ?? kwh.keys()) {
    const value = kwh[slot];
    if (value === null) continue;
    const timestampMs = START_MS + slot * SLOT_MS;
    processor.reading({ meterId: "M1", timestampMs, consumptionKwh: value, offset: offset++ });
    if (offset % restoreEach !== 0) continue;
    take(processor, found);
    if (offset % (restoreEach * 5) === 0) {
      changelog.length = 0;
      changelog.push(...encodeAll(processor, 1 << 20));
      encodeChanges(processor);
    } else changelog.push(encodeChanges(processor).slice());
    const restored = new Processor(OPTIONS, structuredClone(processor.state));
    for (const payload of changelog) applyChanges(payload, restored);
    finishRestore(restored);
    processor = restored;
  }
  tick(processor, START_MS + kwh.length * SLOT_MS, offset);
  take(processor, found);
  return [...found].map(([key, slots]) => `${key} ${slots}`).sort();
}

function specified(kwh: readonly (number | null)[]): Found[] {
  const mwh = kwh.map((value) => value === null ? null : toMwh(value));
  const slots: Slots = { startMs: START_MS, intervalMs: SLOT_MS, mwh };
  return judgeSeries(slots)
    .map(({ rule, fromMs, slots }) => `${rule} ${(fromMs - START_MS) / SLOT_MS} ${slots}`).sort();
}

/** Ten to forty days of a household, with defects put in. */
const series = fc.record({
  days: fc.integer({ min: 9, max: 40 }),
  seed: fc.integer({ min: 1, max: 1 << 30 }),
  isIdle: fc.boolean(),
  defects: fc.array(
    fc.record({
      at: fc.double({ min: 0.1, max: 1, noNaN: true }),
      slots: fc.constantFrom(1, 2, 7, 20, 30, 48, 96, 400),
      kind: fc.constantFrom(
        "spike",
        "high",
        "low",
        "zero",
        "stuck",
        "line",
        "copy",
        "hole",
        "huge",
      ),
    }),
    { maxLength: 8 },
  ),
}).map(({ days, seed, isIdle, defects }) => {
  let state = seed;
  const random = () => (state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0) / 2 ** 32;
  const kwh: (number | null)[] = Array.from(
    { length: days * DAY_SLOTS },
    () => isIdle && random() < 0.3 ? 0 : Math.round(1000 * (0.1 + random())) / 1000,
  );
  for (const { at, slots, kind } of defects) {
    const from = Math.floor(at * (kwh.length - 1));
    for (let i = from; i < Math.min(kwh.length - 1, from + slots); i++) {
      const value = kwh[i] ?? 0.1;
      if (kind === "spike") kwh[i] = i === from ? 9 : value;
      if (kind === "high") kwh[i] = value * 8;
      if (kind === "low") kwh[i] = value / 300;
      if (kind === "zero") kwh[i] = 0;
      if (kind === "stuck") kwh[i] = 0.217;
      if (kind === "line") kwh[i] = 0.1 + 0.007 * (i - from);
      if (kind === "copy") kwh[i] = kwh[i - 2 * DAY_SLOTS] ?? value;
      if (kind === "hole") kwh[i] = null;
      if (kind === "huge") kwh[i] = 17_000;
    }
  }
  return kwh;
});

Deno.test("Slot rules find what the specification finds in the whole series", () => {
  const found = new Set<string>();
  fc.assert(
    fc.property(series, (kwh) => {
      const expected = specified(kwh);
      for (const record of expected) found.add(record.split(" ")[0]);
      assert.deepEqual(findingsOf(kwh), expected);
    }),
    { numRuns: 300 },
  );
  for (const { name } of SLOT_RULES) assert.ok(found.has(name), `${name} was never found`);
});

Deno.test("Slot rules find the same when readings come late, and after any restore", () => {
  fc.assert(
    fc.property(series, fc.integer({ min: 1, max: 200 }), (kwh, restoreEach) => {
      const order = [...kwh.keys()];
      for (let i = 3; i + 1 < order.length; i += 3) {
        [order[i], order[i + 1]] = [order[i + 1], order[i]];
      }
      assert.deepEqual(findingsOf(kwh, { order, restoreEach }), specified(kwh));
    }),
    { numRuns: 100 },
  );
});

Deno.test("A rule that is turned off says nothing more, and judges anew when it is turned on", () => {
  const zeros = new Array(20).fill(0);
  const kwh = [...new Array(40 * DAY_SLOTS).fill(0.1).map((x, i) => x + i % 7 / 100)];
  kwh.splice(20 * DAY_SLOTS, 40, ...zeros, ...zeros);
  kwh.splice(30 * DAY_SLOTS, 40, ...zeros, ...zeros);
  const without = { ...OPTIONS, slotRules: SLOT_RULES.filter(({ name }) => name !== "ZERO_RUN") };
  const none = { ...OPTIONS, slotRules: [] };
  /** The runs of zeros that are found where other options judge from some slots on. */
  const zeroRuns = (changes: readonly (readonly [slot: number, options: ProcessorOptions])[]) => {
    const found = new Map<string, number>();
    let processor = new Processor(OPTIONS);
    for (const [slot, consumptionKwh] of kwh.entries()) {
      const change = changes.find(([at]) => at === slot);
      if (change !== undefined) {
        take(processor, found);
        const payloads = [...encodeAll(processor, 1 << 20)];
        processor = new Processor(change[1], structuredClone(processor.state));
        for (const payload of payloads) applyChanges(payload, processor);
        finishRestore(processor);
      }
      const timestampMs = START_MS + slot * SLOT_MS;
      processor.reading({ meterId: "M1", timestampMs, consumptionKwh, offset: slot });
    }
    tick(processor, START_MS + kwh.length * SLOT_MS, kwh.length);
    take(processor, found);
    return [...found].filter(([key]) => key.startsWith("ZERO_RUN")).map((one) => one.join(" "));
  };
  const [first, second] = [20 * DAY_SLOTS, 30 * DAY_SLOTS].map((slot) => `ZERO_RUN ${slot} 40`);
  assert.deepEqual(zeroRuns([]), [first, second]);
  const [off, on] = [15 * DAY_SLOTS, 25 * DAY_SLOTS];
  assert.deepEqual(zeroRuns([[off, without]]), []);
  assert.deepEqual(zeroRuns([[off, without], [on, OPTIONS]]), [second]);
  assert.deepEqual(zeroRuns([[off, none]]), []);
  // Without any rule the days are not followed either: seven of them must come again.
  assert.deepEqual(zeroRuns([[off, none], [22 * DAY_SLOTS, OPTIONS]]), [second]);
  assert.deepEqual(zeroRuns([[off, none], [27 * DAY_SLOTS, OPTIONS]]), []);
});

Deno.test("A day is counted once, also where another interval places its slots on the day before", () => {
  // An hourly reading of 23:40 lies on midnight; one of 23:50 by quarter hours lies on 23:45.
  const options = { ...OPTIONS, expectedIntervalMs: "auto" as const };
  const at = (minutes: number) =>
    new Date(START_MS + 10 * 86_400_000 + minutes * 60_000).toISOString();
  const hourly = Array.from({ length: 24 }, (_, h) => ({ timestamp: at(h * 60 + 40) }));
  const said = { timestamp: at(23 * 60 + 50), interval_minutes: 15 };
  const quarterly = Array.from(
    { length: 40 },
    (_, q) => ({ timestamp: at(23 * 60 + 50 + 15 * (q + 1)) }),
  );
  const fold = (restores: boolean): string[] => {
    let processor = new Processor(options);
    const changelog: Uint8Array[] = [];
    for (const [offset, reading] of [...hourly, said, ...quarterly].entries()) {
      const text = { meter_id: "M1", consumption_kwh: 0.1 + offset % 7 / 10, ...reading };
      const bytes = encoder.encode(JSON.stringify(text));
      const times = { timeMs: NaN, replayStartMs: NaN };
      processor.record({ bytes, start: 0, end: bytes.length, offset, ...times });
      if (!restores) continue;
      processor.takeOutputs();
      changelog.push(encodeChanges(processor).slice());
      const next = new Processor(options, structuredClone(processor.state));
      for (const payload of changelog) applyChanges(payload, next);
      finishRestore(next);
      processor = next;
    }
    return [...encodeAll(processor, 1 << 20)].map((bytes) => bytes.toHex());
  };
  assert.deepEqual(fold(true), fold(false));
});
