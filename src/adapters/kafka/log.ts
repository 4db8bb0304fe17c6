import type {
  GroupHandlers,
  LogAdmin,
  LogCommitter,
  LogError,
  LogGroup,
  LogProducer,
  LogReader,
  LogReaderOptions,
} from "../../engine/log/ports.ts";
import { KafkaAdmin } from "./admin.ts";
import { KafkaCluster } from "./cluster.ts";
import { type CommitterOptions, KafkaCommitter } from "./committer.ts";
import type { KafkaOptions } from "./connections.ts";
import { type GroupOptions, KafkaGroup } from "./group.ts";
import { KafkaProducer, type ProducerOptions } from "./producer.ts";
import { KafkaReader } from "./reader.ts";

/** A Kafka cluster: where readers, committers, producers and groups of it come from. */
export class KafkaLog {
  readonly #cluster: KafkaCluster;
  readonly #options: KafkaOptions;
  readonly #onTrouble: (trouble: LogError | null) => void;
  readonly #open = new Set<{ close(): Promise<void> }>();
  #lanes = 0;

  /** `onTrouble` hears when the cluster gets out of reach, and null when it is back. */
  constructor(options: KafkaOptions, onTrouble: (trouble: LogError | null) => void) {
    this.#options = options;
    this.#cluster = new KafkaCluster(options);
    this.#onTrouble = onTrouble;
  }

  /**
   * Waits until a broker answers.
   *
   * @throws {LogError} None has by the deadline: `Cannot reach Kafka at …: connection refused`.
   */
  async reach(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    await this.#cluster.retry(
      { what: "reach Kafka", deadlineMs, signal },
      () => this.#cluster.describe([]),
    );
  }

  admin(options: { deadlineMs: number }): LogAdmin {
    return new KafkaAdmin(this.#cluster, options);
  }

  reader(options: LogReaderOptions): LogReader {
    const lane = this.#lane("read");
    return this.#keep(
      new KafkaReader(this.#cluster, { lane, options, onTrouble: this.#onTrouble }),
    );
  }

  committer(options: Omit<CommitterOptions, "lane">): LogCommitter {
    return new KafkaCommitter(this.#cluster, { ...options, lane: this.#lane("commit") });
  }

  producer(options: Omit<ProducerOptions, "lane">): LogProducer {
    return new KafkaProducer(this.#cluster, { ...options, lane: this.#lane("produce") });
  }

  /** Joins a group; its partitions come through the handlers. */
  group(options: GroupOptions, handlers: GroupHandlers): LogGroup {
    const group = new KafkaGroup(this.#options, { options, handlers, onTrouble: this.#onTrouble });
    this.#open.add({ close: () => group.leave() });
    return group;
  }

  /** Closes what is left open of all that came from here. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((open) => open.close()));
    await this.#cluster.close();
  }

  #keep<T extends { close(): Promise<void> }>(open: T): T {
    this.#open.add(open);
    return open;
  }

  #lane(kind: string): string {
    return `${kind}-${++this.#lanes}`;
  }
}
