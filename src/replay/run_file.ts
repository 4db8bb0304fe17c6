import { ReadError } from "../formats/read_error.ts";
import { blockLength, type RecordBlock, type RecordSource } from "./block.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";
import type { InputFile, ReplayFiles, SpillFile } from "./files.ts";

/**
 * A run: records in order, spilled to a file as the blocks they came in.
 *
 * A block is its count, its bytes' length, and its columns, the wide ones first so that each starts
 * at a multiple of its width. In the machine's own byte order: a run never leaves the machine.
 */
const HEAD_BYTES = 8;
const COLUMN_BYTES = 8 + 8 + 4 + 4 + 4 + 2 + 1;

/**
 * Writes all of a source's records to a new file at `path`, and closes the source.
 *
 * @throws {ReadError} when the file cannot be written, as when the disk is full.
 */
export async function writeRun(
  source: RecordSource,
  path: string,
  { files, signal }: { readonly files: ReplayFiles; readonly signal?: AbortSignal },
): Promise<void> {
  let file: SpillFile | null = null;
  let buffer = new Uint8Array(0);
  let blocks = 0;
  try {
    file = files.createSpill(path);
    for (let block = source.next(); block !== null; block = source.next()) {
      const sizeBytes = HEAD_BYTES + block.count * COLUMN_BYTES + blockLength(block);
      if (sizeBytes > buffer.length) buffer = new Uint8Array(sizeBytes * 2);
      encodeBlock(block, buffer);
      file.write(buffer.subarray(0, sizeBytes));
      if (++blocks % BLOCKS_PER_TURN === 0) await nextTurn(signal);
    }
  } catch (cause) {
    if (!(cause instanceof Error) || cause instanceof ReadError || signal?.aborted) throw cause;
    throw new ReadError(
      `Cannot sort in "${path}": ${cause.message}`,
      "give a temporary directory with room for the unsorted files",
      { cause },
    );
  } finally {
    file?.close();
    source.close();
  }
}

function encodeBlock(block: RecordBlock, buffer: Uint8Array<ArrayBuffer>): void {
  const { count } = block;
  const length = blockLength(block);
  new Uint32Array(buffer.buffer, 0, 2).set([count, length]);
  const columns = viewColumns(buffer.buffer, HEAD_BYTES, count, length);
  columns.keysMs.set(block.keysMs.subarray(0, count));
  columns.eventsMs.set(block.eventsMs.subarray(0, count));
  columns.ends.set(block.ends.subarray(0, count));
  columns.files.set(block.files.subarray(0, count));
  columns.series.set(block.series.subarray(0, count));
  columns.partitions.set(block.partitions.subarray(0, count));
  columns.flags.set(block.flags.subarray(0, count));
  columns.bytes.set(block.bytes.subarray(0, length));
}

function viewColumns(
  buffer: ArrayBuffer,
  start: number,
  count: number,
  length: number,
): RecordBlock {
  const eventsAt = start + count * 8;
  const endsAt = eventsAt + count * 8;
  const filesAt = endsAt + count * 4;
  const seriesAt = filesAt + count * 4;
  const partitionsAt = seriesAt + count * 4;
  const flagsAt = partitionsAt + count * 2;
  return {
    count,
    keysMs: new Float64Array(buffer, start, count),
    eventsMs: new Float64Array(buffer, eventsAt, count),
    ends: new Int32Array(buffer, endsAt, count),
    files: new Int32Array(buffer, filesAt, count),
    series: new Int32Array(buffer, seriesAt, count),
    partitions: new Int16Array(buffer, partitionsAt, count),
    flags: new Uint8Array(buffer, flagsAt, count),
    bytes: new Uint8Array(buffer, flagsAt + count, length),
  };
}

/** The records of a run, opened when the first is wanted. */
export function runSource(path: string, files: ReplayFiles): RecordSource {
  let file: InputFile | null = null;
  let isClosed = false;
  const head = new Uint32Array(2);
  let buffer = new Uint8Array(0);
  const close = () => {
    if (!isClosed) file?.close();
    isClosed = true;
  };
  const next = (): RecordBlock | null => {
    if (isClosed) return null;
    file ??= files.open(path);
    if (!readWhole(file, new Uint8Array(head.buffer))) {
      close();
      return null;
    }
    const [count, length] = head;
    const sizeBytes = count * COLUMN_BYTES + length;
    if (sizeBytes > buffer.length) buffer = new Uint8Array(sizeBytes + (sizeBytes >> 1));
    if (!readWhole(file, buffer.subarray(0, sizeBytes))) throw truncated(path);
    return viewColumns(buffer.buffer, 0, count, length);
  };
  return { next, close };
}

/** Fills `into`; false when the file ends right before it. */
function readWhole(file: InputFile, into: Uint8Array): boolean {
  for (let at = 0; at < into.length;) {
    const count = file.read(into.subarray(at));
    if (count !== null) at += count;
    else if (at === 0) return false;
    else throw truncated(file.path);
  }
  return true;
}

function truncated(path: string): Error {
  return new Error(`Run file "${path}" is truncated`);
}
