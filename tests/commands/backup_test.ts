import assert from "node:assert/strict";
import { openReader, SqliteStore, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { answersOf, playFleet } from "../adapters/sqlite/fleet.ts";
import { gridwatch, inFolder } from "./command_line.ts";

Deno.test("backup copies one moment of a store that is being written, and a copy goes on as a store", async (t) => {
  await inFolder(async (folder) => {
    const data = `${folder}/data`;
    const copy = `${folder}/copy`;
    await Deno.mkdir(data);
    await Deno.mkdir(copy);
    const store = await SqliteStore.open(data);
    await playFleet(store, { commitsMax: 9 });
    await t.step("while it is written", async () => {
      const playing = playFleet(store);
      const { code, stderr } = await gridwatch("backup", `${copy}/${STORE_FILE}`, "--data", data);
      await playing;
      assert.equal(code, 0, stderr);
      assert.match(stderr, /gridwatch\.db: [\d,]+ bytes\n$/);
      assert.deepEqual([...Deno.readDirSync(copy)].map(({ name }) => name), [STORE_FILE]);
      const reader = await openReader(copy);
      const findings = await reader.transaction((moment) => moment.check());
      await reader.close();
      assert.deepEqual(findings, []);
      assert.equal((await gridwatch("verify", "--data", copy)).code, 0);
    });
    await store.close();
    await t.step("played on, it ends at the same tables", async () => {
      const restored = await SqliteStore.open(copy);
      await playFleet(restored);
      await restored.close();
      assert.ok(answersOf(`${copy}/${STORE_FILE}`) === answersOf(`${data}/${STORE_FILE}`));
    });
    await t.step("a file that is there is left alone", async () => {
      const { code, stderr } = await gridwatch("backup", `${copy}/${STORE_FILE}`, "--data", data);
      assert.equal(code, 1);
      assert.match(stderr, /^error: Cannot write .*: it is there already\nhint: /);
    });
    await t.step("where it cannot be written nothing is left", async () => {
      const ended = await gridwatch("backup", `${folder}/no/where.db`, "--data", data);
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, /^error: Cannot write .*where\.db: /);
    });
  });
});
