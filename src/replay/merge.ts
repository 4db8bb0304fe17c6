import {
  BLOCK_BYTES_MAX,
  BLOCK_RECORDS_MAX,
  blockLength,
  copyRecord,
  newBlock,
  type RecordBlock,
  type RecordSource,
} from "./block.ts";

/** What the merge knows of its inputs: one head record each, and a heap of the inputs by it. */
type Merge = {
  readonly sources: readonly RecordSource[];
  readonly blocks: (RecordBlock | null)[];
  readonly indices: Int32Array;
  readonly keysMs: Float64Array;
  readonly files: Int32Array;
  readonly heap: Int32Array;
  size: number;
};

/**
 * Merges sources, each in order, into one in order of (key, file, place among the sources): equal
 * keys of one file stay in the file's order, if its sources are given in that order.
 */
export function mergeSources(sources: readonly RecordSource[]): RecordSource {
  if (sources.length === 1) return sources[0];
  const merge: Merge = {
    sources,
    blocks: sources.map(() => null),
    indices: new Int32Array(sources.length),
    keysMs: new Float64Array(sources.length),
    files: new Int32Array(sources.length),
    heap: new Int32Array(sources.length),
    size: -1,
  };
  const out = newBlock(BLOCK_RECORDS_MAX, BLOCK_BYTES_MAX);
  return {
    next: () => nextMerged(merge, out),
    close: () => sources.forEach((source) => source.close()),
  };
}

function nextMerged(merge: Merge, out: RecordBlock): RecordBlock | null {
  if (merge.size < 0) buildHeap(merge);
  const { heap, blocks, indices } = merge;
  out.count = 0;
  while (merge.size > 0 && out.count < BLOCK_RECORDS_MAX) {
    const input = heap[0];
    copyRecord(blocks[input]!, indices[input], out);
    indices[input]++;
    if (!loadHead(merge, input)) heap[0] = heap[--merge.size];
    siftDown(merge, 0);
    if (blockLength(out) >= BLOCK_BYTES_MAX) break;
  }
  return out.count === 0 ? null : out;
}

function buildHeap(merge: Merge): void {
  merge.size = 0;
  for (let input = 0; input < merge.sources.length; input++) {
    merge.blocks[input] = merge.sources[input].next();
    if (loadHead(merge, input)) merge.heap[merge.size++] = input;
  }
  for (let at = (merge.size >> 1) - 1; at >= 0; at--) siftDown(merge, at);
}

/** Takes up the input's next record; false when it has none left. */
function loadHead(merge: Merge, input: number): boolean {
  let block = merge.blocks[input];
  while (block !== null && merge.indices[input] >= block.count) {
    block = merge.sources[input].next();
    merge.blocks[input] = block;
    merge.indices[input] = 0;
  }
  if (block === null) return false;
  merge.keysMs[input] = block.keysMs[merge.indices[input]];
  merge.files[input] = block.files[merge.indices[input]];
  return true;
}

function siftDown(merge: Merge, at: number): void {
  const { heap, size } = merge;
  const input = heap[at];
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && isBefore(merge, heap[child + 1], heap[child])) child++;
    if (!isBefore(merge, heap[child], input)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = input;
}

function isBefore(merge: Merge, a: number, b: number): boolean {
  const { keysMs, files } = merge;
  if (keysMs[a] !== keysMs[b]) return keysMs[a] < keysMs[b];
  return files[a] !== files[b] ? files[a] < files[b] : a < b;
}
