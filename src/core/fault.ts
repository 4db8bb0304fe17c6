import { type Arrival, isUnbelievable } from "./arrival.ts";
import type { ProcessorOptions } from "./options.ts";
import type { RejectReason } from "./outputs.ts";
import type { ParsedRecord } from "./wire/raw_record.ts";
import { isNegative } from "./rules/negative.ts";
import { formatTimestamp } from "./time.ts";

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
  if (findTooOld(parsed, options) !== null) return "TOO_OLD";
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

/** What is wrong with the time of a control record; `what` it is, for the detail. */
export function findControlFault(
  what: string,
  parsed: ParsedRecord,
  { arrivedMs }: Readonly<Arrival>,
  options: ProcessorOptions,
): RejectReason | null {
  if (findTooOld(parsed, options) !== null) return "TOO_OLD";
  const aheadMs = parsed.timestampMs - arrivedMs;
  if (!(aheadMs > options.maxFutureMs)) return null;
  parsed.detail = `${what} ${aheadMs / 1000} s ahead of its arrival`;
  return "FUTURE";
}

/** A time from before there were such meters: a clock that was reset. */
function findTooOld(parsed: ParsedRecord, { minTimestampMs }: ProcessorOptions): "TOO_OLD" | null {
  if (!(parsed.timestampMs < minTimestampMs)) return null;
  parsed.detail = `timestamp is before ${formatTimestamp(minTimestampMs)}`;
  return "TOO_OLD";
}
