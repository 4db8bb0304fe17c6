/** `deno task test:alone FILE-OR-FOLDER…`: runs each test by itself, to find those that need another. */

const FLAGS = ["--quiet", "--no-prompt", "--allow-all", "--sanitize-ops", "--sanitize-resources"];

/** The names of a file's tests, without their steps. */
async function testsOf(file: string): Promise<string[]> {
  const report = await Deno.makeTempFile({ prefix: "gridwatch-tests-", suffix: ".xml" });
  try {
    await runTests([`--junit-path=${report}`, file]);
    const text = await Deno.readTextFile(report);
    const names = [...text.matchAll(/<testcase name="(.*?)"/g)].map(([, name]) => unescaped(name));
    const known = new Set(names);
    const isStep = (name: string) =>
      [...name.matchAll(/ > /g)].some(({ index }) => known.has(name.slice(0, index)));
    return names.filter((name) => !isStep(name));
  } finally {
    await Deno.remove(report);
  }
}

/** Every test file in a folder, or the file itself. */
async function* testFiles(path: string): AsyncGenerator<string> {
  if ((await Deno.stat(path)).isFile) return yield path;
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory || name.endsWith("_test.ts")) yield* testFiles(`${path}/${name}`);
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function unescaped(text: string): string {
  return text.replace(/&(\w+);/g, (entity, name) => ENTITIES[name] ?? entity)
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
}

/** Whether they passed, and what was printed. */
async function runTests(args: readonly string[]): Promise<{ success: boolean; text: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: ["test", ...FLAGS, ...args] });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

if (import.meta.main) {
  let [run, failed] = [0, 0];
  for (const path of Deno.args) {
    for await (const file of testFiles(path)) {
      for (const name of await testsOf(file)) {
        run++;
        // The first run has checked the types.
        const filter = `--filter=/^${RegExp.escape(name)}$/`;
        const { success, text } = await runTests(["--no-check", filter, file]);
        if (success && /\b1 (passed|ignored)/.test(text)) continue;
        failed++;
        console.error(`Does not pass alone: ${name} (${file})\n${text}`);
      }
    }
  }
  console.error(`${run} tests run alone, ${failed} failed`);
  Deno.exit(failed === 0 ? 0 : 1);
}
