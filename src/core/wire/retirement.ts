import { formatTimestamp } from "../time.ts";

/** A retirement as a raw record, which belongs into the partition of its meter: the meter has left. */
export function encodeRetirement(meterId: string, timestampMs: number): Uint8Array<ArrayBuffer> {
  const timestamp = formatTimestamp(timestampMs);
  return new TextEncoder().encode(JSON.stringify({ type: "retire", timestamp, meter_id: meterId }));
}
