import type { Config } from "./settings.ts";
import type { ProcessorOptions } from "./core/options.ts";
import { buildZone } from "./core/time.ts";

/** What the core of one partition is told. */
export function processorOptions(
  config: Config,
  partition: number,
  nowMs: number | null,
): ProcessorOptions {
  const minutes = config.expected_interval_minutes;
  const tolerance = config.time_tolerance_seconds;
  return {
    partition,
    watermarkScope: config.watermark_scope,
    outOfOrdernessMs: config.out_of_orderness_seconds * 1000,
    allowedLatenessMs: config.allowed_lateness_seconds * 1000,
    gapGraceMs: config.grace_period_seconds * 1000,
    timeToleranceMs: tolerance === "auto" ? null : tolerance * 1000,
    stateTtlMs: config.state_ttl_days * 86_400_000,
    expectedIntervalMs: minutes === "auto" ? "auto" : minutes * 60_000,
    intervalMsByMeter: config.meters,
    learningReadings: config.learning_readings,
    zone: buildZone(config.timezone),
    maxKwh: config["validation.max_kwh"],
    maxFutureMs: config["validation.max_future_seconds"] * 1000,
    negative: config["validation.negative"],
    nowMs,
    rejectedRawBytesMax: config["validation.raw_bytes_max"],
  };
}
