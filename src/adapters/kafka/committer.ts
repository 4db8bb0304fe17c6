import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  endTxnV3,
  initProducerIdV4,
  txnOffsetCommitV3,
} from "@platformatic/kafka";
import {
  CommitFailedError,
  CommitUnknownError,
  type GroupOffset,
  type LogCommit,
  type LogCommitter,
  LogError,
  type LogRecords,
  LogRefusedError,
  type Membership,
  RecordTooLargeError,
} from "../../engine/log/ports.ts";
import { FencedError } from "../../engine/ports.ts";
import { type Api, type KafkaCluster, pause } from "./cluster.ts";
import { brokerErrorOf, isFenced, isMembershipMoved, reasonOf } from "./errors.ts";
import { RecordSender, type SenderOptions } from "./sender.ts";

export type CommitterOptions = Omit<SenderOptions, "transactionalId"> & {
  /** `<app>-<partition>`: who opens it last owns the partition. */
  readonly transactionalId: string;
  /** The broker aborts a transaction of this age, so that a dead owner does not hold up readers. */
  readonly transactionTimeoutMs: number;
  /** How long to try when the cluster is away or moving. */
  readonly deadlineMs: number;
};

/** A membership as tools without groups send it: the transactional id alone fences. */
const NO_MEMBERSHIP: Membership = { memberId: "", generation: -1 };
const MEMBERSHIP_POLL_MS = 50;
const ABORT_MS_MAX = 2_000;

type Owner = { readonly producerId: bigint; readonly epoch: number };

/** Kafka transactions of one input partition, a transaction a commit. */
export class KafkaCommitter implements LogCommitter {
  readonly #cluster: KafkaCluster;
  readonly #options: CommitterOptions;
  readonly #sender: RecordSender;
  #owner: Owner | null = null;
  #commits = false;

  constructor(cluster: KafkaCluster, options: CommitterOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#sender = new RecordSender(cluster, options);
  }

  async open(): Promise<void> {
    const { transactionalId, transactionTimeoutMs } = this.#options;
    this.#owner = null;
    // The broker ends the former owner's transaction first, and says so until it has.
    const { producerId, producerEpoch } = await this.#ask(
      { what: "take over the transactions" },
      initProducerIdV4,
      transactionalId,
      transactionTimeoutMs,
      -1n,
      -1,
    );
    this.#owner = { producerId, epoch: producerEpoch };
    this.#sender.identify({ producerId, epoch: producerEpoch, transactional: true });
  }

  async commit(commit: LogCommit): Promise<number[]> {
    const owner = this.#owner;
    if (owner === null) throw new CommitFailedError("Cannot commit: the committer is not open");
    if (this.#commits) throw new Error("a commit is under way");
    this.#commits = true;
    try {
      const { records, groupOffset } = commit;
      await this.#sender.check(records);
      const isEmpty = records.every(({ count }) => count === 0);
      if (isEmpty && groupOffset === null) return records.map(() => -1);
      const offsets = await this.#write(owner, isEmpty ? [] : records, groupOffset);
      await this.#end(owner);
      return offsets;
    } catch (error) {
      if (error instanceof RecordTooLargeError && this.#owner !== null) throw error;
      this.#owner = null;
      throw error;
    } finally {
      this.#commits = false;
    }
  }

  async close(): Promise<void> {
    this.#owner = null;
    await this.#cluster.connections.closeLane(this.#options.lane);
  }

  /** Everything but the end; what fails here is as if it had never been. */
  async #write(
    owner: Owner,
    records: readonly LogRecords[],
    groupOffset: GroupOffset | null,
  ): Promise<number[]> {
    try {
      if (records.length > 0) await this.#addPartitions(owner, records);
      const sent = records.length === 0
        ? Promise.resolve<number[]>([])
        : this.#sender.send(records, this.#options.deadlineMs);
      const offsets = groupOffset === null ? null : this.#sendOffset(owner, groupOffset);
      const outcomes = await Promise.allSettled([sent, offsets]);
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
      return await sent;
    } catch (error) {
      this.#owner = null;
      if (isFenced(error) || error instanceof FencedError) throw this.#fenced(error);
      await this.#abort(owner);
      if (error instanceof LogRefusedError) throw error;
      const reason = error instanceof LogError ? error.message : reasonOf(error);
      throw new CommitFailedError(`Cannot commit: ${reason}`, { cause: error });
    }
  }

  async #addPartitions(owner: Owner, records: readonly LogRecords[]): Promise<void> {
    const written = records.filter(({ count }) => count > 0);
    const topics = [...Map.groupBy(written, ({ topic }) => topic)].map(([name, records]) => ({
      name,
      partitions: [...new Set(records.map(({ partition }) => partition))],
    }));
    await this.#ask({ what: "begin a transaction" }, addPartitionsToTxnV3, [{
      transactionalId: this.#options.transactionalId,
      producerId: owner.producerId,
      producerEpoch: owner.epoch,
      verifyOnly: false,
      topics,
    }]);
  }

  async #sendOffset({ producerId, epoch }: Owner, offset: GroupOffset): Promise<void> {
    const { transactionalId, deadlineMs, lane } = this.#options;
    const { group, topic, partition, nextOffset, metadata } = offset;
    await this.#ask(
      { what: "begin a transaction" },
      addOffsetsToTxnV3,
      transactionalId,
      producerId,
      epoch,
      group,
    );
    const partitions = [{
      partitionIndex: partition,
      committedOffset: BigInt(nextOffset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    }];
    const giveUpAt = performance.now() + deadlineMs;
    let member = membershipOf(offset);
    for (;;) {
      const { memberId, generation } = member;
      try {
        await this.#cluster.retry(
          { what: "commit an offset", deadlineMs, retries: isConcurrent },
          () =>
            this.#cluster.askCoordinator(
              { lane, kind: "group", key: group },
              txnOffsetCommitV3,
              transactionalId,
              group,
              producerId,
              epoch,
              generation,
              memberId,
              null,
              [{ name: topic, partitions }],
            ),
        );
        return;
      } catch (error) {
        if (!isMembershipMoved(error) || performance.now() > giveUpAt) throw error;
      }
      // The group moves on while partitions stay: try again as the member of its new generation.
      await pause(MEMBERSHIP_POLL_MS);
      member = membershipOf(offset);
    }
  }

  /** Asked again until an answer comes: the same request cannot commit twice. */
  async #end({ producerId, epoch }: Owner): Promise<void> {
    const { transactionalId } = this.#options;
    try {
      await this.#ask(
        { what: "end a transaction" },
        endTxnV3,
        ...[transactionalId, producerId, epoch, true] as const,
      );
    } catch (error) {
      this.#owner = null;
      // Also then: the first try may have committed before another owner came.
      if (isFenced(error)) throw this.#fenced(error);
      const reason = error instanceof LogError ? error.message : reasonOf(error);
      throw new CommitUnknownError(`Cannot end a commit: ${reason}`, { cause: error });
    }
  }

  /** So that readers need not wait for the transaction to time out; it would, too. */
  async #abort({ producerId, epoch }: Owner): Promise<void> {
    const { transactionalId } = this.#options;
    try {
      await this.#ask(
        { what: "abort a transaction", deadlineMs: ABORT_MS_MAX },
        endTxnV3,
        ...[transactionalId, producerId, epoch, false] as const,
      );
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
    }
  }

  /** Asks the coordinator of the transactional id, until it answers. */
  async #ask<Args extends unknown[], Answer>(
    { what, deadlineMs = this.#options.deadlineMs }: { what: string; deadlineMs?: number },
    api: { api: Api<Args, Answer> },
    ...args: Args
  ): Promise<Answer> {
    const { lane, transactionalId } = this.#options;
    return await this.#cluster.retry(
      { what, deadlineMs, retries: isConcurrent },
      () =>
        this.#cluster.askCoordinator(
          { lane, kind: "transaction", key: transactionalId },
          api,
          ...args,
        ),
    );
  }

  #fenced(cause: unknown): FencedError {
    if (cause instanceof FencedError) return cause;
    return new FencedError(`another owner has taken over ${this.#options.transactionalId}`, {
      cause,
    });
  }
}

/** The transaction before is still being ended. */
function isConcurrent(error: unknown): boolean {
  return brokerErrorOf(error) === "CONCURRENT_TRANSACTIONS";
}

function membershipOf({ membership, topic, partition }: GroupOffset): Membership {
  if (membership === undefined) return NO_MEMBERSHIP;
  const member = membership();
  if (member !== null) return member;
  throw new FencedError(`"${topic}" partition ${partition} is another member's`);
}
