import { Processor } from "../../src/core/processor.ts";
import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { spoil, VALUE_DEFECTS, type ValueDefect } from "../../src/generate/value_defects.ts";
import { estimate, type MissingSpan } from "../../src/tables/estimates.ts";
import { INTERVAL_MS, isPresent, readLondon } from "../specification/validation/london.ts";
import type { Slots } from "../specification/validation/rules.ts";
import { benchOptions } from "./options.ts";

const PER_DAY = 86_400_000 / INTERVAL_MS;
const HISTORY_DAYS = 36;
const TRIES = 3;
const LENGTHS = [1, 2, 4, 8, 16, 48, 96, 336];
const STRETCHES = 6;

/** Which rules are to find a defect, and what was measured as the rules were defined. */
const WANTED: Readonly<Record<ValueDefect, readonly [rules: string[], near: string]>> = {
  times_5: [["SPIKE"], ".78–.81"],
  times_10: [["SPIKE"], ".89"],
  spike_5_kwh: [["SPIKE"], ".96–.98"],
  spike_10_kwh: [["SPIKE"], "1.00"],
  slot_times_1000: [["CAPACITY"], ".97"],
  day_times_10: [["HIGH_DAY"], ".95"],
  day_by_10: [["LOW_DAY"], ".95"],
  day_times_4: [["HIGH_DAY"], ".45"],
  day_times_1000: [["UNIT_SCALE", "CAPACITY"], ".97"],
  day_by_1000: [["LOW_DAY", "ZERO_RUN"], ".99"],
  zeros_12_h: [["ZERO_RUN"], ".99"],
  zeros_24_h: [["ZERO_RUN"], "1.00"],
  stuck_8_h: [["STUCK"], "1.00"],
  straight_line: [["STRAIGHT_LINE"], ".71–.76"],
  repeated_day: [["REPEATED_DAY"], ".98"],
};

/** Recall of seeded defects, and the error of estimates, on a year of 81 London meters. */
export async function benchRules(): Promise<void> {
  if (!isPresent()) return console.log("rules: London's year is not there (../shared)");
  const london = [...(await readLondon()).values()];
  benchRecall(london);
  benchEstimates(london);
}

function kwhOf({ mwh }: Slots): (number | null)[] {
  return mwh.map((value) => value === null ? null : value / 1e6);
}

function benchRecall(london: readonly Slots[]): void {
  const random = createRandom(1);
  console.log("recall of seeded defects              of   recall   by any rule   measured before");
  for (const kind of VALUE_DEFECTS) {
    const [rules, near] = WANTED[kind];
    let [found, byAny, seeded] = [0, 0, 0];
    for (const slots of london) {
      for (let n = 0; n < TRIES; n++) {
        const names = seed(slots, kind, random);
        if (names === null) continue;
        seeded++;
        if (names.size > 0) byAny++;
        if (rules.some((rule) => names.has(rule))) found++;
      }
    }
    const shares = [found, byAny].map((n) => (n / seeded).toFixed(2)).join("     ");
    const name = `  ${kind.padEnd(17)}${rules[0].padEnd(16)}`;
    console.log(`${name}${`${seeded}`.padStart(5)}    ${shares}           ${near}`);
  }
}

/** The rules that find a defect put into a series; null: there was no place for it. */
function seed(slots: Slots, kind: ValueDefect, random: Random): Set<string> | null {
  const all = kwhOf(slots);
  const toMidnight = (PER_DAY - (slots.startMs / INTERVAL_MS) % PER_DAY) % PER_DAY;
  const days = Math.floor((all.length - toMidnight) / PER_DAY);
  if (days < HISTORY_DAYS + 4) return null;
  const first = toMidnight + PER_DAY * randomInteger(random, 0, days - HISTORY_DAYS - 4);
  const dayFrom = HISTORY_DAYS * PER_DAY;
  const kwh = all.slice(first, first + dayFrom + 4 * PER_DAY);
  const startMs = slots.startMs + first * INTERVAL_MS;
  const before = new Set(findings(kwh, startMs).map(({ rule, fromMs }) => `${rule} ${fromMs}`));
  const spoiled = spoil(kwh, kind, { dayFrom, perDay: PER_DAY, random });
  if (spoiled === null) return null;
  const fromMs = startMs + spoiled.from * INTERVAL_MS;
  const toMs = startMs + spoiled.to * INTERVAL_MS;
  const found = findings(kwh, startMs).filter((one) =>
    one.fromMs < toMs && one.toMs > fromMs && !before.has(`${one.rule} ${one.fromMs}`)
  );
  return new Set(found.map(({ rule }) => rule));
}

function findings(kwh: readonly (number | null)[], startMs: number) {
  const options = { ...benchOptions(), expectedIntervalMs: INTERVAL_MS };
  const processor = new Processor({ ...options, watermarkScope: "meter" });
  kwh.forEach((consumptionKwh, i) => {
    if (consumptionKwh === null) return;
    const timestampMs = startMs + i * INTERVAL_MS;
    processor.reading({ meterId: "M", timestampMs, consumptionKwh, offset: i });
  });
  const timestamp = new Date(startMs + kwh.length * INTERVAL_MS).toISOString();
  const bytes = new TextEncoder().encode(`{"type":"tick","timestamp":"${timestamp}","final":true}`);
  const place = { start: 0, end: bytes.length, offset: kwh.length };
  processor.record({ bytes, ...place, timeMs: NaN, replayStartMs: NaN });
  return processor.takeOutputs().findings;
}

type Method = (span: MissingSpan, validAt: (ms: number) => number, ms: number) => number;

const DAY_MS = 86_400_000;
const OTHER_METHODS: Readonly<Record<string, Method>> = {
  linear({ fromMs, toMs, intervalMs }, validAt, ms) {
    const [left, right] = [validAt(fromMs - intervalMs), validAt(toMs)];
    const share = (ms - fromMs + intervalMs) / (toMs - fromMs + intervalMs);
    return left + (right - left) * share;
  },
  "previous day": ({ fromMs }, validAt, ms) =>
    validAt(ms - Math.ceil((ms - fromMs + INTERVAL_MS) / DAY_MS) * DAY_MS),
  "4 same weekdays": (span, validAt, ms) => {
    const values: number[] = [];
    for (let week = 1; week <= 6 && values.length < 4; week++) {
      const at = ms - week * 7 * DAY_MS;
      if (at < span.fromMs && !Number.isNaN(validAt(at))) values.push(validAt(at));
    }
    return values.reduce((a, b) => a + b, 0) / values.length;
  },
};

function benchEstimates(london: readonly Slots[]): void {
  const random = createRandom(2);
  const names = [...Object.keys(OTHER_METHODS), "estimate"];
  const errors = new Map(names.map((name) => [name, LENGTHS.map(() => ({ sum: 0, count: 0 }))]));
  for (const slots of london) {
    for (const [l, length] of LENGTHS.entries()) {
      for (let n = 0; n < STRETCHES; n++) {
        mask(slots, length, random, (name, error) => {
          const of = errors.get(name)?.[l];
          if (of === undefined) return;
          of.sum += error;
          of.count++;
        });
      }
    }
  }
  console.log(`MAE, kWh a half hour; slots   ${LENGTHS.map((n) => `${n}`.padStart(7)).join("")}`);
  for (const name of names) {
    const means = errors.get(name)?.map(({ sum, count }) => (sum / count).toFixed(4).padStart(7));
    console.log(`  ${name.padEnd(28)}${means?.join("")}`);
  }
}

/** Hides a stretch of readings and says how far each method is off, slot by slot. */
function mask(
  { startMs, mwh }: Slots,
  length: number,
  random: Random,
  say: (name: string, error: number) => void,
): void {
  const lead = 35 * PER_DAY;
  if (mwh.length < lead + length + PER_DAY) return;
  const from = randomInteger(random, lead, mwh.length - length - PER_DAY);
  const around = mwh.slice(from - 1, from + length + 1);
  if (around.some((value) => value === null)) return;
  const fromMs = startMs + from * INTERVAL_MS;
  const span = {
    ...{ fromMs, toMs: fromMs + length * INTERVAL_MS, intervalMs: INTERVAL_MS },
    isExport: false,
  };
  const validAt = (ms: number): number => {
    if (ms >= span.fromMs && ms < span.toMs) return NaN;
    const value = mwh[(ms - startMs) / INTERVAL_MS];
    return value === null || value === undefined ? NaN : value / 1e6;
  };
  const made = estimate(span, validAt);
  for (let i = 0; i < length; i++) {
    const ms = fromMs + i * INTERVAL_MS;
    const kwh = (mwh[from + i] ?? NaN) / 1e6;
    const off = (name: string, value: number) => {
      if (!Number.isNaN(value)) say(name, Math.abs(value - kwh));
    };
    for (const [name, method] of Object.entries(OTHER_METHODS)) {
      off(name, method(span, validAt, ms));
    }
    if ("kwh" in made) off("estimate", made.kwh[i]);
  }
}
