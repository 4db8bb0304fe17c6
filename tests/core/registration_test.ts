import assert from "node:assert/strict";
import { encodeRegistration, type Registration } from "../../src/core/wire/registration.ts";
import { Processor } from "../../src/core/processor.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { PLAIN_SETTINGS } from "../simulation/settings.ts";

const START_MS = Date.UTC(2024, 0, 1);
const METER: Registration = {
  meterId: "M1",
  channel: "",
  version: 3,
  group: "T1",
  intervalMinutes: 15,
  timezone: "Europe/London",
  activeFromMs: START_MS,
  activeToMs: null,
  direction: "export",
  maxKw: 48.5,
};

Deno.test("a registration is counted with the ticks, told as a metric of its meter, and moves nothing", () => {
  const processor = new Processor(coreOptions(PLAIN_SETTINGS));
  processor.record(rawOf(encodeRegistration(METER, START_MS), 0));
  const { ledger } = processor.state;
  assert.deepEqual([ledger.raw, ledger.tick, processor.watermarkMs], [1, 1, null]);
  assert.equal(processor.meters.count, 0);
  const { metrics, rejected } = processor.takeOutputs();
  assert.deepEqual(rejected, []);
  assert.deepEqual(metrics.filter(({ metricType }) => metricType === "meter_registered"), [{
    offset: 1,
    metricType: "meter_registered",
    meterId: "M1",
    timestampMs: START_MS,
    value: 1,
    tags: {
      version: "3",
      group_id: "T1",
      interval_minutes: "15",
      timezone: "Europe/London",
      active_from: "2024-01-01T00:00:00Z",
      direction: "export",
      max_kw: "48.5",
    },
  }]);
});

Deno.test("a registration that cannot be used is rejected with its reason, and never a crash", () => {
  const wrong = [
    [{ timestamp: "2024-01-01T00:00:00Z", version: 1 }, "MISSING_FIELD"],
    [{ meter_id: "M1", version: 1 }, "MISSING_FIELD"],
    [{ meter_id: "", timestamp: "2024-01-01T00:00:00Z", version: 1 }, "BAD_METER_ID"],
    [{ meter_id: "M1", timestamp: "soon", version: 1 }, "BAD_TIMESTAMP"],
    [{ meter_id: "M1", timestamp: "1970-01-01T00:00:00Z", version: 1 }, "TOO_OLD"],
    ...[
      ...[{}, { version: 0 }, { version: 1.5 }, { version: 2 ** 31 }, { version: 1, max_kw: -1 }],
      ...[{ version: 1, direction: "up" }, { version: 1, active_from: "soon" }],
      ...[{ version: 1, group_id: "" }, { version: 1, group_id: {} }, {
        version: 1,
        group_id: "\0",
      }],
      ...[{ version: 1, timezone: "x".repeat(300) }, { version: 1, interval_minutes: "none" }],
    ].map((fields) =>
      [{ meter_id: "M1", timestamp: "2024-01-01T00:00:00Z", ...fields }, "MALFORMED"] as const
    ),
  ] as const;
  const processor = new Processor(coreOptions(PLAIN_SETTINGS));
  wrong.forEach(([fields], offset) => {
    processor.record(rawOf(JSON.stringify({ type: "meter", ...fields }), offset));
  });
  const { rejected } = processor.takeOutputs();
  assert.deepEqual(rejected.map(({ reason }) => reason), wrong.map(([, reason]) => reason));
});
