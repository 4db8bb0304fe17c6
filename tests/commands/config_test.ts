import assert from "node:assert/strict";
import { listSettings } from "../../src/commands/config.ts";
import { readConfig } from "../../src/config.ts";
import { gridwatch, inFolder } from "./command_line.ts";

Deno.test("listSettings() says of a secret only whether it is set", () => {
  const environment: Record<string, string> = { GRIDWATCH_GRAFANA_TOKEN: "hush" };
  const listed = listSettings(readConfig(null, (name) => environment[name]));
  const valueOf = (name: string) => listed.find(({ key }) => key === name)?.value;
  assert.equal(valueOf("grafana.token"), "(secret)");
  assert.equal(valueOf("grafana.password"), "(not set)");
  assert.equal(valueOf("kafka.group"), "gridwatch");
  assert.doesNotMatch(JSON.stringify(listed), /hush/);
});

Deno.test("config --json is one object on stdout", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/config.yaml`;
    await Deno.writeTextFile(path, "grace_period_seconds: 600\n");
    const { code, stdout } = await gridwatch("config", "--config", path, "--json");
    assert.equal(code, 0);
    const { settings } = JSON.parse(stdout);
    assert.equal(settings.grace_period_seconds.value, 600);
    assert.equal(settings.grace_period_seconds.variable, "GRIDWATCH_GRACE_PERIOD_SECONDS");
  });
});
