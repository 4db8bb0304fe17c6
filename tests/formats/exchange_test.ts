/** NEM12, NEM13 and Green Button, from their files to their readings. */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { hasField } from "../field/play.ts";

const SHARED = new URL("../../../shared/data/", import.meta.url).pathname;
const NEM = `${SHARED}nem12/nem-reader-examples/`;

async function auditOf(...args: string[]) {
  const { code, stdout, stderr } = await gridwatch("audit", "--json", ...args);
  return { code, stderr, answer: stdout === "" ? null : JSON.parse(stdout) };
}

const values = (count: number, value = "1.5") => Array(count).fill(value).join(",");
const HEADER = "100,NEM12,202401010000,A,B\n";

async function auditText(text: string, name = "a.csv") {
  let ended: Awaited<ReturnType<typeof auditOf>> | null = null;
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    ended = await auditOf(`${folder}/${name}`);
  });
  return ended! as Awaited<ReturnType<typeof auditOf>>;
}

Deno.test("NEM12: each register is a series in the market's time, in any order of days, in kWh", async () => {
  const { code, answer } = await auditText(
    HEADER + "200,N1,E1B1,E1,E1,N1,M,Wh,30,\n" +
      `300,20240103,${values(48, "500")},A,,,20240104,\n300,20240102,${values(48)},A,,,,\n` +
      `200,N1,E1B1,B1,B1,N1,M,kWh,15,\n300,20240102,${values(96)},V,,,,\n` +
      "400,1,40,A,,\n400,41,96,S14,32,\n900\n",
  );
  assert.equal(code, 0);
  assert.deepEqual(
    answer.series.map((
      one: Record<string, unknown>,
    ) => [one.meter_id, one.channel, one.interval_minutes, one.present, one.missing]),
    [["N1", "E1", 30, 96, 0], ["N1", "B1", 15, 96, 0]],
  );
  assert.equal(answer.from, "2024-01-01T14:00:00Z");
  assert.deepEqual(answer.days, { complete: 3, partial: 0, missing: 0 });
});

Deno.test("NEM12: what breaks the rules is told with record, line and counts, and the rest is read", async () => {
  const stream = "200,N1,E1,E1,E1,N1,M,kWh,30,\n";
  const day = `300,20240102,${values(48)},A,,,,\n`;
  const table: [string, RegExp, number][] = [
    [
      `${HEADER}${stream}300,20240101,${values(47)},A,,,,\n${day}900\n`,
      /line 3, record 300: 48 values expected, 47 found/,
      48,
    ],
    [
      `${HEADER}${stream}300,20240101,${values(96)},A,,,,\n${day}900\n`,
      /line 3, record 300: 48 values expected, 96 found/,
      48,
    ],
    [`${HEADER}${day}${stream}${day}900\n`, /line 2, record 300: no usable record 200/, 48],
    [
      `${HEADER}${stream}300,20240102,${values(48)},V,,,,\n400,1,24,A,,\n900\n`,
      /line 4, record 400: qualities of 48 intervals expected, of 24 found/,
      48,
    ],
    [
      `${HEADER}${stream.replace(",30,", ",31,")}${day}900\n`,
      /line 2, record 200: an interval length/,
      0,
    ],
  ];
  for (const [text, reason, rows] of table) {
    const { code, stderr, answer } = await auditText(text);
    assert.equal(code, 1, text);
    assert.match(stderr, reason);
    assert.equal(stderr.match(/^error: /gm)?.length, 1);
    assert.deepEqual([answer.rows, answer.verdict.pass], [rows, false]);
  }
});

Deno.test("NEM12 without a header is read, and that is told", async () => {
  const { code, stderr, answer } = await auditText(
    `\n200,N1,E1,E1,E1,N1,M,KWH,30,\n300,20240101,${values(48)},A,,,,\n900\n`,
  );
  assert.deepEqual([code, answer.accepted], [0, 48]);
  assert.match(stderr, /its header \(record 100\) is missing; read all the same/);
});

Deno.test("run takes a NEM12 file as audit does, a register a series", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/n.csv`;
    const day = (n: number) => `300,2024010${n},${values(48)},A,,,,\n`;
    await Deno.writeTextFile(
      path,
      `${HEADER}200,N1,E1B1,E1,E1,N1,M,kWh,30,\n${day(1)}${day(3)}` +
        `200,N1,E1B1,B1,B1,N1,M,kWh,30,\n${day(1)}900\n`,
    );
    const { code, stdout } = await gridwatch(
      "run",
      path,
      "--exit",
      "--json",
      "--data",
      `${folder}/s`,
    );
    assert.equal(code, 0);
    const { ledger, meters, gaps } = JSON.parse(stdout);
    assert.deepEqual([ledger.ok, meters], [144, 2]);
    assert.deepEqual(gaps.CLOSED, { gaps: 1, missing_intervals: 48 });
    assert.equal((await auditOf(path)).answer.missing_intervals, 48);
  });
});

const feed = (prefix: string, power: number, intervals: string) => {
  const p = prefix === "" ? "" : `${prefix}:`;
  const xmlns = prefix === "" ? "xmlns" : `xmlns:${prefix}`;
  return `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">
<entry><link rel="self" href="/U/1"/><title>House</title><content><${p}UsagePoint ${xmlns}="http://naesb.org/espi"/></content></entry>
<entry><link rel="self" href="/U/1/MeterReading/1"/><link rel="related" href="/ReadingType/1"/><title>Fifteen</title><content><${p}MeterReading ${xmlns}="http://naesb.org/espi"/></content></entry>
<entry><link rel="self" href="/U/1/MeterReading/1/IntervalBlock/1"/><link rel="up" href="/U/1/MeterReading/1/IntervalBlock"/><content><${p}IntervalBlock ${xmlns}="http://naesb.org/espi">${
    intervals.replaceAll("<", `<${p}`).replaceAll(`<${p}/`, `</${p}`)
  }</${p}IntervalBlock></content></entry>
<entry><link rel="self" href="/ReadingType/1"/><content><${p}ReadingType ${xmlns}="http://naesb.org/espi"><${p}powerOfTenMultiplier>${power}</${p}powerOfTenMultiplier><${p}uom>72</${p}uom></${p}ReadingType></content></entry></feed>`;
};

Deno.test("Green Button: any prefix, a type that comes last, powers of ten", async () => {
  const interval = (n: number) =>
    `<IntervalReading><timePeriod><duration>900</duration><start>${
      1_704_067_200 + n * 900
    }</start>` +
    "</timePeriod><value>250</value></IntervalReading>";
  const intervals = Array.from({ length: 96 }, (_, n) => n === 40 ? "" : interval(n)).join("");
  for (const [prefix, power] of [["", 0], ["espi", 3], ["ns0", -3]] as const) {
    const { code, answer } = await auditText(feed(prefix, power, intervals), "g.xml");
    assert.equal(code, 0);
    assert.deepEqual([answer.rows, answer.missing_intervals], [95, 1]);
    assert.equal(answer.series[0].meter_id, "House");
  }
  const cut = feed("", 0, intervals);
  const { code, stderr, answer } = await auditText(cut.slice(0, cut.length >> 1), "g.xml");
  assert.equal(code, 1);
  assert.match(stderr, /error: Cannot read all of .*: line \d+: XML that can be read expected/);
  assert.equal(answer.rows, 0);
});

Deno.test({
  name: "the real exchange files give their counts",
  ignore: !hasField,
  fn: async () => {
    const table: [string, number, number][] = [
      ["nem12/nem-reader-examples/unzipped/Example_NEM12_multiple_meters.csv", 1152, 6],
      ["nem12/nem-reader-examples/unzipped/Example_NEM12_month_solar.csv", 17_856, 2],
      ["nem12/nem-reader-examples/unzipped/Example_WesternPower.csv", 192, 4],
      ["nem12/nem-reader-examples/Example_NEM12_ManyNMIs.zip", 57_024, 198],
      ["greenbutton/TestGBDataOneYearDailyBinnedMonthly.xml", 444, 1],
      ["greenbutton/TestGBDataHourlyNineDaysBinnedDaily.xml", 216, 1],
      ["greenbutton/cew821_sample.xml", 362, 1],
    ];
    for (const [path, rows, series] of table) {
      const { code, answer, stderr } = await auditOf(SHARED + path);
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        [answer.accepted, answer.series_count, answer.missing_intervals],
        [rows, series, 0],
        path,
      );
    }
    for (const { name } of Deno.readDirSync(`${NEM}nem12`)) {
      const { answer, stderr } = await auditOf(`${NEM}nem12/${name}`);
      assert.ok(answer.rows > 0 && answer.accepted > 0, `${name}: ${stderr}`);
    }
    for (const { name } of Deno.readDirSync(`${NEM}nem13`)) {
      const { answer, stderr } = await auditOf(`${NEM}nem13/${name}`);
      assert.ok(answer.rows > 0, `${name}: ${stderr}`);
    }
  },
});
