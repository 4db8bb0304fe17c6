/** The oracle against answers worked out by hand from the contract, and against itself. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { optionsArbitrary, recordTimesArbitrary, streamArbitrary } from "./arbitraries.ts";
import { oracle, type OracleOptions, parseTimestampMs } from "./oracle.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SEED = 20240101;

const DEFAULTS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: HOUR_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 168 * HOUR_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  learningReadings: 4,
  intervalMsByMeter: new Map(),
  maxKwh: 100000,
  maxFutureMs: HOUR_MS,
  negative: "reject",
  nowMs: null,
};

/** Patient enough for late readings of a whole morning. */
const PATIENT: OracleOptions = { ...DEFAULTS, allowedLatenessMs: 3 * HOUR_MS };

/** "10:30" is 2024-01-01T10:30:00Z; longer times are taken as they are. */
const time = (at: string): string => /^\d\d:/.test(at) ? `2024-01-01T${at}` : at;
const reading = (at: string, kwh: unknown = 1, meter = "M1"): string =>
  JSON.stringify({ meter_id: meter, timestamp: time(at), consumption_kwh: kwh });
const tick = (at: string): string => JSON.stringify({ type: "tick", timestamp: time(at) });

const clock = (ms: number): string =>
  new Date(ms).toISOString().replace(/^2024-01-01T|Z$/g, "").replace(/(:00)?\.000$/, "");

/** Each gap as "id: from-to missing/rejected STATE", the day left out. */
function gaps(records: string[], options: OracleOptions = DEFAULTS): string[] {
  return oracle(records, null, options).gaps.map((gap) => {
    const id = gap.gapId.replace("2024-01-01T", "").replace(":00Z", "");
    const span = `${clock(gap.missingFromMs)}-${clock(gap.missingToMs)}`;
    return `${id}: ${span} ${gap.missingIntervals}/${gap.rejectedIntervals} ${gap.state}`;
  });
}

/** Each record as "disposition[ REASON][ delay in ms][ flags]". */
function dispositions(
  records: string[],
  options: OracleOptions = DEFAULTS,
  timesMs: (number | null)[] | null = null,
): string[] {
  return oracle(records, timesMs, options).dispositions.map((it) =>
    [it.disposition, it.reason, it.delayMs || null, ...it.flags].filter((x) => x !== null).join(" ")
  );
}

Deno.test("oracle() finds one missing half hour once the watermark reaches slot + grace", () => {
  assert.deepEqual(gaps([reading("10:00"), tick("10:44:59.999")]), []);
  assert.deepEqual(gaps([reading("10:00"), tick("10:45")]), ["M1@10:30: 10:30-11:00 1/0 OPEN"]);
  assert.deepEqual(gaps([reading("10:00"), reading("11:00")]), [
    "M1@10:30: 10:30-11:00 1/0 CLOSED",
  ]);
});

Deno.test("oracle() judges lateness against the watermark before the reading, to the ms", () => {
  const at = (time: string, meter: string) => reading(time, 1, meter);
  const records = [
    ...[tick("12:00"), at("12:00", "A"), at("11:59:59.999", "B")],
    ...[at("11:00", "C"), at("10:59:59.999", "D")],
  ];
  const expected = ["tick", "ok", "late 1", "late 3600000", "too_late 3600001"];
  assert.deepEqual(dispositions(records), expected);
  assert.equal(oracle(records, null, DEFAULTS).watermarkMs, parseTimestampMs("2024-01-01T12:00Z"));
  // Ten minutes out of order: the watermark is 11:50.
  assert.deepEqual(
    dispositions([at("12:00", "A"), at("11:50", "B"), at("11:49", "C"), at("10:49", "D")], {
      ...DEFAULTS,
      outOfOrdernessMs: 10 * MINUTE_MS,
    }),
    ["ok", "ok", "late 60000", "too_late 3660000"],
  );
});

Deno.test("oracle() shrinks, splits and fills a closed gap by late readings", () => {
  const closed = [reading("10:00"), reading("12:30")]; // missing 10:30, 11:00, 11:30, 12:00
  const after = (...times: string[]) =>
    gaps([...closed, ...times.map((at) => reading(at))], PATIENT);
  assert.deepEqual(after(), ["M1@10:30: 10:30-12:30 4/0 CLOSED"]);
  assert.deepEqual(after("10:30"), ["M1@10:30: 11:00-12:30 3/0 CLOSED"]);
  assert.deepEqual(after("12:00"), ["M1@10:30: 10:30-12:00 3/0 CLOSED"]);
  const left = "M1@10:30: 10:30-11:00 1/0 CLOSED";
  assert.deepEqual(after("11:00"), [left, "M1@11:30: 11:30-12:30 2/0 CLOSED"]);
  assert.deepEqual(after("11:00", "12:00", "11:30"), [left, "M1@11:30: 11:30-11:30 0/0 FILLED"]);
  assert.deepEqual(after("10:30", "12:00", "11:30", "11:00"), ["M1@10:30: 11:00-11:00 0/0 FILLED"]);
});

Deno.test("oracle() shrinks, splits, closes and fills an open gap by late readings", () => {
  const open = [reading("10:00"), tick("12:15")]; // missing 10:30, 11:00, 11:30, 12:00
  const after = (...times: string[]) => gaps([...open, ...times.map((at) => reading(at))], PATIENT);
  assert.deepEqual(after(), ["M1@10:30: 10:30-12:30 4/0 OPEN"]);
  assert.deepEqual(after("10:30"), ["M1@10:30: 11:00-12:30 3/0 OPEN"]);
  assert.deepEqual(after("12:00"), ["M1@10:30: 10:30-12:00 3/0 CLOSED"]);
  assert.deepEqual(after("11:00"), [
    "M1@10:30: 10:30-11:00 1/0 CLOSED",
    "M1@11:30: 11:30-12:30 2/0 OPEN",
  ]);
  assert.deepEqual(after("10:30", "11:00", "11:30", "12:00"), ["M1@10:30: 12:00-12:00 0/0 FILLED"]);
});

Deno.test("oracle() counts the tail anew from a late reading that is off its slot", () => {
  const records = [reading("10:00"), tick("11:15"), reading("10:31")]; // the next slot is 11:01
  assert.deepEqual(gaps(records), ["M1@10:30: 10:30-10:30 0/0 FILLED"]);
  assert.deepEqual(gaps([...records, tick("11:16")]), [
    "M1@10:30: 10:30-10:30 0/0 FILLED",
    "M1@11:01: 11:01-11:31 1/0 OPEN",
  ]);
});

Deno.test("oracle() extends a closed gap whose later slots were still within their grace", () => {
  const options = { ...DEFAULTS, gapGraceMs: 45 * MINUTE_MS };
  const records = [reading("10:00"), tick("11:15"), reading("11:30")];
  assert.deepEqual(gaps(records, options), ["M1@10:30: 10:30-11:00 1/0 CLOSED"]);
  assert.deepEqual(gaps([...records, tick("11:45")], options), [
    "M1@10:30: 10:30-11:30 2/0 CLOSED",
  ]);
  assert.deepEqual(gaps([reading("10:00"), reading("11:00"), reading("10:30")], options), []);
});

Deno.test("oracle() extends a history backward and rounds half a slot to its later end", () => {
  const records = [reading("10:00"), reading("08:30")]; // missing 09:00, 09:30
  assert.deepEqual(dispositions(records, PATIENT), ["ok", "late 5400000"]);
  assert.deepEqual(gaps(records, PATIENT), ["M1@09:00: 09:00-10:00 2/0 CLOSED"]);
  records.push(reading("09:45", 2), reading("09:44", 2)); // k = round(-0.5) = 0; round(-0.53) = -1
  assert.deepEqual(dispositions(records, PATIENT).slice(2), [
    "duplicate CONFLICT",
    "late 960000 TIME_SHIFT",
  ]);
  assert.deepEqual(gaps(records, PATIENT), ["M1@09:00: 09:00-09:30 1/0 CLOSED"]);
});

Deno.test("oracle() sees a total outage by ticks alone", () => {
  const both = [reading("10:00", 1, "A"), reading("10:05", 1, "B")];
  assert.deepEqual(gaps([...both, tick("10:49")]), ["A@10:30: 10:30-11:00 1/0 OPEN"]);
  assert.deepEqual(gaps([...both, tick("12:00"), tick("11:00")]), [
    "A@10:30: 10:30-12:00 3/0 OPEN",
    "B@10:35: 10:35-12:05 3/0 OPEN",
  ]);
});

Deno.test("oracle() expires a meter with 335 slots whatever the step of the watermark", () => {
  const first = reading("00:00");
  const expired = ["M1@00:30: 00:30-2024-01-08T00:00 335/0 EXPIRED"];
  assert.deepEqual(gaps([first, tick("2024-01-07T23:59:59.999Z")]), [
    expired[0].replace("EXPIRED", "OPEN"),
  ]);
  assert.deepEqual(gaps([first, tick("2024-01-08T00:00Z")]), expired);
  assert.deepEqual(gaps([first, tick("2024-01-05"), tick("2024-02-01")]), expired);
  assert.deepEqual(gaps([first, reading("2024-01-20T00:07Z")]), expired);
});

Deno.test("oracle() starts a new history at last + time to live, and none a minute before", () => {
  const options = { ...DEFAULTS, stateTtlMs: 5 * HOUR_MS };
  assert.deepEqual(gaps([reading("10:00"), reading("15:00")], options), [
    "M1@10:30: 10:30-15:00 9/0 EXPIRED",
  ]);
  assert.deepEqual(gaps([reading("10:00"), reading("14:59")], options), [
    "M1@10:30: 10:30-15:00 9/0 CLOSED",
  ]);
  // Out of order by ten minutes: the clock reaches 14:59 only.
  assert.deepEqual(
    gaps([reading("10:00"), reading("15:09")], { ...options, outOfOrdernessMs: 10 * MINUTE_MS }),
    ["M1@10:30: 10:30-15:00 9/0 CLOSED"],
  );
});

Deno.test("oracle() learns the commonest step and then judges the learning span", () => {
  const options = { ...PATIENT, expectedIntervalMs: "auto" as const };
  const learning = [reading("10:00"), reading("10:45"), reading("10:15"), reading("10:15", 2)];
  assert.deepEqual(gaps([...learning, tick("12:00")], options), []);
  const learned = [...learning, reading("11:00")]; // steps 15, 30, 15
  assert.deepEqual(dispositions(learned, options), [
    ...["ok", "ok", "late 1800000", "duplicate CONFLICT", "ok"],
  ]);
  assert.deepEqual(gaps(learned, options), ["M1@10:30: 10:30-10:45 1/0 CLOSED"]);
  assert.deepEqual(gaps([...learned, tick("11:30")], options), [
    "M1@10:30: 10:30-10:45 1/0 CLOSED",
    "M1@11:15: 11:15-11:30 1/0 OPEN",
  ]);
  // Steps 15 and 30: the smaller; 22.5 minutes are as near to 15 as to 30.
  for (const last of ["10:45", "10:37:30"]) {
    const three = [reading("10:00"), reading("10:15"), reading(last), tick("11:15")];
    const [closed] = gaps(three, { ...options, learningReadings: 3 });
    assert.equal(closed, "M1@10:30: 10:30-10:45 1/0 CLOSED");
  }
  const expired = [reading("00:00"), tick("2024-01-08"), reading("2024-01-08T00:10Z")];
  assert.deepEqual(gaps(expired, options), []);
});

Deno.test("oracle() keeps meters apart in meter scope: ticks judge silence, never lateness", () => {
  const meterScope = { ...DEFAULTS, watermarkScope: "meter" as const };
  const records = [reading("12:00"), reading("08:00", 1, "M2"), tick("12:00")];
  assert.deepEqual(dispositions(records), ["ok", "too_late 14400000", "tick"]);
  assert.deepEqual(dispositions(records, meterScope), ["ok", "ok", "tick"]);
  assert.deepEqual(gaps(records, meterScope), ["M2@08:30: 08:30-12:00 7/0 OPEN"]);
  records.push(reading("08:30", 1, "M2"), reading("07:15", 1, "M2"), reading("07:45", 1, "M2"));
  assert.deepEqual(dispositions(records, meterScope).slice(3), [
    ...["ok", "too_late 4500000", "duplicate DUPLICATE"], // 07:45 rounds to the slot of 08:00
  ]);
  assert.deepEqual(gaps(records, meterScope), ["M2@08:30: 09:00-12:00 6/0 OPEN"]);
});

Deno.test("oracle() counts the slots of a gap that had an unusable reading", () => {
  const noValue = JSON.stringify({ meter_id: "M1", timestamp: time("11:30") });
  const records = [
    ...[reading("09:00"), reading("09:30", null), reading("10:00"), reading("10:30", null)],
    ...[
      reading("10:29", "0,5"),
      reading("11:00", -1),
      noValue,
      reading("bad"),
      reading("12:00", {}),
    ],
  ];
  const opened = [...records, tick("12:15")]; // missing 09:30, and 10:30 to 12:00, all unusable
  const first = "M1@09:30: 09:30-10:00 1/1 CLOSED";
  assert.deepEqual(gaps(opened, PATIENT), [first, "M1@10:30: 10:30-12:30 4/4 OPEN"]);
  const filled = [...opened, reading("11:00")];
  assert.equal(dispositions(filled, PATIENT).at(-1), "late 4500000");
  assert.deepEqual(gaps(filled, PATIENT), [
    ...[first, "M1@10:30: 10:30-11:00 1/1 CLOSED", "M1@11:30: 11:30-12:30 2/2 OPEN"],
  ]);
  // Too late by the watermark before it, of an unknown meter, or of the future: nothing is marked.
  const ignored = [reading("09:00"), tick("11:00"), reading("09:30", null), reading("14:30", null)];
  assert.deepEqual(gaps([reading("10:00", null, "M2"), ...ignored, tick("14:45")]), [
    "M1@09:30: 09:30-15:00 11/0 OPEN",
  ]);
});

Deno.test("oracle() moves no watermark by repeats, and flags shifts and negatives", () => {
  const options = { ...DEFAULTS, negative: "flag" as const };
  const records = [
    ...[reading("10:00"), reading("10:14"), reading("10:00", "2"), reading("10:00", " 1e0 ")],
    ...[reading("10:33", -1), reading("11:06:00.001", -1), reading("11:36", -0)],
  ];
  assert.deepEqual(dispositions(records, options), [
    ...["ok", "duplicate DUPLICATE", "duplicate CONFLICT", "duplicate DUPLICATE"],
    ...["ok NEGATIVE", "ok NEGATIVE TIME_SHIFT", "ok"],
  ]);
  assert.equal(oracle(records.slice(0, 2), null, options).watermarkMs, Date.UTC(2024, 0, 1, 10));
});

Deno.test("oracle() names the first fault of a record in the order of checks", () => {
  const at = `"timestamp":"2024-01-01T10:00Z"`;
  const table: [string, string][] = [
    ["", "rejected MALFORMED"],
    ["[]", "rejected MALFORMED"],
    ["null", "rejected MALFORMED"],
    [`{"type":"tick"}`, "rejected MISSING_FIELD"],
    [`{"type":"tick","timestamp":null}`, "rejected BAD_TIMESTAMP"],
    [`{"meter_id":null,"timestamp":null}`, "rejected MISSING_FIELD"],
    [`{"meter_id":" ","timestamp":"x","consumption_kwh":null}`, "rejected BAD_METER_ID"],
    [`{"meter_id":1.5,${at},"consumption_kwh":1}`, "rejected BAD_METER_ID"],
    [`{"meter_id":"M1","timestamp":"x","consumption_kwh":null}`, "rejected BAD_TIMESTAMP"],
    [`{"meter_id":"M1",${at},"consumption_kwh":1e400}`, "rejected BAD_VALUE"],
    [`{"meter_id":"M1",${at},"consumption_kwh":"-1"}`, "rejected NEGATIVE"],
    [`{"meter_id":"M1",${at},"consumption_kwh":100000.1}`, "rejected TOO_LARGE"],
    [`{"meter_id":7,${at},"consumption_kwh":" .5 "}`, "ok"],
    [`{"meter_id":" 7 ",${at},"consumption_kwh":5e-1}`, "duplicate DUPLICATE"],
  ];
  assert.deepEqual(dispositions(table.map(([text]) => text)), table.map(([, answer]) => answer));
});

Deno.test("oracle() takes received_at, replay ticks, record time, then the wall clock", () => {
  const noon = Date.UTC(2024, 0, 1, 12);
  const at = (minute: string, meter: string, receivedAt?: string) =>
    reading(`13:${minute}`, 1, meter).replace(
      "}",
      receivedAt ? `,"received_at":"${receivedAt}"}` : "}",
    );
  const wall = { ...DEFAULTS, nowMs: noon };
  const edge = [at("00", "A"), at("00:00.001", "B")];
  assert.deepEqual(dispositions(edge), ["ok", "ok"]);
  assert.deepEqual(dispositions(edge, wall), ["ok", "rejected FUTURE"]);
  assert.deepEqual(dispositions(edge, DEFAULTS, [noon, noon]), ["ok", "rejected FUTURE"]);
  assert.deepEqual(dispositions([tick("12:00"), ...edge]), ["tick", "ok", "rejected FUTURE"]);
  const later = [tick("12:00"), at("30", "A"), at("30", "B", "2024-01-01T12:29Z")];
  // A tick beside its record time is live: the record's own time counts. Far from it: a replay's.
  const live = [noon, noon + HOUR_MS, null];
  assert.deepEqual(dispositions(later, DEFAULTS, live), ["tick", "ok", "rejected FUTURE"]);
  const replay = live.map((ms) => ms === null ? null : ms + 100 * HOUR_MS);
  assert.deepEqual(dispositions(later, DEFAULTS, replay)[1], "rejected FUTURE");
  const edgeOfLive = [noon + HOUR_MS, noon + HOUR_MS, null];
  assert.deepEqual(dispositions(later, DEFAULTS, edgeOfLive)[1], "ok");
  assert.deepEqual(dispositions([tick("13:01")], DEFAULTS, [noon]), ["rejected FUTURE"]);
});

Deno.test("parseTimestampMs() reads every spelling of the contract and refuses the rest", () => {
  const ms = Date.UTC(2024, 0, 1, 10, 30);
  const same = ["2024-01-01T10:30", "2024-01-01 10:30:00", "2024-01-01t10:30:00.0009z"];
  same.push("2024-01-01T12:30+02:00", "2024-01-01T05:00:00-0530", " 2024-01-01T09:30-01 ");
  same.push("1704105000", "1704105000000");
  for (const text of same) assert.equal(parseTimestampMs(text), ms, text);
  for (const number of [1704105000, 1704105000000.9]) assert.equal(parseTimestampMs(number), ms);
  assert.equal(parseTimestampMs("1969-12-31T23:59:59.9999Z"), -1);
  assert.equal(parseTimestampMs("2024-02-29"), Date.UTC(2024, 1, 29));
  const bad = [
    "",
    "2024/01/01 10:30",
    "1 Jan 2024",
    "2013-02-30",
    "2024-01-01T25:00",
    "2024-01-01T24:00",
  ];
  bad.push("2024-01-01T10:60", "2024-01-01T10:30:60", "2024-01-01T10", "2024-01-01Z", "20240101");
  for (const text of bad) assert.equal(parseTimestampMs(text), null, text);
  for (const other of [-1, 253402300800000, NaN, null, true, {}]) {
    assert.equal(parseTimestampMs(other), null);
  }
});

const cases = optionsArbitrary.chain((options) =>
  streamArbitrary(options).chain((records) =>
    recordTimesArbitrary(records).map((times) => ({ options, records, times }))
  )
);

Deno.test("oracle() balances its ledger and keeps gaps whole slots long, on any stream", () => {
  const seen = new Set<string>();
  const property = fc.property(cases, ({ options, records, times }) => {
    const { ledger, gaps, dispositions } = oracle(records, times, options);
    const { raw, ...counted } = ledger;
    assert.equal(raw, records.length);
    assert.equal(Object.values(counted).reduce((sum, count) => sum + count, 0), raw);
    for (const gap of gaps) {
      assert.equal(gap.state === "FILLED", gap.missingIntervals === 0);
      assert.equal((gap.missingToMs - gap.missingFromMs) % MINUTE_MS, 0);
      assert.ok(gap.rejectedIntervals <= gap.missingIntervals);
      seen.add(gap.state);
    }
    for (const it of dispositions) {
      [it.disposition, it.reason, ...it.flags.map((flag) => `flag ${flag}`)].map((x) =>
        seen.add(`${x}`)
      );
    }
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
  // 6 dispositions, 10 reasons and null, 2 flags, 4 gap states: the generator reaches them all.
  assert.equal(seen.size, 6 + 11 + 2 + 4);
});

Deno.test("oracle() in meter scope gives each meter the answer it has alone with the ticks", () => {
  const property = fc.property(cases, ({ options: drawn, records }) => {
    const options = { ...drawn, watermarkScope: "meter" as const };
    const whole = oracle(records, null, options);
    for (const meterId of new Set(whole.dispositions.map((it) => it.meterId))) {
      if (meterId === null) continue;
      const own = whole.dispositions.filter((it) => [meterId, null].includes(it.meterId));
      const alone = oracle(own.map(({ offset }) => records[offset]), null, options);
      assert.deepEqual(alone.gaps, whole.gaps.filter((gap) => gap.meterId === meterId));
      assert.deepEqual(
        alone.dispositions.map((it, index) => ({ ...it, offset: own[index].offset })),
        own,
      );
    }
  });
  fc.assert(property, { seed: SEED, numRuns: 300 });
});
