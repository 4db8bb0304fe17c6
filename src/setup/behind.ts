import type { Config } from "../settings.ts";
import { newParsedRecord, parseRecord } from "../core/wire/raw_record.ts";
import { formatTimestamp } from "../core/time.ts";
import { buildZone } from "../core/zone.ts";
import { committedReader, DEADLINE_MS, type KafkaSetup } from "./kafka.ts";

/** Enough for a reading or a tick to be among them, behind the markers of transactions. */
const TAIL_OFFSETS = 200;
const TAIL_WAIT_MS = 1000;

/**
 * What to say, before they are played, of files that begin behind what `place` holds already: with one
 * clock a partition, whatever is older than that by the allowed lateness will be too late.
 */
export function behindLines(
  { firstMs, heldToMs, config }: {
    firstMs: number | null;
    heldToMs: number | null;
    config: Config;
  },
  { place, wayOut }: { place: string; wayOut: string },
): string[] {
  if (config.watermark_scope !== "partition" || firstMs === null || heldToMs === null) return [];
  const reachMs = (config.allowed_lateness_seconds + config.out_of_orderness_seconds) * 1000;
  if (firstMs >= heldToMs - reachMs) return [];
  return [
    `warning: ${place} goes to ${formatTimestamp(heldToMs)} already and these files begin at ` +
    `${formatTimestamp(firstMs)}: what is older will be too late`,
    `hint: ${wayOut}`,
  ];
}

/** The latest event time near the end of the raw topic; null: it is empty. */
export async function readHeldTo(setup: KafkaSetup, partitions: number): Promise<number | null> {
  const { log, topics, config } = setup;
  const zone = buildZone(config.timezone);
  const parsed = newParsedRecord();
  const admin = log.admin({ deadlineMs: DEADLINE_MS });
  const reader = committedReader(setup);
  const latestMs = Date.now() + config["validation.max_future_seconds"] * 1000;
  let heldToMs = -Infinity;
  try {
    const refs = Array.from({ length: partitions }, (_, partition) => ({
      topic: topics.raw,
      partition,
    }));
    const starts = await admin.listOffsets(refs, "start");
    const ends = await admin.listOffsets(refs, "end");
    for (const { partition, offset: end } of ends) {
      const start = starts.find((one) => one.partition === partition)?.offset ?? 0;
      if (end <= start) continue;
      reader.assign({ topic: topics.raw, partition, offset: Math.max(start, end - TAIL_OFFSETS) });
      const batch = await reader.next(TAIL_WAIT_MS, AbortSignal.timeout(DEADLINE_MS));
      reader.unassign({ topic: topics.raw, partition });
      for (let r = 0; r < (batch?.count ?? 0); r++) {
        const { bytes, values } = batch!;
        parseRecord(bytes, Math.max(0, values.starts[r]), values.ends[r], zone, parsed);
        const { timestampMs } = parsed;
        if (timestampMs > heldToMs && timestampMs <= latestMs) heldToMs = timestampMs;
      }
    }
  } finally {
    await reader.close();
    await admin.close();
  }
  return heldToMs === -Infinity ? null : heldToMs;
}
