/** A history that is sent again with other values: what the store says of it. */
import assert from "node:assert/strict";
import { fieldCase, hasField } from "../field/play.ts";
import { gridwatch, inFolder } from "./command_line.ts";

async function rows(sql: string, store: readonly string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await gridwatch("query", sql, "--json", ...store);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

const DAYS = "SELECT sum(readings) AS readings, sum(revised_readings) AS revised, " +
  "sum(consumption_mwh) AS mwh FROM readings_meter_daily";

/** The rows of both files by their times: what each first held, and what it was revised to. */
function bothOf(): { first: Map<string, number>; last: Map<string, number> } {
  const [first, last] = [new Map<string, number>(), new Map<string, number>()];
  for (const name of ["12-history-monday", "12-history-tuesday"]) {
    for (const line of fieldCase(name).trimEnd().split("\n").slice(1)) {
      const [, time, kwh] = line.split(",");
      if (!first.has(time)) first.set(time, Number(kwh));
      last.set(time, Number(kwh));
    }
  }
  return { first, last };
}

const mwhOf = (values: Map<string, number>) =>
  [...values.values()].reduce((sum, kwh) => sum + Math.round(kwh * 1e6), 0);

async function playHistories(
  work: (files: string[], store: string[], folder: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const files = ["12-history-monday", "12-history-tuesday"].map((name) => {
      Deno.writeTextFileSync(`${folder}/${name}.csv`, fieldCase(name));
      return `${folder}/${name}.csv`;
    });
    await work(files, ["--data", `${folder}/store`], folder);
  });
}

Deno.test({
  name: "run tells repeats that are identical from those that conflict",
  ignore: !hasField,
  fn: () =>
    playHistories(async (files, store) => {
      const run = await gridwatch("run", ...files, ...store, "--exit", "--json");
      assert.deepEqual(JSON.parse(run.stdout).duplicates, { identical: 93, conflicting: 3 });
      assert.match(run.stderr, /^duplicate: 93 identical, 3 conflicting/m);
      assert.deepEqual(await rows(DAYS, store), [
        { readings: 144, revised: 0, mwh: mwhOf(bothOf().first) },
      ]);
      // Each repeat finds what holds its slot: a row of Monday's, of that time and value.
      const found = await rows(
        `SELECT repeats, count(*) AS n, count(held_offset) AS held,
           sum(held_at = event_timestamp) AS same FROM duplicates GROUP BY 1 ORDER BY 1`,
        store,
      );
      assert.deepEqual(found, [
        { repeats: "conflicting", n: 3, held: 3, same: 3 },
        { repeats: "identical", n: 93, held: 93, same: 93 },
      ]);
    }),
});

Deno.test({
  name:
    "run with revisions: last changes a day's sum by the difference, and counts revisions apart",
  ignore: !hasField,
  fn: () =>
    playHistories(async (files, store, folder) => {
      await Deno.writeTextFile(`${folder}/config.yaml`, "revisions: last\n");
      const config = ["--config", `${folder}/config.yaml`];
      const run = await gridwatch("run", ...files, ...store, ...config, "--exit", "--json");
      const answer = JSON.parse(run.stdout);
      assert.deepEqual(answer.duplicates, { identical: 93, conflicting: 0 });
      assert.equal(answer.ledger.ok + answer.ledger.late, 147);
      assert.equal(answer.completeness_percent, 100);
      const { last } = bothOf();
      assert.deepEqual(await rows(DAYS, store), [
        { readings: 147, revised: 3, mwh: mwhOf(last) },
      ]);
      const current = await rows(
        "SELECT count(*) AS n, round(sum(consumption_kwh), 6) AS kwh FROM readings_current",
        store,
      );
      assert.deepEqual(current, [{ n: 144, kwh: mwhOf(last) / 1e6 }]);
      assert.equal((await rows("SELECT * FROM revisions", store)).length, 3);
      assert.equal((await gridwatch("verify", ...store)).code, 0);
    }),
});

Deno.test({
  name: "run of a history sent again later shows what is too late as repeats and revisions",
  ignore: !hasField,
  fn: () =>
    playHistories(async ([monday, tuesday], store) => {
      for (const file of [monday, tuesday]) {
        assert.equal((await gridwatch("run", file, ...store, "--exit", "--quiet")).code, 0);
      }
      const counts = "SELECT repeats, count(*) AS n FROM late_revisions GROUP BY 1 ORDER BY 1";
      const late = await rows(counts, store);
      const repeats = await rows(counts.replace("late_revisions", "duplicates"), store);
      const sum = (name: string) =>
        [...late, ...repeats].filter((row) => row.repeats === name)
          .reduce((total, row) => total + Number(row.n), 0);
      assert.deepEqual([sum("identical"), sum("conflicting")], [93, 3]);
      assert.ok(late.some((row) => row.repeats === "identical"));
    }),
});
