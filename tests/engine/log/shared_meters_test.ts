import assert from "node:assert/strict";
import { MemoryStore } from "../../../src/adapters/memory/store.ts";
import { type PartitionTask, sharedMeterMetrics } from "../../../src/engine/log/shared_meters.ts";
import { Task } from "../../../src/engine/task.ts";
import { benchOptions } from "../../bench/options.ts";

const AT = { offset: 7, timestampMs: Date.UTC(2024, 0, 1) };

const readingOf = (meterId: string, offset: number) => ({
  ...{ meterId, offset, timestampMs: AT.timestampMs, consumptionKwh: 1 },
});

async function partitionOf(partition: number, ...ids: string[]): Promise<PartitionTask> {
  const task = await Task.open({ ...benchOptions(), partition }, new MemoryStore());
  ids.forEach((id, offset) => task.processor.reading(readingOf(id, offset)));
  task.takeCommit();
  return { partition, task };
}

Deno.test("sharedMeterMetrics() tells of a meter once, when it begins where another partition has it", async () => {
  const own = await partitionOf(4, "M1", "M2");
  const held = [await partitionOf(1, "M2", "M3"), own, { partition: 9, task: null }];
  assert.deepEqual(sharedMeterMetrics(own, held, AT), [{
    ...AT,
    metricType: "meter_in_several_partitions",
    meterId: "M2",
    value: 2,
    tags: { partitions: "1,4" },
  }]);
  const { timestampMs } = AT;
  own.task?.processor.reading({ ...readingOf("M1", 2), timestampMs: timestampMs + 1_800_000 });
  own.task?.takeCommit();
  assert.deepEqual(sharedMeterMetrics(own, held, AT), []);
});

Deno.test("sharedMeterMetrics() is silent where no meter is shared, and bounded where all are", async () => {
  const ids = Array.from({ length: 1000 }, (_, m) => `M${m}`);
  const own = await partitionOf(0, ...ids);
  assert.deepEqual(sharedMeterMetrics(own, [own, await partitionOf(1, "X")], AT), []);
  assert.equal(sharedMeterMetrics(own, [own, await partitionOf(2, ...ids)], AT).length, 100);
});
