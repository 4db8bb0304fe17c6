/** `compact` as a person runs it: beside readers, not beside a writer, on a small disk, and killed. */
import assert from "node:assert/strict";
import { openReader, SqliteStore, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { lockDirectory } from "../../src/adapters/deno/directory_lock.ts";
import { answersOf, playFleet, SessionStore } from "../adapters/sqlite/fleet.ts";
import { gridwatch, inFolder } from "./command_line.ts";
import { spawnGridwatch } from "./runs.ts";

const canMount = Deno.build.os === "linux" && Deno.uid() === 0;

/** A store of the fleet's log in a folder of its own, with the file that keeps one day of it. */
async function writeStore(folder: string): Promise<{ data: string; config: string }> {
  const data = `${folder}/data`;
  const config = `${folder}/config.yaml`;
  await Deno.mkdir(data);
  await Deno.writeTextFile(config, "retention_days: 1\n");
  const store = new SessionStore(`${data}/${STORE_FILE}`);
  await playFleet(store);
  store.session.close();
  return { data, config };
}

Deno.test("compact drops what retention lets go and gives its room back, beside those who read", async () => {
  await inFolder(async (folder) => {
    const { data, config } = await writeStore(folder);
    const path = `${data}/${STORE_FILE}`;
    const bytesOf = async (file: string) => (await Deno.stat(file)).size;
    new SessionStore(`${folder}/empty.db`).session.close();
    const tables = await bytesOf(`${folder}/empty.db`);
    const before = await bytesOf(path) - tables;
    const reader = await openReader(data);
    const count = "SELECT count(*) AS n FROM validated_readings";
    const { rows: [{ n }] } = await reader.query(count);
    const { code, stderr } = await gridwatch("compact", "--data", data, "--config", config);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /takes up to \d.* on the way; \d.* are free\n.*, \d.* given back\n$/);
    const { rows: [{ n: left }] } = await reader.query(count);
    assert.ok(Number(left) > 0 && Number(left) < Number(n));
    await reader.close();
    const after = await bytesOf(path) - tables;
    assert.ok(after < 0.7 * before, `${after} of ${before} bytes of rows`);
    const verified = await gridwatch("verify", "--data", data);
    assert.equal(verified.code, 0, verified.stderr);
    assert.match(verified.stderr, /retention has dropped of them [\d,]+ readings, .* before 2024-/);
  });
});

Deno.test("compact is refused while a store is written, and where there is none", async () => {
  await inFolder(async (folder) => {
    const { data, config } = await writeStore(folder);
    const lock = await lockDirectory(data);
    const store = await SqliteStore.open(data, { lock });
    const beside = await gridwatch("compact", "--data", data, "--config", config);
    await store.close();
    assert.equal(beside.code, 1);
    assert.match(beside.stderr, /^error: Cannot open the store: .* in use by .*\nhint: /m);
    const absent = await gridwatch("compact", "--data", `${folder}/absent`);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /^error: Cannot open .*: there is no store\nhint: /);
    await assert.rejects(Deno.stat(`${folder}/absent`), Deno.errors.NotFound);
  });
});

Deno.test({
  name: "compact on a disk without the room says what it takes, and on a full one leaves all whole",
  ignore: !canMount,
  fn: async () => {
    await inFolder(async (folder) => {
      const { data, config } = await writeStore(folder);
      const { size } = await Deno.stat(`${data}/${STORE_FILE}`);
      const disk = `${folder}/disk`;
      await Deno.mkdir(disk);
      const mount = (...args: string[]) => new Deno.Command("mount", { args }).output();
      await mount("-t", "tmpfs", "-o", `size=${size + (256 << 10)}`, "tmpfs", disk);
      try {
        const path = `${disk}/${STORE_FILE}`;
        await Deno.copyFile(`${data}/${STORE_FILE}`, path);
        const { code, stderr } = await gridwatch("compact", "--data", disk, "--config", config);
        assert.equal(code, 1, stderr);
        assert.match(stderr, /^error: Cannot compact .* takes up to .* are free\nhint: free some/);
        assert.ok(answersOf(path) === answersOf(`${data}/${STORE_FILE}`), "it was changed");
        await mount("-o", "remount,size=64m", disk);
        const again = await gridwatch("compact", "--data", disk, "--config", config);
        assert.equal(again.code, 0, again.stderr);
      } finally {
        await new Deno.Command("umount", { args: [disk] }).output();
      }
    });
  },
});

Deno.test("compact killed at any write leaves a whole store, and the same command ends it", async () => {
  await inFolder(async (folder) => {
    const { data, config } = await writeStore(folder);
    const whole = `${folder}/whole`;
    await Deno.mkdir(whole);
    await Deno.copyFile(`${data}/${STORE_FILE}`, `${whole}/${STORE_FILE}`);
    assert.equal((await gridwatch("compact", "--data", whole, "--config", config)).code, 0);
    const expected = answersOf(`${whole}/${STORE_FILE}`);
    let kills = 0;
    for (const writes of [3, 6, 9, 12, 20, 30]) {
      const directory = `${folder}/killed-${writes}`;
      await Deno.mkdir(directory);
      await Deno.copyFile(`${data}/${STORE_FILE}`, `${directory}/${STORE_FILE}`);
      using watcher = Deno.watchFs(directory);
      const child = spawnGridwatch(["compact", "--data", directory, "--config", config]);
      const watched = (async () => {
        let seen = 0;
        for await (const _ of watcher) if (++seen === writes) return child.kill("SIGKILL");
      })();
      const { signal } = await child.output();
      watcher.close();
      await watched;
      if (signal === "SIGKILL") kills++;
      const verified = await gridwatch("verify", "--data", directory);
      assert.equal(verified.code, 0, `after ${writes} writes: ${verified.stderr}`);
      const ended = await gridwatch("compact", "--data", directory, "--config", config);
      assert.equal(ended.code, 0, ended.stderr);
      assert.ok(answersOf(`${directory}/${STORE_FILE}`) === expected, `after ${writes} writes`);
    }
    assert.ok(kills > 1, `${kills} were killed before their end`);
  });
});
