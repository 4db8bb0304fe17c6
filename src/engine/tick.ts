import { formatTimestamp } from "../core/time.ts";

const encoder = new TextEncoder();
const FINAL_END = encoder.encode(`,"final":true}`);

/** A tick as a raw record; `isFinal`: the last of a replay. */
export function encodeTick(timestampMs: number, isFinal = false): Uint8Array<ArrayBuffer> {
  const end = isFinal ? `,"final":true}` : "}";
  return encoder.encode(`{"type":"tick","timestamp":"${formatTimestamp(timestampMs)}"${end}`);
}

/** Whether the tick that ends at `end` is written as the last of a replay. */
export function isFinalTick(bytes: Uint8Array, end: number): boolean {
  const start = end - FINAL_END.length;
  return start >= 0 && FINAL_END.every((byte, p) => bytes[start + p] === byte);
}
