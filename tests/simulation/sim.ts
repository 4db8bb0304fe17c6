/**
 * Random faults by seed, for as long as you like: `deno task sim --seed 1 --runs 100 [--steps 500]`.
 * Exit code 0: all seeds converged, 1: one did not, 2: usage.
 */
import { parseArgs } from "node:util";
import { UsageError } from "../../src/console/errors.ts";
import { runSwarm, type SwarmReport } from "./swarm.ts";

const SEED_MAX = 0x7fffffff;
const RUNS_MAX = 10_000_000;
const STEPS_MAX = 1_000_000;

type SimOptions = {
  readonly seed: number;
  readonly runs: number;
  /** Steps with faults before the world heals; null: drawn from the seed. */
  readonly steps: number | null;
};

function parseOptions(args: readonly string[]): SimOptions {
  let values: { seed?: string; runs?: string; steps?: string };
  try {
    const option = { type: "string" } as const;
    values = parseArgs({ args: [...args], options: { seed: option, runs: option, steps: option } })
      .values;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new UsageError(`Cannot simulate: ${cause.message}`, "--seed N --runs N [--steps N]", {
      cause,
    });
  }
  const whole = (name: "seed" | "runs" | "steps", min: number, max: number): number | null => {
    const text = values[name];
    if (text === undefined) return null;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    const what = `must be a whole number from ${min} to ${max}`;
    throw new UsageError(`Cannot simulate with --${name}="${text}": ${what}`);
  };
  return {
    seed: whole("seed", 0, SEED_MAX) ?? 1,
    runs: whole("runs", 1, RUNS_MAX) ?? 100,
    steps: whole("steps", 0, STEPS_MAX),
  };
}

function describe({ seed, mode, partitions, records, steps, lost }: SwarmReport): string {
  return `seed ${seed}: ${mode}, ${partitions} partitions, ${records} records, ${steps} steps, ` +
    `${lost} tasks lost: converged`;
}

async function main(args: readonly string[]): Promise<number> {
  const { seed, runs, steps } = parseOptions(args);
  for (let run = 0; run < runs; run++) {
    const of = seed + run;
    try {
      const report = await runSwarm(of, steps);
      if (runs <= 20 || (run + 1) % 100 === 0) console.log(describe(report));
    } catch (error) {
      const again = steps === null ? "" : ` --steps ${steps}`;
      console.error(error);
      console.error(`error: seed ${of} failed after ${run} that converged`);
      console.error(
        `hint: replay it by: deno run -A tests/simulation/sim.ts --seed ${of} --runs 1${again}`,
      );
      console.error("hint: keep it in tests/simulation/seeds.ts");
      return 1;
    }
  }
  console.log(`${runs} seeds from ${seed} on converged`);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`error: ${error.message}`);
    if (error.hint !== undefined) console.error(`hint: ${error.hint}`);
    Deno.exitCode = 2;
  }
}
