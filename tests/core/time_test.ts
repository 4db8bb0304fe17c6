import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatTimestamp,
  type LocalNote,
  parseEpochNumber,
  parseTimestamp,
  parseTimestampBytes,
  writeTimestamp,
} from "../../src/core/time.ts";
import { buildZone, UTC_ZONE } from "../../src/core/zone.ts";

const LONDON = buildZone("Europe/London");

/** `[text, what it means in UTC, as Date reads it]` */
const READABLE: [string, string][] = [
  ["2013-01-01T10:30:00Z", "2013-01-01T10:30:00Z"],
  ["2013-01-01t10:30:00z", "2013-01-01T10:30:00Z"],
  ["2013-01-01 10:30:00Z", "2013-01-01T10:30:00Z"],
  ["  2013-01-01T10:30:00Z ", "2013-01-01T10:30:00Z"],
  ["2013-01-01", "2013-01-01T00:00:00Z"],
  ["2013-01-01T10:30", "2013-01-01T10:30:00Z"],
  ["2013-01-01T10:30Z", "2013-01-01T10:30:00Z"],
  ["2013-01-01 10:30:00.0000000", "2013-01-01T10:30:00Z"],
  ["2013-01-01T10:30:00.5Z", "2013-01-01T10:30:00.500Z"],
  ["2013-01-01T10:30:00,5Z", "2013-01-01T10:30:00.500Z"],
  ["2013-01-01T10:30:00.1239999999999Z", "2013-01-01T10:30:00.123Z"],
  ["2013-01-01T10:30:00+01:00", "2013-01-01T09:30:00Z"],
  ["2013-01-01T10:30:00-0530", "2013-01-01T16:00:00Z"],
  ["2013-01-01T10:30:00+01", "2013-01-01T09:30:00Z"],
  ["2013-01-01T10:30+01", "2013-01-01T09:30:00Z"],
  ["2013-01-01T00:00:00-00:00", "2013-01-01T00:00:00Z"],
  ["2012-02-29", "2012-02-29T00:00:00Z"],
  ["2000-02-29", "2000-02-29T00:00:00Z"],
  ["1000-01-01", "1000-01-01T00:00:00Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ["1356998400", "2013-01-01T00:00:00Z"],
  ["1356998400000", "2013-01-01T00:00:00Z"],
  ["100000000", "1973-03-03T09:46:40Z"],
  ["100000000000", "1973-03-03T09:46:40Z"],
  ["99999999999", "5138-11-16T09:46:39Z"],
  ["2013-01-01T24:00:00Z", "2013-01-02T00:00:00Z"],
  ["2013-12-31 24:00", "2014-01-01T00:00:00Z"],
  ["2013-01-01T24:00:00.000+01:00", "2013-01-01T23:00:00Z"],
];

const UNREADABLE = [
  "",
  " ",
  "2013",
  "20130101",
  "12345678",
  "12345678901234",
  "-1356998400",
  "1356998400.5",
  "2013/01/01",
  "01/02/2013",
  "2013-01-01T",
  "2013-01-01 ,",
  "2013-01-01T10",
  "2013-01-01T10:3",
  "2013-01-01T1030",
  "2013-01-01  10:30",
  "2013-01-01_10:30",
  "2013-01-01T10:30:",
  "2013-01-01T10:30:0",
  "2013-01-01T10:30:00.",
  "2013-01-01T10:30:00.Z",
  "2013-01-01T10:30.5",
  "2013-01-01T10:30:00 Z",
  "2013-01-01T10:30:00ZZ",
  "2013-01-01T10:30:00+1",
  "2013-01-01T10:30:00+01:0",
  "2013-01-01T10:30:00+01:60",
  "2013-01-01T10:30:00+24:00",
  "2013-01-01T10:30:00+01-00",
  "2013-01-01T24:00:01Z",
  "2013-01-01T24:00:00.0001Z",
  "2013-01-01T24:30",
  "9999-12-31T24:00:00Z",
  "2013-01-01T10:60:00Z",
  "2013-01-01T10:30:60Z",
  "2013-00-01",
  "2013-13-01",
  "2013-01-00",
  "2013-01-32",
  "2013-04-31",
  "2013-02-29",
  "1900-02-29",
  "0999-12-31",
  "1000-01-01T00:00:00+01:00",
  "9999-12-31T23:59:59-01:00",
  "1 Jan 2013",
  "2013-Jan-01",
  "Jan 01 2013",
  "٢٠١٣-01-01",
  "2013-01-01T10:30:00é",
];

Deno.test("parseTimestamp() reads every form of the grammar", () => {
  for (const [text, utc] of READABLE) {
    assert.equal(parseTimestamp(text, UTC_ZONE), Date.parse(utc), text);
  }
});

Deno.test("parseTimestamp() is NaN for what the grammar does not hold", () => {
  for (const text of UNREADABLE) assert.ok(Number.isNaN(parseTimestamp(text, UTC_ZONE)), text);
});

Deno.test("parseTimestamp() reads a fraction of any length, longer than its scratch buffer", () => {
  const text = `2013-01-01T10:30:00.25${"0".repeat(500)}Z`;
  assert.equal(parseTimestamp(text, UTC_ZONE), Date.parse("2013-01-01T10:30:00.250Z"));
});

Deno.test("parseTimestamp() uses the zone only where the text has no offset", () => {
  const atNoon = Date.parse("2013-07-01T12:00:00Z");
  assert.equal(parseTimestamp("2013-07-01 13:00", LONDON), atNoon);
  assert.equal(parseTimestamp("2013-07-01 12:00Z", LONDON), atNoon);
  assert.equal(parseTimestamp("2013-07-01 14:00+02", LONDON), atNoon);
  assert.equal(parseTimestamp("2013-07-01", LONDON), Date.parse("2013-06-30T23:00:00Z"));
});

Deno.test("parseTimestampBytes() reads only its range, whatever stands around it", () => {
  const bytes = new TextEncoder().encode("9,2013-01-01T10:30,9");
  assert.equal(parseTimestampBytes(bytes, 2, 18, UTC_ZONE), Date.parse("2013-01-01T10:30Z"));
  assert.equal(parseTimestampBytes(bytes, 2, 12, UTC_ZONE), Date.parse("2013-01-01T00:00Z"));
  assert.ok(Number.isNaN(parseTimestampBytes(bytes, 2, 17, UTC_ZONE)));
});

Deno.test("parseTimestamp() reads back what formatTimestamp() and writeTimestamp() write", () => {
  const earliest = Date.parse("1000-01-01T00:00:00Z");
  const instants = fc.integer({ min: earliest, max: 253402300799999 });
  const target = new Uint8Array(64);
  fc.assert(fc.property(instants, fc.boolean(), (exactMs, whole) => {
    const ms = whole ? Math.floor(exactMs / 1000) * 1000 : exactMs;
    const expected = new Date(ms).toISOString().replace(".000Z", "Z");
    assert.equal(formatTimestamp(ms), expected);
    const end = writeTimestamp(ms, target, 7);
    assert.equal(new TextDecoder().decode(target.subarray(7, end)), expected);
    assert.equal(parseTimestamp(expected, LONDON), ms);
  }));
});

Deno.test("parseTimestamp() agrees with Date on which dates exist", () => {
  const part = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(part(9999), part(13), part(32), (year, month, day) => {
      const text = [String(year).padStart(4, "0"), month, day].map((n) =>
        String(n).padStart(2, "0")
      )
        .join("-");
      const date = new Date(Date.UTC(2000, 0, 1));
      date.setUTCFullYear(year, month - 1, day);
      const exists = year >= 1000 && date.toISOString().startsWith(text);
      assert.equal(parseTimestamp(text, UTC_ZONE), exists ? date.getTime() : NaN);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseEpochNumber() takes seconds below 1e11, milliseconds from there, to year 9999", () => {
  const table: [number, number][] = [
    [0, 0],
    [-0, 0],
    [1.5, 1500],
    [1.0006, 1001],
    [1356998400, 1356998400000],
    [99999999999, 99999999999000],
    [1e11, 1e11],
    [1356998400000.9, 1356998400000],
    [253402300799999, 253402300799999],
    [253402300800000, NaN],
    [-1, NaN],
    [Infinity, NaN],
    [NaN, NaN],
  ];
  for (const [n, ms] of table) assert.equal(parseEpochNumber(n), ms, String(n));
});

/** What a local time is: its instant, and whether it has another, or none. */
function localTime(text: string) {
  const note: LocalNote = { laterMs: NaN, isSkipped: false };
  const atMs = parseTimestamp(text, LONDON, note);
  const iso = (ms: number) => Number.isNaN(ms) ? null : new Date(ms).toISOString();
  return { at: iso(atMs), later: iso(note.laterMs), isSkipped: note.isSkipped };
}

Deno.test("parseTimestamp() tells a local time that is skipped, or comes twice", () => {
  const none = { later: null, isSkipped: false };
  assert.deepEqual(localTime("2024-03-31T00:59:59.999"), {
    ...{ at: "2024-03-31T00:59:59.999Z", ...none },
  });
  for (const text of ["2024-03-31T01:00", "2024-03-31 01:30", "2024-03-31T01:59:59.999"]) {
    assert.deepEqual(localTime(text), { at: null, later: null, isSkipped: true }, text);
  }
  assert.deepEqual(localTime("2024-03-31T02:00"), { at: "2024-03-31T01:00:00.000Z", ...none });
  assert.deepEqual(localTime("2024-10-27T00:59:59"), { at: "2024-10-26T23:59:59.000Z", ...none });
  assert.deepEqual(localTime("2024-10-27T01:00"), {
    at: "2024-10-27T00:00:00.000Z",
    later: "2024-10-27T01:00:00.000Z",
    isSkipped: false,
  });
  assert.deepEqual(localTime("2024-10-27T01:59:59").later, "2024-10-27T01:59:59.000Z");
  assert.deepEqual(localTime("2024-10-27T02:00"), { at: "2024-10-27T02:00:00.000Z", ...none });
  for (const text of ["2024-03-31T01:30Z", "2024-10-27T01:30+01:00", "1729989000"]) {
    assert.deepEqual({ ...localTime(text), at: null }, { at: null, ...none }, text);
  }
});

Deno.test("parseTimestamp() begins a day that has no midnight with its first instant", () => {
  const zone = buildZone("America/Sao_Paulo");
  assert.equal(parseTimestamp("2018-11-04", zone), Date.UTC(2018, 10, 4, 3));
  assert.ok(Number.isNaN(parseTimestamp("2018-11-04T00:00", zone)));
  assert.equal(parseTimestamp("2018-11-04T01:00", zone), Date.UTC(2018, 10, 4, 3));
});
