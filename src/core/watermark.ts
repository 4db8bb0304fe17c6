import type { Processor } from "./processor.ts";

type Watermarked = Pick<Processor, "state" | "meters" | "options">;

function partitionMs({ state, options }: Watermarked): number {
  return Math.max(state.readingMaxMs, state.tickMaxMs) - options.outOfOrdernessMs;
}

/**
 * The watermark that judges a meter's silence. By meter, ticks before its history say nothing of
 * it: they may be those of another replay, of newer readings.
 */
export function silenceWatermarkMs(of: Watermarked, i: number): number {
  const { state, meters, options } = of;
  if (options.watermarkScope === "partition") return partitionMs(of);
  const tickMs = meters.serial[i] < state.tickSerial ? state.tickMaxMs : -Infinity;
  return Math.max(meters.maxMs(i), tickMs) - options.outOfOrdernessMs;
}

/** The watermark that judges the lateness of a meter's next reading; i < 0: a new meter's. */
export function latenessWatermarkMs(of: Watermarked, i: number): number {
  const { meters, options } = of;
  if (options.watermarkScope === "partition") return partitionMs(of);
  return i < 0 ? -Infinity : meters.maxMs(i) - options.outOfOrdernessMs;
}

/**
 * Up to where the slots of every meter are judged, whether it reports or not; null: nowhere yet. By
 * meter it is the ticks that judge those that do not.
 */
export function judgedToMs(of: Watermarked): number | null {
  const { state, options } = of;
  const watermarkMs = options.watermarkScope === "partition"
    ? partitionMs(of)
    : state.tickMaxMs - options.outOfOrdernessMs;
  return watermarkMs === -Infinity ? null : watermarkMs - options.gapGraceMs;
}
