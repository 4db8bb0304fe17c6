/** What `gridwatch audit --json` says of the real files at hand, and the answer's exact shape. */
import assert from "node:assert/strict";
import { hasField } from "../field/play.ts";
import { gridwatch } from "../commands/command_line.ts";

const SHARED = new URL("../../../shared/data/", import.meta.url).pathname;
const SAMPLE = new URL("../../data/sample/london_MAC000002.csv", import.meta.url).pathname;

async function auditOf(path: string) {
  const { stdout, stderr } = await gridwatch("audit", path, "--json");
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/** By their files: series, rows, accepted, identical, conflicting, gaps, missing, complete days. */
const COUNTS: Readonly<Record<string, readonly number[]>> = {
  // 17,568 = 366 days of 48, of each of two registers.
  "ausgrid/customer12_2011-2012.csv": [2, 35_136, 35_136, 0, 0, 0, 0, 732],
  "uci/uci_wide_rebuilt_MT208_MT210_2014-03-16_04-12.txt": [2, 5_376, 5_376, 0, 0, 0, 0, 56],
  "london/block_19meters_2013-05_07.csv": [19, 80_376, 80_376, 0, 0, 20, 457, 1_657],
  "london/raw_MAC000002_datastore_format.csv": [1, 24_158, 24_140, 17, 0, 5, 52, 498],
  // Days of 86400, 82800 and 90000 seconds: 441 + 2 + 1.
  "greenbutton/TestGBDataOneYearDailyBinnedMonthly.xml": [1, 444, 444, 0, 0, 0, 0, 444],
  "greenbutton/TestGBDataHourlyNineDaysBinnedDaily.xml": [1, 216, 216, 0, 0, 0, 0, 8],
  "greenbutton/cew821_sample.xml": [1, 362, 362, 0, 0, 0, 0, 14],
  "nem12/nem-reader-examples/Example_NEM12_ManyNMIs.zip": [198, 57_024, 57_024, 0, 0, 0, 0, 198],
  "nem12/nem-reader-examples/Example_different_intervals.zip": [3, 240, 240, 0, 0, 0, 0, 3],
  "field/06-sdge-preamble.csv": [1, 24, 13, 0, 0, 1, 11, 0],
  "field/16-two-channels.csv": [2, 192, 192, 0, 0, 0, 0, 2],
  "field/18-wide.csv": [1, 144, 144, 0, 0, 0, 0, 3],
};

for (const [name, right] of Object.entries(COUNTS)) {
  Deno.test({
    name: `audit counts ${name} right`,
    ignore: !hasField,
    fn: async () => {
      const answer = await auditOf(SHARED + name);
      const { duplicates: { identical, conflicting }, days, rejected } = answer;
      assert.deepEqual([
        answer.series_count,
        answer.rows,
        answer.accepted,
        identical,
        conflicting,
        answer.gaps,
        answer.missing_intervals,
        days.complete,
      ], right);
      const refused = Object.values<number>(rejected).reduce((sum, rows) => sum + rows, 0);
      assert.equal(answer.rows, answer.accepted + identical + conflicting + refused);
      assert.equal(answer.expected_intervals, answer.present_intervals + answer.missing_intervals);
    },
  });
}

Deno.test("the audit's JSON has these keys and no others", async () => {
  const answer = await auditOf(SAMPLE);
  assert.deepEqual(Object.keys(answer), [
    ...["verdict", "rows", "accepted", "series_count", "from", "to", "decided"],
    ...["interval_minutes", "expected_intervals", "present_intervals", "missing_intervals"],
    ...["gaps", "completeness_percent", "completeness_with_silence_percent", "duplicates"],
    ...["rejected", "flags", "longest_gap", "shared_gaps", "days", "clock_changes"],
    ...["interval_changes", "warnings", "series"],
  ]);
  assert.deepEqual(Object.keys(answer.series[0]), [
    ...["meter_id", "channel", "interval_minutes", "from", "to", "expected", "present", "missing"],
    ...["gaps", "completeness_percent", "duplicates", "rejected", "flags", "ended_early"],
    ...["started_late", "unjudged"],
  ]);
  assert.deepEqual(Object.keys(answer.decided), [
    ...["format", "encoding", "delimiter", "decimal", "date_order", "label", "unit", "timezone"],
    "channels",
  ]);
  for (const decision of Object.values<object>(answer.decided)) {
    assert.deepEqual(Object.keys(decision), ["value", "evidence"]);
  }
  assert.deepEqual(Object.keys(answer.longest_gap), [
    ...["meter_id", "channel", "missing_from", "missing_to", "missing_intervals"],
  ]);
  assert.match(answer.from, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});
