/** `audit` and `run` find the same gaps, gap for gap, and refuse the same readings. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { fieldCase, hasField } from "../field/play.ts";
import { inDirectory } from "../replay/fixture.ts";
import { bothWays, bothWaysOf, type Settings } from "./audit_texts.ts";

const SHARED = new URL("../../../shared/data/", import.meta.url);
const MINUTE_MS = 60_000;

const FIELD: Readonly<Record<string, Settings>> = {
  "03-edf-doubles-offgrid": {},
  "10-wrong-clock": {},
  "22-daily-row-2359": {},
  "24-invisible-ids": {},
  dst_autumn_zone: { timezone: "Europe/London" },
  drift: {},
  jit_grid_missing0: {},
  label_2400: {},
  m15_as_30_single_holes: {},
  null_tail: {},
  ten_day_hole: {},
  to15: {},
  to30_auto: {},
  two_registers: {},
  year_typo_past: {},
};

for (const [name, settings] of Object.entries(FIELD)) {
  Deno.test({
    name: `audit and run agree on the field case ${name}`,
    ignore: !hasField,
    fn: async () => {
      const { audit, run } = await bothWays([fieldCase(name)], settings);
      assert.deepEqual(audit, run);
    },
  });
}

Deno.test({
  name: "audit and run agree on histories that are sent again with other values",
  ignore: !hasField,
  fn: async () => {
    const { audit, run } = await bothWays(
      ["12-history-monday", "12-history-tuesday"].map(fieldCase),
    );
    assert.deepEqual(audit, run);
    assert.deepEqual([audit.identical, audit.conflicting], [93, 3]);
  },
});

for (
  const path of [
    "london/block_19meters_2013-05_07.csv",
    "london/raw_MAC000002_datastore_format.csv",
  ]
) {
  Deno.test({
    name: `audit and run agree on ${path}`,
    ignore: !hasField,
    fn: () =>
      inDirectory(async (directory) => {
        const { audit, run } = await bothWaysOf([new URL(path, SHARED).pathname], directory);
        // As texts: a report of two long lists would take all memory.
        assert.equal(audit.gaps.join("\n"), run.gaps.join("\n"));
        assert.deepEqual({ ...audit, gaps: 0 }, { ...run, gaps: 0 });
      }),
  });
}

/** Of every format at hand, and how many gaps of how many intervals each has. */
const FORMATS: Readonly<Record<string, readonly [gaps: number, missing: number]>> = {
  "uci/uci_wide_rebuilt_MT208_MT210_2014-03-16_04-12.txt": [0, 0],
  "ausgrid/customer12_2011-2012.csv": [0, 0],
  "greenbutton/cew821_sample.xml": [0, 0],
  "greenbutton/TestGBDataHourlyNineDaysBinnedDaily.xml": [0, 0],
  "greenbutton/TestGBDataOneYearDailyBinnedMonthly.xml": [0, 0],
  "nem12/nem-reader-examples/Example_NEM12_ManyNMIs.zip": [0, 0],
  "nem12/nem-reader-examples/Example_different_intervals.zip": [0, 0],
  "nem12/nem-reader-examples/invalid/Example_NEM12_incomplete_interval.csv": [0, 0],
  "nem12/nem-reader-examples/invalid/Example_NEM12_powercor.csv": [0, 0],
  "field/05-enedis-two-headers.csv": [0, 0],
  "field/06-sdge-preamble.csv": [1, 11],
  "field/16-two-channels.csv": [0, 0],
  "field/18-wide.csv": [0, 0],
};

for (const [name, [gaps, missing]] of Object.entries(FORMATS)) {
  Deno.test({
    name: `audit and run agree on ${name}`,
    ignore: !hasField,
    fn: () =>
      inDirectory(async (directory) => {
        const { audit, run } = await bothWaysOf([new URL(name, SHARED).pathname], directory);
        assert.equal(audit.gaps.join("\n"), run.gaps.join("\n"));
        assert.deepEqual({ ...audit, gaps: 0 }, { ...run, gaps: 0 });
        assert.equal(audit.gaps.length, gaps);
        const counts = audit.gaps.map((gap) => Number(gap.split(" ").pop()));
        assert.equal(counts.reduce((sum, count) => sum + count, 0), missing);
      }),
  });
}

/** Files with holes in forms that no real file with holes is at hand of. */
const HOLED: Readonly<Record<string, string>> = {
  "wide days, numbered": "LCLid,day,hh_0," + Array.from({ length: 47 }, (_, n) => `hh_${n + 1}`) +
    "\n" +
    Array.from(
      { length: 5 },
      (_, day) =>
        `M1,2012-10-1${day},` +
        Array.from({ length: 48 }, (_, n) => day === 2 && n < 7 ? "" : "0.1"),
    )
      .join("\n"),
  "registers in rows": "ESIID,timestamp,kwh,TYPE\n" +
    Array.from({ length: 96 }, (_, n) => {
      const time = new Date(Date.UTC(2024, 0, 1) + n * 900_000).toISOString();
      const other = n % 20 === 7 ? "" : `9,${time},0.2,Surplus\n`;
      return `${n % 30 === 11 ? "" : `9,${time},0.3,Consumption\n`}${other}`;
    }).join(""),
  "local times, labels at their end": "Horodate;Valeur\n" +
    Array.from({ length: 144 }, (_, n) => {
      const time = new Date(Date.UTC(2023, 0, 1) + n * 1_800_000).toISOString();
      return n > 60 && n < 66 ? "" : `${time.slice(0, 19)}+01:00;400\n`;
    }).join(""),
};

for (const [name, text] of Object.entries(HOLED)) {
  Deno.test(`audit and run agree on the holes of ${name}`, async () => {
    const { audit, run } = await bothWays([text]);
    assert.deepEqual(audit, run);
    assert.ok(audit.gaps.length > 0);
  });
}

/** A series as a file: steps of an interval, some left out, some off it, some sent again. */
const arbitrarySeries = fc.record({
  intervalMinutes: fc.constantFrom(5, 15, 30, 60, 1440),
  offsetMs: fc.constantFrom(0, 0, 7 * MINUTE_MS, 61_000),
  driftMs: fc.constantFrom(0, 0, 0, 10_000, -3_000),
  steps: fc.array(
    fc.record({
      gap: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 500 })),
      jitter: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.integer({ min: -7, max: 7 })),
      again: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2),
      kwh: fc.constantFrom("0.5", "0.7", "Null", "-1"),
    }),
    { minLength: 1, maxLength: 150 },
  ),
  change: fc.option(fc.constantFrom(15, 30, 60)),
});

type Series = typeof arbitrarySeries extends fc.Arbitrary<infer S> ? S : never;

function rowsOf(id: string, series: Series): string[] {
  const { offsetMs, driftMs, steps, change } = series;
  const rows: string[] = [];
  let { intervalMinutes } = series;
  let atMs = Date.parse("2013-01-01T00:00:00Z") + offsetMs;
  steps.forEach(({ gap, jitter, again, kwh }, n) => {
    if (change !== null && n === steps.length >> 1) intervalMinutes = change;
    atMs += intervalMinutes * MINUTE_MS * (gap + 1) + driftMs;
    const wobbleMs = Math.trunc(jitter * intervalMinutes * MINUTE_MS / 30);
    const time = new Date(atMs + wobbleMs).toISOString();
    rows.push(`${id},${time},${kwh}`);
    if (again > 0) rows.push(`${id},${time},${again === 1 ? kwh : "0.9"}`);
  });
  return rows;
}

Deno.test("audit and run agree on series of any kind, in any order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitrarySeries, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (all, isShuffled) => {
        const rows = all.flatMap((series, s) => rowsOf(`M${s}`, series));
        const shuffled = isShuffled
          ? rows.map((row, r) => [(r * 7919) % 10_007, r, row] as const)
            .sort(([a, x], [b, y]) => a - b || x - y).map(([, , row]) => row)
          : rows;
        const text = `meter_id,timestamp,consumption_kwh\n${shuffled.join("\n")}\n`;
        // No gap may be so long that the run forgets the series.
        const { audit, run } = await bothWays([text], { forget_after_days: "3650" });
        fc.pre(run.tooLate === 0);
        assert.deepEqual(audit, run);
      },
    ),
    { numRuns: 150 },
  );
});
