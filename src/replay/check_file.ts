import { openFile, readPiece } from "./csv_file.ts";
import { changedFile, type FileStamp, newFileReading, PIECE_BYTES, stampOf } from "./file_stamp.ts";
import { BLOCKS_PER_TURN, nextTurn } from "./turn.ts";

/**
 * Reads a file through, for its stamp alone.
 *
 * @throws {ReadError} when it cannot be read
 */
export async function stampFile(path: string, signal?: AbortSignal): Promise<FileStamp> {
  const file = openFile(path);
  try {
    const reading = newFileReading(path, { modified: file.statSync().mtime });
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
export function checkUnchanged(expected: FileStamp): void {
  const { path, sizeBytes, modifiedMs, sums } = expected;
  const file = openFile(path);
  try {
    const { size, mtime } = file.statSync();
    const reading = newFileReading(path, { modified: mtime, expected });
    if (size !== sizeBytes || reading.modifiedMs !== modifiedMs) throw changedFile(path);
    const piece = new Uint8Array(PIECE_BYTES);
    readPiece(file, reading, piece);
    const last = Math.max(0, sums.length - 1);
    file.seekSync(last * PIECE_BYTES, Deno.SeekMode.Start);
    reading.sums.length = last;
    while (readPiece(file, reading, piece) !== null);
  } finally {
    file.close();
  }
}
