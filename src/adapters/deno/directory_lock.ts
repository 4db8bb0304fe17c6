/** A data directory that another process is using. */
export class LockedError extends Error {
  override name = "LockedError";
}

/** Stands in every directory that was ever taken. */
export const LOCK_FILE = "gridwatch.lock";

/**
 * Takes a directory for this process alone; one that is made is for its owner alone. The operating
 * system gives the lock back when the process ends, however it ends.
 *
 * @throws {LockedError} when another process holds it.
 */
export async function lockDirectory(directory: string): Promise<{ release(): void }> {
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  const path = `${directory}/${LOCK_FILE}`;
  const file = await Deno.open(path, { read: true, write: true, create: true });
  if (!await tryLock(file)) {
    const holder = new TextDecoder().decode(await Deno.readFile(path)).trim();
    file.close();
    throw new LockedError(`${directory} is in use by process ${holder || "unknown"}`);
  }
  await file.truncate(0);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return { release: () => file.close() };
}

/** Whether another process holds a directory, and which; nothing is made or changed. */
export async function directoryHolder(directory: string): Promise<string | null> {
  const path = `${directory}/${LOCK_FILE}`;
  try {
    using file = await Deno.open(path);
    if (await tryLock(file, { isShared: true })) return null;
    return new TextDecoder().decode(await Deno.readFile(path)).trim() || "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Deno before 2.7 has no `tryLock`: there a lock that is not had at once counts as refused. */
async function tryLock(file: Deno.FsFile, { isShared = false } = {}): Promise<boolean> {
  const newer = file as Deno.FsFile & { tryLock?(exclusive: boolean): Promise<boolean> };
  if (newer.tryLock !== undefined) return await newer.tryLock(!isShared);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const refused = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), 500);
  });
  const taken = await Promise.race([file.lock(!isShared).then(() => true), refused]);
  clearTimeout(timer);
  return taken;
}
