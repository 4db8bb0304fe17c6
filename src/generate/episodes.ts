import type { FleetPlan } from "./fleet.ts";
import { createRandom, hash32, randomInteger } from "./random.ts";

/** Days whose values are what rules of validation look for, in the order in which meters get one. */
export const EPISODE_KINDS = [
  ...["zero_run", "thousandfold", "straight_line", "repeated_day", "high_day", "low_day"] as const,
];
export type EpisodeKind = typeof EPISODE_KINDS[number];

/** The rules that find each. A value a thousand times too high is beyond what a connection carries. */
export const FOUND_BY: Readonly<Record<EpisodeKind, readonly string[]>> = {
  zero_run: ["ZERO_RUN"],
  thousandfold: ["CAPACITY", "UNIT_SCALE"],
  straight_line: ["STRAIGHT_LINE"],
  repeated_day: ["REPEATED_DAY"],
  high_day: ["HIGH_DAY"],
  low_day: ["LOW_DAY"],
};

/** Slots of a meter, counted from the start of the fleet: from the first to before `to`. */
export type Episode = {
  readonly kind: EpisodeKind;
  readonly meter: number;
  readonly from: number;
  readonly to: number;
};

const DAY_MS = 86_400_000;
/** Days that come first: rules hold a day against those before it. */
const HISTORY_DAYS = 9;
const TRIES = 16;
const LINE_SLOTS = 12;
/** Watt-hours from one reading of a line to the next. */
const LINE_STEP_WH = 9;

/** A day (UTC) for each meter that has one without other defects, beside it and the day before. */
export function planEpisodes(
  { options, slots, intervalMs, defectsByMeter }: Omit<FleetPlan, "episodes">,
): Episode[] {
  const perDay = DAY_MS / intervalMs;
  if (!Number.isInteger(perDay)) return [];
  const first = (DAY_MS - options.startMs % DAY_MS) % DAY_MS / intervalMs;
  const days = Math.floor((slots - first) / perDay);
  if (!Number.isInteger(first) || days < HISTORY_DAYS + 3) return [];
  const episodes: Episode[] = [];
  for (let meter = 0; meter < options.meters; meter++) {
    const random = createRandom(hash32(hash32(options.seed, 6), meter));
    const kind = EPISODE_KINDS[meter % EPISODE_KINDS.length];
    for (let n = 0; n < TRIES; n++) {
      const from = first + perDay * randomInteger(random, HISTORY_DAYS, days - 2);
      const isFree = defectsByMeter[meter].every((defect) =>
        defect.end < from - perDay - 1 || defect.from > from + perDay + 1
      );
      if (!isFree) continue;
      const length = kind === "straight_line" ? Math.min(LINE_SLOTS, perDay) : perDay;
      episodes.push({ kind, meter, from, to: from + length });
      break;
    }
  }
  return episodes;
}

/** What is written in place of the true values, slot by slot. */
export class EpisodeValues {
  readonly #episodes: (Episode | undefined)[];
  /** Of meters whose day is copied, the values of the day before. */
  readonly #days = new Map<number, Map<number, number>>();
  readonly #startWh = new Map<number, number>();

  constructor(episodes: readonly Episode[], meters: number) {
    this.#episodes = new Array(meters);
    for (const episode of episodes) this.#episodes[episode.meter] = episode;
  }

  /** The value of a slot, Wh; each slot of a meter is asked for in turn. */
  valueOf(meter: number, slot: number, wh: number): number {
    const episode = this.#episodes[meter];
    if (episode === undefined || slot >= episode.to) return wh;
    const { kind, from, to } = episode;
    if (kind === "repeated_day" && slot >= from - (to - from)) {
      return this.#copied(episode, slot, wh);
    }
    if (slot < from) return wh;
    switch (kind) {
      case "zero_run":
        return 0;
      case "thousandfold":
        return wh * 1000;
      case "straight_line": {
        if (slot === from) this.#startWh.set(meter, wh);
        return (this.#startWh.get(meter) ?? wh) + (slot - from) * LINE_STEP_WH;
      }
      case "high_day":
        return wh * 10;
      case "low_day":
        return Math.round(wh / 10);
      case "repeated_day":
        return wh;
      default:
        return kind satisfies never;
    }
  }

  #copied({ meter, from, to }: Episode, slot: number, wh: number): number {
    const values = this.#days.get(meter) ?? new Map<number, number>();
    this.#days.set(meter, values);
    if (slot < from) values.set(slot + to - from, wh);
    return values.get(slot) ?? wh;
  }
}
