/** Paths are taken from where the user stands, however the command is started. */
import assert from "node:assert/strict";
import { inFolder } from "./command_line.ts";

const ROOT = new URL("../../", import.meta.url);
const CSV = "meter_id,timestamp,consumption_kwh\nM1,2024-01-01T00:00:00Z,1\n";

/** Runs `deno task` of the project in a folder. */
async function task(cwd: string, args: readonly string[]) {
  const config = new URL("deno.json", ROOT).pathname;
  return await deno(cwd, ["task", "--quiet", "--config", config, ...args]);
}

async function deno(cwd: string, args: string[], env: Record<string, string> = {}) {
  const { INIT_CWD: _, ...rest } = Deno.env.toObject();
  const command = new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { ...rest, ...env },
    clearEnv: true,
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("deno task gridwatch takes files, --data, --output and --config from where the user stands", async () => {
  await inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/below/here`, { recursive: true });
    await Deno.writeTextFile(`${folder}/below/x.csv`, CSV);
    await Deno.writeTextFile(`${folder}/below/here/my.yaml`, "expected_interval_minutes: 15\n");
    const here = `${folder}/below/here`;
    const run = await task(here, ["gridwatch", "run", "../x.csv", "--exit", "--data", "store"]);
    assert.equal(run.code, 0, run.stderr);
    assert.ok((await Deno.stat(`${here}/store`)).isDirectory);
    const made = await task(here, [
      "gridwatch",
      "generate",
      "--days",
      "1",
      "--output",
      "out/f.csv",
    ]);
    assert.equal(made.code, 0, made.stderr);
    assert.ok((await Deno.stat(`${here}/out/f.csv`)).isFile);
    const shown = await task(here, ["gridwatch", "config", "--config", "my.yaml", "--json"]);
    assert.equal(JSON.parse(shown.stdout).settings.expected_interval_minutes.value, 15);
  });
});

Deno.test("cli.ts run elsewhere stands there, whatever INIT_CWD another tool has left", async () => {
  await inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/other`);
    await Deno.writeTextFile(`${folder}/other/x.csv`, CSV);
    const cli = new URL("cli.ts", ROOT).pathname;
    const args = ["run", "-A", cli, "replay", "x.csv", "--output", "x.jsonl"];
    const { code, stderr } = await deno(`${folder}/other`, args, { INIT_CWD: folder });
    assert.equal(code, 0, stderr);
    assert.ok((await Deno.stat(`${folder}/other/x.jsonl`)).isFile);
  });
});

Deno.test("The files that README, docs and help play are in the clone", async () => {
  const texts = ["README.md", "docs/kafka.md", "docs/stack.md", "src/commands/run.ts"];
  let checked = 0;
  for (const path of [...texts, "src/commands/replay.ts"]) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    for (const [command] of text.matchAll(/gridwatch (run|replay) [^`#\n]*/g)) {
      for (const word of command.split(/\s+/).filter((each) => /\/.*\.csv$/.test(each))) {
        const folder = new URL(word.replace(/[^/]*$/, ""), ROOT);
        const pattern = word.split("/").pop()!.replaceAll(".", "\\.").replaceAll("*", ".*");
        const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
        assert.ok(names.some((name) => new RegExp(`^${pattern}$`).test(name)), `${path}: ${word}`);
        checked++;
      }
    }
  }
  assert.ok(checked >= 6, `only ${checked} files are named`);
});
