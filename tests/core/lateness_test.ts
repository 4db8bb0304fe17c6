import assert from "node:assert/strict";
import fc from "fast-check";
import type { ProcessorOptions } from "../../src/core/options.ts";
import {
  type At,
  BASE_MS,
  clock,
  DEFAULTS,
  HOUR_MS,
  iso,
  MINUTE_MS,
  ms,
  startHarness,
} from "./harness.ts";

const BOTH_SCOPES = ["partition", "meter"] as const;

/** `[lateness in minutes, out-of-orderness in minutes, timestamp, what becomes of it]` at 10:00. */
const JUDGED: [number, number, string, string][] = [
  [60, 0, "10:00:00.001", "OK"],
  [60, 0, "10:00", "OK"],
  [60, 0, "9:59:59.999", "LATE 0.001"],
  [60, 0, "9:00:00.001", "LATE 3599.999"],
  [60, 0, "9:00", "LATE 3600"],
  [60, 0, "8:59:59.999", "TOO_LATE 3600.001"],
  [60, 0, "-10:00", "TOO_LATE 72000"],
  [60, 10, "9:50", "OK"],
  [60, 10, "9:49:59.999", "LATE 0.001"],
  [60, 10, "8:50", "LATE 3600"],
  [60, 10, "8:49:59.999", "TOO_LATE 3600.001"],
  [0, 0, "10:00", "OK"],
  [0, 0, "9:59:59.999", "TOO_LATE 0.001"],
  [0, 10, "9:50", "OK"],
  [0, 10, "9:49:59.999", "TOO_LATE 0.001"],
];

function judgedWith(
  scope: ProcessorOptions["watermarkScope"],
  [latenessMinutes, outOfOrdernessMinutes]: readonly [number, number, ...unknown[]],
) {
  return startHarness({
    watermarkScope: scope,
    allowedLatenessMs: latenessMinutes * MINUTE_MS,
    outOfOrdernessMs: outOfOrdernessMinutes * MINUTE_MS,
  });
}

Deno.test("Processor judges a reading against the watermark of another meter's reading", () => {
  for (const row of JUDGED) {
    const core = judgedWith("partition", row);
    core.reading("M1", "10:00");
    assert.equal(core.reading("M2", row[2]), row[3], row.join());
  }
});

Deno.test("Processor judges a reading against the watermark of a tick", () => {
  for (const row of JUDGED) {
    const core = judgedWith("partition", row);
    core.tick("10:00");
    assert.equal(core.reading("M1", row[2]), row[3], row.join());
  }
});

Deno.test("Processor judges a reading against its own meter's clock in meter scope", () => {
  // Slots of a minute: every row but the last milliseconds is a slot of its own.
  for (const row of JUDGED) {
    const core = startHarness({
      ...judgedWith("meter", row).processor.options,
      expectedIntervalMs: MINUTE_MS,
    });
    core.reading("M1", "10:00");
    core.reading("M2", "23:00");
    const said = core.reading("M1", row[2]);
    const sameSlot = Math.abs(ms(row[2]) - ms("10:00")) <= 1;
    if (sameSlot && row[3].startsWith("TOO_LATE")) assert.equal(said, row[3], row.join());
    else if (sameSlot) assert.equal(said, "DUPLICATE", row.join());
    else assert.equal(said.replace(" TIME_SHIFT", ""), row[3], row.join());
  }
});

Deno.test("Processor never calls a reading late before there is a watermark", () => {
  for (const watermarkScope of BOTH_SCOPES) {
    const core = startHarness({ watermarkScope });
    assert.equal(core.watermark(), null);
    assert.equal(core.reading("M1", Date.UTC(2005, 0, 1)), "OK");
  }
});

Deno.test("Processor in meter scope calls no reading late because of ticks or other meters", () => {
  const core = startHarness({ watermarkScope: "meter" });
  core.reading("M1", "10:00");
  core.tick("15:00");
  assert.equal(core.reading("M2", "0:00"), "OK");
  assert.equal(core.reading("M1", "10:30"), "OK");
  assert.equal(core.reading("M1", "9:30"), "LATE 3600");
  assert.equal(core.reading("M1", "9:00"), "TOO_LATE 5400");
});

Deno.test("Processor in partition scope lets a tick make readings late", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.tick("11:00");
  assert.equal(core.reading("M1", "10:30"), "LATE 1800");
  core.tick("12:00:00.001");
  assert.equal(core.reading("M1", "11:00"), "TOO_LATE 3600.001");
});

Deno.test("Processor moves the watermark on with readings and ticks, and never back", () => {
  const core = startHarness({ outOfOrdernessMs: MINUTE_MS });
  const moves: [string, () => string, string, string | null][] = [
    ["first", () => core.reading("M1", "10:00"), "OK", "9:59"],
    ["out of order but in time", () => core.reading("M2", "9:59"), "OK", "9:59"],
    ["late", () => core.reading("M3", "9:30"), "LATE 1740", "9:59"],
    ["too late", () => core.reading("M4", "8:00"), "TOO_LATE 7140", "9:59"],
    ["an old tick", () => core.tick("9:00"), "tick", "9:59"],
    ["a tick", () => core.tick("10:10"), "tick", "10:09"],
    ["a tick behind the tick", () => core.tick("10:05"), "tick", "10:09"],
    ["a reading behind the tick", () => core.reading("M1", "10:09:30", 2), "CONFLICT", "10:09"],
    ["a reading", () => core.reading("M1", "10:30"), "OK", "10:29"],
    ["a duplicate ahead", () => core.reading("M1", "10:44:59"), "DUPLICATE", "10:29"],
    ["negative", () => core.reading("M1", "11:00", -1), "NEGATIVE", "10:29"],
    ["too large", () => core.reading("M1", "11:00", 1e6), "TOO_LARGE", "10:29"],
    ["no value", () => core.reading("M1", "11:00", "null"), "BAD_VALUE", "10:29"],
  ];
  for (const [name, move, said, watermark] of moves) {
    assert.equal(move(), said, name);
    assert.equal(core.watermark(), watermark, name);
  }
});

Deno.test("Processor lets a late reading that is a meter's first begin its history", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  assert.equal(core.reading("M2", "9:30"), "LATE 1800");
  assert.equal(core.reading("M2", "9:30"), "DUPLICATE");
  assert.equal(core.processor.meters.count, 2);
});

Deno.test("Processor keeps nothing of a meter of which only a too-late reading came", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  assert.equal(core.reading("M2", "8:00"), "TOO_LATE 7200");
  assert.equal(core.processor.meters.find("M2"), -1);
});

Deno.test("Processor calls a repeat of a too-late reading too late, never a duplicate", () => {
  const core = startHarness();
  core.reading("M1", "8:00");
  core.reading("M1", "10:00");
  assert.equal(core.reading("M1", "8:00"), "TOO_LATE 7200");
  assert.equal(core.reading("M1", "8:00", 2), "TOO_LATE 7200");
});

Deno.test("Processor says of a late reading how late it is, and of one on time nothing", () => {
  const core = startHarness();
  core.reading("M1", "10:00", 0.25);
  core.reading("M2", "9:30", 0.5);
  core.reading("M3", "8:59:59.999", 0.75);
  const { validated, late } = core.readOutputs();
  const common = { flags: [], consumptionKwh: 0.25 };
  assert.deepEqual(validated, [
    { ...common, offset: 0, meterId: "M1", timestampMs: ms("10:00"), status: "OK", delayMs: 0 },
    {
      ...common,
      offset: 1,
      meterId: "M2",
      timestampMs: ms("9:30"),
      consumptionKwh: 0.5,
      status: "LATE",
      delayMs: 30 * MINUTE_MS,
    },
  ]);
  assert.deepEqual(late, [{
    offset: 2,
    meterId: "M3",
    timestampMs: ms("8:59:59.999"),
    consumptionKwh: 0.75,
    delayMs: HOUR_MS + 1,
  }]);
});

Deno.test("Processor counts every record in one disposition, whatever came", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.reading("M1", "10:00");
  core.reading("M1", "10:00", 2);
  core.reading("M2", "9:30");
  core.reading("M2", "8:00");
  core.tick("10:01");
  core.tick("9:00", { final: true });
  core.record("");
  core.record("{}");
  core.reading("M1", "10:30", -1);
  const ledger = { raw: 10, ok: 1, late: 1, too_late: 1, duplicate: 2, rejected: 3, tick: 2 };
  assert.deepEqual(core.processor.state.ledger, ledger);
});

type Sent = { meterId: string; at: At; kwh: number };
const oneMeter = fc.array(
  fc.record({ slot: fc.integer({ min: 0, max: 40 }), offMinutes: fc.constantFrom(0, 0, 5, -14) }),
  { minLength: 1, maxLength: 25 },
);

/** What is said of each reading, and each gap, in the order of one meter's own readings. */
function answersByMeter(readings: readonly Sent[]): Record<string, unknown> {
  const core = startHarness({ watermarkScope: "meter" });
  const said: Record<string, unknown[]> = { A: [], B: [], C: [] };
  for (const { meterId, at, kwh } of readings) {
    const answer = core.reading(meterId, at, kwh);
    said[meterId].push([answer, core.readGaps()]);
  }
  return said;
}

Deno.test("Processor in meter scope gives each meter the same answers in any interleaving", () => {
  fc.assert(fc.property(
    fc.tuple(oneMeter, oneMeter, oneMeter),
    fc.array(fc.nat(2), { maxLength: 80 }),
    (meters, order) => {
      const queues = meters.map((readings, m) =>
        readings.map(({ slot, offMinutes }, n) => ({
          meterId: "ABC"[m],
          at: BASE_MS + (slot * 30 + offMinutes) * MINUTE_MS,
          kwh: n % 2,
        }))
      );
      const sorted = queues.flat();
      const mixed: Sent[] = [];
      for (const m of order) {
        const next = queues[m].shift();
        if (next !== undefined) mixed.push(next);
      }
      mixed.push(...queues.flat());
      assert.deepEqual(answersByMeter(mixed), answersByMeter(sorted));
    },
  ));
});

Deno.test("clock() and ms() are each other's inverse, so that tables here can be trusted", () => {
  for (const at of ["0:00", "-0:30", "10:30", "34:30:01", "9:59:59.999", "-10:00:00.001"]) {
    assert.equal(clock(ms(at)), at);
  }
  assert.equal(iso("10:30"), "2024-01-01T10:30:00Z");
  assert.equal(DEFAULTS.allowedLatenessMs, HOUR_MS);
});
