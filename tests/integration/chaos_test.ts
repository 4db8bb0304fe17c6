import assert from "node:assert/strict";
import { chaosPlan } from "./chaos_plan.ts";
import { breakOfSeed, BREAKS } from "./chaos_breaks.ts";
import { CHAOS_SEEDS } from "./chaos_seeds.ts";
import { runChaos } from "./chaos.ts";
import { serverTests } from "./servers.ts";

const { serverTest } = await serverTests("kafka");

Deno.test("chaosPlan() of a seed is always the same, and has every kind of harm in it", () => {
  const plan = chaosPlan(3, 120_000);
  assert.deepEqual(plan, chaosPlan(3, 120_000));
  assert.notDeepEqual(plan, chaosPlan(4, 120_000));
  assert.deepEqual([...new Set(plan.map(({ kind }) => kind))].sort(), [
    ...[
      "add",
      "clock",
      "cut",
      "delay",
      "freeze",
      "kill",
      "kill broker",
      "kill replay",
      "terminate",
    ],
  ]);
});

Deno.test("breakOfSeed() of a seed is always the same, and every break is one of some seed", () => {
  const seeds = Array.from({ length: 60 }, (_, seed) => seed);
  assert.deepEqual(new Set(seeds.map(breakOfSeed)), new Set(BREAKS));
  assert.deepEqual(seeds.map(breakOfSeed), seeds.map(breakOfSeed));
});

// The short run of every test run is that of the seeds kept: about a minute each.
for (const { seed, seconds } of CHAOS_SEEDS) {
  serverTest(`chaos of seed ${seed} leaves the outputs of an undisturbed run`, async () => {
    const { problems, counts } = await runChaos(seed, {
      durationMs: seconds * 1000,
      say: () => {},
    });
    assert.deepEqual(problems, [], `seed ${seed}`);
    assert.ok(counts.kill > 0 && counts["kill broker"] > 0);
  });
}
