import assert from "node:assert/strict";
import { reportOf } from "../../src/audit/html/report_html.ts";
import {
  type DayRow,
  fittingRows,
  newReportNotes,
  noteSeries,
  SLOTS,
} from "../../src/audit/report_notes.ts";
import { auditTexts } from "./audit_texts.ts";

const HEADER = "meter_id,timestamp,consumption_kwh\n";

/** Half hours from a time on; those left out are not there. */
function halfHours(id: string, count: number, isLeftOut: (n: number) => boolean): string {
  const from = Date.parse("2024-01-01T00:00:00Z");
  return Array.from({ length: count }, (_, n) => {
    const at = new Date(from + n * 1_800_000).toISOString();
    return isLeftOut(n) ? "" : `${id},${at},${n % 48 === 36 ? 1 : 0.25}\n`;
  }).join("");
}

async function reportOfTexts(texts: readonly string[]) {
  const notes = newReportNotes();
  const audited = await auditTexts(
    texts,
    {},
    100,
    (series, readings, zone) => noteSeries(notes, series, readings, zone),
  );
  const facts = { ...audited, files: ["a.csv"], notes, target: 100, maker: "Gridwatch 1" };
  return { notes, html: reportOf(facts) };
}

Deno.test("noteSeries() says of each day whether it is there, and how much is taken over a day", async () => {
  const isOut = (n: number) => n >= 48 && n < 96 || n === 100;
  const { notes } = await reportOfTexts([HEADER + halfHours("A", 48 * 7, isOut)]);
  assert.deepEqual(notes.rows.map(({ name, days }) => `${name} ${days}`), ["A jaij4"]);
  const { sumsKw, counts } = notes.shape;
  // 2024-01-01 was a Monday; of five weekdays one is missing.
  assert.equal(sumsKw[36] / counts[36], 2);
  assert.equal(counts[36], 4);
  assert.equal(sumsKw[SLOTS + 35] / counts[SLOTS + 35], 0.5);
  assert.equal(counts[SLOTS + 35], 2);
});

Deno.test("reportOf() is one page that needs nothing else, whatever stands in the file", async () => {
  const id = `"<img src=x onerror=alert(1)>""</script><script>alert(2)</script>"`;
  const { html } = await reportOfTexts([
    HEADER + halfHours(id, 96, (n) => n === 50) + `${id},<b>never</b>,1\n${id},2024-01-01,Null\n`,
  ]);
  assert.doesNotMatch(html, /<img|<b>never|alert\(2\)<\/script/);
  assert.equal(html.match(/<script/g)?.length, 2);
  assert.equal(html.match(/<\/script>/g)?.length, 2);
  assert.doesNotMatch(html, /<[^>]*(src|href)=|url\(|@import|https?:\/\//);
  assert.match(html, /✕ Fail/);
  assert.match(html, /BAD_TIMESTAMP<\/td><td class="n">1<\/td><td class="wide">97</);
  assert.match(html, /BAD_VALUE<\/td><td class="n">1<\/td><td class="wide">98</);
  assert.match(html, /1 gap, 1/);
});

Deno.test("fittingRows() shows each of many series, or neighbours as one where they are too many", () => {
  const rows = (days: string): DayRow[] =>
    Array.from({ length: 5000 }, (_, n) => ({ name: `M${n}`, from: 0, days, share: n / 5000 }));
  assert.equal(fittingRows(rows("j365"), 1_200_000).length, 5000);
  const odd = fittingRows(rows("je".repeat(182) + "j"), 1_200_000);
  assert.ok(odd.length < 5000 && odd.length >= 1250);
  assert.ok(odd.reduce((sum, { days }) => sum + days.length, 0) < 1_200_000);
  assert.equal(odd[0].name, "M0 … M1");
  assert.equal(odd[0].days.slice(0, 4), "jeje");
  const apart = fittingRows([
    { name: "A", from: 0, days: "j2", share: 1 },
    { name: "B", from: 4, days: "a", share: 0 },
  ], 50);
  assert.deepEqual(apart.map(({ name, days, from }) => [name, days, from]), [[
    "B … A",
    "j2-2a",
    0,
  ]]);
});
