/** Workbooks, Parquet files and archives are read as what is in them, by audit and run alike. */
import assert from "node:assert/strict";
import { gzipSync, strToU8, zipSync } from "fflate";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { type Cell, PARQUET, workbook } from "./packed_files.ts";

/** Days from 1899-12-30 to 2024-01-01. */
const DAY = 45_292;
const HALF_HOURS = 48;

/** Half hours of a day; those whose number is left out are not there. */
function readings(leftOut: readonly number[] = []): Cell[][] {
  return Array.from({ length: HALF_HOURS }, (_, n): Cell[] => [
    "Meter 1, north",
    { days: DAY + n / HALF_HOURS },
    0.5 + n / 100,
  ]).filter((_, n) => !leftOut.includes(n));
}

const HEADER: Cell[] = ["meter_id", "timestamp", "consumption_kwh"];

async function told(content: Uint8Array, name: string, ...args: string[]) {
  const told = { audit: { code: -1, stdout: "", stderr: "" }, run: { code: -1, stdout: "" } };
  await inFolder(async (folder) => {
    const path = `${folder}/${name}`;
    await Deno.writeFile(path, content);
    told.audit = await gridwatch("audit", path, "--json", ...args);
    const store = `${folder}/store`;
    told.run = await gridwatch("run", path, "--exit", "--json", "--data", store, ...args);
  });
  const { code, stdout, stderr } = told.audit;
  return {
    code,
    stderr,
    answer: stdout === "" ? null : JSON.parse(stdout),
    run: told.run.stdout === "" ? null : JSON.parse(told.run.stdout),
  };
}

Deno.test("A workbook's sheet is read: dates by their format, below lines of text, by its rows", async () => {
  const rows = [["Export of 2024"], null, HEADER, ...readings([5, 6]), [
    "Meter 1, north",
    "never",
    1,
  ]];
  const { code, answer, run, stderr } = await told(workbook({ Readings: rows }), "b.xlsx");
  assert.equal(code, 0, stderr);
  assert.deepEqual([answer.rows, answer.accepted, answer.missing_intervals], [47, 46, 2]);
  assert.equal(answer.series[0].meter_id, "Meter 1, north");
  assert.deepEqual([answer.from, answer.to], ["2024-01-01T00:00:00Z", "2024-01-01T23:30:00Z"]);
  assert.match(answer.decided.format.evidence, /^a sheet of an Excel workbook; line 3:/);
  // The last row is the sheet's 50th: three before the readings, of which two are left out.
  assert.match(stderr, /first in .*b\.xlsx\/Readings:50: never/);
  assert.deepEqual([run.ledger.ok, run.gaps.CLOSED], [46, { gaps: 1, missing_intervals: 2 }]);
});

Deno.test("Of a workbook's sheets those with readings are read, and it is told which are not", async () => {
  const about = [["Dear customer"], ["your data are overleaf"]];
  const hidden = [HEADER, ["other", { days: DAY }, 1]];
  const content = workbook({ About: about, Data: [HEADER, ...readings()], Old: hidden }, {
    hidden: ["Old"],
  });
  const { answer, stderr } = await told(content, "b.xlsx");
  assert.deepEqual([answer.rows, answer.series_count], [48, 1]);
  assert.match(stderr, /note: passed over: Cannot read ".*b\.xlsx\/About"/);
  const { code, stderr: none } = await told(workbook({ About: about }), "b.xlsx");
  assert.equal(code, 1);
  assert.match(none, /^error: Cannot read ".*b\.xlsx\/About"/m);
});

Deno.test("A workbook with dates from 1904 on has the same days, and one meter its file's name", async () => {
  const rows = readings().map(([, at, kwh]) => [
    { days: (at as { days: number }).days - 1462 },
    kwh,
  ]);
  const { answer } = await told(
    workbook({ "Sheet 1": [["Time", "kWh"], ...rows] }, { is1904: true }),
    "House 7.xlsx",
  );
  assert.equal(answer.from, "2024-01-01T00:00:00Z");
  assert.deepEqual([answer.rows, answer.series[0].meter_id], [48, "House 7"]);
});

Deno.test("Parquet is read, however it is compressed; nested columns are left out", async () => {
  for (const [name, content] of Object.entries(PARQUET)) {
    const { code, answer, run } = await told(content, `${name}.parquet`);
    assert.equal(code, 0, name);
    assert.deepEqual([answer.rows, answer.series_count, answer.missing_intervals], [96, 2, 0]);
    assert.equal(answer.from, "2024-01-01T00:00:00Z");
    assert.match(answer.decided.format.evidence, /^a Parquet file/);
    assert.equal(run.ledger.ok, 96);
    const isLocal = answer.warnings.some(({ code }: { code: string }) => code === "no_offset");
    assert.equal(isLocal, name !== "utc", "times in UTC are written so");
  }
});

const TEXT = "Zähler;Zeit;kWh\n" +
  Array.from({ length: 48 }, (_, n) => `Z1;0${1 + n % 2}.01.2024 1${n % 9}:00;0,${n}5`).join("\n");
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

Deno.test("A zip of several files, a gzip, and another encoding within either are read", async () => {
  const table = "meter_id,timestamp,consumption_kwh\n" +
    Array.from({ length: 24 }, (_, n) => `A,2024-01-01 ${String(n).padStart(2, "0")}:00,1`)
      .join("\n");
  const other = table.replaceAll("A,", "B,");
  const zip = await told(zipSync({ "a.csv": strToU8(table), "in/b.csv": strToU8(other) }), "c.zip");
  assert.deepEqual([zip.answer.rows, zip.answer.series_count, zip.run.ledger.ok], [48, 2, 48]);
  const gzip = await told(gzipSync(strToU8(table)), "a.csv.gz");
  assert.deepEqual([gzip.answer.rows, gzip.run.ledger.ok], [24, 24]);
  const german = await told(
    zipSync({ "z.csv": latin1(TEXT) }),
    "z.zip",
    "--meter-column",
    "Zähler",
    "--time-column",
    "Zeit",
    "--date-order",
    "dmy",
  );
  assert.equal(german.code, 0, german.stderr);
  const { encoding, decimal, delimiter } = german.answer.decided;
  assert.deepEqual([encoding.value, decimal.value, delimiter.value], [
    "windows-1252",
    "comma",
    ";",
  ]);
});
