/**
 * The standalone binaries, run as on a server: an empty folder, no network, no Deno on the path.
 *
 * DENORT_BIN names the base that `deno compile` puts in front (Deno's own site has it), and
 * GRIDWATCH_COMPILE_DENO a Deno of that version where the one running the tests is of another.
 */
import assert from "node:assert/strict";
import { INCLUDED, V8_FLAGS } from "../../scripts/compile.ts";
import manifest from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const BASE = Deno.env.get("DENORT_BIN") ?? "";
const COMPILER = Deno.env.get("GRIDWATCH_COMPILE_DENO") ?? Deno.execPath();
const decoder = new TextDecoder();

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

Deno.test("Every file that a source resolves at run time is put into the binary", () => {
  const resolved: string[] = [];
  const visit = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (isDirectory) visit(`${folder}${name}/`);
      else if (/\.ts$/.test(name)) resolved.push(...resolvedBy(`${folder}${name}`));
    }
  };
  visit("src/");
  const build = "dist/build.json"; // written and included by the script itself
  assert.deepEqual(resolved.filter((path) => path !== build).sort(), [...INCLUDED].sort());
});

Deno.test("The tasks that play files keep the heap as small as a binary does", () => {
  for (const task of ["gridwatch", "demo"] as const) {
    assert.ok(manifest.tasks[task].command.includes(` ${V8_FLAGS} `), task);
  }
});

/** What a source names by `import.meta`, from the root of the repository. */
function resolvedBy(path: string): string[] {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  const patterns = [
    /\bimport\.meta\.resolve\(\s*["'`](\.[^"'`]+)["'`]/g,
    /\bnew URL\(\s*["'`](\.[^"'`]+)["'`]\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)])
    .map((match) => new URL(match[1], `file:///${path}`).pathname.slice(1));
}

Deno.test({
  name: "A compiled gridwatch works in an empty folder without network or Deno (needs DENORT_BIN)",
  ignore: BASE === "",
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "gridwatch-compile-" });
    try {
      await compileInto(`${folder}/bin`);
      await Deno.mkdir(`${folder}/empty`);
      const gridwatch = await runner(folder, `gridwatch-${Deno.build.target}`);
      await t.step("--version has the build", async () => {
        const { code, stdout } = await gridwatch("--version");
        assert.equal(code, 0);
        assert.ok(stdout.startsWith(`gridwatch ${manifest.version}+`), stdout);
      });
      await t.step("--help lists the commands", async () => {
        const { code, stdout } = await gridwatch("--help");
        assert.equal(code, 0);
        assert.match(stdout, /^ {2}verify /m);
      });
      await t.step("the environment reaches the settings", async () => {
        const { stdout } = await gridwatch("config");
        assert.match(stdout, /grace_period_seconds +1234 /);
      });
      await t.step("generate, run, query and verify agree on the ledger", async () => {
        const fleet = ["--output", "fleet.csv", "--meters", "20", "--days", "3", "--quiet"];
        const { readings } = JSON.parse(await good(gridwatch("generate", ...fleet, "--json")));
        const ran = JSON.parse(await good(gridwatch("run", "fleet.csv", "--exit", "--json")));
        const { raw, tick } = ran.ledger;
        assert.equal(raw - tick, readings);
        const sql = "SELECT sum(raw) AS raw FROM ledger";
        const rows = JSON.parse(await good(gridwatch("query", sql, "--json")));
        assert.deepEqual(rows, [{ raw }]);
        const verified = JSON.parse(await good(gridwatch("verify", "--json")));
        assert.equal(verified.balanced, true);
      });
      await t.step("backup, compact and doctor find the store whole", async () => {
        await good(gridwatch("backup", "copy.db"));
        await good(gridwatch("compact"));
        const { checks } = JSON.parse((await gridwatch("doctor", "--json")).stdout);
        const states = checks.filter(({ check }: { check: string }) => check.startsWith("store"))
          .map(({ state }: { state: string }) => state);
        assert.deepEqual(states, Array(6).fill("ok"));
      });
      await t.step("demo finds its sample", async () => {
        const args = ["--exit", "--json", "--quiet", "--rate", "max"];
        const { meters } = JSON.parse(await good(gridwatch("demo", ...args)));
        assert.equal(meters, 201);
      });
      await t.step("gridwatch-server is the status API", async () => {
        const server = await runner(folder, `gridwatch-server-${Deno.build.target}`);
        const { code, stdout } = await server("--help");
        assert.equal(code, 0);
        assert.match(stdout, /gridwatch serve/);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function compileInto(output: string): Promise<void> {
  const permissions = ["--allow-read", "--allow-write", "--allow-run", "--allow-env"];
  const { code, stderr } = await new Deno.Command(COMPILER, {
    args: ["run", ...permissions, "scripts/compile.ts", "--output", output],
    cwd: ROOT,
    env: { DENORT_BIN: BASE },
  }).output();
  assert.equal(code, 0, decoder.decode(stderr));
}

/** Runs a binary of `folder`/bin in `folder`/empty; without network where the system lets us. */
async function runner(folder: string, name: string): Promise<(...args: string[]) => Promise<Ran>> {
  const env = { PATH: "/nonexistent", GRIDWATCH_GRACE_PERIOD_SECONDS: "1234" };
  const binary = `${folder}/bin/${name}${Deno.build.os === "windows" ? ".exe" : ""}`;
  const cwd = `${folder}/empty`;
  const isolated = await canUnshare();
  const words = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  return async (...args) => {
    const command = isolated
      ? new Deno.Command("unshare", { args: ["-rn", "env", "-i", ...words, binary, ...args], cwd })
      : new Deno.Command(binary, { args, cwd, clearEnv: true, env });
    const { code, stdout, stderr } = await command.output();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
}

async function canUnshare(): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("unshare", { args: ["-rn", "true"] }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function good(running: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await running;
  assert.equal(code, 0, stderr);
  return stdout;
}
