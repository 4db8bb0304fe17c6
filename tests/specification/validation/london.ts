/** The London meters of the shared data as slots, as their labels are written. */
import assert from "node:assert/strict";
import { type Slots, toMwh } from "./rules.ts";

const LONDON = new URL("../../../../shared/data/london/", import.meta.url);
const ARCHIVE = new URL("london_2013_81meters.tar.xz", LONDON);
export const INTERVAL_MS = 1_800_000;

/** Whether the shared data are at hand. */
export function isPresent(): boolean {
  try {
    return Deno.statSync(ARCHIVE).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The slots of every meter, as labelled. */
export async function readLondon(): Promise<Map<string, Slots>> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-" });
  const meters = new Map<string, Slots>();
  try {
    const { code } = await new Deno.Command("tar", { args: ["xf", ARCHIVE.pathname, "-C", folder] })
      .output();
    assert.equal(code, 0);
    for (const { name } of Deno.readDirSync(`${folder}/london_2013`)) {
      const readings = new Map<number, number>();
      const text = await Deno.readTextFile(`${folder}/london_2013/${name}`);
      for (const line of text.trim().split("\n").slice(1)) {
        const [, time, kwh] = line.split(",");
        readings.set(Date.parse(`${time.trim().replace(" ", "T")}Z`), toMwh(Number(kwh)));
      }
      const startMs = Math.min(...readings.keys());
      const count = (Math.max(...readings.keys()) - startMs) / INTERVAL_MS + 1;
      const mwh = Array.from(
        { length: count },
        (_, i) => readings.get(startMs + i * INTERVAL_MS) ?? null,
      );
      meters.set(name.replace(".csv", ""), { startMs, intervalMs: INTERVAL_MS, mwh });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return meters;
}
