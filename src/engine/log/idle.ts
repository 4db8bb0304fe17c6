import type { LogProducer, PartitionRef } from "./ports.ts";
import type { Processor } from "../../core/processor.ts";
import { encodeTick } from "../../core/wire/raw_record.ts";

/**
 * What time it is in an idle partition: the time its last record was written, and how long ago that
 * was by a clock that does not jump. Null where the wall clock has no say:
 *
 * - during a replay, whose ticks are the clock;
 * - where the watermark is further back than the time to live: these readings are history, and a
 *   tick of today would only expire every meter.
 */
export function idleTickMs(
  { state, options, watermarkMs }: Processor,
  { recordTimeMs, idleMs }: { recordTimeMs: number; idleMs: number },
): number | null {
  const tickMs = Math.floor(recordTimeMs + idleMs);
  if (state.replaying || watermarkMs === null || Number.isNaN(tickMs)) return null;
  if (tickMs <= watermarkMs || tickMs - watermarkMs >= options.stateTtlMs) return null;
  return tickMs;
}

/**
 * Writes ticks. They are not waited for, so that the other partitions go on while a broker is away;
 * one that is lost is followed by the next.
 */
export class TickSender {
  readonly #openProducer: () => LogProducer;
  readonly #onFailed: (partition: number, error: unknown) => void;
  #producer: LogProducer | null = null;

  constructor(
    openProducer: () => LogProducer,
    onFailed: (partition: number, error: unknown) => void,
  ) {
    this.#openProducer = openProducer;
    this.#onFailed = onFailed;
  }

  send(to: PartitionRef, tickMs: number): void {
    const values = encodeTick(tickMs);
    const producer = this.#producer ??= this.#openProducer();
    const run = { ...to, count: 1, values, valueEnds: [values.length], timesMs: tickMs };
    producer.send([{ ...run, keys: null, keyEnds: null, origins: null }]).catch((error) => {
      if (this.#producer === producer) this.#producer = null;
      producer.close().catch(() => {}); // it has failed, and is of no use any more
      this.#onFailed(to.partition, error);
    });
  }

  async close(): Promise<void> {
    await this.#producer?.close();
  }
}
