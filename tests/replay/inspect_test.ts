import assert from "node:assert/strict";
import { inspectFiles } from "../../src/replay/inspect.ts";
import type { Inspection, ReplayOptions } from "../../src/replay/records.ts";
import { HEADER, inDirectory, PLAIN, writeFiles } from "./fixture.ts";

function inspectTexts(
  files: readonly string[],
  options: Partial<ReplayOptions> = {},
): Promise<Inspection> {
  return inDirectory((directory) =>
    inspectFiles(writeFiles(directory, files), { ...PLAIN, ...options })
  );
}

Deno.test("inspectFiles() counts rows and finds the span and the order of each file", async () => {
  const inspection = await inspectTexts([
    `${HEADER}a,2013-01-01,1\na,2013-01-02,1\n`,
    `${HEADER}a,2013-01-05,1\nb,2013-01-03,1\n\nb,2013-01-03,1\n`,
    HEADER,
  ]);
  assert.deepEqual(inspection.files.map((file) => [file.rows, file.isOrdered]), [
    [2, true],
    [3, false],
    [0, true],
  ]);
  assert.equal(inspection.rows, 5);
  assert.equal(inspection.isOrdered, false);
  assert.equal(inspection.firstEventTimeMs, Date.parse("2013-01-01"));
  assert.equal(inspection.lastEventTimeMs, Date.parse("2013-01-05"));
  assert.deepEqual(inspection.problems, []);
});

Deno.test("inspectFiles() finds no span in a file without rows", async () => {
  const inspection = await inspectTexts([HEADER]);
  assert.equal(inspection.rows, 0);
  assert.equal(inspection.firstEventTimeMs, null);
  assert.equal(inspection.lastEventTimeMs, null);
});

Deno.test("inspectFiles() counts each problem, with its first row", async () => {
  const header = "meter_id,timestamp,consumption_kwh,received_at\n";
  const rows = [
    "a,2013-01-01,1,",
    "a,2013/01/02,1,",
    "a,2099-01-01,1,",
    ",2013-01-03,1,",
    "a,2013-01-03,Null,",
    "a,2013-01-03,NaN,",
    "a,2013-01-04,.5,soon",
    "a,2013-01-04,1,2099-01-01",
    '"a,2013-01-05,1,',
  ];
  const inspection = await inspectTexts([header + rows.join("\n")]);
  assert.equal(inspection.rows, 9);
  assert.equal(inspection.futureRows, 1);
  assert.equal(inspection.unusableTimestampRows, 1);
  assert.equal(inspection.lastEventTimeMs, Date.parse("2013-01-04"));
  assert.deepEqual(
    inspection.problems.map(({ problem, rows, line, example }) => ({
      problem,
      rows,
      line,
      example,
    })),
    [
      { problem: "no usable timestamp", rows: 1, line: 3, example: "2013/01/02" },
      { problem: "dated after now", rows: 1, line: 4, example: "2099-01-01" },
      { problem: "no meter", rows: 1, line: 5, example: "2013-01-03" },
      { problem: "no usable value", rows: 2, line: 6, example: "Null" },
      { problem: "no usable received_at", rows: 1, line: 8, example: "soon" },
      { problem: "received after now", rows: 1, line: 9, example: "2099-01-01" },
      {
        problem: "too long, or with a quote that never closes",
        rows: 1,
        line: 10,
        example: '"a,2013-01-05,1,',
      },
    ],
  );
});

Deno.test("inspectFiles() judges the order by received_at, as the replay does", async () => {
  const header = "meter_id,timestamp,consumption_kwh,received_at\n";
  const rows = "a,2013-01-02,1,2013-01-02\na,2013-01-01,1,2013-01-03\n";
  assert.equal((await inspectTexts([header + rows])).isOrdered, true);
});

Deno.test("inspectFiles() takes the columns it is told", async () => {
  const columns = { meter: "MPAN", time: "when", value: "used" };
  assert.equal((await inspectTexts(["when,used,MPAN\n2013-01-01,1,a\n"], { columns })).rows, 1);
});

Deno.test("inspectFiles() says what is wrong with a file that cannot be replayed", async () => {
  await inDirectory(async (directory) => {
    const write = (name: string, content: Uint8Array) =>
      Deno.writeFileSync(`${directory}/${name}`, content);
    write("empty.csv", new Uint8Array(0));
    write("binary.csv", crypto.getRandomValues(new Uint8Array(60_000)).fill(0, 100, 200));
    write("other.csv", new TextEncoder().encode("a,b\n1,2\n"));
    const table: [string, string][] = [
      ["missing.csv", "there is no such file"],
      ["empty.csv", "it is empty"],
      ["binary.csv", "it is a binary file, not CSV"],
      ["other.csv", 'no meter, no time and no value column: found "a", "b"'],
      ["", "it is not a file"],
    ];
    for (const [name, message] of table) {
      const path = `${directory}/${name}`;
      await assert.rejects(inspectFiles([path], PLAIN), {
        name: "ReadError",
        message: `Cannot read "${path}": ${message}`,
      });
    }
  });
});

const LONDON = new URL("../../../shared/data/london/", import.meta.url).pathname;
const hasLondon = (() => {
  try {
    return Deno.statSync(LONDON).isDirectory;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "inspectFiles() finds the one unusable row of the real London file",
  ignore: !hasLondon,
  fn: async () => {
    const path = `${LONDON}raw_MAC000002_datastore_format.csv`;
    const inspection = await inspectFiles([path], PLAIN);
    assert.equal(inspection.rows, 24_158);
    assert.equal(inspection.isOrdered, true);
    const [problem] = inspection.problems;
    assert.deepEqual([problem.problem, problem.rows, problem.example], [
      "no usable value",
      1,
      "Null",
    ]);
  },
});
