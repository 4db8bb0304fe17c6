import { dirname } from "node:path";
import { RunError } from "./errors.ts";

/** Where bytes go that are wanted whole or not at all. */
export type Output = {
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Gives the file its name. */
  readonly commit: () => Promise<void>;
  /** Removes what was written and not committed. */
  readonly abort: () => Promise<void>;
};

/**
 * Does what the operating system may refuse.
 *
 * @param what stands behind "Cannot": `write "a.csv"`
 * @throws {RunError} with the system's reason
 */
export async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof Error) || cause instanceof RunError) throw cause;
    const reason = cause.message.replace(/ \(os error \d+\).*/s, "");
    throw new RunError(`Cannot ${what}: ${reason}`, undefined, { cause });
  }
}

/**
 * A file that takes its name when it is whole. One that is there already is replaced only where
 * `replaces`: it may be a person's own. What is no file (a device, a pipe) is written to.
 *
 * @throws {RunError} when it cannot be written, or is there already
 */
export async function openOutputFile(
  path: string,
  { replaces }: { readonly replaces: boolean },
): Promise<Output> {
  const what = `write "${path}"`;
  const before = await attempt(what, () => Deno.stat(path)).catch((error) => {
    if (error.cause instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  const isRenamed = before === null || before.isFile || before.isDirectory;
  if (before?.isDirectory) throw new RunError(`Cannot ${what}: it is a directory`);
  if (before?.isFile && !replaces) {
    throw new RunError(
      `Cannot ${what}: it is there already`,
      "--force replaces it, or name another file",
    );
  }
  // Of a link the target is replaced, not the link.
  const target = before === null ? path : await Deno.realPath(path);
  const written = isRenamed ? `${target}.${Deno.pid}.tmp` : target;
  if (before === null) await attempt(what, () => Deno.mkdir(dirname(target), { recursive: true }));
  const file = await attempt(
    what,
    () => Deno.open(written, { write: true, create: true, truncate: isRenamed }),
  );
  let isOpen = true;
  const close = () => {
    if (isOpen) file.close();
    isOpen = false;
  };
  const commit = async () => {
    close();
    if (isRenamed) await attempt(what, () => Deno.rename(written, target));
  };
  const abort = async () => {
    close();
    if (isRenamed) await Deno.remove(written).catch(() => {}); // committed already, or gone
  };
  return { write: (bytes) => attempt(what, () => writeAll(file, bytes)), commit, abort };
}

/** An output of this process's kind: nothing is taken back. */
export function openOutputStream(write: (bytes: Uint8Array) => Promise<void>): Output {
  return { write, commit: () => Promise.resolve(), abort: () => Promise.resolve() };
}

/** Writes all bytes, however many a write takes. */
export async function writeAll(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
