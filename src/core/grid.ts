import { dateMs, dateOf, DAY_MS, isCalendar, nearestDate } from "./calendar.ts";
import type { PastPiece } from "./meters.ts";
import { grown } from "./timers.ts";
import type { Zone } from "./zone.ts";

/** What an empty span of residuals begins with: any residual is less, or greater. */
const EMPTY_LOW_MS = 2 ** 31 - 1;
const EMPTY_HIGH_MS = -(2 ** 31);
/** The older of two spans of residuals is dropped each time that so many were followed. */
const SPAN_CALLS = 16;
/** Beyond so many slots without a reading, how the last ones lay says nothing. */
const REMEMBERED_STEPS_MAX = 16;

/** How many residuals a grid has, and the places of all but the first. */
export const RESIDUALS = 6;
const LOW = 1;
const HIGH = 2;
const LOW_BEFORE = 3;
const HIGH_BEFORE = 4;
const CALLS = 5;

/** The longest interval that its column holds, a whole number of minutes. */
export const INTERVAL_MS_MAX = Math.floor((2 ** 31 - 1) / 60_000) * 60_000;

/**
 * The grids on which the slots of the series lie, a column a field.
 *
 * A grid has the phase of its series and follows it slowly: by a sixteenth of the centre between
 * the least and the greatest residual (a reading minus its slot) of the last 16 to 32 readings.
 * So a clock that is slow never adds up, and jitter takes no neighbour's slot. Days and months are
 * those of the calendar, and do not move.
 */
export class Grids {
  /** 0 while it is being learned; `MONTH`, or milliseconds. */
  intervalMs: Int32Array;
  /** The slot of the latest reading that went forward: its number, and its time. */
  ordinal: Int32Array;
  slotMs: Float64Array;
  /**
   * `RESIDUALS` of each grid side by side, milliseconds: how far the latest forward reading was off
   * its slot (its own time is the sum of both); the least and the greatest residual of this span and
   * of the one before; how many residuals this span has.
   */
  residuals: Int32Array;

  constructor(capacity: number) {
    this.intervalMs = new Int32Array(capacity);
    this.ordinal = new Int32Array(capacity);
    this.slotMs = new Float64Array(capacity);
    this.residuals = new Int32Array(capacity * RESIDUALS);
  }

  grow(capacity: number): void {
    this.intervalMs = grown(this.intervalMs, capacity);
    this.ordinal = grown(this.ordinal, capacity);
    this.slotMs = grown(this.slotMs, capacity);
    this.residuals = grown(this.residuals, capacity * RESIDUALS);
  }

  /** How far off its slot the latest forward reading was. */
  prevMs(i: number): number {
    return this.residuals[i * RESIDUALS];
  }
}

/** Lays the grid of a series, or of a piece of it, that begins with a reading at `atMs`. */
export function startGrid(
  grids: Grids,
  i: number,
  { intervalMs, atMs, graceMs, zone }: {
    readonly intervalMs: number;
    readonly atMs: number;
    /** This near to a multiple of the interval, the slots lie on the clock. */
    readonly graceMs: number;
    readonly zone: Zone;
  },
): void {
  let slotMs = atMs;
  if (isCalendar(intervalMs)) {
    slotMs = dateMs(intervalMs, nearestDate(intervalMs, atMs, zone), zone);
  } else if (DAY_MS % intervalMs === 0) {
    const wallMs = Math.round(atMs / intervalMs) * intervalMs;
    if (Math.abs(atMs - wallMs) <= graceMs) slotMs = wallMs;
  }
  grids.intervalMs[i] = intervalMs;
  grids.ordinal[i] = 0;
  grids.slotMs[i] = slotMs;
  clearResiduals(grids, i);
  follow(grids, i, atMs - slotMs);
}

/** How many slots after that of the latest forward reading a time lies; 0 or less: it is late. */
export function stepsTo(grids: Grids, i: number, atMs: number, zone: Zone): number {
  const intervalMs = grids.intervalMs[i];
  const slotMs = grids.slotMs[i];
  if (isCalendar(intervalMs)) return datesBetween(intervalMs, slotMs, atMs, zone);
  return stepsOff(intervalMs, atMs - slotMs, grids.prevMs(i));
}

/** The same on a grid that has ended. */
export function stepsOnPast(
  { intervalMs, slotMs, prevMs }: Pick<PastPiece, "intervalMs" | "slotMs" | "prevMs">,
  atMs: number,
  zone: Zone,
): number {
  if (isCalendar(intervalMs)) return datesBetween(intervalMs, slotMs, atMs, zone);
  return stepsOff(intervalMs, atMs - slotMs, prevMs);
}

function datesBetween(intervalMs: number, slotMs: number, atMs: number, zone: Zone): number {
  return nearestDate(intervalMs, atMs, zone) - nearestDate(intervalMs, slotMs, zone);
}

/** How many slots `offMs` after a slot is, the reading of which was `prevMs` off it. */
function stepsOff(intervalMs: number, offMs: number, prevMs: number): number {
  const steps = Math.floor((offMs + intervalMs / 2) / intervalMs);
  // A reading early for the next slot has moved on from the one before; a late one for it, though
  // nearer to the slot after it, has not passed it over.
  if (steps === 0 && offMs >= intervalMs * 3 / 8 && offMs - prevMs >= intervalMs / 2) return 1;
  if (steps === 2 && offMs <= intervalMs * (3 / 2 + 1 / 32)) return 1;
  return steps;
}

/** When the slot begins that is `steps` after another (before it: below 0). */
export function slotAfter(intervalMs: number, slotMs: number, steps: number, zone: Zone): number {
  if (!isCalendar(intervalMs)) return slotMs + steps * intervalMs;
  return dateMs(intervalMs, nearestDate(intervalMs, slotMs, zone) + steps, zone);
}

/** How many slots, from the one at `slotMs` on, have begun at a time; below 1: none. */
export function slotsBegun(intervalMs: number, slotMs: number, atMs: number, zone: Zone): number {
  if (!isCalendar(intervalMs)) return Math.floor((atMs - slotMs) / intervalMs) + 1;
  if (!Number.isFinite(atMs)) return atMs;
  return dateOf(intervalMs, atMs, zone) - nearestDate(intervalMs, slotMs, zone) + 1;
}

/**
 * Moves the grid on to the reading that came `steps` ≥ 1 slots later, `offMs` off its slot, which
 * begins at `slotMs`.
 */
export function goForward(
  grids: Grids,
  i: number,
  steps: number,
  slotMs: number,
  offMs: number,
): void {
  grids.ordinal[i] += steps;
  grids.slotMs[i] = slotMs;
  if (steps > REMEMBERED_STEPS_MAX) clearResiduals(grids, i);
  follow(grids, i, offMs);
}

/**
 * Moves the grid on to the last of `count` readings that each come one interval after the one before
 * and lie as that does, on an interval of no calendar: what as many `goForward` do, and where the
 * grid has settled in one step.
 */
export function goForwardEvenly(grids: Grids, i: number, count: number): void {
  const intervalMs = grids.intervalMs[i];
  while (count > 0 && !hasSettled(grids, i)) {
    goForward(grids, i, 1, grids.slotMs[i] + intervalMs, grids.prevMs(i));
    count--;
  }
  if (count === 0) return;
  const { residuals } = grids;
  const at = i * RESIDUALS;
  grids.ordinal[i] += count;
  grids.slotMs[i] += count * intervalMs;
  const calls = (residuals[at + CALLS] + count) % SPAN_CALLS;
  residuals[at + CALLS] = calls;
  residuals[at + LOW] = calls === 0 ? EMPTY_LOW_MS : residuals[at];
  residuals[at + HIGH] = calls === 0 ? EMPTY_HIGH_MS : residuals[at];
}

/** Whether a reading that lies as the latest one does would change no residual. */
function hasSettled({ residuals }: Grids, i: number): boolean {
  const at = i * RESIDUALS;
  const offMs = residuals[at];
  const low = residuals[at + LOW];
  const high = residuals[at + HIGH];
  return residuals[at + LOW_BEFORE] === offMs && residuals[at + HIGH_BEFORE] === offMs &&
    (low === offMs || low === EMPTY_LOW_MS) && (high === offMs || high === EMPTY_HIGH_MS) &&
    ((2 * offMs / 32) | 0) === 0;
}

/** Lets a grid begin at its slot, with a reading that lay on it. */
export function startResiduals(grids: Grids, i: number): void {
  clearResiduals(grids, i);
  follow(grids, i, 0);
}

function clearResiduals({ residuals }: Grids, i: number): void {
  const at = i * RESIDUALS;
  residuals[at + LOW] = residuals[at + LOW_BEFORE] = EMPTY_LOW_MS;
  residuals[at + HIGH] = residuals[at + HIGH_BEFORE] = EMPTY_HIGH_MS;
  residuals[at + CALLS] = 0;
}

/** Lets the grid follow a residual. */
function follow(grids: Grids, i: number, offMs: number): void {
  const { residuals } = grids;
  const at = i * RESIDUALS;
  if (isCalendar(grids.intervalMs[i])) {
    residuals[at] = offMs;
    return;
  }
  const lowMs = Math.min(residuals[at + LOW], offMs);
  const highMs = Math.max(residuals[at + HIGH], offMs);
  const lowBeforeMs = residuals[at + LOW_BEFORE];
  const highBeforeMs = residuals[at + HIGH_BEFORE];
  const centreMs = Math.min(lowMs, lowBeforeMs) + Math.max(highMs, highBeforeMs);
  const movedMs = (centreMs / 32) | 0; // towards zero
  residuals[at] = offMs - movedMs;
  residuals[at + LOW] = lowMs - movedMs;
  residuals[at + HIGH] = highMs - movedMs;
  if (movedMs !== 0) {
    grids.slotMs[i] += movedMs;
    if (highBeforeMs !== EMPTY_HIGH_MS) {
      residuals[at + LOW_BEFORE] = lowBeforeMs - movedMs;
      residuals[at + HIGH_BEFORE] = highBeforeMs - movedMs;
    }
  }
  if (++residuals[at + CALLS] < SPAN_CALLS) return;
  residuals[at + CALLS] = 0;
  residuals[at + LOW_BEFORE] = residuals[at + LOW];
  residuals[at + HIGH_BEFORE] = residuals[at + HIGH];
  residuals[at + LOW] = EMPTY_LOW_MS;
  residuals[at + HIGH] = EMPTY_HIGH_MS;
}
