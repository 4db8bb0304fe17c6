/** The oracle against answers worked out by hand from the contract. */
import assert from "node:assert/strict";
import { oracle, type OracleOptions } from "./oracle.ts";
import { parseMeterId, parseTimestampMs } from "./record.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const DEFAULTS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: HOUR_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 168 * HOUR_MS,
  forgetAfterMs: 400 * 24 * HOUR_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  learningReadings: 48,
  intervalMsByMeter: new Map(),
  revisions: "first",
  metersMax: 1000,
  maxKwh: 100000,
  maxFutureMs: HOUR_MS,
  minTimestampMs: Date.UTC(2005, 0, 1),
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

Deno.test("oracle() lets the grid follow a reading by a sixteenth of what it is off", () => {
  const records = [reading("10:00"), tick("11:15"), reading("10:31")];
  assert.deepEqual(gaps(records), ["M1@10:30: 10:30-10:30 0/0 FILLED"]);
  assert.deepEqual(gaps([...records, tick("11:16")]), [
    "M1@10:30: 10:30-10:30 0/0 FILLED",
    "M1@11:00:01.875Z: 11:00:01.875-11:30:01.875 1/0 OPEN",
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
  // Five minutes off the wall are within the grace: B's first slot is 10:00 and 18.75 s.
  assert.deepEqual(gaps([...both, tick("10:45")]), ["A@10:30: 10:30-11:00 1/0 OPEN"]);
  assert.deepEqual(gaps([...both, tick("12:00"), tick("11:00")]), [
    "A@10:30: 10:30-12:00 3/0 OPEN",
    "B@10:30:18.750Z: 10:30:18.750-12:00:18.750 3/0 OPEN",
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
});

/** Five hours to silence, ten to the end of a history. */
const SHORT = { ...DEFAULTS, stateTtlMs: 5 * HOUR_MS, forgetAfterMs: 10 * HOUR_MS };

Deno.test("oracle() closes a silence at its full length when the meter is back", () => {
  const silent = [reading("00:00"), tick("08:00")];
  assert.deepEqual(gaps(silent, SHORT), ["M1@00:30: 00:30-05:00 9/0 EXPIRED"]);
  assert.deepEqual(gaps([...silent, reading("09:00")], SHORT), [
    "M1@00:30: 00:30-09:00 17/0 CLOSED",
  ]);
  // Without a tick the reading itself passes the time to live.
  assert.deepEqual(gaps([reading("00:00"), reading("09:00")], SHORT), [
    "M1@00:30: 00:30-09:00 17/0 CLOSED",
  ]);
  // Late by twenty minutes it closes what lies before it, and the rest is another gap.
  assert.deepEqual(gaps([...silent, tick("09:10"), reading("08:30")], SHORT), [
    "M1@00:30: 00:30-08:30 16/0 CLOSED",
  ]);
  assert.deepEqual(gaps([...silent, tick("09:20"), reading("08:30")], SHORT), [
    "M1@00:30: 00:30-08:30 16/0 CLOSED",
    "M1@09:00: 09:00-09:30 1/0 OPEN",
  ]);
  // What is late still fills and splits it; what is too late, or unusable, is no return.
  const back = [...silent, reading("09:00")];
  assert.deepEqual(gaps([...back, reading("08:00")], SHORT), [
    "M1@00:30: 00:30-08:00 15/0 CLOSED",
    "M1@08:30: 08:30-09:00 1/0 CLOSED",
  ]);
  for (const record of [reading("06:59"), reading("08:00", null)]) {
    assert.deepEqual(gaps([...silent, record], SHORT), gaps(silent, SHORT));
  }
});

Deno.test("oracle() ends a history at last + forget, and not a millisecond before", () => {
  const expired = "M1@00:30: 00:30-10:00 19/0 EXPIRED";
  assert.deepEqual(gaps([reading("00:00"), tick("09:59:59.999")], SHORT), [
    "M1@00:30: 00:30-05:00 9/0 EXPIRED",
  ]);
  assert.deepEqual(gaps([reading("00:00"), tick("10:00")], SHORT), [expired]);
  assert.deepEqual(gaps([reading("00:00"), tick("20:00")], SHORT), [expired]);
  assert.deepEqual(gaps([reading("00:00"), reading("10:00"), reading("11:00")], SHORT), [
    expired,
    "M1@10:30: 10:30-11:00 1/0 CLOSED",
  ]);
  assert.deepEqual(gaps([reading("00:00"), reading("09:59:59.999")], SHORT), [
    "M1@00:30: 00:30-10:00 19/0 CLOSED",
  ]);
  // Out of order by ten minutes: the clock reaches 09:59 only.
  const unordered = { ...SHORT, outOfOrdernessMs: 10 * MINUTE_MS };
  assert.deepEqual(gaps([reading("00:00"), reading("10:09")], unordered), [
    "M1@00:30: 00:30-10:00 19/0 CLOSED",
  ]);
});

Deno.test("oracle() freezes the count of unusable readings at the time to live", () => {
  const marked = [reading("00:00"), reading("01:00", null), reading("02:00", null), tick("08:00")];
  const during = [...marked, reading("08:00", null), reading("09:00")];
  assert.deepEqual(gaps(during, SHORT), ["M1@00:30: 00:30-09:00 17/2 CLOSED"]);
  assert.deepEqual(gaps([...during, reading("08:00")], SHORT), [
    "M1@00:30: 00:30-08:00 15/2 CLOSED",
    "M1@08:30: 08:30-09:00 1/0 CLOSED",
  ]);
});

Deno.test("oracle() calls a slot that a time to live took too late, never a duplicate", () => {
  const patient = { ...SHORT, allowedLatenessMs: 9 * HOUR_MS };
  const records = [reading("00:00"), reading("01:00"), tick("08:00"), reading("01:00")];
  assert.deepEqual(dispositions([...records, reading("00:30")], patient).slice(3), [
    "too_late 25200000",
    "too_late 27000000",
  ]);
  assert.deepEqual(
    dispositions([...records.slice(0, 2), tick("05:59"), reading("01:00")], patient),
    [
      ...["ok", "ok", "tick", "duplicate DUPLICATE"],
    ],
  );
});

const retire = (at: string, meter = "M1"): string =>
  JSON.stringify({ type: "retire", timestamp: time(at), meter_id: meter });

Deno.test("oracle() retires a meter with the gap it has, and the next reading begins anew", () => {
  const retired = [reading("10:00"), tick("12:00"), retire("12:00"), tick("14:00")];
  assert.deepEqual(dispositions(retired), ["ok", "tick", "tick", "tick"]);
  assert.deepEqual(gaps(retired), ["M1@10:30: 10:30-12:00 3/0 EXPIRED"]);
  assert.deepEqual(gaps([...retired, reading("14:00"), reading("15:00")]), [
    "M1@10:30: 10:30-12:00 3/0 EXPIRED",
    "M1@14:30: 14:30-15:00 1/0 CLOSED",
  ]);
  // In silence it says the whole length; of an unknown meter, or without its fields, nothing.
  assert.deepEqual(gaps([reading("00:00"), tick("08:00"), retire("08:00")], SHORT), [
    "M1@00:30: 00:30-08:00 15/0 EXPIRED",
  ]);
  const { status, watermarkMs } = oracle([...retired, retire("20:00", "M2")], null, DEFAULTS);
  assert.deepEqual([...status], [["M1", "retired"], ["M2", "retired"]]);
  assert.equal(watermarkMs, parseTimestampMs("2024-01-01T14:00Z"));
  assert.deepEqual(dispositions([`{"type":"retire","timestamp":"2024-01-01"}`, retire("x")]), [
    "rejected MISSING_FIELD",
    "rejected BAD_TIMESTAMP",
  ]);
});

const AUTO: OracleOptions = { ...DEFAULTS, expectedIntervalMs: "auto" };

/** Readings from a time on, step by step in minutes. */
function series(from: string, stepsMinutes: readonly number[], kwh = 1): string[] {
  let atMs = Date.parse(`${time(from)}:00Z`);
  const at = (ms: number) => reading(new Date(ms).toISOString(), kwh);
  return [at(atMs), ...stepsMinutes.map((minutes) => at(atMs += minutes * MINUTE_MS))];
}

const times = (count: number, minutes: number): number[] => Array(count).fill(minutes);

Deno.test("oracle() learns any whole-minute step at once from six, else from all readings", () => {
  const learned = (stepsMinutes: number[], options = AUTO) => {
    const records = [...series("00:00", stepsMinutes), tick("2024-06-01")];
    return gaps(records, { ...options, forgetAfterMs: 2000 * DAY_MS })[0]?.match(/-(.*?) /)?.[1];
  };
  // The first missing slot tells the interval, seen here by the end of the gap before silence.
  for (const minutes of [20, 59, 120, 180, 7]) {
    const options = { ...AUTO, stateTtlMs: 200 * minutes * MINUTE_MS };
    const { gaps } = oracle([...series("00:00", times(6, minutes)), tick("2024-06-01")], null, {
      ...options,
      forgetAfterMs: 1000 * DAY_MS,
    });
    assert.equal(gaps[0].missingFromMs, Date.UTC(2024, 0, 1) + 7 * minutes * MINUTE_MS);
    assert.equal(
      (gaps[0].missingToMs - gaps[0].missingFromMs) / gaps[0].missingIntervals,
      minutes * MINUTE_MS,
    );
  }
  // Five steps say nothing; four of six neither, five of six do.
  assert.equal(learned(times(5, 30)), undefined);
  assert.equal(learned([30, 30, 60, 30, 60, 30]), undefined);
  assert.deepEqual(gaps(series("00:00", [30, 30, 60, 30, 30, 30]), AUTO), [
    "M1@01:30: 01:30-02:00 1/0 CLOSED",
  ]);
  // At the last: the least of conflicts and holes, and of equals the longer.
  const eight = { ...AUTO, learningReadings: 8 };
  assert.deepEqual(gaps(series("00:00", [30, 30, 60, 30, 60, 30, 30]), eight), [
    "M1@01:30: 01:30-02:00 1/0 CLOSED",
    "M1@03:00: 03:00-03:30 1/0 CLOSED",
  ]);
  const { status } = oracle(series("00:00", times(5, 30)), null, AUTO);
  assert.equal(status.get("M1"), "unjudged");
});

Deno.test("oracle() learns a month from three steps, and counts calendar days and months", () => {
  const on = (dates: string[]) => dates.map((date) => reading(`${date}T00:00Z`));
  const monthly = on(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-06-02"]);
  assert.deepEqual(gaps(monthly, AUTO), [
    "M1@2024-05-01T00:00: 2024-05-01T00:00-2024-06-01T00:00 1/0 CLOSED",
  ]);
  // Silent after two months, not seven days.
  const silence = (date: string) => gaps([...monthly.slice(0, 4), tick(date)], AUTO);
  assert.deepEqual(silence("2024-05-31T23:59Z"), [
    "M1@2024-05-01T00:00: 2024-05-01T00:00-2024-06-01T00:00 1/0 OPEN",
  ]);
  assert.deepEqual(silence("2024-06-01"), [
    "M1@2024-05-01T00:00: 2024-05-01T00:00-2024-06-01T00:00 1/0 EXPIRED",
  ]);
  const daily = ["2024-01-01T23:59:59Z", "2024-01-02T22:00Z", "2024-01-04T12:00Z"].map((at) =>
    reading(at)
  );
  const days = { ...DEFAULTS, expectedIntervalMs: DAY_MS };
  assert.deepEqual(gaps(daily, days), [
    "M1@2024-01-04T00:00: 2024-01-04T00:00-2024-01-05T00:00 1/0 CLOSED",
  ]);
});

Deno.test("oracle() begins a new piece after twelve equal steps, and not after eleven", () => {
  const regular = times(6, 30);
  for (const [steps, changes] of [[11, 0], [12, 1]]) {
    const records = series("00:00", [...regular, ...times(steps, 60)]);
    const { intervalChanges } = oracle(records, null, AUTO);
    assert.equal(intervalChanges.length, changes);
  }
  // Twelve holes, withdrawn; from 15:00 on an hour is the interval.
  const grown = series("00:00", [...regular, ...times(12, 60)]);
  const filled = oracle(grown, null, AUTO).gaps;
  assert.equal(filled.length, 12);
  assert.ok(
    filled.every(({ state, filledIntervals }) => state === "FILLED" && filledIntervals === 1),
  );
  assert.deepEqual(
    gaps([...grown, tick("17:15")], AUTO).filter((gap) => !gap.endsWith("FILLED")),
    ["M1@16:00: 16:00-18:00 2/0 OPEN"],
  );
  // Too early for the new piece: only its older holes are remembered.
  assert.deepEqual(dispositions([...grown, reading("14:29"), reading("15:00")], AUTO).slice(-2), [
    "too_late 1860000",
    "duplicate DUPLICATE",
  ]);
  // A hole from before the run stays, and late readings fill it by its own interval.
  const patient = { ...AUTO, allowedLatenessMs: 24 * HOUR_MS };
  const before = series("00:00", [...regular, 90, ...times(12, 60)]);
  const open = (records: string[]) =>
    gaps(records, patient).filter((gap) => !gap.endsWith("FILLED"));
  assert.deepEqual(open(before), ["M1@03:30: 03:30-04:30 2/0 CLOSED"]);
  assert.deepEqual(open([...before, reading("03:30")]), ["M1@03:30: 04:00-04:30 1/0 CLOSED"]);
});

Deno.test("oracle() says of a fixed interval that readings contradict it, and keeps it", () => {
  const { contradicted, intervalChanges } = oracle(series("00:00", times(13, 15)), null, DEFAULTS);
  assert.deepEqual([[...contradicted], intervalChanges], [["M1"], []]);
});

Deno.test("oracle() takes an interval that a reading says, from there on, under auto alone", () => {
  const saying = (at: string, minutes: unknown, kwh = 1) =>
    JSON.stringify({
      meter_id: "M1",
      timestamp: time(at),
      consumption_kwh: kwh,
      interval_minutes: minutes,
    });
  const patient = { ...AUTO, allowedLatenessMs: 24 * HOUR_MS };
  const records = [saying("10:00", 30), reading("10:30"), saying("12:00", 15), reading("12:30")];
  const expected = [
    "M1@11:00: 11:00-12:00 2/0 CLOSED",
    "M1@12:15: 12:15-12:30 1/0 CLOSED",
  ];
  assert.deepEqual(gaps(records, patient), expected);
  assert.deepEqual(gaps([...records, saying("11:30", 5)], patient), [
    "M1@11:00: 11:00-11:30 1/0 CLOSED",
    expected[1],
  ]);
  assert.deepEqual(
    dispositions([...records, reading("11:50")], patient).at(-1),
    "too_late 2400000",
  );
  for (const minutes of [0, -5, 7.5, "x", null]) {
    assert.deepEqual(gaps([saying("10:00", minutes), tick("12:00")], AUTO), []);
  }
  assert.deepEqual(gaps([saying("10:00", " 15 "), tick("10:30")], AUTO), [
    "M1@10:15: 10:15-10:30 1/0 OPEN",
  ]);
  assert.deepEqual(gaps([saying("10:00", 15), tick("10:45")]), ["M1@10:30: 10:30-11:00 1/0 OPEN"]);
});

Deno.test("oracle() keeps the first value, or by revisions: last the last one, flagged", () => {
  const records = [reading("10:00"), reading("10:00", 2), reading("10:00", 1), reading("10:00", 1)];
  const answer = (revisions: "first" | "last") =>
    oracle(records, null, { ...DEFAULTS, revisions }).dispositions
      .map(({ disposition, reason, flags, heldKwh }) => [disposition, reason, ...flags, heldKwh]);
  assert.deepEqual(answer("first"), [
    ["ok", null, null],
    ["duplicate", "CONFLICT", 1],
    ["duplicate", "DUPLICATE", 1],
    ["duplicate", "DUPLICATE", 1],
  ]);
  assert.deepEqual(answer("last"), [
    ["ok", null, null],
    ["ok", null, "REVISES", 1],
    ["ok", null, "REVISES", 2],
    ["duplicate", "DUPLICATE", 1],
  ]);
});

Deno.test("oracle() says an OPEN gap again only when it has doubled", () => {
  const said = (...ticks: string[]) => {
    const records = [reading("10:00"), ...ticks.map(tick)];
    return oracle(records, null, DEFAULTS).saidIntervals.get("M1@2024-01-01T10:30:00Z");
  };
  assert.equal(said("10:45"), 1);
  assert.equal(said("10:45", "11:15"), 2);
  assert.equal(said("10:45", "11:15", "11:45"), 2);
  assert.equal(said("10:45", "11:15", "11:45", "12:15"), 4);
  assert.equal(said("11:45"), 3);
});

Deno.test("oracle() gives one status to a meter, and counts its due slots", () => {
  const status = (...records: string[]) => oracle(records, null, SHORT).status.get("M1");
  assert.equal(status(reading("10:00")), "healthy");
  assert.equal(status(reading("10:00", null)), "unusable");
  assert.equal(status(reading("10:00"), reading("10:30", null)), "healthy");
  assert.equal(status(tick("10:10"), reading("10:00")), "late");
  assert.equal(status(tick("12:10"), reading("10:00")), "late");
  assert.equal(status(reading("10:00"), tick("10:45")), "gap");
  assert.equal(status(reading("10:00"), tick("15:00")), "silent");
  assert.equal(status(reading("10:00"), tick("20:00")), "silent");
  assert.equal(status(reading("10:00"), tick("20:00"), reading("20:00")), "healthy");
  const two = [
    reading("10:00"),
    reading("10:00", 1, "M2"),
    tick("16:00"),
    reading("16:00", 1, "M2"),
  ];
  const { completeness, completenessReporting } = oracle(two, null, SHORT);
  // 10:00 to 15:30 are due, twelve slots of each.
  assert.deepEqual(completeness, { valid: 2, expected: 24 });
  assert.deepEqual(completenessReporting, { valid: 1, expected: 12 });
  // What a history counted stays when it ends, and grows no more.
  const ended = [reading("10:00"), retire("10:00"), tick("18:00")];
  assert.deepEqual(oracle(ended, null, SHORT).completeness, { valid: 0, expected: 0 });
  const forgotten = [reading("10:00"), tick("23:00")];
  assert.deepEqual(oracle(forgotten, null, SHORT).completeness, { valid: 1, expected: 20 });
});

Deno.test("oracle() refuses new meters beyond the most there may be, and never known ones", () => {
  const options = { ...SHORT, metersMax: 1 };
  const other = (at: string) => reading(at, 1, "M2");
  const records = [
    ...[reading("10:00"), other("10:00"), reading("10:30"), other("09:00")],
    ...[tick("20:30"), other("20:30"), reading("20:30")],
  ];
  assert.deepEqual(dispositions(records, options), [
    ...["ok", "rejected TOO_MANY_METERS", "ok", "too_late 5400000"],
    ...["tick", "ok", "rejected TOO_MANY_METERS"],
  ]);
});

Deno.test("oracle() knows no time before the oldest, of readings and ticks alike", () => {
  const records = [
    ...[reading("2004-12-31T23:59:59.999Z"), reading("2005-01-01", -1), tick("1970-01-01")],
    ...[reading("1913-05-01", -1), reading("2005-01-01")],
  ];
  assert.deepEqual(dispositions(records), [
    ...["rejected TOO_OLD", "rejected NEGATIVE", "rejected TOO_OLD", "rejected NEGATIVE", "ok"],
  ]);
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
  const timed = [reading("10:00", null, "M2"), ...ignored, tick("14:45")];
  const noonMs = Date.UTC(2024, 0, 1, 12);
  const logMs = timed.map((_, index) => index < 5 ? noonMs : noonMs + 3 * HOUR_MS);
  assert.equal(oracle(timed, logMs, DEFAULTS).gaps[0].rejectedIntervals, 0);
  assert.equal(oracle(timed, null, DEFAULTS).gaps[0].rejectedIntervals, 1);
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

Deno.test("oracle() judges FUTURE by received_at, then the log's time, then the wall clock", () => {
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
  assert.deepEqual(dispositions([tick("12:00"), ...edge]), ["tick", "ok", "ok"]);
  assert.deepEqual(dispositions([at("00", "A", "2024-01-01T12:00Z")], wall), ["ok"]);
  assert.deepEqual(dispositions([at("00", "A", "2024-01-01T11:59Z")], wall), ["rejected FUTURE"]);
  // It is believed up to an hour after the log's time, whatever the reading's own is.
  const early = (receivedAt: string) =>
    reading("10:00").replace("}", `,"received_at":"${receivedAt}"}`);
  assert.deepEqual(dispositions([early("2024-01-01T13:00Z")], wall), ["ok"]);
  assert.deepEqual(dispositions([early("2024-01-01T13:00:00.001Z")], wall), ["rejected FUTURE"]);
  assert.deepEqual(dispositions([early("2099-01-01")]), ["ok"]);
  assert.deepEqual(dispositions([tick("13:01")], DEFAULTS, [noon]), ["rejected FUTURE"]);
});

Deno.test("oracle() judges a replay's records by that replay's ticks, and live ones by the log", () => {
  const year = Date.UTC(2024, 6, 1);
  const records = [tick("12:00"), reading("13:00"), reading("13:00:00.001", 1, "M2")];
  const answer = (starts: (number | null)[], texts = records) =>
    oracle(texts, texts.map(() => year + HOUR_MS), DEFAULTS, starts).dispositions
      .map(({ disposition, reason }) => reason ?? disposition);
  assert.deepEqual(answer([year, year, year]), ["tick", "ok", "FUTURE"]);
  assert.deepEqual(answer([year, null, null]), ["tick", "ok", "ok"]);
  assert.deepEqual(answer([year - 1, year, year]), ["tick", "ok", "ok"]);
  const received = reading("14:00").replace("}", `,"received_at":"2024-07-01T02:00:00Z"}`);
  assert.deepEqual(answer([year, year], [tick("12:00"), received]), ["tick", "ok"]);
  const later = received.replace("02:00:00", "02:00:01");
  assert.deepEqual(answer([year, year], [tick("12:00"), later]), ["tick", "FUTURE"]);
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
  assert.equal(parseTimestampMs("2023-12-31T24:00:00.000+00:00"), Date.UTC(2024, 0, 1));
  const bad = [
    "",
    "2024/01/01 10:30",
    "1 Jan 2024",
    "2013-02-30",
    "2024-01-01T25:00",
    "2024-01-01T24:01",
    "2024-01-01T24:00:00.0001",
    "2024-01-01T24:00:01",
  ];
  bad.push("2024-01-01T10:60", "2024-01-01T10:30:60", "2024-01-01T10", "2024-01-01Z", "20240101");
  for (const text of bad) assert.equal(parseTimestampMs(text), null, text);
  for (const other of [-1, 253402300800000, NaN, null, true, {}]) {
    assert.equal(parseTimestampMs(other), null);
  }
});

Deno.test("parseMeterId() trims what nobody sees, and refuses control characters inside", () => {
  for (const unseen of [" ", "\t", "\u00a0", "\ufeff", "\u200b", "\u2060", "\u3000", "\u0085"]) {
    assert.equal(parseMeterId(`${unseen}M1 ${unseen}`), "M1");
    assert.equal(parseMeterId(unseen), null);
  }
  for (const id of ["a\u0001b", "a\u0085b", "a\tb", "a\u007fb", "\ud800", "", "x".repeat(257)]) {
    assert.equal(parseMeterId(id), null);
  }
  for (const id of ["a\u200bb", "'M1", '="M1"', "a b", "x".repeat(256)]) {
    assert.equal(parseMeterId(id), id);
  }
});
