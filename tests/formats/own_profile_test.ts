import assert from "node:assert/strict";
import { gridwatch, inFolder } from "../commands/command_line.ts";
import { ownProfile, ProfileError } from "../../src/formats/own_profile.ts";

const PROFILE = `about: the portal of a town
header: [Zähler, "/^Datum/", Uhrzeit, Register]
meter: Zähler
time: /^Datum/
clock: Uhrzeit
value: /^Leistung/
channel: Register
channels:
  import: "1.8.0"
  export: /^2\\.8/
unit: kW
date_order: dmy
label: end
minutes: 15
decimal: comma
timezone: Europe/Berlin
`;

const two = (n: number) => String(n).padStart(2, "0");
const ROWS = Array.from({ length: 95 }, (_, i) => {
  const at = 15 * (i + 1);
  const time = `01.02.2024;${two(Math.floor(at / 60))}:${two(at % 60)}`;
  return `7;${time};1.8.0;2,0\n7;${time};2.8.9;0,4\n`;
}).join("");
const TABLE = `Portal;;;;\nZähler;Datum;Uhrzeit;Register;Leistung (kW)\n${ROWS}`;

Deno.test("--format FILE.yaml reads by a profile of one's own, in audit, run and formats", async () => {
  await inFolder(async (folder) => {
    const [profile, file] = [`${folder}/town.yaml`, `${folder}/a.csv`];
    await Deno.writeTextFile(profile, PROFILE);
    await Deno.writeTextFile(file, TABLE);
    const { code, stdout, stderr } = await gridwatch("audit", file, "--format", profile, "--json");
    assert.equal(code, 0, stderr);
    const { decided, series, from, accepted } = JSON.parse(stdout);
    assert.deepEqual(
      [decided.format.value, decided.unit.value, decided.label.value, decided.timezone.value],
      ["town", "kW", "end", "Europe/Berlin"],
    );
    assert.equal(from, "2024-01-31T23:00:00Z");
    assert.deepEqual(
      series.map(({ meter_id, channel, present }: Record<string, unknown>) => [
        meter_id,
        channel,
        present,
      ]),
      [["7", "import", 95], ["7", "export", 95]],
    );
    const store = `${folder}/s`;
    const run = await gridwatch(
      ...["run", file, "--format", profile, "--exit", "--json", "--data", store],
    );
    assert.equal(JSON.parse(run.stdout).ledger.ok, accepted);
    const kwh = await gridwatch(
      ...["query", "SELECT min(consumption_kwh) kwh FROM validated_readings", "--data", store],
      "--json",
    );
    assert.match(kwh.stdout, /0\.1\b/);
    const formats = await gridwatch("formats", file, "--format", profile);
    assert.match(formats.stdout, /format +town/);
    // What does not fit is not read by anything else.
    await Deno.writeTextFile(file, "meter_id,timestamp,consumption_kwh\nA,2024-01-01,1\n");
    const other = await gridwatch("audit", file, "--format", profile);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /^error: Cannot read ".*a\.csv" as town: no line of it names/);
  });
});

Deno.test("ownProfile() says which key is wrong, and what it must be", () => {
  const good = { time: "Time", value: "kWh" };
  assert.equal(ownProfile(good, "mine").name, "mine");
  const table: [unknown, RegExp][] = [
    [[], /must be keys and values/],
    [{ value: "kWh" }, /^time: must name the column of times/],
    [{ ...good, colour: 1 }, /^colour: there is no such key; there are name, /],
    [{ ...good, unit: "kVA" }, /^unit: must be one of kWh, /],
    [{ ...good, minutes: -5 }, /^minutes: /],
    [{ ...good, meter: "/(/" }, /^meter: \/\(\/ is no pattern/],
    [{ ...good, channels: "x" }, /^channels: /],
    [{ ...good, time: ["a"] }, /^time: must be a column's name/],
  ];
  for (const [said, message] of table) {
    assert.throws(() => ownProfile(said, "mine"), (error) => {
      assert.ok(error instanceof ProfileError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("A profile that is wrong, or no YAML, is a usage error that names it", async () => {
  await inFolder(async (folder) => {
    for (const [text, message] of [["time: [", /town\.yaml/], ["time: Time", /value: must name/]]) {
      await Deno.writeTextFile(`${folder}/town.yaml`, text as string);
      const { code, stderr } = await gridwatch("audit", "x.csv", "--format", `${folder}/town.yaml`);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message as RegExp);
    }
  });
});

Deno.test("--format forces a format that no profile describes, or says that it does not fit", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/a.csv`;
    const days = Array(48).fill("1").join(",");
    await Deno.writeTextFile(file, `200,N1,E1,E1,E1,N1,M,kWh,30,\n300,20240102,${days},A,,,,\n`);
    const { code, stdout } = await gridwatch("audit", file, "--format", "nem12", "--json");
    assert.deepEqual([code, JSON.parse(stdout).accepted], [0, 48]);
    const other = await gridwatch("audit", file, "--format", "wide-day");
    assert.equal(other.code, 1);
    assert.match(other.stderr, /Cannot read ".*a\.csv": this is NEM12|as wide-day: no line/);
  });
});
