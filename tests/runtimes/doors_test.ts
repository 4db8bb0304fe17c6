import assert from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);

Deno.test("The package is as a registry wants it: no slow type, no file that is not there", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--quiet"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  });
  const { success, stderr } = await command.output();
  const said = new TextDecoder().decode(stderr);
  assert.ok(success, said);
  assert.doesNotMatch(said, /^(error|warning)/m);
});
