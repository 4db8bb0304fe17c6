import assert from "node:assert/strict";
import { rawText } from "../../src/core/wire/output_json.ts";
import { startHarness } from "./harness.ts";

const encoder = new TextEncoder();
const TIME = `"timestamp":"2024-01-01T00:00:00Z"`;
const VALUE = `"consumption_kwh":1`;
const DEEP = 100_000;
const MEGABYTE = 1 << 20;

/** Records made to break a reader, and what is said of them. */
const HOSTILE: [name: string, record: string, said: string][] = [
  ["open brackets", "[".repeat(DEEP), "MALFORMED"],
  ["open braces", `{"a":`.repeat(DEEP), "MALFORMED"],
  ["nested arrays", "[".repeat(DEEP) + "]".repeat(DEEP), "MALFORMED"],
  ["nested objects", `${`{"a":`.repeat(DEEP)}1${"}".repeat(DEEP)}`, "MISSING_FIELD"],
  [
    "a nested id",
    `{"meter_id":${"[".repeat(DEEP)}${"]".repeat(DEEP)},${TIME},${VALUE}}`,
    "BAD_METER_ID",
  ],
  [
    "a nested value",
    `{"meter_id":"A",${TIME},"consumption_kwh":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`,
    "BAD_VALUE",
  ],
  [
    "a nested extra field",
    `{"meter_id":"B",${TIME},${VALUE},"x":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`,
    "OK",
  ],
  ["a long text", "x".repeat(MEGABYTE), "MALFORMED"],
  ["a long string", `"${"x".repeat(MEGABYTE)}"`, "MALFORMED"],
  ["a long string without end", `"${"x".repeat(MEGABYTE)}`, "MALFORMED"],
  ["a long id", `{"meter_id":"${"x".repeat(MEGABYTE)}",${TIME},${VALUE}}`, "BAD_METER_ID"],
  ["a long id without end", `{"meter_id":"${"x".repeat(MEGABYTE)}`, "MALFORMED"],
  [
    "a long timestamp",
    `{"meter_id":"A","timestamp":"2024-01-01T00:00:00.${"0".repeat(MEGABYTE)}/",${VALUE}}`,
    "BAD_TIMESTAMP",
  ],
  [
    "a long good timestamp",
    `{"meter_id":"D","timestamp":"2024-01-01T00:00:00.${"0".repeat(MEGABYTE)}Z",${VALUE}}`,
    "OK",
  ],
  [
    "a long value",
    `{"meter_id":"A",${TIME},"consumption_kwh":"${"x".repeat(MEGABYTE)}"}`,
    "BAD_VALUE",
  ],
  [
    "a huge integer",
    `{"meter_id":"A",${TIME},"consumption_kwh":${"9".repeat(MEGABYTE)}}`,
    "BAD_VALUE",
  ],
  [
    "a value of many digits",
    `{"meter_id":"E",${TIME},"consumption_kwh":0.${"3".repeat(MEGABYTE)}}`,
    "OK",
  ],
  // A reader that takes the square of the length would not get through these in an hour.
  [
    "an id with spaces in its middle",
    `{"meter_id":"a${" ".repeat(MEGABYTE)}x",${TIME},${VALUE}}`,
    "BAD_METER_ID",
  ],
  ["an id of spaces", `{"meter_id":"${" ".repeat(MEGABYTE)}",${TIME},${VALUE}}`, "BAD_METER_ID"],
  [
    "a value of digits that is no number",
    `{"meter_id":"A",${TIME},"consumption_kwh":"${"1".repeat(MEGABYTE)}x"}`,
    "BAD_VALUE",
  ],
  [
    "a value of decimals that is no number",
    `{"meter_id":"A",${TIME},"consumption_kwh":".${"1".repeat(MEGABYTE)}x"}`,
    "BAD_VALUE",
  ],
  [
    "a value of an exponent that is no number",
    `{"meter_id":"A",${TIME},"consumption_kwh":"1e${"1".repeat(MEGABYTE)}x"}`,
    "BAD_VALUE",
  ],
  [
    "a value of spaces",
    `{"meter_id":"A",${TIME},"consumption_kwh":"1${" ".repeat(MEGABYTE)}x"}`,
    "BAD_VALUE",
  ],
  [
    "a timestamp of spaces",
    `{"meter_id":"A","timestamp":"2024${" ".repeat(MEGABYTE)}x",${VALUE}}`,
    "BAD_TIMESTAMP",
  ],
  ["a huge id number", `{"meter_id":${"9".repeat(400)},${TIME},${VALUE}}`, "BAD_METER_ID"],
  ["a long key", `{"${"k".repeat(MEGABYTE)}":1,"meter_id":"F",${TIME},${VALUE}}`, "OK"],
  ["many fields", `{${`"x":1,`.repeat(DEEP)}"meter_id":"G",${TIME},${VALUE}}`, "OK"],
  ["many spaces", `${" ".repeat(MEGABYTE)}{"meter_id":"H",${TIME},${VALUE}}`, "OK"],
  ["duplicate keys: the last stands", `{"meter_id":1,${TIME},${VALUE},"meter_id":"I"}`, "OK"],
  [
    "a duplicate value: the last stands",
    `{"meter_id":"A",${TIME},${VALUE},"consumption_kwh":-1}`,
    "NEGATIVE",
  ],
  ["__proto__ as the record", `{"__proto__":{"meter_id":"A",${TIME},${VALUE}}}`, "MISSING_FIELD"],
  ["__proto__ as a tick", `{"__proto__":{"type":"tick"},${TIME}}`, "MISSING_FIELD"],
  [
    "__proto__ with half the fields",
    `{"__proto__":{"meter_id":"A"},${TIME},${VALUE}}`,
    "MISSING_FIELD",
  ],
  ["constructor", `{"constructor":{"prototype":{"type":"tick"}}}`, "MISSING_FIELD"],
  ["an id that objects have", `{"meter_id":"__proto__",${TIME},${VALUE}}`, "OK"],
  ["toString as an id", `{"meter_id":"toString",${TIME},${VALUE}}`, "OK"],
  ["half a surrogate pair", `{"meter_id":"\\ud800",${TIME},${VALUE}}`, "BAD_METER_ID"],
  ["a byte order mark", `\ufeff{"meter_id":"A",${TIME},${VALUE}}`, "MALFORMED"],
  ["NUL", "\0", "MALFORMED"],
  ["NUL inside", `{"meter_id":"A\0",${TIME},${VALUE}}`, "MALFORMED"],
  ["NUL behind", `{"meter_id":"A",${TIME},${VALUE}}\0`, "MALFORMED"],
  ["an escaped NUL", `{"meter_id":"A\\u0000",${TIME},${VALUE}}`, "BAD_METER_ID"],
  ["NaN", `{"meter_id":"A",${TIME},"consumption_kwh":NaN}`, "MALFORMED"],
  ["Infinity", `{"meter_id":"A",${TIME},"consumption_kwh":Infinity}`, "MALFORMED"],
  ["1e400", `{"meter_id":"A",${TIME},"consumption_kwh":1e400}`, "BAD_VALUE"],
  ["a time of 1e400", `{"meter_id":"A","timestamp":1e400,${VALUE}}`, "BAD_TIMESTAMP"],
  ["a negative time", `{"meter_id":"A","timestamp":-1,${VALUE}}`, "BAD_TIMESTAMP"],
  [
    "a time of 1e20",
    `{"meter_id":"A","timestamp":100000000000000000000,${VALUE}}`,
    "BAD_TIMESTAMP",
  ],
  ["a tick of 1e400", `{"type":"tick","timestamp":1e400}`, "BAD_TIMESTAMP"],
  [
    "two records",
    `{"meter_id":"A",${TIME},${VALUE}}{"meter_id":"A",${TIME},${VALUE}}`,
    "MALFORMED",
  ],
  ["a trailing comma", `{"meter_id":"A",${TIME},${VALUE},}`, "MALFORMED"],
  ["single quotes", `{'meter_id':'A'}`, "MALFORMED"],
  ["a comment", `{"meter_id":"A",${TIME},${VALUE}/* */}`, "MALFORMED"],
];

Deno.test("Processor.record() survives hostile JSON and counts each record once", () => {
  const core = startHarness();
  for (const [name, record, said] of HOSTILE) assert.equal(core.record(record), said, name);
  const { raw, rejected, ok } = core.processor.state.ledger;
  assert.equal(raw, HOSTILE.length);
  assert.equal(rejected + ok, raw);
  assert.equal(({} as Record<string, unknown>).type, undefined, "nothing reached a prototype");
});

/** Bytes that are no UTF-8. */
const NOT_UTF8: [name: string, bytes: number[]][] = [
  ["0xff", [0xff]],
  ["a lone continuation", [0x80]],
  ["a cut sequence", [0xe2, 0x98]],
  ["an overlong slash", [0xc0, 0xaf]],
  ["a surrogate half", [0xed, 0xa0, 0x80]],
  ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ["UTF-16 with a mark", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
];

Deno.test("Processor.record() rejects bytes that are no UTF-8, and keeps them", () => {
  for (const [name, bytes] of NOT_UTF8) {
    const head = [...encoder.encode(`{"meter_id":"`)];
    const tail = [...encoder.encode(`",${TIME},${VALUE}}`)];
    for (const record of [bytes, [...head, ...bytes, ...tail]]) {
      const core = startHarness();
      const raw = Uint8Array.from(record);
      assert.equal(core.record(raw), "MALFORMED", name);
      const kept = core.readOutputs().rejected[0].raw;
      assert.deepEqual(kept, raw, name);
      assert.equal(rawText(kept).encoding, "base64", name);
    }
  }
});
