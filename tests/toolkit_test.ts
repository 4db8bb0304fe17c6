import assert from "node:assert/strict";
import fc from "fast-check";
import { CodecError } from "../src/core/bytes.ts";
import { ledgerDifference } from "../src/core/ledger.ts";
import type { Setting } from "../src/setting.ts";
import { type Key, SETTINGS } from "../src/settings.ts";
import {
  createJudge,
  type JudgeOptions,
  judgeOptions,
  type JudgeReading,
  restoreJudge,
  type Taken,
} from "../src/toolkit.ts";
import { SETTING_OF } from "../src/toolkit/options.ts";
import { readRaw } from "./golden/golden.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2013, 0, 1, 10);

/** Options as someone without types gives them. */
const untyped = (options: unknown) => options as JudgeOptions;

Deno.test("createJudge() judges readings, ticks and silence with the settings' defaults", () => {
  const judge = createJudge({ intervalMinutes: 30, scope: "meter" });
  judge.reading({ meterId: "M1", at: "2013-01-01T10:00:00Z", kwh: 0.2 });
  judge.tick("2013-01-01T15:00:00Z");
  const { accepted, gaps, tooLate, rejected } = judge.take();
  assert.deepEqual(accepted, [{
    meter_id: "M1",
    timestamp: "2013-01-01T10:00:00Z",
    consumption_kwh: 0.2,
    status: "OK",
    flags: [],
  }]);
  assert.deepEqual(gaps, [{
    gap_id: "M1@2013-01-01T10:30:00Z",
    meter_id: "M1",
    missing_from: "2013-01-01T10:30:00Z",
    missing_to: "2013-01-01T15:00:00Z",
    gap_minutes: 270,
    missing_intervals: 9,
    rejected_intervals: 0,
    state: "OPEN",
    detected_at: "2013-01-01T15:00:00Z",
  }]);
  assert.deepEqual([tooLate, rejected], [[], []]);
  assert.equal(judge.watermark, "2013-01-01T15:00:00Z");
  assert.equal(ledgerDifference(judge.ledger), 0);
  assert.equal(judge.ledger.raw, 2);
  assert.deepEqual(judge.take().gaps, []);
});

Deno.test("createJudge() takes an instant as text, Date or milliseconds", () => {
  const judge = createJudge({ intervalMinutes: 60, timezone: "Europe/London" });
  const instants = [START_MS, new Date(START_MS + HOUR_MS), "2013-01-01T12:00:00"];
  for (const at of instants) judge.reading({ meterId: 7, at, kwh: "1.5" });
  judge.tick(new Date(START_MS + 3 * HOUR_MS));
  assert.deepEqual(
    judge.take().accepted.map((each) => [each.meter_id, each.timestamp, each.consumption_kwh]),
    [10, 11, 12].map((hour) => ["7", `2013-01-01T${hour}:00:00Z`, 1.5]),
  );
});

Deno.test("createJudge() rejects a reading ahead of the clock, unless there is none", () => {
  const ahead = { meterId: "M1", at: START_MS + 2 * HOUR_MS, kwh: 1 };
  const reasons = (nowMs: JudgeOptions["nowMs"], reading: JudgeReading) => {
    const judge = createJudge({ nowMs });
    judge.reading(reading);
    return judge.take().rejected.map(({ reason }) => reason);
  };
  assert.deepEqual(reasons(() => START_MS, ahead), ["FUTURE"]);
  assert.deepEqual(reasons(() => START_MS, { ...ahead, at: START_MS + HOUR_MS }), []);
  assert.deepEqual(reasons(null, ahead), []);
  assert.deepEqual(reasons(null, { ...ahead, receivedAt: START_MS }), ["FUTURE"]);
  assert.deepEqual(reasons(undefined, { ...ahead, at: "2300-01-01" }), ["FUTURE"]);
});

const RULE_OPTIONS = [
  ...["maxKw", "spikeTimes", "highDayTimes", "lowDayTimes", "unitScaleTimes", "zeroRunHours"],
  ...["stuckHours", "straightLineReadings", "repeatedDayChanges"],
];

Deno.test("createJudge() throws a TypeError that names the option which cannot be used", () => {
  const wrong: Record<string, readonly unknown[]> = {
    intervalMinutes: [0, -30, NaN, Infinity, 1441, "30", "weekly", null, {}],
    scope: ["fleet", "", null, 1, ["meter"]],
    gracePeriodSeconds: [-1, NaN, "900", 604_801],
    allowedLatenessSeconds: [NaN, -1, Infinity, 604_800, null],
    outOfOrdernessSeconds: [NaN, -1],
    timeToleranceSeconds: [NaN, "none"],
    stateTtlDays: [0, NaN],
    forgetAfterDays: [6, NaN],
    metersMax: [0, 1.5, NaN],
    revisions: ["newest", true],
    timezone: ["Mars/Olympus", 5, null],
    minTimestamp: ["yesterday", NaN, new Date(0)],
    maxKwh: [NaN, -1],
    maxFutureSeconds: [NaN, -1],
    negative: ["ignore"],
    ...Object.fromEntries(RULE_OPTIONS.map((name) => [name, [0, NaN, "on", null, "8", -1]])),
    rawBytesMax: [0, 1e9, NaN],
    partition: [-1, 0.5, "0", NaN],
    nowMs: [0, "now"],
    meters: [5, "A", null, { A: 0 }, { A: NaN }, { A: "30" }, new Map([["A", 1e9]])],
  };
  const options = [...Object.keys(SETTING_OF), "partition", "nowMs", "meters"];
  assert.deepEqual(Object.keys(wrong).sort(), options.sort());
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const isNamed = (error: unknown) =>
        error instanceof TypeError && error.message.startsWith(`Cannot use ${name}`);
      const shown = `${name}: ${String(value)}`;
      assert.throws(() => createJudge(untyped({ [name]: value })), isNamed, shown);
      assert.throws(() => judgeOptions(untyped({ [name]: value })), isNamed, shown);
    }
  }
  assert.throws(() => createJudge(untyped({ lateness: 5 })), /^TypeError: Unknown option lateness/);
  assert.throws(
    () => createJudge(untyped({ intervalMinute: 5 })),
    /^TypeError: Unknown option intervalMinute: did you mean intervalMinutes\?/,
  );
  for (const options of [null, 5, "meter"]) {
    assert.throws(() => createJudge(untyped(options)), TypeError);
  }
  createJudge(untyped({ intervalMinutes: undefined }));
});

Deno.test("Every setting that judges is an option of the toolkit", () => {
  const judging = (Object.keys(SETTINGS) as Key[]).filter((key) =>
    (SETTINGS[key] as Setting).judges === true
  );
  assert.deepEqual(Object.values(SETTING_OF).sort(), judging.sort());
});

/** What nobody should hand in. */
const ring: Record<string, unknown> = {};
ring.ring = ring;
const HOSTILE: readonly unknown[] = [
  ...[undefined, null, NaN, 5n, Symbol("s"), () => 1, "", "\ud800", [], {}, ring, new Date(NaN)],
  Object.create(null),
  new Proxy({}, {
    get() {
      throw new Error("no");
    },
  }),
  {
    toJSON() {
      throw new Error("no");
    },
  },
  { valueOf: () => 1, toString: () => "x" },
];

Deno.test("No object, however strange, makes a judge throw", () => {
  const judge = createJudge();
  const good: Record<string, unknown> = { meterId: "A", at: START_MS, kwh: 1 };
  let records = 0;
  const handIn = (verb: "reading" | "record" | "tick", ...values: unknown[]) => {
    (judge[verb] as (...values: unknown[]) => void)(...values);
    records++;
    assert.equal(judge.ledger.raw, records);
  };
  for (const value of HOSTILE) {
    handIn("reading", value);
    handIn("record", value);
    handIn("tick", value);
    handIn("tick", START_MS, value);
    for (const name of ["meterId", "at", "kwh", "receivedAt", "intervalMinutes", "source"]) {
      handIn("reading", { ...good, [name]: value });
      handIn("record", { meter_id: "A", timestamp: START_MS, consumption_kwh: 1, [name]: value });
    }
  }
  assert.equal(ledgerDifference(judge.ledger), 0);
  judge.save();
});

Deno.test("Every reading, record and tick has its one disposition", () => {
  const anything = fc.anything({
    ...{ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true },
  });
  const at = fc.oneof(fc.integer({ min: START_MS, max: START_MS + 40 * HOUR_MS }), anything);
  const reading = fc.oneof(
    anything,
    fc.record({
      meterId: fc.oneof(fc.constantFrom("A", "B"), anything),
      at,
      kwh: fc.oneof(fc.double(), anything),
      receivedAt: fc.option(anything, { nil: undefined }),
      intervalMinutes: fc.option(anything, { nil: undefined }),
      source: fc.option(anything, { nil: undefined }),
    }, { requiredKeys: [] }),
  );
  const step = fc.oneof(
    fc.tuple(fc.constant("reading" as const), reading),
    fc.tuple(fc.constant("record" as const), anything),
    fc.tuple(fc.constant("tick" as const), at),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const judge = createJudge();
    for (const [verb, value] of steps) judge[verb](value as never);
    const { accepted, tooLate, rejected } = judge.take();
    const said = accepted.length + tooLate.length + rejected.length;
    assert.equal(said + judge.ledger.tick, steps.length);
    assert.equal(judge.ledger.raw, steps.length);
    assert.equal(ledgerDifference(judge.ledger), 0);
  }));
});

Deno.test("A rejected reading shows what was handed in", () => {
  const judge = createJudge();
  judge.reading({ meterId: "M1", at: START_MS, kwh: NaN });
  judge.reading({ meterId: "M1", at: START_MS, kwh: 5n } as unknown as JudgeReading);
  judge.reading({ meterId: "M1", at: START_MS } as JudgeReading);
  judge.reading("M1" as unknown as JudgeReading);
  judge.record({ meter_id: "M1", timestamp: "2013-01-01", consumption_kwh: -2, source: "a.csv:7" });
  judge.record("{");
  judge.tick("tomorrow");
  const { accepted, rejected } = judge.take();
  assert.deepEqual(accepted.map((each) => each.consumption_kwh), [5]);
  assert.deepEqual(rejected.map(({ reason, detail }) => `${reason}: ${detail}`), [
    'BAD_VALUE: consumption_kwh is "NaN"',
    "MISSING_FIELD: no consumption_kwh",
    'MALFORMED: not an object: "M1"',
    "NEGATIVE: consumption_kwh is -2",
    "MALFORMED: not JSON",
    'BAD_TIMESTAMP: timestamp of a tick is "tomorrow"',
  ]);
  assert.equal(rejected[3].source, "a.csv:7");
});

const JUDGED = ["accepted", "gaps", "tooLate", "rejected"] as const;

/** Judges lines, saving and restoring after some of them, and taking after others. */
function judgeInTurns(
  lines: readonly string[],
  { savesAfter, takesAfter }: {
    readonly savesAfter: ReadonlySet<number>;
    readonly takesAfter: ReadonlySet<number>;
  },
) {
  let judge = createJudge({ nowMs: null });
  const said: Record<(typeof JUDGED)[number], unknown[]> = {
    ...{ accepted: [], gaps: [], tooLate: [], rejected: [] },
  };
  const take = () => {
    const taken: Taken = judge.take();
    for (const kind of JUDGED) said[kind].push(...taken[kind]);
  };
  for (const [n, line] of lines.entries()) {
    judge.record(line);
    if (savesAfter.has(n)) judge = restoreJudge(judge.save(), { nowMs: null });
    if (takesAfter.has(n)) take();
  }
  take();
  return said;
}

Deno.test("restoreJudge() goes on as if nothing had been, wherever it was saved", async () => {
  const lines = await readRaw("series");
  const none = new Set<number>();
  const expected = judgeInTurns(lines, { savesAfter: none, takesAfter: none });
  const moments = fc.uniqueArray(fc.nat(lines.length - 1)).map((moments) => new Set(moments));
  fc.assert(
    fc.property(moments, moments, (savesAfter, takesAfter) => {
      const said = judgeInTurns(lines, { savesAfter, takesAfter });
      for (const kind of JUDGED) {
        assert.equal(JSON.stringify(said[kind]), JSON.stringify(expected[kind]));
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("save() keeps what was said and not yet taken, and saying it twice is left to nobody", () => {
  const judge = createJudge({ intervalMinutes: 30 });
  judge.reading({ meterId: "M1", at: START_MS, kwh: 1 });
  const saved = judge.save();
  assert.deepEqual(restoreJudge(saved, { intervalMinutes: 30 }).take(), judge.take());
  assert.deepEqual(restoreJudge(judge.save(), { intervalMinutes: 30 }).take().accepted, []);
});

Deno.test("restoreJudge() refuses other options than the state was judged by, and names them", () => {
  const options = { intervalMinutes: 30, meters: { A: 15 } } as const;
  const judge = createJudge(options);
  judge.reading({ meterId: "A", at: START_MS, kwh: 1 });
  const saved = judge.save();
  const refuses = (changed: JudgeOptions, message: RegExp) =>
    assert.throws(
      () => restoreJudge(saved, changed),
      (error) => error instanceof TypeError && message.test(error.message),
    );
  refuses({ ...options, allowedLatenessSeconds: 60 }, /allowedLatenessSeconds=60: .* by 3600$/);
  refuses({ ...options, intervalMinutes: 15 }, /intervalMinutes=15: .* by 30$/);
  refuses({ ...options, scope: "meter" }, /scope=meter: .* by partition$/);
  refuses({ ...options, meters: { A: 30 } }, /meters\.A=30: .* by 15$/);
  refuses({ intervalMinutes: 30 }, /meters\.A=none: .* by 15$/);
  refuses({ ...options, maxKwh: NaN }, /maxKwh=NaN/);
  // A meter that has not come yet is judged by no interval, and no setting of another kind judges.
  restoreJudge(saved, { ...options, meters: { A: 15, B: 60, constructor: 5 }, nowMs: null });
});

Deno.test("restoreJudge() reads bytes in whatever a runtime keeps them, and no damaged ones", () => {
  const judge = createJudge();
  judge.reading({ meterId: "A", at: START_MS, kwh: 1 });
  const saved = judge.save();
  const { buffer } = Uint8Array.from(saved);
  for (const kept of [saved, buffer, new DataView(buffer), structuredClone(saved)]) {
    assert.equal(restoreJudge(kept as Uint8Array).ledger.ok, 1);
  }
  for (let p = 0; p < saved.length; p++) {
    const damaged = Uint8Array.from(saved);
    damaged[p] ^= 0x10;
    assert.throws(() => restoreJudge(damaged), CodecError, `byte ${p}`);
    assert.throws(() => restoreJudge(saved.subarray(0, p)), CodecError, `${p} bytes`);
  }
  for (const none of [undefined, null, "GWJ", [], {}]) {
    assert.throws(() => restoreJudge(none as unknown as Uint8Array), TypeError);
  }
});

Deno.test("restoreJudge() reads the state that the first version of it wrote, frozen", async () => {
  const file = new URL("./golden/state/judge_v1.txt", import.meta.url);
  const text = atob((await Deno.readTextFile(file)).replaceAll("\n", ""));
  const saved = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const judge = restoreJudge(saved, { intervalMinutes: 30, meters: { "é": 15 }, nowMs: null });
  assert.equal(judge.watermark, "2013-01-01T11:30:00Z");
  assert.deepEqual([judge.ledger.raw, judge.ledger.ok], [3, 3]);
  const before = judge.take();
  assert.equal(before.accepted.length, 3);
  assert.deepEqual(
    new Set(before.gaps.map(({ gap_id, state }) => `${gap_id} ${state}`)),
    new Set([
      "M1@2013-01-01T10:30:00Z CLOSED",
      "é@2013-01-01T10:15:00Z OPEN",
    ]),
  );
  judge.reading({ meterId: "M1", at: "2013-01-01T11:30:00Z", kwh: 0.3 });
  judge.reading({ meterId: "M1", at: "2013-01-01T11:00:00Z", kwh: 0.3 });
  const { rejected, gaps } = judge.take();
  assert.deepEqual(rejected.map(({ reason }) => reason), ["DUPLICATE"]);
  assert.deepEqual(gaps.map((gap) => [gap.gap_id, gap.missing_intervals]), [
    ["M1@2013-01-01T10:30:00Z", 1],
  ]);
});
