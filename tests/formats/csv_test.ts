import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bytesAdded,
  CELLS_STRIDE,
  type CsvReaderOptions,
  newCsvReader,
  newCsvRows,
  readRows,
  roomForBytes,
} from "../../src/formats/csv.ts";
import { ReadError } from "../../src/formats/read_error.ts";

const HEADER = "meter_id,timestamp,consumption_kwh\n";
const encoder = new TextEncoder();

/** A row's cells as text, or the raw text of one that was cut. */
type Row = string[] | { cut: string };
type Reading = Partial<CsvReaderOptions> & { chunkBytes?: number; rowsMax?: number };

/** All rows of a file, given to the reader `chunkBytes` at a time. */
function readAll(file: string | Uint8Array, options: Reading = {}): Row[] {
  const bytes = typeof file === "string" ? encoder.encode(file) : file;
  const { chunkBytes = bytes.length || 1, rowsMax = 3 } = options;
  const reader = newCsvReader({ file: "x.csv", ...options });
  const rows = newCsvRows(rowsMax);
  const all: Row[] = [];
  for (let at = 0; !reader.isEnded; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes);
    if (chunk.length > 0) roomForBytes(reader, chunk.length).set(chunk);
    bytesAdded(reader, chunk.length > 0 ? chunk.length : null);
    while (readRows(reader, rows) > 0) {
      for (let row = 0; row < rows.count; row++) {
        const cell = (field: number) => {
          const from = row * CELLS_STRIDE + 2 * field;
          const range = reader.bytes.subarray(rows.cells[from], rows.cells[from + 1]);
          return new TextDecoder("utf-8", { ignoreBOM: true }).decode(range);
        };
        all.push(rows.isCut[row] === 1 ? { cut: cell(0) } : [0, 1, 2, 3].map(cell));
      }
    }
  }
  return all;
}

/** The same whichever way the file is cut into chunks. */
function readAnyhow(file: string | Uint8Array, options: Reading = {}): Row[] {
  const whole = readAll(file, options);
  for (const chunkBytes of [1, 2, 3, 7, 64]) {
    assert.deepEqual(readAll(file, { ...options, chunkBytes, rowsMax: 1 }), whole);
  }
  return whole;
}

Deno.test("readRows() reads the plain form, with LF, CRLF or no end on the last line", () => {
  const rows = [["a", "2013-01-01", "1", ""], ["b", "2013-01-02", "2", ""]];
  const lines = ["meter_id,timestamp,consumption_kwh", "a,2013-01-01,1", "b,2013-01-02,2"];
  for (const end of ["\n", "\r\n"]) {
    assert.deepEqual(readAnyhow(lines.join(end)), rows);
    assert.deepEqual(readAnyhow(lines.join(end) + end), rows);
  }
});

Deno.test("readRows() passes over a byte order mark and blank lines, also before the header", () => {
  const rows = [["a", "t", "1", ""], ["b", "t", "2", ""]];
  assert.deepEqual(readAnyhow(`\ufeff${HEADER}a,t,1\n\n  \t\r\nb,t,2\n\n`), rows);
  assert.deepEqual(readAnyhow(`\ufeff\n \r\n${HEADER}a,t,1\n\n"b",t,2\n  `), rows);
});

Deno.test("readRows() takes blanks off cells, quoted ones too", () => {
  assert.deepEqual(readAnyhow(`${HEADER} a , 2013-01-01 00:00:00\t,\t0.5 \r\n`), [
    ["a", "2013-01-01 00:00:00", "0.5", ""],
  ]);
  assert.deepEqual(readAnyhow(`${HEADER} " a " , "t" ," 1"\n`), [["a", "t", "1", ""]]);
});

Deno.test("readRows() reads quoted delimiters and doubled quotes as text", () => {
  assert.deepEqual(readAnyhow(`${HEADER}"a,b","x""y","1 2"\n"""","",c\n`), [
    ["a,b", 'x"y', "1 2", ""],
    ['"', "", "c", ""],
  ]);
  assert.deepEqual(readAnyhow(`${HEADER}"a"`), [["a", "", "", ""]]);
});

Deno.test("readRows() cuts a row whose quote is not closed in its line, and no row behind it", () => {
  assert.deepEqual(readAnyhow(`${HEADER}"a,t,1\nb,t,2\nc,"t,3\nd,t,4\n`), [
    { cut: '"a,t,1' },
    ["b", "t", "2", ""],
    { cut: 'c,"t,3' },
    ["d", "t", "4", ""],
  ]);
});

Deno.test("readRows() takes a quote inside a cell, or text behind a quoted one, as it is", () => {
  assert.deepEqual(readAnyhow(`${HEADER}a"b,5",1\n"a"b"c,t,1\n`), [
    ['a"b', '5"', "1", ""],
    ['ab"c', "t", "1", ""],
  ]);
});

Deno.test("readRows() leaves cells a short row lacks empty, and passes over empty surplus ones", () => {
  assert.deepEqual(readAnyhow(`${HEADER}a\na,t\n,,\na,t,1,, \n,t,"1"\n`), [
    ["a", "", "", ""],
    ["a", "t", "", ""],
    ["", "", "", ""],
    ["a", "t", "1", ""],
    ["", "t", "1", ""],
  ]);
});

Deno.test("readRows() takes a decimal comma into the value, which is none then", () => {
  assert.deepEqual(readAnyhow(`${HEADER}a,t,0,512\n"a",t,1,25\na,t,2,,x\n`), [
    ["a", "t", "0,512", ""],
    ["a", "t", "1,25", ""],
    ["a", "t", "2,,x", ""],
  ]);
});

Deno.test("readRows() finds the columns wherever they stand, by whatever delimiter", () => {
  for (const delimiter of [",", ";", "\t", "|"]) {
    const lines = ["other,KWH,received_at,LCLid,DateTime", "x,1,r,a,t", "", '"x",2,,b,u', ",,,,"];
    assert.deepEqual(readAnyhow(lines.join("\n").replaceAll(",", delimiter)), [
      ["a", "t", "1", "r"],
      ["b", "u", "2", ""],
      ["", "", "", ""],
    ]);
  }
});

Deno.test("readRows() reads no row from a header alone", () => {
  assert.deepEqual(readAnyhow(HEADER), []);
  assert.deepEqual(readAnyhow(HEADER.trimEnd()), []);
});

Deno.test("readRows() reads what an RFC 4180 writer wrote, whatever is in the cells but line ends", () => {
  const cell = fc.string({ unit: fc.constantFrom("a", '"', ",", "\r", ";", " ", "é", "0") })
    .map((text) => text.replace(/^[ \r\t]+|[ \r\t]+$/g, ""));
  const rows = fc.array(fc.tuple(cell, cell, cell), { maxLength: 8 });
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  fc.assert(fc.property(rows, fc.integer({ min: 1, max: 40 }), (rows, chunkBytes) => {
    const text = HEADER + rows.map((row) => row.map(quote).join(",") + "\n").join("");
    assert.deepEqual(readAll(text, { chunkBytes }), rows.map((row) => [...row, ""]));
  }));
});

Deno.test("readRows() reads any bytes the same however they are cut into chunks", () => {
  const piece = fc.constantFrom("a", '"', ",", "\n", " ", "12345678", "\r\n", '"x"', '""', "é");
  const soup = fc.array(piece, { maxLength: 60 }).map((pieces) => HEADER + pieces.join(""));
  const size = fc.integer({ min: 1, max: 20 });
  fc.assert(fc.property(soup, size, size, (text, chunkBytes, recordBytesMax) => {
    const options = { recordBytesMax: recordBytesMax + HEADER.length };
    assert.deepEqual(readAll(text, { ...options, chunkBytes }), readAll(text, options));
  }));
});

Deno.test("readRows() cuts a record over the limit at its first line end, and goes on after it", () => {
  const long = "x".repeat(5000);
  const options = { recordBytesMax: 100 };
  const next = ["b", "t", "2", ""];
  assert.deepEqual(readAnyhow(`${HEADER}a,${long},1\nb,t,2\n`, options), [
    { cut: `a,${long}`.slice(0, 100) },
    next,
  ]);
  assert.deepEqual(readAnyhow(`${HEADER}a,${long},1`, options), [
    { cut: `a,${long}`.slice(0, 100) },
  ]);
  const broad = `"a\n${"x\n".repeat(100)}",t,1`;
  assert.deepEqual(readAnyhow(`${HEADER}${broad}`, options).slice(0, 2), [
    { cut: '"a' },
    ["x", "", "", ""],
  ]);
});

Deno.test("readRows() takes a record of just the limit, and cuts one of a byte more", () => {
  const options = { recordBytesMax: 100 };
  const id = "x".repeat(96);
  for (const quote of ["", '"']) {
    const fits = `${quote}${quote === "" ? id : id.slice(2)}${quote},t,1`;
    const tooLong = `${quote}x${fits.slice(quote.length)}`;
    for (const end of ["\n", ""]) {
      const rows = readAnyhow(`${HEADER}${fits}${end}`, options);
      assert.ok(Array.isArray(rows[0]), `${quote}${end}`);
      assert.deepEqual(readAnyhow(`${HEADER}${tooLong}${end}`, options), [
        { cut: tooLong.slice(0, 100) },
      ]);
    }
  }
});

Deno.test("readRows() lets a quote that never closes cost its own line alone", () => {
  const lines = Array.from({ length: 50 }, (_, i) => `m${i},t,1`);
  lines[3] = '"m3,t,1';
  const expected: Row[] = lines.map((line) => [...line.split(","), ""]);
  expected[3] = { cut: '"m3,t,1' };
  assert.deepEqual(readAnyhow(HEADER + lines.join("\n")), expected);
  assert.deepEqual(readAnyhow(HEADER + lines.join("\n"), { recordBytesMax: 80 }), expected);
});

Deno.test("readRows() holds no more than the limit and a chunk of a line without an end", () => {
  const reader = newCsvReader({ file: "x.csv", recordBytesMax: 1000 });
  const rows = newCsvRows(4);
  roomForBytes(reader, HEADER.length).set(encoder.encode(HEADER));
  bytesAdded(reader, HEADER.length);
  let count = 0;
  for (let i = 0; i < 1000; i++) {
    roomForBytes(reader, 500).fill(0x78);
    bytesAdded(reader, 500);
    count += readRows(reader, rows);
  }
  assert.equal(count, 1);
  assert.ok(reader.bytes.length <= 4000, String(reader.bytes.length));
});

function refusal(file: string | Uint8Array, options: Reading = {}): ReadError {
  try {
    readAll(file, options);
  } catch (error) {
    if (error instanceof ReadError) return error;
    throw error;
  }
  throw new Error("not refused");
}

Deno.test("readRows() refuses an empty file", () => {
  for (const file of ["", "\n\n", "\ufeff", "  \r\n"]) {
    assert.equal(refusal(file).message, 'Cannot read "x.csv": it is empty');
  }
});

Deno.test("readRows() refuses a binary file as one, not by its columns", () => {
  const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d]);
  const gzip = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  for (const file of [png, gzip, new Uint8Array(5000)]) {
    const { message, hint } = refusal(file, { recordBytesMax: 1000 });
    assert.equal(message, 'Cannot read "x.csv": it is a binary file, not CSV');
    assert.ok(hint);
  }
});

Deno.test("readRows() refuses a header line over the limit", () => {
  const error = refusal(`${"x".repeat(2000)}\na,b\n`, { recordBytesMax: 1000 });
  assert.equal(error.message, 'Cannot read "x.csv": its first line is longer than 1000 bytes');
});

Deno.test("readRows() names the columns found when one is missing", () => {
  const error = refusal("a,b\n1,2\n");
  assert.equal(
    error.message,
    'Cannot read "x.csv": no meter, no time and no value column: found "a", "b"',
  );
});

Deno.test("readRows() says the line each row begins in, past blank, quoted and cut ones", () => {
  const file = `\n${HEADER}a,2013-01-01,1\n\n"b\nb",2013-01-01,2\nc,"x"\n"d,${"y".repeat(80)}\n` +
    "e,2013-01-01,3";
  for (const chunkBytes of [1, 7, 64, 1000]) {
    const reader = newCsvReader({ file: "x.csv", recordBytesMax: 60 });
    const rows = newCsvRows(2);
    const lines: number[] = [];
    const bytes = encoder.encode(file);
    for (let at = 0; !reader.isEnded; at += chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes);
      if (chunk.length > 0) roomForBytes(reader, chunk.length).set(chunk);
      bytesAdded(reader, chunk.length > 0 ? chunk.length : null);
      while (readRows(reader, rows) > 0) lines.push(...rows.lines.subarray(0, rows.count));
    }
    assert.deepEqual(lines, [3, 5, 6, 7, 8, 9], `${chunkBytes} bytes at a time`);
  }
});

Deno.test("readRows() passes over the header where it comes again, and counts that", () => {
  const again = '\ufeffmeter_id, timestamp ,"consumption_kwh"\n';
  const file = `${HEADER}a,2013-01-01,1\n${HEADER}b,2013-01-01,2\n${again}c,timestamp,3\n${HEADER}`;
  const expected = [["a", "2013-01-01", "1", ""], ["b", "2013-01-01", "2", ""], [
    "c",
    "timestamp",
    "3",
    "",
  ]];
  assert.deepEqual(readAnyhow(file), expected);
  const reader = newCsvReader({ file: "x.csv" });
  const bytes = encoder.encode(file);
  roomForBytes(reader, bytes.length).set(bytes);
  bytesAdded(reader, bytes.length);
  bytesAdded(reader, null);
  const rows = newCsvRows(10);
  while (readRows(reader, rows) > 0);
  assert.equal(reader.repeatedHeaders, 3);
});
