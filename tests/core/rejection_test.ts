import assert from "node:assert/strict";
import { JsonWriter, rawText } from "../../src/core/wire/output_json.ts";
import type { RejectReason } from "../../src/core/outputs.ts";
import { type At, iso, ms, startHarness } from "./harness.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const ID = `"meter_id":"M1"`;
const TIME = `"timestamp":"2024-01-01T10:30:00Z"`;
const VALUE = `"consumption_kwh":0.5`;

type Known = { meterId?: string; at?: string; kwh?: number };
/** Every reason: the record, the detail, and what could be read of it all the same. */
const REJECTED: [raw: string, reason: RejectReason, detail: string, known: Known][] = [
  ["", "MALFORMED", "empty record", {}],
  [" ", "MALFORMED", "not JSON", {}],
  ["not json", "MALFORMED", "not JSON", {}],
  [`{${ID},${TIME},${VALUE}`, "MALFORMED", "not JSON", {}],
  [`{${ID},${TIME},${VALUE}}}`, "MALFORMED", "not JSON", {}],
  ["[]", "MALFORMED", "not an object: an array", {}],
  ["null", "MALFORMED", "not an object: null", {}],
  ["42", "MALFORMED", "not an object: 42", {}],
  [`"tick"`, "MALFORMED", `not an object: "tick"`, {}],
  ["{}", "MISSING_FIELD", "no meter_id", {}],
  [`{${TIME},${VALUE}}`, "MISSING_FIELD", "no meter_id", { at: "10:30", kwh: 0.5 }],
  [`{${ID},${VALUE}}`, "MISSING_FIELD", "no timestamp", { meterId: "M1", kwh: 0.5 }],
  [`{${ID},${TIME}}`, "MISSING_FIELD", "no consumption_kwh", { meterId: "M1", at: "10:30" }],
  [`{"type":"tick"}`, "MISSING_FIELD", "a tick without timestamp", {}],
  [`{"meter_id":null,${TIME},${VALUE}}`, "BAD_METER_ID", "meter_id is null", {
    at: "10:30",
    kwh: 0.5,
  }],
  [`{"meter_id":"",${TIME},${VALUE}}`, "BAD_METER_ID", `meter_id is ""`, { at: "10:30", kwh: 0.5 }],
  [`{"meter_id":1.5,${TIME},${VALUE}}`, "BAD_METER_ID", "meter_id is 1.5", {
    at: "10:30",
    kwh: 0.5,
  }],
  [`{"meter_id":{},${TIME},${VALUE}}`, "BAD_METER_ID", "meter_id is an object", {
    at: "10:30",
    kwh: 0.5,
  }],
  [`{${ID},"timestamp":"01/02/2024",${VALUE}}`, "BAD_TIMESTAMP", `timestamp is "01/02/2024"`, {
    meterId: "M1",
    kwh: 0.5,
  }],
  [`{${ID},"timestamp":"1 Jan 2024",${VALUE}}`, "BAD_TIMESTAMP", `timestamp is "1 Jan 2024"`, {
    meterId: "M1",
    kwh: 0.5,
  }],
  [`{"type":"tick","timestamp":"noon"}`, "BAD_TIMESTAMP", `timestamp of a tick is "noon"`, {}],
  [`{${ID},${TIME},"consumption_kwh":null}`, "BAD_VALUE", "consumption_kwh is null", {
    meterId: "M1",
    at: "10:30",
  }],
  [`{${ID},${TIME},"consumption_kwh":"Null"}`, "BAD_VALUE", `consumption_kwh is "Null"`, {
    meterId: "M1",
    at: "10:30",
  }],
  [
    `{${ID},${TIME},"consumption_kwh":1e400}`,
    "BAD_VALUE",
    "consumption_kwh is too large for a number",
    {
      meterId: "M1",
      at: "10:30",
    },
  ],
  [
    `{${ID},${TIME},"consumption_kwh":-1e400}`,
    "BAD_VALUE",
    "consumption_kwh is too large for a number",
    { meterId: "M1", at: "10:30" },
  ],
  [`{${ID},${TIME},"consumption_kwh":-0.001}`, "NEGATIVE", "consumption_kwh is -0.001", {
    meterId: "M1",
    at: "10:30",
    kwh: -0.001,
  }],
  [
    `{${ID},${TIME},"consumption_kwh":100000.001}`,
    "TOO_LARGE",
    "consumption_kwh is 100000.001, more than 100000",
    { meterId: "M1", at: "10:30", kwh: 100_000.001 },
  ],
  [
    `{${ID},${TIME},${VALUE},"received_at":"2024-01-01T09:29:59.5Z"}`,
    "FUTURE",
    "3600.5 s ahead of its arrival",
    { meterId: "M1", at: "10:30", kwh: 0.5 },
  ],
];

Deno.test("Processor rejects a record with reason, detail, raw bytes, offset and what it could read", () => {
  for (const knownMeter of [false, true]) {
    const core = startHarness();
    if (knownMeter) core.reading("M1", "0:00");
    for (const [raw, reason, detail, { meterId, at, kwh }] of REJECTED) {
      const offset = core.processor.state.nextOffset;
      core.readOutputs();
      assert.equal(core.record(raw), reason, raw);
      const { rejected: [{ atMs: _, ...rejected }], validated, late, gaps } = core.readOutputs();
      assert.deepEqual(rejected, {
        offset,
        reason,
        detail,
        raw: encoder.encode(raw),
        meterId: meterId ?? null,
        timestampMs: at === undefined ? null : ms(at),
        consumptionKwh: kwh ?? null,
      }, raw);
      assert.deepEqual([validated, late, gaps], [[], [], []], raw);
    }
    const { raw, rejected } = core.processor.state.ledger;
    assert.equal(rejected, REJECTED.length);
    assert.equal(raw, rejected + (knownMeter ? 1 : 0));
    assert.equal(core.watermark(), knownMeter ? "0:00" : null);
  }
});

Deno.test("Processor writes the partition with a rejected record", () => {
  const core = startHarness();
  core.record("{}");
  const writer = new JsonWriter();
  writer.rejected(core.readOutputs().rejected[0], core.processor.options.partition);
  assert.equal(JSON.parse(decoder.decode(writer.bytes.subarray(0, writer.length))).partition, 3);
});

Deno.test("Processor keeps the raw bytes of a repeat, with meter, time, value and what it met", () => {
  const core = startHarness();
  core.reading("M1", "10:00", 1.5);
  core.reading("M1", "10:00:01", 2.5);
  core.reading("M1", "10:00", 1.5);
  const [conflict, duplicate] = core.readOutputs().rejected;
  const text = `{"meter_id":"M1","timestamp":"${iso("10:00:01")}","consumption_kwh":2.5}`;
  assert.deepEqual(conflict, {
    offset: 1,
    reason: "CONFLICT",
    detail: "its interval 2024-01-01T10:00:00Z is taken by 1.5",
    raw: encoder.encode(text),
    meterId: "M1",
    timestampMs: ms("10:00:01"),
    consumptionKwh: 2.5,
    slotMs: ms("10:00"),
    heldKwh: 1.5,
    atMs: ms("10:00:01"),
  });
  assert.equal(duplicate.reason, "DUPLICATE");
  assert.equal(duplicate.offset, 2);
  assert.equal(decoder.decode(duplicate.raw), text.replace(":01Z", ":00Z").replace("2.5", "1.5"));
});

Deno.test("Processor copies raw bytes out of the caller's buffer, and only the record's own", () => {
  const core = startHarness();
  const buffer = encoder.encode(`{"a":1}{"b":2}{"c":3}`);
  core.processor.record({
    bytes: buffer,
    start: 7,
    end: 14,
    offset: 0,
    timeMs: NaN,
    replayStartMs: NaN,
  });
  const { rejected } = core.processor.takeOutputs();
  buffer.fill(0x20);
  assert.equal(decoder.decode(rejected[0].raw), `{"b":2}`);
});

Deno.test("Processor cuts raw bytes to the limit, and says so", () => {
  const table: [length: number, kept: number][] = [[63, 63], [64, 64], [65, 64], [10_000, 64]];
  for (const [length, kept] of table) {
    const core = startHarness({ rejectedRawBytesMax: 64 });
    core.record("x".repeat(length));
    const [{ raw, detail }] = core.readOutputs().rejected;
    assert.equal(raw.length, kept);
    const cut = length > kept ? ` (first 64 of ${length} bytes kept)` : "";
    assert.equal(detail, `not JSON${cut}`);
  }
});

Deno.test("Processor cuts the raw bytes of a repeat to the limit too", () => {
  const core = startHarness({ rejectedRawBytesMax: 64 });
  core.reading("M1", "10:00");
  core.reading("M1", "10:00", 1, `,"x":"${"x".repeat(100)}"`);
  const [{ raw, detail }] = core.readOutputs().rejected;
  assert.equal(raw.length, 64);
  assert.match(detail, / is taken by 1 \(first 64 of \d+ bytes kept\)$/);
});

Deno.test("Processor cuts raw bytes between characters, so that they stay a text", () => {
  const text = `"x":"${"☼😀Ä".repeat(20)}"`;
  for (let limit = 64; limit < 80; limit++) {
    const core = startHarness({ rejectedRawBytesMax: limit });
    core.record(`{"meter_id":"M1",${text}}`);
    core.reading("M1", "10:00");
    core.reading("M1", "10:00", 1, `,${text}`);
    for (const { raw, reason, detail } of core.readOutputs().rejected) {
      assert.equal(rawText(raw).encoding, "utf8", `${reason}, cut at ${limit}`);
      assert.ok(raw.length <= limit && raw.length > limit - 4, `${reason}, cut at ${limit}`);
      assert.match(detail, new RegExp(`\\(first ${raw.length} of \\d+ bytes kept\\)$`));
    }
  }
});

Deno.test("Processor cuts bytes that are no UTF-8 close to the limit all the same", () => {
  for (const byte of [0x80, 0xff, 0xf0]) {
    const core = startHarness({ rejectedRawBytesMax: 64 });
    core.record(new Uint8Array(100).fill(byte));
    const { length } = core.readOutputs().rejected[0].raw;
    assert.ok(length > 60 && length <= 64, `${length} bytes of ${byte}`);
  }
});

Deno.test("Processor keeps of a bad value at most a preview in the detail", () => {
  const core = startHarness();
  core.reading("M1", "10:00", `"${"x".repeat(100_000)}"`);
  const [{ detail }] = core.readOutputs().rejected;
  const kept = `consumption_kwh is "${"x".repeat(59)}… (first 1024 of `;
  assert.ok(detail.startsWith(kept), detail);
});

/** Half a pair becomes `\ud83d` in JSON, which PostgreSQL's jsonb refuses. */
Deno.test("Processor cuts the value in a detail between characters", () => {
  const core = startHarness();
  for (let length = 50; length < 64; length++) {
    core.reading("M1", "10:00", `"${"x".repeat(length)}😀😀"`);
    const { detail } = core.readOutputs().rejected[0];
    assert.ok(detail.isWellFormed(), JSON.stringify(detail));
  }
});

Deno.test("Processor takes a value of max_kwh, and a negative zero, as good", () => {
  const core = startHarness();
  assert.equal(core.reading("M1", "10:00", 100_000), "OK");
  assert.equal(core.reading("M2", "10:00", "-0"), "OK");
  assert.equal(core.reading("M2", "10:00", "0"), "DUPLICATE");
});

Deno.test("Processor accepts negative values with a flag where it is told to", () => {
  const core = startHarness({ negative: "flag" });
  assert.equal(core.reading("M1", "10:00", -1.5), "OK NEGATIVE");
  assert.equal(core.reading("M1", "10:33:00.001", -1e9), "OK NEGATIVE TIME_SHIFT");
  assert.equal(core.reading("M1", "11:03", 0), "OK");
  assert.equal(core.reading("M1", "10:33", -1e9), "DUPLICATE");
  assert.equal(core.reading("M2", "10:33", -1), "LATE 1800 NEGATIVE");
});

/** The record's own time, as a broker gives it, far from event time: 2026 for 2024. */
const LATER = Date.UTC(2026, 0, 1);

/** Clocks that say 10:00, one row a way to know it. */
const CLOCKS: [
  name: string,
  nowMs: number | null,
  tick: boolean,
  received: boolean,
  recordTime: number,
][] = [
  ["received_at", null, false, true, NaN],
  ["received_at before the record's own time", null, false, true, LATER],
  ["received_at before the wall clock", LATER, false, true, NaN],
  ["received_at before a replay's ticks", null, true, true, NaN],
  ["the ticks of a replay", null, true, false, NaN],
  ["the ticks of a replay, not the record's own time", null, true, false, LATER],
  ["the ticks of a replay, not the wall clock", LATER, true, false, NaN],
  ["the record's own time", null, false, false, ms("10:00")],
  ["the record's own time, not the wall clock", LATER, false, false, ms("10:00")],
  ["the wall clock", ms("10:00"), false, false, NaN],
];

Deno.test("Processor rejects as FUTURE what is further ahead of its arrival than allowed", () => {
  for (const [name, nowMs, tick, received, recordTime] of CLOCKS) {
    const core = startHarness({ nowMs });
    const replayStart = tick ? LATER : NaN;
    if (tick) core.tick("10:00", { recordTime, replayStart });
    const rest = received ? `,"received_at":"${iso("10:00")}"` : "";
    const say = (meter: string, at: At) =>
      core.reading(meter, at, 1, rest, recordTime, replayStart);
    assert.equal(say("M1", "11:00"), "OK", name);
    assert.equal(say("M2", "11:00:00.001"), "FUTURE", name);
    assert.equal(say("M3", Date.UTC(2099, 0, 1)), "FUTURE", name);
    assert.equal(core.watermark(), "11:00", `${name}: a reading of 2099 moves nothing`);
    assert.equal(say("M4", "10:30"), "LATE 1800", name);
    assert.equal(core.processor.meters.find("M3"), -1, name);
  }
});

Deno.test("Processor checks no future where nothing tells the time", () => {
  const core = startHarness();
  assert.equal(core.reading("M1", Date.UTC(2099, 0, 1)), "OK");
});

Deno.test("Processor falls back to the other clocks when received_at cannot be read", () => {
  const core = startHarness();
  for (const received of [`"soon"`, "null", "{}", `"01/02/2024"`, "-1"]) {
    const rest = `,"received_at":${received}`;
    assert.equal(core.reading("M1", "11:00:00.001", 1, rest, "10:00"), "FUTURE", received);
  }
  assert.equal(core.reading("M1", "11:00", 1, `,"received_at":"soon"`, "10:00"), "OK");
});

Deno.test("Processor takes a tick near the record's own time as live: that time stays the clock", () => {
  const core = startHarness();
  core.tick("9:00", { recordTime: "10:00" });
  assert.equal(core.reading("M1", "11:00", 1, "", "10:00"), "OK");
  assert.equal(core.reading("M2", "11:00:00.001", 1, "", "10:00"), "FUTURE");
});

Deno.test("Processor rejects a tick from the future, which moves nothing", () => {
  const core = startHarness();
  core.reading("M1", "10:00", 1.5, "", "10:00");
  core.readOutputs();
  assert.equal(core.tick("11:00", { recordTime: "10:00" }), "tick");
  assert.equal(core.tick("11:00:00.001", { recordTime: "10:00" }), "FUTURE");
  assert.equal(core.watermark(), "11:00");
  const [{ meterId, timestampMs, detail, atMs, consumptionKwh }] = core.readOutputs().rejected;
  assert.deepEqual([meterId, timestampMs, atMs], [null, ms("11:00:00.001"), ms("10:00")]);
  assert.equal(consumptionKwh, null, "least of all the last reading's");
  assert.equal(detail, "a tick 3600.001 s ahead of its arrival");
});

Deno.test("Processor places a rejected record in event time where it can be believed", () => {
  const table: [raw: string, recordTime: string | number, atMs: number][] = [
    [`{${ID},${TIME},"consumption_kwh":null}`, "10:31", ms("10:30")],
    [`{${ID},"timestamp":"2099-01-01",${VALUE}}`, "10:31", ms("10:31")],
    [`{${ID},"timestamp":"2099-01-01","consumption_kwh":-1}`, "10:31", ms("10:31")],
    ["not json", "10:31", ms("10:31")],
    ["not json", NaN, 0],
  ];
  for (const [raw, recordTime, atMs] of table) {
    const core = startHarness();
    core.record(raw, recordTime);
    assert.equal(core.readOutputs().rejected[0].atMs, atMs, raw);
  }
});

Deno.test("Processor keeps a rejected record at its own time only near a clock that it knows", () => {
  const weekMs = 7 * 86_400_000;
  const at = ms("10:31");
  const table: [dated: number, watermark: number | null, recordTime: number, atMs: number][] = [
    [at - weekMs, null, at, at - weekMs],
    [at - weekMs - 1, null, at, at],
    [Date.UTC(2010, 0, 1), null, at, at],
    [Date.UTC(2010, 0, 1), Date.UTC(2010, 0, 3), at, Date.UTC(2010, 0, 1)],
    [Date.UTC(2011, 0, 1), Date.UTC(2010, 0, 3), at, at],
    [Date.UTC(2010, 0, 11), Date.UTC(2010, 0, 3), NaN, Date.UTC(2010, 0, 3)],
    [Date.UTC(2010, 0, 1), null, NaN, Date.UTC(2010, 0, 1)],
  ];
  for (const [dated, watermark, recordTime, atMs] of table) {
    const h = startHarness({ stateTtlMs: weekMs });
    if (watermark !== null) h.tick(watermark, { recordTime });
    assert.equal(h.reading("M1", dated, -1, "", recordTime), "NEGATIVE");
    const shown = new Date(h.readOutputs().rejected[0].atMs).toISOString();
    assert.equal(shown, new Date(atMs).toISOString(), JSON.stringify([dated, watermark]));
  }
});

Deno.test("Processor takes a log's time that no timestamp can say for none", () => {
  for (const recordTime of [-1, 1.7e15, 1.7e18, Infinity]) {
    const h = startHarness();
    assert.equal(h.reading("M1", "0:00", 1, "", recordTime), "OK", String(recordTime));
    assert.equal(h.tick("0:10", { recordTime, replayStart: "9:00" }), "tick");
    assert.equal(h.record("junk", recordTime, "9:00"), "MALFORMED");
    const [{ atMs }] = h.readOutputs().rejected;
    assert.equal(atMs, ms("0:10"), "the tick's");
  }
});

Deno.test("Processor holds ticks without a log's time against the replay's start", () => {
  const h = startHarness({ nowMs: ms("24:00") });
  assert.equal(h.tick("25:00"), "tick");
  assert.equal(h.tick("25:00:00.001"), "FUTURE");
  assert.equal(h.watermark(), "25:00");
});
