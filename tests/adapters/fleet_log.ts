/** The log of a small fleet, the same in every process that imports this. */
import type { ProcessorOptions } from "../../src/core/options.ts";
import { createRandom } from "../../src/generate/random.ts";
import { fleetStream } from "../simulation/fleet_stream.ts";
import { coreOptions } from "../simulation/fold.ts";
import { toLogs } from "../simulation/playback.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";

export const PARTITIONS = 2;
export const RECORDS_MAX = 4000;

export const OPTIONS: readonly ProcessorOptions[] = Array.from(
  { length: PARTITIONS },
  (_, partition) => coreOptions(PLAIN_SETTINGS, partition),
);

const encoder = new TextEncoder();
const logs = toLogs(
  fleetStream(createRandom(5), {
    settings: PLAIN_SETTINGS,
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
