import { assignPartitions } from "../../../src/adapters/kafka/assign.ts";
import type { GroupHandlers, LogGroup, Membership } from "../../../src/engine/log/ports.ts";
import type { MemoryClient } from "./memory_client.ts";
import { never } from "./memory_client.ts";

type Member = {
  readonly id: string;
  readonly client: MemoryClient;
  readonly handlers: GroupHandlers;
  readonly owned: Set<number>;
  /** What it believes; -1: it has heard that it is out. */
  generation: number;
  isLeaving: boolean;
};

/**
 * The members of a group, rebalanced as the adapter does it: cooperatively, what moves first given
 * up and then assigned. A member expires when a test says so, and learns of it when a test says so.
 */
export class MemoryGroup {
  readonly partitions: number;
  readonly #members = new Map<string, Member>();
  #generation = 0;
  #joined = 0;
  #balancing: Promise<void> = Promise.resolve();

  constructor(partitions: number) {
    this.partitions = partitions;
  }

  knows(memberId: string): boolean {
    return memberId === "" || this.#members.has(memberId); // "": tools without a group
  }

  join(client: MemoryClient, handlers: GroupHandlers): LogGroup {
    let member = this.#add(client, handlers);
    this.#memberOf.set(client, () => member);
    this.#rejoinOf.set(client, () => member = this.#add(client, handlers));
    return {
      membership: (partition): Membership | null =>
        member.owned.has(partition) && member.generation >= 0
          ? { memberId: member.id, generation: member.generation }
          : null,
      get partitions() {
        return [...member.owned];
      },
      failed: never(),
      leave: () => this.#leave(member),
    };
  }

  /** The session of a client's member has ended; it does not know. */
  async expire(client: MemoryClient): Promise<void> {
    const member = this.#memberOf.get(client)?.();
    if (member === undefined) return;
    this.#members.delete(member.id);
    await this.rebalance();
  }

  /** Its heartbeat says that it is out: it loses what it held, and joins again. */
  async learn(client: MemoryClient): Promise<void> {
    const member = this.#memberOf.get(client)?.();
    if (member === undefined || this.#members.has(member.id)) return;
    member.generation = -1;
    const lost = [...member.owned];
    member.owned.clear();
    if (lost.length > 0) await member.handlers.onLost(lost);
    this.#rejoinOf.get(client)?.();
    await this.rebalance();
  }

  /** Resolves when nobody has anything to give up or to take. */
  rebalance(): Promise<void> {
    const balanced = this.#balancing.then(() => this.#balance());
    this.#balancing = balanced;
    return balanced;
  }

  readonly #memberOf = new WeakMap<MemoryClient, () => Member>();
  readonly #rejoinOf = new WeakMap<MemoryClient, () => void>();

  #add(client: MemoryClient, handlers: GroupHandlers): Member {
    const id = `member-${this.#joined++}`;
    const member = {
      ...{ id, client, handlers, owned: new Set<number>(), generation: this.#generation },
      isLeaving: false,
    };
    this.#members.set(id, member);
    this.rebalance();
    return member;
  }

  async #leave(member: Member): Promise<void> {
    member.isLeaving = true;
    await this.#revoke(member, [...member.owned]);
    this.#members.delete(member.id);
    this.rebalance();
  }

  async #balance(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const members = [...this.#members.values()].filter(({ isLeaving }) => !isLeaving);
      if (members.length === 0) return;
      this.#generation++;
      const assigned = assignPartitions(
        this.partitions,
        members.map(({ id, owned, generation }) => ({
          memberId: id,
          owned: [...owned],
          generation,
        })),
      );
      for (const member of members) member.generation = this.#generation;
      await Promise.all(members.map(async (member) => {
        const wanted = new Set(assigned.get(member.id));
        await this.#revoke(member, [...member.owned].filter((p) => !wanted.has(p)));
        const fresh = [...wanted].filter((p) => !member.owned.has(p));
        if (fresh.length === 0 || !this.#members.has(member.id) || member.isLeaving) return;
        for (const partition of fresh) member.owned.add(partition);
        await member.handlers.onAssigned(fresh);
      }));
    }
  }

  /** Waits for a member that lives; one that died, or whose session ended, is not waited for. */
  async #revoke(member: Member, partitions: readonly number[]): Promise<void> {
    if (partitions.length === 0) return;
    let isDone = false;
    Promise.resolve(member.handlers.onRevoked(partitions)).finally(() => isDone = true);
    while (!isDone && this.#members.has(member.id)) {
      if (member.client.isDead) this.#members.delete(member.id);
      await Promise.resolve();
    }
    for (const partition of partitions) member.owned.delete(partition);
  }
}
