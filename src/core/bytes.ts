const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes that this build cannot read: a newer version wrote them, or they are damaged. */
export class CodecError extends Error {
  override name = "CodecError";
}

/** Packs numbers and texts, little endian, into bytes that grow. */
export class ByteWriter {
  length = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#view.setUint8(this.length, value);
    this.length += 1;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.length, value, true);
    this.length += 2;
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.length, value, true);
    this.length += 4;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  /** Begins a part that says its length; returns what `closePart` wants to know. */
  openPart(): number {
    this.u32(0);
    return this.length;
  }

  closePart(start: number): void {
    this.#view.setUint32(start - 4, this.length - start, true);
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** A text of at most 65,535 bytes, with its length. */
  text(text: string): void {
    this.#reserve(2 + text.length * 3);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.length + 2));
    this.#view.setUint16(this.length, written, true);
    this.length += 2 + written;
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + bytes));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads what `ByteWriter` packed; throws `CodecError` where the bytes end too soon. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** Enters a part that says its length; returns where it ends. */
  openPart(): number {
    const length = this.u32();
    return this.#at + length;
  }

  /** Leaves a part of which nothing, or not all, is wanted. */
  skipTo(end: number): void {
    if (end > this.#at) this.#take(end - this.#at);
  }

  /** Leaves a part, all of which must have been read; `what` names it. */
  closePart(end: number, what: string): void {
    if (this.#at !== end) throw new CodecError(`${what} has another length than it says`);
  }

  /** Whether a part that ends here has nothing left. */
  isAt(end: number): boolean {
    return this.#at === end;
  }

  text(): string {
    const length = this.#view.getUint16(this.#take(2), true);
    const at = this.#take(length);
    return decoder.decode(this.#bytes.subarray(at, at + length));
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) {
      throw new CodecError(`state ends at byte ${this.#bytes.length}, in the middle of a field`);
    }
    this.#at = at + bytes;
    return at;
  }
}
