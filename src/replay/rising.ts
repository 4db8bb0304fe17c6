import { grown } from "../core/timers.ts";

/** Values that changed between readings, and a time that they span: fewer tell nothing. */
const MOVES_MIN = 20;
const SPAN_MS_MIN = 86_400_000;
/** A register falls when it is reset or replaced; what an interval took falls as often as it rises. */
const FALLS_SHARE_MAX = 0.1;

/**
 * How the values of each series move, from each row to its next: up with time or down with time,
 * whichever way the rows of a file run.
 */
export type Rising = {
  lastMs: Float64Array;
  lastKwh: Float64Array;
  earliestMs: Float64Array;
  latestMs: Float64Array;
  rises: Int32Array;
  falls: Int32Array;
};

/** Nothing came yet. */
export function newRising(capacity = 256): Rising {
  return {
    lastMs: new Float64Array(capacity).fill(NaN),
    lastKwh: new Float64Array(capacity),
    earliestMs: new Float64Array(capacity).fill(Infinity),
    latestMs: new Float64Array(capacity).fill(-Infinity),
    rises: new Int32Array(capacity),
    falls: new Int32Array(capacity),
  };
}

/** Notes a usable reading of a series. */
export function noteMove(rising: Rising, series: number, ms: number, kwh: number): void {
  if (series >= rising.lastMs.length) grow(rising, series);
  const stepMs = ms - rising.lastMs[series];
  const moved = stepMs > 0 ? kwh - rising.lastKwh[series] : rising.lastKwh[series] - kwh;
  if (stepMs !== 0 && stepMs === stepMs) {
    if (moved > 0) rising.rises[series]++;
    else if (moved < 0) rising.falls[series]++;
  }
  rising.lastMs[series] = ms;
  rising.lastKwh[series] = kwh;
  if (ms < rising.earliestMs[series]) rising.earliestMs[series] = ms;
  if (ms > rising.latestMs[series]) rising.latestMs[series] = ms;
}

function grow(rising: Rising, series: number): void {
  const known = rising.lastMs.length;
  const capacity = Math.max(series + 1, known * 2);
  rising.lastMs = grown(rising.lastMs, capacity).fill(NaN, known);
  rising.lastKwh = grown(rising.lastKwh, capacity);
  rising.earliestMs = grown(rising.earliestMs, capacity).fill(Infinity, known);
  rising.latestMs = grown(rising.latestMs, capacity).fill(-Infinity, known);
  rising.rises = grown(rising.rises, capacity);
  rising.falls = grown(rising.falls, capacity);
}

/** The series whose values nearly always rise: a register's, not what each interval took. */
export function findRegisters({ rises, falls, earliestMs, latestMs }: Rising): number[] {
  const registers: number[] = [];
  for (let series = 0; series < rises.length; series++) {
    const moves = rises[series] + falls[series];
    const isLong = moves >= MOVES_MIN && latestMs[series] - earliestMs[series] >= SPAN_MS_MIN;
    if (isLong && falls[series] <= moves * FALLS_SHARE_MAX) registers.push(series);
  }
  return registers;
}
