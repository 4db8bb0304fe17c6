/**
 * The zones of local times: those of timestamps that are written without an offset.
 *
 * A zone's memo is one of a pure function: it changes the speed of an answer, never the answer.
 */

const DAY_MS = 86_400_000;

/**
 * A time zone as a table: offset i holds for local times in [bounds[i-1], bounds[i]). Plain data, so
 * it can be posted to a Worker. Outside 1970..2100 the nearest known offset holds.
 */
export type Zone = {
  readonly name: string;
  /** Local time from which the next offset holds, ascending. */
  readonly localBoundsMs: Float64Array;
  /** Local minus UTC; one more than there are bounds. */
  readonly offsetsMs: Float64Array;
  /** Index of the last offset found: a memo, neighbours in a file share it. */
  lastHit: number;
};

/** Coordinated universal time: no transitions, offset 0. */
export const UTC_ZONE: Zone = {
  name: "UTC",
  localBoundsMs: new Float64Array(0),
  offsetsMs: new Float64Array(1),
  lastHit: 0,
};

const ZONE_FROM_MS = 0;
const ZONE_TO_MS = Date.UTC(2101, 0, 1);
/** Below the shortest stretch between two transitions (a week: Recife in October 2000). */
const ZONE_STEP_MS = 4 * DAY_MS;

/**
 * Builds the zone of an IANA name from the runtime's own zone data.
 *
 * @throws {Error} when the runtime does not know the name.
 */
export function buildZone(name: string): Zone {
  if (name === "UTC") return UTC_ZONE;
  const offsetAt = zoneOffsets(name);
  const bounds: number[] = [];
  const offsets: number[] = [offsetAt(ZONE_FROM_MS)];
  let knownMs = ZONE_FROM_MS;
  while (knownMs < ZONE_TO_MS) {
    const nextMs = Math.min(knownMs + ZONE_STEP_MS, ZONE_TO_MS);
    const before = offsets[offsets.length - 1];
    if (offsetAt(nextMs) === before) {
      knownMs = nextMs;
      continue;
    }
    const transitionMs = bisectTransition(offsetAt, knownMs, nextMs);
    const after = offsetAt(transitionMs);
    // Until the later of the two local readings of the transition the old offset holds: that takes
    // the earlier instant of an ambiguous time, and moves a skipped one forward by the gap.
    bounds.push(transitionMs + Math.max(before, after));
    offsets.push(after);
    knownMs = transitionMs;
  }
  return {
    name,
    localBoundsMs: Float64Array.from(bounds),
    offsetsMs: Float64Array.from(offsets),
    lastHit: 0,
  };
}

function zoneOffsets(name: string): (utcMs: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (cause) {
    throw new Error(`Cannot use time zone "${name}": must be an IANA name`, { cause });
  }
  return (utcMs) => {
    const [month, day, year, hour, minute, second] = format.format(utcMs).match(/\d+/g)!
      .map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, second) - utcMs;
  };
}

/** The first instant, to the second, at which the offset differs from the one at `fromMs`. */
function bisectTransition(
  offsetAt: (utcMs: number) => number,
  fromMs: number,
  toMs: number,
): number {
  const before = offsetAt(fromMs);
  let low = fromMs / 1000;
  let high = toMs / 1000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * 1000) === before) low = middle;
    else high = middle;
  }
  return high * 1000;
}

/**
 * The instant of a local time, given as if it were UTC. An ambiguous one is its earlier instant; one
 * that a transition skips moves forward by the gap. NaN stays NaN.
 */
export function localToUtcMs(zone: Zone, localMs: number): number {
  const bounds = zone.localBoundsMs;
  if (bounds.length === 0) return localMs - zone.offsetsMs[0];
  const hit = zone.lastHit;
  if (
    (hit === 0 || localMs >= bounds[hit - 1]) && (hit === bounds.length || localMs < bounds[hit])
  ) {
    return localMs - zone.offsetsMs[hit];
  }
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bounds[middle] <= localMs) low = middle + 1;
    else high = middle;
  }
  zone.lastHit = low;
  return localMs - zone.offsetsMs[low];
}

/**
 * The later instant of a local time that comes twice, where a clock is put back. NaN: it comes once;
 * Infinity: never, for the clock is put forward over it.
 */
export function laterInstantMs(zone: Zone, localMs: number): number {
  const { localBoundsMs, offsetsMs } = zone;
  if (localBoundsMs.length === 0 || Number.isNaN(localMs)) return NaN;
  localToUtcMs(zone, localMs);
  const hit = zone.lastHit;
  const putForwardMs = offsetsMs[hit + 1] - offsetsMs[hit];
  if (!(localMs >= localBoundsMs[hit] - Math.abs(putForwardMs))) return NaN;
  return putForwardMs > 0 ? Infinity : localMs - offsetsMs[hit + 1];
}

/** The local time of an instant, given as if it were UTC. */
export function utcToLocalMs(zone: Zone, utcMs: number): number {
  return utcMs + zone.offsetsMs[offsetIndex(zone, utcMs)];
}

/** When the offset next changes after an instant; Infinity: it does not any more. */
export function nextTransitionMs(zone: Zone, utcMs: number): number {
  const index = offsetIndex(zone, utcMs);
  return index < zone.localBoundsMs.length ? transitionMs(zone, index) : Infinity;
}

/** A zone's offsets in order, local minus UTC; the first holds from -Infinity on. */
export function offsetsOf(
  zone: Zone,
): { readonly fromMs: number; readonly offsetMs: number }[] {
  return Array.from(zone.offsetsMs, (offsetMs, i) => ({
    fromMs: i === 0 ? -Infinity : transitionMs(zone, i - 1),
    offsetMs,
  }));
}

/** Which of the zone's offsets holds at an instant. */
function offsetIndex(zone: Zone, utcMs: number): number {
  let low = 0;
  let high = zone.localBoundsMs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (transitionMs(zone, middle) <= utcMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The instant at which the offset of a zone changes for the `index`-th time. */
function transitionMs({ localBoundsMs, offsetsMs }: Zone, index: number): number {
  return localBoundsMs[index] - Math.max(offsetsMs[index], offsetsMs[index + 1]);
}
