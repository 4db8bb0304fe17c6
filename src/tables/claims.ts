/** Which raw records have a row, one bit each. */
export class Claims {
  /** Rows whose raw record has another row already. */
  shared = 0;
  #bits = new Uint8Array(1 << 16);

  take(offset: number): void {
    const at = Math.floor(offset / 8);
    if (!(at >= 0 && at < BYTES_MAX)) return; // no offset of ours: its digest tells
    if (at >= this.#bits.length) {
      const larger = new Uint8Array(Math.max(this.#bits.length * 2, at + 1));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    const bit = 1 << (offset % 8);
    if ((this.#bits[at] & bit) !== 0) this.shared++;
    this.#bits[at] |= bit;
  }
}

const BYTES_MAX = 2 ** 30;
