import type { OracleOptions } from "../specification/oracle.ts";

const MINUTE_MS = 60_000;

/** Half-hourly meters, as simple as can be. */
export const PLAIN_SETTINGS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: 60 * MINUTE_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 20 * 30 * MINUTE_MS,
  forgetAfterMs: 60 * 30 * MINUTE_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  learningReadings: 4,
  intervalMsByMeter: new Map(),
  revisions: "first",
  metersMax: 1000,
  maxKwh: 100,
  maxFutureMs: 24 * 60 * MINUTE_MS,
  minTimestampMs: Date.UTC(2005, 0, 1),
  negative: "reject",
  nowMs: null,
};

/** Meters of several intervals, some learned, out of order by a few minutes, negative values let in. */
export const MIXED_SETTINGS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 10 * MINUTE_MS,
  allowedLatenessMs: 60 * MINUTE_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 8 * 30 * MINUTE_MS,
  forgetAfterMs: 60 * 30 * MINUTE_MS,
  expectedIntervalMs: "auto",
  learningReadings: 4,
  intervalMsByMeter: new Map([["M2", 30 * MINUTE_MS], ["Ä ☼", 10 * MINUTE_MS]]),
  revisions: "first",
  metersMax: 1000,
  maxKwh: 100,
  maxFutureMs: 24 * 60 * MINUTE_MS,
  minTimestampMs: Date.UTC(2005, 0, 1),
  negative: "flag",
  nowMs: null,
};
