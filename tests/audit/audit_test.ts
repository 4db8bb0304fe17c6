import assert from "node:assert/strict";
import { fieldCase, hasField } from "../field/play.ts";
import { auditTexts } from "./audit_texts.ts";

const HEADER = "meter_id,timestamp,consumption_kwh\n";
const HALF_HOUR_MS = 1_800_000;

/** Half hours of a meter from a time on; those whose number `isLeftOut` are left out. */
function halfHours(
  id: string,
  from: string,
  count: number,
  isLeftOut: (n: number) => boolean = () => false,
): string {
  let rows = "";
  for (let n = 0; n < count; n++) {
    if (isLeftOut(n)) continue;
    const at = new Date(Date.parse(from) + n * HALF_HOUR_MS).toISOString();
    rows += `${id},${at},0.5\n`;
  }
  return rows;
}

Deno.test("auditFiles() counts rows, slots, gaps and days of one complete day and one with a hole", async () => {
  const text = HEADER + halfHours("A", "2013-05-01T00:00:00Z", 96, (n) => n === 50 || n === 51);
  const { answer } = await auditTexts([text]);
  const { series: [one], ...all } = answer;
  assert.deepEqual(all.verdict, {
    pass: false,
    failed: ["gap_inside", "day_complete", "month_complete"],
  });
  assert.equal(all.rows, 94);
  assert.deepEqual(
    [all.expected_intervals, all.present_intervals, all.missing_intervals, all.gaps],
    [96, 94, 2, 1],
  );
  assert.equal(all.completeness_percent, 97.92);
  assert.deepEqual(all.days, { complete: 1, partial: 1, missing: 0 });
  assert.deepEqual(all.longest_gap, {
    meter_id: "A",
    channel: null,
    missing_from: "2013-05-02T01:00:00Z",
    missing_to: "2013-05-02T02:00:00Z",
    missing_intervals: 2,
  });
  assert.deepEqual(all.interval_minutes, { 30: 1 });
  assert.deepEqual([one.expected, one.present, one.missing, one.gaps], [96, 94, 2, 1]);
  assert.equal((await auditTexts([text], {}, 97.5)).answer.verdict.pass, true);
});

Deno.test("auditFiles() tells repeats from conflicts, and accounts for every row", async () => {
  const day = halfHours("A", "2013-05-01T00:00:00Z", 48);
  const more =
    "A,2013-05-01T00:00:00Z,0.5\nA,2013-05-01T00:30:00Z,0.7\nA,2013-05-01T01:00:00Z,x\n" +
    "A,,0.5\n,2013-05-01T01:00:00Z,0.5\nA,2013-05-01T01:00:00Z,\nA,1999-05-01T01:00:00Z,0.5\n";
  const { answer } = await auditTexts([HEADER + day + more]);
  assert.deepEqual(answer.duplicates, { identical: 1, conflicting: 1 });
  assert.deepEqual(answer.rejected, { BAD_VALUE: 1, MISSING_FIELD: 3, TOO_OLD: 1 });
  assert.deepEqual(answer.series[0].rejected, { BAD_VALUE: 1, MISSING_FIELD: 2, TOO_OLD: 1 });
  assert.equal(answer.rows, answer.accepted + 1 + 1 + 5);
});

Deno.test("auditFiles() flags values that no connection carries, within steady readings too", async () => {
  const rows = halfHours("A", "2013-05-01T00:00:00Z", 96).split("\n");
  rows[0] = rows[0].replace("0.5", "30");
  rows[40] = rows[40].replace("0.5", "30");
  const { answer } = await auditTexts([HEADER + rows.join("\n")]);
  assert.deepEqual(answer.flags, { CAPACITY: 2 });
  assert.deepEqual(answer.series[0].flags, { CAPACITY: 2 });
  assert.equal(answer.accepted, 96);
});

Deno.test("auditFiles() says what ended early and began late beside what is missing", async () => {
  const { answer } = await auditTexts([
    HEADER + halfHours("A", "2013-05-01T00:00:00Z", 96) +
    halfHours("B", "2013-05-01T12:00:00Z", 48),
  ]);
  assert.deepEqual(
    answer.series.map((
      { meter_id, ended_early, started_late, missing },
    ) => [meter_id, ended_early, started_late, missing]),
    [["A", 0, 0, 0], ["B", 24, 24, 0]],
  );
  assert.equal(answer.completeness_percent, 100);
  assert.equal(answer.completeness_with_silence_percent, 85.71);
  assert.deepEqual(answer.verdict.failed.slice(0, 2), ["gap_at_start", "gap_at_end"]);
});

Deno.test("auditFiles() does not judge a series that shows no interval, and says why", async () => {
  const { answer } = await auditTexts([HEADER + halfHours("A", "2013-05-01T00:00:00Z", 5)]);
  const [{ unjudged, gaps, expected, present }] = answer.series;
  assert.match(unjudged ?? "", /^fewer than 7 readings/);
  assert.deepEqual([gaps, expected, present], [null, null, 5]);
  assert.equal(answer.completeness_percent, null);
});

Deno.test("auditFiles() counts days of 23 and 25 hours with all their half hours as complete", async () => {
  const settings = { timezone: "Europe/London" };
  const spring = HEADER + halfHours("A", "2013-03-30T00:00:00Z", 48 + 46 + 48);
  const { answer } = await auditTexts([spring], settings);
  assert.deepEqual(answer.days, { complete: 3, partial: 0, missing: 0 });
  assert.deepEqual(answer.clock_changes, [
    { at: "2013-03-31T01:00:00Z", kind: "spring", series: 1 },
  ]);
  const autumn = HEADER + halfHours("A", "2013-10-25T23:00:00Z", 48 + 50 + 48);
  const { answer: later } = await auditTexts([autumn], settings);
  assert.deepEqual(later.days, { complete: 3, partial: 0, missing: 0 });
  assert.equal(later.clock_changes[0].kind, "autumn");
});

Deno.test("auditFiles() names gaps of several series that begin at one time, and changes of interval", async () => {
  const isOut = (n: number) => n === 20;
  const { answer } = await auditTexts([
    HEADER + halfHours("A", "2013-05-01T00:00:00Z", 96, isOut) +
    halfHours("B", "2013-05-01T00:00:00Z", 96, isOut),
  ]);
  assert.deepEqual(answer.shared_gaps, [{ at: "2013-05-01T10:00:00Z", series: 2 }]);
});

Deno.test({
  name: "auditFiles() suspects two registers under one id, and tells a change of interval",
  ignore: !hasField,
  fn: async () => {
    const { answer } = await auditTexts([fieldCase("two_registers")]);
    assert.ok(
      answer.warnings.some(({ code, meters }) => code === "two_channels" && meters?.length),
    );
    const { answer: changed } = await auditTexts([fieldCase("to15")]);
    assert.deepEqual(changed.interval_changes, [
      { meter_id: "A", channel: null, at: "2013-05-03T00:00:00Z", from: 30, to: 15 },
    ]);
    assert.equal(changed.missing_intervals, 0);
  },
});
