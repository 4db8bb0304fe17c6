/** Rules of the user's own, named in the configuration. */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

const EXAMPLE = new URL("../../examples/my_rule.ts", import.meta.url);

/** Ten days of half hours, two of each day 2 kWh: at two in the night, and at two in the afternoon. */
function csv(): string {
  const rows = Array.from({ length: 480 }, (_, i) => {
    const at = new Date(Date.UTC(2024, 0, 1) + i * 1_800_000).toISOString();
    return `M1,${at},${i % 24 === 4 ? 2 : 0.2 + i * i % 97 / 1000}\n`;
  });
  return `meter_id,timestamp,consumption_kwh\n${rows.join("")}`;
}

Deno.test("run judges by the rule of one's own that the configuration names, as by ours", async () => {
  await inFolder(async (folder) => {
    await Deno.copyFile(EXAMPLE, `${folder}/my_rule.ts`);
    await Deno.writeTextFile(`${folder}/c.yaml`, "rules: [./my_rule.ts]\n");
    await Deno.writeTextFile(`${folder}/a.csv`, csv());
    const config = ["--config", `${folder}/c.yaml`, "--data", `${folder}/store`];
    const run = await gridwatch("run", `${folder}/a.csv`, "--exit", "--json", ...config);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(JSON.parse(run.stdout).validation_by_rule.HIGH_NIGHT, 10);
    const sql = 'SELECT "from", "to", slots, value, "limit" FROM validation_records ' +
      "WHERE rule = 'HIGH_NIGHT' ORDER BY \"from\" LIMIT 1";
    const found = await gridwatch("query", sql, "--csv", ...config);
    assert.equal(
      found.stdout.split("\n")[1],
      "2024-01-01T02:00:00Z,2024-01-01T02:30:00Z,1,2,1.5",
    );
    // It judges, so a store that is played on with it changed, or without it, says so.
    await Deno.writeTextFile(`${folder}/b.csv`, csv().replaceAll("2024-01", "2024-02"));
    await Deno.writeTextFile(`${folder}/c.yaml`, "rules: []\n");
    const next = await gridwatch("run", `${folder}/b.csv`, "--exit", ...config);
    assert.match(
      next.stderr,
      /settings changed since .*rules is none, was HIGH_NIGHT [0-9a-f]{16}/,
    );
  });
});

Deno.test("A module that is no rule is refused by its name, with what it lacks", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.csv`, csv());
    const wrong: Readonly<Record<string, readonly [text: string, said: RegExp]>> = {
      absent: ["", /Cannot read .*absent\.ts: No such file/],
      empty: ["export const x = 1;", /its default export must be a rule/],
      broken: ["export default {", /Cannot load the rule .*broken\.ts/],
      named: ['export default { name: "my rule" };', /name must be capitals/],
      taken: ['export default { name: "SPIKE" };', /SPIKE is the name of another rule/],
      severe: ['export default { name: "A", severity: "bad" };', /severity must be/],
      idle: ['export default { name: "A", severity: "warn", numbers: 0 };', /must have either/],
      large: [
        'export default { name: "A", severity: "warn", numbers: 1e6, slot() {} };',
        /numbers must be a whole number from 0 to 64/,
      ],
    };
    for (const [name, [text, said]] of Object.entries(wrong)) {
      if (name !== "absent") await Deno.writeTextFile(`${folder}/${name}.ts`, text);
      await Deno.writeTextFile(`${folder}/c.yaml`, `rules: [./${name}.ts]\n`);
      const config = ["--config", `${folder}/c.yaml`, "--data", `${folder}/store`];
      const { code, stderr } = await gridwatch("run", `${folder}/a.csv`, "--exit", ...config);
      assert.notEqual(code, 0, name);
      assert.match(stderr, said);
    }
    await Deno.writeTextFile(`${folder}/c.yaml`, "rules: my_rule.ts\n");
    const list = await gridwatch("config", "--config", `${folder}/c.yaml`);
    assert.equal(list.code, 2);
    assert.match(list.stderr, /Cannot use rules \(.*c\.yaml:1:8\): must be a list of files/);
  });
});
