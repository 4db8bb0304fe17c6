import assert from "node:assert/strict";
import { isMeterId, trimMeterId } from "../../src/core/meter_id.ts";
import { BASE_MS, DAY_MS, iso, startHarness } from "./harness.ts";

Deno.test("Processor rejects as TOO_OLD what lies before the first time there can be", () => {
  const core = startHarness();
  const edgeMs = Date.UTC(2005, 0, 1);
  assert.equal(core.reading("M1", edgeMs - 1), "TOO_OLD");
  assert.equal(core.reading("M1", 0), "TOO_OLD", "a clock that was reset");
  assert.equal(core.reading("M1", Date.UTC(2000, 0, 1)), "TOO_OLD");
  assert.equal(core.reading("M1", -1, `"x"`), "BAD_VALUE", "the first reason that holds");
  assert.equal(core.tick(edgeMs - 1), "TOO_OLD");
  assert.equal(core.watermark(), null, "they move nothing");
  assert.equal(core.processor.meters.count, 0);
  const [{ detail, timestampMs }] = core.readOutputs().rejected;
  assert.equal(detail, "timestamp is before 2005-01-01T00:00:00Z");
  assert.equal(timestampMs, edgeMs - 1);
  assert.equal(core.reading("M1", edgeMs), "OK");
});

Deno.test("Processor marks no slot by a reading out of time, and takes it for no step of a run", () => {
  const core = startHarness({ nowMs: BASE_MS + DAY_MS });
  core.reading("M1", BASE_MS);
  for (const at of [0, BASE_MS + 2 * DAY_MS]) {
    assert.equal(core.reading("M1", at, `"x"`), "BAD_VALUE");
    assert.equal(core.processor.meters.marks.size, 0);
  }
  core.reading("M1", BASE_MS + DAY_MS);
  const run = core.processor.meters.runs.get(0);
  assert.deepEqual([run?.fromMs, run?.stepMs, run?.steps], [BASE_MS, DAY_MS, 1]);
});

Deno.test("Processor begins no more histories than a partition may have, and refuses no known meter", () => {
  const core = startHarness({ metersMax: 2, stateTtlMs: DAY_MS, forgetAfterMs: DAY_MS });
  assert.equal(core.reading("M1", "0:00"), "OK");
  assert.equal(core.reading("M2", "0:00"), "OK");
  assert.equal(core.reading("M3", "0:00"), "TOO_MANY_METERS");
  assert.equal(core.reading("M3", "-2:00"), "TOO_LATE 7200", "lateness is judged before");
  assert.equal(core.reading("M1", "0:30"), "OK");
  assert.equal(core.reading("M2", "0:30"), "OK");
  const [{ detail, meterId }] = core.readOutputs().rejected;
  assert.equal(detail, "more than 2 meters in this partition");
  assert.equal(meterId, "M3");
  assert.equal(core.watermark(), "0:30");
  core.reading("M2", "24:29");
  assert.equal(core.reading("M3", "24:29"), "TOO_MANY_METERS");
  core.tick("24:30");
  assert.equal(core.reading("M3", "24:30"), "OK", "M1 has left");
});

Deno.test("Processor hands the origin of a row through to what it says of it", () => {
  const core = startHarness();
  core.reading("M1", "0:00", `""`, `,"source":"a.csv:7"`);
  core.reading("M1", "0:00", 1);
  core.reading("M1", "0:00", 2, `,"source":"a.csv:9"`);
  core.reading("M1", "0:00", 2);
  core.reading("M1", "0:00", 2, `,"source":7`);
  core.reading("M1", "0:00", 2, `,"source":"${"x".repeat(600)}"`);
  const sources = core.readOutputs().rejected.map(({ source }) => source);
  assert.deepEqual(sources.slice(0, 4), ["a.csv:7", "a.csv:9", undefined, undefined]);
  assert.equal(sources[4]?.length, 512);
});

Deno.test("Processor takes ids that differ in what nobody sees for one meter", () => {
  const core = startHarness();
  const unseen = ["", " ", "\t", "\n", "\u00a0", "\ufeff", "\u200b", "\u200d", "\u2060", "\u3000"];
  for (const [slot, around] of unseen.entries()) {
    const id = JSON.stringify(`${around}MTR1${around}`);
    const at = iso(BASE_MS + slot * 30 * 60_000);
    const said = core.record(`{"meter_id":${id},"timestamp":"${at}","consumption_kwh":1}`);
    assert.equal(said, "OK", id);
  }
  assert.equal(core.processor.meters.count, 1);
  assert.equal(core.reading("mtr1", "9:00"), "OK");
  assert.equal(core.reading("'MTR1", "9:00"), "OK");
  assert.equal(core.processor.meters.count, 3, "what can be seen keeps ids apart");
  for (const control of ["\\u0000", "\\u001b", "\\u0085x", "\\u009f", "\\u007f"]) {
    assert.equal(core.reading(`M${control}1`, "9:00"), "BAD_METER_ID", control);
  }
});

Deno.test("trimMeterId() takes from both ends what nobody sees, and nothing from within", () => {
  assert.equal(trimMeterId("\ufeff\u00a0 \tA\u200bB \u2060\r\n"), "A\u200bB");
  for (const id of ["", " ", "\u200c\ufeff"]) assert.equal(trimMeterId(id), "");
  assert.equal(isMeterId(""), false);
  assert.equal(isMeterId("x".repeat(256)), true);
  assert.equal(isMeterId("x".repeat(257)), false);
  assert.equal(isMeterId("\ud800"), false);
});
