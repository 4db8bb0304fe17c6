import assert from "node:assert/strict";
import fc from "fast-check";
import { gapId, JsonWriter, rawText } from "../../../src/core/wire/output_json.ts";
import type {
  GapAlert,
  LateEvent,
  Metric,
  RejectedReading,
  ValidatedReading,
} from "../../../src/core/outputs.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The messages written, each as its text. */
function texts(writer: JsonWriter): string[] {
  return writer.ends.map((end, m) =>
    decoder.decode(writer.bytes.subarray(m === 0 ? 0 : writer.ends[m - 1], end))
  );
}

function written(write: (writer: JsonWriter) => void): string {
  const writer = new JsonWriter(1);
  write(writer);
  const [text, ...more] = texts(writer);
  assert.deepEqual(more, []);
  assert.equal(writer.length, encoder.encode(text).length);
  return text;
}

const iso = (ms: number) => new Date(ms).toISOString().replace(".000Z", "Z");

/** Epoch milliseconds of a timestamp that can be read: years 1000 to 9999. */
const timeMs = fc.oneof(
  fc.integer({ min: Date.UTC(1000, 0, 1), max: Date.UTC(9999, 11, 31, 23, 59, 59, 999) }),
  fc.integer({ min: 0, max: 4_000_000 }).map((s) => s * 1000),
  fc.constantFrom(-1, 0, 1, 999, 1000, Date.UTC(2013, 0, 1, 10, 30)),
);
const hostileIds = fc.constantFrom(
  `"`,
  `\\`,
  `","status":"OK`,
  "</script>",
  "Ä ☼ 😀",
  "\u2028\u2029",
  "\u007f\u0080\u00a0",
  "\ufeffM1",
  "__proto__",
  "\n\t\0",
  "\ud800",
  "☼".repeat(256),
  "\u0001".repeat(256),
  `"`.repeat(256),
  "x".repeat(256),
);
const meterId = fc.oneof(
  fc.integer({ min: 0 }).map((n) => `MAC${n}`),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  hostileIds,
);
const thousandths = fc.integer({ min: -(2 ** 40), max: 2 ** 40 }).map((n) => n / 1000);
const kwh = fc.oneof(
  thousandths,
  fc.integer({ min: 0, max: 5000 }).map((n) => n / 1000),
  fc.double({ noDefaultInfinity: true, noNaN: true }),
);
const offset = fc.maxSafeNat();
const flags = fc.constantFrom([], ["TIME_SHIFT"], ["NEGATIVE"], ["NEGATIVE", "TIME_SHIFT"]);

const validated: fc.Arbitrary<ValidatedReading> = fc.record({
  offset,
  meterId,
  timestampMs: timeMs,
  consumptionKwh: kwh,
  status: fc.constantFrom("OK" as const, "LATE" as const),
  flags,
  delayMs: fc.nat(2 ** 31 - 1),
});

/** What a message means, by its plain construction. */
function plainValidated(reading: ValidatedReading): object {
  return {
    meter_id: reading.meterId,
    timestamp: iso(reading.timestampMs),
    consumption_kwh: reading.consumptionKwh,
    status: reading.status,
    flags: reading.flags,
    ...(reading.status === "LATE" ? { delay_seconds: reading.delayMs / 1000 } : {}),
  };
}

Deno.test("JsonWriter.validated() writes what JSON.stringify writes of a plain object", () => {
  fc.assert(
    fc.property(validated, (reading) => {
      assert.equal(written((w) => w.validated(reading)), JSON.stringify(plainValidated(reading)));
    }),
    { numRuns: 2000 },
  );
});

const late: fc.Arbitrary<LateEvent> = fc.record({
  offset,
  meterId,
  timestampMs: timeMs,
  consumptionKwh: kwh,
  delayMs: fc.maxSafeNat(),
});

Deno.test("JsonWriter.late() writes what JSON.stringify writes of a plain object", () => {
  fc.assert(fc.property(late, (event) => {
    const plain = {
      meter_id: event.meterId,
      timestamp: iso(event.timestampMs),
      consumption_kwh: event.consumptionKwh,
      delay_seconds: event.delayMs / 1000,
    };
    assert.equal(written((w) => w.late(event)), JSON.stringify(plain));
  }));
});

const gap: fc.Arbitrary<GapAlert> = fc.record({
  offset,
  meterId,
  idMs: timeMs,
  missingFromMs: timeMs,
  missingToMs: timeMs,
  missingIntervals: fc.nat(2 ** 31 - 1),
  rejectedIntervals: fc.nat(2 ** 31 - 1),
  state: fc.constantFrom("OPEN" as const, "CLOSED" as const, "FILLED" as const, "EXPIRED" as const),
  detectedAtMs: timeMs,
});

Deno.test("JsonWriter.gap() writes what JSON.stringify writes of a plain object", () => {
  fc.assert(fc.property(gap, (alert) => {
    const plain = {
      gap_id: `${alert.meterId}@${iso(alert.idMs)}`,
      meter_id: alert.meterId,
      missing_from: iso(alert.missingFromMs),
      missing_to: iso(alert.missingToMs),
      gap_minutes: (alert.missingToMs - alert.missingFromMs) / 60_000,
      missing_intervals: alert.missingIntervals,
      rejected_intervals: alert.rejectedIntervals,
      state: alert.state,
      detected_at: iso(alert.detectedAtMs),
    };
    assert.equal(written((w) => w.gap(alert)), JSON.stringify(plain));
    assert.equal(gapId(alert), plain.gap_id);
  }));
});

const rejected: fc.Arbitrary<RejectedReading> = fc.record({
  offset,
  reason: fc.constantFrom("MALFORMED" as const, "CONFLICT" as const),
  detail: fc.string({ unit: "grapheme" }),
  raw: fc.oneof(
    fc.string({ unit: "grapheme" }).map((text) => encoder.encode(text)),
    fc.uint8Array({ maxLength: 40 }),
  ),
  meterId: fc.option(meterId),
  timestampMs: fc.option(timeMs),
  consumptionKwh: fc.option(kwh),
  atMs: timeMs,
});

Deno.test("JsonWriter.rejected() writes the reading's fields where they are known", () => {
  fc.assert(fc.property(rejected, fc.nat(4096), (reading, partition) => {
    const message = JSON.parse(written((w) => w.rejected(reading, partition)));
    const { raw, raw_encoding: encoding, ...rest } = message;
    assert.deepEqual(rest, {
      reason: reading.reason,
      detail: reading.detail,
      partition,
      offset: reading.offset,
      ...(reading.meterId === null ? {} : { meter_id: reading.meterId }),
      ...(reading.timestampMs === null ? {} : { timestamp: iso(reading.timestampMs) }),
      ...(reading.consumptionKwh === null ? {} : { consumption_kwh: reading.consumptionKwh + 0 }),
      ...(reading.atMs === reading.timestampMs ? {} : { judged_at: iso(reading.atMs) }),
    });
    assert.deepEqual(bytesOf(raw, encoding ?? "utf8"), reading.raw);
  }));
});

Deno.test("JsonWriter.metric() writes what JSON.stringify writes of a plain object", () => {
  const metric: Metric = {
    offset: 7,
    metricType: "event_processed",
    meterId: null,
    timestampMs: Date.UTC(2013, 0, 1),
    value: 12.5,
    tags: { status: "OK" },
  };
  assert.equal(
    written((w) => w.metric(metric)),
    `{"metric_type":"event_processed","meter_id":null,"timestamp":"2013-01-01T00:00:00Z",` +
      `"value":12.5,"tags":{"status":"OK"}}`,
  );
});

/** The public interface: fields in the order of semantics.md, section 5. */
const FIELDS: Record<string, string[]> = {
  validated: ["meter_id", "timestamp", "consumption_kwh", "status", "flags", "delay_seconds"],
  gap: [
    ...["gap_id", "meter_id", "missing_from", "missing_to", "gap_minutes", "missing_intervals"],
    ...["rejected_intervals", "state", "detected_at"],
  ],
  late: ["meter_id", "timestamp", "consumption_kwh", "delay_seconds"],
  metric: ["metric_type", "meter_id", "timestamp", "value", "tags"],
  rejected: [
    ...["reason", "detail", "raw", "partition", "offset", "meter_id", "timestamp"],
    "consumption_kwh",
    "judged_at",
  ],
};

Deno.test("JsonWriter names its fields as the contract does, in its order", () => {
  const reading = { offset: 0, meterId: "M1", timestampMs: 0, consumptionKwh: 1, delayMs: 1000 };
  const messages: Record<string, string> = {
    validated: written((w) => w.validated({ ...reading, status: "LATE", flags: [] })),
    gap: written((w) =>
      w.gap({
        ...{ offset: 0, meterId: "M1", idMs: 0, missingFromMs: 0, missingToMs: 0 },
        ...{ missingIntervals: 0, rejectedIntervals: 0, state: "FILLED", detectedAtMs: 0 },
      })
    ),
    late: written((w) => w.late(reading)),
    metric: written((w) =>
      w.metric({ offset: 0, metricType: "x", meterId: null, timestampMs: 0, value: 0, tags: {} })
    ),
    rejected: written((w) =>
      w.rejected(
        { ...reading, reason: "NEGATIVE", detail: "", raw: new Uint8Array(0), atMs: 1 },
        0,
      )
    ),
  };
  for (const [kind, text] of Object.entries(messages)) {
    assert.deepEqual(Object.keys(JSON.parse(text)), FIELDS[kind], kind);
  }
});

const asNumber = (value: number) =>
  /"consumption_kwh":(.*),"status"/.exec(written((w) =>
    w.validated({
      ...{ offset: 0, meterId: "", timestampMs: 0, consumptionKwh: value },
      ...{ status: "OK", flags: [], delayMs: 0 },
    })
  ))![1];

Deno.test("JsonWriter writes numbers as JSON.stringify does", () => {
  const near = fc.tuple(thousandths, fc.constantFrom(-1, 0, 1)).map(([value, ulps]) =>
    value + ulps * Number.EPSILON * Math.abs(value)
  );
  fc.assert(
    fc.property(fc.oneof(fc.double(), thousandths, near), (value) => {
      assert.equal(asNumber(value), JSON.stringify(value));
    }),
    { numRuns: 5000 },
  );
  const edges = [
    0,
    -0,
    0.001,
    0.01,
    0.1,
    0.101,
    1,
    9.999,
    10,
    99.09,
    1e5,
    2147483.647,
    2147483.648,
  ];
  edges.push(5e-324, 1e-7, 1e21, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, NaN, Infinity);
  for (const edge of edges) assert.equal(asNumber(edge), JSON.stringify(edge), String(edge));
});

Deno.test("JsonWriter writes every thousandth below 20 as JSON.stringify does", () => {
  for (let n = 0; n <= 20_000; n++) assert.equal(asNumber(n / 1000), JSON.stringify(n / 1000));
});

Deno.test("JsonWriter keeps messages apart, grows as it must, and forgets them on reset()", () => {
  fc.assert(fc.property(fc.array(fc.oneof(validated, gap), { maxLength: 40 }), (outputs) => {
    const writer = new JsonWriter(64);
    for (let round = 0; round < 2; round++) {
      const expected = outputs.map((output) =>
        "state" in output ? written((w) => w.gap(output)) : written((w) => w.validated(output))
      );
      for (const output of outputs) {
        if ("state" in output) writer.gap(output);
        else writer.validated(output);
      }
      assert.deepEqual(texts(writer), expected);
      writer.reset();
      assert.deepEqual([writer.length, writer.ends], [0, []]);
    }
  }));
});

function bytesOf(text: string, encoding: string): Uint8Array {
  if (encoding === "utf8") return encoder.encode(text);
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

Deno.test("rawText() gives the bytes back, as text where they are UTF-8 without NUL", () => {
  const table: [bytes: number[], encoding: string][] = [
    [[], "utf8"],
    [[0x7b, 0x7d], "utf8"],
    [[0xc3, 0x84], "utf8"],
    [[0xef, 0xbb, 0xbf, 0x7b], "utf8"],
    [[0x01, 0x7f], "utf8"],
    [[0x00], "base64"],
    [[0x61, 0x00], "base64"],
    [[0xff], "base64"],
    [[0x61, 0xc3], "base64"],
  ];
  for (const [bytes, expected] of table) {
    const { text, encoding } = rawText(Uint8Array.from(bytes));
    assert.equal(encoding, expected, bytes.join());
    assert.deepEqual([...bytesOf(text, encoding)], bytes);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
    const { text, encoding } = rawText(bytes);
    assert.deepEqual(bytesOf(text, encoding), bytes);
  }));
});
