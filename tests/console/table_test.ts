import assert from "node:assert/strict";
import { formatCsv, formatJson, formatTable } from "../../src/console/table.ts";

const AT = new Date("2013-01-01T10:30:00Z");

Deno.test("formatTable() aligns text left and numbers right, under a header and a rule", () => {
  assert.equal(
    formatTable(["meter_id", "kwh", "status"], [["MAC000002", 0.219, "OK"], ["M1", 12n, "LATE"]]),
    [
      "meter_id     kwh  status",
      "─────────  ─────  ──────",
      "MAC000002  0.219  OK",
      "M1            12  LATE",
      "",
    ].join("\n"),
  );
});

Deno.test("formatTable() leaves null blank, and a column of numbers with nulls is still one of numbers", () => {
  assert.equal(
    formatTable(["a", "n"], [[null, null], ["x", 1], [undefined, 100]]),
    "a    n\n─  ───\n\nx    1\n   100\n",
  );
});

Deno.test("formatTable() takes numeric text for numbers, and one other text in the column undoes it", () => {
  const lastLine = (rows: unknown[][]) => formatTable(["numeric"], rows).split("\n")[2];
  assert.equal(lastLine([["1.50"]]), "   1.50");
  assert.equal(lastLine([["-1e+20"]]), " -1e+20");
  assert.equal(lastLine([["1.50"], ["n/a"]]), "1.50");
  assert.equal(lastLine([[""]]), "");
});

Deno.test("formatTable() writes times in Z, lists and objects as JSON, bytes as \\x, and 2^63 exactly", () => {
  const cellOf = (value: unknown) => formatTable(["c"], [[value]]).split("\n")[2];
  assert.equal(cellOf(AT), "2013-01-01T10:30:00Z");
  assert.equal(cellOf(new Date("2013-01-01T10:30:00.120Z")), "2013-01-01T10:30:00.120Z");
  assert.equal(cellOf(new Date(NaN)), "invalid date");
  assert.equal(cellOf(["NEGATIVE", "TIME_SHIFT"]), '["NEGATIVE","TIME_SHIFT"]');
  assert.equal(
    cellOf({ error: "BAD_VALUE", at: AT }),
    '{"error":"BAD_VALUE","at":"2013-01-01T10:30:00Z"}',
  );
  assert.equal(cellOf(new Uint8Array([0, 255])), "\\x00ff");
  assert.equal(cellOf(9223372036854775807n), "9223372036854775807");
  assert.equal(cellOf(true), "true");
  assert.equal(cellOf(NaN), "NaN");
});

Deno.test("formatTable() writes out what would move the cursor, colour the text or turn it round", () => {
  const table = formatTable(["a\nb"], [["x\ty\r\n\x1b[31mz\x00\u009b\u202e\u2028\u200b"]]);
  assert.equal(table.split("\n").length, 4);
  assert.equal(table.split("\n")[0], "a\\nb");
  assert.equal(table.split("\n")[2], "x\\ty\\r\\n\\u001b[31mz\\u0000\\u009b\\u202e\\u2028\\u200b");
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(table));
});

const linesOf = (text: string) => text.trimEnd().split("\n");

Deno.test("formatTable() too wide for the terminal is a record a row, with every cell whole", () => {
  const columns = ["time", "meter_id", "raw"];
  const rows = [
    [AT, "MTR000000001", "x".repeat(30)],
    [AT, "MTR000000002", null],
  ];
  const fits = formatTable(columns, rows);
  const width = linesOf(fits)[0].length + "x".repeat(30).length - "raw".length;
  assert.equal(formatTable(columns, rows, { widthMax: width }), fits);
  assert.equal(
    formatTable(columns, rows, { widthMax: width - 1 }),
    [
      "── 1 ─────────────────────────",
      "time      2013-01-01T10:30:00Z",
      "meter_id  MTR000000001",
      "raw       xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
      "── 2 ─────────────────────────",
      "time      2013-01-01T10:30:00Z",
      "meter_id  MTR000000002",
      "raw",
      "",
    ].join("\n"),
  );
});

Deno.test("formatTable() cuts nothing at any width, and keeps to one that takes a name and a value", () => {
  const words = "a reading too many words long for one line of any narrow terminal ".repeat(3)
    .trim();
  const rows = [["MAC000002", 123456.789, words, "y".repeat(90)], ["MAC000003", 0.1, "y", "z"]];
  const columns = ["meter_id", "consumption_kwh", "detail", "raw"];
  const cells = rows.flat().join("").replaceAll(" ", "");
  const countOf = (text: string, char: string) => text.split(char).length;
  for (const wrapped of [[], [2], [2, 3]]) {
    for (let widthMax = 40; widthMax < 320; widthMax++) {
      const table = formatTable(columns, rows, { widthMax, wrapped });
      const lines = linesOf(table);
      assert.ok(lines.every((line) => line.length <= widthMax), `${widthMax}\n${table}`);
      assert.ok(lines.some((line) => line.includes("123456.789")), `${widthMax}\n${table}`);
      for (const char of new Set(cells)) {
        assert.ok(countOf(table, char) >= countOf(cells, char), `${char} ${widthMax}\n${table}`);
      }
    }
  }
});

Deno.test("formatTable() breaks the sentences of a table between words, each under its header", () => {
  const rows = [[
    "Kafka reachable",
    "failed",
    "no broker answers",
    "is a broker at localhost:9092?",
  ]];
  assert.equal(
    formatTable(["check", "state", "found", "fix"], rows, { widthMax: 70, wrapped: [2, 3] }),
    [
      "check            state   found              fix",
      "───────────────  ──────  ─────────────────  ──────────────────────────",
      "Kafka reachable  failed  no broker answers  is a broker at",
      "                                            localhost:9092?",
      "",
    ].join("\n"),
  );
});

Deno.test("formatTable() breaks a word that is longer than a line, between characters", () => {
  const plug = "🔌".repeat(45);
  const lines = linesOf(formatTable(["c"], [[plug]], { widthMax: 23 }));
  assert.deepEqual(lines.slice(1), [
    `c  ${"🔌".repeat(20)}`,
    `   ${"🔌".repeat(20)}`,
    `   ${"🔌".repeat(5)}`,
  ]);
});

Deno.test("formatTable() takes a megabyte in one of fifty cells within its width", () => {
  const columns = Array.from({ length: 50 }, (_, i) => `column_${i}`);
  const rows = [columns.map((_, i) => i === 7 ? "z".repeat(1 << 20) : "a longer text")];
  for (const wrapped of [[], [7]]) {
    const lines = linesOf(formatTable(columns, rows, { widthMax: 400, wrapped }));
    assert.ok(lines.every((line) => line.length <= 400));
  }
});

Deno.test("formatTable() of no rows is the header and its rule; of no columns, two empty lines", () => {
  assert.equal(formatTable(["a", "bc"], []), "a  bc\n─  ──\n");
  assert.equal(formatTable([], []), "\n\n");
});

Deno.test("formatCsv() quotes what RFC 4180 asks for, ends lines with LF, and tells null from empty", () => {
  assert.equal(
    formatCsv(["id", "a,b"], [
      ["x", 'say "hi"'],
      ["line\nbreak", "cr\r"],
      [null, ""],
      [undefined, " blank "],
      [AT, 12345678901234567890n],
      [false, ["a", "b"]],
    ]),
    'id,"a,b"\n' +
      'x,"say ""hi"""\n' +
      '"line\nbreak","cr\r"\n' +
      ',""\n' +
      ", blank \n" +
      "2013-01-01T10:30:00Z,12345678901234567890\n" +
      'false,"[""a"",""b""]"\n',
  );
});

Deno.test("formatCsv() puts an apostrophe before a text that a spreadsheet would run, never a number", () => {
  const runs = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a"];
  const csvOf = (cell: unknown, options = {}) =>
    formatCsv(["c"], [[cell]], options).slice(2, -1).replace(/^"([^]*)"$/, "$1");
  for (const text of runs) {
    assert.equal(csvOf(text), `'${text}`);
    assert.equal(csvOf(text, { isRaw: true }), text);
    assert.equal(formatCsv([text], []).replaceAll('"', ""), `'${text}\n`);
    assert.equal(formatCsv([text], [], { isRaw: true }).replaceAll('"', ""), `${text}\n`);
  }
  for (const text of ["M1=", " =1", "a-1", "1+1", "'", "|", ""]) assert.equal(csvOf(text), text);
  for (const number of [-1, -1.5e300, -12n, -Infinity]) assert.equal(csvOf(number), `${number}`);
  assert.equal(csvOf("-1.50", { areNumbers: [true] }), "-1.50");
  assert.equal(csvOf("-1.50", { areNumbers: [false] }), "'-1.50");
  assert.equal(csvOf(null), "");
});

Deno.test("formatJson() is JSON that reads back, with null, times, bigints and NaN in it", () => {
  const columns = ["at", "n", "big", "huge", "nan", "none", "tags", "raw", "text"];
  const row = [
    AT,
    0.1,
    12n,
    9223372036854775807n,
    -Infinity,
    undefined,
    { at: AT, n: 1n },
    new Uint8Array([1, 2]),
    'a"\n',
  ];
  assert.deepEqual(JSON.parse(formatJson(columns, [row])), [{
    at: "2013-01-01T10:30:00Z",
    n: 0.1,
    big: 12,
    huge: "9223372036854775807",
    nan: "-Infinity",
    none: null,
    tags: { at: "2013-01-01T10:30:00Z", n: 1 },
    raw: "\\x0102",
    text: 'a"\n',
  }]);
  assert.deepEqual(JSON.parse(formatJson(["at"], [[new Date(NaN)]])), [{ at: null }]);
});

Deno.test("formatJson() writes a row a line, and no rows as an empty array", () => {
  assert.equal(
    formatJson(["a", "b"], [[1, "x"], [2, null]]),
    '[\n{"a":1,"b":"x"},\n{"a":2,"b":null}\n]\n',
  );
  assert.equal(formatJson(["a"], []), "[]\n");
});

Deno.test("formatJson() loses no column when names repeat", () => {
  const columns = ["n", "n", "n_2", "n", "__proto__"];
  assert.equal(
    formatJson(columns, [[1, 2, 3, 4, 5]]),
    '[\n{"n":1,"n_3":2,"n_2":3,"n_4":4,"__proto__":5}\n]\n',
  );
});
