/** Packages of Python that tests run beside ours, fetched once and kept. */
import { isKept, keptFolder } from "./kept_folder.ts";
import { run } from "./program.ts";

export const PYTHON = "python3";

/** A package of PyPI by its version, and what it is imported as. */
export type PythonPackage = {
  readonly name: string;
  readonly version: string;
  readonly module: string;
};

/** AEMO's meter data files, read by others. */
export const NEMREADER: PythonPackage = {
  name: "nemreader",
  version: "0.9.2",
  module: "nemreader",
};

/** The folder of a package, for PYTHONPATH, fetched once; empty where it is installed. */
export async function pythonPackage({ name, version, module }: PythonPackage): Promise<string> {
  const folder = `${name}-${version}`;
  if (!await isKept(folder)) {
    const { success } = await run(PYTHON, ["-c", `import ${module}`]);
    if (success) return "";
  }
  return await keptFolder(folder, async (into) => {
    const install = ["-m", "pip", "install", "--quiet", "--target", into];
    const { success, stderr } = await run(PYTHON, [...install, `${name}==${version}`]);
    if (!success) throw new Error(`no ${name}==${version}: ${stderr}`);
  });
}

/** Null, or why a package cannot be used here and what brings it. */
export async function lackOfPackage(wanted: PythonPackage): Promise<string | null> {
  return await pythonPackage(wanted).then(() => null, (error) => {
    console.error(error);
    return `no ${wanted.name}: Python 3 and its pip bring it`;
  });
}
