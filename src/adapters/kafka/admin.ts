import {
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV2,
  incrementalAlterConfigsV1,
  listOffsetsV7,
  offsetFetchV8,
} from "@platformatic/kafka";
import type {
  LogAdmin,
  PartitionOffset,
  PartitionRef,
  StoredOffset,
  TopicFound,
  TopicIdentity,
  TopicSpec,
} from "../../engine/log/ports.ts";
import type { KafkaCluster } from "./cluster.ts";
import type { Address } from "./connections.ts";
import { brokerErrorOf } from "./errors.ts";

const LANE = "admin";
const TOPIC_RESOURCE = 2;
/** Set on the topic itself, not inherited (the protocol's "config source"). */
const OF_THE_TOPIC = 1;
/** The operation that gives a setting a value. */
const SET = 0;
const START = -2n;
const END = -1n;

/** Topics, offsets and groups of a Kafka cluster. Each call tries again up to `deadlineMs`. */
export class KafkaAdmin implements LogAdmin {
  readonly #cluster: KafkaCluster;
  readonly #deadlineMs: number;

  constructor(cluster: KafkaCluster, { deadlineMs }: { deadlineMs: number }) {
    this.#cluster = cluster;
    this.#deadlineMs = deadlineMs;
  }

  async describeTopics(names: readonly string[]): Promise<TopicFound[]> {
    return await this.#retry("describe topics", async () => {
      const found = await this.#cluster.describe(names);
      if (found.length === 0) return [];
      const resources = found.map(({ name }) => ({
        resourceType: TOPIC_RESOURCE as 2,
        resourceName: name,
        configurationKeys: null,
      }));
      const { results } = await this.#cluster.any(LANE, describeConfigsV2, resources, false);
      return found.map(({ name, id, leaders, replication }) => {
        const all = (results.find(({ resourceName }) => resourceName === name)?.configs ?? [])
          .filter(({ value }) => value);
        const own = all.filter(({ configSource }) => configSource === OF_THE_TOPIC);
        return {
          name,
          id,
          partitions: leaders.length,
          replication,
          configs: Object.fromEntries(own.map(({ name, value }) => [name, String(value)])),
          settings: Object.fromEntries(all.map(({ name, value }) => [name, String(value)])),
        };
      });
    });
  }

  async identify(names: readonly string[]): Promise<TopicIdentity[]> {
    return await this.#retry("identify topics", async () => {
      for (const name of names) this.#cluster.forget(name);
      await this.#cluster.describe(names);
      const topics = await Promise.all(names.map((name) => this.#cluster.topic(name)));
      return topics.map(({ name, id, leaders }) => ({ name, id, partitions: leaders.length }));
    });
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<string[]> {
    const created: string[] = [];
    for (const { name, partitions, replication, configs } of topics) {
      const request = {
        name,
        numPartitions: partitions,
        replicationFactor: replication,
        assignments: [],
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      };
      await this.#retry(`create topic "${name}"`, async () => {
        try {
          await this.#cluster.any(LANE, createTopicsV7, [request], this.#deadlineMs, false);
          created.push(name);
        } catch (error) {
          if (brokerErrorOf(error) !== "TOPIC_ALREADY_EXISTS") throw error;
        }
      });
    }
    for (const name of created) await this.#cluster.spread(LANE, name);
    return created;
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#retry(`delete topic "${name}"`, async () => {
        try {
          await this.#cluster.any(LANE, deleteTopicsV6, [{ name }], this.#deadlineMs);
        } catch (error) {
          if (brokerErrorOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
        }
      });
      this.#cluster.forgetDeleted(name);
    }
  }

  async setTopic(name: string, configs: TopicSpec["configs"]): Promise<void> {
    const resource = {
      resourceType: TOPIC_RESOURCE as 2,
      resourceName: name,
      configs: Object.entries(configs).map(([name, value]) => ({
        name,
        value,
        configOperation: SET as 0,
      })),
    };
    await this.#retry(`set up topic "${name}"`, async () => {
      await this.#cluster.any(LANE, incrementalAlterConfigsV1, [resource], false);
    });
  }

  async listOffsets(
    partitions: readonly PartitionRef[],
    at: "start" | "end" | "committedEnd",
  ): Promise<PartitionOffset[]> {
    return await this.#retry("list offsets", async () => {
      try {
        return await this.#listOffsets(partitions, at);
      } catch (error) {
        for (const { topic } of partitions) this.#cluster.forget(topic);
        throw error;
      }
    });
  }

  async groupOffsets(group: string, partitions: readonly PartitionRef[]): Promise<StoredOffset[]> {
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, refs]) => ({
      name,
      partitionIndexes: refs.map(({ partition }) => partition),
    }));
    const request = [{ groupId: group, memberId: null, memberEpoch: -1, topics }];
    const { groups } = await this.#cluster.retry(
      {
        what: `read the offsets of group "${group}"`,
        deadlineMs: this.#deadlineMs,
        retries: (error) => brokerErrorOf(error) === "UNSTABLE_OFFSET_COMMIT",
      },
      () =>
        this.#cluster.askCoordinator(
          { lane: LANE, kind: "group", key: group },
          offsetFetchV8,
          request,
          true,
        ),
    );
    const stored = groups.flatMap(({ topics }) =>
      topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, committedOffset, metadata }) => ({
          topic: name,
          partition: partitionIndex,
          nextOffset: Number(committedOffset),
          metadata: metadata ?? "",
        }))
      )
    );
    return inOrderOf(partitions, stored);
  }

  async close(): Promise<void> {
    await this.#cluster.connections.closeLane(LANE);
  }

  async #listOffsets(
    partitions: readonly PartitionRef[],
    at: "start" | "end" | "committedEnd",
  ): Promise<PartitionOffset[]> {
    const byLeader = new Map<string, { broker: Address; refs: PartitionRef[] }>();
    for (const ref of partitions) {
      const broker = await this.#cluster.leader(ref.topic, ref.partition);
      if (broker === null) throw Object.assign(new Error("no leader"), { code: "PLT_KFK_NETWORK" });
      const key = `${broker.host}:${broker.port}`;
      const entry = byLeader.get(key) ?? { broker, refs: [] };
      entry.refs.push(ref);
      byLeader.set(key, entry);
    }
    const timestamp = at === "start" ? START : END;
    const answers = await Promise.all([...byLeader.values()].map(({ broker, refs }) => {
      const topics = [...Map.groupBy(refs, ({ topic }) => topic)].map(([name, refs]) => ({
        name,
        partitions: refs.map(({ partition }) => ({
          partitionIndex: partition,
          currentLeaderEpoch: -1,
          timestamp,
        })),
      }));
      const isolation = at === "committedEnd" ? 1 : 0;
      return this.#cluster.ask({ lane: LANE, broker }, listOffsetsV7, -1, isolation, topics);
    }));
    const listed = answers.flatMap(({ topics }) =>
      topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, offset }) => ({
          topic: name,
          partition: partitionIndex,
          offset: Number(offset),
        }))
      )
    );
    return inOrderOf(partitions, listed);
  }

  async #retry<T>(what: string, operation: () => Promise<T>): Promise<T> {
    return await this.#cluster.retry({ what, deadlineMs: this.#deadlineMs }, operation);
  }
}

/** Brokers answer in an order of their own. */
function inOrderOf<T extends PartitionRef>(asked: readonly PartitionRef[], found: T[]): T[] {
  return asked.flatMap(({ topic, partition }) =>
    found.filter((one) => one.topic === topic && one.partition === partition)
  );
}
