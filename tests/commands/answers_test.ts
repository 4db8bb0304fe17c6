import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";
import { assertAnswer } from "../schemas.ts";

const ROOT = new URL("../../", import.meta.url);
/** Half hours from midnight on; 04:30, 05:00 and 05:30 are missing, and one time comes twice. */
const TIMES = ["00:00", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"];
const CSV = "meter_id,timestamp,consumption_kwh\n" +
  [...TIMES, "06:00", "06:00"].map((time) => `M1,2024-01-01T${time}:00Z,1\n`).join("") + "M2,x,1\n";

Deno.test("docs/schemas/ is what `deno task schemas` makes of the types", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "schemas", "-"],
    cwd: ROOT,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const made = JSON.parse(new TextDecoder().decode(stdout));
  const names = [...Deno.readDirSync(new URL("docs/schemas/", ROOT))].map(({ name }) => name);
  assert.deepEqual(names.sort(), Object.keys(made).sort());
  for (const name of names) {
    const text = await Deno.readTextFile(new URL(`docs/schemas/${name}`, ROOT));
    assert.deepEqual(JSON.parse(text), made[name], `${name}: run \`deno task schemas\``);
  }
});

Deno.test("run, replay, verify and query print with --json what their schemas say", async () => {
  await inFolder(async (folder) => {
    const csv = `${folder}/x.csv`;
    await Deno.writeTextFile(csv, CSV);
    const answerOf = async (...args: string[]) => {
      const { code, stdout, stderr } = await gridwatch(...args, "--json");
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    for (const command of ["run", "replay"]) {
      const store = `${folder}/${command}`;
      const exit = command === "run" ? ["--exit"] : [];
      const played = await answerOf(command, csv, "--data", store, ...exit);
      await assertAnswer("run.json", played);
      assert.equal(played.meters, 2);
      assert.equal(played.meters_by_status.unusable, 1);
      assert.deepEqual(played.duplicates, { identical: 1, conflicting: 0 });
      assert.equal(played.gaps.CLOSED.missing_intervals, 3);
    }
    const store = ["--data", `${folder}/run`];
    await assertAnswer("verify.json", await answerOf("verify", ...store));
    for (const table of ["validated_readings", "rejected_readings", "gap_status", "metrics"]) {
      const rows = await answerOf("query", `SELECT * FROM ${table}`, ...store);
      assert.ok(rows.length > 0, table);
      await assertAnswer("query.json", rows);
    }
    await assertAnswer("query.json", await answerOf("query", "SELECT 1 AS a, NULL AS b", ...store));
  });
});

Deno.test("assertAnswer() refuses what is missing, of another type, or not described", async () => {
  const counts = { raw: 1, ok: 1, late: 0, too_late: 0, duplicate: 0, rejected: 0, tick: 0 };
  const verified = { balanced: true, ledger: counts, differences: [], dropped: null };
  await assertAnswer("verify.json", verified);
  const finding = { what: "a page is damaged", table: null, partition: null, day: "2013-01-01" };
  await assertAnswer("verify.json", { ...verified, balanced: false, differences: [finding] });
  const { balanced: _, ...without } = verified;
  for (
    const wrong of [without, { ...verified, balanced: "yes" }, { ...verified, more: 1 }, [], null]
  ) {
    await assert.rejects(assertAnswer("verify.json", wrong), assert.AssertionError);
  }
  await assert.rejects(assertAnswer("query.json", { a: 1 }), assert.AssertionError);
});
