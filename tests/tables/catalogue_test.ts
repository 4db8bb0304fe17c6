import assert from "node:assert/strict";
import { CATALOGUE, catalogueLines } from "../../src/tables/catalogue.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";

/** What the pipeline keeps for itself: nothing to be asked. */
const INNER = [
  ...["task_state", "state_changelog", "inputs", "settings", "sink_positions"],
  ...["database_identity", "digests", "undigested", "dropped", "dropped_days", "gap_starts"],
  "zone_offsets",
];
/** Only the sink writes it, never the embedded store. */
const SINK_ONLY = ["sink_errors", "raw_ends", "pipeline_health"];

/** The tables and views that the schema makes. */
async function readSchema(): Promise<string[]> {
  const folder = new URL("../../sql/", import.meta.url);
  const names: string[] = [];
  for (const { name, isFile } of Deno.readDirSync(folder)) {
    if (!isFile || !name.endsWith(".sql")) continue;
    const sql = await Deno.readTextFile(new URL(name, folder));
    names.push(...[...sql.matchAll(/^CREATE (?:TABLE|VIEW) (\w+)/gm)].map(([, each]) => each));
  }
  return names;
}

Deno.test("CATALOGUE has every table and view that is not the pipeline's own, and none besides", async () => {
  const asked = (await readSchema()).filter((name) => ![...INNER, ...SINK_ONLY].includes(name));
  assert.deepEqual(CATALOGUE.map(({ name }) => name).sort(), asked.sort());
});

Deno.test("The embedded store answers every name of the CATALOGUE, and lists them for another", async () => {
  await inFolder(async (folder) => {
    const csv = `${folder}/x.csv`;
    await Deno.writeTextFile(csv, "meter_id,timestamp,consumption_kwh\nM1,2024-01-01,1\n");
    const store = ["--data", `${folder}/store`];
    assert.equal((await gridwatch("run", csv, "--exit", "--quiet", ...store)).code, 0);
    const each = CATALOGUE.map(({ name }) => `SELECT '${name}' AS name, count(*) FROM ${name}`);
    const all = await gridwatch("query", each.join(" UNION ALL "), "--json", ...store);
    assert.equal(all.code, 0, all.stderr);
    const other = await gridwatch("query", "SELECT * FROM gaps", ...store);
    assert.equal(other.code, 1);
    const hint = ["hint: the tables and views:", ...catalogueLines(), ""].join("\n");
    assert.ok(other.stderr.endsWith(hint), other.stderr);
  });
});

Deno.test("catalogueLines() fit a terminal of 80 columns, and stand in query --help", async () => {
  const { stdout } = await gridwatch("query", "--help");
  for (const line of catalogueLines()) {
    assert.ok(line.length <= 80, line);
    assert.ok(stdout.includes(`${line}\n`), line);
  }
});
