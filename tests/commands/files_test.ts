/** What commands do to files, and what they say when the system refuses. */
import assert from "node:assert/strict";
import { lockDirectory } from "../../src/adapters/deno/directory_lock.ts";
import { gridwatch, inFolder } from "./command_line.ts";

const SAMPLE = new URL("../../data/sample/london_MAC000002.csv", import.meta.url).pathname;
const CSV = "meter_id,timestamp,consumption_kwh\nM1,2024-01-01T00:00:00Z,0.5\n";

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("demo --fresh does not touch a store in use, nor what is no store", async (t) => {
  await inFolder(async (folder) => {
    await t.step("in use", async () => {
      await Deno.mkdir(`${folder}/pg`);
      await Deno.writeTextFile(`${folder}/pg/PG_VERSION`, "17\n");
      const lock = await lockDirectory(folder);
      const ended = await inAnotherProcess(["demo", "--fresh", "--data", folder, "--exit"]);
      lock.release();
      assert.equal(ended.code, 1);
      assert.match(
        ended.stderr,
        /^error: Cannot make the demo in .* in use by process \d+\nhint: /,
      );
      assert.deepEqual(namesIn(folder), ["gridwatch.lock", "pg"]);
    });
    await t.step("no store", async () => {
      await Deno.remove(`${folder}/gridwatch.lock`);
      await Deno.writeTextFile(`${folder}/gridwatch.db`, "theirs");
      // Refused once, it leaves nothing there that would make the folder look like a store.
      for (let time = 0; time < 2; time++) {
        const { code, stderr } = await gridwatch("demo", "--fresh", "--data", folder, "--exit");
        assert.equal(code, 1);
        const refused =
          /^error: Cannot forget .*\/gridwatch\.db: it is no store of Gridwatch\nhint: /;
        assert.match(stderr, refused);
        assert.deepEqual(namesIn(folder), ["gridwatch.db", "pg"]);
      }
    });
    await t.step("nor does run open what is no store", async () => {
      const csv = `${folder}/a.csv`;
      await Deno.writeTextFile(csv, CSV);
      const { code, stderr } = await gridwatch("run", csv, "--data", folder, "--exit");
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^error: Cannot use the store in .*, it is damaged: file is not a database\n/,
      );
      assert.equal(await Deno.readTextFile(`${folder}/gridwatch.db`), "theirs");
    });
  });
});

Deno.test("the store of an earlier version is refused by name, and left alone but by demo --fresh", async (t) => {
  await inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/pg`);
    await Deno.writeTextFile(`${folder}/pg/PG_VERSION`, "17\n");
    await Deno.writeTextFile(`${folder}/gridwatch.lock`, "1\n");
    await Deno.writeTextFile(`${folder}/a.csv`, CSV);
    for (const args of [["run", `${folder}/a.csv`, "--exit"], ["query", "SELECT 1"], ["verify"]]) {
      await t.step(args[0], async () => {
        const { code, stderr } = await gridwatch(...args, "--data", folder);
        assert.equal(code, 1);
        assert.match(
          stderr,
          /^error: Cannot open .*: it holds the store of an earlier version, in pg\/\n/,
        );
        assert.match(stderr, /\nhint: play the files again with --data DIR; .* left alone/);
        assert.deepEqual(namesIn(folder), ["a.csv", "gridwatch.lock", "pg"]);
        assert.deepEqual(namesIn(`${folder}/pg`), ["PG_VERSION"]);
      });
    }
    await t.step("demo --fresh forgets it", async () => {
      const { code, stderr } = await gridwatch(
        "demo",
        "--fresh",
        "--data",
        folder,
        "--exit",
        "--quiet",
        "--rate",
        "max",
      );
      assert.equal(code, 0, stderr);
      assert.ok(!namesIn(folder).includes("pg"));
    });
  });
});

/** Files that a person may have by the names the store once used, or a demo's files have. */
const THEIRS = [
  "tmp/thesis",
  "tmp/gridwatch-replay-mine/0.run",
  "fleet.csv",
  "london_MAC000002.csv",
];

Deno.test("run and demo --fresh leave a person's files in the folder of --data alone", async (t) => {
  await inFolder(async (folder) => {
    const csv = `${folder}/a.csv`;
    await Deno.writeTextFile(csv, CSV);
    for (const path of [...THEIRS, ".gridwatch-tmp/notes"]) await writeAt(`${folder}/${path}`);
    const assertKept = async () => {
      for (const path of [...THEIRS, ".gridwatch-tmp/notes"]) {
        assert.equal(await Deno.readTextFile(`${folder}/${path}`), "theirs", path);
      }
    };
    await t.step("run, and removes what a killed run left of its own", async () => {
      await writeAt(`${folder}/.gridwatch-tmp/gridwatch-replay-1/0.run`);
      const { code, stderr } = await gridwatch("run", csv, "--data", folder, "--exit");
      assert.equal(code, 0, stderr);
      await assertKept();
      assert.deepEqual(namesIn(`${folder}/.gridwatch-tmp`), ["notes"]);
    });
    await t.step(
      "demo --fresh, and forgets what the store held; it ends with what to do next",
      async () => {
        const args = ["--fresh", "--data", folder, "--exit", "--json", "--rate", "max"];
        const { code, stdout, stderr } = await gridwatch("demo", ...args);
        assert.equal(code, 0, stderr);
        assert.equal(JSON.parse(stdout).meters, 201);
        await assertKept();
        assert.equal(await Deno.readTextFile(csv), CSV);
        const next =
          /\n {2}deno task gridwatch query "([^"]+)" --data (\S+)\n.* run YOUR_FILE.csv\n$/;
        const [, sql, directory] = next.exec(stderr) ?? assert.fail(stderr);
        const answer = await gridwatch("query", sql, "--data", directory, "--csv");
        assert.equal(answer.stdout.split("\n").length, 1 + 5 + 1, answer.stderr);
      },
    );
  });
});

async function writeAt(path: string): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, "theirs");
}

/** A lock is a process's own: only another one finds it taken. */
async function inAnotherProcess(args: readonly string[]) {
  const cli = new URL("../../cli.ts", import.meta.url).pathname;
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", cli, ...args] });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("A folder or file that the system refuses is said in the grammar, exit code 1", async (t) => {
  await inFolder(async (folder) => {
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "");
    const csv = `${folder}/a.csv`;
    await Deno.writeTextFile(csv, CSV);
    const lines = [
      ["replay", csv, "--output", `${file}/raw.jsonl`],
      ["replay", csv, "--output", folder],
      ["demo", "--data", `${file}/store`],
      ["verify", "--data", file],
      ["verify", "--data", `${folder}/${"x".repeat(300)}`],
      ["serve", "--data", `${file}/store`],
      ["query", "SELECT 1", "--data", `${file}/store`],
      ["run", csv, "--data", `${file}/store`, "--exit"],
    ];
    for (const line of lines) {
      await t.step(line.map((word) => word.slice(0, 30)).join(" "), async () => {
        const { code, stderr } = await gridwatch(...line);
        assert.equal(code, 1, stderr);
        assert.match(stderr, /^error: Cannot [^\n]+\n(hint: [^\n]+\n)?$/);
      });
    }
    assert.deepEqual(namesIn(folder), ["a.csv", "file"]);
  });
});

Deno.test("replay --output gives a file its name when it is whole", async (t) => {
  await inFolder(async (folder) => {
    const path = `${folder}/raw.jsonl`;
    await Deno.writeTextFile(path, "before");
    await t.step("what failed leaves the file of before", async () => {
      const bad = `${folder}/bad.csv`;
      await Deno.writeTextFile(bad, "nothing,here\n1,2\n");
      const { code } = await gridwatch("replay", bad, "--output", path, "--force", "--quiet");
      assert.equal(code, 1);
      assert.equal(await Deno.readTextFile(path), "before");
      assert.deepEqual(namesIn(folder), ["bad.csv", "raw.jsonl"]);
    });
    const csv = `${folder}/a.csv`;
    await Deno.writeTextFile(csv, CSV);
    await t.step("what is there stays without --force, the input itself too", async () => {
      for (const there of [path, csv]) {
        const { code, stderr } = await gridwatch("replay", csv, "--output", there, "--quiet");
        assert.equal(code, 1);
        assert.match(stderr, /it is there already\nhint: --force /);
      }
      assert.equal(await Deno.readTextFile(path), "before");
      assert.equal(await Deno.readTextFile(csv), CSV);
    });
    await t.step("what ended is there, and counted", async () => {
      const args = ["--output", path, "--force", "--json", "--quiet"];
      const { code, stdout } = await gridwatch("replay", csv, ...args);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), { output: path, readings: 1, rows: 1 });
      assert.match(await Deno.readTextFile(path), /"M1"/);
      assert.deepEqual(namesIn(folder), ["a.csv", "bad.csv", "raw.jsonl"]);
    });
  });
});

Deno.test("replay --output - ends quietly when its reader has seen enough", async () => {
  const cli = new URL("../../cli.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, "replay", SAMPLE, "--output", "-", "--quiet"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assert.equal(stderr, "");
  assert.equal(code, 0);
});

Deno.test("run looks at the files before it makes a store or serves a page", async () => {
  await inFolder(async (folder) => {
    const csv = `${folder}/none.csv`;
    const { code, stderr } = await gridwatch("run", csv, "--data", `${folder}/store`);
    assert.equal(code, 1);
    assert.equal(stderr, `error: Cannot read "${csv}": no such file\n`);
    assert.deepEqual(namesIn(folder), []);
  });
});
