import { ReadError } from "../../formats/read_error.ts";
import type { InputFile, ReplayFiles, SpillFile } from "../../replay/files.ts";

/** What the directories of a replay's own are called; nothing else is ever removed. */
const SPILL_PREFIX = "gridwatch-replay-";

/** The files of this machine. */
export const denoFiles: ReplayFiles = {
  open: openFile,
  createSpill,
  makeSpillDirectory,
  removeSpillDirectory: removeDirectory,
};

function openFile(path: string): InputFile {
  try {
    const file = Deno.openSync(path);
    const { isFile, size, mtime } = file.statSync();
    if (isFile) {
      return {
        path,
        sizeBytes: size,
        modifiedMs: mtime?.getTime() ?? null,
        read: (into) => readFrom(file, path, into),
        seek: (toByte) => void file.seekSync(toByte, Deno.SeekMode.Start),
        close: () => file.close(),
      };
    }
    file.close();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ReadError(`Cannot read "${path}": there is no such file`, undefined, { cause });
    }
    throw readError(path, cause);
  }
  throw new ReadError(`Cannot read "${path}": it is not a file`, "name the files in it");
}

function readFrom(file: Deno.FsFile, path: string, into: Uint8Array): number | null {
  try {
    return file.readSync(into);
  } catch (cause) {
    throw readError(path, cause);
  }
}

function readError(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const reason = cause.message.replace(/ \(os error \d+\).*/s, "");
  const hint = cause instanceof Deno.errors.PermissionDenied
    ? "this user may not read it: chmod +r, or copy it"
    : undefined;
  return new ReadError(`Cannot read "${path}": ${reason}`, hint, { cause });
}

function createSpill(path: string): SpillFile {
  const file = Deno.openSync(path, { write: true, createNew: true });
  return {
    write: (bytes) => {
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    },
    close: () => file.close(),
  };
}

function makeSpillDirectory(parent: string): string {
  try {
    Deno.mkdirSync(parent, { recursive: true });
    return Deno.makeTempDirSync({ dir: parent, prefix: SPILL_PREFIX });
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new ReadError(`Cannot sort in "${parent}": ${cause.message}`, undefined, { cause });
  }
}

/** Removes the spill directories that a killed replay left under `parent`, and nothing else. */
export function removeLeftRuns(parent: string): void {
  for (const { name, isDirectory } of entriesOf(parent)) {
    if (isDirectory && name.startsWith(SPILL_PREFIX)) removeDirectory(`${parent}/${name}`);
  }
}

/** What stands in a directory; nothing when there is none. */
function entriesOf(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}

function removeDirectory(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
