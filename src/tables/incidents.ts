import { smallestCount } from "./poisson.ts";

/*
 * Shared outages. Gaps of one group that start in one slot are an incident where they are more than
 * chance makes of a group that fails as often as this one does. All of it is a function of where gaps
 * start and of how many meters could start one: no order of arrival, partition or commit is in it.
 */

/** The one group there is without a registry, and what all groups together are called with one. */
export const FLEET = "fleet";
/** The group of meters that a registry gives none. */
export const UNGROUPED = "ungrouped";

const DAY_MS = 86_400_000;
/** The starts of so long before tell how often a group fails. */
export const HISTORY_MS = 28 * DAY_MS;

const METERS_MIN = 3;
const SHARE_MIN = 0.03;
/** Incidents that chance makes in a day, in all groups together, at most. */
const FALSE_A_DAY_MAX = 0.01;
/** How much more often than it was seen to a group may fail by chance. */
const RATE_FACTOR = 2;
const FLEET_SHARE_MIN = 0.5;

/** How many gaps of a group start in a slot. */
export type SlotStarts = {
  readonly slotMs: number;
  /** The shortest interval of the meters that start one. */
  readonly stepMs: number;
  readonly starts: number;
  /** Those that were told of, whatever late readings have taken of them since. */
  readonly announced: number;
};

/** Gaps that start together: in `slotMs`, and in the slot after it, `nextMs`. */
export type IncidentSlots = { readonly slotMs: number; readonly nextMs: number };

/** An incident as its starts make it. */
export type FoundIncident = IncidentSlots & {
  readonly meters: number;
  readonly expected: number;
  readonly needed: number;
  /** Late readings have taken so many of its starts that it is none. */
  readonly isWithdrawn: boolean;
};

/** The incidents, and the slots of which it has to be known how many meters were expected. */
export type Found = {
  readonly incidents: readonly FoundIncident[];
  readonly unknown: readonly number[];
};

/**
 * The incidents of a group from `fromMs` on, oldest first. `slots` are those with starts, ascending,
 * of 28 days before and all that follow; `before` the incidents that began before.
 *
 * A slot whose number of expected meters is not known yet is taken for an incident where chance does
 * not explain it, and named in `unknown`: ask for those, and call again.
 */
export function findIncidents(
  slots: readonly SlotStarts[],
  { fromMs, before, groups, expected }: {
    readonly fromMs: number;
    readonly before: readonly IncidentSlots[];
    readonly groups: number;
    readonly expected: ReadonlyMap<number, number>;
  },
): Found {
  const incidents: FoundIncident[] = [];
  const unknown: number[] = [];
  const taken = new Set(before.flatMap(({ slotMs, nextMs }) => [slotMs, nextMs]));
  let history = 0;
  let oldest = 0;
  for (const { slotMs, stepMs, starts, announced } of slots) {
    for (; slots[oldest].slotMs < slotMs - HISTORY_MS; oldest++) {
      if (!taken.has(slots[oldest].slotMs)) history -= slots[oldest].starts;
    }
    const latest = incidents.at(-1);
    if (slotMs < fromMs || taken.has(slotMs)) {
      if (latest?.nextMs === slotMs && !latest.isWithdrawn) {
        incidents[incidents.length - 1] = { ...latest, meters: latest.meters + starts };
      }
    } else if (Math.max(starts, announced) >= METERS_MIN) {
      const known = expected.get(slotMs);
      const needed = neededStarts({ history, stepMs, groups, expected: known ?? 0 });
      if (Math.max(starts, announced) >= needed) {
        if (known === undefined) unknown.push(slotMs);
        const isWithdrawn = starts < needed;
        const nextMs = slotMs + stepMs;
        if (!isWithdrawn) taken.add(slotMs).add(nextMs);
        const meters = isWithdrawn ? announced : starts;
        incidents.push({ slotMs, nextMs, meters, expected: known ?? 0, needed, isWithdrawn });
      }
    }
    if (!taken.has(slotMs)) history += starts;
  }
  return { incidents, unknown };
}

/**
 * How many gaps of a group have to start in one slot: the smallest k ≥ max(3, 3 % of the expected
 * meters) with P(Poisson(2λ) ≥ k) ≤ 0.01 / (groups × slots a day), where λ = (`history` + 1) / slots
 * of 28 days and `history` counts the starts of the 28 days before, those in incidents left out.
 */
export function neededStarts(
  { history, stepMs, groups, expected }: {
    readonly history: number;
    readonly stepMs: number;
    readonly groups: number;
    readonly expected: number;
  },
): number {
  const mean = RATE_FACTOR * (history + 1) * stepMs / HISTORY_MS;
  const chanceMax = FALSE_A_DAY_MAX * stepMs / (groups * DAY_MS);
  const share = Math.ceil(expected * SHARE_MIN - ROUNDING);
  return Math.max(METERS_MIN, share, smallestCount(mean, chanceMax));
}

/** 3 % of 100 are 3: a double has 3.0000000000000004 or so of it. */
const ROUNDING = 1e-9;

/**
 * The first slot in which fewer than `needed` of an incident's meters are still missing; null: it goes
 * on. `ends` are where its gaps end, null: they go on.
 */
export function closedAtMs(
  ends: readonly { readonly endMs: number | null; readonly meters: number }[],
  needed: number,
): number | null {
  let missing = ends.reduce((sum, { meters }) => sum + meters, 0);
  const ended = ends.filter(({ endMs }) => endMs !== null);
  for (const { endMs, meters } of ended.sort((a, b) => Number(a.endMs) - Number(b.endMs))) {
    missing -= meters;
    if (missing < needed) return endMs;
  }
  return null;
}

/** In so many groups, and of so many meters, gaps start in one slot where all of the fleet fails. */
export function fleetNeeds(
  { groups, expected }: { readonly groups: number; readonly expected: number },
): { readonly groups: number; readonly meters: number } {
  const half = (count: number) => Math.ceil(count * FLEET_SHARE_MIN);
  return { groups: half(groups), meters: Math.max(METERS_MIN, half(expected)) };
}

/** A time on the grid of whole intervals; one whose interval is not known (0) stays where it is. */
export function slotOf(ms: number, stepMs: number): number {
  return stepMs === 0 ? ms : Math.floor((ms + Math.floor(stepMs / 2)) / stepMs) * stepMs;
}
