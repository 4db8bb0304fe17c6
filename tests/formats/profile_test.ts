/** Files of each profile, from their text to their readings. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { hasField } from "../field/play.ts";

const SHARED = new URL("../../../shared/data/", import.meta.url).pathname;

type Answer = {
  readonly rows: number;
  readonly accepted: number;
  readonly missing_intervals: number;
  readonly from: string;
  readonly to: string;
  readonly decided: Record<string, { readonly value: string | null; readonly evidence: string }>;
  readonly rejected: Record<string, number>;
  readonly warnings: { readonly code: string }[];
  readonly duplicates: { readonly identical: number; readonly conflicting: number };
  readonly series: {
    readonly meter_id: string;
    readonly channel: string | null;
    readonly present: number;
    readonly missing: number;
  }[];
};

async function answerOf(path: string, ...options: string[]): Promise<Answer> {
  const { stdout, stderr } = await gridwatch("audit", path, "--json", ...options);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/** Audits a file of this content. */
async function audit(content: string | Uint8Array, name: string, ...options: string[]) {
  let answer: Answer | null = null;
  await inFolder(async (folder) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
    answer = await answerOf(`${folder}/${name}`, ...options);
  });
  return answer! as Answer;
}

/** Rows of a day, one each so many minutes. */
function rows(minutes: number, row: (hour: string, minute: string, n: number) => string): string {
  return Array.from({ length: 1440 / minutes }, (_, n) => {
    const at = n * minutes;
    const two = (number: number) => String(number).padStart(2, "0");
    return row(two(Math.floor(at / 60)), two(at % 60), n);
  }).join("\n") + "\n";
}

Deno.test("ESB: two registers interleaved, newest first, labels at the end, Irish time", async () => {
  const lines = rows(30, (h, m) =>
    `100,S1,0.5,Active Import Interval (kW),02-07-2023 ${h}:${m}\n` +
    `100,S1,0.1,Active Export Interval (kW),02-07-2023 ${h}:${m}`).trimEnd().split("\n")
    .toReversed().join("\n");
  const header = "MPRN,Meter Serial Number,Read Value,Read Type,Read Date and End Time\n";
  const answer = await audit(header + lines, "hdf.csv");
  assert.deepEqual(
    answer.series.map(({ meter_id, channel, present }) => [meter_id, channel, present]).sort(),
    [["100", "export", 48], ["100", "import", 48]],
  );
  assert.equal(answer.from, "2023-07-01T22:30:00Z");
  assert.match(answer.decided.format.evidence, /unverified/);
});

Deno.test("Datadis: hours from 01:00 to 24:00, decimal comma, complete days", async () => {
  const day = rows(60, (h) => `ES1;2023/06/01;${String(Number(h) + 1).padStart(2, "0")}:00;0,25;R`);
  const answer = await audit("cups;fecha;hora;consumo_kWh;metodoObtencion\n" + day, "d.csv");
  assert.deepEqual([answer.rows, answer.accepted, answer.missing_intervals], [24, 24, 0]);
  assert.equal(answer.from, "2023-05-31T22:00:00Z");
  assert.equal(answer.decided.decimal.value, "comma");
});

Deno.test("Fluvius: registers in rows, day first, decimal comma", async () => {
  const header = "Van (datum);Van (tijdstip);Tot (datum);Tot (tijdstip);EAN-code;Meter;Register;" +
    "Volume;Eenheid;Validatiestatus\n";
  const day = rows(
    15,
    (h, m) => `15-06-2023;${h}:${m}:00;x;x;="541";1;Afname Dag;0,021;kWh;Gevalideerd`,
  );
  const answer = await audit(header + day, "f.csv");
  assert.deepEqual(answer.series.map(({ meter_id, channel }) => [meter_id, channel]), [[
    "541",
    null,
  ]]);
  assert.equal(answer.from, "2023-06-14T22:00:00Z");
});

Deno.test("Green Button CSV: a preamble, month first, a unit a row", async () => {
  const preamble = "Name,X\nAddress,Y\nAccount Number,123\nService,Service 1\n\n";
  const header = "TYPE,DATE,START TIME,END TIME,USAGE,UNITS,COST,NOTES\n";
  const day = rows(15, (h, m) => `Electric usage,2023-01-31,${h}:${m},${h}:${m},250,Wh,$0.1,`);
  const answer = await audit(preamble + header + day, "g.csv");
  assert.deepEqual([answer.rows, answer.accepted], [96, 96]);
  assert.equal(answer.series[0].meter_id, "123");
  assert.equal(answer.decided.unit.value, "Wh");
});

Deno.test("Octopus: one meter, named for its file; --meter-id names another", async () => {
  const text = "Consumption (kwh), Start, End\n" +
    rows(30, (h, m) => `0.1, 2023-06-01T${h}:${m}:00+01:00, x`);
  assert.equal((await audit(text, "my house.csv")).series[0].meter_id, "my house");
  assert.equal((await audit(text, "a.csv", "--meter-id", "M7")).series[0].meter_id, "M7");
});

Deno.test("what cannot be decided is asked for by its option, never guessed", async () => {
  const dates = "meter_id;timestamp;kwh\n" + rows(60, (h) => `A;03/04/2023 ${h}:00;1,250`);
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.csv`, dates);
    const path = `${folder}/a.csv`;
    const first = await gridwatch("audit", path);
    assert.equal(first.code, 1);
    assert.match(first.stderr, /thousands\nhint: say it: --decimal/);
    const second = await gridwatch("audit", path, "--decimal", ",");
    assert.match(second.stderr, /day first, or month first\nhint: say it: --date-order/);
    const { from, rows } = await answerOf(path, "--decimal", ",", "--date-order", "dmy");
    assert.deepEqual([from, rows], ["2023-04-03T00:00:00Z", 24]);
  });
});

Deno.test("a stray quote, cp1252, gzip and a header further down cost nothing else", async () => {
  const table = "Zählpunkt;timestamp;kwh\n" + rows(30, (h, m) => `Z1;2023-06-01 ${h}:${m};0,5`);
  const latin = Uint8Array.from(`Netz: Süd\n\n${table}`, (char) => char.charCodeAt(0));
  const named = ["--meter-column", "Zählpunkt"];
  const answer = await audit(latin, "z.csv", ...named);
  assert.deepEqual([answer.rows, answer.decided.encoding.value], [48, "windows-1252"]);
  const packed = await audit(new Uint8Array(gzipSync(latin)), "z.csv.gz", ...named);
  assert.deepEqual(packed.series[0].present, 48);
  const stray = "meter_id,timestamp,kwh\n" +
    rows(30, (h, m, n) => `${n === 9 ? '"A' : "A"},2023-06-01 ${h}:${m},0.5`);
  const { rows: count, accepted, rejected } = await audit(stray, "s.csv");
  assert.deepEqual([count, accepted, rejected], [48, 47, { MALFORMED: 1 }]);
});

Deno.test("a gzip file that is cut ends in a message, and so does a zip without its directory", async () => {
  await inFolder(async (folder) => {
    const text = "meter_id,timestamp,kwh\n" + rows(1, (h, m, n) => `A,2023-06-01 ${h}:${m},${n}.5`);
    const whole = new Uint8Array(gzipSync(text.repeat(200)));
    await Deno.writeFile(`${folder}/a.csv.gz`, whole.subarray(0, whole.length - 100));
    const { code, stderr } = await gridwatch("audit", `${folder}/a.csv.gz`);
    assert.equal(code, 1);
    assert.match(stderr, /its gzip data end too early/);
    await Deno.writeFile(`${folder}/a.zip`, new TextEncoder().encode("PK\x03\x04cut"));
    const zip = await gridwatch("audit", `${folder}/a.zip`);
    assert.match(zip.stderr, /its directory is missing: it ends too early/);
  });
});

Deno.test("gridwatch formats lists every format, and says what a file is taken for and why", async () => {
  const { stdout } = await gridwatch("formats");
  assert.match(stdout, /\nesb-hdf .*\(unverified\)/);
  const { stdout: json } = await gridwatch("formats", "--json");
  assert.ok(JSON.parse(json).every(({ name, about }: Record<string, string>) => name && about));
  const sample = new URL("../../data/sample/london_MAC000002.csv", import.meta.url).pathname;
  const told = await gridwatch("formats", sample, "--json");
  assert.equal(JSON.parse(told.stdout).decided.format.value, "csv");
});

Deno.test({
  name: "the real files: UCI's two meters, Ausgrid's two registers, the field cases of formats",
  ignore: !hasField,
  fn: async () => {
    const uci = await answerOf(`${SHARED}uci/uci_wide_rebuilt_MT208_MT210_2014-03-16_04-12.txt`);
    assert.deepEqual(
      uci.series.map(({ meter_id, present, missing }) => [meter_id, present, missing]),
      [["MT_208", 2688, 0], ["MT_210", 2688, 0]],
    );
    const ausgrid = await answerOf(`${SHARED}ausgrid/customer12_2011-2012.csv`);
    assert.deepEqual(
      ausgrid.series.map(({ channel, present, missing }) => [channel, present, missing]),
      [["GC", 17_568, 0], ["GG", 17_568, 0]],
    );
    const enedis = await answerOf(`${SHARED}field/05-enedis-two-headers.csv`);
    assert.deepEqual([enedis.rows, enedis.decided.unit.value], [48, "W"]);
    assert.ok(enedis.warnings.some(({ code }) => code === "damaged_ids"));
    const sdge = await answerOf(`${SHARED}field/06-sdge-preamble.csv`);
    assert.deepEqual([sdge.rows, sdge.rejected], [24, { NEGATIVE: 11 }]);
    const two = await answerOf(`${SHARED}field/16-two-channels.csv`);
    assert.deepEqual(two.series.map(({ present }) => present), [96, 96]);
    const wide = await answerOf(`${SHARED}field/18-wide.csv`);
    assert.deepEqual([wide.rows, wide.missing_intervals], [144, 0]);
  },
});
