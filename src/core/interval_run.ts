import { INTERVAL_MS_MAX } from "./grid.ts";
import type { MeterTable } from "./meters.ts";

/** So many equal steps in a row, and the interval is another one. */
export const RUN_STEPS = 12;
const MINUTE_MS = 60_000;

/**
 * Notes the time of a reading with a good time, whatever becomes of it. Only readings later than
 * all before count; steps between them that are equal, whole minutes, and not the interval are a
 * run.
 */
export function noteForward(meters: MeterTable, i: number, timestampMs: number): void {
  const stepMs = timestampMs - meters.forwardMs[i];
  if (!(stepMs > 0)) return;
  meters.forwardMs[i] = timestampMs;
  meters.markChanged(i);
  const intervalMs = meters.intervalMs[i];
  if (stepMs === intervalMs || intervalMs === 0) {
    if (meters.hasAside[i] !== 0) breakRun(meters, i);
    return;
  }
  if (stepMs % MINUTE_MS !== 0 || stepMs > INTERVAL_MS_MAX) return breakRun(meters, i);
  const run = meters.runs.get(i);
  if (run?.isTold) return;
  if (run?.stepMs === stepMs) run.steps = Math.min(run.steps + 1, RUN_STEPS);
  else meters.keep(meters.runs, i, { stepMs, steps: 1, isTold: false });
}

function breakRun(meters: MeterTable, i: number): void {
  if (meters.runs.get(i)?.isTold === false) meters.runs.delete(i);
}

/** The step of the run that the reading at this time has completed; 0: it has completed none. */
export function contraryStepMs(meters: MeterTable, i: number, timestampMs: number): number {
  if (meters.hasAside[i] === 0) return 0;
  const run = meters.runs.get(i);
  if (run === undefined || run.isTold || run.steps < RUN_STEPS) return 0;
  return meters.forwardMs[i] === timestampMs ? run.stepMs : 0;
}

/** The time of the reading before the first step of the run that goes on; Infinity: none does. */
export function runFromMs(meters: MeterTable, i: number): number {
  if (meters.hasAside[i] === 0) return Infinity;
  const run = meters.runs.get(i);
  if (run === undefined || run.isTold) return Infinity;
  return meters.forwardMs[i] - run.steps * run.stepMs;
}
