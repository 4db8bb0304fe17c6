import { LOCK_FILE, lockDirectory, LockedError } from "../adapters/deno/directory_lock.ts";
import { StoreError } from "../adapters/sqlite/errors.ts";
import type { StoreReader } from "../adapters/sqlite/reader.ts";
import { isStoreFile, openReader, SqliteStore, STORE_FILE } from "../adapters/sqlite/store.ts";
import { RunError } from "../console/errors.ts";
import type { Zone } from "../core/zone.ts";
import { attempt } from "../console/output_file.ts";

/**
 * Opens the embedded store of a directory for its one writer, and makes it where there is none;
 * `isFresh`: what it holds is forgotten. A directory that was made for it goes with it when nothing
 * was ever played into it.
 *
 * @throws {RunError} when another process writes it, or it cannot be opened
 */
export async function openStore(
  directory: string,
  { retentionDays, zone, isFresh = false }: {
    readonly retentionDays: number;
    /** Of local days; not given: the one of before. */
    readonly zone?: Zone;
    readonly isFresh?: boolean;
  },
): Promise<SqliteStore> {
  if (!isFresh) await refuseEarlier(directory);
  const isMade = !await exists(directory);
  // Before the lock is taken, which marks a folder as ours.
  const forgotten = isFresh ? await storeFiles(directory) : [];
  const held = await attempt(`open ${directory}`, () => lockDirectory(directory)).catch((error) => {
    if (!(error.cause instanceof LockedError)) throw error;
    throw inUse(error.cause.message, error.cause);
  });
  const lock = {
    release: () => {
      if (isMade) removeEmpty(directory);
      held.release();
    },
  };
  try {
    await removeFiles(forgotten);
    return await SqliteStore.open(directory, { retentionDays, lock, zone });
  } catch (error) {
    lock.release();
    throw runError(error);
  }
}

/** Removes a directory in which the lock of this process is all there is. */
function removeEmpty(directory: string): void {
  const [only, ...others] = Deno.readDirSync(directory);
  if (only?.name !== LOCK_FILE || others.length > 0) return;
  Deno.removeSync(directory, { recursive: true });
}

/**
 * The store's files in a folder: of this version, and of an earlier one.
 *
 * @throws {RunError} when what bears the store's name is none of ours
 */
export async function storeFiles(directory: string): Promise<string[]> {
  const path = `${directory}/${STORE_FILE}`;
  if (await exists(path) && !await isStoreFile(path)) {
    throw new RunError(
      `Cannot forget ${path}: it is no store of Gridwatch`,
      "move it away, or use --data DIR",
    );
  }
  const earlier = await hasEarlier(directory) ? [`${directory}/${EARLIER}`] : [];
  return [path, `${path}-wal`, `${path}-shm`, ...earlier];
}

/** Removes those of some files that are there. */
export async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (!await exists(path)) continue;
    await attempt(`remove ${path}`, () => Deno.remove(path, { recursive: true }));
  }
}

/**
 * Opens the embedded store of a directory to read it, beside whoever writes it.
 *
 * @throws {RunError} when there is none, or it cannot be opened
 */
export async function openStoreReader(
  directory: string,
  options: { readonly statementMsMax?: number } = {},
): Promise<StoreReader> {
  await refuseAbsent(directory);
  try {
    return await openReader(directory, options);
  } catch (error) {
    throw runError(error);
  }
}

/** @throws {RunError} where there is no store */
export async function refuseAbsent(directory: string): Promise<void> {
  if (await exists(`${directory}/${STORE_FILE}`)) return;
  await refuseEarlier(directory);
  throw new RunError(
    `Cannot open ${directory}: there is no store`,
    "`gridwatch run FILE` makes one; --data names another directory",
  );
}

/** A store that is in use, for people. */
export function inUse(reason: string, cause: unknown): RunError {
  return new RunError(`Cannot open the store: ${reason}`, "stop it, or use --data DIR", { cause });
}

/** An error of the store as one to people; a fault of our own as it is. */
export function runError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  return new RunError(error.message, error.hint, { cause: error });
}

/** Where earlier versions kept their store: a folder of PostgreSQL's files. */
const EARLIER = "pg";

/** Whether a directory holds the store of an earlier version: beside each stands its lock. */
export async function hasEarlier(directory: string): Promise<boolean> {
  return await exists(`${directory}/${EARLIER}/PG_VERSION`) &&
    await exists(`${directory}/${LOCK_FILE}`);
}

async function refuseEarlier(directory: string): Promise<void> {
  if (await exists(`${directory}/${STORE_FILE}`) || !await hasEarlier(directory)) return;
  throw new RunError(
    `Cannot open ${directory}: it holds the store of an earlier version, in ${EARLIER}/`,
    `play the files again with --data DIR; what is there is left alone, and is yours to remove`,
  );
}

const isAbsent = (error: unknown) =>
  error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;

/**
 * Whether there is a file or folder of this name.
 *
 * @throws {RunError} when it cannot be known
 */
export async function exists(path: string): Promise<boolean> {
  const found = await attempt(`look at ${path}`, () => Deno.stat(path)).catch((error) => {
    if (isAbsent(error.cause)) return null;
    throw error;
  });
  return found !== null;
}
