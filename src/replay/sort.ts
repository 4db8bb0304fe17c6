import {
  BLOCK_BYTES_MAX,
  BLOCK_RECORDS_MAX,
  blockLength,
  copyRecord,
  newBlock,
  type RecordBlock,
  type RecordSource,
  startOf,
} from "./block.ts";

/**
 * The indices of `keys[0..count)` in ascending order of key, equal keys in their own order: a merge
 * sort that starts from the stretches already in order, as a file sorted by meter is made of.
 */
export function sortedOrder(keys: Float64Array, count: number): Int32Array {
  let order = new Int32Array(count);
  let stretches: number[] = [];
  for (let i = 0; i < count; i++) {
    order[i] = i;
    if (i === 0 || keys[i] < keys[i - 1]) stretches.push(i);
  }
  let spare = stretches.length > 1 ? new Int32Array(count) : order;
  while (stretches.length > 1) {
    const merged: number[] = [];
    for (let s = 0; s < stretches.length; s += 2) {
      const middle = s + 1 < stretches.length ? stretches[s + 1] : count;
      const end = s + 2 < stretches.length ? stretches[s + 2] : count;
      mergeStretches(keys, order, spare, stretches[s], middle, end);
      merged.push(stretches[s]);
    }
    stretches = merged;
    [order, spare] = [spare, order];
  }
  return order;
}

/** Merges `from[start..middle)` and `from[middle..end)` into `to[start..end)`. */
function mergeStretches(
  keys: Float64Array,
  from: Int32Array,
  to: Int32Array,
  start: number,
  middle: number,
  end: number,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft = right >= end || (left < middle && keys[from[left]] <= keys[from[right]]);
    to[at] = takesLeft ? from[left++] : from[right++];
  }
}

/** The records of `block` in order of their keys; equal ones in the order they were put in. */
export function sortedSource(block: RecordBlock): RecordSource {
  const order = sortedOrder(block.keysMs, block.count);
  const out = newBlock(BLOCK_RECORDS_MAX, BLOCK_BYTES_MAX);
  let at = 0;
  const next = (): RecordBlock | null => {
    out.count = 0;
    while (at < order.length && out.count < BLOCK_RECORDS_MAX) {
      const i = order[at];
      const length = block.ends[i] - startOf(block, i);
      if (out.count > 0 && blockLength(out) + length > BLOCK_BYTES_MAX) break;
      copyRecord(block, i, out);
      at++;
    }
    return out.count === 0 ? null : out;
  };
  return { next, close: () => {} };
}
