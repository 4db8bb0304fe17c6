/** Runs of the whole program, killed at random moments: what comes out is that of one run. */
import assert from "node:assert/strict";
import { openReader, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { readBalance } from "../../src/tables/balance.ts";
import { queryOf } from "../../src/tables/query.ts";
import { inFolder } from "./command_line.ts";
import { assertSame, DEFECTS, saidBy, spawnGridwatch, writeFleet } from "./runs.ts";

/** Of each number of partitions. */
const KILLS = Number(Deno.env.get("GRIDWATCH_TEST_KILLS") ?? 5);
const SEED = 11;

/** A run in a process of its own, killed once its folder was written to so many times. */
async function runKilled(
  args: readonly string[],
  { directory, killAfter }: { readonly directory: string; readonly killAfter: number },
): Promise<{ readonly isKilled: boolean; readonly writes: number }> {
  await Deno.mkdir(directory, { recursive: true });
  using watcher = Deno.watchFs(directory);
  const child = spawnGridwatch(args);
  let writes = 0;
  let isKilled = false;
  const watched = (async () => {
    for await (const _ of watcher) {
      if (++writes < killAfter) continue;
      isKilled = true;
      child.kill("SIGKILL");
      return;
    }
  })();
  const { code, signal, stderr } = await child.output();
  watcher.close();
  await watched;
  if (signal === "SIGKILL") return { isKilled, writes };
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return { isKilled: false, writes };
}

/** What a killed run left is of one commit, and whole: how many records that has. */
async function assertWhole(directory: string, what: string): Promise<number> {
  const reader = await openReader(directory).catch(async (error) => {
    // It was killed before its first transaction had ended.
    const found = await Deno.stat(`${directory}/${STORE_FILE}`).catch(() => null);
    if (found === null || /is empty/.test(error.message)) return null;
    throw error;
  });
  if (reader === null) return 0;
  try {
    return await reader.transaction(async (moment) => {
      const { differences, ledger } = await readBalance(queryOf(moment), "store");
      assert.deepEqual(differences, [], what);
      assert.deepEqual(await moment.check(), [], what);
      return ledger.raw;
    });
  } finally {
    await reader.close();
  }
}

for (const partitions of [1, 3]) {
  const name =
    `run killed ${KILLS} times in ${partitions} partitions ends at the tables of one run`;
  Deno.test(name, async () => {
    await inFolder(async (folder) => {
      const csv = `${folder}/fleet.csv`;
      await writeFleet(csv);
      const run = (directory: string, killAfter: number) => {
        const args = [
          "run",
          csv,
          "--data",
          directory,
          "--partitions",
          String(partitions),
          "--exit",
        ];
        args.push("--quiet", ...DEFECTS);
        return runKilled(args, { directory, killAfter });
      };
      const whole = await run(`${folder}/whole`, Infinity);
      const expected = saidBy(`${folder}/whole/${STORE_FILE}`);
      await assertDefects(`${folder}/whole`);
      const random: Random = createRandom(SEED + partitions);
      let kills = 0;
      for (let round = 0; kills < KILLS; round++) {
        const directory = `${folder}/killed-${round}`;
        // About three kills a run: some while it opens, some while it plays, some while it ends.
        for (let isKilled = true, kept = 0; isKilled;) {
          const killAfter = kills < KILLS
            ? randomInteger(random, 1, Math.ceil(whole.writes / 2))
            : Infinity;
          ({ isKilled } = await run(directory, killAfter));
          if (!isKilled) break;
          const what = `kill ${++kills}, after ${killAfter} writes`;
          const records = await assertWhole(directory, what);
          assert.ok(records >= kept, `${what}: ${records} records, ${kept} before`);
          kept = records;
        }
        const answers = saidBy(`${directory}/${STORE_FILE}`);
        assertSame(answers, expected, `round ${round}, ${kills} kills`);
        await assertWhole(directory, `round ${round}`);
        await Deno.remove(directory, { recursive: true });
      }
    });
  });
}

/** Else nothing would be proved of late, duplicate and rejected readings. */
async function assertDefects(directory: string): Promise<void> {
  const reader = await openReader(directory);
  const { ledger } = await readBalance(queryOf(reader), "store");
  await reader.close();
  const { late, too_late, duplicate, rejected } = ledger;
  assert.ok(Math.min(late, too_late, duplicate, rejected) > 0, JSON.stringify(ledger));
}
