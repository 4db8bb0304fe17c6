import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import { emptyOutputs, type Outputs } from "../../src/core/outputs.ts";
import { type MessageKind, MessageRows } from "../../src/tables/message_rows.ts";
import { outputRows, type TableRows } from "../../src/tables/output_rows.ts";

const SEED = 20_130_101;
const PARTITION = 3;

/** Messages as the processors write them, back into rows. */
function rowsOfMessages(kind: MessageKind, writer: JsonWriter, offsets: number[]): TableRows[] {
  const rows = new MessageRows(kind, PARTITION);
  writer.ends.forEach((end, r) => {
    const start = r === 0 ? 0 : writer.ends[r - 1];
    const error = rows.add(writer.bytes, start, end, { offset: offsets[r], timeMs: 0 });
    assert.equal(error, null);
  });
  return rows.tables();
}

const offset = fc.nat({ max: 2 ** 40 });
const meterId = fc.oneof(
  fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
  fc.constant('a"b\\c'),
);
const timestampMs = fc.oneof(
  fc.integer({ min: 0, max: 60_000 }).map((slot) => Date.UTC(2012, 0) + slot * 1_800_000),
  fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2090, 0) }),
);
const kwh = fc.oneof(
  fc.nat({ max: 10_000_000 }).map((n) => n / 1000),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
).map((n) => n === 0 ? 0 : n); // JSON has no -0
const delayMs = fc.nat({ max: 10 ** 9 });
const readingFields = { offset, meterId, timestampMs, consumptionKwh: kwh };
const reading = fc.record(readingFields);

const validated = fc.tuple(
  fc.oneof(reading, fc.record({ ...readingFields, revisesKwh: kwh })),
  fc.constantFrom("OK" as const, "LATE" as const),
  fc.array(fc.constantFrom("TIME_SHIFT", "NEGATIVE"), { maxLength: 2 }),
  delayMs,
).map(([one, status, flags, delay]) => ({
  ...one,
  status,
  flags,
  delayMs: status === "OK" ? 0 : delay,
}));

const GAP_KEYS = [
  ...["offset", "meterId", "idMs", "missingFromMs", "missingToMs", "missingIntervals"] as const,
  ...["rejectedIntervals", "state", "detectedAtMs"] as const,
];
const REJECTED_KEYS = [
  ...["offset", "reason", "detail", "raw", "meterId", "timestampMs", "consumptionKwh"] as const,
  "atMs" as const,
];

const gap = fc.record({
  filledIntervals: fc.nat({ max: 100_000 }),
  offset,
  meterId,
  idMs: timestampMs,
  missingFromMs: timestampMs,
  missingToMs: timestampMs,
  missingIntervals: fc.nat({ max: 100_000 }),
  rejectedIntervals: fc.nat({ max: 100_000 }),
  state: fc.constantFrom("OPEN" as const, "CLOSED" as const, "FILLED" as const, "EXPIRED" as const),
  detectedAtMs: timestampMs,
}, { requiredKeys: GAP_KEYS });

const finding = fc.record({
  offset,
  meterId,
  rule: fc.constantFrom("SPIKE", "MY_RULE"),
  severity: fc.constantFrom("warn" as const, "error" as const),
  fromMs: timestampMs,
  toMs: timestampMs,
  slots: fc.nat({ max: 100_000 }),
  value: fc.integer({ min: -(10 ** 9), max: 10 ** 15 }),
  limit: fc.oneof(fc.constant(NaN), fc.nat({ max: 2 ** 31 - 1 })),
  detail: fc.string(),
});

const metric = fc.record({
  offset,
  metricType: fc.constantFrom("event_processed", "gap_detected"),
  meterId: fc.option(meterId),
  timestampMs,
  value: kwh,
  tags: fc.dictionary(fc.constantFrom("status", "error"), fc.string()),
});

const rejected = fc.record({
  offset,
  reason: fc.constantFrom("MALFORMED" as const, "DUPLICATE" as const),
  detail: fc.string(),
  raw: fc.uint8Array({ maxLength: 60 }),
  meterId: fc.option(meterId),
  timestampMs: fc.option(timestampMs),
  consumptionKwh: fc.option(kwh),
  source: fc.string(),
  slotMs: timestampMs,
  heldKwh: kwh,
  atMs: timestampMs,
}, { requiredKeys: REJECTED_KEYS });

function sameRows<T extends { readonly offset: number }>(
  kind: MessageKind,
  arbitrary: fc.Arbitrary<T>,
  write: (writer: JsonWriter, one: T) => void,
  outputsOf: (all: T[]) => Partial<Outputs>,
): void {
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 30 }), (all) => {
      const writer = new JsonWriter(64);
      for (const one of all) write(writer, one);
      const expected = outputRows({ ...emptyOutputs(), ...outputsOf(all) }, PARTITION);
      const found = rowsOfMessages(kind, writer, all.map((one) => one.offset));
      assert.deepEqual(found, expected);
    }),
    { seed: SEED, numRuns: 300 },
  );
}

Deno.test("MessageRows makes the rows of the outputs that the messages were written from", async (t) => {
  await t.step("validated", () => {
    sameRows("validated", validated, (w, one) => w.validated(one), (all) => ({ validated: all }));
  });
  await t.step("gap", () => {
    sameRows("gap", gap, (w, one) => w.gap(one), (all) => ({ gaps: all }));
  });
  await t.step("finding", () => {
    sameRows("finding", finding, (w, one) => w.finding(one), (all) => ({ findings: all }));
  });
  await t.step("late", () => {
    const late = fc.tuple(reading, delayMs).map(([one, delay]) => ({ ...one, delayMs: delay }));
    sameRows("late", late, (w, one) => w.late(one), (all) => ({ late: all }));
  });
  await t.step("rejected", () => {
    sameRows("rejected", rejected, (w, one) => w.rejected(one, PARTITION), (all) => ({
      rejected: all,
    }));
  });
  await t.step("metric", () => {
    sameRows("metric", metric, (w, one) => w.metric(one), (all) => ({ metrics: all }));
  });
});

/** `[kind, message, what is wrong with it]` */
const WRONG: [MessageKind, string, RegExp][] = [
  ["validated", "", /JSON/],
  ["validated", "not JSON", /JSON/],
  ["validated", "[]", /not a JSON object/],
  ["validated", "null", /not a JSON object/],
  ["validated", '{"meter_id":1,"status":"OK","flags":[]}', /meter_id is not a text/],
  [
    "validated",
    '{"meter_id":"M","timestamp":"soon","consumption_kwh":1,"status":"OK","flags":[]}',
    /timestamp is not a time/,
  ],
  [
    "validated",
    '{"meter_id":"M","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1..2,"status":"OK","flags":[]}',
    /JSON/,
  ],
  [
    "validated",
    '{"meter_id":"M","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":"1","status":"OK","flags":[]}',
    /consumption_kwh is not a number/,
  ],
  [
    "validated",
    '{"meter_id":"M","timestamp":"2013-01-01T00:00:00Z","consumption_kwh":1,"status":"NO","flags":[]}',
    /status is not/,
  ],
  ["gap", '{"gap_id":"M@2013-01-01T00:00:00Z","state":"GONE"}', /state is not/],
  ["gap", '{"gap_id":"M","state":"OPEN","meter_id":"M"}', /gap_id is not a time/],
  ["metric", '{"metric_type":"x","timestamp":"2013-01-01","value":1,"tags":[]}', /tags is not/],
];

Deno.test("MessageRows says what is wrong with a message, and makes no row of it", () => {
  for (const [kind, message, expected] of WRONG) {
    const rows = new MessageRows(kind, PARTITION);
    const bytes = new TextEncoder().encode(message);
    const error = rows.add(bytes, 0, bytes.length, { offset: 1, timeMs: 0 });
    assert.match(error ?? "", expected, message);
    assert.deepEqual(rows.tables(), []);
    assert.equal(rows.spanMs, null);
  }
  const rows = new MessageRows("late", PARTITION);
  const bytes = new Uint8Array([0x7b, 0xff, 0x7d]);
  assert.notEqual(rows.add(bytes, 0, 3, { offset: 1, timeMs: 0 }), null, "it is no UTF-8");
});
