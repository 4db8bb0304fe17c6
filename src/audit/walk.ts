import { isCalendar } from "../core/calendar.ts";
import { goForward, goForwardEvenly, Grids, slotAfter, startGrid, stepsTo } from "../core/grid.ts";
import type { ProcessorOptions } from "../core/options.ts";
import type { ValidatedReading } from "../core/outputs.ts";
import type { Placing, Rule } from "../core/rules/rule.ts";
import type { IntervalPiece } from "../replay/intervals.ts";
import type { SkippedSlots } from "../replay/whole_series.ts";
import type { SeriesReadings } from "./readings.ts";

/** Adjacent slots of a series without a reading: `[fromMs, toMs)`. */
export type Gap = {
  fromMs: number;
  toMs: number;
  count: number;
  readonly intervalMs: number;
  /** Ordinal of its first slot on the grid of its piece. */
  from: number;
  readonly piece: number;
};

/** A series from its first slot to its last. */
export type SeriesWalk = {
  readonly gaps: Gap[];
  /** Readings that took a slot, and those that found theirs taken, by the same value or another. */
  accepted: number;
  identical: number;
  conflicting: number;
  missing: number;
  /** When the first slot begins, and the last one. */
  firstSlotMs: number;
  lastSlotMs: number;
  /** The interval that the series ends with. */
  intervalMs: number;
  /** How many accepted readings fail each rule. */
  readonly flags: Map<string, number>;
};

export type WalkOptions = {
  readonly pieces: readonly IntervalPiece[];
  readonly skipped: readonly SkippedSlots[];
  readonly judging: ProcessorOptions;
  readonly rules: readonly Rule[];
  readonly meterId: string;
};

/** Values of the latest slots are kept, for readings that find them taken: so many. */
const HELD_SLOTS = 8;

type Walk = SeriesWalk & {
  readonly options: WalkOptions;
  readonly grids: Grids;
  piece: number;
  /** The last reading that went forward. */
  lastMs: number;
  nextSkip: number;
  readonly heldOrdinals: Float64Array;
  readonly heldKwhs: Float64Array;
  readonly placing: Placing;
  readonly memories: unknown[];
  /** One reading after another, as rules are asked of it. */
  readonly asked: { -readonly [Field in keyof ValidatedReading]: ValidatedReading[Field] };
};

/**
 * Lays the readings of a series, in the order in which they are judged, out in the slots of its
 * intervals: by the grid that the processor has, so that both find the same gaps.
 */
export function walkSeries(readings: SeriesReadings, options: WalkOptions): SeriesWalk {
  const { timesMs, kwhs } = readings;
  const walk = startWalk(options, timesMs[0], kwhs[0]);
  const { grids } = walk;
  const nextPiece = () => options.pieces[walk.piece + 1]?.fromMs ?? Infinity;
  const nextSkip = () => options.skipped[walk.nextSkip]?.fromMs ?? Infinity;
  const countsRuns = options.rules.every(({ looksAtPlaceOnly, memory }) =>
    looksAtPlaceOnly === true || memory === undefined
  );
  let stopMs = Math.min(nextPiece(), nextSkip());
  for (let n = 1; n < timesMs.length; n++) {
    const atMs = timesMs[n];
    const intervalMs = grids.intervalMs[0];
    if (countsRuns && atMs - walk.lastMs === intervalMs && isEven(grids)) {
      const end = runEnd(timesMs, n, intervalMs, stopMs);
      if (end > n) {
        takeRun(walk, readings, n, end);
        n = end - 1;
        continue;
      }
    }
    takeOne(walk, atMs, kwhs[n]);
    if (atMs >= stopMs) stopMs = Math.min(nextPiece(), nextSkip());
  }
  walk.lastSlotMs = grids.slotMs[0];
  walk.intervalMs = grids.intervalMs[0];
  return walk;
}

function startWalk(options: WalkOptions, atMs: number, kwh: number): Walk {
  const walk: Walk = {
    options,
    grids: new Grids(1),
    gaps: [],
    accepted: 0,
    identical: 0,
    conflicting: 0,
    missing: 0,
    firstSlotMs: NaN,
    lastSlotMs: NaN,
    intervalMs: 0,
    flags: new Map(),
    piece: 0,
    lastMs: atMs,
    nextSkip: 0,
    heldOrdinals: new Float64Array(HELD_SLOTS),
    heldKwhs: new Float64Array(HELD_SLOTS),
    placing: { offSlotMs: 0, offBeforeMs: 0, intervalMs: 0 },
    memories: options.rules.map((rule) => rule.memory?.begin()),
    asked: {
      offset: 0,
      meterId: options.meterId,
      timestampMs: atMs,
      consumptionKwh: kwh,
      status: "OK",
      flags: [],
      delayMs: 0,
    },
  };
  startPiece(walk, atMs, kwh);
  walk.firstSlotMs = walk.grids.slotMs[0];
  return walk;
}

function startPiece(walk: Walk, atMs: number, kwh: number): void {
  const { options: { pieces, judging: { gapGraceMs: graceMs, zone } }, grids, piece } = walk;
  const { intervalMs } = pieces[piece];
  startGrid(grids, 0, { intervalMs, atMs, graceMs, zone });
  walk.heldOrdinals.fill(NaN);
  hold(walk, 0, kwh);
  place(walk, grids.slotMs[0], 0, grids.slotMs[0]);
  accept(walk, atMs, kwh);
}

/** Whether a reading one interval after the latest one takes the next slot and lies on it as that. */
function isEven(grids: Grids): boolean {
  const intervalMs = grids.intervalMs[0];
  return !isCalendar(intervalMs) && Math.abs(grids.prevMs(0)) <= intervalMs / 2;
}

/** Where the readings from `n` on no longer come one interval after each other. */
function runEnd(timesMs: Float64Array, n: number, intervalMs: number, stopMs: number): number {
  let end = n;
  for (let beforeMs = timesMs[n] - intervalMs; end < timesMs.length; end++) {
    const atMs = timesMs[end];
    if (atMs - beforeMs !== intervalMs || atMs >= stopMs) break;
    beforeMs = atMs;
  }
  return end;
}

function takeRun(walk: Walk, { timesMs, kwhs }: SeriesReadings, n: number, end: number): void {
  const { grids, options: { rules } } = walk;
  // Each lies as the one before: only rules of values may still find something.
  for (let r = 0; r < rules.length; r++) {
    if (rules[r].looksAtPlaceOnly === true) continue;
    for (let one = n; one < end; one++) ask(walk, r, timesMs[one], kwhs[one]);
  }
  goForwardEvenly(grids, 0, end - n);
  walk.accepted += end - n;
  walk.lastMs = timesMs[end - 1];
  const ordinal = grids.ordinal[0];
  for (let back = 0; back < Math.min(HELD_SLOTS, end - n); back++) {
    hold(walk, ordinal - back, kwhs[end - 1 - back]);
  }
}

function takeOne(walk: Walk, atMs: number, kwh: number): void {
  const { grids, options: { pieces, judging: { zone } } } = walk;
  let piece = walk.piece;
  while (piece + 1 < pieces.length && pieces[piece + 1].fromMs <= atMs) piece++;
  const steps = stepsTo(grids, 0, atMs, zone);
  if (piece !== walk.piece && atMs > walk.lastMs) {
    if (steps > 1) addGap(walk, steps - 1);
    walk.piece = piece;
    startPiece(walk, atMs, kwh);
    walk.lastMs = atMs;
    return;
  }
  const skipped = skippedBefore(walk, atMs);
  if (skipped > 0 && takeAfterSkip(walk, skipped, atMs, kwh)) return;
  if (steps < 1) takePast(walk, steps, atMs, kwh);
  else {
    if (steps > 1) addGap(walk, steps - 1);
    takeSlot(walk, steps, slotAfter(grids.intervalMs[0], grids.slotMs[0], steps, zone), atMs, kwh);
  }
}

function takeSlot(walk: Walk, steps: number, slotMs: number, atMs: number, kwh: number): void {
  const { grids } = walk;
  place(walk, slotMs, grids.prevMs(0), atMs);
  goForward(grids, 0, steps, slotMs, atMs - slotMs);
  hold(walk, grids.ordinal[0], kwh);
  walk.lastMs = atMs;
  accept(walk, atMs, kwh);
}

/** How many slots right before a reading its source's clock never had. */
function skippedBefore(walk: Walk, atMs: number): number {
  const { options: { skipped }, lastMs } = walk;
  let skippedIntervals = 0;
  while (walk.nextSkip < skipped.length && skipped[walk.nextSkip].fromMs <= atMs) {
    const { fromMs, toMs, intervals } = skipped[walk.nextSkip++];
    // Only an hour that lies whole between two readings.
    if (atMs >= toMs && lastMs < fromMs) skippedIntervals += intervals;
  }
  return skippedIntervals;
}

/** Takes a reading before which its source's clock had fewer slots than time has; false: it had not. */
function takeAfterSkip(walk: Walk, skipped: number, atMs: number, kwh: number): boolean {
  const { grids, options: { judging: { zone } } } = walk;
  const intervalMs = grids.intervalMs[0];
  const onClock = isCalendar(intervalMs)
    ? stepsTo(grids, 0, atMs, zone) - skipped
    : stepsTo(grids, 0, atMs - skipped * intervalMs, zone);
  if (onClock < 1) return false;
  if (onClock > 1) addGap(walk, onClock - 1);
  const slotMs = slotAfter(intervalMs, grids.slotMs[0], onClock + skipped, zone);
  takeSlot(walk, onClock, slotMs, atMs, kwh);
  return true;
}

/** A reading for a slot up to the latest: it is taken, or missing until now. */
function takePast(walk: Walk, steps: number, atMs: number, kwh: number): void {
  const { grids, heldOrdinals, heldKwhs, options: { judging: { zone } } } = walk;
  const ordinal = grids.ordinal[0] + steps;
  const at = placeOf(ordinal);
  if (heldOrdinals[at] === ordinal) {
    if (heldKwhs[at] === kwh) walk.identical++;
    else walk.conflicting++;
    return;
  }
  const gap = walk.gaps.findIndex(({ from, count, piece }) =>
    piece === walk.piece && from <= ordinal && ordinal < from + count
  );
  if (gap < 0) {
    walk.conflicting++;
    return;
  }
  splitGap(walk, gap, ordinal);
  hold(walk, ordinal, kwh);
  place(walk, slotAfter(grids.intervalMs[0], grids.slotMs[0], steps, zone), grids.prevMs(0), atMs);
  accept(walk, atMs, kwh);
}

function splitGap(walk: Walk, g: number, ordinal: number): void {
  const { zone } = walk.options.judging;
  const gap = walk.gaps[g];
  const { fromMs, toMs, from, count, intervalMs } = gap;
  const left = ordinal - from;
  const right = count - left - 1;
  walk.missing--;
  const slotMs = slotAfter(intervalMs, fromMs, left, zone);
  const afterMs = slotAfter(intervalMs, fromMs, left + 1, zone);
  const parts = [
    { ...gap, toMs: slotMs, count: left },
    { ...gap, fromMs: afterMs, toMs, from: ordinal + 1, count: right },
  ];
  walk.gaps.splice(g, 1, ...parts.filter((part) => part.count > 0));
}

/** Adds the gap of so many slots after the latest one. */
function addGap(walk: Walk, count: number): void {
  const { grids, options: { judging: { zone } }, piece } = walk;
  const intervalMs = grids.intervalMs[0];
  const fromMs = slotAfter(intervalMs, grids.slotMs[0], 1, zone);
  const toMs = slotAfter(intervalMs, fromMs, count, zone);
  walk.gaps.push({ fromMs, toMs, count, intervalMs, from: grids.ordinal[0] + 1, piece });
  walk.missing += count;
}

function placeOf(ordinal: number): number {
  return ((ordinal % HELD_SLOTS) + HELD_SLOTS) % HELD_SLOTS;
}

function hold({ heldOrdinals, heldKwhs }: Walk, ordinal: number, kwh: number): void {
  heldOrdinals[placeOf(ordinal)] = ordinal;
  heldKwhs[placeOf(ordinal)] = kwh;
}

/** Notes for the rules how a reading lies, as the processor does. */
function place(walk: Walk, slotMs: number, prevMs: number, atMs: number): void {
  const { placing, grids, options: { judging: { zone } } } = walk;
  const intervalMs = grids.intervalMs[0];
  placing.offSlotMs = atMs - slotMs;
  placing.offBeforeMs = prevMs;
  placing.intervalMs = isCalendar(intervalMs)
    ? slotAfter(intervalMs, slotMs, 1, zone) - slotMs
    : intervalMs;
}

function accept(walk: Walk, timestampMs: number, consumptionKwh: number): void {
  walk.accepted++;
  for (let r = 0; r < walk.options.rules.length; r++) ask(walk, r, timestampMs, consumptionKwh);
}

/** Asks a rule whether an accepted reading fails. */
function ask(walk: Walk, r: number, timestampMs: number, consumptionKwh: number): void {
  const { options: { rules, judging }, placing, flags, memories, asked } = walk;
  asked.timestampMs = timestampMs;
  asked.consumptionKwh = consumptionKwh;
  const { name } = rules[r];
  if (!rules[r].fails(asked, placing, judging, memories[r])) return;
  flags.set(name, (flags.get(name) ?? 0) + 1);
}
