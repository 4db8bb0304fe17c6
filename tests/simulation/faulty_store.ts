import type { MemoryStore } from "../../src/adapters/memory/store.ts";
import {
  type Commit,
  type CommitStore,
  FencedError,
  type Snapshot,
} from "../../src/engine/ports.ts";

/**
 * How an I/O step fails: before anything happened, after all of it happened with the answer lost,
 * or with the claim that another owner has taken over.
 */
export type FaultKind = "before" | "after" | "fenced";

export const FAULT_KINDS: readonly FaultKind[] = ["before", "after", "fenced"];

/** The store does not answer: what was asked for may have happened or not. */
export class StoreFault extends Error {
  override name = "StoreFault";
}

export type Operation = "load" | "read" | "commit";

export type Faults = {
  /** The fault, if any, of the I/O step of this number, counted from 0. */
  readonly faultAt: (step: number, operation: Operation) => FaultKind | null;
  /** Waited for within every step, before and after it happens: where others get their turn. */
  readonly pause?: () => Promise<void>;
};

/** The error is one that a store may fail with: drop the task and open another. */
export function isStoreFailure(error: unknown): boolean {
  return error instanceof StoreFault || error instanceof FencedError;
}

/**
 * A memory store behind a bad line. A load, each payload of a changelog, and a commit are a step.
 * The changelog is read as it stands then, not as it stood when it was asked for, as from a
 * database in pages: what another owner commits meanwhile is mixed in.
 */
export class FaultyStore implements CommitStore {
  readonly inner: MemoryStore;
  readonly #faults: Faults;
  #steps = 0;

  constructor(inner: MemoryStore, faults: Faults) {
    this.inner = inner;
    this.#faults = faults;
  }

  /** How many I/O steps there were. */
  get steps(): number {
    return this.#steps;
  }

  async load(partition: number): Promise<Snapshot | null> {
    const snapshot = await this.#step(() => this.inner.load(partition), "load");
    return snapshot === null ? null : { ...snapshot, changelog: this.#changelog(partition) };
  }

  async commit(commit: Commit): Promise<void> {
    await this.#step(() => this.inner.commit(commit), "commit");
  }

  async *#changelog(partition: number): AsyncGenerator<Uint8Array> {
    const read = (at: number) => this.inner.partitions.get(partition)?.changelog.at(at);
    for (let at = 0; at < (this.inner.partitions.get(partition)?.changelog.length ?? 0); at++) {
      const payload = await this.#step(() => Promise.resolve(read(at)), "read");
      if (payload !== undefined) yield payload;
    }
  }

  async #step<T>(run: () => Promise<T>, operation: Operation): Promise<T> {
    const step = this.#steps++;
    const pause = this.#faults.pause ?? (() => Promise.resolve());
    const kind = this.#faults.faultAt(step, operation);
    await pause();
    if (kind === "before") throw new StoreFault(`${operation}, step ${step}: nothing happened`);
    if (kind === "fenced") throw new FencedError(`${operation}, step ${step}: so it claims`);
    const answer = await run();
    await pause();
    if (kind === "after") throw new StoreFault(`${operation}, step ${step}: the answer is lost`);
    return answer;
  }
}
