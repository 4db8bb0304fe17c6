import { readPiece } from "./csv_file.ts";
import { changedFile, type FileStamp, newFileReading, PIECE_BYTES, stampOf } from "./file_stamp.ts";
import type { ReplayFiles } from "./files.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";

/**
 * Reads a file through, for its stamp alone.
 *
 * @throws {ReadError} when it cannot be read
 */
export async function stampFile(
  path: string,
  { files, signal }: { readonly files: ReplayFiles; readonly signal?: AbortSignal },
): Promise<FileStamp> {
  const file = files.open(path);
  try {
    const reading = newFileReading(file);
    const piece = new Uint8Array(PIECE_BYTES);
    while (readPiece(file, reading, piece) !== null) {
      if (reading.sums.length % BLOCKS_PER_TURN === 0) await nextTurn(signal);
    }
    return stampOf(reading);
  } finally {
    file.close();
  }
}

/**
 * Holds the file that now bears the name against what was seen of it: its size, its time, and both
 * its ends. What stands between them was held against it when it was played.
 *
 * @throws {ReadError} when it is another, or gone
 */
export function checkUnchanged(expected: FileStamp, files: ReplayFiles): void {
  const { path, sizeBytes, modifiedMs, sums } = expected;
  const file = files.open(path);
  try {
    const reading = newFileReading(file, expected);
    if (file.sizeBytes !== sizeBytes || file.modifiedMs !== modifiedMs) throw changedFile(path);
    const piece = new Uint8Array(PIECE_BYTES);
    readPiece(file, reading, piece);
    const last = Math.max(0, sums.length - 1);
    file.seek(last * PIECE_BYTES);
    reading.sums.length = last;
    while (readPiece(file, reading, piece) !== null);
  } finally {
    file.close();
  }
}
