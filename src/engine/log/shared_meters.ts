import type { Metric } from "../../core/outputs.ts";
import type { Task } from "../task.ts";

/** Of one commit at most so many are told of: a fleet that is partitioned anew is one mistake. */
const SHARED_METERS_MAX = 100;

/** A partition held, and its task while it has one. */
export type PartitionTask = { readonly partition: number; readonly task: Task | null };

/**
 * Metrics of meters that began in this partition though another partition of this process has them,
 * too: each judges what it gets, so their gaps are those of half a meter. Partitions of other
 * processes are not seen; `verify --kafka` sees them all.
 */
export function sharedMeterMetrics(
  own: PartitionTask,
  held: readonly PartitionTask[],
  { offset, timestampMs }: Pick<Metric, "offset" | "timestampMs">,
): Metric[] {
  const metrics: Metric[] = [];
  for (const meterId of own.task?.processor.meters.begun ?? []) {
    const partitions = held.filter((one) =>
      one.partition === own.partition || (one.task?.processor.meters.find(meterId) ?? -1) >= 0
    ).map(({ partition }) => partition).sort((a, b) => a - b);
    if (partitions.length < 2) continue;
    metrics.push({
      offset,
      metricType: "meter_in_several_partitions",
      meterId,
      timestampMs,
      value: partitions.length,
      tags: { partitions: partitions.join(",") },
    });
    if (metrics.length === SHARED_METERS_MAX) break;
  }
  return metrics;
}
