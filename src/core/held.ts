import type { MeterTable } from "./meters.ts";
import { HELD_NUMBERS_MAX } from "./rings.ts";

/**
 * What is held of a meter while its interval is learned: time and value of each reading in turn,
 * ascending. A fleet learns all at once, so that the first eight readings stand in a ring, as the
 * values of slots do later; of the few meters that need more they stand aside.
 */
export function heldReadings(meters: MeterTable, i: number): readonly number[] {
  const many = meters.heldMany.get(i);
  if (many !== undefined) return many;
  return Array.from({ length: meters.ordinal[i] + 1 }, (_, n) => meters.valueAt(i, n));
}

/** Holds these readings of a meter, and no others. */
export function holdReadings(meters: MeterTable, i: number, readings: readonly number[]): void {
  if (readings.length > HELD_NUMBERS_MAX) {
    meters.dropRing(i);
    meters.heldMany.set(i, readings);
    return;
  }
  if (!meters.hasRing(i)) meters.takeRing(i);
  meters.ordinal[i] = readings.length - 1;
  for (let n = 0; n < readings.length; n++) meters.setValueAt(i, n, readings[n]);
}

/** Holds nothing of a meter any more: its interval is known. */
export function releaseReadings(meters: MeterTable, i: number): void {
  meters.heldMany.delete(i);
  meters.unusable.delete(i);
  meters.dropRing(i);
}
