/**
 * The specification of incidents: gaps of several meters that start together. Plain and slow.
 *
 * One group, named `fleet`, as without a registry. All times are epoch milliseconds.
 */
import { DAY_MS } from "./rules.ts";

/** From when to when a meter is expected, and where its gaps begin. */
export type MeterGaps = {
  readonly meterId: string;
  readonly fromMs: number;
  /** From here on it is silent; null: it reports. */
  readonly silentMs: number | null;
  /** The first missing slot of each of its gaps, ascending. */
  readonly starts: readonly number[];
};

export type Incident = {
  readonly incidentId: string;
  readonly fromMs: number;
  readonly meters: readonly string[];
  readonly expected: number;
  readonly needed: number;
};

/** P(Poisson(mean) ≥ count). */
function poissonTail(mean: number, count: number): number {
  let term = Math.exp(-mean);
  let below = 0;
  for (let k = 0; k < count; k++) {
    below += term;
    term *= mean / (k + 1);
  }
  return 1 - below;
}

/** The incidents of a fleet, oldest first. */
export function findIncidents(fleet: readonly MeterGaps[], slotMs: number): Incident[] {
  const starts = new Map<number, string[]>();
  for (const { meterId, starts: own } of fleet) {
    for (const atMs of own) starts.set(atMs, [...starts.get(atMs) ?? [], meterId]);
  }
  const incidents: { -readonly [Field in keyof Incident]: Incident[Field] }[] = [];
  const taken = new Set<number>();
  const slotsADay = DAY_MS / slotMs;
  let openMs = NaN;
  for (const [atMs, meters] of [...starts].sort(([a], [b]) => a - b)) {
    if (atMs === openMs + slotMs) {
      const latest = incidents[incidents.length - 1];
      latest.meters = [...latest.meters, ...meters];
      taken.add(atMs);
      continue;
    }
    const expected = fleet.filter(({ fromMs, silentMs }) =>
      fromMs <= atMs && (silentMs === null || silentMs > atMs)
    ).length;
    let before = 0;
    for (const [startMs, { length }] of starts) {
      if (startMs >= atMs - 28 * DAY_MS && startMs < atMs && !taken.has(startMs)) {
        before += length;
      }
    }
    const mean = 2 * (before + 1) / (28 * slotsADay);
    let needed = Math.max(3, Math.ceil(0.03 * expected));
    while (poissonTail(mean, needed) > 0.01 / slotsADay) {
      needed++;
    }
    if (meters.length < needed) {
      continue;
    }
    openMs = atMs;
    taken.add(atMs);
    const incidentId = `fleet@${new Date(atMs).toISOString().replace(".000", "")}`;
    incidents.push({ incidentId, fromMs: atMs, meters, expected, needed });
  }
  return incidents;
}
