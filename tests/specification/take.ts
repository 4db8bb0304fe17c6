/** The specification of one usable reading's way into its series (semantics.md §2, §4). */
import { fixedIntervalMs, reach, type World } from "./gaps.ts";
import { type Interval, slotMsOf } from "./grid.ts";
import {
  currentPiece,
  endPiece,
  findPlace,
  intervalMsOf,
  latestMs,
  learn,
  newSeries,
  type Place,
  putReading,
  type Series,
  settle,
  startPiece,
  withdrawAfter,
} from "./series.ts";

type Reading = { atMs: number; kwh: number; interval: Interval | null };

/** `heldKwh`: the value that holds the slot, or that was revised; null: the slot was free. */
export type Taken =
  | { kind: "accepted"; flags: string[]; heldKwh: number | null }
  | { kind: "DUPLICATE" | "CONFLICT"; flags: string[]; heldKwh: number }
  | { kind: "forgotten" };

/** Takes a reading into its series, if its slot is free; the meter's silence was judged before. */
export function takeReading(world: World, meterId: string, reading: Reading): Taken {
  const { options, histories } = world;
  const { atMs, kwh } = reading;
  const times = { graceMs: options.gapGraceMs, ttlMs: options.stateTtlMs };
  const flags = kwh < 0 ? ["NEGATIVE"] : [];
  const fixedMs = fixedIntervalMs(options, meterId);
  const history = histories.get(meterId);
  const interval = fixedMs ?? reading.interval;
  if (history === undefined) {
    const begun = { ...newSeries(), gaps: [], ticksBefore: world.ticks.length };
    histories.set(meterId, begun);
    begun.forwardMs.push(atMs);
    if (interval === null) begun.held.push({ atMs, kwh });
    else startPiece(begun, { atMs, kwh, interval, ...times }, false);
    return { kind: "accepted", flags, heldKwh: null };
  }
  if (fixedMs === null && reading.interval !== null) {
    const known = currentPiece(history)?.grid.interval ?? null;
    if (known === null) settle(history, reading.interval, times);
    else if (known !== reading.interval && atMs > latestMs(history)) {
      restart(world, meterId, { atMs, kwh, interval: reading.interval }, false);
      reach(world, history.silent ? "interval said on return" : "interval said anew");
      history.silent = false;
      return { kind: "accepted", flags, heldKwh: null };
    }
  }
  if (currentPiece(history) === null) return takeHeld(world, history, reading);
  return takePlaced(world, history, reading);
}

/** While the interval is being learned only the same time is the same slot. */
function takeHeld(world: World, series: Series, { atMs, kwh }: Reading): Taken {
  const { options } = world;
  const flags = kwh < 0 ? ["NEGATIVE"] : [];
  const holder = series.held.find((held) => held.kwh !== null && held.atMs === atMs);
  if (holder !== undefined) {
    const heldKwh = holder.kwh!;
    if (heldKwh === kwh) return { kind: "DUPLICATE", flags, heldKwh };
    if (options.revisions === "first") return { kind: "CONFLICT", flags, heldKwh };
    holder.kwh = kwh;
    return { kind: "accepted", flags: [...flags, "REVISES"], heldKwh };
  }
  series.held.push({ atMs, kwh });
  const times = { graceMs: options.gapGraceMs, ttlMs: options.stateTtlMs };
  learn(series, options.learningReadings, times);
  const learned = currentPiece(series);
  if (learned !== null) {
    const readings = learned.grid.interval === "month"
      ? "a month"
      : `${series.acceptedMs.length + 1}`;
    reach(world, `learned from ${readings}`);
  }
  return { kind: "accepted", flags, heldKwh: null };
}

function takePlaced(world: World, series: Series, { atMs, kwh }: Reading): Taken {
  const { options } = world;
  const place = findPlace(series, atMs);
  if (place === null) return { kind: "forgotten" };
  const { piece, ordinal } = place;
  const flags = kwh < 0 ? ["NEGATIVE"] : [];
  if (isShifted(place, options.timeToleranceMs)) flags.push("TIME_SHIFT");
  const heldKwh = piece.taken.get(ordinal);
  if (heldKwh === kwh) return { kind: "DUPLICATE", flags, heldKwh };
  if (heldKwh !== undefined) {
    if (options.revisions === "first") return { kind: "CONFLICT", flags, heldKwh };
    piece.taken.set(ordinal, kwh);
    return { kind: "accepted", flags: [...flags, "REVISES"], heldKwh };
  }
  putReading(place, kwh);
  if (place.piece.ended) reach(world, "hole of an older piece filled");
  if (place.k >= 1 && series.silent) reach(world, "returned");
  if (place.k >= 1) series.silent = false;
  return { kind: "accepted", flags, heldKwh: null };
}

/** Off its slot, and otherwise off it than the latest reading was. */
function isShifted({ piece, residualMs, ordinal }: Place, toleranceMs: number | null): boolean {
  const { grid } = piece;
  const widthMs = slotMsOf(grid, ordinal + 1) - slotMsOf(grid, ordinal);
  const limitMs = toleranceMs ?? widthMs / 10;
  return Math.abs(residualMs) > limitMs && Math.abs(residualMs - grid.prevMs) > limitMs;
}

type Restart = { atMs: number; kwh: number; interval: Interval };

/** The readings of a run came in another interval: a new piece begins with the last of them. */
export function changeInterval(world: World, meterId: string, reading: Restart): void {
  const history = world.histories.get(meterId)!;
  const runFromMs = history.forwardMs.at(-13)!;
  const grows = intervalMsOf(reading.interval) >
    intervalMsOf(currentPiece(history)!.grid.interval);
  reach(world, `interval ${grows ? "grew" : "shrank"} by a run`);
  if (grows) withdrawAfter(history, runFromMs);
  restart(world, meterId, reading, true);
}

function restart(world: World, meterId: string, reading: Restart, sharesFirst: boolean): void {
  const history = world.histories.get(meterId)!;
  const piece = currentPiece(history)!;
  const { atMs, interval } = reading;
  world.intervalChanges.push({ meterId, atMs, from: piece.grid.interval, to: interval });
  if (sharesFirst) piece.ended = true;
  else endPiece(piece, atMs);
  startPiece(history, { ...reading, graceMs: world.options.gapGraceMs }, sharesFirst);
  history.forwardMs = [atMs];
}
