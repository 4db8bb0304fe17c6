/** The registry: imported once, by versions, kept in the log, and used where outages are shared. */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

const SLOT_MS = 1_800_000;
const START_MS = Date.UTC(2024, 0, 1);
const METERS = 60;

/** Two transformers of 30; half of one fails in slot 100, and all of both in slot 200. */
function csvOf(): string {
  const lines = ["meter_id,timestamp,consumption_kwh"];
  for (let slot = 0; slot < 48 * 7; slot++) {
    const time = new Date(START_MS + slot * SLOT_MS).toISOString();
    for (let meter = 0; meter < METERS; meter++) {
      const isOut = (slot === 100 && meter < 15) || (slot === 200 && meter % 30 < 25);
      if (!isOut) lines.push(`M${meter},${time},0.${1 + slot % 7}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const HEADER = "meter_id,group,interval_minutes,active_from,max_kw";

function registryOf(group: (meter: number) => string): string {
  const rows = Array.from(
    { length: METERS },
    (_, m) => `M${m},${group(m)},30,2024-01-01,${10 + m}`,
  );
  return `${[HEADER, ...rows].join("\n")}\n`;
}

async function passes(...args: string[]) {
  const run = await gridwatch(...args);
  assert.equal(run.code, 0, run.stderr);
  return run;
}

Deno.test("meters import registers groups, and outages are told of by group and of the whole fleet", async () => {
  await inFolder(async (folder) => {
    const [registry, csv] = [`${folder}/meters.csv`, `${folder}/fleet.csv`];
    await Deno.writeTextFile(registry, registryOf((m) => m < 30 ? "T1" : "T2"));
    await Deno.writeTextFile(csv, csvOf());
    const answers: string[] = [];
    for (const partitions of ["1", "3"]) {
      const store = ["--data", `${folder}/store${partitions}`];
      const first = await passes("meters", "import", registry, "--json", ...store);
      assert.deepEqual(JSON.parse(first.stdout), { changed: METERS, unchanged: 0, version: 1 });
      const again = await passes("meters", "import", registry, "--json", ...store);
      assert.deepEqual(JSON.parse(again.stdout), { changed: 0, unchanged: METERS, version: null });
      await passes("run", csv, "--exit", "--quiet", "--partitions", partitions, ...store);
      await passes("verify", ...store);
      const sql =
        'SELECT incident_id, "to", state, meters, expected, needed, part_of FROM incidents ' +
        "ORDER BY slot_ms, incident_id";
      answers.push((await passes("query", sql, "--csv", ...store)).stdout);
    }
    assert.equal(answers[1], answers[0]);
    assert.deepEqual(
      answers[0].trim().split("\n").slice(1),
      [
        "T1@2024-01-03T02:00:00Z,2024-01-03T02:30:00Z,CLOSED,15,30,3,",
        ...["T1", "T2"].map((group) =>
          `${group}@2024-01-05T04:00:00Z,2024-01-05T04:30:00Z,CLOSED,25,30,3,` +
          "fleet@2024-01-05T04:00:00Z"
        ),
        "fleet@2024-01-05T04:00:00Z,2024-01-05T04:30:00Z,CLOSED,50,60,30,",
      ].sort((a, b) => a.split("@")[1] < b.split("@")[1] ? -1 : 0),
    );
  });
});

Deno.test("meters list gives what import takes, and a changed row is a new version from then on", async () => {
  await inFolder(async (folder) => {
    const store = ["--data", `${folder}/store`];
    const file = `${folder}/meters.csv`;
    await Deno.writeTextFile(
      file,
      '\uFEFFMeter_ID,group,direction,max_kw,timezone,active_to\nA,"T ""1"", north",import,48,' +
        "Europe/London,2030-01-01\nB,,,,,\n",
    );
    await passes("meters", "import", file, ...store);
    const { stdout } = await passes("meters", "list", "--csv", ...store);
    await Deno.writeTextFile(`${folder}/listed.csv`, stdout);
    const listed = await passes("meters", "import", `${folder}/listed.csv`, "--json", ...store);
    assert.deepEqual(JSON.parse(listed.stdout), { changed: 0, unchanged: 2, version: null });
    await Deno.writeTextFile(file, "meter_id,group\nA,T2\nB,\n");
    const changed = await passes("meters", "import", file, "--json", ...store);
    assert.deepEqual(JSON.parse(changed.stdout), { changed: 1, unchanged: 1, version: 2 });
    const rows = JSON.parse((await passes("meters", "list", "--json", ...store)).stdout);
    assert.deepEqual(
      rows.map(({ meter_id, group, max_kw, version }: Record<string, unknown>) => [
        ...[meter_id, group, max_kw, version],
      ]),
      [["A", "T2", null, 2], ["B", null, null, 1]],
    );
    const history = "SELECT version, group_id FROM meters WHERE meter_id = 'A' ORDER BY version";
    assert.deepEqual(JSON.parse((await passes("query", history, "--json", ...store)).stdout), [
      { version: 1, group_id: 'T "1", north' },
      { version: 2, group_id: "T2" },
    ]);
  });
});

Deno.test("meters import refuses a file with the line that cannot be used, and takes nothing of it", async () => {
  await inFolder(async (folder) => {
    const store = ["--data", `${folder}/store`];
    const file = `${folder}/meters.csv`;
    for (
      const [text, where] of [
        ["group\nT1\n", /:1: there is no column meter_id/],
        ["meter_id,colour\nA,red\n", /:1: there is no column "colour"/],
        ["meter_id,max_kw\nA,1\nB,-1\n", /:3: max_kw is -1/],
        ["meter_id,direction\nA,up\n", /:2: direction is up/],
        ["meter_id,timezone\nA,Mars\/Olympus\n", /:2: timezone is Mars/],
        ["meter_id,active_from\nA,soon\n", /:2: active_from is soon/],
        ["meter_id\nA\n\nA\n", /:4: A has another row/],
      ] as const
    ) {
      await Deno.writeTextFile(file, text);
      const { code, stderr } = await gridwatch("meters", "import", file, ...store);
      assert.equal(code, 1, stderr);
      assert.match(stderr, where);
    }
    assert.equal((await gridwatch("meters", "export", ...store)).code, 2);
    assert.equal((await gridwatch("meters", ...store)).code, 2);
  });
});
