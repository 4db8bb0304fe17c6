import { listZip, openMember, type ReadAt, type ZipMember } from "../formats/zip.ts";
import { ReadError } from "../formats/read_error.ts";
import type { InputFile, ReplayFiles } from "./files.ts";

/** Files, those in zip archives among them, which are named `archive.zip/name`. */
export type PackedFiles = ReplayFiles & {
  /** The files that a path means: those in it, where it is an archive, or itself. */
  expand(path: string): string[];
};

const ZIP = [0x50, 0x4b, 0x03, 0x04];
const EMPTY_ZIP = [0x50, 0x4b, 0x05, 0x06];
/** A workbook is an archive too, but one file to people. */
const WORKBOOK = /^(xl\/workbook\.xml|mimetype|word\/.*)$/;

/** Files of these, and of the archives among them. */
export function withArchives(files: ReplayFiles): PackedFiles {
  const members = new Map<string, { readonly archive: string; readonly member: ZipMember }>();
  const open = (path: string): InputFile => {
    const known = members.get(path);
    return known === undefined ? files.open(path) : openIn(files, path, known);
  };
  const expand = (path: string): string[] => {
    const file = files.open(path);
    try {
      const start = readAtOf(file)(0, ZIP.length);
      const isZip = [ZIP, EMPTY_ZIP].some((mark) => mark.every((byte, n) => start[n] === byte));
      if (!isZip) return [path];
      const found = listZip(path, file.sizeBytes, readAtOf(file));
      if (found.some(({ name }) => WORKBOOK.test(name))) return [path];
      if (found.length === 0) {
        throw new ReadError(`Cannot read "${path}": this is a zip archive with no file in it`);
      }
      return found.map((member) => {
        const name = `${path}/${member.name}`;
        members.set(name, { archive: path, member });
        return name;
      });
    } finally {
      file.close();
    }
  };
  return { ...files, open, expand };
}

function readAtOf(file: InputFile): ReadAt {
  return (at, length) => {
    const bytes = new Uint8Array(length);
    file.seek(at);
    let filled = 0;
    while (filled < length) {
      const count = file.read(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  };
}

function openIn(
  files: ReplayFiles,
  path: string,
  { archive, member }: { readonly archive: string; readonly member: ZipMember },
): InputFile {
  const file = files.open(archive);
  const begin = () => openMember(path, member, readAtOf(file));
  let next: ReturnType<typeof begin>;
  try {
    next = begin();
  } catch (error) {
    file.close();
    throw error;
  }
  let piece = new Uint8Array(0);
  const read = (into: Uint8Array): number | null => {
    if (piece.length === 0) {
      const more = next();
      if (more === null) return null;
      piece = more as Uint8Array<ArrayBuffer>;
    }
    const count = Math.min(into.length, piece.length);
    into.set(piece.subarray(0, count));
    piece = piece.subarray(count);
    return count;
  };
  const seek = (toByte: number): void => {
    next = begin();
    piece = new Uint8Array(0);
    const passed = new Uint8Array(1 << 16);
    for (let at = 0; at < toByte;) {
      const count = read(passed.subarray(0, Math.min(passed.length, toByte - at)));
      if (count === null) return;
      at += count;
    }
  };
  const { modifiedMs } = file;
  return { path, sizeBytes: member.sizeBytes, modifiedMs, read, seek, close: () => file.close() };
}
