import assert from "node:assert/strict";
import fc from "fast-check";
import { partitionOf } from "../../src/replay/partitioner.ts";
import { meterIdOfCell } from "../../src/core/meter_id.ts";
import { HEADER, readingsOf, replayTexts, withoutOrigin } from "./fixture.ts";

const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;

/** The one record of a file with one row. */
async function recordOf(row: string | Uint8Array): Promise<string> {
  const head = new TextEncoder().encode(HEADER);
  const tail = typeof row === "string" ? new TextEncoder().encode(row) : row;
  const file = new Uint8Array(head.length + tail.length);
  file.set(head);
  file.set(tail, head.length);
  const records = readingsOf(await replayTexts([file]));
  assert.equal(records.length, 1);
  return records[0];
}

Deno.test("appendRow() passes a JSON number's text on as it is, and any other text as a string", async () => {
  const numbers = ["0", "-0", "0.219", "1.9220001", "-1.5", "1e3", "1E+3", "0.1e-7", "1e400"];
  const texts = [
    "Null",
    ".5",
    "1.",
    "+1",
    "01",
    "1,5",
    "NaN",
    "Infinity",
    "-",
    "1e",
    "0x10",
    "1 2",
  ];
  const long = `0.${"1".repeat(400)}`;
  for (const text of [...numbers, long]) {
    const record = await recordOf(`a,2013-01-01,${text}\n`);
    assert.ok(withoutOrigin(record).endsWith(`"consumption_kwh":${text}}`), record);
    JSON.parse(record);
  }
  for (const text of texts) {
    const record = await recordOf(`a,2013-01-01,${quote(text)}\n`);
    assert.equal(JSON.parse(record).consumption_kwh, text);
  }
});

Deno.test("appendRow() writes a readable timestamp in UTC, and another as the text it is", async () => {
  const table: [string, string][] = [
    ["2013-01-01", "2013-01-01T00:00:00Z"],
    ["2013-01-01 10:30:00.0000000", "2013-01-01T10:30:00Z"],
    ["2013-01-01T10:30:00.25+01:00", "2013-01-01T09:30:00.250Z"],
    ["1356998400", "2013-01-01T00:00:00Z"],
    ["01/01/2013", "01/01/2013"],
    ['1 "Jan" 2013', '1 "Jan" 2013'],
  ];
  for (const [text, written] of table) {
    assert.equal(JSON.parse(await recordOf(`a,${quote(text)},1\n`)).timestamp, written);
  }
});

Deno.test("appendRow() leaves the fields of missing and empty cells out", async () => {
  const table: [string, string][] = [
    ["a", '{"meter_id":"a"}'],
    ["a,,", '{"meter_id":"a"}'],
    [",2013-01-01,1", '{"timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1}'],
    [",,1", '{"consumption_kwh":1}'],
    ["a,,1", '{"meter_id":"a","consumption_kwh":1}'],
    [",2013-01-01,", '{"timestamp":"2013-01-01T00:00:00Z"}'],
    [",,", "{}"],
  ];
  for (const [row, record] of table) assert.equal(withoutOrigin(await recordOf(row)), record);
});

Deno.test("appendRow() writes JSON that reads back as the cells, whatever is in them", async () => {
  const text = fc.string({ unit: "binary", minLength: 1 })
    .map((text) => text.toWellFormed().replaceAll("\n", "").replace(/^[ \t\r]+|[ \t\r]+$/g, ""))
    .filter((text) => text !== "");
  await fc.assert(
    fc.asyncProperty(text, text, text, async (meter, time, value) => {
      const record = await recordOf(`${quote(meter)},${quote(`x${time}`)},${quote(`x${value}`)}\n`);
      const { source, ...rest } = JSON.parse(record);
      assert.ok(source.endsWith("/0.csv:2"), source);
      assert.deepEqual(rest, {
        meter_id: meterIdOfCell(meter),
        timestamp: `x${time}`,
        consumption_kwh: `x${value}`,
        cells: [meter, `x${time}`, `x${value}`],
      });
    }),
  );
});

Deno.test("appendRow() replaces invalid UTF-8", async () => {
  const row = new Uint8Array([0x61, 0xff, 0xc3, 0x2c, 0x78, 0x80, 0x2c, 0x31]);
  assert.deepEqual(JSON.parse(withoutOrigin(await recordOf(row))), {
    meter_id: "a\ufffd\ufffd",
    timestamp: "x\ufffd",
    consumption_kwh: 1,
  });
});

Deno.test("appendRow() puts a meter on the partition of its id's text, escaped or not", async () => {
  const ids = ["MAC000002", 'a"b', "a\\b", "é", "line\u0085end", "a\u0001"];
  const rows = ids.map((id) => `${quote(id)},2013-01-01,1\n`).join("");
  const { partitions } = await replayTexts([HEADER + rows], { partitions: 12 });
  const expected = ids.map((id) => partitionOf(new TextEncoder().encode(id), 12));
  assert.deepEqual(partitions, [-1, ...expected]);
});
