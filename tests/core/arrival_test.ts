import assert from "node:assert/strict";
import { type At, BASE_MS, iso, MINUTE_MS, ms, startHarness } from "./harness.ts";

/** What vouches for a `received_at`, one row a way to know that it is 10:00. */
const VOUCHERS: [name: string, nowMs: number | null, replayStart: number, recordTime: number][] = [
  ["the record's own time", null, NaN, ms("10:00")],
  ["the wall clock", ms("10:00"), NaN, NaN],
  ["the record's own time, not the wall clock", ms("99:00"), NaN, ms("10:00")],
  ["the replay's start", null, ms("10:00"), NaN],
  ["the later of the two: the record's time", null, ms("9:00"), ms("10:00")],
  ["the later of the two: the replay's start", null, ms("10:00"), ms("9:00")],
];

Deno.test("Processor believes a received_at up to the allowed future of the log or the start", () => {
  for (const [name, nowMs, replayStart, recordTime] of VOUCHERS) {
    for (const negative of ["reject", "flag"] as const) {
      const core = startHarness({ nowMs, negative });
      if (!Number.isNaN(replayStart)) core.tick("-999:00", { recordTime, replayStart });
      const say = (meter: string, at: At, received: At, kwh: number | string = 1) => {
        const rest = `,"received_at":"${iso(received)}"`;
        return core.reading(meter, at, kwh, rest, recordTime, replayStart);
      };
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

Deno.test("Processor judges the records of a replay by its own ticks, and live ones by the log", () => {
  const core = startHarness();
  const wall = "9000:00";
  const live = (meter: string, at: At) => core.reading(meter, at, 1, "", wall);
  const replayed = (meter: string, at: At, replayStart: At = wall) =>
    core.reading(meter, at, 1, "", wall, replayStart);
  assert.equal(replayed("M0", wall), "OK", "no tick of it came yet: its start is the clock");
  core.processor.state.readingMaxMs = -Infinity;
  core.tick("0:00", { recordTime: wall, replayStart: wall });
  assert.equal(core.processor.state.replaying, true);
  assert.equal(replayed("M1", "1:00"), "OK");
  assert.equal(replayed("M1", "1:00:00.001"), "FUTURE");
  core.tick("5:00", { recordTime: wall, replayStart: "9000:01" });
  assert.equal(replayed("M2", "5:30"), "FUTURE", "the other replay's ticks say nothing of it");
  assert.equal(replayed("M2", "5:30", "9000:01"), "OK");
  core.tick("5:15", { final: true, recordTime: wall, replayStart: wall });
  assert.equal(core.processor.state.replaying, false);
  assert.equal(live("M3", wall), "OK", "live among them");
  assert.equal(live("M4", "9001:00:00.001"), "FUTURE");
});

Deno.test("Processor knows by a live reading that no replay is the clock any more", () => {
  const core = startHarness();
  core.tick("0:00", { recordTime: "9000:00", replayStart: "9000:00" });
  assert.equal(core.processor.state.replaying, true);
  core.reading("M1", "0:30", 1, "", "9000:00", "9000:00");
  assert.equal(core.processor.state.replaying, true, "the replay goes on");
  core.reading("M2", "9000:00", 1, "", "9000:00");
  assert.equal(core.processor.state.replaying, false, "it was killed, or others send beside it");
});

Deno.test("Processor remembers the ticks of the latest replays alone", () => {
  const core = startHarness();
  for (let replay = 0; replay < 100; replay++) {
    core.tick("0:00", { recordTime: "9000:00", replayStart: ms("9000:00") + replay });
  }
  const { replayTicks } = core.processor.state;
  assert.equal(replayTicks.size, 16);
  assert.ok(replayTicks.has(ms("9000:00") + 99));
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
