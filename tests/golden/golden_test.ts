/** Rung 5: one golden, many ways. */
import assert from "node:assert/strict";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { SqliteStore } from "../../src/adapters/sqlite/store.ts";
import { DISPOSITIONS, ledgerDifference } from "../../src/core/ledger.ts";
import { playRecords } from "../../src/engine/pipeline.ts";
import type { CommitStore } from "../../src/engine/ports.ts";
import { Task } from "../../src/engine/task.ts";
import { FAULT_KINDS, FaultyStore, isStoreFailure } from "../simulation/faulty_store.ts";
import { coreOptions, rawOf } from "../simulation/fold.ts";
import { oracle, type OracleOptions } from "../specification/oracle.ts";
import { pipelineOptions, toChunks } from "../simulation/playback.ts";
import {
  assertGolden,
  GOLDEN,
  type GoldenFile,
  MESSAGE_FILES,
  messageLines,
  positionLine,
  readGolden,
  readRaw,
  updateGolden,
} from "./golden.ts";
import { readTables } from "./tables.ts";

const NAMES = Object.keys(GOLDEN);

/** Plays a stream to its end, with a new task after each failure of the store. */
async function play(name: string, store: CommitStore, commitRecordsMax: number): Promise<void> {
  const records = (await readRaw(name)).map((text) => ({ partition: 0, text }));
  while (true) {
    try {
      const options = { changelogBytesMin: 500 };
      const task = await Task.open(coreOptions(GOLDEN[name]), store, options);
      const pipeline = pipelineOptions(1, { commitRecordsMax });
      await playRecords(toChunks(records), [task], store, pipeline);
      return;
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
    }
  }
}

function linesOf(store: MemoryStore): Record<GoldenFile, string> {
  const stored = store.partitions.get(0)!;
  // A pipeline tells of its commits' durations: they are not the stream's.
  const metrics = stored.outputs.metrics.filter((it) => it.metricType !== "commit_duration_ms");
  const outputs = { ...stored.outputs, metrics };
  return { ...messageLines(outputs, 0), position: positionLine(stored) };
}

async function assertFiles(
  name: string,
  lines: Readonly<Record<string, string>>,
  files: readonly GoldenFile[],
  how: string,
): Promise<void> {
  for (const file of files) {
    assertGolden(lines[file], await readGolden(name, file), `${name}/${file}.jsonl, ${how}`);
  }
}

for (const name of NAMES) {
  Deno.test(`the golden stream ${name} gives its frozen messages, byte for byte, straight`, async () => {
    const store = new MemoryStore();
    await play(name, store, 1_000_000);
    const lines = linesOf(store);
    await updateGolden(name, lines);
    await assertFiles(name, lines, [...MESSAGE_FILES, "metrics"], "straight");
  });

  Deno.test(`the golden stream ${name} gives its frozen messages in batches of 1`, async () => {
    const store = new MemoryStore();
    await play(name, store, 1);
    await assertFiles(name, linesOf(store), MESSAGE_FILES, "batches of 1");
  });

  Deno.test(`the golden stream ${name} gives its frozen messages across a crash at any step`, async () => {
    for (let at = 0, steps = Infinity; at < steps; at++) {
      for (const kind of FAULT_KINDS) {
        const store = new FaultyStore(new MemoryStore(), {
          faultAt: (step) => step === at ? kind : null,
        });
        await play(name, store, 7);
        await assertFiles(name, linesOf(store.inner), MESSAGE_FILES, `${kind} at step ${at}`);
        if (store.steps <= at) steps = at;
      }
    }
  });

  Deno.test(`the golden stream ${name} is what the specification says, too`, async () => {
    const expected = oracle(await readRaw(name), null, GOLDEN[name]);
    assertGolden(
      await readGolden(name, "position"),
      positionLine({ ...expected, nextOffset: expected.ledger.raw }),
      `${name}/position.jsonl`,
    );
    const gaps = new Map<string, Record<string, unknown>>();
    for (const line of (await readGolden(name, "gap_alerts")).split("\n").slice(0, -1)) {
      const gap = JSON.parse(line);
      gaps.set(gap.gap_id, gap);
    }
    assert.deepEqual([...gaps.keys()].sort(), expected.gaps.map(({ gapId }) => gapId));
    for (const gap of expected.gaps) {
      const { missing_from, missing_to, ...said } = gaps.get(gap.gapId)!;
      assert.equal(Date.parse(String(missing_from)), gap.missingFromMs, gap.gapId);
      assert.equal(Date.parse(String(missing_to)), gap.missingToMs, gap.gapId);
      assert.equal(said.gap_minutes, (gap.missingToMs - gap.missingFromMs) / 60_000, gap.gapId);
      assert.equal(said.missing_intervals, gap.missingIntervals, gap.gapId);
      assert.equal(said.rejected_intervals, gap.rejectedIntervals, gap.gapId);
      assert.equal(said.state, gap.state, gap.gapId);
    }
  });
}

Deno.test("the golden streams reach every disposition, reason, flag and gap state", async () => {
  const seen = new Set<string>();
  for (const name of NAMES) {
    const store = new MemoryStore();
    await play(name, store, 1_000_000);
    const { outputs, ledger } = store.partitions.get(0)!;
    assert.equal(ledgerDifference(ledger), 0);
    for (const disposition of DISPOSITIONS) if (ledger[disposition] > 0) seen.add(disposition);
    for (const { flags } of outputs.validated) flags.forEach((flag) => seen.add(flag));
    for (const { state } of outputs.gaps) seen.add(state);
    for (const { reason } of outputs.rejected) seen.add(reason);
  }
  const every = [
    ...[...DISPOSITIONS, "TIME_SHIFT", "NEGATIVE", "OPEN", "CLOSED", "FILLED", "EXPIRED"],
    ...["MALFORMED", "MISSING_FIELD", "BAD_METER_ID", "BAD_TIMESTAMP", "BAD_VALUE", "TOO_OLD"],
    ...["TOO_LARGE", "FUTURE", "DUPLICATE", "CONFLICT"],
  ];
  assert.deepEqual([...seen].sort(), every.sort());
});

Deno.test("the golden streams read back from the embedded database are the frozen messages", async () => {
  const settings: OracleOptions[] = Object.values(GOLDEN);
  assert.equal(settings.length, NAMES.length);
  const directory = await Deno.makeTempDir({ prefix: "gridwatch-golden-" });
  const store = await SqliteStore.open(directory);
  try {
    for (const [partition, name] of NAMES.entries()) {
      const task = await Task.open({ ...coreOptions(GOLDEN[name]), partition }, store);
      const records = (await readRaw(name)).map((text) => ({ partition: -1, text }));
      for (let at = 0; at < records.length; at += 13) {
        for (const { text } of records.slice(at, at + 13)) {
          task.fold(rawOf(text, task.nextOffset));
        }
        await store.commit(task.takeCommit()!);
      }
      const found = await readTables(store, partition);
      const here = `"partition":${partition},`;
      const lines = { ...found, rejected: found.rejected.replaceAll(here, '"partition":0,') };
      const files = MESSAGE_FILES.filter((file) => !["gap_alerts", "validation"].includes(file));
      await assertFiles(name, lines, files, "embedded");
      assertGolden(lines.gap_alerts, latestGaps(await readGolden(name, "gap_alerts")), name);
      assertGolden(lines.validation, latestFindings(await readGolden(name, "validation")), name);
    }
  } finally {
    await store.close();
    await Deno.remove(directory, { recursive: true });
  }
});

/** The last message of each gap, by id: what a consumer that upserts has in the end. */
function latestGaps(lines: string): string {
  const latest = new Map<string, string>();
  for (const line of lines.split("\n").slice(0, -1)) latest.set(JSON.parse(line).gap_id, line);
  return [...latest.keys()].sort().map((id) => `${latest.get(id)}\n`).join("");
}

/** The last message of each run or episode, in the order in which they came. */
function latestFindings(lines: string): string {
  const latest = new Map<string, string>();
  for (const line of lines.split("\n").slice(0, -1)) {
    const { meter_id: meterId, rule, from } = JSON.parse(line);
    const key = JSON.stringify([meterId, rule, from]);
    latest.delete(key);
    latest.set(key, line);
  }
  return [...latest.values()].map((line) => `${line}\n`).join("");
}
