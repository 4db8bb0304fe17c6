/** Readings of one meter's day as the JSON array that `reading_days.slots` is, into one buffer. */
export class SlotText {
  #bytes = new Uint8Array(1 << 14);
  #length = 0;

  /** Begins an array. */
  begin(): void {
    this.#bytes[0] = 0x5b; // [
    this.#length = 1;
  }

  add(
    slot: {
      readonly seconds: number;
      readonly kwh: number;
      readonly offset: number;
      readonly delaySeconds: number | null;
    },
    flags: readonly string[],
  ): void {
    this.#reserve(128);
    if (this.#length > 1) this.#bytes[this.#length++] = 0x2c;
    this.#bytes[this.#length++] = 0x5b;
    this.#number(slot.seconds);
    this.#bytes[this.#length++] = 0x2c;
    this.#number(slot.kwh);
    this.#bytes[this.#length++] = 0x2c;
    this.#number(slot.offset);
    if (slot.delaySeconds !== null || flags.length > 0) this.#text(`,${slot.delaySeconds}`);
    if (flags.length > 0) this.#text(`,${JSON.stringify(flags)}`);
    this.#bytes[this.#length++] = 0x5d; // ]
  }

  /** Ends the array; its bytes are good until the next one is begun. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#bytes[this.#length++] = 0x5d;
    return this.#bytes.subarray(0, this.#length);
  }

  /** A number with up to three decimals is written from integers; it reads back as the same double. */
  #number(value: number): void {
    if (value >= 0 && value < SMALL_MAX) {
      const whole = value | 0;
      if (whole === value) return this.#digits(whole);
      const thousandths = Math.round(value * 1000);
      if (thousandths / 1000 === value) {
        const before = (thousandths / 1000) | 0;
        this.#digits(before);
        this.#bytes[this.#length++] = 0x2e;
        let rest = thousandths - before * 1000;
        for (let unit = 100; rest > 0; unit = (unit / 10) | 0) {
          const digit = (rest / unit) | 0;
          this.#bytes[this.#length++] = 0x30 + digit;
          rest -= digit * unit;
        }
        return;
      }
    }
    this.#text(String(value));
  }

  #digits(value: number): void {
    let size = 1;
    for (let bound = 10; value >= bound; bound *= 10) size++;
    let rest = value;
    for (let at = this.#length + size - 1; at >= this.#length; at--) {
      const tens = (rest / 10) | 0;
      this.#bytes[at] = 0x30 + rest - tens * 10;
      rest = tens;
    }
    this.#length += size;
  }

  #text(text: string): void {
    this.#reserve(text.length * 3 + 64);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.#length));
    this.#length += written;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(this.#bytes.length * 2 + bytes);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

const encoder = new TextEncoder();
/** Below this, whole numbers are of 31 bits. */
const SMALL_MAX = 2 ** 30;
