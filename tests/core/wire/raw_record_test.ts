import assert from "node:assert/strict";
import fc from "fast-check";
import {
  encodeTick,
  isFinalTick,
  newParsedRecord,
  OWN_METER_START,
  ownMeterEnd,
  parseRecord,
} from "../../../src/core/wire/raw_record.ts";
import { METER_ID_LENGTH_MAX } from "../../../src/core/meter_id.ts";
import { buildZone, UTC_ZONE } from "../../../src/core/zone.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What was read, with the id as a text; stale fields of kinds that do not have them left out. */
function parse(record: string | Uint8Array, zone = UTC_ZONE) {
  const bytes = typeof record === "string" ? encoder.encode(record) : record;
  // Surrounded by bytes that would go on with the record, were they read.
  const buffer = encoder.encode(`{"x":${"}".repeat(bytes.length)}}}"}`);
  buffer.set(bytes, 5);
  const into = newParsedRecord();
  parseRecord(buffer, 5, 5 + bytes.length, zone, into);
  const { kind, timestampMs, receivedMs, final, reason, detail, consumptionKwh } = into;
  if (kind === "tick") return { kind, timestampMs, receivedMs, final };
  const meterId = into.idEnd > 0
    ? decoder.decode(buffer.subarray(into.idStart, into.idEnd))
    : into.meterId;
  const known = { kind, meterId, timestampMs, consumptionKwh, receivedMs };
  return kind === "reading" ? known : { ...known, reason, detail, missing: into.valueMissing };
}

/** Whether the record was read without `JSON.parse`. */
function isFast(record: string): boolean {
  const bytes = encoder.encode(record);
  const into = newParsedRecord();
  parseRecord(bytes, 0, bytes.length, UTC_ZONE, into);
  return into.idEnd > 0;
}

const plainId = fc.oneof(
  fc.integer({ min: 0, max: 999_999 }).map((n) => `MAC${String(n).padStart(6, "0")}`),
  fc.string({ unit: fc.constantFrom(..."ab9 _-.:/@{}[],'~"), minLength: 1, maxLength: 12 }),
);
const anyId = fc.oneof(plainId, fc.string({ unit: "binary", maxLength: 12 }), fc.json());
const pad = (n: number, width: number) => String(n).padStart(width, "0");

/** Spellings of a timestamp, some of them of no day there is. */
const time = fc.tuple(
  fc.constantFrom("2013", "2024", "1970", "0999", "9999"),
  fc.integer({ min: 0, max: 13 }),
  fc.integer({ min: 0, max: 32 }),
  fc.constantFrom("T", " ", "t", "_"),
  fc.integer({ min: 0, max: 24 }),
  fc.integer({ min: 0, max: 60 }),
  fc.constantFrom("", ":00", ":59", ":60", ":07.5", ":07.123456789", "."),
  fc.constantFrom("Z", "", "+01:00", "-0330", "+24", "z", " Z"),
).map(([year, month, day, separator, hour, minute, rest, offset]) =>
  `${year}-${pad(month, 2)}-${pad(day, 2)}${separator}${pad(hour, 2)}:${pad(minute, 2)}` +
  `${rest}${offset}`
);
const goodTime = fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());
const anyTime = fc.oneof(goodTime, time, fc.constantFrom("2024-01-01", "1704067200", ""));

/** A number of up to 15 digits, a point anywhere in it. */
const decimals = fc.tuple(
  fc.constantFrom("", "-"),
  fc.maxSafeNat().map((n) => String(n).slice(0, 15)),
  fc.nat(15),
).map(([sign, digits, point]) => {
  const whole = digits.slice(0, digits.length - point) || "0";
  const fraction = digits.slice(digits.length - point).padStart(Math.min(point, 14), "0");
  return sign + (point === 0 ? whole : `${whole}.${fraction}`);
});
const number = fc.oneof(
  decimals,
  fc.double().map(String),
  fc.integer({ min: 0, max: 100_000 }).map((n) => (n / 1000).toFixed(3)),
  fc.constantFrom("0", "-0", "-0.0", "00", "01", "1.", ".5", "+1", "1e3", "1E-2", "0.1e1"),
  fc.constantFrom("123456789012345", "1234567890123456", "0.000000000000001", "9007199254740993"),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "1e400", "0x10", "null", `"1.5"`, "1_000"),
);

const own = fc.tuple(
  anyId.map((id) => JSON.stringify(id)),
  anyTime,
  number,
  fc.option(anyTime, { freq: 2 }),
).map(([id, at, kwh, received]) =>
  `{"meter_id":${id},"timestamp":"${at}","consumption_kwh":${kwh}` +
  (received === null ? "}" : `,"received_at":"${received}"}`)
);

Deno.test("parseRecord() reads what Gridwatch writes without JSON.parse, and says the same", () => {
  fc.assert(
    fc.property(plainId, goodTime, decimals, fc.option(goodTime), (id, at, kwh, received) => {
      const trimmed = id.trim() === id && id !== "";
      const head = `"meter_id":${JSON.stringify(id)}`;
      const fields = `"timestamp":"${at}","consumption_kwh":${kwh}`;
      const rest = received === null ? "" : `,"received_at":"${received}"`;
      const digits = kwh.replace(/\D/g, "").length;
      assert.equal(isFast(`{${head},${fields}${rest}}`), trimmed && digits <= 15);
      const fast = parse(`{${head},${fields}${rest}}`);
      assert.deepEqual(parse(`{ ${head},${fields}${rest}}`), fast, "an extra space");
      assert.deepEqual(parse(`{${fields},${head}${rest}}`), fast, "another order");
      assert.deepEqual(parse(`{${head},${fields}${rest},"x":{"meter_id":0}}`), fast, "a field");
      if (fast.kind !== "reading") return assert.equal(id.trim(), "", JSON.stringify(fast));
      assert.equal(fast.consumptionKwh, Number(kwh));
      assert.equal(fast.timestampMs, Date.parse(at));
      assert.equal(fast.receivedMs, received === null ? NaN : Date.parse(received));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("parseRecord() agrees with JSON.parse on any record of its own shape, good or bad", () => {
  const zone = buildZone("Europe/London");
  fc.assert(
    fc.property(own, (record) => {
      assert.deepEqual(parse(record, zone), parse(` ${record}`, zone));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseRecord() agrees with JSON.parse on ticks, final or not", () => {
  const tail = fc.constantFrom("", `,"final":true`, `,"final":false`, `,"final":1`, ",", " ", "}");
  fc.assert(fc.property(anyTime, tail, (at, rest) => {
    const record = `{"type":"tick","timestamp":"${at}"${rest}}`;
    assert.deepEqual(parse(record), parse(` ${record}`));
  }));
  const tick = { kind: "tick", timestampMs: Date.UTC(2024, 0, 1), receivedMs: NaN };
  const text = `{"type":"tick","timestamp":"2024-01-01T00:00:00Z"`;
  assert.deepEqual(parse(`${text}}`), { ...tick, final: false });
  assert.deepEqual(parse(`${text},"final":true}`), { ...tick, final: true });
  assert.deepEqual(parse(`${text},"final":"true"}`), { ...tick, final: false });
});

Deno.test("parseRecord() agrees with JSON.parse when bytes of a record are lost or damaged", () => {
  const samples = [
    `{"meter_id":"MAC000002","timestamp":"2013-01-01T10:30:00Z","consumption_kwh":0.219}`,
    `{"meter_id":"M1","timestamp":"2013-01-01T10:30:00Z","consumption_kwh":-12.5,` +
    `"received_at":"2013-01-01T10:31:07Z"}`,
    `{"type":"tick","timestamp":"2013-01-01T10:31:00Z"}`,
    `{"type":"tick","timestamp":"2013-01-01T10:31:00Z","final":true}`,
  ].map((text) => encoder.encode(text));
  const bytes = fc.constantFrom(...encoder.encode(`{}[]",:\\ 09.-+eEZTtn\0\x1f\x7f`), 0x80, 0xff);
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.nat(200),
      fc.nat(3),
      fc.array(bytes, { maxLength: 2 }),
      (sample, place, removed, added) => {
        const at = place % (sample.length + 1);
        const damaged = [...sample.subarray(0, at), ...added, ...sample.subarray(at + removed)];
        assert.deepEqual(
          parse(Uint8Array.from(damaged)),
          parse(Uint8Array.from([0x20, ...damaged])),
        );
      },
    ),
    { numRuns: 4000 },
  );
  for (const sample of samples) {
    for (let end = 1; end < sample.length; end++) {
      const { kind, reason } = parse(sample.subarray(0, end)) as { kind: string; reason: string };
      assert.deepEqual([kind, reason], ["unusable", "MALFORMED"], `cut at ${end}`);
    }
  }
});

Deno.test("parseRecord() reads numbers exactly as JSON.parse does, 15 digits and more", () => {
  fc.assert(
    fc.property(decimals, (text) => {
      const record =
        `{"meter_id":"M","timestamp":"2024-01-01T00:00:00Z","consumption_kwh":${text}}`;
      const parsed = parse(record);
      assert.ok(parsed.kind === "reading", text);
      assert.ok(Object.is(parsed.consumptionKwh, JSON.parse(text)), text);
    }),
    { numRuns: 5000 },
  );
});

/** Ids: as written in JSON, and as read; null: refused. */
const IDS: [json: string, id: string | null][] = [
  [`"M1"`, "M1"],
  [`"  M1 "`, "M1"],
  [`"M 1"`, "M 1"],
  ["7", "7"],
  ["7.0", "7"],
  ["-7", "-7"],
  ["9007199254740991", "9007199254740991"],
  ["9007199254740993", null],
  ["1e17", null],
  ["1.5", null],
  [`"Ä ☼ 😀"`, "Ä ☼ 😀"],
  [`"\\u00c4"`, "Ä"],
  [`"\\ud83d\\ude00"`, "😀"],
  [`"\\ud83d"`, null],
  [`"\\ude00\\ud83d"`, null],
  [`"a\\u0000b"`, null],
  [`"a\\nb"`, null],
  [`"a\\u007fb"`, null],
  [`"a\x7fb"`, null],
  [`"a\x80b"`, null],
  [`"a\x9b2J"`, null],
  [`"a\\u009fb"`, null],
  [`"\x85"`, null],
  [`"a\xa0b"`, "a\xa0b"],
  [`"\\"\\\\/"`, `"\\/`],
  [`"__proto__"`, "__proto__"],
  [`"constructor"`, "constructor"],
  [`"${"x".repeat(METER_ID_LENGTH_MAX)}"`, "x".repeat(METER_ID_LENGTH_MAX)],
  [`"${"x".repeat(METER_ID_LENGTH_MAX + 1)}"`, null],
  [`" ${"x".repeat(METER_ID_LENGTH_MAX)} "`, "x".repeat(METER_ID_LENGTH_MAX)],
  [`"${"Ä".repeat(METER_ID_LENGTH_MAX)}"`, "Ä".repeat(METER_ID_LENGTH_MAX)],
  [`"${"x".repeat(1 << 20)}"`, null],
  [`""`, null],
  [`"   "`, null],
  ["true", null],
  ["null", null],
  [`["M1"]`, null],
];

Deno.test("parseRecord() reads an id where it is one, and refuses any other", () => {
  const rest = `"timestamp":"2024-01-01T00:00:00Z","consumption_kwh":1`;
  for (const [json, id] of IDS) {
    for (const record of [`{"meter_id":${json},${rest}}`, `{${rest},"meter_id":${json}}`]) {
      const parsed = parse(record);
      const label = record.slice(0, 100);
      assert.equal(parsed.kind, id === null ? "unusable" : "reading", label);
      assert.ok("meterId" in parsed && parsed.meterId === id, label);
      if ("reason" in parsed) assert.equal(parsed.reason, "BAD_METER_ID", label);
    }
  }
});

/** Values: as written in JSON, and as read; NaN: refused. */
const VALUES: [json: string, kwh: number][] = [
  [`"0.5"`, 0.5],
  [`" +5e-1 "`, 0.5],
  [`".5"`, 0.5],
  [`"5."`, 5],
  ["5E-1", 0.5],
  ["-0.5", -0.5],
  ["1e308", 1e308],
  ["123456789012345678901234567890", 123456789012345678901234567890],
  ["0.1234567890123456789", 0.1234567890123456789],
  ["1e-400", 0],
  ["1e400", NaN],
  ["-1e400", NaN],
  [`"1e400"`, NaN],
  [`"NaN"`, NaN],
  [`"Infinity"`, NaN],
  [`"0x1f"`, NaN],
  [`"0,5"`, NaN],
  [`"1 000"`, NaN],
  [`""`, NaN],
  ["true", NaN],
  ["null", NaN],
  ["[1]", NaN],
  ["{}", NaN],
];

Deno.test("parseRecord() reads a number, also one written as text, and refuses any other value", () => {
  for (const [json, kwh] of VALUES) {
    const record = `{"meter_id":"M1","timestamp":"2024-01-01T00:00:00Z","consumption_kwh":${json}}`;
    const parsed = parse(record);
    assert.ok("consumptionKwh" in parsed && Object.is(parsed.consumptionKwh, kwh), json);
    if ("reason" in parsed) assert.equal(parsed.reason, "BAD_VALUE", json);
    assert.equal(parsed.kind, Number.isNaN(kwh) ? "unusable" : "reading", json);
  }
});

Deno.test("encodeTick() writes what parseRecord() reads, and isFinalTick() tells the last of a replay", () => {
  const times = fc.integer({ min: -30_610_224_000_000, max: 253_402_300_799_999 });
  fc.assert(fc.property(times, fc.boolean(), (timestampMs, isFinal) => {
    const bytes = encodeTick(timestampMs, isFinal);
    const { type, timestamp, final = false, ...rest } = JSON.parse(decoder.decode(bytes));
    assert.deepEqual([type, Date.parse(timestamp), final, rest], [
      "tick",
      timestampMs,
      isFinal,
      {},
    ]);
    const parsed = newParsedRecord();
    parseRecord(bytes, 0, bytes.length, UTC_ZONE, parsed);
    assert.deepEqual([parsed.kind, parsed.timestampMs, parsed.final], [
      "tick",
      timestampMs,
      isFinal,
    ]);
    assert.equal(isFinalTick(bytes, bytes.length), isFinal);
    assert.equal(isFinalTick(bytes, bytes.length - 1), false);
  }));
  assert.equal(isFinalTick(new Uint8Array(0), 0), false);
});

Deno.test("ownMeterEnd() ends at the id's closing quote, and is 0 where the id is written otherwise", () => {
  const end = (text: string) => {
    const bytes = encoder.encode(text);
    return ownMeterEnd(bytes, 0, bytes.length);
  };
  assert.equal(end(`{"meter_id":"M1","timestamp":0}`), OWN_METER_START + 2);
  assert.equal(end(`{"meter_id":"é"}`), OWN_METER_START + 2);
  for (
    const text of [`{"meter_id":"a\\"b"}`, `{"meter_id":"a`, `{"meter_id":7}`, `{ "meter_id":"a"}`]
  ) {
    assert.equal(end(text), 0, text);
  }
});
