import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

const SAMPLE = new URL("../../data/sample/london_MAC000002.csv", import.meta.url).pathname;

Deno.test("gridwatch audit says what the sample is, as text, JSON, gaps and tables", async () => {
  await inFolder(async (folder) => {
    const gaps = `${folder}/gaps.csv`;
    const json = await gridwatch("audit", SAMPLE, "--json", "--gaps", gaps);
    assert.equal(json.code, 0);
    const answer = JSON.parse(json.stdout);
    assert.equal(answer.rows, 22_536);
    assert.deepEqual(answer.duplicates, { identical: 15, conflicting: 0 });
    assert.deepEqual([answer.missing_intervals, answer.gaps], [52, 5]);
    const lines = (await Deno.readTextFile(gaps)).trimEnd().split("\n");
    assert.equal(
      lines[0],
      "meter_id,channel,missing_from,missing_to,missing_intervals,gap_minutes",
    );
    assert.equal(lines.length, 6);
    assert.equal(lines[3], "MAC000002,,2012-11-08T00:30:00Z,2012-11-09T00:30:00Z,48,1440");
    const again = await gridwatch("audit", SAMPLE, "--gaps", gaps);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /it is there already\nhint: --force/);
    const html = `${folder}/report.html`;
    assert.equal((await gridwatch("audit", SAMPLE, "--html", html)).code, 0);
    assert.match(await Deno.readTextFile(html), /<h1>Audit of london_MAC000002\.csv<\/h1>/);
    assert.equal((await gridwatch("audit", SAMPLE, "--html", html)).code, 1);
    const text = await gridwatch("audit", SAMPLE, "--by", "day");
    assert.match(text.stdout, /^FAIL: gaps inside.*\n22,536 rows: 22,521 accepted, 15 identical/);
    assert.match(text.stdout, /\n2012-11-08 +1 +0 +1 +0\n/);
    const series = await gridwatch("audit", SAMPLE, "--by", "series");
    assert.match(series.stdout, /\nMAC000002 .* 22573 +22521 +52 +5 +99\.77/);
  });
});

Deno.test("gridwatch audit ends with 4 where a target is missed, and with 1 where nothing is usable", async () => {
  assert.equal((await gridwatch("audit", SAMPLE, "--target", "99.5")).code, 0);
  assert.equal((await gridwatch("audit", SAMPLE, "--target", "99.9")).code, 4);
  assert.equal((await gridwatch("audit", SAMPLE, "--target", "101")).code, 2);
  assert.equal((await gridwatch("audit")).code, 2);
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.csv`, "meter_id,timestamp,consumption_kwh\nA,x,1\n");
    const { code, stdout } = await gridwatch("audit", `${folder}/a.csv`);
    assert.equal(code, 1);
    assert.match(stdout, /^FAIL: no usable reading/);
    const { stderr } = await gridwatch("audit", folder);
    assert.match(stderr, /^error: Cannot read ".*": it is not a file/);
  });
});
