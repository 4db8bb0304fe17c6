/** What the doctor says of an embedded store: whole, damaged, cut off, full of free pages, or none. */
import assert from "node:assert/strict";
import { type CheckResult, runChecks } from "../../../src/commands/doctor/checks.ts";
import { storeChecks, type StorePorts } from "../../../src/commands/doctor/store.ts";
import { openReader, readStanding, STORE_FILE } from "../../../src/adapters/sqlite/store.ts";
import { openFile } from "../../../src/adapters/sqlite/library.ts";
import { directoryHolder, lockDirectory } from "../../../src/adapters/deno/directory_lock.ts";
import { freeBytes } from "../../../src/adapters/deno/disk.ts";
import { playFleet, SessionStore } from "../../adapters/sqlite/fleet.ts";
import { gridwatch, inFolder } from "../command_line.ts";

async function look(
  directory: string,
  ports: Partial<StorePorts> = {},
): Promise<Record<string, CheckResult>> {
  const { chain, close } = storeChecks({
    directory,
    retentionDays: 0,
    open: (directory) => openReader(directory),
    standing: readStanding,
    holder: directoryHolder,
    freeBytes: () => Promise.resolve(1e12),
    ...ports,
  });
  const results = await runChecks([chain]);
  await close();
  return Object.fromEntries(results.map((result) => [result.check, result]));
}

const statesOf = (results: Record<string, CheckResult>) =>
  Object.fromEntries(Object.entries(results).map(([check, { state }]) => [check, state]));

const WELL = {
  store: "ok",
  "store pages": "ok",
  "store end": "ok",
  "store ledger": "ok",
  "store room": "ok",
  "store retention": "ok",
};

/** A store of the fleet's log. */
async function writeStore(directory: string, { retentionDays = 0 } = {}): Promise<string> {
  const path = `${directory}/${STORE_FILE}`;
  const store = new SessionStore(path, { retentionDays });
  await playFleet(store);
  store.session.close();
  return path;
}

function alter(path: string, sql: string): void {
  const database = openFile(path, { readOnly: false, busyMs: 0 });
  database.exec(sql);
  database.close();
}

Deno.test("doctor of a whole store says whose it is, how it was left, its room and its retention", async () => {
  await inFolder(async (folder) => {
    await writeStore(folder, { retentionDays: 3 });
    const results = await look(folder, { retentionDays: 2 });
    assert.deepEqual(statesOf(results), WELL);
    assert.match(results.store.found, /ours, 00\d_\w+, [\d.]+ [kM]B, [0-9a-f-]{36}$/);
    assert.equal(results["store end"].found, "it was closed");
    assert.match(results["store room"].found, /^1.0 TB free on its disk, [\d.]+ \w+ of .* free in/);
    const retention = results["store retention"].found;
    assert.match(retention, /^2 days are kept; dropped: .* readings, .*; 1 day more with the next/);
    const kept = await look(folder);
    assert.match(kept["store retention"].found, /^retention_days is 0: all is kept; dropped: /);
  });
});

Deno.test("doctor of a store that is written says by whom, and of one cut off what comes next", async () => {
  await inFolder(async (folder) => {
    const path = await writeStore(folder);
    const lock = await lockDirectory(folder);
    const writing = await look(folder);
    lock.release();
    assert.equal(writing["store end"].found, `process ${Deno.pid} writes it`);
    alter(path, "UPDATE store SET boot = 'another'");
    const end = (end: "open" | "cut off") => ({
      standing: () => Promise.resolve({ id: "i", end }),
    });
    for (const [as, said] of [["open", /was killed/], ["cut off", /machine stopped/]] as const) {
      const results = await look(folder, end(as));
      assert.equal(results["store end"].state, "warning");
      assert.match(results["store end"].found, said);
    }
  });
});

Deno.test("doctor fails a store that is damaged, does not balance, or is none of ours", async (t) => {
  await inFolder(async (folder) => {
    const path = await writeStore(folder);
    const whole = await Deno.readFile(path);
    const steps: Record<string, readonly [sql: string, check: string]> = {
      "a ledger altered": ["UPDATE ledger SET ok = ok + 1, raw = raw + 1", "store ledger"],
      "a digest altered": [
        "UPDATE digests SET rows = rows + 1 WHERE table_name = 'late_events'",
        "store ledger",
      ],
      "a sum gone": [
        "DELETE FROM meter_totals WHERE meter_id = (SELECT max(meter_id) FROM meter_totals)",
        "store ledger",
      ],
    };
    for (const [what, [sql, check]] of Object.entries(steps)) {
      await t.step(what, async () => {
        await Deno.writeFile(path, whole);
        alter(path, sql);
        const results = await look(folder);
        assert.deepEqual(statesOf(results), { ...WELL, [check]: "failed" });
        assert.match(results[check].fix ?? "", /gridwatch verify/);
      });
    }
    await t.step("pages zeroed", async () => {
      const damaged = whole.slice();
      damaged.fill(0, whole.length - 5 * 8192, whole.length - 8192);
      await Deno.writeFile(path, damaged);
      assert.equal((await look(folder))["store pages"].state, "failed");
    });
    await t.step("no store of ours", async () => {
      await Deno.remove(path);
      alter(path, "CREATE TABLE theirs (a)");
      const results = await look(folder);
      assert.equal(results.store.state, "failed");
      assert.match(results.store.found, /is no store of Gridwatch/);
      assert.equal(results["store pages"].state, "skipped");
    });
  });
});

Deno.test("doctor warns of a disk that is nearly full, and of a file that is mostly free", async () => {
  await inFolder(async (folder) => {
    await writeStore(folder);
    const full = await look(folder, { freeBytes: () => Promise.resolve(5e6) });
    assert.equal(full["store room"].state, "warning");
    assert.match(full["store room"].found, /^5\.0 MB free on its disk/);
    const open = async (directory: string) => {
      const reader = await openReader(directory);
      const size = () => Promise.resolve({ bytes: 1e9, freeBytes: 6e8 });
      return Object.assign(reader, { size });
    };
    const spare = await look(folder, { open });
    assert.equal(spare["store room"].state, "warning");
    assert.match(spare["store room"].fix ?? "", /gridwatch compact/);
    const unknown = await look(folder, { freeBytes: () => Promise.resolve(null) });
    assert.match(unknown["store room"].found, /^the disk does not tell, /);
    const there = await freeBytes(folder);
    assert.ok(there === null || there > 0);
  });
});

Deno.test("doctor --data looks at a store and makes nothing where there is none", async () => {
  await inFolder(async (folder) => {
    await writeStore(folder);
    const there = await gridwatch("doctor", "--data", folder, "--json");
    const checks = JSON.parse(there.stdout).checks as CheckResult[];
    const own = checks.filter(({ check }) => check.startsWith("store"));
    assert.deepEqual(own.map(({ check }) => check), Object.keys(WELL));
    assert.ok(own.every(({ state }) => state === "ok" || state === "warning"), there.stdout);
    const absent = await gridwatch("doctor", "--data", `${folder}/absent`, "--json");
    const [store] = (JSON.parse(absent.stdout).checks as CheckResult[])
      .filter(({ check }) => check === "store");
    assert.equal(store.state, "not used");
    await assert.rejects(Deno.stat(`${folder}/absent`), Deno.errors.NotFound);
  });
});
