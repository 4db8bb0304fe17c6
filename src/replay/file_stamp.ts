import { crc32 } from "node:zlib";
import { ReadError } from "../formats/read_error.ts";
import type { InputFile } from "./files.ts";

/** Bytes of a file that are read and summed at a time: small, since a merge reads many at once. */
export const PIECE_BYTES = 1 << 16;

/** What one reading of a file saw: by it another reading knows that the file is still the same. */
export type FileStamp = {
  readonly path: string;
  readonly sizeBytes: number;
  /** Epoch milliseconds; null where the system does not say. */
  readonly modifiedMs: number | null;
  /** CRC-32 of each piece of `PIECE_BYTES`, the last one shorter. */
  readonly sums: readonly number[];
};

/** A file on its way through from its start, and what was seen of it so far. */
export type FileReading = {
  readonly path: string;
  readonly modifiedMs: number | null;
  /** What an earlier reading saw and this one must see again; null: this is the first. */
  readonly expected: FileStamp | null;
  readonly sums: number[];
  sizeBytes: number;
};

/** A reading at the start of a file. */
export function newFileReading(
  { path, modifiedMs }: InputFile,
  expected: FileStamp | null = null,
): FileReading {
  return { path, modifiedMs, expected, sums: [], sizeBytes: 0 };
}

/**
 * Takes the next piece, before anybody uses it; an empty one: the file has ended. Its rows are thus
 * played only if they are those that were inspected, and so in every run that goes on later.
 *
 * @throws {ReadError} when the piece is not what is expected
 */
export function takePiece(reading: FileReading, piece: Uint8Array): void {
  const { expected, sums } = reading;
  const index = sums.length;
  if (piece.length > 0) {
    sums.push(crc32(piece));
    reading.sizeBytes += piece.length;
  }
  if (expected === null) return;
  const isSame = piece.length > 0
    ? sums[index] === expected.sums[index]
    : index === expected.sums.length;
  if (!isSame) throw changedFile(reading.path);
}

/** What a reading has seen. */
export function stampOf({ path, sizeBytes, modifiedMs, sums }: FileReading): FileStamp {
  return { path, sizeBytes, modifiedMs, sums };
}

/** Says that a file is another than the one that was looked through. */
export function changedFile(path: string): ReadError {
  return new ReadError(
    `Cannot read "${path}": it changed while it was being replayed`,
    "copy it to where nothing writes to it, and play the copy",
  );
}
