import assert from "node:assert/strict";
import { assertAnswer } from "../schemas.ts";
import { gridwatch, inFolder } from "./command_line.ts";

const NAMES = [
  ...["expected", "valid", "completeness", "completeness_by_kwh", "gaps", "open_gaps"],
  ...["silent_meters", "mean_minutes_to_recover", "p95_minutes_to_recover", "estimated_share"],
  ...["not_estimated", "error_budget_used", "burn_rate_1h", "burn_rate_6h", "timeliness"],
  "latency_seconds",
];

Deno.test("kpi tells the key figures of a store, as a table, as CSV and as JSON", async (t) => {
  await inFolder(async (folder) => {
    const lines = ["meter_id,timestamp,consumption_kwh,received_at"];
    for (let slot = 0; slot < 96; slot++) {
      if (slot === 20 || slot === 21) continue;
      const [time, received] = [0, 35].map((minutes) =>
        new Date(Date.UTC(2024, 0, 1) + (slot * 30 + minutes) * 60_000).toISOString()
      );
      lines.push(`M1,${time},0.5,${received}`);
    }
    await Deno.writeTextFile(`${folder}/x.csv`, `${lines.join("\n")}\n`);
    const store = ["--data", `${folder}/store`];
    const run = await gridwatch("run", `${folder}/x.csv`, "--exit", "--quiet", ...store);
    assert.equal(run.code, 0, run.stderr);
    await t.step("--json has every figure by its name", async () => {
      const { code, stdout } = await gridwatch("kpi", "--json", ...store);
      assert.equal(code, 0);
      const answer = JSON.parse(stdout);
      assert.deepEqual(Object.keys(answer), NAMES);
      await assertAnswer("kpi.json", answer);
      assert.deepEqual([answer.expected, answer.valid, answer.gaps], [96, 94, 1]);
      assert.deepEqual(answer.latency_seconds, { p50: 300, p95: 300, p99: 300 });
      assert.equal(answer.error_budget_used, Math.round(2 / (0.005 * 96) * 1e6) / 1e6);
    });
    await t.step("the target is a setting", async () => {
      await Deno.writeTextFile(
        `${folder}/c.yaml`,
        "kpi:\n  completeness_target_percent: 90\n",
      );
      const args = ["--json", "--config", `${folder}/c.yaml`, ...store];
      const { stdout } = await gridwatch("kpi", ...args);
      assert.equal(JSON.parse(stdout).error_budget_used, Math.round(2 / (0.1 * 96) * 1e6) / 1e6);
    });
    await t.step("--by day is a line a day, of a span the days within", async () => {
      const { stdout } = await gridwatch("kpi", "--by", "day", "--csv", ...store);
      const [header, ...days] = stdout.trim().split("\n");
      assert.match(header, /^day,expected,valid,.*timeliness\.6,.*latency_seconds\.p99$/);
      assert.deepEqual(days.map((line) => line.split(",").slice(0, 3)), [
        ["2024-01-01", "48", "46"],
        ["2024-01-02", "48", "48"],
      ]);
      const span = await gridwatch(
        "kpi",
        "--by",
        "day",
        "--json",
        "--from",
        "2024-01-02",
        ...store,
      );
      const answer = JSON.parse(span.stdout);
      await assertAnswer("kpi.json", answer);
      assert.deepEqual(answer.map(({ day }: { day: string }) => day), ["2024-01-02"]);
      const meters = await gridwatch("kpi", "--by", "meter", ...store);
      assert.match(meters.stdout, /^M1 +96 +94 /m);
    });
    await t.step("what cannot be used is refused", async () => {
      for (const args of [["--by", "week"], ["--from", "2024-02-31x"], ["--json", "--csv"]]) {
        assert.equal((await gridwatch("kpi", ...args, ...store)).code, 2, args.join(" "));
      }
    });
  });
});
