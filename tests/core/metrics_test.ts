import assert from "node:assert/strict";
import { HOUR_MS, iso, ms, startHarness } from "./harness.ts";
import { rawOf } from "../simulation/fold.ts";

/** Metrics of one commit as `type{tags} value`. */
function showMetrics(core: ReturnType<typeof startHarness>): string[] {
  return core.processor.takeOutputs().metrics.map(({ metricType, tags, value }) =>
    `${metricType}${Object.keys(tags).length === 0 ? "" : JSON.stringify(tags)} ${value}`
  );
}

/** Folds without a commit. */
function fold(core: ReturnType<typeof startHarness>, meterId: string, at: string, kwh = "1"): void {
  const { processor } = core;
  const text = `{"meter_id":"${meterId}","timestamp":"${iso(at)}","consumption_kwh":${kwh}}`;
  processor.record(rawOf(text, processor.state.nextOffset, ms(at)));
}

Deno.test("Processor.takeOutputs() counts each disposition and reason of a commit once", () => {
  const core = startHarness({ allowedLatenessMs: HOUR_MS });
  fold(core, "M1", "10:00");
  fold(core, "M2", "10:00");
  fold(core, "M2", "10:00");
  fold(core, "M2", "10:00", "2");
  fold(core, "M3", "9:30");
  fold(core, "M3", "8:00");
  fold(core, "M1", "10:30", "-1");
  fold(core, "M1", "10:30", "-1");
  fold(core, "M1", "10:30", "null");
  assert.deepEqual(showMetrics(core), [
    `event_processed{"status":"OK"} 2`,
    `event_processed{"status":"LATE"} 1`,
    "too_late_event 1",
    "duplicate_event 2",
    `invalid_event{"error":"NEGATIVE"} 2`,
    `invalid_event{"error":"BAD_VALUE"} 1`,
    "watermark_lag_seconds 1800",
  ]);
});

Deno.test("Processor.takeOutputs() counts a commit's records alone, and nothing of an empty one", () => {
  const core = startHarness();
  assert.deepEqual(showMetrics(core), []);
  fold(core, "M1", "10:00");
  assert.deepEqual(showMetrics(core), [
    `event_processed{"status":"OK"} 1`,
    "watermark_lag_seconds 0",
  ]);
  assert.deepEqual(showMetrics(core), []);
  fold(core, "M1", "10:30", "null");
  assert.deepEqual(showMetrics(core), [
    `invalid_event{"error":"BAD_VALUE"} 1`,
    "watermark_lag_seconds 1800",
  ]);
});

Deno.test("Processor.takeOutputs() counts a gap as detected once, however often it is announced", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  const detected: [string, string, number][] = [
    ["M1", "0:00", 0],
    ["M2", "2:00", 1], // M1 opens
    ["M2", "2:30", 0], // M1 doubles
    ["M1", "2:30", 0], // M1 closes
    ["M1", "1:00", 1], // M1 splits
    ["M1", "0:30", 0], // the left part is filled
    ["M1", "5:00", 2], // M1 and M2
  ];
  for (const [meterId, at, count] of detected) {
    fold(core, meterId, at);
    const metrics = showMetrics(core).filter((metric) => metric.startsWith("gap_detected"));
    assert.deepEqual(metrics, count === 0 ? [] : [`gap_detected ${count}`], `${meterId} ${at}`);
  }
});

Deno.test("Processor.takeOutputs() stamps metrics with the watermark and the next offset", () => {
  const core = startHarness({ outOfOrdernessMs: HOUR_MS });
  fold(core, "M1", "10:00");
  const [metric] = core.processor.takeOutputs().metrics;
  assert.deepEqual([metric.timestampMs, metric.offset, metric.meterId], [ms("9:00"), 1, null]);
});

Deno.test("Processor measures no lag against the clock of a record that it rejects", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.reading("M1", "10:30", "null", `,"received_at":"2099-01-01T00:00:00Z"`);
  core.readOutputs();
  core.reading("M1", "10:30", 1, `,"received_at":"${iso("10:31")}"`);
  const lag = core.readOutputs().metrics.find((m) => m.metricType === "watermark_lag_seconds");
  assert.equal(lag?.value, 60);
});
