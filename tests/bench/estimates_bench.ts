import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { estimate, type MissingSpan } from "../../src/tables/estimates.ts";
import { INTERVAL_MS, isPresent, readLondon } from "../specification/validation/london.ts";
import type { Slots } from "../specification/validation/rules.ts";

const PER_DAY = 86_400_000 / INTERVAL_MS;
const LENGTHS = [1, 2, 4, 8, 16, 48, 96, 336];
const STRETCHES = 6;

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

/** The error of estimates by the length of a gap, beside other methods, on the London year. */
export async function benchEstimates(): Promise<void> {
  if (!isPresent()) return console.log("estimates: left out: the London meters are not there");
  const london = [...(await readLondon()).values()];
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
