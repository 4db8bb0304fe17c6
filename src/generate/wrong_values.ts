import type { FleetDefect, FleetOptions, FleetPlan } from "./fleet.ts";
import { createRandom, hash32, type Random, randomInteger } from "./random.ts";

/** What is wrong with values that are delivered in time, in the order they are counted. */
export const WRONG_KINDS = [
  ...["zero_run", "unit_scale", "high_day", "low_day", "straight_line", "repeated_day"] as const,
  ...["clock_shift", "swapped", "register"] as const,
];
export type WrongKind = typeof WRONG_KINDS[number];

/** Which validation rules should say so; none: no rule can see it. */
export const RULES_OF_WRONG: { readonly [kind in WrongKind]: readonly string[] } = {
  zero_run: ["ZERO_RUN"],
  unit_scale: ["UNIT_SCALE"],
  high_day: ["HIGH_DAY"],
  low_day: ["LOW_DAY"],
  straight_line: ["STRAIGHT_LINE"],
  repeated_day: ["REPEATED_DAY"],
  clock_shift: [],
  swapped: [],
  register: ["HIGH_DAY", "UNIT_SCALE"],
};

/** A span of wrong values, in slots counted from the start of the fleet. */
export type Wrong = {
  readonly kind: WrongKind;
  readonly meter: number;
  /** Slots `[from, to)`. */
  readonly from: number;
  readonly to: number;
  /** `straight_line`: Wh a slot; `clock_shift`: slots late; `swapped`: the other meter. */
  readonly detail: number;
};

/** A rule knows a meter after a week. */
const FIRST_DAY = 8;
/** A kind strikes a meter about once in so many weeks. */
const WEEKS_BETWEEN = 40;
const REGISTER_BEGINS_WH = 1_000_000;
const MINUTES_A_DAY = 1440;

type Grid = {
  /** Every span ends by here. */
  readonly slots: number;
  /** Defects that a span covers are taken out. */
  readonly defectsByMeter: FleetDefect[][];
};

/**
 * Draws the wrong values of every meter; each kind at least once in a fleet of four weeks or more and
 * as many meters as kinds. A span takes the place of the defects in it, but not of an outage of a
 * group, nor of the end of a meter.
 */
export function planWrongs(options: FleetOptions, grid: Grid): Wrong[][] {
  const wrongs: Wrong[][] = Array.from({ length: options.meters }, () => []);
  const perDay = Math.max(1, Math.round(MINUTES_A_DAY / options.intervalMinutes));
  const days = Math.floor(grid.slots / perDay);
  for (let meter = 0; meter < options.meters; meter++) {
    const random = createRandom(hash32(hash32(options.seed, 6), meter));
    let drawn = WRONG_KINDS.length * (days - FIRST_DAY) / 7 / WEEKS_BETWEEN;
    for (let left = drawn + random(); left >= 1; left--) {
      const kind = WRONG_KINDS[randomInteger(random, 0, WRONG_KINDS.length - 1)];
      place(draw(kind, { meter, random, perDay, days, options }), { wrongs, grid, perDay });
    }
    drawn = meter < WRONG_KINDS.length ? 20 : 0;
    const isThere = () => wrongs[meter].some(({ kind }) => kind === WRONG_KINDS[meter]);
    for (; drawn > 0 && !isThere(); drawn--) {
      const wrong = draw(WRONG_KINDS[meter], { meter, random, perDay, days, options });
      place(wrong, { wrongs, grid, perDay });
    }
  }
  for (const of of wrongs) of.sort((a, b) => a.from - b.from);
  return wrongs;
}

type Drawing = {
  readonly meter: number;
  readonly random: Random;
  readonly perDay: number;
  readonly days: number;
  readonly options: FleetOptions;
};

/** Draws a span; it begins where a UTC day begins when whole days are wrong. */
function draw(kind: WrongKind, { meter, random, perDay, days, options }: Drawing): Wrong {
  const day = randomInteger(random, FIRST_DAY, Math.max(FIRST_DAY, days - 1));
  const slotsOf = (hours: number) => Math.max(1, Math.round(hours * perDay / 24));
  const toMidnightMs = (86_400_000 - options.startMs % 86_400_000) % 86_400_000;
  const midnight = day * perDay + Math.ceil(toMidnightMs / 60_000 / options.intervalMinutes);
  const within = midnight + randomInteger(random, 0, perDay - 1);
  const spanOf = (from: number, slots: number, detail = 0): Wrong => {
    return { kind, meter, from, to: from + slots, detail };
  };
  switch (kind) {
    case "zero_run":
      return spanOf(within, slotsOf(12 + 36 * random()));
    case "straight_line":
      return spanOf(within, randomInteger(random, 8, 24), randomInteger(random, 5, 30));
    case "clock_shift":
      return spanOf(
        within,
        perDay * randomInteger(random, 1, 7),
        slotsOf(random() < 0.5 ? 0.5 : 1),
      );
    case "swapped":
      return spanOf(within, perDay * randomInteger(random, 1, 5), meter ^ 1);
    case "register":
      return spanOf(midnight, perDay * randomInteger(random, 2, 5));
    case "unit_scale":
    case "high_day":
    case "low_day":
      return spanOf(midnight, perDay * randomInteger(random, 1, 2));
    case "repeated_day":
      return spanOf(midnight, perDay);
    default:
      throw new Error(`no such kind: ${kind satisfies never}`);
  }
}

/** Puts a span in, at both meters when they are swapped, unless something is in its way. */
function place(
  wrong: Wrong,
  { wrongs, grid, perDay }: { wrongs: Wrong[][]; grid: Grid; readonly perDay: number },
): void {
  const { kind, meter, to, detail } = wrong;
  const meters = kind === "swapped" ? [meter, detail] : [meter];
  // What is repeated must be whole, too; and a stuck value decides the slot after it.
  const from = wrong.from - (kind === "repeated_day" ? perDay : 0) - 1;
  const isFree = (of: number) =>
    of < wrongs.length && wrongs[of].every((other) => other.to < from || other.from > to) &&
    grid.defectsByMeter[of].every((defect) =>
      defect.end < from || defect.from > to ||
      (defect.kind !== "group_outage" && defect.kind !== "churn")
    );
  if (to > grid.slots || !meters.every(isFree)) return;
  meters.forEach((of, i) => {
    wrongs[of].push({ ...wrong, meter: of, detail: kind === "swapped" ? meters[1 - i] : detail });
    grid.defectsByMeter[of] = grid.defectsByMeter[of].filter((defect) =>
      defect.end < from || defect.from > to
    );
  });
}

/** Says what is written where values are wrong. Asked of each meter once a slot, in order. */
export class Wronger {
  readonly #wrongs: FleetPlan["wrongsByMeter"];
  readonly #next: Int32Array;
  readonly #perDay: number;
  /** What was used in the last day, of meters whose past is written again. */
  readonly #past = new Map<number, Float64Array>();
  /** The first value of a line, or the register so far. */
  readonly #kept: Float64Array;

  constructor({ options, wrongsByMeter }: FleetPlan) {
    this.#wrongs = wrongsByMeter;
    this.#next = new Int32Array(options.meters);
    this.#kept = new Float64Array(options.meters);
    this.#perDay = Math.max(1, Math.round(MINUTES_A_DAY / options.intervalMinutes));
    for (const [meter, wrongs] of wrongsByMeter.entries()) {
      if (!wrongs.some(({ kind }) => kind === "repeated_day" || kind === "clock_shift")) continue;
      this.#past.set(meter, new Float64Array(this.#perDay));
    }
  }

  /** The Wh that are written of a slot; `usedWh` is what every meter used in it. */
  written(meter: number, slot: number, usedWh: Float64Array): number {
    const past = this.#past.get(meter);
    const at = slot % this.#perDay;
    const wrongs = this.#wrongs[meter];
    if (wrongs[this.#next[meter]]?.to === slot) this.#next[meter]++;
    const wrong = wrongs[this.#next[meter]];
    const wh = wrong === undefined || slot < wrong.from
      ? usedWh[meter]
      : this.#wrong(wrong, slot, usedWh);
    if (past !== undefined) past[at] = usedWh[meter];
    return wh;
  }

  #wrong({ kind, meter, from, detail }: Wrong, slot: number, usedWh: Float64Array): number {
    const wh = usedWh[meter];
    const ago = (slots: number) =>
      this.#past.get(meter)![(slot + this.#perDay - slots) % this.#perDay];
    switch (kind) {
      case "zero_run":
        return 0;
      case "unit_scale":
        return wh * 1000;
      case "high_day":
        return wh * 10;
      case "low_day":
        return Math.round(wh / 10);
      case "straight_line":
        if (slot === from) this.#kept[meter] = wh;
        return this.#kept[meter] + detail * (slot - from);
      case "repeated_day":
        return ago(this.#perDay);
      case "clock_shift":
        return ago(detail);
      case "swapped":
        return usedWh[detail];
      case "register":
        this.#kept[meter] = (slot === from ? REGISTER_BEGINS_WH : this.#kept[meter]) + wh;
        return this.#kept[meter];
      default:
        throw new Error(`no such kind: ${kind satisfies never}`);
    }
  }
}
