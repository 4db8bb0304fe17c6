/** The log of a small fleet, the same in every process that imports this. */
import type { ProcessorOptions } from "../../src/core/options.ts";
import { createRandom } from "../../src/formats/random.ts";
import { fleetStream } from "../simulation/fleet_stream.ts";
import { coreOptions } from "../simulation/fold.ts";
import type { OracleOptions } from "../simulation/oracle.ts";
import { toLogs } from "../simulation/playback.ts";

const MINUTE_MS = 60_000;

export const PARTITIONS = 2;
export const RECORDS_MAX = 4000;

const SETTINGS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: 60 * MINUTE_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 20 * 30 * MINUTE_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  learningReadings: 4,
  intervalMsByMeter: new Map(),
  maxKwh: 100,
  maxFutureMs: 24 * 60 * MINUTE_MS,
  negative: "reject",
  nowMs: null,
};

export const OPTIONS: readonly ProcessorOptions[] = Array.from(
  { length: PARTITIONS },
  (_, partition) => coreOptions(SETTINGS, partition),
);

const encoder = new TextEncoder();
const logs = toLogs(
  fleetStream(createRandom(5), {
    settings: SETTINGS,
    partitionCount: PARTITIONS,
    meterCount: 10,
    recordsMax: RECORDS_MAX,
  }),
  PARTITIONS,
).map((log) => log.map(({ text }) => encoder.encode(text)));

/** The raw records of a partition. */
export function logOf(partition: number): readonly Uint8Array[] {
  return logs[partition];
}
