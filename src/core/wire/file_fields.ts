import { asciiBytes, writeBytes } from "../text.ts";

/* The fields that whoever plays a file adds to its records: what only the whole file shows. */

/** What `interval_minutes` says of calendar months: 30 days, which no other interval has. */
export const MONTH_MINUTES = 43_200;

/** As a row of no use begins to say where it stands. */
export const SOURCE_FIELD = asciiBytes('"source":');
/** The same of its cells, as they stand. */
export const CELLS_FIELD = asciiBytes('"cells":');

const INTERVAL = asciiBytes(',"interval_minutes":');
const SKIPPED = asciiBytes(',"skipped_intervals":');
/** The most bytes that `writeSayings` writes. */
export const SAYINGS_BYTES_MAX = INTERVAL.length + SKIPPED.length + 40;

/**
 * Writes what a reading says of its series as the next fields of a record that is still open: its
 * interval from there on in minutes, and the slots before it that its source's clock never had; 0:
 * nothing. Returns where they end.
 */
export function writeSayings(
  minutes: number,
  skippedIntervals: number,
  bytes: Uint8Array,
  at: number,
): number {
  if (minutes !== 0) at = writeField(INTERVAL, minutes, bytes, at);
  return skippedIntervals === 0 ? at : writeField(SKIPPED, skippedIntervals, bytes, at);
}

function writeField(name: Uint8Array, number: number, bytes: Uint8Array, at: number): number {
  return writeBytes(asciiBytes(String(number)), bytes, writeBytes(name, bytes, at));
}
