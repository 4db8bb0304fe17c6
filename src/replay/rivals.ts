import { goForward, Grids, slotAfter, startGrid, stepsTo } from "../core/grid.ts";
import type { ProcessorOptions } from "../core/options.ts";
import type { Zone } from "../core/zone.ts";
import type { IntervalPiece } from "./intervals.ts";

/**
 * Readings that wait for a better one of their slot: `count` of them, the first at `fromMs`, each
 * `stepMs` after the one before, and each until `waitMs` after its own time.
 */
export type Waiting = {
  readonly fromMs: number;
  stepMs: number;
  count: number;
  readonly waitMs: number;
};

/** A grid as it is, and as it was before its latest reading. */
const NOW = 0;
const BEFORE = 1;
const GRIDS = 2;
type GridColumn = Float64Array | Int32Array;

/**
 * Finds where the readings of a whole series, at these ascending and distinct times, meet in one
 * slot with the one off the grid first. It is to wait until the one on the grid has come.
 */
export function findWaiting(
  timesMs: Float64Array,
  pieces: readonly IntervalPiece[],
  options: Pick<ProcessorOptions, "gapGraceMs" | "zone">,
): Waiting[] {
  const waiting: Waiting[] = [];
  let first = 0;
  for (const [p, { intervalMs }] of pieces.entries()) {
    const endMs = p + 1 < pieces.length ? pieces[p + 1].fromMs : Infinity;
    let end = first;
    let isClose = false;
    while (end < timesMs.length && timesMs[end] < endMs) {
      // Two readings a whole interval apart, or more, can share no slot.
      if (end > first && timesMs[end] - timesMs[end - 1] < intervalMs) isClose = true;
      end++;
    }
    if (isClose || intervalMs < 0) {
      findInPiece(timesMs.subarray(first, end), { ...options, intervalMs, waiting });
    }
    first = end;
  }
  return waiting;
}

function findInPiece(
  timesMs: Float64Array,
  { intervalMs, gapGraceMs: graceMs, zone, waiting }: {
    readonly intervalMs: number;
    readonly gapGraceMs: number;
    readonly zone: Zone;
    readonly waiting: Waiting[];
  },
): void {
  if (timesMs.length === 0) return;
  const grids = new Grids(GRIDS);
  const columns: GridColumn[] = Object.values(grids);
  const start = (atMs: number) => {
    startGrid(grids, NOW, { intervalMs, atMs, graceMs, zone });
    return Math.abs(grids.prevMs(NOW));
  };
  let holderMs = timesMs[0];
  let holderOffMs = start(holderMs);
  let slotMs = grids.slotMs[NOW];
  let isFirst = true;
  const losers: number[] = [];
  for (let n = 1; n < timesMs.length; n++) {
    const atMs = timesMs[n];
    const steps = stepsTo(grids, NOW, atMs, zone);
    if (steps >= 1) {
      for (const loserMs of losers.splice(0)) wait(waiting, loserMs, holderMs - loserMs);
      isFirst = false;
      copyGrid(columns, NOW, BEFORE);
      slotMs = slotAfter(intervalMs, grids.slotMs[NOW], steps, zone);
      goForward(grids, NOW, steps, slotMs, atMs - slotMs);
    } else if (Math.abs(atMs - slotMs) < holderOffMs) {
      losers.push(holderMs);
      if (isFirst) {
        start(atMs);
        slotMs = grids.slotMs[NOW];
      } else {
        copyGrid(columns, BEFORE, NOW);
        const again = Math.max(1, stepsTo(grids, NOW, atMs, zone));
        slotMs = slotAfter(intervalMs, grids.slotMs[NOW], again, zone);
        goForward(grids, NOW, again, slotMs, atMs - slotMs);
      }
    } else continue;
    holderMs = atMs;
    holderOffMs = Math.abs(atMs - slotMs);
  }
  for (const loserMs of losers) wait(waiting, loserMs, holderMs - loserMs);
}

function copyGrid(columns: readonly GridColumn[], from: number, to: number): void {
  for (const column of columns) {
    const width = column.length / GRIDS;
    column.copyWithin(to * width, from * width, (from + 1) * width);
  }
}

/** Adds a reading that waits; as one of a row, where it continues one. */
function wait(waiting: Waiting[], fromMs: number, waitMs: number): void {
  const last = waiting[waiting.length - 1];
  if (last?.waitMs === waitMs) {
    const stepMs = fromMs - (last.fromMs + (last.count - 1) * last.stepMs);
    if (last.count === 1 || stepMs === last.stepMs) {
      last.stepMs = stepMs;
      last.count++;
      return;
    }
  }
  waiting.push({ fromMs, stepMs: 0, count: 1, waitMs });
}

/** Until when a reading at this time waits; NaN: it does not. */
export function waitsUntilMs(waiting: readonly Waiting[], atMs: number): number {
  let low = 0;
  let high = waiting.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (waiting[middle].fromMs <= atMs) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return NaN;
  const { fromMs, stepMs, count, waitMs } = waiting[low - 1];
  const sinceMs = atMs - fromMs;
  const isOne = sinceMs === 0 || sinceMs % stepMs === 0 && sinceMs / stepMs < count;
  return isOne ? atMs + waitMs : NaN;
}
