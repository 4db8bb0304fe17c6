/** A database in a directory: kills, second openers, and reopening. */
import assert from "node:assert/strict";
import { LockedError } from "../../../src/adapters/deno/directory_lock.ts";
import { MemoryStore } from "../../../src/adapters/memory/store.ts";
import { PgliteStore } from "../../../src/adapters/pglite/store.ts";
import type { GapAlert } from "../../../src/core/outputs.ts";
import { Task } from "../../../src/engine/task.ts";
import { readOutputs } from "../../golden/tables.ts";
import { outputLines } from "../../simulation/playback.ts";
import { logOf, OPTIONS, PARTITIONS, RECORDS_MAX } from "../fleet_log.ts";

/** Runs another process that commits the fleet's log into a directory until it is killed. */
function spawnCommitter(directory: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "tests/adapters/commit_fleet.ts", directory],
    cwd: new URL("../..", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Kills a committer once it has told of so many commits, in the middle of the next. */
async function killAfter(directory: string, commits: number): Promise<void> {
  const child = spawnCommitter(directory);
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let lines = 0;
  while (lines < commits) {
    const { value, done } = await reader.read();
    if (done) assert.fail(`the committer ended by itself: ${await stderr}`);
    lines += value.split("\n").length - 1;
  }
  child.kill("SIGKILL");
  while (!(await reader.read()).done);
  assert.equal((await child.status).signal, "SIGKILL");
  await stderr;
}

async function assertBalanced(store: PgliteStore): Promise<number> {
  let raw = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { rows } = await store.query(
      "SELECT * FROM ledger JOIN positions USING (partition) WHERE partition = $1",
      [partition],
    );
    if (rows.length === 0) continue;
    const outputs = await readOutputs(store, partition);
    const [ledger] = rows;
    const repeats = outputs.rejected.filter(({ reason }) => /DUPLICATE|CONFLICT/.test(reason));
    assert.equal(outputs.validated.length, Number(ledger.ok) + Number(ledger.late));
    assert.equal(outputs.late.length, Number(ledger.too_late));
    assert.equal(repeats.length, Number(ledger.duplicate));
    assert.equal(outputs.rejected.length - repeats.length, Number(ledger.rejected));
    assert.equal(Number(ledger.next_offset), Number(ledger.raw));
    raw += Number(ledger.raw);
  }
  return raw;
}

/** Folds what is left of each log, and requires the tables of a run that nobody killed. */
async function finishAndCompare(store: PgliteStore): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = logOf(partition);
    const straight = new MemoryStore();
    for (const to of [store, straight]) {
      const task = await Task.open(OPTIONS[partition], to);
      for (const bytes of log.slice(task.nextOffset)) task.fold(bytes, 0, bytes.length, NaN);
      const commit = task.takeCommit();
      if (commit !== null) await to.commit(commit);
    }
    const { outputs, ledger } = straight.partitions.get(partition)!;
    const gaps = new Map(outputs.gaps.map((gap) => [`${gap.meterId} ${gap.idMs}`, gap]));
    const stored = await readOutputs(store, partition);
    assert.deepEqual(
      outputLines({ ...stored, gaps: [] }, "none"),
      outputLines({ ...outputs, gaps: [] }, "none"),
    );
    const sorted = (of: Iterable<GapAlert>) => [...of].map((gap) => JSON.stringify(gap)).sort();
    assert.deepEqual(sorted(stored.gaps), sorted(gaps.values()));
    const { rows } = await store.query("SELECT * FROM ledger WHERE partition = $1", [partition]);
    assert.deepEqual(rows, [{ partition, ...ledger }]);
  }
}

Deno.test("PgliteStore in a directory outlives kills and second openers, and loses nothing", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-store-" });
  let store: PgliteStore | null = null;
  try {
    let before = 0;
    for (const commits of [4, 9]) {
      await t.step(`killed after ${commits} commits, it holds whole commits`, async () => {
        await killAfter(directory, commits);
        store = await PgliteStore.open(directory);
        const raw = await assertBalanced(store);
        assert.ok(raw > before && raw < RECORDS_MAX, `${raw} records after ${before}`);
        before = raw;
        await store.close();
      });
    }
    await t.step("opened twice, the second is refused and the first goes on", async () => {
      store = await PgliteStore.open(directory);
      await assert.rejects(PgliteStore.open(directory), LockedError);
      const { success, stderr } = await spawnCommitter(directory).output();
      assert.equal(success, false);
      const said = new TextDecoder().decode(stderr);
      assert.match(said, new RegExp(`LockedError.* is in use by process ${Deno.pid}`));
      assert.equal(await assertBalanced(store), before);
    });
    await t.step("it goes on to the answer of a run that nobody killed", async () => {
      await finishAndCompare(store!);
      await store!.close();
    });
    await t.step("closed and opened again it holds the same", async () => {
      store = await PgliteStore.open(directory);
      await finishAndCompare(store);
    });
  } finally {
    await store!.close();
    await Deno.remove(directory, { recursive: true });
  }
});

const DEADLINE_MS = 60_000;

/** Runs a script of its own against this source; false: it had to be killed. */
async function endsByItself(script: string): Promise<boolean> {
  const root = new URL("../..", import.meta.url);
  const url = `data:application/typescript,${
    encodeURIComponent(script.replaceAll("@/", `${root}`))
  }`;
  const config = new URL("deno.json", root).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", `--config=${config}`, url],
    stdout: "null",
    stderr: "null",
  }).spawn();
  let isKilled = false;
  const timer = setTimeout(() => {
    isKilled = true;
    child.kill("SIGKILL");
  }, DEADLINE_MS);
  const { success } = await child.status;
  clearTimeout(timer);
  if (!isKilled) assert.equal(success, true, "the script failed");
  return !isKilled;
}

Deno.test("PgliteStore.open() that refuses a database lets go of it, and its process ends", async () => {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-store-" });
  try {
    const script = `
      import assert from "node:assert/strict";
      import { migrate } from "@/src/tables/migrations.ts";
      import { PgliteClient } from "@/src/adapters/pglite/client.ts";
      import { PgliteStore } from "@/src/adapters/pglite/store.ts";
      const client = await PgliteClient.open("${directory}/pg");
      await migrate(client, [{ name: "999_newer", sql: "SELECT 1;", embedded: false }]);
      await client.close();
      for (let n = 0; n < 2; n++) {
        await assert.rejects(PgliteStore.open("${directory}"), /has migration 999_newer/);
      }`;
    assert.ok(await endsByItself(script), "it was still running");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
