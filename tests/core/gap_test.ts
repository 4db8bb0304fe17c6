import assert from "node:assert/strict";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import { HOUR_MS, MINUTE_MS, ms, startHarness } from "./harness.ts";

const decoder = new TextDecoder();

/** `[grace in minutes, out-of-orderness in minutes, time reached, whether slot 10:30 is missing]` */
const MISSING: [number, number, string, boolean][] = [
  [15, 0, "10:44:59.999", false],
  [15, 0, "10:45", true],
  [0, 0, "10:29:59.999", false],
  [0, 0, "10:30", true],
  [15, 10, "10:54:59.999", false],
  [15, 10, "10:55", true],
  [45, 0, "11:14:59.999", false],
  [45, 0, "11:15", true],
];

Deno.test("Processor calls a slot missing once the watermark has passed it by the grace", () => {
  for (const [grace, outOfOrderness, reached, missing] of MISSING) {
    const causes = [
      (core: ReturnType<typeof startHarness>) => core.tick(reached),
      (core: ReturnType<typeof startHarness>) => core.reading("M2", reached),
    ];
    for (const cause of causes) {
      const core = startHarness({
        gapGraceMs: grace * MINUTE_MS,
        outOfOrdernessMs: outOfOrderness * MINUTE_MS,
      });
      core.reading("M1", "10:00");
      cause(core);
      const expected = missing ? ["OPEN M1@10:30 10:30..11:00 1"] : [];
      const label = `grace ${grace}, out of order ${outOfOrderness}, ${reached}`;
      assert.deepEqual(core.readGaps().filter((gap) => gap.includes("M1")), expected, label);
    }
  }
});

Deno.test("Processor judges a meter's silence by its own readings too, in either scope", () => {
  for (const watermarkScope of ["partition", "meter"] as const) {
    const core = startHarness({ watermarkScope });
    core.reading("M1", "10:00");
    core.reading("M1", "11:00");
    assert.deepEqual(core.readGaps(), ["CLOSED M1@10:30 10:30..11:00 1"]);
  }
});

Deno.test("Processor in meter scope judges no silence by other meters' readings, but by ticks", () => {
  const core = startHarness({ watermarkScope: "meter" });
  core.reading("M1", "10:00");
  core.reading("M2", "20:00");
  assert.deepEqual(core.readGaps(), []);
  core.tick("10:44:59.999");
  assert.deepEqual(core.readGaps(), []);
  core.tick("10:45");
  assert.deepEqual(core.readGaps(), ["OPEN M1@10:30 10:30..11:00 1"]);
});

Deno.test("Processor finds no gap while a meter reports every interval", () => {
  const core = startHarness();
  for (let minutes = 0; minutes < 48 * 60; minutes++) {
    const at = ms("0:00") + minutes * MINUTE_MS;
    if (minutes % 30 === 0) core.reading("M1", at);
    core.tick(at);
  }
  core.tick("48:14:59.999", { final: true });
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("JsonWriter.gap() says that one missing half hour is 30 minutes", () => {
  const core = startHarness();
  core.reading("M1", "10:00");
  core.reading("M1", "11:00");
  const writer = new JsonWriter();
  writer.gap(core.readOutputs().gaps[0]);
  const message = JSON.parse(decoder.decode(writer.bytes.subarray(0, writer.length)));
  assert.equal(message.gap_id, "M1@2024-01-01T10:30:00Z");
  assert.equal(message.missing_from, "2024-01-01T10:30:00Z");
  assert.equal(message.missing_to, "2024-01-01T11:00:00Z");
  assert.equal(message.gap_minutes, 30);
  assert.equal(message.missing_intervals, 1);
});

Deno.test("JsonWriter.gap() writes a missing_to beyond the year 9999 as ISO 8601 does", () => {
  const core = startHarness();
  const lastMs = Date.UTC(9999, 11, 31, 23, 0);
  core.reading("M1", lastMs);
  core.tick(lastMs + 45 * MINUTE_MS);
  const writer = new JsonWriter();
  writer.gap(core.readOutputs().gaps[0]);
  const message = JSON.parse(decoder.decode(writer.bytes.subarray(0, writer.length)));
  assert.equal(message.missing_to, "+010000-01-01T00:00:00Z");
});

Deno.test("Processor announces an open gap when it is found and when its length doubles", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  for (let atMs = ms("0:00"); atMs <= ms("50:00"); atMs += MINUTE_MS) core.tick(atMs);
  const { gaps } = core.readOutputs();
  assert.deepEqual(gaps.map((gap) => gap.missingIntervals), [1, 2, 4, 8, 16, 32, 64]);
  for (const gap of gaps) {
    const lastSlotMs = ms("0:00") + gap.missingIntervals * 30 * MINUTE_MS;
    assert.equal(gap.state, "OPEN");
    assert.equal(gap.idMs, ms("0:30"));
    assert.equal(gap.detectedAtMs, lastSlotMs + 15 * MINUTE_MS, "the moment it grew so long");
    assert.equal(gap.offset, 1 + (gap.detectedAtMs - ms("0:00")) / MINUTE_MS, "by that tick");
  }
});

Deno.test("Processor announces an open gap once per step, with the length known then", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  const steps: [string, string[]][] = [
    ["1:44:59.999", ["OPEN M1@0:30 0:30..1:30 2"]],
    ["1:45", []],
    ["2:14:59.999", []],
    ["2:15", ["OPEN M1@0:30 0:30..2:30 4"]],
    ["9:15", ["OPEN M1@0:30 0:30..9:30 18"]],
    ["18:14:59.999", []],
    ["18:15", ["OPEN M1@0:30 0:30..18:30 36"]],
  ];
  for (const [at, gaps] of steps) {
    core.tick(at);
    assert.deepEqual(core.readGaps(), gaps, at);
  }
});

Deno.test("Processor closes an open gap with its whole length when the meter reports again", () => {
  for (const late of [false, true]) {
    const core = startHarness();
    core.reading("M1", "0:00");
    core.tick(late ? "2:20" : "1:59");
    assert.equal(core.reading("M1", "2:00"), late ? "LATE 1200" : "OK");
    // The late one takes the last of the four slots that were missing.
    assert.deepEqual(core.readGaps(), [
      late ? "OPEN M1@0:30 0:30..2:30 4" : "OPEN M1@0:30 0:30..2:00 3",
      "CLOSED M1@0:30 0:30..2:00 3",
    ]);
  }
});

Deno.test("Processor waits with a gap between two readings until the grace is over", () => {
  const core = startHarness({ gapGraceMs: 2 * HOUR_MS });
  core.reading("M1", "0:00");
  core.reading("M1", "1:30");
  assert.deepEqual(core.readGaps(), []);
  core.tick("2:29:59.999");
  assert.deepEqual(core.readGaps(), []);
  core.tick("2:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..1:00 1"]);
  core.tick("3:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..1:30 2"]);
});

Deno.test("Processor goes on judging a gap that no late reading can reach any more", () => {
  const core = startHarness({ gapGraceMs: 2 * HOUR_MS });
  for (const at of ["0:00", "1:30", "2:00"]) core.reading("M1", at);
  assert.deepEqual(core.readGaps(), []);
  core.reading("M1", "2:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..1:00 1"]);
  core.reading("M1", "3:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..1:30 2"]);
});

Deno.test("Processor finds no gap where late readings came before the grace was over", () => {
  const core = startHarness({ gapGraceMs: 2 * HOUR_MS });
  core.reading("M1", "0:00");
  core.reading("M1", "1:30");
  assert.equal(core.reading("M1", "1:00"), "LATE 1800");
  assert.equal(core.reading("M1", "0:30"), "LATE 3600");
  core.reading("M1", "2:00");
  core.tick("4:14:59.999");
  assert.deepEqual(core.readGaps(), []);
});

/** Late readings into the gap 0:30..3:00 of a meter that reports again at 3:00. */
const INTO_CLOSED: [name: string, readings: string[], gaps: string[]][] = [
  ["left", ["0:30"], ["CLOSED M1@0:30 1:00..3:00 4"]],
  ["left twice", ["0:30", "1:00"], ["CLOSED M1@0:30 1:00..3:00 4", "CLOSED M1@0:30 1:30..3:00 3"]],
  ["right", ["2:30"], ["CLOSED M1@0:30 0:30..2:30 4"]],
  [
    "right twice",
    ["2:30", "2:00"],
    ["CLOSED M1@0:30 0:30..2:30 4", "CLOSED M1@0:30 0:30..2:00 3"],
  ],
  [
    "the middle splits it, the left part keeps the id",
    ["1:30"],
    ["CLOSED M1@0:30 0:30..1:30 2", "CLOSED M1@2:00 2:00..3:00 2"],
  ],
  [
    "split, then the right part filled",
    ["1:30", "2:00", "2:30"],
    [
      "CLOSED M1@0:30 0:30..1:30 2",
      "CLOSED M1@2:00 2:00..3:00 2",
      "CLOSED M1@2:00 2:30..3:00 1",
      "FILLED M1@2:00 2:30..2:30 0",
    ],
  ],
  [
    "split at its second slot, then the left part filled",
    ["1:00", "0:30"],
    [
      "CLOSED M1@0:30 0:30..1:00 1",
      "CLOSED M1@1:30 1:30..3:00 3",
      "FILLED M1@0:30 0:30..0:30 0",
    ],
  ],
  [
    "all of it",
    ["0:30", "2:30", "1:00", "2:00", "1:30"],
    [
      "CLOSED M1@0:30 1:00..3:00 4",
      "CLOSED M1@0:30 1:00..2:30 3",
      "CLOSED M1@0:30 1:30..2:30 2",
      "CLOSED M1@0:30 1:30..2:00 1",
      "FILLED M1@0:30 1:30..1:30 0",
    ],
  ],
];

Deno.test("Processor shrinks, splits and fills a closed gap as late readings come", () => {
  for (const [name, readings, gaps] of INTO_CLOSED) {
    const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
    core.reading("M1", "0:00");
    core.reading("M1", "3:00");
    assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..3:00 5"], name);
    for (const at of readings) {
      assert.match(core.reading("M1", at), /^LATE \d+$/, name);
      assert.equal(core.reading("M1", at), "DUPLICATE", name);
    }
    assert.deepEqual(core.readGaps(), gaps, name);
    core.tick("3:14:59.999", { final: true });
    assert.deepEqual(core.readGaps(), [], name);
  }
});

/** Late readings into the open gap 0:30..3:00 of a meter silent since 0:00, watermark 2:45. */
const INTO_OPEN: [name: string, readings: string[], gaps: string[]][] = [
  ["its first slot", ["0:30"], ["OPEN M1@0:30 1:00..3:00 4"]],
  [
    "its first two",
    ["0:30", "1:00"],
    ["OPEN M1@0:30 1:00..3:00 4", "OPEN M1@0:30 1:30..3:00 3"],
  ],
  ["its last", ["2:30"], ["CLOSED M1@0:30 0:30..2:30 4"]],
  [
    "its first, then its last: what is closed keeps the id",
    ["0:30", "2:30"],
    ["OPEN M1@0:30 1:00..3:00 4", "CLOSED M1@0:30 1:00..2:30 3"],
  ],
  [
    "the middle: the left part is closed and keeps the id",
    ["1:30"],
    ["CLOSED M1@0:30 0:30..1:30 2", "OPEN M1@2:00 2:00..3:00 2"],
  ],
  [
    "the middle, then the left part",
    ["1:30", "1:00", "0:30"],
    [
      "CLOSED M1@0:30 0:30..1:30 2",
      "OPEN M1@2:00 2:00..3:00 2",
      "CLOSED M1@0:30 0:30..1:00 1",
      "FILLED M1@0:30 0:30..0:30 0",
    ],
  ],
  [
    "every slot in order",
    ["0:30", "1:00", "1:30", "2:00", "2:30"],
    [
      "OPEN M1@0:30 1:00..3:00 4",
      "OPEN M1@0:30 1:30..3:00 3",
      "OPEN M1@0:30 2:00..3:00 2",
      "OPEN M1@0:30 2:30..3:00 1",
      "FILLED M1@0:30 2:30..2:30 0",
    ],
  ],
];

Deno.test("Processor shrinks, splits and fills an open gap as late readings come", () => {
  for (const [name, readings, gaps] of INTO_OPEN) {
    const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
    core.reading("M1", "0:00");
    core.tick("2:45");
    assert.deepEqual(core.readGaps(), ["OPEN M1@0:30 0:30..3:00 5"], name);
    for (const at of readings) assert.match(core.reading("M1", at), /^LATE \d+$/, name);
    assert.deepEqual(core.readGaps(), gaps, name);
  }
});

Deno.test("Processor gives what grows on after a filled gap an id of its own", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  core.reading("M1", "0:00");
  core.tick("0:45");
  core.reading("M1", "0:30");
  core.tick("1:15");
  assert.deepEqual(core.readGaps(), [
    "OPEN M1@0:30 0:30..1:00 1",
    "FILLED M1@0:30 0:30..0:30 0",
    "OPEN M1@1:00 1:00..1:30 1",
  ]);
});

Deno.test("Processor calls a gap filled when what is left counts from the reading and is in time", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.tick("1:15");
  assert.equal(core.reading("M1", "0:31"), "LATE 2640");
  assert.deepEqual(core.readGaps(), [
    "OPEN M1@0:30 0:30..1:30 2",
    "FILLED M1@0:30 0:30..0:30 0",
  ]);
  core.tick("1:15:01.874");
  assert.deepEqual(core.readGaps(), []);
  core.tick("1:15:01.875");
  assert.deepEqual(core.readGaps(), ["OPEN M1@1:00:01.875 1:00:01.875..1:30:01.875 1"]);
});

Deno.test("Processor lets an open gap that was shrunk double from what is left", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  core.reading("M1", "0:00");
  core.tick("2:45");
  core.reading("M1", "0:30");
  core.reading("M1", "1:00");
  core.readGaps();
  core.tick("4:14:59.999");
  assert.deepEqual(core.readGaps(), []);
  core.tick("4:15");
  assert.deepEqual(core.readGaps(), ["OPEN M1@0:30 1:30..4:30 6"]);
});

Deno.test("Processor leaves gaps as they are when a reading for them is too late", () => {
  const core = startHarness();
  core.reading("M1", "0:00");
  core.reading("M1", "3:00");
  core.readGaps();
  assert.equal(core.reading("M1", "1:30"), "TOO_LATE 5400");
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("Processor extends a history backward with readings before a meter's first", () => {
  const core = startHarness({ allowedLatenessMs: 6 * HOUR_MS });
  core.reading("M1", "5:00");
  assert.equal(core.reading("M1", "4:30"), "LATE 1800");
  assert.deepEqual(core.readGaps(), [], "the slot before the first: no gap");
  core.reading("M1", "3:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@3:30 3:30..4:30 2"]);
  core.reading("M1", "4:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@3:30 3:30..4:00 1"]);
  core.reading("M1", "1:30");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@2:00 2:00..3:00 2"]);
});

Deno.test("Processor finds no gap before a meter's first reading", () => {
  const core = startHarness();
  core.tick("0:00");
  core.tick("40:00");
  core.reading("M1", "40:00");
  assert.deepEqual(core.readGaps(), []);
});

Deno.test("Processor announces on a final tick the lengths known, and closes nothing", () => {
  const core = startHarness();
  core.reading("M2", "0:00");
  core.reading("M1", "0:00");
  core.tick("4:15");
  assert.deepEqual(core.readGaps(), ["OPEN M2@0:30 0:30..4:30 8", "OPEN M1@0:30 0:30..4:30 8"]);
  core.reading("M2", "4:30");
  core.readGaps();
  core.tick("7:44:59.999");
  assert.deepEqual(core.readGaps(), ["OPEN M2@5:00 5:00..7:30 5"]);
  core.tick("7:45", { final: true });
  // M2's 6 and M1's 15 slots are no doubling; the oldest meter speaks first.
  const known = ["OPEN M2@5:00 5:00..8:00 6", "OPEN M1@0:30 0:30..8:00 15"];
  assert.deepEqual(core.readGaps(), known);
  core.tick("7:45", { final: true });
  assert.deepEqual(core.readGaps(), [], "once is enough");
  core.reading("M1", "8:00");
  assert.deepEqual(core.readGaps(), ["CLOSED M1@0:30 0:30..8:00 15"]);
});

Deno.test("Processor announces the gaps of a total outage in the order the meters came", () => {
  const core = startHarness();
  const ids = ["M9", "M3", "M7", "M1", "M5"];
  for (const id of ids) core.reading(id, "0:00");
  core.reading("M3", "0:30");
  core.tick("2:00");
  const { gaps } = core.readOutputs();
  assert.deepEqual(gaps.map((gap) => gap.meterId), ids);
});
