import type { ReplayOptions } from "./records.ts";

/**
 * Holds the options to their ranges.
 *
 * @throws {RangeError} naming the first that is out of its range.
 */
export function checkReplayOptions(options: ReplayOptions): void {
  for (const key of ["gapProbability", "delayProbability", "duplicateProbability"] as const) {
    const value = options[key];
    if (!(value >= 0 && value <= 1)) refuse(key, value, "a number from 0 to 1");
  }
  if (options.delayProbability > 0 && !(options.maxDelayMs >= 1000)) {
    refuse("maxDelayMs", options.maxDelayMs, "1000 or more when records are delayed");
  }
  for (const key of ["tickMs", "sortBytesMax"] as const) {
    if (!(options[key] > 0)) refuse(key, options[key], "a number > 0");
  }
  for (const key of ["stateTtlMs", "judgedAfterMs"] as const) {
    if (!(options[key] >= 0)) refuse(key, options[key], "a number >= 0");
  }
  const { partitions, fanInMax = 2 } = options;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > 32767) {
    refuse("partitions", partitions, "a whole number from 1 to 32767");
  }
  if (!Number.isInteger(fanInMax) || fanInMax < 2) {
    refuse("fanInMax", fanInMax, "a whole number >= 2");
  }
}

function refuse(key: string, value: number, range: string): never {
  throw new RangeError(`Cannot replay with ${key}="${value}": must be ${range}`);
}
