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

Deno.test("An unknown command is met by the one that was meant, or by run where it is a file", async () => {
  const hintOf = async (...args: string[]) => {
    const { code, stderr } = await gridwatch(...args);
    assert.equal(code, 2);
    return stderr.split("\n")[1];
  };
  assert.equal(await hintOf("qurey"), "hint: did you mean query? gridwatch --help lists them");
  assert.equal(
    await hintOf("my readings.csv", "--exit"),
    "hint: to play files: gridwatch run 'my readings.csv' --exit",
  );
  assert.equal(await hintOf("something"), "hint: gridwatch --help lists them");
});

Deno.test("An environment variable that is nearly a setting is warned of, once", async () => {
  Deno.env.set("GRIDWATCH_EXPECTED_INTERVAL", "15");
  try {
    const { code, stderr } = await gridwatch("config");
    assert.equal(code, 0);
    assert.equal(
      stderr,
      "warning: GRIDWATCH_EXPECTED_INTERVAL is no setting: did you mean " +
        "GRIDWATCH_EXPECTED_INTERVAL_MINUTES?\n",
    );
  } finally {
    Deno.env.delete("GRIDWATCH_EXPECTED_INTERVAL");
  }
});

Deno.test("The README's table has every command, and none besides", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const listed = [...readme.matchAll(/^\| `([a-z]+)` +\|/gm)].map(([, name]) => name).sort();
  const { stdout } = await gridwatch("--help");
  const names = [...stdout.matchAll(/^ {2}([a-z]+) +\S/gm)].map(([, name]) => name).sort();
  assert.deepEqual(listed, names);
});
