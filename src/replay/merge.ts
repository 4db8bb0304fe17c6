import {
  BLOCK_BYTES_MAX,
  BLOCK_RECORDS_MAX,
  blockLength,
  copyRecord,
  newBlock,
  type RecordBlock,
  type RecordSource,
} from "./block.ts";

/** A place in a stream of records: `block`'s record `index`, valid until it is advanced. */
export type RecordCursor = {
  /** Null: the stream has ended. */
  block: RecordBlock | null;
  index: number;
  advance(): void;
  close(): void;
};

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
 * Walks sources, each in order, as one in order of (key, file, place among the sources): equal keys
 * of one file stay in the file's order, if its sources are given in that order. It reads at once.
 *
 * @throws {ReadError} when a source cannot be read; all are closed then.
 */
export function mergeCursor(sources: readonly RecordSource[]): RecordCursor {
  const merge: Merge = {
    sources,
    blocks: sources.map(() => null),
    indices: new Int32Array(sources.length),
    keysMs: new Float64Array(sources.length),
    files: new Int32Array(sources.length),
    heap: new Int32Array(sources.length),
    size: 0,
  };
  const cursor: RecordCursor = {
    block: null,
    index: 0,
    advance: () => {
      const { heap } = merge;
      const input = heap[0];
      merge.indices[input]++;
      if (!loadHead(merge, input)) heap[0] = heap[--merge.size];
      siftDown(merge, 0);
      showHead(merge, cursor);
    },
    close: () => sources.forEach((source) => source.close()),
  };
  try {
    buildHeap(merge);
  } catch (error) {
    cursor.close();
    throw error;
  }
  showHead(merge, cursor);
  return cursor;
}

function showHead({ heap, size, blocks, indices }: Merge, cursor: RecordCursor): void {
  cursor.block = size > 0 ? blocks[heap[0]] : null;
  cursor.index = size > 0 ? indices[heap[0]] : 0;
}

/** The same as a source, for what is merged to be spilled. */
export function mergeSources(sources: readonly RecordSource[]): RecordSource {
  if (sources.length === 1) return sources[0];
  let cursor: RecordCursor | null = null;
  const out = newBlock(BLOCK_RECORDS_MAX, BLOCK_BYTES_MAX);
  const next = (): RecordBlock | null => {
    cursor ??= mergeCursor(sources);
    out.count = 0;
    while (cursor.block !== null && out.count < BLOCK_RECORDS_MAX) {
      copyRecord(cursor.block, cursor.index, out);
      cursor.advance();
      if (blockLength(out) >= BLOCK_BYTES_MAX) break;
    }
    return out.count === 0 ? null : out;
  };
  return { next, close: () => sources.forEach((source) => source.close()) };
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
