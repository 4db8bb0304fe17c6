import assert from "node:assert/strict";
import { applyChanges, encodeChanges } from "../../src/core/codec.ts";
import { Processor } from "../../src/core/processor.ts";
import {
  DAY_MS,
  DEFAULTS,
  type Harness,
  HOUR_MS,
  iso,
  MINUTE_MS,
  ms,
  startHarness,
} from "./harness.ts";

/** Seven days after 0:00, and what is missing then. */
const TTL = "168:00";
const EXPIRED = "EXPIRED M1@0:30 0:30..168:00 335";

function silentMeter(changes = {}): Harness {
  const core = startHarness(changes);
  core.reading("M1", "0:00");
  return core;
}

const isSilent = (core: Harness, id = "M1"): boolean =>
  core.processor.meters.isSilent(core.processor.meters.find(id));

Deno.test("Processor calls a meter silent once the watermark has reached its time to live", () => {
  const table: [outOfOrdernessMs: number, tick: string, expired: boolean][] = [
    [0, "167:59:59.999", false],
    [0, TTL, true],
    [HOUR_MS, "168:59:59.999", false],
    [HOUR_MS, "169:00", true],
  ];
  for (const [outOfOrdernessMs, tick, expired] of table) {
    const core = silentMeter({ outOfOrdernessMs });
    core.tick(tick);
    assert.equal(isSilent(core), expired, tick);
    assert.equal(core.readGaps().includes(EXPIRED), expired, tick);
  }
});

/** Ways in which the watermark gets to the time to live and beyond. */
const STEPS: [string, (core: Harness) => void][] = [
  ["a tick a minute", (core) => {
    for (let atMs = ms("0:01"); atMs <= ms("169:00"); atMs += MINUTE_MS) core.tick(atMs);
  }],
  ["one tick on the moment", (core) => core.tick(TTL)],
  ["one jump of a month", (core) => core.tick(ms("0:00") + 30 * DAY_MS)],
  ["a final tick", (core) => core.tick("500:00", { final: true })],
  ["another meter's reading", (core) => core.reading("M2", "400:00")],
  ["a jump to just before, then one far beyond", (core) => {
    core.tick("167:59:59.999");
    core.tick("300:00");
  }],
];

Deno.test("Processor lets a gap expire with 335 slots, whatever the step that got there", () => {
  for (const [name, step] of STEPS) {
    const core = silentMeter();
    step(core);
    const gaps = core.readGaps().filter((gap) => gap.includes("M1@0:30"));
    assert.equal(gaps.at(-1), EXPIRED, name);
    assert.equal(gaps.filter((gap) => gap.startsWith("EXPIRED")).length, 1, name);
  }
});

/** When the meter is back, and the whole of the silence that ends with that. */
const RETURNS: [string, tick: string | null, at: string, said: string, gap: string][] = [
  ["on the moment", null, TTL, "OK", "CLOSED M1@0:30 0:30..168:00 335"],
  ["long after", null, "900:10", "OK TIME_SHIFT", "CLOSED M1@0:30 0:30..900:00 1799"],
  ["just before, by its own time", "167:59", "168:30", "OK", "CLOSED M1@0:30 0:30..168:30 336"],
  ["after a tick", "300:00", "300:00", "OK", "CLOSED M1@0:30 0:30..300:00 599"],
];

Deno.test("Processor closes a silence at its full length when the meter is back", () => {
  for (const [name, tick, at, said, gap] of RETURNS) {
    const core = silentMeter();
    if (tick !== null) core.tick(tick);
    core.readGaps();
    assert.equal(core.reading("M1", at), said, name);
    assert.deepEqual(core.readGaps(), [gap], `${name}: one message of the gap`);
    assert.equal(isSilent(core), false);
    assert.equal(core.reading("M1", at), "DUPLICATE", "its slots are remembered again");
  }
});

Deno.test("Processor lets a late reading end a silence, and what follows be another gap", () => {
  const core = silentMeter();
  core.tick("300:10");
  core.readGaps();
  assert.equal(core.reading("M1", "299:30"), "LATE 2400");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..299:30 598"]);
  core.tick("300:15");
  assert.deepEqual(core.readGaps(), ["OPEN M1@300:00 300:00..300:30 1"]);
});

Deno.test("Processor lets late readings fill and split what was a silence", () => {
  const core = silentMeter();
  core.tick("300:00");
  core.reading("M1", "300:00");
  core.readGaps();
  assert.equal(core.reading("M1", "299:00"), "LATE 3600");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@0:30 0:30..299:00 597",
    "CLOSED M1@299:30 299:30..300:00 1",
  ]);
});

Deno.test("Processor freezes the count of unusable readings at the time to live", () => {
  const core = silentMeter();
  for (const at of ["1:00", "2:00"]) core.reading("M1", at, `"x"`);
  core.tick(TTL);
  assert.equal(core.readGaps().at(-1), `${EXPIRED} rejected 2`);
  core.reading("M1", "168:10", `"x"`);
  core.reading("M1", "168:30");
  core.reading("M1", "168:00", `"x"`);
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..168:30 336 rejected 2"]);
  core.reading("M1", "167:30");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@0:30 0:30..167:30 334 rejected 2",
    "CLOSED M1@168:00 168:00..168:30 1 rejected 1",
  ], "what splits off counts its own");
});

Deno.test("Processor in meter scope lets ticks and a meter's own readings alone pass its time to live", () => {
  const core = silentMeter({ watermarkScope: "meter" });
  core.reading("M2", "900:00");
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "168:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..168:00 335"]);
  core.tick("336:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@168:30 168:30..336:00 335"]);
  assert.equal(isSilent(core), true);
  assert.equal(isSilent(core, "M2"), false);
});

Deno.test("Processor says of an expired gap the watermark that found it", () => {
  const core = silentMeter();
  core.tick("400:00");
  const { gaps } = core.readOutputs();
  assert.deepEqual(gaps.map((gap) => [gap.state, gap.detectedAtMs, gap.offset]), [
    ["EXPIRED", ms("400:00"), 1],
  ]);
});

Deno.test("Processor keeps the id of an open gap, and what filled it, when it expires", () => {
  const core = silentMeter();
  core.tick("1:00");
  core.reading("M1", "0:30");
  core.tick("168:29:59.999");
  assert.equal(core.readGaps().some((gap) => gap.startsWith("EXPIRED")), false);
  core.tick("168:30");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@1:00 1:00..168:30 335"]);
});

Deno.test("Processor judges what it still waited for between readings when a meter expires", () => {
  const core = startHarness({ gapGraceMs: 3 * HOUR_MS, allowedLatenessMs: 4 * HOUR_MS });
  core.reading("M1", "0:00");
  core.reading("M1", "1:30");
  core.tick("400:00");
  assert.deepEqual(core.readGaps(), [
    "CLOSED M1@0:30 0:30..1:30 2",
    "EXPIRED M1@2:00 2:00..167:00 330",
  ]);
});

Deno.test("Processor calls no meter silent before a slot of it is missing", () => {
  const graced = silentMeter({ gapGraceMs: 7 * DAY_MS });
  graced.tick("168:29");
  assert.deepEqual(graced.readGaps(), []);
  graced.tick("168:30");
  assert.deepEqual(graced.readGaps(), ["EXPIRED M1@0:30 0:30..1:00 1"]);
  const daily = silentMeter({ expectedIntervalMs: DAY_MS, stateTtlMs: HOUR_MS });
  daily.tick("47:59");
  assert.deepEqual(daily.readGaps(), ["OPEN M1@24:00 24:00..48:00 1"], "days wait for two of them");
  daily.tick("48:15");
  assert.deepEqual(daily.readGaps(), ["EXPIRED M1@24:00 24:00..48:00 1"]);
});

/** Days after 0:00, and the half hours missing then. */
const FORGET = { stateTtlMs: DAY_MS, forgetAfterMs: 3 * DAY_MS };
const FORGOTTEN = "EXPIRED M1@0:30 0:30..72:00 143";

Deno.test("Processor forgets a meter once the watermark has reached the time for that", () => {
  const core = silentMeter(FORGET);
  core.tick("24:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@0:30 0:30..24:00 47"]);
  core.tick("71:59:59.999");
  assert.deepEqual(core.readGaps(), [], "its length is told when it ends");
  assert.equal(core.processor.meters.count, 1);
  core.tick("72:00");
  assert.deepEqual(core.readGaps(), [FORGOTTEN]);
  assert.equal(core.processor.meters.count, 0);
  const jumped = silentMeter(FORGET);
  jumped.tick("500:00");
  assert.deepEqual(jumped.readGaps(), [FORGOTTEN], "one message, whatever the step");
});

Deno.test("Processor starts a new history with the reading after a meter is forgotten", () => {
  const core = silentMeter(FORGET);
  core.reading("M1", "73:07", 1);
  assert.deepEqual(core.readGaps(), [FORGOTTEN], "no gap from the old history to the new");
  assert.equal(core.reading("M1", "73:37", 1), "OK", "slots count from the new first reading");
  core.tick("74:22");
  assert.deepEqual(core.readGaps(), ["OPEN M1@74:00:50.859 74:00:50.859..74:30:50.859 1"]);
  const back = silentMeter(FORGET);
  back.reading("M1", "71:59:59.999");
  assert.deepEqual(back.readGaps(), ["CLOSED M1@0:30 0:30..72:00 143"], "in time by a hair");
});

Deno.test("Processor calls a slot that a time to live has passed over too late, never taken", () => {
  const core = startHarness({ allowedLatenessMs: 8 * DAY_MS, stateTtlMs: DAY_MS });
  core.reading("M1", "0:00");
  core.reading("M1", "1:00");
  assert.equal(core.reading("M1", "1:00"), "DUPLICATE");
  core.tick("25:00");
  assert.equal(core.reading("M1", "1:00"), "TOO_LATE 86400");
  assert.equal(core.reading("M1", "0:30"), "TOO_LATE 88200", "its gap stays as it was");
  assert.equal(core.reading("M1", "25:00"), "OK");
  assert.equal(core.reading("M1", "1:00"), "TOO_LATE 86400");
  assert.equal(core.reading("M1", "1:30"), "LATE 84600", "what was not said then can be filled");
});

Deno.test("Processor forgets a meter whose interval it was still learning, without a word", () => {
  const core = silentMeter({ ...FORGET, expectedIntervalMs: "auto" });
  core.tick("71:59:59.999");
  assert.equal(core.processor.meters.count, 1, "it could be one of months");
  core.tick("72:00");
  assert.equal(core.processor.meters.count, 0);
  assert.deepEqual(core.readGaps(), []);
});

const retire = (core: Harness, at: string, id = "M1"): string =>
  core.record(`{"type":"retire","timestamp":"${iso(at)}","meter_id":"${id}"}`);

Deno.test("A retirement ends a history at the watermark, which it does not move", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.tick("12:00");
  assert.equal(retire(core, "11:00"), "tick");
  assert.deepEqual(core.readGaps().at(-1), "EXPIRED M1@10:30 10:30..12:00 3");
  assert.equal(core.watermark(), "12:00");
  assert.equal(core.processor.meters.count, 0);
  core.tick("20:00");
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "20:00");
  core.reading("M1", "21:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@20:30 20:30..21:00 1"]);
  assert.equal(core.processor.state.ledger.tick, 3);
});

Deno.test("A retirement says the whole length of a silence, and nothing of a meter without a gap", () => {
  const core = silentMeter({ stateTtlMs: DAY_MS });
  core.reading("M2", "0:00");
  retire(core, "0:00", "M2");
  retire(core, "0:00", "M3");
  core.tick("30:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@0:30 0:30..24:00 47"]);
  retire(core, "30:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@0:30 0:30..30:00 59"]);
  const metrics = startHarness();
  retire(metrics, "1:00", "M7");
  const [{ metricType, meterId }] = metrics.readOutputs().metrics;
  assert.deepEqual([metricType, meterId], ["meter_retired", "M7"]);
});

Deno.test("A retirement without its fields, or out of time, is rejected and ends nothing", () => {
  const core = startHarness({ nowMs: ms("12:00") });
  core.reading("M1", "10:00");
  const table: [string, string][] = [
    [`{"type":"retire","timestamp":"${iso("10:00")}"}`, "MISSING_FIELD"],
    [`{"type":"retire","meter_id":"M1"}`, "MISSING_FIELD"],
    [`{"type":"retire","meter_id":" ","timestamp":"${iso("10:00")}"}`, "BAD_METER_ID"],
    [`{"type":"retire","meter_id":"M1","timestamp":"x"}`, "BAD_TIMESTAMP"],
    [`{"type":"retire","meter_id":"M1","timestamp":"1999-01-01"}`, "TOO_OLD"],
    [`{"type":"retire","meter_id":"M1","timestamp":"${iso("13:01")}"}`, "FUTURE"],
  ];
  for (const [text, reason] of table) assert.equal(core.record(text), reason, text);
  assert.equal(core.processor.meters.count, 1);
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("encodeChanges() writes a tombstone for a forgotten meter alone", () => {
  const mirror = new Processor(DEFAULTS);
  const core = startHarness(FORGET);
  const follow = () => applyChanges(encodeChanges(core.processor), mirror);
  core.reading("M1", "0:00");
  core.reading("M2", "0:00");
  follow();
  assert.equal(mirror.meters.count, 2);
  core.tick("50:00");
  core.reading("M2", "50:00");
  follow();
  assert.equal(mirror.meters.isSilent(mirror.meters.find("M1")), true);
  core.tick("72:00");
  follow();
  assert.equal(mirror.meters.find("M1"), -1);
  assert.equal(mirror.meters.lastMs(mirror.meters.find("M2")), ms("50:00"));
  assert.equal(mirror.meters.count, 1);
});

Deno.test("Processor in meter scope judges no history by ticks from before it", () => {
  const h = startHarness({ watermarkScope: "meter" });
  h.reading("NEW", "1000:00");
  h.tick("1000:15", { final: true });
  assert.equal(h.reading("OLD", "0:00"), "OK");
  assert.equal(h.reading("OLD", "0:30", 1), "OK");
  assert.equal(h.reading("OLD", "0:30", 1), "DUPLICATE");
  assert.equal(h.tick("0:45", { final: true }), "tick");
  assert.deepEqual(h.readGaps(), []);
  assert.equal(h.reading("OLD", "1:30"), "OK");
  assert.equal(h.reading("OLD", "2:00"), "OK");
  assert.deepEqual(h.readGaps(), ["CLOSED OLD@1:00 1:00..1:30 1"]);
  h.tick("1000:15");
  assert.deepEqual(h.readGaps(), [], "the clock has not moved");
  h.tick("1000:16");
  assert.deepEqual(h.readGaps(), ["EXPIRED OLD@2:30 2:30..170:00 335"]);
});
