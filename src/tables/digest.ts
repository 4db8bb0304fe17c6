/** What a row may hold, as a driver gives it. */
export type HashedValue = string | number | Uint8Array | null;

/** A sum of row hashes, and how many rows they are of. Two lanes of 32 bits, each modulo 2^32. */
export type Digest = { rows: number; low: number; high: number };

/** The digest of no rows. */
export function emptyDigest(): Digest {
  return { rows: 0, low: 0, high: 0 };
}

/** Whether two digests are of the same rows, whatever their order. */
export function sameDigest(a: Readonly<Digest>, b: Readonly<Digest>): boolean {
  return a.rows === b.rows && a.low === b.low && a.high === b.high;
}

/**
 * The hash of one row, over its values in their order: two lanes, each MurmurHash3's mixing of 32
 * bits (Appleby, public domain) with constants of its own. What a store gives back must hash as what
 * it was given, so a value counts as what it is and not as how it is stored:
 *
 * - a number as the bits of its double, and -0 as 0
 * - a text by its UTF-16 units, lone surrogates as U+FFFD
 * - bytes as they are; null as itself
 *
 * One object hashes row after row: nothing is allocated for a row.
 */
export class RowHash {
  #low = 0;
  #high = 0;
  #words = 0;

  /** Begins a row. */
  begin(): this {
    this.#low = 0x9747b28c | 0;
    this.#high = 0x3c6ef372 | 0;
    this.#words = 0;
    return this;
  }

  null(): this {
    this.#mix(NULL_TAG);
    return this;
  }

  number(value: number): this {
    NUMBER[0] = value + 0;
    this.#mix(NUMBER_TAG);
    this.#mix(NUMBER_WORDS[0]);
    this.#mix(NUMBER_WORDS[1]);
    return this;
  }

  text(text: string): this {
    const { low, high } = hashOfText(text);
    return this.hashedText(low, high);
  }

  /** A text by its two lanes from `hashOfText`: for one that comes in many rows. */
  hashedText(low: number, high: number): this {
    this.#mix(TEXT_TAG);
    this.#mix(low);
    this.#mix(high);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#mix(BYTES_TAG);
    this.#mix(bytes.length);
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      this.#mix(
        bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24),
      );
    }
    let rest = 0;
    for (; at < bytes.length; at++) rest = (rest << 8) | bytes[at];
    this.#mix(rest);
    return this;
  }

  values(values: readonly HashedValue[]): this {
    for (const value of values) {
      if (value === null) this.null();
      else if (typeof value === "number") this.number(value);
      else if (typeof value === "string") this.text(value);
      else this.bytes(value);
    }
    return this;
  }

  /** Ends the row and adds it to a digest; `count` -1 takes a row out that was in it. */
  addTo(digest: Digest, count: 1 | -1 = 1): void {
    digest.rows += count;
    digest.low = (digest.low + count * final(this.#low ^ this.#words)) >>> 0;
    digest.high = (digest.high + count * final(this.#high ^ this.#words)) >>> 0;
  }

  #mix(word: number): void {
    let k = Math.imul(word, 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    const low = this.#low ^ k;
    this.#low = (Math.imul((low << 13) | (low >>> 19), 5) + 0xe6546b64) | 0;
    let m = Math.imul(word ^ 0x2545f491, 0x85ebca77);
    m = Math.imul((m << 16) | (m >>> 16), 0xc2b2ae3d);
    const high = this.#high ^ m;
    this.#high = (Math.imul((high << 17) | (high >>> 15), 9) + 0x27d4eb2f) | 0;
    this.#words++;
  }
}

/**
 * Adds a row that is bytes, `[start, end)` of a view, to a digest; `count` -1 takes one out that was in
 * it. Two lanes again; a third of the work of `RowHash`, for rows that are millions: each lane is two
 * chains, of every other word, which a processor computes side by side.
 */
export function addRowBytes(
  digest: Digest,
  view: DataView,
  start: number,
  end: number,
  count: 1 | -1,
): void {
  let low = 0x9747b28c | 0;
  let lowOdd = 0x165667b1 | 0;
  let high = 0x3c6ef372 | 0;
  let highOdd = 0x27d4eb2f | 0;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const word = view.getInt32(at, true);
    const odd = view.getInt32(at + 4, true);
    low = Math.imul(low ^ word, 0xcc9e2d51);
    low ^= low >>> 15;
    lowOdd = Math.imul(lowOdd ^ odd, 0x85ebca77);
    lowOdd ^= lowOdd >>> 16;
    high = Math.imul((high ^ word) + (high >>> 13), 0x5bd1e995);
    highOdd = Math.imul((highOdd ^ odd) + (highOdd >>> 14), 0xc2b2ae3d);
  }
  let rest = end - start;
  for (; at < end; at++) rest = Math.imul(rest, 0x01000193) ^ view.getUint8(at);
  low = Math.imul(low ^ rest, 0xcc9e2d51) ^ ((lowOdd << 7) | (lowOdd >>> 25));
  high = Math.imul((high ^ rest) + (high >>> 13), 0x5bd1e995) ^ ((highOdd << 9) | (highOdd >>> 23));
  digest.rows += count;
  digest.low = (digest.low + count * final(low)) >>> 0;
  digest.high = (digest.high + count * final(high)) >>> 0;
}

/** The two lanes of a text, for `RowHash.hashedText`. */
export function hashOfText(text: string): { readonly low: number; readonly high: number } {
  let low = 0x811c9dc5 | 0;
  let high = 0x9e3779b9 | 0;
  const well = text.isWellFormed() ? text : text.toWellFormed();
  for (let at = 0; at < well.length; at++) {
    const unit = well.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul((high ^ unit) + (high >>> 13), 0x5bd1e995);
  }
  return { low: final(low ^ well.length), high: final(high ^ well.length) };
}

/** MurmurHash3's last step: every bit of the hash depends on every bit before. */
function final(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const NULL_TAG = 0x6e756c6c;
const NUMBER_TAG = 0x6e756d62;
const TEXT_TAG = 0x74657874;
const BYTES_TAG = 0x62797465;
const NUMBER = new Float64Array(1);
const NUMBER_WORDS = new Int32Array(NUMBER.buffer);
