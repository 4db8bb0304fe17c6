import assert from "node:assert/strict";
import { type At, BASE_MS, iso, MINUTE_MS, ms, startHarness } from "./harness.ts";

/** What vouches for a `received_at`, one row a way to know that it is 10:00. */
const VOUCHERS: [name: string, nowMs: number | null, tick: boolean, recordTime: number][] = [
  ["the record's own time", null, false, ms("10:00")],
  ["the replay's start", ms("10:00"), false, NaN],
  ["the later of the two: the record's time", ms("9:00"), false, ms("10:00")],
  ["the later of the two: the replay's start", ms("10:00"), false, ms("9:00")],
  ["the record's own time, during a replay", null, true, ms("10:00")],
  ["the replay's start, during a replay", ms("10:00"), true, NaN],
];

Deno.test("Processor believes a received_at up to the allowed future of the log or the start", () => {
  for (const [name, nowMs, tick, recordTime] of VOUCHERS) {
    for (const negative of ["reject", "flag"] as const) {
      const core = startHarness({ nowMs, negative });
      if (tick) {
        core.tick("-999:00", { recordTime });
        assert.equal(core.processor.state.replaying, true, name);
      }
      const say = (meter: string, at: At, received: At, kwh: number | string = 1) =>
        core.reading(meter, at, kwh, `,"received_at":"${iso(received)}"`, recordTime);
      assert.equal(say("M1", "10:00", "11:00"), "OK", name);
      const clockMs = core.processor.state.clockMs;
      assert.equal(say("M1", "10:30", "11:00:00.001"), "FUTURE", `${name}: whatever its timestamp`);
      assert.equal(say("M2", "2099", "2099"), "FUTURE", name);
      assert.equal(say("M1", "10:30", "2099", "null"), "BAD_VALUE", name);
      assert.equal(say("M1", "2099", "2099", 1e9), "TOO_LARGE", name);
      assert.equal(core.watermark(), "10:00", `${name}: they move nothing`);
      assert.equal(core.processor.state.clockMs, clockMs, name);
      assert.equal(core.processor.meters.find("M2"), -1, name);
      assert.equal(core.processor.meters.marks.size, 0, `${name}: nor do they mark a slot`);
      assert.equal(say("M1", "10:30", "10:31"), "OK", name);
    }
  }
});

Deno.test("Processor says of an unbelievable received_at how far ahead it is, and where it belongs", () => {
  const core = startHarness();
  core.reading("M1", "10:00", 1, `,"received_at":"${iso("12:00:00.500")}"`, "10:00");
  core.reading("M1", "2099", 1, `,"received_at":"${iso("2099")}"`, "10:00");
  const [near, far] = core.readOutputs().rejected;
  assert.equal(near.detail, "received_at is 7200.5 s ahead of the clock");
  assert.equal(near.atMs, ms("10:00"), "its timestamp, which is credible");
  assert.equal(far.atMs, ms("10:00"), "the time of the log");
});

Deno.test("Processor holds a received_at against a replay's ticks where no other clock is known", () => {
  const core = startHarness();
  const say = (meter: string, at: At, received: At) =>
    core.reading(meter, at, 1, `,"received_at":"${iso(received)}"`);
  core.tick("10:00");
  assert.equal(say("M1", "10:00", "11:00"), "OK");
  assert.equal(say("M1", "10:30", "11:00:00.001"), "FUTURE");
  assert.equal(say("M2", "2099", "2099"), "FUTURE");
  assert.equal(core.watermark(), "10:00");
  core.tick("10:01", { final: true });
  assert.equal(say("M1", "10:30", "14:00"), "OK", "the replay is over, and nothing tells the time");
});

Deno.test("Processor turns no reading too late by one that claims to have arrived in 2099", () => {
  for (const [nowMs, recordTime] of [[ms("48:00"), NaN], [null, ms("48:00")]] as const) {
    for (const watermarkScope of ["partition", "meter"] as const) {
      const core = startHarness({ nowMs, watermarkScope });
      for (let slot = 0; slot < 48; slot++) {
        if (slot === 1) {
          core.reading("M1", "2099", 1, `,"received_at":"${iso("2099")}"`, recordTime);
        }
        core.reading("M1", BASE_MS + slot * 30 * MINUTE_MS, 1, "", recordTime);
      }
      const { ok, too_late, rejected } = core.processor.state.ledger;
      assert.deepEqual({ ok, too_late, rejected }, { ok: 48, too_late: 0, rejected: 1 });
    }
  }
});
