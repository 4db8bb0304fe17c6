import type { ProcessorOptions } from "./options.ts";
import type { RejectReason } from "./outputs.ts";
import type { ParsedRecord } from "./wire/raw_record.ts";
import { isNegative } from "./rules/negative.ts";

/** What is known of a record's arrival. */
export type Arrival = {
  /** The clock that the record is judged by, epoch milliseconds; NaN: none. */
  arrivedMs: number;
  /** How far its `received_at` is ahead of the latest clock known; NaN: one of them is not known. */
  aheadMs: number;
};

/** The record claims to have arrived in the future: its `received_at` says nothing of its time. */
export function isUnbelievable(arrival: Readonly<Arrival>, options: ProcessorOptions): boolean {
  return arrival.aheadMs > options.maxFutureMs;
}

/**
 * What is wrong with a reading that could be read; `parsed.detail` then says it. The first that
 * applies in the order of the reasons is the answer.
 */
export function findFault(
  parsed: ParsedRecord,
  arrival: Readonly<Arrival>,
  options: ProcessorOptions,
): RejectReason | null {
  const { timestampMs, consumptionKwh } = parsed;
  if (isNegative(consumptionKwh) && options.negative === "reject") {
    parsed.detail = `consumption_kwh is ${consumptionKwh}`;
    return "NEGATIVE";
  }
  if (consumptionKwh > options.maxKwh) {
    parsed.detail = `consumption_kwh is ${consumptionKwh}, more than ${options.maxKwh}`;
    return "TOO_LARGE";
  }
  if (timestampMs > arrival.arrivedMs + options.maxFutureMs) {
    parsed.detail = `${(timestampMs - arrival.arrivedMs) / 1000} s ahead of its arrival`;
    return "FUTURE";
  }
  if (isUnbelievable(arrival, options)) {
    parsed.detail = `received_at is ${arrival.aheadMs / 1000} s ahead of the clock`;
    return "FUTURE";
  }
  return null;
}

/** The reason tells of a reading whose meter and time are good: its slot had an unusable one. */
export function isOfItsSlot(reason: RejectReason, valueMissing: boolean): boolean {
  if (reason === "MISSING_FIELD") return valueMissing;
  return reason === "BAD_VALUE" || reason === "NEGATIVE" || reason === "TOO_LARGE";
}
