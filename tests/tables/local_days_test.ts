import assert from "node:assert/strict";
import { openReader } from "../../src/adapters/sqlite/store.ts";
import { buildZone, UTC_ZONE } from "../../src/core/zone.ts";
import { zoneRows } from "../../src/tables/local_days.ts";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { TestPostgres } from "../pglite.ts";

const MINUTE_MS = 60_000;
/** In London clocks are put forward on 31 March 2024 and back on 27 October, at 01:00 UTC. */
const SPANS = [
  { from: Date.UTC(2024, 2, 30), to: Date.UTC(2024, 3, 1, 23) },
  { from: Date.UTC(2024, 9, 25, 23), to: Date.UTC(2024, 9, 29) },
];
const MISSING = ["2024-03-31T11:30:00Z", "2024-10-27T00:30:00Z", "2024-10-27T23:30:00Z"];

/** Half an hour each, of a meter a span, but for those that are missing. */
function readings(): string {
  const lines = ["meter_id,timestamp,consumption_kwh"];
  for (const [n, { from, to }] of SPANS.entries()) {
    for (let ms = from; ms < to; ms += 30 * MINUTE_MS) {
      const time = new Date(ms).toISOString().replace(".000Z", "Z");
      if (!MISSING.includes(time)) lines.push(`M${n},${time},0.5`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const DAYS = `SELECT meter_id, local_day, readings, missing_intervals, expected_intervals,
  completeness_percent, consumption_kwh FROM completeness_local_daily ORDER BY 1, 2`;

/** The middle of each span: what comes before and after is no whole day. */
const EXPECTED = [
  ...["M0 2024-03-30 48 0 48 100 24", "M0 2024-03-31 45 1 46 97.83 22.5"],
  ...["M0 2024-04-01 48 0 48 100 24", "M1 2024-10-26 48 0 48 100 24"],
  ...["M1 2024-10-27 48 2 50 96 24", "M1 2024-10-28 48 0 48 100 24"],
];

Deno.test("completeness_local_daily has days of 23 and 25 hours, on both databases", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/x.csv`, readings());
    await Deno.writeTextFile(`${folder}/london.yaml`, "timezone: Europe/London\n");
    const { code, stderr } = await gridwatch(
      ...["run", `${folder}/x.csv`, "--exit", "--quiet", "--scope", "meter"],
      ...["--data", `${folder}/store`, "--config", `${folder}/london.yaml`],
    );
    assert.equal(code, 0, stderr);
    const reader = await openReader(`${folder}/store`);
    const postgres = await TestPostgres.open();
    try {
      await postgres.copyFrom(reader);
      for (const { starts_at, offset_seconds, zone } of zoneRows(buildZone("Europe/London"))) {
        const values = [starts_at, offset_seconds, zone];
        await postgres.query("INSERT INTO zone_offsets VALUES ($1, $2, $3)", values);
      }
      for (const tables of [reader, postgres]) {
        const { rows } = await tables.query(DAYS);
        const lines = rows.map((row) =>
          Object.values(row).map((value) =>
            typeof value === "string" && !/^[\d.]+$/.test(value)
              ? value
              : Math.round(Number(value) * 100) / 100
          ).join(" ")
        );
        assert.deepEqual(EXPECTED.filter((day) => !lines.includes(day)), [], lines.join("\n"));
      }
      await postgres.query("DELETE FROM zone_offsets");
      const { rows } = await postgres.query(`${DAYS} LIMIT 1`);
      assert.deepEqual([rows[0].local_day, Number(rows[0].readings)], ["2024-03-30", 48]);
    } finally {
      await postgres.close();
      await reader.close();
    }
  });
});

Deno.test("zoneRows() begin before all data, and follow each other", () => {
  assert.deepEqual(zoneRows(UTC_ZONE), [
    { starts_at: "0001-01-01T00:00:00Z", offset_seconds: 0, zone: "UTC" },
  ]);
  const london = zoneRows(buildZone("Europe/London"));
  assert.equal(london[0].offset_seconds, 3600, "British Standard Time in 1970");
  const spring = london.find(({ starts_at }) => starts_at === "2024-03-31T01:00:00Z");
  assert.equal(spring?.offset_seconds, 3600);
  const times = london.map(({ starts_at }) => starts_at);
  assert.deepEqual(times, [...times].sort());
});
