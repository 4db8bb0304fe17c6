import type { Rule } from "./rules/rule.ts";
import type { SlotRule } from "./rules/slot_rule.ts";
import type { Zone } from "./zone.ts";

/**
 * What one partition's processor is told. All durations in milliseconds, all energies in kWh.
 * Defaults live in `settings.ts` alone; every field here is required.
 */
export type ProcessorOptions = {
  /** The partition whose log is folded; copied into rejected readings. */
  readonly partition: number;
  /** Whose clock judges lateness: the partition's, or each meter's own. */
  readonly watermarkScope: "partition" | "meter";
  /** The watermark stands this far behind the latest event time. */
  readonly outOfOrdernessMs: number;
  /** A reading further behind the watermark than this is too late. */
  readonly allowedLatenessMs: number;
  /** A slot is missing once the watermark has passed it by this much. */
  readonly gapGraceMs: number;
  /** Further off its slot than this a reading is flagged; null: a tenth of the interval. */
  readonly timeToleranceMs: number | null;
  /** A meter without a reading for this long is silent: its open gap is EXPIRED. */
  readonly stateTtlMs: number;
  /** A meter without a reading for this long is forgotten; its next reading begins a history. */
  readonly forgetAfterMs: number;
  /** The step between two readings of a meter, or "auto" to learn it from its first readings. */
  readonly expectedIntervalMs: number | "auto";
  /** Intervals known per meter; they win over `expectedIntervalMs`. */
  readonly intervalMsByMeter: ReadonlyMap<string, number>;
  /** How many readings an interval is learned from at the latest. */
  readonly learningReadings: number;
  /** The zone of timestamps written without an offset. */
  readonly zone: Zone;
  /** Whether the first or the last of two values for a slot stands. */
  readonly revisions: "first" | "last";
  /** A partition has a state of so many meters at most. */
  readonly metersMax: number;
  /** A reading from before this time is rejected as TOO_OLD, epoch milliseconds. */
  readonly minTimestampMs: number;
  /** A larger value is rejected as TOO_LARGE. */
  readonly maxKwh: number;
  /** A reading further ahead of its arrival than this is rejected as FUTURE. */
  readonly maxFutureMs: number;
  /** What accepted readings are flagged by, in the order of their flags. */
  readonly rules: readonly Rule[];
  /** What follows the slots of each series; their findings are said. */
  readonly slotRules: readonly SlotRule[];
  /** More power than this cannot have been, kW; Infinity: any may. */
  readonly maxKw: number;
  /** Whether a negative value is rejected, or accepted with the flag NEGATIVE. */
  readonly negative: "reject" | "flag";
  /** The clock for records that carry no time of arrival at all; null: they are not checked. */
  readonly nowMs: number | null;
  /** Of a rejected record at most this many bytes are kept. */
  readonly rejectedRawBytesMax: number;
};
