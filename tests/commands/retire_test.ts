/** gridwatch retire, over a store that a run has made. */
import assert from "node:assert/strict";
import { gridwatch, inFolder } from "./command_line.ts";

/** Half hours of a meter from 2024 on. */
function rowsOf(meterId: string, days: number): string[] {
  return Array.from({ length: days * 48 }, (_, slot) => {
    const at = new Date(Date.UTC(2024, 0, 1) + slot * 1_800_000).toISOString();
    return `${meterId},${at},0.5`;
  });
}

async function withStore(
  work: (store: string[], folder: string) => Promise<void>,
  ...options: string[]
): Promise<void> {
  await inFolder(async (folder) => {
    const rows = [...rowsOf("ALIVE", 20), ...rowsOf("DEAD", 5), ...rowsOf("GONE", 3)];
    await Deno.writeTextFile(
      `${folder}/fleet.csv`,
      `meter_id,timestamp,consumption_kwh\n${rows.join("\n")}\n`,
    );
    const store = ["--data", `${folder}/store`];
    const run = ["run", `${folder}/fleet.csv`, ...store, ...options, "--exit", "--quiet"];
    assert.equal((await gridwatch(...run)).code, 0);
    await work(store, folder);
  });
}

async function rows(sql: string, store: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await gridwatch("query", sql, "--json", ...store);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

const STATUS = "SELECT meter_id, status, missing_intervals FROM meter_status ORDER BY 1";
const TEN_DAYS = 480;

for (const options of [[], ["--partitions", "3"], ["--scope", "meter"]]) {
  Deno.test(`retire ends a silence at the length it has: run ${options.join(" ")}`, async () => {
    await withStore(async (store) => {
      const before = await rows(STATUS, store);
      const dead = { meter_id: "DEAD", missing_intervals: TEN_DAYS + 48 * 5 };
      const gone = { meter_id: "GONE", missing_intervals: TEN_DAYS + 48 * 7 };
      const alive = { meter_id: "ALIVE", status: "healthy", missing_intervals: 0 };
      assert.deepEqual(before, [
        alive,
        { ...dead, status: "silent" },
        { ...gone, status: "silent" },
      ]);
      const { code, stderr, stdout } = await gridwatch("retire", " DEAD", "--json", ...store);
      assert.equal(code, 0, stderr);
      assert.equal(stderr, "DEAD is retired\n");
      assert.deepEqual(JSON.parse(stdout), { retired: ["DEAD"], already: [], unknown: [] });
      assert.deepEqual(await rows(STATUS, store), [
        alive,
        { ...dead, status: "retired" },
        { ...gone, status: "silent" },
      ]);
      const silent = await rows("SELECT meter_id FROM silences", store);
      assert.deepEqual(silent, [{ meter_id: "GONE" }]);
      assert.equal((await gridwatch("verify", ...store)).code, 0);
    }, ...options);
  });
}

Deno.test("retire says the same twice without a second record, and tells of meters unknown", async () => {
  await withStore(async (store, folder) => {
    assert.equal((await gridwatch("retire", "DEAD", ...store)).code, 0);
    const ledger = await rows("SELECT * FROM ledger", store);
    const again = await gridwatch("retire", "DEAD", "dead", ...store);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^DEAD was retired before\nerror: Cannot retire dead: no reading/);
    assert.match(again.stderr, /\nhint: /);
    assert.deepEqual(await rows("SELECT * FROM ledger", store), ledger);
    // Its file is in the store still, and a newer one begins a history.
    const run = ["run", "--exit", ...store];
    const same = await gridwatch(...run, `${folder}/fleet.csv`);
    assert.match(same.stderr, /is in .* already: nothing to play/);
    const back = Array.from({ length: 8 }, (_, hour) => `DEAD,2024-02-01T0${hour}:00:00Z,1`);
    await Deno.writeTextFile(
      `${folder}/back.csv`,
      `meter_id,timestamp,consumption_kwh\n${back.join("\n")}\n`,
    );
    assert.equal((await gridwatch(...run, `${folder}/back.csv`, "--quiet")).code, 0);
    const found = await rows(`${STATUS.split(" ORDER")[0]} WHERE meter_id = 'DEAD'`, store);
    assert.deepEqual(found, [
      { meter_id: "DEAD", status: "healthy", missing_intervals: TEN_DAYS + 48 * 5 },
    ]);
    assert.equal((await gridwatch("verify", ...store)).code, 0);
  });
});

Deno.test("retire refuses what it cannot do, and makes no store", async () => {
  await inFolder(async (folder) => {
    for (
      const [args, code, text] of [
        [[], 2, /Cannot retire: no meter named/],
        [["a\u0007b"], 2, /it is no meter's id/],
        [["A", "--kafka", "--data", "x"], 2, /Cannot retire with both --data and --kafka/],
        [["A", "--data", `${folder}/none`], 1, /there is no store/],
      ] as const
    ) {
      const ended = await gridwatch("retire", ...args);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, text);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  });
});
