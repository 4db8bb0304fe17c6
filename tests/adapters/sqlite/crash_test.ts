/** A store in a directory: kills, second openers, readers beside the writer, and full disks. */
import assert from "node:assert/strict";
import { Session, TakenError } from "../../../src/adapters/sqlite/session.ts";
import { StoreError } from "../../../src/adapters/sqlite/errors.ts";
import { openReader, SqliteStore, STORE_FILE } from "../../../src/adapters/sqlite/store.ts";
import { createRandom, randomInteger } from "../../../src/generate/random.ts";
import { readBalance } from "../../../src/tables/balance.ts";
import { queryOf } from "../../../src/tables/query.ts";
import { commitOf } from "../commits.ts";
import { answersOf, incidentsOf, playFleet, SessionStore, undisturbed } from "./fleet.ts";
import { killAfter } from "./kill.ts";

const KILLS = Number(Deno.env.get("GRIDWATCH_KILLS") ?? 6);
const READS = 1000;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-store-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(`a store killed ${KILLS} times ends at the tables of a run that nobody disturbed`, async () => {
  await inFolder(async (folder) => {
    const expected = await undisturbed(folder);
    const path = `${folder}/${STORE_FILE}`;
    for (let seed = 1; seed <= KILLS; seed++) {
      const random = createRandom(seed);
      if (!await killAfter(folder, randomInteger(random, 1, Math.ceil(80 / KILLS)))) break;
      const reader = await openReader(folder);
      await reader.transaction(async (moment) => {
        const { balanced, ledger } = await readBalance(queryOf(moment), "store");
        assert.ok(balanced && ledger.raw > 0, `seed ${seed}: ${balanced}`);
        assert.deepEqual(await moment.check(), [], `seed ${seed}`);
      });
      await reader.close();
    }
    const store = new SessionStore(path);
    await playFleet(store);
    store.session.close();
    assert.ok(answersOf(path) === expected, "another answer");
    assert.equal(incidentsOf(path), incidentsOf(`${folder}/undisturbed.db`));
  });
});

Deno.test("a second writer is refused, also where the lock file was deleted, and the first goes on", async () => {
  await inFolder(async (folder) => {
    const first = await SqliteStore.open(folder);
    await first.commit(commitOf(0, 0));
    const isInUse = { name: "StoreError", message: /is in use by another process/ };
    await assert.rejects(SqliteStore.open(folder), isInUse);
    await first.commit(commitOf(0, 1));
    await assert.rejects(SqliteStore.open(folder), isInUse);
    await first.commit(commitOf(0, 2));
    await first.close();
    await (await SqliteStore.open(folder)).close();
  });
});

Deno.test("a writer whose store was taken over between two commits writes nothing more", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/${STORE_FILE}`;
    const first = new SessionStore(path);
    await first.commit(commitOf(0, 0));
    first.session.release(); // as in the moment between two transactions
    const second = new SessionStore(path);
    await second.commit(commitOf(0, 1));
    await assert.rejects(async () => await first.commit(commitOf(0, 2)), TakenError);
    second.session.release();
    await assert.rejects(async () => await first.commit(commitOf(0, 2)), TakenError);
    first.session.close();
    second.session.close();
  });
});

Deno.test(`${READS} reads beside a run are each of one commit`, async () => {
  await inFolder(async (folder) => {
    const store = await SqliteStore.open(folder);
    const reader = await openReader(folder);
    await playFleet(store, { commitsMax: 1 });
    const playing = playFleet(store, { commitRecords: 10 });
    const seen = new Set<number>();
    for (let read = 0; read < READS; read++) {
      await reader.transaction(async (moment) => {
        const { balanced, ledger } = await readBalance(queryOf(moment), "store");
        assert.ok(balanced, `read ${read}, at ${ledger.raw} records`);
        seen.add(ledger.raw);
        if (read % 100 === 0) assert.deepEqual(await moment.check(), []);
      });
    }
    await playing;
    assert.ok(seen.size > 3, `${seen.size} commits were seen`);
    await reader.close();
    await store.close();
  });
});

Deno.test("what is no store, newer, or not there is refused, and nothing is made or changed", async (t) => {
  await inFolder(async (folder) => {
    const path = `${folder}/${STORE_FILE}`;
    await t.step("not there", async () => {
      await assert.rejects(openReader(folder), StoreError);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    });
    await t.step("an empty file", async () => {
      await Deno.writeFile(path, new Uint8Array());
      await assert.rejects(openReader(folder), /empty/);
      assert.equal((await Deno.stat(path)).size, 0);
    });
    await t.step("another program's", async () => {
      const { DatabaseSync } = await import("node:sqlite");
      await Deno.remove(path);
      const other = new DatabaseSync(path);
      other.exec("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
      other.close();
      const before = await Deno.readFile(path);
      await assert.rejects(openReader(folder), /is no store of Gridwatch/);
      await assert.rejects(SqliteStore.open(folder), /is no store of Gridwatch/);
      assert.deepEqual(await Deno.readFile(path), before);
    });
    await t.step("of a newer version", async () => {
      await Deno.remove(path);
      const store = new SessionStore(path);
      await store.commit(commitOf(0, 0));
      store.session.close();
      const { DatabaseSync } = await import("node:sqlite");
      const newer = new DatabaseSync(path);
      newer.exec("PRAGMA user_version = 999");
      newer.close();
      await assert.rejects(openReader(folder), /was written by a newer version/);
      await assert.rejects(SqliteStore.open(folder), /was written by a newer version/);
    });
  });
});

Deno.test("a store that nothing was played into is removed as it is closed", async () => {
  await inFolder(async (folder) => {
    const store = await SqliteStore.open(folder);
    await store.saveSettings({ partitions: "1" });
    await store.close();
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  });
});

Deno.test("a store that was not closed is checked under another start of the machine, and under no other", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/${STORE_FILE}`;
    const store = new SessionStore(path);
    await store.commit(commitOf(0, 0));
    const open = (boot: string) =>
      new Session({ path, writer: "w", id: "i", process: 1, boot, nowIso: "", retentionDays: 0 });
    const damaged = async (damage: boolean) => {
      const copy = `${folder}/copy`;
      await Deno.mkdir(copy, { recursive: true });
      for (const end of ["", "-wal"]) await Deno.copyFile(path + end, `${copy}/a.db${end}`);
      if (!damage) return `${copy}/a.db`;
      const { DatabaseSync } = await import("node:sqlite");
      const database = new DatabaseSync(`${copy}/a.db`);
      database.exec("UPDATE ledger SET ok = ok + 1");
      database.close();
      return `${copy}/a.db`;
    };
    const openCopy = async (damage: boolean, boot: string) =>
      new Session({ ...optionsOf(await damaged(damage)), boot });
    const optionsOf = (copy: string) => ({
      path: copy,
      writer: "w",
      id: "i",
      process: 1,
      nowIso: "",
      retentionDays: 0,
    });
    (await openCopy(false, "another")).close();
    (await openCopy(true, "boot")).close();
    await assert.rejects(openCopy(true, "another"), /was not closed before the machine stopped/);
    store.session.close();
    open("another").close();
  });
});

const canMount = Deno.build.os === "linux" && Deno.uid() === 0;

Deno.test({
  name:
    "a full disk is an error at once, and when there is room again the run goes on to the same tables",
  ignore: !canMount,
  fn: async (t) => {
    await inFolder(async (folder) => {
      const expected = await undisturbed(folder);
      for (const kib of [300, 500, 700, 900, 1100]) {
        await t.step(`${kib} KiB`, async () => {
          const disk = `${folder}/disk`;
          await Deno.mkdir(disk, { recursive: true });
          await mount(["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", disk]);
          try {
            const isFull = { name: "StoreError", message: /Cannot write to .*: .*full/ };
            let store: SqliteStore | null = null;
            await assert.rejects(async () => {
              store = await SqliteStore.open(disk);
              await playFleet(store);
            }, isFull);
            await (store as SqliteStore | null)?.close();
            await mount(["-o", "remount,size=64m", disk]);
            store = await SqliteStore.open(disk);
            await playFleet(store);
            await store.close();
            assert.ok(answersOf(`${disk}/${STORE_FILE}`) === expected, "another answer");
          } finally {
            await new Deno.Command("umount", { args: [disk] }).output();
          }
        });
      }
    });
  },
});

async function mount(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
