import type { Buffer } from "node:buffer";
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV7,
  leaveGroupV5,
  syncGroupV5,
} from "@platformatic/kafka";
import { assignPartitions, type MemberClaim } from "./assign.ts";
import {
  type GroupHandlers,
  LogError,
  type LogGroup,
  LogRefusedError,
  type Membership,
} from "../../engine/log/ports.ts";
import { type Api, backOff, KafkaCluster, pause } from "./cluster.ts";
import type { KafkaOptions } from "./connections.ts";
import { brokerErrorOf, isNetworkError, isRetriable, reasonOf, unreachable } from "./errors.ts";
import type { TroubleHandler } from "./reader.ts";

export type GroupOptions = {
  readonly group: string;
  readonly topic: string;
  /** What members have in common besides the topic, such as their database; another is refused. */
  readonly binding: string;
  /** Without a sign of life for so long a member's partitions go to the others. */
  readonly sessionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** How long the group waits for a member to join again: longer than any commit takes. */
  readonly rebalanceTimeoutMs: number;
};

type Joined = Awaited<ReturnType<typeof joinGroupV7.api.async>>;

const LANE = "group";
/** Of our own: another program's members in this group would be refused, as they should be. */
const PROTOCOL = "gridwatch-cooperative";
const PROTOCOL_TYPE = "consumer";
/** Carries owned partitions and the generation (KIP-429, KIP-792). */
const SUBSCRIPTION_VERSION = 2;
/** What the leader tells a member that subscribes to something else. */
const REFUSED = "refused";
const ANSWER_MARGIN_MS = 10_000;
const LEAVE_MS_MAX = 2_000;

/** A member whose place is gone: what it held is another's. */
const LOST = new Set(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "FENCED_INSTANCE_ID"]);

/**
 * A member of a consumer group (the classic protocol, which 3.x and 4.x brokers speak), rebalanced
 * cooperatively: partitions that stay are never stopped.
 */
export class KafkaGroup implements LogGroup {
  readonly failed: Promise<never>;
  readonly #cluster: KafkaCluster;
  readonly #options: GroupOptions;
  readonly #handlers: GroupHandlers;
  readonly #onTrouble: TroubleHandler;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #fail: (error: Error) => void = () => {};
  /** Handlers run one after another. */
  #handling: Promise<unknown> = Promise.resolve();
  #memberId = "";
  #generation = -1;
  #owned = new Set<number>();
  #aliveAtMs = performance.now();
  #trouble = false;

  constructor(kafka: KafkaOptions, { options, handlers, onTrouble }: {
    options: GroupOptions;
    handlers: GroupHandlers;
    onTrouble: TroubleHandler;
  }) {
    const requestTimeoutMs = Math.max(
      kafka.requestTimeoutMs,
      options.rebalanceTimeoutMs + ANSWER_MARGIN_MS,
    );
    // Its own connections: the broker holds a join back until all members are there.
    this.#cluster = new KafkaCluster({ ...kafka, requestTimeoutMs });
    this.#options = options;
    this.#handlers = handlers;
    this.#onTrouble = onTrouble;
    this.failed = new Promise((_, reject) => this.#fail = reject);
    this.failed.catch(() => {}); // whoever waits for it hears it
    this.#loop = this.#run();
  }

  get partitions(): readonly number[] {
    return [...this.#owned].sort((a, b) => a - b);
  }

  membership(partition: number): Membership | null {
    if (!this.#owned.has(partition) || this.#generation < 0) return null;
    return { memberId: this.#memberId, generation: this.#generation };
  }

  async leave(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    try {
      await this.#giveUp([...this.#owned]);
      await this.#sendLeave();
    } finally {
      await this.#cluster.close();
      await this.#loop;
    }
  }

  async #run(): Promise<void> {
    for (let tries = 0; !this.#stop.signal.aborted;) {
      try {
        const assigned = await this.#join();
        if (this.#stop.signal.aborted) return;
        tries = 0;
        this.#hear(null);
        await this.#settle(assigned);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!await this.#survives(error)) return;
        if (isRetriable(error)) await backOff(tries++, this.#stop.signal);
      }
    }
  }

  /** Joins with the partitions held, and gets those to hold. */
  async #join(): Promise<Set<number>> {
    const { group, topic, binding, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const metadata = encodeConsumerProtocolSubscription({
      version: SUBSCRIPTION_VERSION,
      topics: [topic],
      userData: binding,
      ownedPartitions: [{ topic, partitions: [...this.#owned] }],
      generationId: this.#generation,
    });
    const joined = await this.#ask(
      joinGroupV7,
      group,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      this.#memberId,
      null,
      PROTOCOL_TYPE,
      [{ name: PROTOCOL, metadata }],
      null,
    );
    const assignments = joined.leader === joined.memberId ? await this.#share(joined) : [];
    const { assignment } = await this.#ask(
      syncGroupV5,
      group,
      joined.generationId,
      joined.memberId,
      null,
      PROTOCOL_TYPE,
      PROTOCOL,
      assignments,
    );
    this.#memberId = joined.memberId;
    this.#generation = joined.generationId;
    this.#aliveAtMs = performance.now();
    return this.#take(assignment);
  }

  /**
   * The partitions of an assignment.
   *
   * @throws {LogRefusedError} The others of the group work on something else.
   */
  #take(assignment: Buffer): Set<number> {
    const { group, topic } = this.#options;
    const { assignedPartitions, userData } = decodeConsumerProtocolAssignment(assignment);
    const isOther = assignedPartitions.some((assigned) => assigned.topic !== topic);
    if (isOther || userData?.toString() === REFUSED) {
      throw new LogRefusedError(
        `Cannot join group "${group}": its members work on another topic, or write another database`,
        { hint: "--group NAME of a group of its own" },
      );
    }
    return new Set(assignedPartitions.flatMap(({ partitions }) => partitions));
  }

  /** The leader's part: who gets what. */
  async #share({ members }: Joined) {
    const { topic } = this.#options;
    this.#cluster.forget(topic);
    const { leaders } = await this.#cluster.topic(topic);
    const claims: MemberClaim[] = [];
    const refused: string[] = [];
    for (const { memberId, metadata } of members) {
      const subscription = decodeConsumerProtocolSubscription(metadata);
      const owned = subscription.ownedPartitions.flatMap(({ partitions }) => partitions);
      if (this.#isOurs(subscription)) {
        claims.push({ memberId, owned, generation: subscription.generationId });
      } else refused.push(memberId);
    }
    const version = SUBSCRIPTION_VERSION;
    const assigned = [...assignPartitions(leaders.length, claims)].map(([memberId, partitions]) => {
      const assignedPartitions = [{ topic, partitions }];
      return {
        memberId,
        assignment: encodeConsumerProtocolAssignment({ version, assignedPartitions }),
      };
    });
    const none = { version, assignedPartitions: [], userData: REFUSED };
    const refusal = encodeConsumerProtocolAssignment(none);
    return [...assigned, ...refused.map((memberId) => ({ memberId, assignment: refusal }))];
  }

  /** Whether a member works on what this one does; one of an older version does not say its binding. */
  #isOurs({ topics, userData }: ReturnType<typeof decodeConsumerProtocolSubscription>): boolean {
    const { topic, binding } = this.#options;
    const theirs = userData?.toString() ?? "";
    return topics.every((name) => name === topic) && (theirs === "" || theirs === binding);
  }

  /** Gives up what is gone, takes what is new; resolves when the group or this member moves on. */
  async #settle(assigned: ReadonlySet<number>): Promise<void> {
    const still = new AbortController();
    const beating = this.#beat(AbortSignal.any([this.#stop.signal, still.signal]));
    beating.catch(() => {}); // awaited below
    const gone = [...this.#owned].filter((partition) => !assigned.has(partition));
    const fresh = [...assigned].filter((partition) => !this.#owned.has(partition));
    await this.#giveUp(gone);
    if (this.#stop.signal.aborted || this.#generation < 0) return await beating;
    if (fresh.length > 0) {
      for (const partition of fresh) this.#owned.add(partition);
      await this.#handle(() => this.#handlers.onAssigned(fresh));
    }
    // What was given up is free for the others once this member has said so: by joining again.
    if (gone.length > 0) still.abort();
    await beating;
  }

  /** Heartbeats until the group moves on or the signal aborts. */
  async #beat(signal: AbortSignal): Promise<void> {
    const { group, heartbeatMs, sessionTimeoutMs } = this.#options;
    for (;;) {
      await pause(heartbeatMs, signal);
      if (signal.aborted) return;
      try {
        await this.#ask(heartbeatV4, group, this.#generation, this.#memberId, null);
        this.#aliveAtMs = performance.now();
        this.#hear(null);
      } catch (error) {
        const name = brokerErrorOf(error) ?? "";
        if (name === "REBALANCE_IN_PROGRESS") return;
        // Known at once, also to a commit under way: `membership` says null from here on.
        if (LOST.has(name)) this.#generation = -1;
        if (!isRetriable(error)) throw error;
        if (performance.now() - this.#aliveAtMs > sessionTimeoutMs) throw error;
        this.#hear(error);
      }
    }
  }

  /** What an error means for the membership; false: there is no way on. */
  async #survives(error: unknown): Promise<boolean> {
    const name = brokerErrorOf(error);
    if (name === "MEMBER_ID_REQUIRED") {
      this.#memberId = (error as { response?: Joined }).response?.memberId ?? "";
      return true;
    }
    if (name === "REBALANCE_IN_PROGRESS") return true;
    if (LOST.has(name ?? "")) {
      if (name !== "ILLEGAL_GENERATION") this.#memberId = "";
      await this.#lose();
      return true;
    }
    if (isRetriable(error)) {
      this.#hear(error);
      const silentMs = performance.now() - this.#aliveAtMs;
      if (silentMs > this.#options.sessionTimeoutMs) await this.#lose();
      return true;
    }
    await this.#lose();
    const message = `Cannot join group "${this.#options.group}": ${reasonOf(error)}`;
    this.#fail(error instanceof LogError ? error : new LogError(message, { cause: error }));
    return false;
  }

  async #giveUp(partitions: number[]): Promise<void> {
    if (partitions.length === 0) return;
    await this.#handle(() => this.#handlers.onRevoked(partitions));
    for (const partition of partitions) this.#owned.delete(partition);
  }

  async #lose(): Promise<void> {
    const lost = [...this.#owned];
    this.#owned.clear();
    this.#generation = -1;
    if (lost.length > 0) await this.#handle(() => this.#handlers.onLost(lost));
  }

  async #handle(handler: () => Promise<void> | void): Promise<void> {
    const handled = this.#handling.then(handler);
    this.#handling = handled.catch(() => {}); // its caller hears it
    await handled;
  }

  async #sendLeave(): Promise<void> {
    const { group } = this.#options;
    if (this.#memberId === "") return;
    const members = [{ memberId: this.#memberId, groupInstanceId: null, reason: "leaves" }];
    try {
      await this.#cluster.retry(
        { what: "leave the group", deadlineMs: LEAVE_MS_MAX },
        () =>
          this.#cluster.askCoordinator(
            { lane: "leave", kind: "group", key: group },
            leaveGroupV5,
            group,
            members,
          ),
      );
    } catch (error) {
      if (!(error instanceof LogError)) throw error; // the session's end does it, only later
    }
  }

  #ask<Args extends unknown[], Answer>(
    api: { api: Api<Args, Answer> },
    ...args: Args
  ): Promise<Answer> {
    const at = { lane: LANE, kind: "group", key: this.#options.group } as const;
    return this.#cluster.askCoordinator(at, api, ...args);
  }

  #hear(error: unknown): void {
    if ((error !== null) === this.#trouble) return;
    // A coordinator that is being elected is no trouble to tell of: every fresh cluster has one.
    if (error !== null && !isNetworkError(error)) return;
    this.#trouble = error !== null;
    this.#onTrouble(error === null ? null : unreachable(this.#cluster.options.brokers, error));
  }
}
