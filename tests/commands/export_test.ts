/** Exports of a store as NEM12, read back by our own reader and by nemreader (PyPI), where it is. */
import assert from "node:assert/strict";
import { run } from "../integration/program.ts";
import { lackOfPackage, NEMREADER, PYTHON, pythonPackage } from "../integration/python_package.ts";
import { gridwatch, inFolder } from "./command_line.ts";

const SLOT_MS = 1_800_000;
const START_MS = Date.UTC(2024, 0, 1);
const SLOTS = 30 * 48;
/** Missing for two hours on the last day but one: estimated. */
const HOLE = [SLOTS - 60, SLOTS - 56] as const;

const at = (slot: number) => new Date(START_MS + slot * SLOT_MS).toISOString().replace(".000", "");
const kwhOf = (slot: number) => ((slot * 7) % 48 + 3) / 100;

/** A store of a meter with a gap that is estimated; the export of it, and what is in that. */
async function exportStore(folder: string) {
  const data = ["--data", `${folder}/store`];
  const rows = Array.from({ length: SLOTS }, (_, slot) => slot)
    .filter((slot) => slot < HOLE[0] || slot >= HOLE[1])
    .map((slot) => `NMI0000001,${at(slot)},${kwhOf(slot)}\n`);
  await Deno.writeTextFile(
    `${folder}/a.csv`,
    `meter_id,timestamp,consumption_kwh\n${rows.join("")}`,
  );
  const now = ["--now", "2025-01-01T00:00:00Z", "--exit"];
  const played = await gridwatch("run", `${folder}/a.csv`, ...now, ...data);
  assert.equal(played.code, 0, played.stderr);
  assert.equal((await gridwatch("estimate", ...data)).code, 0);
  const path = `${folder}/out.nem12.csv`;
  const format = ["--format", "nem12", "--with-estimates"];
  const exported = await gridwatch("export", path, ...format, ...data);
  assert.equal(exported.code, 0, exported.stderr);
  assert.match(exported.stderr, /1,436 readings measured, 4 estimated/);
  const csv = await gridwatch("export", "-", "--with-estimates", ...data);
  const wanted = csv.stdout.trim().split("\n").slice(1).map((line) => {
    const [, , time, kwh, kind] = line.split(",");
    return { time, kwh: Number(kwh), kind };
  });
  assert.equal(wanted.length, SLOTS);
  return { path, wanted };
}

Deno.test("export --format nem12 is read back by our own reader, reading for reading", async () => {
  await inFolder(async (folder) => {
    const { path, wanted } = await exportStore(folder);
    const lines = (await Deno.readTextFile(path)).trim().split("\n");
    assert.match(lines[0], /^100,NEM12,\d{12},GRIDWATCH,GRIDWATCH$/);
    assert.equal(lines.at(-1), "900");
    // The readings begin at 10:00 of the market's first day: what is before is null.
    assert.match(lines[2], /^300,20240101,(0,){20}0\.03,/);
    assert.ok(lines.includes("400,1,20,N,,"));
    assert.equal(lines.filter((line) => line.endsWith(",S18,0,estimated")).length, 1);
    const back = ["--data", `${folder}/back`];
    const read = await gridwatch("run", path, "--exit", "--now", "2025-01-01T00:00:00Z", ...back);
    assert.equal(read.code, 0, read.stderr);
    const sql = "SELECT meter_id, time, consumption_kwh FROM validated_readings ORDER BY time";
    const { stdout } = await gridwatch("query", sql, "--csv", ...back);
    const found = new Map(
      stdout.trim().split("\n").slice(1).map((line) => line.split(",")).map((
        [meter, time, kwh],
      ) => [time, `${meter} ${Number(kwh)}`]),
    );
    for (const { time, kwh } of wanted) assert.equal(found.get(time), `NMI0000001 ${kwh}`, time);
  });
});

Deno.test({
  name: "export --format nem12 is read back by nemreader, with its qualities (nemreader)",
  ignore: await lackOfPackage(NEMREADER) !== null,
  async fn() {
    await inFolder(async (folder) => {
      const { path, wanted } = await exportStore(folder);
      const script = [
        "import json, sys",
        "from nemreader import read_nem_file",
        "found = read_nem_file(sys.argv[1])",
        "print(json.dumps([[r.t_start.isoformat(), r.read_value, r.quality_method] for r in",
        "  found.readings['NMI0000001']['E1']]))",
      ].join("\n");
      const env = { PYTHONPATH: await pythonPackage(NEMREADER) };
      const { success, stdout, stderr } = await run(PYTHON, ["-c", script, path], { env });
      assert.ok(success, stderr);
      const rows: [string, number, string][] = JSON.parse(stdout);
      const found = new Map(rows.map(([start, kwh, quality]) => [
        new Date(Date.parse(`${start}+10:00`)).toISOString().replace(".000", ""),
        { kwh, quality },
      ]));
      for (const { time, kwh, kind } of wanted) {
        const quality = kind === "estimated" ? "S18" : "A";
        assert.deepEqual(found.get(time), { kwh, quality }, time);
      }
    });
  },
});

Deno.test("export --format nem12 refuses an interval that the format does not know", async () => {
  await inFolder(async (folder) => {
    const data = ["--data", `${folder}/store`];
    const rows = Array.from({ length: 100 }, (_, hour) => `M1,${at(hour * 2)},1\n`);
    await Deno.writeTextFile(
      `${folder}/a.csv`,
      `meter_id,timestamp,consumption_kwh\n${rows.join("")}`,
    );
    await gridwatch("run", `${folder}/a.csv`, "--exit", ...data);
    const { code, stderr } = await gridwatch("export", `${folder}/b`, "--format", "nem12", ...data);
    assert.equal(code, 1);
    assert.match(stderr, /^error: .*the interval of M1 is 60 minutes, .*5, 15, 30\nhint: /m);
    await assert.rejects(Deno.stat(`${folder}/b`), Deno.errors.NotFound);
  });
});
