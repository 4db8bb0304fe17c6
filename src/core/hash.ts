/** Where FNV-1a of 32 bits (Fowler, Noll and Vo) begins. */
export const HASH_SEED = 0x811c9dc5 | 0;
/** Its prime: each unit makes `hash = Math.imul(hash ^ unit, HASH_PRIME)`. */
export const HASH_PRIME = 0x01000193;

/** FNV-1a over UTF-16 units, which for ASCII are the bytes; not mixed yet. */
export function hashText(text: string): number {
  let hash = HASH_SEED;
  for (let p = 0; p < text.length; p++) hash = Math.imul(hash ^ text.charCodeAt(p), HASH_PRIME);
  return hash;
}

/** Brings the high bits of a hash into the low ones, by which buckets are chosen. */
export function mixHash(hash: number): number {
  return hash ^ (hash >>> 15);
}

/** Whether a text is ASCII and these its bytes. */
export function sameText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let p = 0; p < text.length; p++) {
    const code = text.charCodeAt(p);
    if (code !== bytes[start + p] || code > 0x7f) return false;
  }
  return true;
}
