import type { Processor } from "../core/processor.ts";
import { formatTimestamp } from "../core/time.ts";

/**
 * What time it is in an idle partition: the time its last record was written, and how long ago that
 * was by a clock that does not jump. Null where the wall clock has no say: while the ticks of a
 * replay are the clock, and where the readings are history (further back than the time to live, so
 * that a tick of today would only expire every meter).
 */
export function idleTickMs(
  { state, options, watermarkMs }: Processor,
  { recordTimeMs, idleMs }: { recordTimeMs: number; idleMs: number },
): number | null {
  const tickMs = Math.floor(recordTimeMs + idleMs);
  if (state.replaying || watermarkMs === null || Number.isNaN(tickMs)) return null;
  if (tickMs <= watermarkMs || tickMs - watermarkMs >= options.stateTtlMs) return null;
  return tickMs;
}

/** A tick as a raw record. */
export function encodeTick(timestampMs: number): Uint8Array<ArrayBuffer> {
  const text = `{"type":"tick","timestamp":"${formatTimestamp(timestampMs)}"}`;
  return new TextEncoder().encode(text);
}
