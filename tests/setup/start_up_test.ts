/** What is loaded before a plain CSV file plays: packages for other formats come where they are needed. */
import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

type Module = {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly isDynamic?: boolean;
    readonly code?: { readonly specifier?: string };
  }[];
};

/** Everything that a module loads at once, however far. */
async function loadedBy(path: string): Promise<string[]> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", path],
    cwd: ROOT,
  }).output();
  assert.ok(success, path);
  const { roots, modules, redirects } = JSON.parse(new TextDecoder().decode(stdout)) as {
    roots: string[];
    modules: Module[];
    redirects: Record<string, string>;
  };
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (specifier: string): void => {
    const name = redirects[specifier] ?? specifier;
    if (seen.has(name)) return;
    seen.add(name);
    for (const { isDynamic, code } of byName.get(name)?.dependencies ?? []) {
      if (isDynamic !== true && code?.specifier !== undefined) visit(code.specifier);
    }
  };
  roots.forEach(visit);
  return [...seen];
}

for (const path of ["src/commands/run.ts", "src/commands/audit.ts", "src/commands/demo.ts"]) {
  Deno.test(`${path} loads no package for formats before one is needed`, async () => {
    const loaded = await loadedBy(path);
    assert.ok(loaded.some((name) => name.endsWith("/src/formats/csv.ts")), "the list is whole");
    assert.deepEqual(loaded.filter((name) => /fflate|saxes|hyparquet/.test(name)), []);
  });
}
