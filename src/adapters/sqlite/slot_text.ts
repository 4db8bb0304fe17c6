import { NUMBER_BYTES_MAX, writeDecimal } from "../../core/wire/decimal.ts";

const COMMA = 0x2c;
const OPENING = 0x5b;
const CLOSING = 0x5d;
/** Brackets, commas, nulls, and six numbers. */
const SLOT_BYTES_MAX = 6 * NUMBER_BYTES_MAX + 32;

/** Readings of one meter's day as the JSON array that `reading_days.slots` is, into one buffer. */
export class SlotText {
  #bytes = new Uint8Array(1 << 14);
  #length = 0;

  /** Begins an array. */
  begin(): void {
    this.#bytes[0] = OPENING;
    this.#length = 1;
  }

  add(
    { seconds, kwh, offset, delaySeconds, revisesKwh, receivedSeconds, quality }: {
      readonly seconds: number;
      readonly kwh: number;
      readonly offset: number;
      readonly delaySeconds: number | null;
      /** Where it is not null, there are flags. */
      readonly revisesKwh: number | null;
      readonly receivedSeconds: number | null;
      /** Empty: none. */
      readonly quality: string;
    },
    flags: readonly string[],
  ): void {
    const last = quality === "" ? "" : JSON.stringify(quality);
    const hasMore = receivedSeconds !== null || last !== "";
    const more = flags.length === 0 && !hasMore ? "" : JSON.stringify(flags);
    this.#reserve(SLOT_BYTES_MAX + (more.length + last.length) * 3);
    const bytes = this.#bytes;
    let at = this.#length;
    if (at > 1) bytes[at++] = COMMA;
    bytes[at++] = OPENING;
    at = writeDecimal(seconds, bytes, at);
    bytes[at++] = COMMA;
    at = writeDecimal(kwh, bytes, at);
    bytes[at++] = COMMA;
    at = writeDecimal(offset, bytes, at);
    if (delaySeconds !== null) {
      bytes[at++] = COMMA;
      at = writeDecimal(delaySeconds, bytes, at);
    } else if (more !== "") at += encoder.encodeInto(",null", bytes.subarray(at)).written;
    if (more !== "") {
      bytes[at++] = COMMA;
      at += encoder.encodeInto(more, bytes.subarray(at)).written;
    }
    if (revisesKwh !== null) {
      bytes[at++] = COMMA;
      at = writeDecimal(revisesKwh, bytes, at);
    } else if (hasMore) at += encoder.encodeInto(",null", bytes.subarray(at)).written;
    if (receivedSeconds !== null) {
      bytes[at++] = COMMA;
      at = writeDecimal(receivedSeconds, bytes, at);
    } else if (last !== "") at += encoder.encodeInto(",null", bytes.subarray(at)).written;
    if (last !== "") {
      bytes[at++] = COMMA;
      at += encoder.encodeInto(last, bytes.subarray(at)).written;
    }
    bytes[at++] = CLOSING;
    this.#length = at;
  }

  /** Ends the array; its bytes are good until the next one is begun. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#bytes[this.#length++] = CLOSING;
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(this.#bytes.length * 2 + bytes);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

const encoder = new TextEncoder();
