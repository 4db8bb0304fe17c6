import { listZip, type MemberReader, type ReadAt, type ZipMember } from "../formats/zip_list.ts";
import { ReadError } from "../formats/read_error.ts";
import type { Stage } from "../formats/stage.ts";
import type { InputFile, ReplayFiles } from "./files.ts";

/**
 * Files, and those that others are packed in: of an archive `archive.zip/name`, of a workbook its
 * sheets, `book.xlsx/name`.
 */
export type PackedFiles = ReplayFiles & {
  /** The files that a path means: those in it, or itself. */
  expand(path: string): Promise<readonly string[]>;
  /** What makes text of the bytes of a file, beyond what they show themselves. */
  stagesOf(path: string): readonly (() => Stage)[];
  /** Whether a path is of a workbook's sheet; of those one is enough that can be read. */
  isSheet(path: string): boolean;
  /** What a file is packed in, for people; null: it is not. */
  packingOf(path: string): string | null;
};

const ZIP = [0x50, 0x4b, 0x03, 0x04];
const EMPTY_ZIP = [0x50, 0x4b, 0x05, 0x06];
const PARQUET = [0x50, 0x41, 0x52, 0x31];
/** A document of another kind is an archive too, but one file to people. */
const DOCUMENT = /^(mimetype|word\/.*)$/;
/** What all sheets of a workbook share may take so much. */
const SHARED_BYTES_MAX = 1 << 28;

type Member = {
  readonly packing: string;
  readonly archive: string;
  readonly sizeBytes: number;
  begin(file: InputFile): MemberReader;
  readonly stages: readonly (() => Stage)[];
};

/** Files of these, and those packed among them. What unpacks them is loaded where it is needed. */
export function withArchives(files: ReplayFiles): PackedFiles {
  const members = new Map<string, Member>();
  const open = (path: string): InputFile => {
    const known = members.get(path);
    return known === undefined ? files.open(path) : openIn(files, path, known);
  };
  const expand = async (path: string): Promise<readonly string[]> => {
    const file = files.open(path);
    try {
      const start = readAtOf(file)(0, ZIP.length);
      const begins = (mark: readonly number[]) => mark.every((byte, n) => start[n] === byte);
      const found = begins(ZIP) || begins(EMPTY_ZIP)
        ? await membersOf(path, file)
        : begins(PARQUET)
        ? [[path, await parquetMember(path, file)] as const]
        : null;
      if (found === null) return [path];
      for (const [name, member] of found) members.set(name, member);
      return found.map(([name]) => name);
    } finally {
      file.close();
    }
  };
  return {
    ...files,
    open,
    expand,
    stagesOf: (path) => members.get(path)?.stages ?? [],
    isSheet: (path) => (members.get(path)?.stages.length ?? 0) > 0,
    packingOf: (path) => members.get(path)?.packing ?? null,
  };
}

type Named = readonly (readonly [name: string, member: Member])[];

async function membersOf(path: string, file: InputFile): Promise<Named | null> {
  const listed = listZip(path, file.sizeBytes, readAtOf(file));
  if (listed.some(({ name }) => DOCUMENT.test(name))) return null;
  const { openMember } = await import("../formats/zip.ts");
  const memberOf = (member: ZipMember, stages: Member["stages"] = []): Member => ({
    packing: stages.length === 0 ? "in a zip archive" : "a sheet of an Excel workbook",
    archive: path,
    sizeBytes: member.sizeBytes,
    begin: (from) => openMember(path, member, readAtOf(from)),
    stages,
  });
  if (listed.some(({ name }) => name === "xl/workbook.xml")) {
    const wholeOf = (name: string) => {
      const member = listed.find((one) => one.name === name);
      return member === undefined ? null : wholeMember(path, member, memberOf(member).begin(file));
    };
    const { readWorkbook, sheetStage } = await import("../formats/workbook.ts");
    const workbook = readWorkbook(path, wholeOf);
    return workbook.sheets.flatMap(({ name, member }) => {
      const sheet = listed.find((one) => one.name === member);
      if (sheet === undefined) return [];
      return [[`${path}/${name}`, memberOf(sheet, [() => sheetStage(path, workbook)])] as const];
    });
  }
  if (listed.length === 0) {
    throw new ReadError(`Cannot read "${path}": this is a zip archive with no file in it`);
  }
  return listed.map((member) => [`${path}/${member.name}`, memberOf(member)] as const);
}

function wholeMember(path: string, { sizeBytes }: ZipMember, next: MemberReader): Uint8Array {
  if (sizeBytes > SHARED_BYTES_MAX) {
    throw new ReadError(
      `Cannot read "${path}": its texts take more than ${SHARED_BYTES_MAX >> 20} MiB`,
      "save the sheet as CSV",
    );
  }
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (let piece = next(); piece !== null; piece = next()) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A Parquet file, whose reader goes to and fro in it, as the text that is made of it. */
async function parquetMember(path: string, file: InputFile): Promise<Member> {
  const { parquetText } = await import("../formats/parquet.ts");
  const readAt = readAtOf(file);
  const pieces = await parquetText(path, {
    byteLength: file.sizeBytes,
    slice: (start, end = file.sizeBytes) => {
      const bytes = readAt(start, end - start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    },
  });
  return {
    packing: "a Parquet file",
    archive: path,
    sizeBytes: pieces.reduce((sum, { length }) => sum + length, 0),
    begin: () => {
      let next = 0;
      return () => pieces[next++] ?? null;
    },
    stages: [],
  };
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

function openIn(files: ReplayFiles, path: string, member: Member): InputFile {
  const file = files.open(member.archive);
  const begin = () => member.begin(file);
  let next: MemberReader;
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
