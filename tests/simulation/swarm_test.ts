import assert from "node:assert/strict";
import { FRESH_SEEDS, KEPT_SEEDS } from "./seeds.ts";
import { runSwarm, type SwarmReport } from "./swarm.ts";

/** Names the seed in what it throws. */
async function run(seed: number, steps: number | null): Promise<SwarmReport> {
  try {
    return await runSwarm(seed, steps);
  } catch (cause) {
    const again = `--seed ${seed} --runs 1${steps === null ? "" : ` --steps ${steps}`}`;
    throw new Error(`replay it by: deno run -A tests/simulation/sim.ts ${again}`, { cause });
  }
}

Deno.test("the swarm converges with every seed that failed once", async () => {
  for (const { seed, steps } of KEPT_SEEDS) await run(seed, steps);
});

Deno.test("the swarm converges to the undisturbed answer whatever fails, in fifty worlds", async () => {
  const reports: SwarmReport[] = [];
  for (const seed of FRESH_SEEDS) reports.push(await run(seed, null));
  // The worlds are of every kind, and things did go wrong in them.
  assert.deepEqual(new Set(reports.map(({ mode }) => mode)), new Set(["pipeline", "workers"]));
  assert.equal(new Set(reports.map(({ partitions }) => partitions)).size, 6);
  assert.ok(Math.max(...reports.map(({ records }) => records)) > 1000);
  assert.ok(reports.filter(({ lost }) => lost > 0).length > 25);
  assert.ok(reports.filter(({ committed }) => committed > 0.5).length > 25);
});

Deno.test("the swarm does the same again from the same seed", async () => {
  for (const seed of [4001, 4002, 4003, 4004]) {
    assert.deepEqual(await run(seed, null), await run(seed, null), `seed ${seed}`);
  }
});

Deno.test("the swarm converges when nothing is disturbed at all", async () => {
  for (const seed of [1, 2, 3, 4, 5]) await run(seed, 0);
});
