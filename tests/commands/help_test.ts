import assert from "node:assert/strict";
import { gridwatch } from "./command_line.ts";

Deno.test("help COMMAND prints what COMMAND --help does, for every command", async () => {
  const general = await gridwatch("help");
  const names = [...general.stdout.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name]) => name);
  assert.ok(names.length >= 17, names.join(" "));
  for (const name of names) {
    const { code, stdout } = await gridwatch("help", name);
    assert.equal(code, 0, name);
    assert.match(stdout, new RegExp(`^Usage: gridwatch ${name}\\b`));
    assert.deepEqual(await gridwatch(name, "--help"), { code, stdout, stderr: "" });
  }
  assert.equal((await gridwatch("help", "nothing")).code, 2);
});

Deno.test("The README's table has every command, and none besides", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const listed = [...readme.matchAll(/^\| `([a-z]+)` +\|/gm)].map(([, name]) => name).sort();
  const { stdout } = await gridwatch("--help");
  const names = [...stdout.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name]) => name).sort();
  assert.deepEqual(listed, names);
});
