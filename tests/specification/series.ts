/**
 * The specification of one series' past (semantics.md §4): its pieces, one an interval, with every
 * slot that there ever was, and the missing runs among them. Nothing is forgotten here; what the
 * contract calls forgotten is only out of reach.
 */
import {
  goForward,
  type Grid,
  type Interval,
  INTERVAL_MS_MAX,
  learnInterval,
  MINUTE_MS,
  placeOf,
  slotMsOf,
  startGrid,
} from "./grid.ts";

/** Equal steps in a row after which the interval is another one. */
const RUN_STEPS = 12;
const MONTH_MS = 30 * 1440 * MINUTE_MS;

export type Piece = {
  readonly grid: Grid;
  firstOrdinal: number;
  lastOrdinal: number;
  /** When each slot from first to last begins, as it was when the slot became known. */
  readonly slotsMs: Map<number, number>;
  readonly taken: Map<number, number>;
  /** Slots for which an unusable reading came. */
  readonly marked: Set<number>;
  /** Slots that turned out never to have been expected. */
  readonly withdrawn: Set<number>;
  /** Missing slots that a late reading can no longer fill. */
  readonly lost: Set<number>;
  /** The ordinal below which nothing is remembered but holes. */
  memoryFrom: number;
  /** Its first slot is the last one of the piece before. */
  readonly sharesFirst: boolean;
  /** A later piece has begun. */
  ended: boolean;
};

export type Place = { piece: Piece; ordinal: number; k: number; residualMs: number };

/** A reading of which no slot is known yet; `kwh` null: an unusable one. */
export type Held = { atMs: number; kwh: number | null };

export type Series = {
  readonly pieces: Piece[];
  /** What came while the interval was being learned. */
  held: Held[];
  /** Times of readings that went forward, whatever became of them, since the interval was set. */
  forwardMs: number[];
  readonly acceptedMs: number[];
  silent: boolean;
};

export function newSeries(): Series {
  return { pieces: [], held: [], forwardMs: [], acceptedMs: [], silent: false };
}

/** The piece that is growing; null while the interval is being learned. */
export function currentPiece({ pieces }: Series): Piece | null {
  return pieces.at(-1) ?? null;
}

/** The time of the latest reading, or of the latest one held back. */
export function latestMs(series: Series): number {
  const piece = currentPiece(series);
  if (piece !== null) return piece.grid.slotMs + piece.grid.prevMs;
  return Math.max(...series.acceptedMs);
}

export function startPiece(
  series: Series,
  reading: { atMs: number; kwh: number; interval: Interval; graceMs: number },
  isRestart: boolean,
): Piece {
  const grid = startGrid(reading.interval, reading.atMs, reading.graceMs);
  const piece: Piece = {
    grid,
    firstOrdinal: 0,
    lastOrdinal: 0,
    slotsMs: new Map([[0, slotMsOf(grid, 0)]]),
    taken: new Map([[0, reading.kwh]]),
    marked: new Set(),
    withdrawn: new Set(),
    lost: new Set(),
    memoryFrom: series.pieces.length === 0 ? -Infinity : 0,
    sharesFirst: isRestart,
    ended: false,
  };
  series.pieces.push(piece);
  return piece;
}

const isHole = (piece: Piece, ordinal: number): boolean =>
  piece.slotsMs.has(ordinal) && !piece.taken.has(ordinal) && !piece.withdrawn.has(ordinal);

/** Where a time belongs; null: to a slot that is no longer remembered. */
export function findPlace({ pieces }: Series, atMs: number): Place | null {
  for (const piece of pieces.toReversed()) {
    const { k, residualMs } = placeOf(piece.grid, atMs);
    const ordinal = piece.grid.ordinal + k;
    const remembered = !piece.ended && ordinal >= piece.memoryFrom;
    const fillable = isHole(piece, ordinal) && !piece.lost.has(ordinal);
    if (remembered || fillable) return { piece, ordinal, k, residualMs };
  }
  return null;
}

/** Puts a reading into a free slot, and the slots that thereby lie between readings. */
export function putReading({ piece, ordinal, k, residualMs }: Place, kwh: number): void {
  knowSlots(piece, Math.min(ordinal, piece.firstOrdinal), Math.max(ordinal, piece.lastOrdinal));
  piece.taken.set(ordinal, kwh);
  piece.marked.delete(ordinal);
  if (k >= 1 && !piece.ended) goForward(piece.grid, k, residualMs);
}

function knowSlots(piece: Piece, first: number, last: number): void {
  for (let o = first; o < piece.firstOrdinal; o++) piece.slotsMs.set(o, slotMsOf(piece.grid, o));
  for (let o = piece.lastOrdinal + 1; o <= last; o++) {
    piece.slotsMs.set(o, slotMsOf(piece.grid, o));
  }
  piece.firstOrdinal = first;
  piece.lastOrdinal = last;
}

/** Notes an unusable reading for the slot it would have taken. */
export function markSlot(series: Series, atMs: number, ttlMs: number): void {
  if (series.pieces.length === 0) {
    series.held.push({ atMs, kwh: null });
    return;
  }
  const place = series.silent ? null : findPlace(series, atMs);
  if (place === null) return;
  const { piece, ordinal } = place;
  const isAhead = slotMsOf(piece.grid, ordinal) - piece.grid.slotMs > ttlMs;
  if (piece.taken.has(ordinal) || ordinal < piece.firstOrdinal || isAhead) return;
  piece.marked.add(ordinal);
}

/** Lays out what was held back, now that the interval is known. */
export function settle(series: Series, interval: Interval, times: Times): void {
  const { held } = series;
  const readings = held.filter(({ kwh }) => kwh !== null).sort((a, b) => a.atMs - b.atMs);
  startPiece(series, { ...readings[0], kwh: readings[0].kwh!, interval, ...times }, false);
  for (const { atMs, kwh } of readings.slice(1)) {
    const place = findPlace(series, atMs)!;
    if (!place.piece.taken.has(place.ordinal)) putReading(place, kwh!);
  }
  for (const { atMs, kwh } of held) if (kwh === null) markSlot(series, atMs, times.ttlMs);
  series.held = [];
  series.forwardMs = series.forwardMs.slice(-1);
}

type Times = { graceMs: number; ttlMs: number };

/** Learns the interval from what was held back, when there is enough of it. */
export function learn(series: Series, readingsMax: number, times: Times): void {
  const timesMs = series.held.filter(({ kwh }) => kwh !== null).map(({ atMs }) => atMs);
  timesMs.sort((a, b) => a - b);
  const interval = learnInterval(timesMs, { readingsMax, graceMs: times.graceMs });
  if (interval !== null) settle(series, interval, times);
}

/** The step, if the last 12 between readings that went forward were that one and not the interval. */
export function contraryStepMs({ forwardMs, pieces }: Series): number | null {
  const run = forwardMs.slice(-RUN_STEPS - 1);
  if (run.length <= RUN_STEPS || pieces.length === 0) return null;
  const stepMs = run[1] - run[0];
  const isEqual = run.slice(1).every((atMs, index) => atMs - run[index] === stepMs);
  const isOther = stepMs % MINUTE_MS === 0 && stepMs <= INTERVAL_MS_MAX &&
    stepMs !== pieces.at(-1)!.grid.interval;
  return isEqual && isOther ? stepMs : null;
}

/** Adjacent missing slots: first and last ordinal, and when they begin and end. */
export type Run = {
  piece: Piece;
  first: number;
  last: number;
  fromMs: number;
  toMs: number;
  isTail: boolean;
};

type Clocks = {
  /** What the slots between readings are judged by. */
  clockMs: number;
  /** What those after the latest reading are judged by. */
  tailMs: number;
  graceMs: number;
};

/** All that is missing, oldest first. */
export function missingRuns({ pieces }: Series, clocks: Clocks): Run[] {
  return pieces.flatMap((piece) => {
    const runs: Run[] = [];
    for (let o = piece.firstOrdinal; o <= piece.lastOrdinal; o++) {
      if (!isHole(piece, o) || clocks.clockMs < piece.slotsMs.get(o)! + clocks.graceMs) continue;
      const fromMs = piece.slotsMs.get(o)!;
      // From its own beginning as the grid lay then: a hole's length does not change with the grid.
      const toMs = fromMs + slotMsOf(piece.grid, o + 1) - slotMsOf(piece.grid, o);
      const run = runs.at(-1);
      if (run?.last === o - 1) [run.last, run.toMs] = [o, toMs];
      else runs.push({ piece, first: o, last: o, fromMs, toMs, isTail: false });
    }
    const tail = piece.ended ? 0 : tailSlots(piece, clocks);
    const [first, last] = [piece.lastOrdinal + 1, piece.lastOrdinal + tail];
    const [fromMs, toMs] = [first, last + 1].map((o) => slotMsOf(piece.grid, o));
    if (tail > 0) runs.push({ piece, first, last, fromMs, toMs, isTail: true });
    return runs;
  });
}

/** How many slots after the latest reading are missing. */
function tailSlots({ grid, lastOrdinal }: Piece, { tailMs, graceMs }: Clocks): number {
  const isMissing = (count: number) => slotMsOf(grid, lastOrdinal + count) + graceMs <= tailMs;
  let count = 0;
  if (grid.interval !== "month") {
    // All but the last of them by division, for a silence of a year has many.
    count = Math.max(0, Math.floor((tailMs - graceMs - grid.slotMs) / grid.interval) - 1);
  }
  while (isMissing(count + 1)) count += 1;
  return count;
}

/** Ends the growing piece and begins another at the reading, which lies after all slots of it. */
export function endPiece(piece: Piece, atMs: number): void {
  const ordinal = piece.grid.ordinal + placeOf(piece.grid, atMs).k;
  knowSlots(piece, piece.firstOrdinal, Math.max(piece.lastOrdinal, ordinal - 1));
  piece.ended = true;
}

/** Takes back the missing slots after `fromMs` of a piece that grew: they were never expected. */
export function withdrawAfter(series: Series, fromMs: number): void {
  const clocks = { clockMs: Infinity, tailMs: -Infinity, graceMs: 0 };
  for (const run of missingRuns(series, clocks)) {
    if (run.piece !== currentPiece(series) || run.fromMs <= fromMs) continue;
    for (let o = run.first; o <= run.last; o++) run.piece.withdrawn.add(o);
  }
}

/** What a time to live takes: marks, what stood in which slot, holes that were judged. */
export function forgetSlots(series: Series, clockMs: number, graceMs: number): void {
  for (const piece of series.pieces) {
    piece.marked.clear();
    piece.memoryFrom = piece.lastOrdinal + 1;
    for (const [o, slotMs] of piece.slotsMs) {
      if (isHole(piece, o) && slotMs + graceMs <= clockMs) piece.lost.add(o);
    }
  }
}

/** The length of an interval, of a month about. */
export function intervalMsOf(interval: Interval): number {
  return interval === "month" ? MONTH_MS : interval;
}

/** Slots that are due at the clock, and how many of them hold a reading. */
export function countSlots(series: Series, clockMs: number, graceMs: number) {
  const counts = { valid: 0, expected: 0 };
  for (const piece of series.pieces) {
    for (const [o, slotMs] of piece.slotsMs) {
      const counted = !piece.withdrawn.has(o) && !(piece.sharesFirst && o === 0);
      if (!counted || clockMs < slotMs + graceMs) continue;
      counts.expected += 1;
      if (piece.taken.has(o)) counts.valid += 1;
    }
    if (!piece.ended) counts.expected += tailSlots(piece, { clockMs, tailMs: clockMs, graceMs });
  }
  return counts;
}
