import { startGrid } from "./grid.ts";
import type { Hole } from "./hole.ts";
import type { Step } from "./step.ts";
import { clearTail } from "./tail.ts";

/** Begins a series' slots, or those of another interval, with the reading in the first of them. */
export function startPiece(
  { meters, options }: Step,
  i: number,
  { intervalMs, timestampMs, consumptionKwh }: {
    readonly intervalMs: number;
    readonly timestampMs: number;
    readonly consumptionKwh: number;
  },
): void {
  const { gapGraceMs: graceMs, zone } = options;
  startGrid(meters.grids, i, { intervalMs, atMs: timestampMs, graceMs, zone });
  meters.firstOrdinal[i] = 0;
  meters.takeRing(i);
  meters.setValueAt(i, 0, consumptionKwh);
  meters.follower?.beginPiece(i);
  meters.markChanged(i);
}

/**
 * Ends the growing piece of a series: of its slots only holes are remembered, and no reading before
 * the next piece extends that.
 */
export function endPiece(step: Step, i: number): void {
  const { meters } = step;
  meters.follower?.sayAll(step, i);
  const holes = meters.holes.get(i) ?? [];
  const { grids } = meters;
  if (holes.length > 0) {
    const piece = {
      intervalMs: grids.intervalMs[i],
      ordinal: grids.ordinal[i],
      slotMs: grids.slotMs[i],
      prevMs: grids.prevMs(i),
      holes,
      marks: marksIn(holes, meters.marks.get(i) ?? []),
    };
    meters.keep(meters.past, i, [...meters.past.get(i) ?? [], piece]);
  }
  meters.holes.delete(i);
  meters.marks.delete(i);
  meters.skips.delete(i);
  meters.estimates.delete(i);
  meters.runs.delete(i);
  meters.keep(meters.rememberedFrom, i, 0);
  meters.dropRing(i);
  clearTail(step, i);
}

function marksIn(holes: readonly Hole[], marks: readonly number[]): number[] {
  return marks.filter((ordinal) =>
    holes.some(({ from, count }) => ordinal >= from && ordinal < from + count)
  );
}
