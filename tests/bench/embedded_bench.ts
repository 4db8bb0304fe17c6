import { generate } from "../../src/commands/generate.ts";
import { main } from "../../cli.ts";
import { printRate, residentMib, time } from "./figures.ts";

/** CSV in, rows committed: 1,000 meters over 28 days, 1.3 million readings, in one process. */
export async function benchEmbedded(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-bench-" });
  try {
    const csv = `${directory}/fleet.csv`;
    await generate(["--meters", "1000", "--days", "28", "--output", csv, "--quiet"]);
    const rows = 1000 * 28 * 48;
    let exitCode = 0;
    const timing = await time(async () => {
      exitCode = await main(["run", csv, "--data", `${directory}/store`, "--exit", "--quiet"]);
    });
    if (exitCode !== 0) throw new Error(`run ended with ${exitCode}`);
    printRate("embedded: CSV in, rows committed", rows, timing, "goal 80,000/s");
    console.log(`embedded: resident memory${String(residentMib()).padStart(32)} MiB`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
