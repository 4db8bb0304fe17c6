/** Runs of the whole program, killed at random moments: what comes out is that of one run. */
import assert from "node:assert/strict";
import { openReader, STORE_FILE } from "../../src/adapters/sqlite/store.ts";
import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { readBalance } from "../../src/tables/balance.ts";
import { queryOf } from "../../src/tables/query.ts";
import { openFile } from "../../src/adapters/sqlite/library.ts";
import { answersOf } from "../adapters/sqlite/fleet.ts";
import { gridwatch, inFolder } from "./command_line.ts";

/** Of each number of partitions. */
const KILLS = Number(Deno.env.get("GRIDWATCH_TEST_KILLS") ?? 5);
const SEED = 11;
const DEFECTS = [
  ...["--delay-probability", "0.05", "--max-delay-seconds", "20000"],
  ...["--duplicate-probability", "0.05", "--gap-probability", "0.02"],
];

/** A run in a process of its own, killed once its folder was written to so many times. */
async function runKilled(
  args: readonly string[],
  { directory, killAfter }: { readonly directory: string; readonly killAfter: number },
): Promise<{ readonly isKilled: boolean; readonly writes: number }> {
  await Deno.mkdir(directory, { recursive: true });
  using watcher = Deno.watchFs(directory);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("../../cli.ts", import.meta.url).pathname, ...args],
    env: { GRIDWATCH_COMMIT_RECORDS_MAX: "2000" },
    stdout: "null",
    stderr: "piped",
  }).spawn();
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

/** What a killed run left is of one commit, and whole. */
async function assertWhole(directory: string, what: string): Promise<void> {
  const found = await Deno.stat(`${directory}/${STORE_FILE}`).catch(() => null);
  if (found === null || found.size === 0) return; // it was killed before it had made a store
  const reader = await openReader(directory);
  try {
    await reader.transaction(async (moment) => {
      const { balanced } = await readBalance(queryOf(moment), "store");
      assert.ok(balanced, what);
      assert.deepEqual(await moment.check(), [], what);
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
      const made = await gridwatch("generate", "--meters", "30", "--days", "20", "--output", csv);
      assert.equal(made.code, 0, made.stderr);
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
        args.push("--quiet", "--now", "2025-01-01T00:00:00Z", ...DEFECTS);
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
        for (let isKilled = true; isKilled;) {
          const killAfter = kills < KILLS
            ? randomInteger(random, 1, Math.ceil(whole.writes / 2))
            : Infinity;
          ({ isKilled } = await run(directory, killAfter));
          if (isKilled) await assertWhole(directory, `kill ${++kills}, after ${killAfter} writes`);
        }
        const answers = saidBy(`${directory}/${STORE_FILE}`);
        assertSame(answers, expected, `round ${round}, ${kills} kills`);
        await assertWhole(directory, `round ${round}`);
        await Deno.remove(directory, { recursive: true });
      }
    });
  });
}

/**
 * All that a store says, but how long its commits took and how far behind they were. Of what commits
 * counted the sums: where one ends is a matter of time, too.
 */
function saidBy(path: string): string {
  const tables = answersOf(path).split("\n\n").filter((table) => !table.startsWith("metrics\n"));
  const database = openFile(path, { readOnly: true, busyMs: 0 });
  try {
    const rows = database.prepare(
      "SELECT metric_type, meter_id, tags, source_partition, sum(value) FROM metrics WHERE " +
        "metric_type NOT IN ('consumer_lag_records', 'commit_duration_ms', " +
        "'watermark_lag_seconds') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    ).all();
    assert.ok(rows.length > 0);
    return [...tables, ...rows.map((row) => JSON.stringify(row))].join("\n");
  } finally {
    database.close();
  }
}

/** Else nothing would be proved of late, duplicate and rejected readings. */
async function assertDefects(directory: string): Promise<void> {
  const reader = await openReader(directory);
  const { ledger } = await readBalance(queryOf(reader), "store");
  await reader.close();
  const { late, too_late, duplicate, rejected } = ledger;
  assert.ok(Math.min(late, too_late, duplicate, rejected) > 0, JSON.stringify(ledger));
}

/** The first line that differs is told: all of them would be many megabytes. */
function assertSame(answers: string, expected: string, what: string): void {
  if (answers === expected) return;
  const [lines, wanted] = [answers.split("\n"), expected.split("\n")];
  const at = lines.findIndex((line, index) => line !== wanted[index]);
  assert.fail(`${what}, line ${at}: ${lines[at]} instead of ${wanted[at]}`);
}
