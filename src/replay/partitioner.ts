/**
 * Kafka's default partitioner for records with a key, so that a meter lands on the same partition
 * whoever produces it (Apache Kafka, `Utils.murmur2` and `BuiltInPartitioner.partitionForKey`).
 */

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** The 32-bit signed murmur2 hash of `bytes[start..end)`. */
export function murmur2(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const length = end - start;
  let h = SEED ^ length;
  const blocksEnd = start + (length & ~3);
  for (let at = start; at < blocksEnd; at += 4) {
    let k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    k = Math.imul(k, M);
    k ^= k >>> R;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length & 3;
  if (rest === 3) h ^= bytes[blocksEnd + 2] << 16;
  if (rest >= 2) h ^= bytes[blocksEnd + 1] << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[blocksEnd], M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}

/** The partition, below `partitionCount`, of the key `bytes[start..end)`. */
export function partitionOf(
  bytes: Uint8Array,
  partitionCount: number,
  start = 0,
  end = bytes.length,
): number {
  return (murmur2(bytes, start, end) & 0x7fffffff) % partitionCount;
}
