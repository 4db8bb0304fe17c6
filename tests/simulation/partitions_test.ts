/** Rung 5: partitions, interleavings and batches change nothing that must not change. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../../src/adapters/memory/store.ts";
import { gapId } from "../../src/core/wire/output_json.ts";
import type { GapAlert, Outputs } from "../../src/core/outputs.ts";
import { partitionOf } from "../../src/replay/partitioner.ts";
import { Processor } from "../../src/core/processor.ts";
import { newParsedRecord, parseRecord } from "../../src/core/wire/raw_record.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import { Task } from "../../src/engine/task.ts";
import { createRandom, type Random, randomInteger } from "../../src/generate/random.ts";
import { endingOptionsArbitrary, streamArbitrary } from "../specification/arbitraries.ts";
import { fleetStream } from "./fleet_stream.ts";
import { coreOptions, foldRecords, rawOf } from "./fold.ts";
import type { OracleOptions } from "../specification/oracle.ts";
import { answerOf, assertSameAnswer, metricSums, outputLines } from "./playback.ts";

const RUNS = Number(Deno.env.get("GRIDWATCH_TEST_RUNS") ?? 400);
const SEED = 20130101;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A record and whose it is: of a meter, of nobody (a key of its own), or a tick (null). */
type Owned = { readonly owner: string | null; readonly text: string; readonly atMs: number };

function toOwned(texts: readonly string[]): Owned[] {
  const parsed = newParsedRecord();
  return texts.map((text, r) => {
    const bytes = encoder.encode(text);
    parseRecord(bytes, 0, bytes.length, UTC_ZONE, parsed);
    const { kind, idStart, idEnd, meterId, timestampMs } = parsed;
    const id = idEnd > 0 ? decoder.decode(bytes.subarray(idStart, idEnd)) : meterId;
    const owner = kind === "tick" ? null : id ?? `nobody ${r}`;
    return { owner, text, atMs: Number.isNaN(timestampMs) ? -Infinity : timestampMs };
  });
}

const ORDERS = ["by meter", "by time", "shuffled"] as const;
type Order = (typeof ORDERS)[number];

/** Each meter's records in their order, the meters' interleaved otherwise; ticks stay where they are. */
function interleave(records: readonly Owned[], order: Order, random: Random): Owned[] {
  const result: Owned[] = [];
  const queues = new Map<string, Owned[]>();
  const flush = () => {
    while (queues.size > 0) {
      const next = [...queues];
      let pick = 0;
      if (order === "shuffled") pick = randomInteger(random, 0, next.length - 1);
      if (order === "by time") {
        next.forEach(([, [{ atMs }]], q) => pick = atMs < next[pick][1][0].atMs ? q : pick);
      }
      const [owner, queue] = next[pick];
      result.push(queue.shift()!);
      if (queue.length === 0) queues.delete(owner);
    }
  };
  for (const record of records) {
    if (record.owner === null) {
      flush();
      result.push(record);
    } else if (!queues.get(record.owner)?.push(record)) queues.set(record.owner, [record]);
  }
  flush();
  return result;
}

/** The outputs of all partitions together, offsets left out: they are where a record lies. */
function foldPartitioned(
  records: readonly Owned[],
  settings: OracleOptions,
  partitionCount: number,
): Answer {
  const logs: string[][] = Array.from({ length: partitionCount }, () => []);
  for (const { owner, text } of records) {
    if (owner === null) logs.forEach((log) => log.push(text));
    else logs[partitionOf(encoder.encode(owner), partitionCount)].push(text);
  }
  const all = logs.map((log, partition): Outputs => {
    const processor = new Processor(coreOptions(settings, partition));
    foldRecords(processor, log);
    return processor.takeOutputs();
  });
  return toAnswer(all);
}

type Answer = {
  readonly messages: string[];
  readonly gapTable: string[];
  readonly story: string[];
};

function toAnswer(all: readonly Outputs[]): Answer {
  const lines = all.flatMap((outputs) => outputLines({ ...outputs, gaps: [] }, "none"));
  const gaps = all.flatMap((outputs) => outputs.gaps);
  const withoutOffset = (text: string) => text.replace(/"offset":\d+,/, "");
  const plain = (gap: GapAlert) => `${gapId(gap)} ${withoutOffset(JSON.stringify(gap))}`;
  const story = Map.groupBy(gaps, ({ meterId }) => meterId);
  return {
    messages: lines.map(withoutOffset).sort(),
    gapTable: [...new Map(gaps.map((gap) => [gapId(gap), plain(gap)])).values()].sort(),
    story: [...story.values()].map((told) => told.map(plain).join("\n")).sort(),
  };
}

function assertSame(actual: Answer, expected: Answer, context: string): void {
  assertSameAnswer(actual.messages, expected.messages, context);
  assertSameAnswer(actual.gapTable, expected.gapTable, context);
  assertSameAnswer(actual.story, expected.story, context);
}

/** The tick that ends a finite input, when anything was in it. */
function lastTick(records: readonly Owned[]): Owned[] {
  const atMs = Math.max(...records.map((record) => record.atMs));
  if (!Number.isFinite(atMs)) return [];
  const timestamp = new Date(Math.min(atMs, Date.UTC(2100, 0, 1))).toISOString();
  return [{ owner: null, text: `{"type":"tick","timestamp":"${timestamp}","final":true}`, atMs }];
}

const meterScope = endingOptionsArbitrary.map((options) => ({
  ...options,
  watermarkScope: "meter" as const,
}));
const cases = meterScope.chain((settings) =>
  fc.record({
    // A tick that is too old would be rejected once a partition.
    settings: fc.constant({ ...settings, minTimestampMs: 0 }),
    texts: streamArbitrary(settings),
    partitions: fc.integer({ min: 1, max: 6 }),
    seed: fc.nat(),
  })
);

for (const ticks of ["no ticks", "one tick at the end", "ticks"] as const) {
  Deno.test(`meter scope gives one answer in any interleaving and partitioning, with ${ticks}`, () => {
    fc.assert(
      fc.property(cases, ({ settings, texts, partitions, seed }) => {
        const all = toOwned(texts);
        const readings = all.filter(({ owner }) => owner !== null);
        const kept = ticks === "ticks" ? all : readings;
        const records = ticks === "no ticks" ? kept : [...kept, ...lastTick(kept)];
        const expected = foldPartitioned(records, settings, 1);
        for (const order of ORDERS) {
          const other = interleave(records, order, createRandom(seed));
          for (const count of new Set([1, partitions])) {
            const context = `${order}, ${count} partitions, seed ${seed}`;
            assertSame(foldPartitioned(other, settings, count), expected, context);
          }
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
}

Deno.test("meter scope gives one answer for a fleet of a month, in any interleaving and partitioning", () => {
  for (let seed = 0; seed < 12; seed++) {
    const [drawn] = fc.sample(meterScope, { seed, numRuns: 1 });
    const stream = fleetStream(createRandom(seed), {
      settings: drawn,
      partitionCount: 1,
      meterCount: 20,
      recordsMax: 600,
    });
    const records = toOwned(stream.map(({ text }) => text));
    const expected = foldPartitioned(records, drawn, 1);
    for (const order of ORDERS) {
      const other = interleave(records, order, createRandom(seed));
      for (const count of [1, 4]) {
        const context = `${order}, ${count} partitions, seed ${seed}`;
        assertSame(foldPartitioned(other, drawn, count), expected, context);
      }
    }
  }
});

const streams = endingOptionsArbitrary.chain((settings) =>
  fc.record({
    // A tick that is too old would be rejected once a partition.
    settings: fc.constant({ ...settings, minTimestampMs: 0 }),
    texts: streamArbitrary(settings),
    changelogBytesMin: fc.constantFrom(0, 300, 1 << 20),
  })
);

/** Folds and commits in batches; `restores`: each by a task restored from the store. */
async function foldInBatches(
  { settings, texts, changelogBytesMin }: {
    settings: OracleOptions;
    texts: readonly string[];
    changelogBytesMin: number;
  },
  batchRecords: number,
  restores: boolean,
): Promise<MemoryStore> {
  const store = new MemoryStore();
  const open = () => Task.open(coreOptions(settings), store, { changelogBytesMin });
  let task = await open();
  for (let at = 0; at < texts.length; at += batchRecords) {
    for (const text of texts.slice(at, at + batchRecords)) {
      task.fold(rawOf(text, task.nextOffset));
    }
    await store.commit(task.takeCommit()!);
    if (restores) task = await open();
  }
  return store;
}

function sumsOf(store: MemoryStore): Record<string, number> {
  return metricSums(store.partitions.get(0)?.outputs.metrics ?? []);
}

for (const restores of [false, true]) {
  const how = restores ? "restored after each record" : "committed after each record";
  Deno.test(`a task ${how} says what one says that folds all at once, counts per commit aside`, async () => {
    await fc.assert(
      fc.asyncProperty(streams, async (of) => {
        const straight = await foldInBatches(of, of.texts.length, false);
        const single = await foldInBatches(of, 1, restores);
        const options = [coreOptions(of.settings)];
        assertSameAnswer(
          await answerOf(single, options, "none"),
          await answerOf(straight, options, "none"),
          "batch of 1",
        );
        assert.deepEqual(sumsOf(single), sumsOf(straight));
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });
}
