import { type Random, randomInteger } from "./random.ts";

/** The slots of one meter, kWh, from midnight UTC on; null: no reading. */
export type Series = {
  readonly kwh: (number | null)[];
  readonly slotsADay: number;
};

/** A defect of values that was put into a series: slots `[from, to)`. */
export type Seeded = { readonly from: number; readonly to: number };

/** What goes wrong with values, and which rules should say so; none: no rule can see it. */
export type SeedKind = {
  readonly name: string;
  readonly rules: readonly string[];
  /**
   * Spoils a day of a series, which is counted from its beginning; null: there is nothing on it to
   * spoil.
   */
  readonly seed: (series: Series, at: { readonly day: number; readonly random: Random }) =>
    | Seeded
    | null;
};

const HOURS_A_DAY = 24;

/** The defects whose recall `docs/validation.md` tells, in its order. */
export const SEED_KINDS: readonly SeedKind[] = [
  { name: "a slot negative", rules: ["NEGATIVE"], seed: oneSlot((kwh) => -Math.max(0.001, kwh)) },
  { name: "a slot × 1000", rules: ["CAPACITY"], seed: oneSlot((kwh) => kwh * 1000) },
  { name: "the day's peak × 5", rules: ["SPIKE"], seed: peak((kwh) => kwh * 5) },
  { name: "the day's peak × 10", rules: ["SPIKE"], seed: peak((kwh) => kwh * 10) },
  { name: "a slot + 5 kWh", rules: ["SPIKE"], seed: oneSlot((kwh) => kwh + 5) },
  { name: "a slot + 10 kWh", rules: ["SPIKE"], seed: oneSlot((kwh) => kwh + 10) },
  { name: "a day × 4", rules: ["HIGH_DAY"], seed: wholeDay((kwh) => kwh * 4) },
  { name: "a day × 5", rules: ["HIGH_DAY"], seed: wholeDay((kwh) => kwh * 5) },
  { name: "a day × 10", rules: ["HIGH_DAY"], seed: wholeDay((kwh) => kwh * 10) },
  { name: "a day ÷ 10", rules: ["LOW_DAY"], seed: wholeDay((kwh) => kwh / 10) },
  { name: "a day × 1000", rules: ["UNIT_SCALE"], seed: wholeDay((kwh) => kwh * 1000) },
  { name: "a day ÷ 1000", rules: ["UNIT_SCALE"], seed: wholeDay((kwh) => kwh / 1000) },
  {
    name: "a day ÷ 1000, by any rule",
    rules: ["UNIT_SCALE", "LOW_DAY", "ZERO_RUN"],
    seed: wholeDay((kwh) => kwh / 1000),
  },
  { name: "12 h of zeros, else rare", rules: ["ZERO_RUN"], seed: zeros(12) },
  { name: "24 h of zeros, else rare", rules: ["ZERO_RUN"], seed: zeros(24) },
  { name: "8 h stuck", rules: ["STUCK"], seed: run(8, (_, first) => first) },
  { name: "2 h filled in by a line", rules: ["STRAIGHT_LINE"], seed: straightLine(2) },
  { name: "12 h filled in by a line", rules: ["STRAIGHT_LINE"], seed: straightLine(12) },
  { name: "a day repeated", rules: ["REPEATED_DAY"], seed: repeatedDay },
  { name: "a day × 2", rules: [], seed: wholeDay((kwh) => kwh * 2) },
  { name: "a day's clock off by 1 h", rules: [], seed: shiftedDay(1) },
  { name: "a day's clock off by 12 h", rules: [], seed: shiftedDay(12) },
];

/** Whole watt-hours, as meters deliver them. */
function toWh(kwh: number): number {
  return Math.round(kwh * 1000) / 1000;
}

/** One slot of the day that has a reading, which is not 0. */
function oneSlot(change: (kwh: number) => number): SeedKind["seed"] {
  return ({ kwh, slotsADay }, { day, random }) => {
    const slot = day * slotsADay + randomInteger(random, 0, slotsADay - 1);
    const value = kwh[slot] ?? 0;
    if (value === 0) return null;
    kwh[slot] = toWh(change(value));
    return { from: slot, to: slot + 1 };
  };
}

/** The day's highest reading. */
function peak(change: (kwh: number) => number): SeedKind["seed"] {
  return ({ kwh, slotsADay }, { day }) => {
    let highest = -1;
    for (let slot = day * slotsADay; slot < (day + 1) * slotsADay; slot++) {
      const value = kwh[slot] ?? null;
      if (value !== null && (highest < 0 || value > kwh[highest]!)) highest = slot;
    }
    if (highest < 0) return null;
    kwh[highest] = toWh(change(kwh[highest]!));
    return { from: highest, to: highest + 1 };
  };
}

/** Every reading of the day; it must be complete, as days are compared only when they are. */
function wholeDay(change: (kwh: number) => number): SeedKind["seed"] {
  return (series, { day }) => rewrite(series, dayOf(series, day), (kwh) => change(kwh));
}

/** Hours on end, from a slot of the day on that is not 0; `first` is its true reading. */
function run(hours: number, change: (kwh: number, first: number) => number): SeedKind["seed"] {
  return (series, { day, random }) => {
    const span = spanOf(series, { day, random, hours });
    const first = series.kwh[span.from] ?? 0;
    if (first === 0) return null;
    return rewrite(series, span, (kwh) => change(kwh, first));
  };
}

/** Zeros, where they are at most a tenth of the readings before: elsewhere they say nothing. */
function zeros(hours: number): SeedKind["seed"] {
  const put = run(hours, () => 0);
  return (series, at) => {
    const before = series.kwh.slice(0, at.day * series.slotsADay).filter((kwh) => kwh !== null);
    const areRare = before.filter((kwh) => kwh === 0).length * 10 <= before.length;
    return areRare ? put(series, at) : null;
  };
}

/** The readings between two are as if somebody had drawn a line from one to the other. */
function straightLine(hours: number): SeedKind["seed"] {
  return (series, { day, random }) => {
    const { from, to } = spanOf(series, { day, random, hours });
    const before = series.kwh[from - 1] ?? null, after = series.kwh[to] ?? null;
    if (before === null || after === null) return null;
    const step = (after - before) / (to - from + 1);
    return rewrite(series, { from, to }, (_, slot) => before + step * (slot - from + 1));
  };
}

/** The day is a copy of the one before. */
function repeatedDay(series: Series, { day }: { readonly day: number }): Seeded | null {
  const { kwh, slotsADay } = series;
  const yesterday = dayOf(series, day - 1);
  if (kwh.slice(yesterday.from, yesterday.to).some((value) => value === null)) return null;
  return rewrite(series, dayOf(series, day), (_, slot) => kwh[slot - slotsADay]!);
}

/** The day's readings carry the times of some hours later. */
function shiftedDay(hours: number): SeedKind["seed"] {
  return (series, { day }) => {
    const shift = hours * series.slotsADay / HOURS_A_DAY;
    const before = [...series.kwh];
    const { from, to } = dayOf(series, day);
    if (before.slice(from - shift, to).some((value) => value === null)) return null;
    return rewrite(series, { from, to }, (_, slot) => before[slot - shift]!);
  };
}

function dayOf({ slotsADay }: Series, day: number): Seeded {
  return { from: day * slotsADay, to: (day + 1) * slotsADay };
}

function spanOf(
  { slotsADay }: Series,
  { day, random, hours }: { readonly day: number; readonly random: Random; readonly hours: number },
): Seeded {
  const from = day * slotsADay + randomInteger(random, 0, slotsADay - 1);
  return { from, to: from + Math.round(hours * slotsADay / HOURS_A_DAY) };
}

/** Null, and nothing is changed, unless every slot of the span has a reading. */
function rewrite(
  { kwh }: Series,
  span: Seeded,
  change: (kwh: number, slot: number) => number,
): Seeded | null {
  if (span.to > kwh.length) return null;
  for (let slot = span.from; slot < span.to; slot++) if (kwh[slot] === null) return null;
  for (let slot = span.from; slot < span.to; slot++) kwh[slot] = toWh(change(kwh[slot]!, slot));
  return span;
}
