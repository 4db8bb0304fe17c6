import { initProducerIdV4 } from "@platformatic/kafka";
import { LogError, type LogProducer, type LogRecords } from "../../engine/log/ports.ts";
import type { KafkaCluster } from "./cluster.ts";
import { reasonOf } from "./errors.ts";
import { RecordSender, type SenderOptions } from "./sender.ts";

export type ProducerOptions = Omit<SenderOptions, "transactionalId"> & {
  /** How long to try when the cluster is away or moving. */
  readonly deadlineMs: number;
};

const NO_TRANSACTION_TIMEOUT_MS = 60_000;

/**
 * An idempotent producer: `acks=all`, each record once and in order. What it was sending when it
 * failed may be there or not, so after an error it is of no use any more.
 */
export class KafkaProducer implements LogProducer {
  readonly #cluster: KafkaCluster;
  readonly #options: ProducerOptions;
  readonly #sender: RecordSender;
  #opened: Promise<void> | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #failure: Error | null = null;

  constructor(cluster: KafkaCluster, options: ProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#sender = new RecordSender(cluster, { ...options, transactionalId: null });
  }

  send(records: readonly LogRecords[]): Promise<number[]> {
    const sent = this.#last.then(() => this.#send(records));
    this.#last = sent.catch(() => {}); // the caller hears it
    return sent;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#cluster.connections.closeLane(this.#options.lane);
  }

  async #send(records: readonly LogRecords[]): Promise<number[]> {
    if (this.#failure !== null) {
      throw new LogError("Cannot write: an earlier write failed", { cause: this.#failure });
    }
    await (this.#opened ??= this.#open());
    await this.#sender.check(records);
    try {
      return await this.#sender.send(records, this.#options.deadlineMs);
    } catch (error) {
      this.#failure = error as Error;
      if (error instanceof LogError) throw error;
      throw new LogError(`Cannot write: ${reasonOf(error)}`, { cause: error });
    }
  }

  async #open(): Promise<void> {
    const { lane, deadlineMs } = this.#options;
    const { producerId, producerEpoch } = await this.#cluster.retry(
      { what: "get a producer id", deadlineMs },
      () => this.#cluster.any(lane, initProducerIdV4, null, NO_TRANSACTION_TIMEOUT_MS, -1n, -1),
    );
    this.#sender.identify({ producerId, epoch: producerEpoch, transactional: false });
  }
}
