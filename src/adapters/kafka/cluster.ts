import { describeConfigsV2, findCoordinatorV4, metadataV12 } from "@platformatic/kafka";
import { LogError, topicsMadeAnew } from "../../engine/log/ports.ts";
import { type Address, KafkaConnections, type KafkaOptions } from "./connections.ts";
import {
  brokerErrorOf,
  isNetworkError,
  isRetriable,
  isTurnedAway,
  reasonOf,
  unreachable,
} from "./errors.ts";

type Connection = Awaited<ReturnType<KafkaConnections["get"]>>;

/** A request as the library makes it: `metadataV12.api` and the like. */
export type Api<Args extends unknown[], Answer> = {
  async(connection: Connection, ...args: Args): Promise<Answer>;
};

export type TopicMetadata = {
  readonly name: string;
  /** A UUID: a topic made anew under the same name has another. */
  readonly id: string;
  /** Leader of each partition; -1: none now. */
  readonly leaders: readonly number[];
  readonly leaderEpochs: readonly number[];
  readonly replication: number;
};

export type CoordinatorKind = "group" | "transaction";

const COORDINATOR_KINDS = { group: 0, transaction: 1 } as const;
const TOPIC_RESOURCE = 2 as const;
/** How long to ask for a topic's limit while the cluster is away. */
const LIMIT_DEADLINE_MS = 30_000;
/** Kafka's own default of `max.message.bytes`, where the topic's cannot be asked for. */
const MESSAGE_BYTES_DEFAULT = 1_048_588;
const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 2_000;
/** A topic just created is not known to all brokers at once. */
const MISSING_TOPIC_MS = 5_000;

export type RetryOptions = {
  /** Begins the message: `Cannot <what>: <reason>`. */
  readonly what: string;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Errors to try again besides those that are so by nature. */
  readonly retries?: (error: unknown) => boolean;
};

/** What is known of a cluster: its brokers, leaders and coordinators; found anew when they move. */
export class KafkaCluster {
  readonly connections: KafkaConnections;
  readonly #brokers = new Map<number, Address>();
  readonly #topics = new Map<string, TopicMetadata>();
  /** The identity that each topic had when it was first used here. */
  readonly #ids = new Map<string, string>();
  readonly #coordinators = new Map<string, Address>();
  readonly #messageBytesMax = new Map<string, number>();

  constructor(readonly options: KafkaOptions) {
    this.connections = new KafkaConnections(options);
  }

  /** Asks a broker that anyone can answer for. */
  async any<Args extends unknown[], Answer>(
    lane: string,
    { api }: { api: Api<Args, Answer> },
    ...args: Args
  ): Promise<Answer> {
    return await api.async(await this.#anyConnection(lane), ...args);
  }

  /** Asks a broker. */
  async ask<Args extends unknown[], Answer>(
    { lane, broker }: { lane: string; broker: Address },
    { api }: { api: Api<Args, Answer> },
    ...args: Args
  ): Promise<Answer> {
    return await api.async(await this.connections.get(broker, lane), ...args);
  }

  /** Asks the coordinator of a group or of a transactional id. */
  async askCoordinator<Args extends unknown[], Answer>(
    { lane, kind, key }: { lane: string; kind: CoordinatorKind; key: string },
    { api }: { api: Api<Args, Answer> },
    ...args: Args
  ): Promise<Answer> {
    const broker = await this.#coordinator(lane, kind, key);
    try {
      return await api.async(await this.connections.get(broker, lane), ...args);
    } catch (error) {
      const name = brokerErrorOf(error);
      const moved = name === "NOT_COORDINATOR" || name === "COORDINATOR_NOT_AVAILABLE";
      if (moved || isNetworkError(error)) this.#coordinators.delete(`${kind} ${key}`);
      throw error;
    }
  }

  /** Topics of these names that exist. */
  async describe(names: readonly string[]): Promise<TopicMetadata[]> {
    const answer = await this.any("main", metadataV12, [...names], false, false)
      .catch((error) => {
        const { response } = error as {
          response?: Awaited<ReturnType<typeof metadataV12.api.async>>;
        };
        if (response === undefined) throw error;
        return response;
      });
    this.#brokers.clear();
    for (const { nodeId, host, port } of answer.brokers) this.#brokers.set(nodeId, { host, port });
    const found: TopicMetadata[] = [];
    for (const name of names) this.#topics.delete(name); // one that is not there any more
    for (const topic of answer.topics) {
      if (topic.errorCode !== 0 || !topic.name) continue;
      const leaders = new Array<number>(topic.partitions.length).fill(-1);
      const leaderEpochs = new Array<number>(topic.partitions.length).fill(-1);
      for (const { partitionIndex, leaderId, leaderEpoch } of topic.partitions) {
        leaders[partitionIndex] = leaderId;
        leaderEpochs[partitionIndex] = leaderEpoch;
      }
      const replication = topic.partitions[0]?.replicaNodes.length ?? 0;
      const { name, topicId: id } = topic;
      const metadata = { name, id, leaders, leaderEpochs, replication };
      this.#topics.set(topic.name, metadata);
      found.push(metadata);
    }
    return found;
  }

  /**
   * What is known of a topic, asked for when it is not.
   *
   * @throws {LogRefusedError} It was made anew since it was first asked for.
   */
  async topic(name: string, signal?: AbortSignal): Promise<TopicMetadata> {
    const topic = await this.#topic(name, signal);
    const id = this.#ids.get(name);
    if (id === undefined) this.#ids.set(name, topic.id);
    else if (id !== topic.id) throw topicsMadeAnew([name]);
    return topic;
  }

  async #topic(name: string, signal?: AbortSignal): Promise<TopicMetadata> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const giveUpAt = performance.now() + MISSING_TOPIC_MS;
    for (let tries = 0;; tries++) {
      const [found] = await this.describe([name]);
      if (found !== undefined) return found;
      if (performance.now() > giveUpAt || signal?.aborted) {
        throw new LogError(
          `Cannot use topic "${name}" at ${this.options.brokers.join(", ")}: it does not exist`,
          { hint: "Create it: gridwatch topics --create" },
        );
      }
      await backOff(tries, signal);
    }
  }

  /** The broker that leads a partition; null while there is none. */
  async leader(
    topic: string,
    partition: number,
    signal?: AbortSignal,
  ): Promise<Address | null> {
    const { leaders } = await this.topic(topic, signal);
    if (partition >= leaders.length) {
      throw new LogError(
        `Cannot use partition ${partition} of "${topic}": it has ${leaders.length}`,
      );
    }
    return this.#brokers.get(leaders[partition]) ?? null;
  }

  /** Waits until every broker that answers knows a topic: one just created is not known to all. */
  async spread(lane: string, name: string): Promise<void> {
    await this.topic(name);
    const giveUpAt = performance.now() + MISSING_TOPIC_MS;
    for (const broker of [...this.#brokers.values()]) {
      for (let tries = 0; performance.now() < giveUpAt; tries++) {
        try {
          await this.ask({ lane, broker }, metadataV12, [name], false, false);
          break;
        } catch (error) {
          if (isNetworkError(error)) break; // it is away, and will know when it is back
          if (brokerErrorOf(error) === null) throw error;
        }
        await backOff(tries);
      }
    }
  }

  /** Forgets who leads a topic's partitions. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Forgets a topic that was deleted from here: one made anew is no surprise. */
  forgetDeleted(topic: string): void {
    this.forget(topic);
    this.#ids.delete(topic);
  }

  /** The largest record batch that a topic takes. */
  async messageBytesMax(topic: string): Promise<number> {
    const known = this.#messageBytesMax.get(topic);
    if (known !== undefined) return known;
    const resource = {
      resourceType: TOPIC_RESOURCE,
      resourceName: topic,
      configurationKeys: ["max.message.bytes"],
    };
    let bytes = MESSAGE_BYTES_DEFAULT;
    try {
      const asking = { what: `ask for the limit of "${topic}"`, deadlineMs: LIMIT_DEADLINE_MS };
      const { results } = await this.retry(
        asking,
        () => this.any("main", describeConfigsV2, [resource], false),
      );
      bytes = Number(results[0]?.configs[0]?.value ?? bytes);
    } catch (error) {
      if (error instanceof LogError && isRetriable(error.cause)) throw error;
      // Not allowed to ask: the default holds almost everywhere, and the broker has the last word.
    }
    this.#messageBytesMax.set(topic, bytes);
    return bytes;
  }

  /** Tries until it succeeds, the error is one that stays, or the time is up. */
  async retry<T>(options: RetryOptions, operation: () => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + options.deadlineMs;
    for (let tries = 0;; tries++) {
      try {
        return await operation();
      } catch (error) {
        if (error instanceof LogError) throw error;
        const again = isRetriable(error) || (options.retries?.(error) ?? false);
        const waitMs = backOffMs(tries);
        const isInTime = performance.now() + waitMs < giveUpAt;
        if (again && isInTime && options.signal?.aborted !== true) {
          await pause(waitMs, options.signal);
          continue;
        }
        if (isNetworkError(error) || isTurnedAway(error)) {
          throw unreachable(this.options.brokers, error);
        }
        throw new LogError(`Cannot ${options.what}: ${reasonOf(error)}`, { cause: error });
      }
    }
  }

  async close(): Promise<void> {
    await this.connections.close();
  }

  async #coordinator(lane: string, kind: CoordinatorKind, key: string): Promise<Address> {
    const known = this.#coordinators.get(`${kind} ${key}`);
    if (known !== undefined) return known;
    const { coordinators } = await this.any(lane, findCoordinatorV4, COORDINATOR_KINDS[kind], [
      key,
    ]);
    const { host, port } = coordinators[0];
    this.#coordinators.set(`${kind} ${key}`, { host, port });
    return { host, port };
  }

  /** Tries the brokers known, then those given, from a random one on. */
  async #anyConnection(lane: string): Promise<Connection> {
    const given = this.options.brokers.map(addressOf);
    const known = [...this.#brokers.values()];
    let failure: unknown;
    for (const address of [...rotated(known), ...rotated(given)]) {
      try {
        return await this.connections.get(address, lane);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

/** Waits longer with each try, and not quite as long as the others who wait. */
export async function backOff(tries: number, signal?: AbortSignal): Promise<void> {
  await pause(backOffMs(tries), signal);
}

function backOffMs(tries: number): number {
  const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(tries, 10));
  return longest * (0.5 + Math.random() / 2);
}

/** Sleeps; a signal ends it early. */
export async function pause(durationMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, durationMs);
    signal?.addEventListener("abort", wake);
  });
}

/** `host:port`, `[v6]:port`; the port may be left out. */
function addressOf(broker: string): Address {
  const match = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(broker);
  return { host: match?.[1] ?? broker, port: Number(match?.[2] ?? 9092) };
}

function rotated<T>(list: readonly T[]): T[] {
  const first = Math.floor(Math.random() * list.length);
  return [...list.slice(first), ...list.slice(0, first)];
}
