import type { InputFile, ReplayFiles } from "../replay/files.ts";

/** So much of a file is asked for at a time: each asking costs more than its bytes. */
const PIECE_BYTES = 1 << 22;

/** A file that a person gave to a page. */
export type NamedBlob = { readonly name: string; readonly blob: Blob };

/** Reads a part of a blob at once, as workers alone may. */
export type ReadBlob = (blob: Blob) => ArrayBuffer;

/** Files that a person gave to a page, by their names. Nothing is written, and nothing is sent. */
export function blobFiles(given: readonly NamedBlob[], readBlob: ReadBlob): ReplayFiles {
  const byName = new Map(given.map(({ name, blob }) => [name, blob]));
  const never = () => {
    throw new Error("An audit writes no file");
  };
  return {
    open: (path) => openBlob(path, byName.get(path)!, readBlob),
    createSpill: never,
    makeSpillDirectory: never,
    removeSpillDirectory: never,
  };
}

function openBlob(path: string, blob: Blob, readBlob: ReadBlob): InputFile {
  let at = 0;
  let piece = new Uint8Array(0);
  let pieceAt = 0;
  const read = (into: Uint8Array): number | null => {
    if (at >= blob.size) return null;
    if (at < pieceAt || at >= pieceAt + piece.length) {
      piece = new Uint8Array(readBlob(blob.slice(at, at + Math.max(PIECE_BYTES, into.length))));
      pieceAt = at;
    }
    const part = piece.subarray(at - pieceAt, at - pieceAt + into.length);
    into.set(part);
    at += part.length;
    return part.length;
  };
  return {
    path,
    sizeBytes: blob.size,
    modifiedMs: null,
    read,
    seek: (toByte) => void (at = toByte),
    close: () => {},
  };
}
