/** Ticks folded in parts, however many meters each judges, and wherever it is restored between them. */
import assert from "node:assert/strict";
import {
  applyChanges,
  decodeTask,
  encodeAll,
  encodeTask,
  finishRestore,
} from "../../src/core/codec.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import type { Outputs } from "../../src/core/outputs.ts";
import { Processor } from "../../src/core/processor.ts";
import { outputRecords, topicNames } from "../../src/engine/log/records.ts";
import { createRandom } from "../../src/generate/random.ts";
import { fleetStream } from "./fleet_stream.ts";
import { coreOptions, rawOf } from "./fold.ts";
import { type LogRecord, stateLines, toLogs } from "./playback.ts";
import { MIXED_SETTINGS } from "./settings.ts";

const TOPICS = topicNames("");
const SEEDS = [1, 2, 3, 4, 5, 6];

/** Gaps and findings with their origins, as they would stand in the topics. */
function gapLines(outputs: Outputs): string[] {
  const runs = outputRecords({ ...outputs, metrics: [] }, {
    topics: TOPICS,
    partition: 0,
    nowMs: 0,
  });
  const text = new TextDecoder();
  const said = runs.filter(({ topic }) =>
    topic === TOPICS.gapAlerts || topic === TOPICS.validation
  );
  return said.flatMap((run) =>
    Array.from({ length: run.count }, (_, r) => {
      const value = text.decode(
        run.values.subarray(r === 0 ? 0 : run.valueEnds[r - 1], run.valueEnds[r]),
      );
      return `${run.topic} ${run.origins?.offsets[r]}/${run.origins?.indexes[r]} ${value}`;
    })
  ).sort();
}

function restored(processor: Processor, options: ProcessorOptions): Processor {
  const task = encodeTask(processor);
  const payloads = [...encodeAll(processor, 1000)];
  const next = new Processor(options, decodeTask(task));
  for (const payload of payloads) applyChanges(payload, next);
  finishRestore(next);
  return next;
}

type Played = { readonly gaps: string[]; readonly state: string[]; readonly parts: number };

function play(
  log: readonly LogRecord[],
  options: ProcessorOptions,
  { metersMax, restores }: { metersMax: number; restores: boolean },
): Played {
  let processor = new Processor(options);
  const gaps: string[] = [];
  let parts = 0;
  for (const { text, offset, timeMs } of log) {
    while (!processor.recordPart(rawOf(text, offset, timeMs), metersMax)) {
      parts++;
      assert.equal(processor.state.nextOffset, offset, "the record counts with its last part");
      gaps.push(...gapLines(processor.takeOutputs()));
      if (restores) processor = restored(processor, options);
    }
    gaps.push(...gapLines(processor.takeOutputs()));
  }
  gaps.sort(); // of parts, findings do not come behind all gaps
  const { ledger, nextOffset } = processor.state;
  return { gaps, parts, state: [JSON.stringify({ ledger, nextOffset }), ...stateLines(processor)] };
}

for (const watermarkScope of ["partition", "meter"] as const) {
  Deno.test(`recordPart() says what record() says, in any parts, watermark by ${watermarkScope}`, () => {
    let parts = 0;
    for (const seed of SEEDS) {
      const shape = { partitionCount: 1, meterCount: 12, recordsMax: 400 };
      const settings = { ...MIXED_SETTINGS, watermarkScope };
      const [log] = toLogs(fleetStream(createRandom(seed), { settings, ...shape }), 1);
      const options = coreOptions(settings);
      const whole = play(log, options, { metersMax: Infinity, restores: false });
      assert.ok(whole.gaps.length > 10, `seed ${seed}: ${whole.gaps.length} gaps`);
      for (const metersMax of [1, 2, 5]) {
        for (const restores of [false, true]) {
          const context = `seed ${seed}, ${metersMax} meters a part, restored: ${restores}`;
          const found = play(log, options, { metersMax, restores });
          assert.deepEqual(found.gaps, whole.gaps, context);
          assert.deepEqual(found.state, whole.state, context);
          parts += found.parts;
        }
      }
    }
    assert.ok(parts > 30, `${parts} parts`);
  });
}
