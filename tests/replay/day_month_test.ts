import assert from "node:assert/strict";
import { UTC_ZONE, type Zone } from "../../src/core/zone.ts";
import { type DayMonthSign, dayMonthSign } from "../../src/replay/day_month.ts";

const DAY_MS = 86_400_000;
const HALF_HOUR_MS = 1_800_000;

/** Half hours of all days from one to another, which is not among them. */
function readings(from: string, to: string, stepMs = HALF_HOUR_MS): number[] {
  const times: number[] = [];
  for (let ms = Date.parse(from); ms < Date.parse(to); ms += stepMs) times.push(ms);
  return times;
}

const dayOf = (ms: number) => new Date(ms).getUTCDate();

/** What somebody makes of a time who takes its day for the month where that can be. */
function exchanged(ms: number): number {
  const at = new Date(ms);
  const [month, day] = [at.getUTCMonth() + 1, at.getUTCDate()];
  if (day > 12) return ms;
  return Date.UTC(at.getUTCFullYear(), day - 1, month) + ms % DAY_MS;
}

function signOf(times: readonly number[], zone: Zone = UTC_ZONE): DayMonthSign | null {
  const sorted = Float64Array.from(new Set(times)).sort();
  const isSorted = times.every((ms, n) => n === 0 || ms >= times[n - 1]);
  return dayMonthSign(sorted, { zone, inOrderMs: isSorted ? null : Float64Array.from(times) });
}

const YEAR = readings("2013-01-01", "2014-01-01");
const SUMMER = readings("2013-03-05", "2013-09-20");
const WEEK = readings("2013-02-01", "2013-02-08");
const DAYS = readings("2013-03-05", "2013-09-20", DAY_MS);

Deno.test("dayMonthSign() finds what was read day for month, sorted afterwards or not", async (t) => {
  const cases: Record<string, readonly [readonly number[], DayMonthSign]> = {
    "half a year": [SUMMER.map(exchanged).sort(), "holes"],
    "half a year as it stood": [SUMMER.map(exchanged), "holes"],
    "half a year of days": [DAYS.map(exchanged).sort(), "holes"],
    "a year as it stood": [YEAR.map(exchanged), "order"],
    "a week": [WEEK.map(exchanged).sort(), "days 1 to 12"],
    "what else was no date left out": [
      SUMMER.filter((ms) => dayOf(ms) <= 12).map(exchanged),
      "days 1 to 12",
    ],
    "days up to the 12th alone": [YEAR.filter((ms) => dayOf(ms) <= 12), "days 1 to 12"],
    "their holes alone": [YEAR.filter((ms) => dayOf(ms) > 12), "days 13 to 31"],
    "labels at the end of intervals": [
      YEAR.filter((ms) => dayOf(ms) > 12).map((ms) => ms + HALF_HOUR_MS),
      "days 13 to 31",
    ],
  };
  for (const [name, [times, sign]] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(signOf(times), sign));
  }
});

Deno.test("dayMonthSign() says nothing of dates that are as they came", async (t) => {
  const outage = (from: string, to: string) =>
    YEAR.filter((ms) => ms < Date.parse(from) || ms >= Date.parse(to));
  const shuffled = YEAR.map((ms, n) => [(n * 7919) % 17_519, ms]).sort(([a], [b]) => a - b);
  const cases: Record<string, readonly number[]> = {
    "a year": YEAR,
    "newest first": YEAR.toReversed(),
    "shuffled": shuffled.map(([, ms]) => ms),
    "twelve days": readings("2013-01-01", "2013-01-13"),
    "an outage within a month": outage("2013-03-04", "2013-03-09"),
    "an outage over months": outage("2013-02-12", "2013-05-02"),
    "days on both sides of an outage": [
      ...readings("2013-01-04", "2013-01-12"),
      ...readings("2013-02-03", "2013-02-09"),
    ],
    "a reading a month": Array.from({ length: 36 }, (_, month) => Date.UTC(2010, month, 1)),
    "days": DAYS,
    "two meters' halves of a year": [
      ...readings("2013-07-01", "2014-01-01"),
      ...readings("2013-01-01", "2013-07-01"),
    ],
  };
  for (const [name, times] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(signOf(times), null));
  }
});
