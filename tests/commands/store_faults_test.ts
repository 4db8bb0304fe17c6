/** Full disks, empty stores, and looks at a store beside the run that writes it. */
import assert from "node:assert/strict";
import { openReader, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { readBalance } from "../../src/tables/balance.ts";
import { queryOf } from "../../src/tables/query.ts";
import { freePort } from "../integration/ports.ts";
import { gridwatch, inFolder } from "./command_line.ts";
import { assertSame, DEFECTS, saidBy, spawnGridwatch, writeFleet } from "./runs.ts";

const canMount = Deno.build.os === "linux" && Deno.uid() === 0;
const FULL_KIB = [40, 200, 400, 700, 1000];
const READS = 1000;

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function end(child: Deno.ChildProcess) {
  const { code, stderr } = await child.output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

const namesIn = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).sort();

Deno.test({
  name: "run on a full disk ends with exit code 1 and the way out, and goes on when there is room",
  ignore: !canMount,
  fn: async (t) => {
    await inFolder(async (folder) => {
      const csv = `${folder}/fleet.csv`;
      await writeFleet(csv);
      const run = (directory: string) =>
        end(spawnGridwatch(["run", csv, "--data", directory, "--exit", "--quiet", ...DEFECTS]));
      const whole = await run(`${folder}/whole`);
      assert.equal(whole.code, 0, whole.stderr);
      const expected = saidBy(`${folder}/whole/${STORE_FILE}`);
      const disk = `${folder}/disk`;
      await Deno.mkdir(disk);
      for (const kib of FULL_KIB) {
        await t.step(`${kib} KiB`, async () => {
          await mount("-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", disk);
          try {
            const { code, stderr } = await run(`${disk}/store`);
            assert.equal(code, 1, stderr);
            assert.match(stderr, /^error: Cannot (write to|use the store in) .*\nhint: .*space/);
            await mount("-o", "remount,size=64m", disk);
            const isMade = namesIn(disk).includes("store");
            if (isMade && namesIn(`${disk}/store`).includes(STORE_FILE)) {
              const { code, stderr } = await gridwatch("verify", "--data", `${disk}/store`);
              assert.equal(code, 0, stderr);
            }
            const resumed = await run(`${disk}/store`);
            assert.equal(resumed.code, 0, resumed.stderr);
            assertSame(saidBy(`${disk}/store/${STORE_FILE}`), expected, `${kib} KiB`);
          } finally {
            await new Deno.Command("umount", { args: [disk] }).output();
          }
        });
      }
    });
  },
});

Deno.test({
  name: "run that could not make its store leaves none, and a second look makes none either",
  ignore: !canMount,
  fn: async () => {
    await inFolder(async (folder) => {
      const csv = `${folder}/fleet.csv`;
      await writeFleet(csv);
      const disk = `${folder}/disk`;
      await Deno.mkdir(disk);
      await mount("-t", "tmpfs", "-o", `size=100k`, "tmpfs", disk);
      try {
        const child = spawnGridwatch(["run", csv, "--data", `${disk}/store`, "--exit"]);
        assert.equal((await end(child)).code, 1);
        assert.deepEqual(namesIn(disk), []);
        for (const args of [["verify"], ["query", "SELECT 1"], ["serve"]]) {
          const { code, stderr } = await gridwatch(...args, "--data", `${disk}/store`);
          assert.equal(code, 1, stderr);
          assert.match(stderr, /^error: Cannot open .*: there is no store\nhint: /);
          assert.deepEqual(namesIn(disk), []);
        }
      } finally {
        await new Deno.Command("umount", { args: [disk] }).output();
      }
    });
  },
});

Deno.test("an empty file in the store's place is told by every look, and left as it is", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/${STORE_FILE}`;
    await Deno.writeFile(path, new Uint8Array());
    for (const args of [["verify"], ["query", "SELECT 1"], ["serve"]]) {
      const { code, stderr } = await gridwatch(...args, "--data", folder);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^error: .*gridwatch\.db is empty.*\nhint: /);
      assert.deepEqual(namesIn(folder), [STORE_FILE]);
      assert.equal((await Deno.stat(path)).size, 0);
    }
  });
});

Deno.test("looks at absent stores make nothing; the folder of one that is made is its owner's alone", async () => {
  await inFolder(async (folder) => {
    const directory = `${folder}/absent/deeper`;
    for (const args of [["verify"], ["query", "SELECT 1"], ["serve"]]) {
      const { code, stderr } = await gridwatch(...args, "--data", directory);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^error: Cannot open .*: there is no store\nhint: /);
      assert.deepEqual(namesIn(folder), []);
    }
    const csv = `${folder}/readings.csv`;
    await Deno.writeTextFile(csv, "meter_id,timestamp,consumption_kwh\nM1,2024-01-01,1\n");
    const { code, stderr } = await gridwatch("run", csv, "--data", directory, "--exit");
    assert.equal(code, 0, stderr);
    for (const made of [directory, `${folder}/absent`]) {
      if (Deno.build.os !== "windows") assert.equal((await Deno.stat(made)).mode! & 0o777, 0o700);
    }
  });
});

Deno.test(`${READS} reads of another process than the run's are each of one commit, in 3 partitions`, async (t) => {
  await inFolder(async (folder) => {
    const csv = `${folder}/fleet.csv`;
    await writeFleet(csv, { days: 200 }); // more than is played while the looks last
    const directory = `${folder}/store`;
    await Deno.mkdir(directory, { mode: 0o700 });
    using watcher = Deno.watchFs(directory);
    const args = ["run", csv, "--data", directory, "--exit", "--quiet", "--partitions", "3"];
    const running = spawnGridwatch([...args, "--rate", "1000", ...DEFECTS], {
      commitRecordsMax: 500,
    });
    let writes = 0;
    for await (const _ of watcher) if (++writes === 20) break;
    const ended = end(running);
    const reader = await openReader(directory);
    const seen = new Set<number>();
    try {
      await t.step("reads", async () => {
        for (let read = 0; read < READS; read++) {
          await reader.transaction(async (moment) => {
            const { balanced, differences, ledger } = await readBalance(queryOf(moment), "store");
            const said = `read ${read}, at ${ledger.raw} records: ${JSON.stringify(differences)}`;
            assert.ok(balanced !== false && differences.length === 0, said);
            seen.add(ledger.raw);
          });
        }
      });
      await t.step("query and verify", async () => {
        const sql =
          "SELECT sum(raw) = (SELECT sum(next_offset) FROM positions) AS equal FROM ledger";
        const { code, stdout, stderr } = await gridwatch(
          "query",
          sql,
          "--csv",
          "--data",
          directory,
        );
        assert.deepEqual([code, stdout], [0, "equal\n1\n"], stderr);
        const verified = await gridwatch("verify", "--data", directory);
        assert.equal(verified.code, 0, verified.stderr);
      });
      await t.step("serve", async () => {
        const port = freePort();
        const serving = spawnGridwatch(["serve", "--data", directory, "--port", String(port)]);
        const output = serving.stderr.pipeThrough(new TextDecoderStream()).getReader();
        assert.match((await output.read()).value ?? "", /^page: /);
        const status = await (await fetch(`http://localhost:${port}/api/status`)).json();
        assert.equal(status.store.ok, true);
        serving.kill("SIGINT");
        while (!(await output.read()).done);
        assert.equal((await serving.status).code, 0);
      });
      running.kill("SIGINT");
      const { code, stderr } = await ended;
      assert.equal(code, 130, `the run ended before the looks did: ${stderr}`);
      assert.ok(seen.size > 10, `${seen.size} commits were seen`);
    } finally {
      await reader.close();
    }
  });
});
