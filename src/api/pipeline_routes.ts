import type { Hono } from "hono";
import { DISPOSITIONS } from "../core/ledger.ts";
import type { PartitionHealth } from "../tables/pipeline_health.ts";
import type { PartitionLedger } from "../tables/ledger.ts";
import { isoFromMs } from "../tables/values.ts";
import { readParameters } from "./parameters.ts";
import type { StatusPorts } from "./ports.ts";
import type { Answers, PartitionWrites } from "./status.ts";

/** Records are on their way all the time: they wait once none has come for such a share of the limit. */
const WAITING_SHARE = 3;

/**
 * How a partition stands: `running`; `waiting`: records wait, and not yet too long; `stalled`: for too
 * long; `unread`: nothing of it was ever judged; `unseen`: no sink looks any more.
 */
type PartitionState = "running" | "waiting" | "stalled" | "unread" | "unseen";

/** `/api/pipeline`: the way of the records, partition by partition. */
export function addPipelineRoutes(
  app: Hono,
  { ports, answers }: { readonly ports: StatusPorts; readonly answers: Answers },
): void {
  const { live, version, stalledSeconds = Infinity } = ports;
  app.get("/api/pipeline", async (c) => {
    readParameters(c.req.url, []);
    const [ledger, pipeline] = await Promise.all([answers.ledger(), answers.pipeline()]);
    const { state, source, inputs, problems, readingsPerSecond, lastProgressAtMs } = live();
    const known = new Set([
      ...ledger.partitions.map(({ partition }) => partition),
      ...pipeline?.partitions.map(({ partition }) => partition) ?? [],
    ]);
    const partitions = [...known].sort((a, b) => a - b).map((partition) =>
      partitionOf({
        partition,
        stalledSeconds,
        account: ledger.partitions.find((one) => one.partition === partition) ?? null,
        health: pipeline?.partitions.find((one) => one.partition === partition) ?? null,
        writes: pipeline?.writes.get(partition) ?? null,
      })
    );
    return c.json({
      ...{ version, state, source, inputs, problems, partitions },
      readings_per_second: Math.round(readingsPerSecond * 10) / 10,
      last_progress_at: isoFromMs(lastProgressAtMs),
      total: ledger.total,
      sink_errors: pipeline?.sinkErrors ?? null,
    });
  });
}

function partitionOf({ partition, stalledSeconds, account, health, writes }: {
  readonly partition: number;
  readonly stalledSeconds: number;
  readonly account: PartitionLedger | null;
  readonly health: PartitionHealth | null;
  readonly writes: PartitionWrites | null;
}) {
  return {
    partition,
    state: stateOf(health, stalledSeconds),
    next_offset: account?.next_offset ?? health?.nextOffset ?? null,
    log_end_offset: health?.endOffset ?? null,
    last_stable_offset: health?.stableOffset ?? null,
    waiting: health?.waitingRecords ?? null,
    sink_lag: health?.unwrittenMessages ?? null,
    still_seconds: health?.stillSeconds ?? null,
    unseen_seconds: health?.unseenSeconds ?? null,
    watermark: account?.watermark ?? null,
    commit_seconds: writes?.commitSeconds ?? null,
    written_at: isoFromMs(writes?.writtenAtMs ?? null),
    raw: account?.raw ?? 0,
    ...Object.fromEntries(DISPOSITIONS.map((each) => [each, account?.[each] ?? 0])),
  };
}

function stateOf(health: PartitionHealth | null, stalledSeconds: number): PartitionState | null {
  if (health === null) return null;
  const { unseenSeconds, stillSeconds, nextOffset } = health;
  if (unseenSeconds >= stalledSeconds) return "unseen";
  if (stillSeconds >= stalledSeconds) return nextOffset === 0 ? "unread" : "stalled";
  return stillSeconds >= stalledSeconds / WAITING_SHARE ? "waiting" : "running";
}
