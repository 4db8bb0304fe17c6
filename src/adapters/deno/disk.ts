import { statfs } from "node:fs/promises";

/**
 * Bytes that this process may still write to the disk of a file or folder; null: the system does not
 * tell, or may not be asked.
 */
export async function freeBytes(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotSupported) {
      return null;
    }
    throw error;
  }
}
