import { INTERVAL_MS_MAX } from "./grid.ts";
import type { MeterTable } from "./meters.ts";
import type { ProcessorOptions } from "./options.ts";
import type { Step } from "./step.ts";

/** So many equal steps in a row, and the interval is another one. */
export const RUN_STEPS = 12;
const MINUTE_MS = 60_000;

/**
 * Notes the time of a reading with a good time, whatever becomes of it; `forwardMs` is the latest of
 * those before. Only readings later than all before count; steps between them that are equal, whole
 * minutes, and not the interval are a run.
 */
export function noteStep(
  meters: MeterTable,
  i: number,
  forwardMs: number,
  timestampMs: number,
): void {
  const stepMs = timestampMs - forwardMs;
  if (!(stepMs > 0)) return;
  const intervalMs = meters.intervalMs[i];
  const isPlain = stepMs === intervalMs || intervalMs === 0;
  if (isPlain && meters.hasAside[i] === 0) return;
  const run = meters.runs.get(i);
  if (run?.isTold) return;
  const isContrary = !isPlain && stepMs % MINUTE_MS === 0 && stepMs <= INTERVAL_MS_MAX;
  if (!isContrary) return void meters.runs.delete(i);
  if (run?.stepMs !== stepMs) {
    return meters.keep(meters.runs, i, { fromMs: forwardMs, stepMs, steps: 1, isTold: false });
  }
  if (run.steps < RUN_STEPS) run.steps++;
  else run.fromMs += stepMs;
}

/** The same of a reading that is not taken, whose time is kept where it is the latest. */
export function noteUntaken(meters: MeterTable, i: number, timestampMs: number): void {
  const forwardMs = meters.forwardMs(i);
  if (!(timestampMs > forwardMs)) return;
  noteStep(meters, i, forwardMs, timestampMs);
  meters.setClocks(i, { maxMs: meters.maxMs(i), forwardMs: timestampMs });
}

/** The step of the run that the reading at this time has completed; 0: it has completed none. */
export function contraryStepMs(meters: MeterTable, i: number, timestampMs: number): number {
  if (meters.hasAside[i] === 0) return 0;
  const run = meters.runs.get(i);
  if (run === undefined || run.isTold || run.steps < RUN_STEPS) return 0;
  return run.fromMs + run.steps * run.stepMs === timestampMs ? run.stepMs : 0;
}

/**
 * The time of the reading before the first step of the run that goes on; Infinity: none does, or
 * the interval is fixed.
 */
export function runFromMs({ meters, options }: Step, i: number): number {
  const run = meters.hasAside[i] === 0 ? undefined : meters.runs.get(i);
  const isFixed = run !== undefined && fixedIntervalMs(options, meters.idOf(i)) !== 0;
  return run === undefined || isFixed ? Infinity : run.fromMs;
}

/** The interval that nothing changes; 0: it is learned, or said by readings. */
export function fixedIntervalMs(options: ProcessorOptions, meterId: string): number {
  const intervalMs = options.intervalMsByMeter.get(meterId) ?? options.expectedIntervalMs;
  return intervalMs === "auto" ? 0 : intervalMs;
}
