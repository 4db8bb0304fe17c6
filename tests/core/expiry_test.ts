import assert from "node:assert/strict";
import { applyChanges, encodeChanges } from "../../src/core/codec.ts";
import { Processor } from "../../src/core/processor.ts";
import { DAY_MS, DEFAULTS, type Harness, HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

/** Seven days after 0:00, and what is missing then. */
const TTL = "168:00";
const EXPIRED = "EXPIRED M1@0:30 0:30..168:00 335";

function silentMeter(changes = {}): Harness {
  const core = startHarness(changes);
  core.reading("M1", "0:00");
  return core;
}

Deno.test("Processor expires a meter once the watermark has reached its time to live", () => {
  const table: [outOfOrdernessMs: number, tick: string, expired: boolean][] = [
    [0, "167:59:59.999", false],
    [0, TTL, true],
    [HOUR_MS, "168:59:59.999", false],
    [HOUR_MS, "169:00", true],
  ];
  for (const [outOfOrdernessMs, tick, expired] of table) {
    const core = silentMeter({ outOfOrdernessMs });
    core.tick(tick);
    assert.equal(core.processor.meters.find("M1") < 0, expired, tick);
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
  ["a reading of its own, on the moment", (core) => core.reading("M1", TTL)],
  ["a reading of its own, long after", (core) => core.reading("M1", "900:10")],
  ["a jump to just before, then one far beyond", (core) => {
    core.tick("167:59:59.999");
    core.tick("300:00");
  }],
  ["a jump to just before, then a reading of its own", (core) => {
    core.tick("167:59");
    core.reading("M1", "168:30");
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

Deno.test("Processor in meter scope expires meters by ticks and by their own readings alone", () => {
  const core = silentMeter({ watermarkScope: "meter" });
  core.reading("M2", "900:00");
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "168:00");
  assert.deepEqual(core.readGaps(), [EXPIRED]);
  core.tick("336:00");
  assert.deepEqual(core.readGaps(), ["EXPIRED M1@168:30 168:30..336:00 335"]);
  assert.equal(core.processor.meters.find("M1"), -1);
  assert.notEqual(core.processor.meters.find("M2"), -1);
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

Deno.test("Processor expires no gap when the grace is as long as the time to live", () => {
  const core = silentMeter({ gapGraceMs: 7 * DAY_MS });
  core.tick("400:00");
  assert.deepEqual(core.readGaps(), []);
  assert.equal(core.processor.meters.count, 0);
});

Deno.test("Processor starts a new history with the reading after an expiry", () => {
  const core = silentMeter();
  core.reading("M1", "169:07", 1);
  assert.deepEqual(core.readGaps(), [EXPIRED], "no gap from the old history to the new");
  assert.equal(core.reading("M1", "169:37", 1), "OK", "slots count from the new first reading");
  core.tick("170:22");
  assert.deepEqual(core.readGaps(), ["OPEN M1@170:07 170:07..170:37 1"]);
});

Deno.test("Processor takes a reading of an expired meter again, for it remembers none", () => {
  const core = startHarness({ allowedLatenessMs: 8 * DAY_MS, stateTtlMs: DAY_MS });
  core.reading("M1", "0:00");
  assert.equal(core.reading("M1", "0:00"), "DUPLICATE");
  core.tick("24:00");
  assert.equal(core.reading("M1", "0:00"), "LATE 86400");
  assert.equal(core.reading("M1", "-2:00"), "LATE 93600", "a day behind its first: a new history");
});

Deno.test("Processor forgets a meter whose interval it was still learning, without a word", () => {
  const core = silentMeter({ expectedIntervalMs: "auto" });
  core.tick("167:59:59.999");
  assert.equal(core.processor.meters.count, 1);
  core.tick(TTL);
  assert.equal(core.processor.meters.count, 0);
  assert.equal(core.processor.meters.learning.size, 0);
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("encodeChanges() writes a tombstone for an expired meter, and for none that came back", () => {
  const mirror = new Processor(DEFAULTS);
  const core = startHarness();
  const follow = () => applyChanges(encodeChanges(core.processor), mirror);
  core.reading("M1", "0:00");
  core.reading("M2", "0:00");
  follow();
  assert.equal(mirror.meters.count, 2);
  core.tick("200:00");
  core.reading("M2", "200:00");
  follow();
  assert.equal(mirror.meters.find("M1"), -1);
  assert.equal(mirror.meters.lastMs[mirror.meters.find("M2")], ms("200:00"));
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
