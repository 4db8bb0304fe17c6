/** Of readings that nothing is wrong with, nothing is said: a false alarm is a fault as well. */
import assert from "node:assert/strict";
import type { Warning } from "../../src/replay/records.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";

const LONDON = new URL("../../../shared/data/london/london_2013_81meters.tar.xz", import.meta.url);
const hasLondon = (() => {
  try {
    return Deno.statSync(LONDON).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();
const ALARMS = new Set(["sent_again", "two_channels", "register", "day_month_swapped"]);

/** The alarms of a run of files. */
async function alarmsOf(files: readonly string[], store: string): Promise<string[]> {
  const run = ["run", ...files, "--exit", "--json", "--quiet", "--data", store];
  const { code, stdout, stderr } = await gridwatch(...run);
  assert.equal(code, 0, stderr);
  const warnings: Warning[] = JSON.parse(stdout).warnings;
  return warnings.filter(({ code }) => ALARMS.has(code)).map(({ text }) => text);
}

Deno.test({
  name: "a year of 81 London meters raises no alarm",
  ignore: !hasLondon,
  fn: async () => {
    await inFolder(async (folder) => {
      const args = ["xJf", LONDON.pathname, "-C", folder];
      const { success, stderr } = await new Deno.Command("tar", { args }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const [{ name }] = Deno.readDirSync(folder);
      const files = Array.from(
        Deno.readDirSync(`${folder}/${name}`),
        (file) => `${folder}/${name}/${file.name}`,
      );
      assert.equal(files.length, 81);
      assert.deepEqual(await alarmsOf(files, `${folder}/store`), []);
    });
  },
});

Deno.test("made fleets raise no alarm, whatever their seeds and intervals", async () => {
  for (const [seed, interval, days] of [[1, 30, 28], [2, 15, 10], [3, 60, 90], [4, 1440, 400]]) {
    await inFolder(async (folder) => {
      const fleet = `${folder}/fleet.csv`;
      const { code, stderr } = await gridwatch(
        ...["generate", "--meters", "20", "--output", fleet, "--quiet"],
        ...["--seed", String(seed), "--interval", String(interval), "--days", String(days)],
      );
      assert.equal(code, 0, stderr);
      const alarms = await alarmsOf([fleet], `${folder}/store`);
      assert.deepEqual(alarms, [], `seed ${seed}, every ${interval} minutes`);
    });
  }
});
