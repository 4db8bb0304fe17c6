import { LOCK_FILE, lockDirectory, LockedError } from "../adapters/deno/directory_lock.ts";
import { StoreError } from "../adapters/sqlite/errors.ts";
import type { StoreReader } from "../adapters/sqlite/reader.ts";
import { openReader, SqliteStore, STORE_FILE } from "../adapters/sqlite/store.ts";
import { RunError } from "../console/errors.ts";
import { attempt } from "../console/output_file.ts";

/**
 * Opens the embedded store of a directory for its one writer, and makes it where there is none.
 *
 * @throws {RunError} when another process writes it, or it cannot be opened
 */
export async function openStore(
  directory: string,
  options: { readonly retentionDays: number },
): Promise<SqliteStore> {
  await refuseEarlier(directory);
  const lock = await attempt(`open ${directory}`, () => lockDirectory(directory)).catch((error) => {
    if (!(error.cause instanceof LockedError)) throw error;
    throw inUse(error.cause.message, error.cause);
  });
  try {
    return await SqliteStore.open(directory, { ...options, lock });
  } catch (error) {
    lock.release();
    throw runError(error);
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
export const EARLIER = "pg";

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
