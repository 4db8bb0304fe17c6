import { CodecError } from "../core/bytes.ts";
import { HASH_PRIME, HASH_SEED } from "../core/hash.ts";

/*
 * A judge's state in bytes, little endian, the same on every runtime:
 *
 *     "GWJ", version u8, checksum u32, then parts: length u32 and bytes
 *
 * The checksum is FNV-1a over all that follows it. The parts are the core's own (core/codec.ts), with
 * what they were judged by, and what was said and not yet taken, both as JSON.
 */

const MAGIC = [0x47, 0x57, 0x4a];
const VERSION = 1;
const CHECKED_FROM = 8;

/** Packs the parts of a state. */
export function packParts(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + 4 + part.length, CHECKED_FROM);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  bytes[MAGIC.length] = VERSION;
  let at = CHECKED_FROM;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  view.setInt32(4, checksumOf(bytes), true);
  return bytes;
}

/**
 * The parts of a state.
 *
 * @throws {CodecError} when the bytes are no state, of a newer version, or damaged
 */
export function unpackParts(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length < CHECKED_FROM || MAGIC.some((byte, p) => bytes[p] !== byte)) {
    throw new CodecError("the bytes are not the state of a judge");
  }
  const version = bytes[MAGIC.length];
  if (version !== VERSION) {
    throw new CodecError(`the state of version ${version} cannot be read by version ${VERSION}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getInt32(4, true) !== checksumOf(bytes)) throw new CodecError("the state is damaged");
  const parts: Uint8Array[] = [];
  for (let at = CHECKED_FROM; at < bytes.length;) {
    const start = at + 4;
    at = start + view.getUint32(at, true);
    parts.push(bytes.subarray(start, at));
  }
  return parts;
}

function checksumOf(bytes: Uint8Array): number {
  let hash = HASH_SEED;
  for (let p = CHECKED_FROM; p < bytes.length; p++) hash = Math.imul(hash ^ bytes[p], HASH_PRIME);
  return hash;
}
