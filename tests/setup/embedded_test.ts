import assert from "node:assert/strict";
import { SqliteStore } from "../../src/adapters/sqlite/store.ts";
import { readConfig } from "../../src/config.ts";
import { UsageError } from "../../src/console/errors.ts";
import type { Progress } from "../../src/engine/pipeline.ts";
import { playFiles, type PlayOptions } from "../../src/setup/embedded.ts";
import { LiveTracker } from "../../src/setup/live.ts";

const DEFECTS = {
  gapProbability: 0,
  delayProbability: 0,
  duplicateProbability: 0,
  maxDelaySeconds: 300,
  seed: 1,
};

/** Stops a play once something of it is committed. */
class StopAtOnce extends LiveTracker {
  readonly stop = new AbortController();
  override progress(progress: Progress): void {
    super.progress(progress);
    if (progress.readingsFolded > 0) this.stop.abort();
  }
}

/** A file of two meters for two days, half-hourly, in a folder that is removed again. */
async function withFile(work: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-embedded-" });
  const rows = ["meter_id,timestamp,consumption_kwh"];
  for (let slot = 0; slot < 96; slot++) {
    const time = new Date(Date.UTC(2013, 0, 1) + slot * 1_800_000).toISOString();
    for (const meterId of ["A", "B"]) rows.push(`${meterId},${time},0.5`);
  }
  try {
    await Deno.writeTextFile(`${folder}/two.csv`, rows.join("\n") + "\n");
    await work(`${folder}/two.csv`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function playOptions(path: string, directory: string, yaml: string): PlayOptions {
  const text = `commit_records_max: 10\n${yaml}`;
  return {
    command: "run",
    paths: [path],
    config: readConfig({ path: "c.yaml", text }, () => undefined),
    directory,
    partitions: null,
    ratePerSecond: Infinity,
    defects: DEFECTS,
    columns: {},
    nowMs: Date.UTC(2014, 0, 1),
    isSilent: true,
    signal: new AbortController().signal,
    live: new LiveTracker(() => 0),
  };
}

Deno.test("playFiles() refuses to go on where one meter has another interval", async () => {
  await withFile(async (path, folder) => {
    const store = await SqliteStore.open(folder);
    try {
      const live = new StopAtOnce(() => 0);
      const begun = playOptions(path, folder, "meters: {A: 30, B: 30}\n");
      const first = await playFiles(store, { ...begun, live, signal: live.stop.signal });
      assert.equal(first.isFinished, false);
      for (const meters of ["meters: {A: 15, B: 30}", "meters: {A: 30}", ""]) {
        await assert.rejects(playFiles(store, playOptions(path, folder, meters)), (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(
            error.message,
            /^Cannot run on with meters=.*: it was begun with A: 30, B: 30/,
          );
          return true;
        });
      }
      const same = playOptions(path, folder, "meters: {B: 30, A: 30}\n");
      assert.equal((await playFiles(store, same)).isFinished, true);
      const { rows: [{ gaps }] } = await store.query("SELECT count(*) AS gaps FROM gap_alerts");
      assert.equal(Number(gaps), 0);
    } finally {
      await store.close();
    }
  });
});
