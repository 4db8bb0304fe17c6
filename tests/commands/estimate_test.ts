/** Estimates and exports of a store, by the commands. */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

const SLOT_MS = 1_800_000;
const START_MS = Date.UTC(2024, 0, 1);
const DAY_SLOTS = 48;

/** Readings of one meter from a day on: 0.1 kWh in the mornings, 0.4 afterwards. */
function csv(slots: Iterable<number>): string {
  const rows = [...slots].map((slot) => {
    const at = new Date(START_MS + slot * SLOT_MS).toISOString().replace(".000", "");
    return `M1,${at},${slot % DAY_SLOTS < 24 ? 0.1 : 0.4}\n`;
  });
  return `meter_id,timestamp,consumption_kwh\n${rows.join("")}`;
}

function* range(from: number, to: number, missing: readonly number[] = []): Generator<number> {
  for (let slot = from; slot < to; slot++) if (!missing.includes(slot)) yield slot;
}

const at = (slot: number) => new Date(START_MS + slot * SLOT_MS).toISOString().replace(".000", "");

Deno.test("estimate fills gaps beside the readings, says why not, and withdraws what was read since", async () => {
  await inFolder(async (folder) => {
    const data = ["--data", `${folder}/store`];
    const long = 15 * DAY_SLOTS;
    // A slot on the first day, a long gap, four hours on day 40, an hour at noon of day 41.
    const hours = [...range(40 * DAY_SLOTS + 20, 40 * DAY_SLOTS + 28)];
    const noon = [41 * DAY_SLOTS + 23, 41 * DAY_SLOTS + 24];
    const missing = [5, ...range(12 * DAY_SLOTS, 12 * DAY_SLOTS + long), ...hours, ...noon];
    await Deno.writeTextFile(`${folder}/c.yaml`, "allowed_lateness_seconds: 86400\n");
    const settings = ["--now", "2025-01-01T00:00:00Z", "--exit", "--config", `${folder}/c.yaml`];
    await Deno.writeTextFile(`${folder}/a.csv`, csv(range(0, 42 * DAY_SLOTS, missing)));
    const run = await gridwatch("run", `${folder}/a.csv`, ...settings, ...data);
    assert.equal(run.code, 0, run.stderr);

    const made = await gridwatch("estimate", "--json", ...data);
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(JSON.parse(made.stdout), {
      gaps: 4,
      estimated: 11,
      by_method: { LINEAR: 3, PROFILE: 8 },
      refused: 1,
      by_reason: { TOO_LONG: 1 },
      withdrawn: 0,
    });
    const again = await gridwatch("estimate", ...data);
    assert.match(again.stderr, /^4 gaps: 11 readings estimated \(3 LINEAR, 8 PROFILE\); 1 gaps /m);

    const select = async (sql: string) => {
      const { code, stdout, stderr } = await gridwatch("query", sql, "--csv", ...data);
      assert.equal(code, 0, stderr);
      return stdout.trim().split("\n").slice(1);
    };
    const estimates = "SELECT time, consumption_kwh, method, code FROM estimated_readings " +
      "WHERE withdrawn = 0 ORDER BY time";
    assert.deepEqual(await select(estimates), [
      `${at(5)},0.1,LINEAR,3.8.0`,
      ...hours.map((slot) => `${at(slot)},${slot % DAY_SLOTS < 24 ? 0.1 : 0.4},PROFILE,3.8.0`),
      `${at(noon[0])},0.2,LINEAR,3.8.0`,
      `${at(noon[1])},0.3,LINEAR,3.8.0`,
    ]);
    assert.deepEqual(
      await select('SELECT gap_id, "from", "to", reason FROM estimate_refusals'),
      [`M1@${at(576)},${at(576)},${at(576 + long)},TOO_LONG`],
    );

    const written = `${folder}/out.csv`;
    const exported = await gridwatch("export", written, "--with-estimates", ...data);
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(exported.stderr, /out\.csv: 1,285 readings measured, 11 estimated/);
    const [header, ...lines] = (await Deno.readTextFile(written)).trim().split("\n");
    assert.equal(header, "meter_id,channel,timestamp,consumption_kwh,kind,code,method,flags");
    assert.equal(lines[5], `M1,,${at(5)},0.1,estimated,3.8.0,LINEAR,`);
    // Every morning and every afternoon has one value: stuck, as far as it is complete.
    assert.equal(lines[6], `M1,,${at(6)},0.1,measured,3.6.1001,,STUCK`);
    assert.equal(lines[1], `M1,,${at(1)},0.1,measured,3.0.1,,`);
    assert.equal(lines.length, 1285 + 11);
    const part = await gridwatch(
      ...["export", "-", "--from", "2024-01-02", "--to", "2024-01-03", "--meter", "M1", ...data],
    );
    assert.equal(part.stdout.trim().split("\n").length, 1 + DAY_SLOTS);
    assert.equal((await gridwatch("export", written, ...data)).code, 1);

    // One of the last two readings comes after all: its estimate is withdrawn, the other's stays.
    await Deno.writeTextFile(`${folder}/b.csv`, csv(noon.slice(0, 1)));
    const more = await gridwatch("run", `${folder}/b.csv`, ...settings, ...data);
    assert.equal(more.code, 0, more.stderr);
    const { stdout } = await gridwatch("estimate", "--json", ...data);
    const { estimated, withdrawn } = JSON.parse(stdout);
    assert.deepEqual({ estimated, withdrawn }, { estimated: 10, withdrawn: 1 });
    assert.deepEqual(
      await select("SELECT time, consumption_kwh FROM estimated_readings WHERE withdrawn = 1"),
      [`${at(noon[0])},0.2`],
    );
  });
});
