/**
 * A folder of the tests that is made once on a machine and kept for every run after: what is large
 * and comes from a package registry. Whoever starts two of it at once gets whole ones, too.
 *
 * @param name Names its version, so that a newer one is made beside it.
 * @param fill Puts into an empty folder what belongs there.
 * @returns Its path; everybody on the machine may read in it.
 */
export async function keptFolder(
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = `${keptFolders()}/${name}`;
  if (await isFolder(folder)) return folder;
  await Deno.mkdir(keptFolders(), { recursive: true });
  const beside = await Deno.makeTempDir({ dir: keptFolders(), prefix: `${name}.` });
  try {
    await fill(beside);
    await Deno.chmod(beside, 0o755);
    await Deno.rename(beside, folder); // in one step, so that nobody sees half of it
  } catch (error) {
    await Deno.remove(beside, { recursive: true });
    if (!await isFolder(folder)) throw error; // else another was first
  }
  return folder;
}

/** Whether `keptFolder()` has it already. */
export async function isKept(name: string): Promise<boolean> {
  return await isFolder(`${keptFolders()}/${name}`);
}

/** Root's own cache is closed to the user that root's PostgreSQL runs as. */
function keptFolders(): string {
  if (Deno.uid() === 0) return "/var/cache/gridwatch-tests";
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;
  return `${cache}/gridwatch-tests`;
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}
