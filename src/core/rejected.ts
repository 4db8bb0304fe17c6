import type { RejectedReading, RejectReason } from "./outputs.ts";
import type { Processor } from "./processor.ts";
import { formatTimestamp } from "./time.ts";
import type { ParsedRecord } from "./wire/raw_record.ts";

/** As much of a raw record as is kept of it, and a note where that is not all. */
export type Kept = { readonly raw: Uint8Array; readonly note: string };

type Place = { readonly offset: number; readonly meterId: string | null; readonly kept: Kept };

/** What is said of a record that is no usable reading. */
export function rejectedOf(
  { timestampMs, consumptionKwh, detail, source }: ParsedRecord,
  reason: RejectReason,
  { offset, meterId, kept, atMs }: Place & { readonly atMs: number },
): RejectedReading {
  return {
    offset,
    reason,
    detail: detail + kept.note,
    raw: kept.raw,
    meterId,
    timestampMs: Number.isNaN(timestampMs) ? null : timestampMs,
    consumptionKwh: Number.isNaN(consumptionKwh) ? null : consumptionKwh,
    ...(source === null ? {} : { source }),
    atMs,
  };
}

/**
 * Where in time a rejected record is kept, epoch milliseconds: at its own time where that is near
 * the partition's watermark or its arrival, else at its arrival. "Near" is the longer of the allowed
 * lateness and the time to live. A record whose value is wrong may have a wrong date as well, and
 * the tables are kept by time: so meters that date 12,000 records over 50 years make no chunk a day.
 * Where each meter has its own clock, files of any age are played, and all of them are believed.
 */
export function timeOfRejected(
  { options, watermarkMs }: Pick<Processor, "options" | "watermarkMs">,
  timestampMs: number,
  arrivedMs: number,
): number {
  if (options.watermarkScope === "meter") return timestampMs;
  const nearMs = Math.max(options.allowedLatenessMs, options.stateTtlMs);
  const clocksMs = [arrivedMs, watermarkMs ?? NaN].filter((ms) => !Number.isNaN(ms));
  const isNear = clocksMs.some((ms) => Math.abs(timestampMs - ms) <= nearMs);
  return isNear || clocksMs.length === 0 ? timestampMs : clocksMs[0];
}

/** What is said of a usable reading whose slot holds a value. */
export function duplicateOf(
  { timestampMs, consumptionKwh, source }: ParsedRecord,
  { heldKwh, slotMs }: { readonly heldKwh: number; readonly slotMs: number },
  { offset, meterId, kept }: Place,
): RejectedReading {
  return {
    offset,
    reason: heldKwh === consumptionKwh ? "DUPLICATE" : "CONFLICT",
    detail: `its interval ${formatTimestamp(slotMs)} is taken by ${heldKwh}${kept.note}`,
    raw: kept.raw,
    meterId,
    timestampMs,
    consumptionKwh,
    ...(source === null ? {} : { source }),
    slotMs,
    heldKwh,
    atMs: timestampMs,
  };
}
