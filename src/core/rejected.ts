import type { RejectedReading, RejectReason } from "./outputs.ts";
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
