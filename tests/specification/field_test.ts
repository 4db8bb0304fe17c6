/**
 * The oracle on field cases, each the situation of a public report: what their right answers are
 * (../shared/data/field/README.md) as far as a bare stream can have them. A stream knows no file,
 * no series' whole, and no order but its own.
 */
import assert from "node:assert/strict";
import { oracle, type OracleAnswer, type OracleOptions } from "./oracle.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const FIELD = new URL("../../../shared/data/field/", import.meta.url);

/** The defaults that users have. */
const AUTO: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: 60 * MINUTE_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 7 * DAY_MS,
  forgetAfterMs: 400 * DAY_MS,
  expectedIntervalMs: "auto",
  learningReadings: 48,
  intervalMsByMeter: new Map(),
  revisions: "first",
  metersMax: 2_000_000,
  maxKwh: 100_000,
  maxFutureMs: 60 * MINUTE_MS,
  minTimestampMs: Date.UTC(2005, 0, 1),
  negative: "reject",
  nowMs: null,
};
const FIXED_30 = { ...AUTO, expectedIntervalMs: 30 * MINUTE_MS };

function isPresent(): boolean {
  try {
    return Deno.statSync(FIELD).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The rows of files as records, one file after the other. */
function rows(...names: string[]): string[] {
  return names.flatMap((name) => {
    const [, ...lines] = Deno.readTextFileSync(new URL(`${name}.csv`, FIELD)).trim().split("\n");
    return lines.map((line) => {
      const [meter_id, timestamp, consumption_kwh] = line.split(",");
      return JSON.stringify({ meter_id, timestamp, consumption_kwh });
    });
  });
}

const atOf = (record: string): string => JSON.parse(record).timestamp;
const sorted = (records: string[]): string[] =>
  records.toSorted((a, b) => atOf(a) < atOf(b) ? -1 : atOf(a) > atOf(b) ? 1 : 0);

/** A tick every quarter of an hour up to each reading, for a clock that moves without readings. */
function withTicks(records: string[]): string[] {
  let tickMs = NaN;
  return records.flatMap((record) => {
    const atMs = Date.parse(`${atOf(record).replace(" ", "T")}Z`);
    const ticks: string[] = [];
    tickMs = Number.isNaN(tickMs) ? atMs : tickMs;
    for (; tickMs <= atMs; tickMs += 15 * MINUTE_MS) {
      ticks.push(JSON.stringify({ type: "tick", timestamp: new Date(tickMs).toISOString() }));
    }
    return [...ticks, record];
  });
}

/** How many records have which disposition and reason. */
function counts({ dispositions }: OracleAnswer): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { disposition, reason } of dispositions) {
    if (disposition === "tick") continue;
    const name = reason ?? disposition;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

/** How many gaps have which state and length; of FILLED ones what they once were. */
function lengths({ gaps }: OracleAnswer): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { state, missingIntervals, filledIntervals } of gaps) {
    const name = `${state} ${filledIntervals ?? missingIntervals}`;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

type Case = {
  name: string;
  records: () => string[];
  options?: OracleOptions;
  counts: Record<string, number>;
  gaps: Record<string, number>;
};

const CASES: Case[] = [
  {
    name: "ten_day_hole: one gap of 480, not EXPIRED 335",
    records: () => rows("ten_day_hole"),
    counts: { ok: 960 },
    gaps: { "CLOSED 480": 1 },
  },
  {
    name: "ten_day_hole with ticks: the same",
    records: () => withTicks(rows("ten_day_hole")),
    counts: { ok: 960 },
    gaps: { "CLOSED 480": 1 },
  },
  {
    name: "to15 as a bare stream: six readings of the run conflict",
    records: () => rows("to15"),
    counts: { ok: 282, CONFLICT: 6 },
    gaps: {},
  },
  {
    name: "to30_auto as a bare stream: twelve gaps, withdrawn",
    records: () => rows("to30_auto"),
    counts: { ok: 288 },
    gaps: { "FILLED 1": 12 },
  },
  {
    name: "to30_auto as a bare stream with ticks: the same",
    records: () => withTicks(rows("to30_auto")),
    counts: { ok: 288 },
    gaps: { "FILLED 1": 12 },
  },
  {
    name: "m15_as_30_single_holes under auto: 37 gaps of one",
    records: () => rows("m15_as_30_single_holes"),
    counts: { ok: 347 },
    gaps: { "CLOSED 1": 37 },
  },
  {
    name: "jit_grid_missing0: one reading in each half hour, none missing",
    records: () => rows("jit_grid_missing0"),
    counts: { ok: 960 },
    gaps: {},
  },
  {
    name: "jit_grid_missing0 with ticks: no gap is left",
    records: () => withTicks(rows("jit_grid_missing0")),
    options: FIXED_30,
    counts: { ok: 960 },
    gaps: {},
  },
  {
    name: "drift: ten seconds a reading, none missing",
    records: () => rows("drift"),
    counts: { ok: 1440 },
    gaps: {},
  },
  {
    name: "year_typo_past: one row of 1913 is TOO_OLD",
    records: () => rows("year_typo_past"),
    counts: { ok: 96, TOO_OLD: 1 },
    gaps: {},
  },
  {
    name: "10-wrong-clock: three TOO_OLD, and their gap of three",
    records: () => rows("10-wrong-clock"),
    counts: { ok: 45, TOO_OLD: 3 },
    gaps: { "CLOSED 3": 1 },
  },
  {
    name: "12-history in order of time: 93 identical, three conflict",
    records: () => sorted(rows("12-history-monday", "12-history-tuesday")),
    counts: { ok: 144, DUPLICATE: 93, CONFLICT: 3 },
    gaps: {},
  },
  {
    name: "12-history by revisions: last: the three replace",
    records: () => sorted(rows("12-history-monday", "12-history-tuesday")),
    options: { ...AUTO, revisions: "last" },
    counts: { ok: 147, DUPLICATE: 93 },
    gaps: {},
  },
  {
    name: "12-history one after the other: too late, but for the last hour",
    records: () => rows("12-history-monday", "12-history-tuesday"),
    counts: { ok: 144, too_late: 93, DUPLICATE: 3 },
    gaps: {},
  },
  {
    name: "11-day2-late with its lateness from the start: filled",
    records: () => rows("11-day1", "11-day3", "11-day2-late"),
    options: { ...AUTO, allowedLatenessMs: 432_000_000 },
    counts: { ok: 96, late: 48 },
    gaps: { "FILLED 48": 1 },
  },
  {
    name: "11-day2-late at the default lateness: too late, the gap stays",
    records: () => rows("11-day1", "11-day3", "11-day2-late"),
    counts: { ok: 96, too_late: 48 },
    gaps: { "CLOSED 48": 1 },
  },
  {
    name: "22-daily-row-2359: the last total takes the free slot",
    records: () => rows("22-daily-row-2359"),
    counts: { ok: 289, CONFLICT: 2 },
    gaps: {},
  },
  {
    name: "03-edf-doubles-offgrid in order of time",
    records: () => sorted(rows("03-edf-doubles-offgrid")),
    counts: { ok: 48, DUPLICATE: 24, CONFLICT: 2 },
    gaps: {},
  },
  {
    name: "two_registers: every second value conflicts",
    records: () => rows("two_registers"),
    counts: { ok: 96, CONFLICT: 96 },
    gaps: {},
  },
  {
    name: "null_tail: 48 missing slots, each with an unusable reading",
    records: () => [
      ...rows("null_tail"),
      JSON.stringify({ type: "tick", timestamp: "2013-05-03T23:45:00Z" }),
    ],
    counts: { ok: 96, BAD_VALUE: 48 },
    gaps: { "OPEN 48": 1 },
  },
];

for (const { name, records, options, counts: said, gaps } of CASES) {
  Deno.test(`oracle() on ${name}`, { ignore: !isPresent() }, () => {
    const answer = oracle(records(), null, options ?? AUTO);
    assert.deepEqual(counts(answer), said);
    assert.deepEqual(lengths(answer), gaps);
  });
}

Deno.test("oracle() names in a stream the first of two for a slot, on the grid or not", {
  ignore: !isPresent(),
}, () => {
  const conflicts = (records: string[]) =>
    oracle(records, null, AUTO).dispositions.filter(({ reason }) => reason === "CONFLICT")
      .map(({ timestampMs }) => new Date(timestampMs!).toISOString().slice(0, 19));
  // In a file the totals, and 13:29:44, are the ones that conflict: there the grid decides.
  assert.deepEqual(conflicts(rows("22-daily-row-2359")), [
    "2022-09-02T00:00:00",
    "2022-09-03T00:00:00",
  ]);
  assert.deepEqual(conflicts(sorted(rows("03-edf-doubles-offgrid"))), [
    "2023-12-26T12:14:10",
    "2023-12-26T13:30:00",
  ]);
});

Deno.test("oracle() flags jitter, never drift", { ignore: !isPresent() }, () => {
  const shifted = (name: string) =>
    oracle(rows(name), null, FIXED_30).dispositions.filter(({ flags }) => flags.length > 0).length;
  assert.ok(shifted("jit_grid_missing0") > 600);
  assert.equal(shifted("drift"), 0);
});

Deno.test("oracle() counts in null_tail 48 unusable readings in the gap", {
  ignore: !isPresent(),
}, () => {
  const tick = JSON.stringify({ type: "tick", timestamp: "2013-05-03T23:45:00Z" });
  const [gap] = oracle([...rows("null_tail"), tick], null, AUTO).gaps;
  assert.deepEqual([gap.missingIntervals, gap.rejectedIntervals], [48, 48]);
});

Deno.test("oracle() says of 15-minute data under a fixed 30 that it contradicts", {
  ignore: !isPresent(),
}, () => {
  const answer = oracle(rows("to15"), null, FIXED_30);
  assert.deepEqual([...answer.contradicted], ["A"]);
  assert.deepEqual(lengths(answer), {});
});

Deno.test("oracle() reads one id under its disguises, and keeps look-alikes apart", {
  ignore: !isPresent(),
}, () => {
  // Quotes and ="…" are a file's cell, not a stream's id.
  const cell = /^\\?"?=?\\?"?(.*?)\\?"?\s*\\?"?$/;
  const records = rows("24-invisible-ids").map((record) => {
    const fields = JSON.parse(record);
    return JSON.stringify({ ...fields, meter_id: fields.meter_id.replace(cell, "$1") });
  });
  const answer = oracle(records, null, AUTO);
  assert.deepEqual(answer.ledger.ok, 48);
  assert.deepEqual([...answer.status.keys()].sort(), ["'INV1", "INV1", "inv1"]);
  assert.deepEqual(answer.gaps.map(({ state, missingIntervals }) => [state, missingIntervals]), [
    ["CLOSED", 1],
    ["CLOSED", 1],
  ]);
});
