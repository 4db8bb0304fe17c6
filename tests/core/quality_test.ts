/** Quality codes as they were delivered: kept, and honoured. */
import assert from "node:assert/strict";
import {
  applyChanges,
  decodeTask,
  encodeAll,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import { Processor } from "../../src/core/processor.ts";
import { isEstimate, readQuality } from "../../src/core/wire/delivered_quality.ts";
import { startHarness } from "./harness.ts";

const at = (minutes: number) => new Date(Date.UTC(2024, 0, 1, 10, minutes)).toISOString();

function raw(minutes: number, kwh: number, quality?: unknown): string {
  return JSON.stringify({ meter_id: "M1", timestamp: at(minutes), consumption_kwh: kwh, quality });
}

function fold(processor: Processor, ...texts: string[]) {
  for (const text of texts) {
    const bytes = new TextEncoder().encode(text);
    const offset = processor.state.nextOffset;
    const times = { timeMs: NaN, replayStartMs: NaN };
    processor.record({ bytes, start: 0, end: bytes.length, offset, ...times });
  }
  const { validated, rejected } = processor.takeOutputs();
  return [
    ...validated.map(({ consumptionKwh, flags, quality, revisesKwh }) =>
      [consumptionKwh, quality ?? "", flags.join(), revisesKwh ?? ""].join(" ").trim()
    ),
    ...rejected.map(({ reason, consumptionKwh }) => `${reason} ${consumptionKwh}`),
  ];
}

Deno.test("readQuality() keeps a code as it came; isEstimate() knows those of NEM12, CIM and Green Button", () => {
  assert.deepEqual(["A", " S14 ", 8, "", null, {}, true].map(readQuality), [
    ...["A", "S14", "8", null, null, null, null],
  ]);
  assert.equal(readQuality("x".repeat(99))?.length, 32);
  for (const code of ["S", "S14", "F15", "E52", "3.8.0", "8", "9"]) {
    assert.ok(isEstimate(code), code);
  }
  for (const code of ["A", "N", "V", "3.0.0", "3.7.0", "7", "17", "", "ESTIMATE"]) {
    assert.ok(!isEstimate(code), code);
  }
  assert.ok(!isEstimate(null));
});

for (const revisions of ["first", "last"] as const) {
  Deno.test(`An actual reading replaces a delivered estimate, never the other way round (revisions: ${revisions})`, () => {
    const { processor } = startHarness({ revisions });
    assert.deepEqual(fold(processor, raw(0, 1, "A"), raw(30, 2, "S14"), raw(60, 3)), [
      ...["1 A", "2 S14", "3"],
    ]);
    // The same value, too: what is known of it is another.
    assert.deepEqual(fold(processor, raw(30, 2, "A")), ["2 A REVISES 2"]);
    assert.deepEqual(fold(processor, raw(30, 2.5, "S14"), raw(0, 1, "E52")), [
      ...["CONFLICT 2.5", "DUPLICATE 1"],
    ]);
    // A late estimate fills what is missing, and gives way in turn; two estimates are as two readings.
    assert.deepEqual(fold(processor, raw(120, 5)), ["5"]);
    assert.deepEqual(fold(processor, raw(90, 4, "8")), ["4 8"]);
    const second = revisions === "first" ? ["CONFLICT 4.5"] : ["4.5 8 REVISES 4"];
    assert.deepEqual(fold(processor, raw(90, 4.5, "8")), second);
    const held = revisions === "first" ? 4 : 4.5;
    assert.deepEqual(fold(processor, raw(90, 4.2)), [`4.2  REVISES ${held}`]);
  });
}

Deno.test("A restored state still knows which values are estimates, as far as late readings reach", () => {
  const { processor } = startHarness({ expectedIntervalMs: 1_800_000 });
  fold(processor, raw(0, 1), raw(30, 2, "3.8.0"), raw(60, 3));
  const next = new Processor(processor.options, decodeTask(encodeTask(processor)));
  for (const payload of encodeAll(processor, 1 << 20)) applyChanges(payload, next);
  finishRestore(next);
  assert.deepEqual(fold(next, raw(30, 2.2)), ["2.2  REVISES 2"]);
  // Far enough behind, nothing is kept aside any more.
  fold(next, raw(90, 4, "S"), ...Array.from({ length: 12 }, (_, n) => raw(120 + 30 * n, 5)));
  assert.equal(next.meters.estimates.size, 0);
  assert.equal(next.meters.hasAside[0], 0);
});
