/**
 * A file on its way through from its start. Reading is synchronous: a page already in the cache is
 * here sooner than a promise is, and 81 files are read in turns. Every call may throw a
 * `ReadError` that says in words what is wrong.
 */
export type InputFile = {
  readonly path: string;
  /** Its size in bytes when it was opened. */
  readonly sizeBytes: number;
  /** When it was last written, epoch milliseconds; null where the system does not say. */
  readonly modifiedMs: number | null;
  /** Reads some bytes; null: the file has ended. */
  read(into: Uint8Array): number | null;
  /** Goes to a place, in bytes from the start. */
  seek(toByte: number): void;
  close(): void;
};

/** A new file that sorted records are spilled to. */
export type SpillFile = {
  /** @throws {Error} as the system says it, when it cannot be written */
  write(bytes: Uint8Array): void;
  close(): void;
};

/** The port through which a replay reads files and spills what it sorts. */
export type ReplayFiles = {
  /** @throws {ReadError} when there is no such file, or it may not be read. */
  open(path: string): InputFile;
  /** @throws {Error} when it cannot be made, or is there already. */
  createSpill(path: string): SpillFile;
  /**
   * Makes a directory of the replay's own under `parent`.
   *
   * @throws {ReadError} when it cannot be made
   */
  makeSpillDirectory(parent: string): string;
  /** Removes such a directory and what stands in it; one that is gone is no error. */
  removeSpillDirectory(path: string): void;
};
