import type { WorkerEvent } from "../event.ts";
import { type Clock, FencedError } from "../ports.ts";
import type { GroupHandlers, LogGroup, Membership } from "./ports.ts";

/**
 * How a partition stands that this process holds:
 *
 *   restoring   it is found out where the partition stands
 *   running     its records are read and committed
 *   failed      a trouble came that may pass: after a while the partition is restored again
 *   stopped     an invariant is broken: nothing is done until a person has acted
 *   released    given back, lost, or taken over by another owner: no longer held
 */
export type HoldingState = "restoring" | "running" | "failed" | "stopped" | "released";

/** The states that may follow each state; every other transition is a fault of this program. */
export const TRANSITIONS: Readonly<Record<HoldingState, readonly HoldingState[]>> = {
  restoring: ["running", "failed", "stopped", "released"],
  running: ["failed", "stopped", "released"],
  failed: ["restoring", "released"],
  stopped: ["released"],
  released: [],
};

/** What is known of every partition held; a worker and a sink each keep more of theirs. */
export type HeldPartition = {
  readonly partition: number;
  /** Changed by `moveTo` alone. */
  state: HoldingState;
  /** Ends with the state in which it began: what an ended attempt says is not heard any more. */
  attempt: AbortController;
  opening: Promise<void>;
  /** The commit under way. */
  pending: Promise<void> | null;
  /** Since the last commit. */
  failures: number;
  retryAtMs: number;
  /** When a figure last moved that never did before, or when there was nothing to do. */
  lastProgressAtMs: number;
  /** How far a restore has come since the last commit. */
  restoredMost: number;
  /** Since it is held. */
  commits: number;
  restores: number;
  failuresTotal: number;
  lastCommitAtMs: number | null;
  lastFailure: string | null;
};

/** How a partition stands, whoever holds it; counts since it is held. */
export type Standing = {
  readonly state: HoldingState;
  readonly commits: number;
  readonly restores: number;
  readonly failures: number;
  readonly lastFailure: string | null;
  readonly lastCommitAtMs: number | null;
  readonly lastProgressAtMs: number;
};

/** What is told of a partition held. */
export function standingOf(held: HeldPartition): Standing {
  const { state, commits, restores, lastFailure, lastCommitAtMs, lastProgressAtMs } = held;
  const failures = held.failuresTotal;
  return { state, commits, restores, failures, lastFailure, lastCommitAtMs, lastProgressAtMs };
}

/** Notes how far a restore is: that it came as far before, in vain, is no progress. */
export function noteRestored(held: HeldPartition, offset: number, nowMs: number): void {
  if (offset <= held.restoredMost) return;
  held.restoredMost = offset;
  held.lastProgressAtMs = nowMs;
}

export type HoldingsOptions<H extends HeldPartition> = {
  /** Adds what this owner keeps of a partition. */
  readonly begin: (held: HeldPartition) => H;
  /**
   * Finds where the partition stands, and gives what sets its work going: that is called in the
   * moment in which the partition runs, and not at all when it was given up meanwhile.
   */
  readonly restore: (held: H, signal: AbortSignal) => Promise<() => void>;
  /** Commits what can be, before the partition is given up in peace. */
  readonly finish?: (held: H) => Promise<void>;
  /** Drops all that is not committed, and reads no further. Called whenever the work ends. */
  readonly letGo: (held: H) => void;
  /** Closes what is left of a partition that was released. */
  readonly close?: (held: H) => Promise<void>;
  /** Whether trying again can mend an error. */
  readonly isTransient: (error: unknown) => boolean;
  /** Says a trouble that is all partitions' at once; false: it is none, and is said of this one. */
  readonly sayShared?: (error: unknown) => boolean;
  readonly clock: Clock;
  /** From 0 to 1: for the jitter of retries. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
};

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

/**
 * Moves a partition on.
 *
 * @throws {Error} No such transition is legal.
 */
export function moveTo(held: HeldPartition, state: HoldingState): void {
  if (!TRANSITIONS[held.state].includes(state)) {
    throw new Error(`partition ${held.partition} cannot go from ${held.state} to ${state}`);
  }
  held.state = state;
}

/**
 * The partitions that a member of a group holds, and the one policy for what goes wrong in them:
 *
 * - a trouble that may pass: the partition is restored, after a while, as often as it takes;
 * - another owner has taken over: the partition is released without a word of error;
 * - anything else breaks an invariant: the partition stops, as an error, and the others go on.
 */
export class Holdings<H extends HeldPartition> {
  readonly #options: HoldingsOptions<H>;
  readonly #held = new Map<number, H>();
  #group: LogGroup | null = null;

  constructor(options: HoldingsOptions<H>) {
    this.#options = options;
  }

  /** Joins the group that shares the partitions out. */
  join(join: (handlers: GroupHandlers) => LogGroup): LogGroup {
    this.#group = join({
      onAssigned: (partitions) => partitions.forEach((partition) => this.#assign(partition)),
      onRevoked: async (partitions) => {
        await Promise.all(partitions.map((partition) => this.#revoke(partition)));
      },
      onLost: (partitions) => {
        for (const partition of partitions) this.#release(this.#held.get(partition), "lost");
      },
    });
    this.#group.failed.catch(() => {}); // the caller hears it, unless it fails after the run
    return this.#group;
  }

  /** Gives all partitions back and leaves the group. */
  async leave(): Promise<void> {
    await this.#group?.leave();
    for (const held of this.all) this.#release(held, "ended");
  }

  get all(): H[] {
    return [...this.#held.values()];
  }

  get count(): number {
    return this.#held.size;
  }

  get(partition: number): H | null {
    return this.#held.get(partition) ?? null;
  }

  /** null once the partition is not this member's. */
  membership(partition: number): Membership | null {
    return this.#group?.membership(partition) ?? null;
  }

  /** Gives each partition its turn: one that runs works, one that failed is tried again. */
  turn(work: (held: H, nowMs: number) => void): void {
    const nowMs = this.#options.clock.nowMs();
    for (const held of this.#held.values()) {
      if (held.state === "failed" && nowMs >= held.retryAtMs) {
        moveTo(held, "restoring");
        this.#open(held);
      } else this.work(held.partition, () => work(held, nowMs));
    }
  }

  /** Does a step of a partition if it runs; what it throws is that partition's trouble alone. */
  work(partition: number, step: (held: H) => void): void {
    const held = this.#held.get(partition);
    if (held?.state !== "running") return;
    const { attempt } = held;
    try {
      step(held);
    } catch (error) {
      this.#fail(held, attempt, error);
    }
  }

  /** Follows a commit; `onDone` hears what came of it, and the policy what went wrong. */
  follow<T>(held: H, commit: Promise<T>, onDone: (result: T) => void): void {
    const { attempt } = held;
    held.pending = commit.then((result) => {
      held.pending = null;
      held.failures = 0;
      held.restoredMost = -1;
      held.commits++;
      held.lastProgressAtMs = held.lastCommitAtMs = this.#options.clock.nowMs();
      onDone(result);
    }).catch((error) => {
      held.pending = null;
      this.#fail(held, attempt, error);
    });
  }

  /** Reports a trouble that was met elsewhere. */
  fail(held: H, error: unknown): void {
    this.#fail(held, held.attempt, error);
  }

  #assign(partition: number): void {
    const nowMs = this.#options.clock.nowMs();
    const held = this.#options.begin({
      partition,
      state: "restoring",
      attempt: new AbortController(),
      opening: Promise.resolve(),
      pending: null,
      failures: 0,
      retryAtMs: nowMs,
      lastProgressAtMs: nowMs,
      restoredMost: -1,
      commits: 0,
      restores: 0,
      failuresTotal: 0,
      lastCommitAtMs: null,
      lastFailure: null,
    });
    this.#held.set(partition, held);
    this.#open(held);
  }

  #open(held: H): void {
    const attempt = held.attempt = new AbortController();
    held.opening = this.#restore(held, attempt)
      .catch((error) => this.#fail(held, attempt, error));
  }

  async #restore(held: H, { signal }: AbortController): Promise<void> {
    const { restore } = this.#options;
    await held.pending; // of the attempt before
    const start = await restore(held, AbortSignal.any([signal, this.#options.signal]));
    if (signal.aborted) return;
    moveTo(held, "running");
    held.restores++;
    start();
  }

  async #revoke(partition: number): Promise<void> {
    const held = this.#held.get(partition);
    if (held === undefined) return;
    await this.#options.finish?.(held);
    await this.#release(held, "revoked");
  }

  /** Forgets a partition; nothing of it that is not committed will be. Resolves when it is closed. */
  #release(held: H | undefined, why: string): Promise<void> {
    if (held === undefined || held.state === "released") return Promise.resolve();
    this.#held.delete(held.partition);
    this.#end(held, "released");
    this.#say("info", "partition_stopped", { partition: held.partition, why });
    const closed = Promise.all([held.pending, held.opening])
      .then(() => this.#options.close?.(held));
    closed.catch(() => {}); // `#revoke` waits for it and hears it
    return closed;
  }

  /** Ends the attempt under way. */
  #end(held: H, state: HoldingState): void {
    moveTo(held, state);
    held.attempt.abort();
    this.#options.letGo(held);
  }

  #fail(held: H, attempt: AbortController, error: unknown): void {
    if (attempt.signal.aborted || this.#options.signal.aborted) return;
    if (error instanceof FencedError && this.membership(held.partition) === null) {
      this.#release(held, "fenced");
      return;
    }
    // Fenced though the partition is still this member's: a zombie came late. It is taken back.
    if (error instanceof FencedError || this.#options.isTransient(error)) this.#retry(held, error);
    else this.#stop(held, error);
  }

  #retry(held: H, error: unknown): void {
    const { clock, random, sayShared } = this.#options;
    this.#end(held, "failed");
    noteFailure(held, error);
    const longestMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** held.failures++);
    const retryMs = Math.round(longestMs * (0.5 + random() / 2));
    held.retryAtMs = clock.nowMs() + retryMs;
    if (sayShared?.(error)) return;
    const fields = { partition: held.partition, ...troubleFields(error), retry_ms: retryMs };
    this.#say("warn", "partition_failed", fields);
  }

  #stop(held: H, error: unknown): void {
    this.#end(held, "stopped");
    noteFailure(held, error);
    const stack = error instanceof Error ? error.stack ?? null : null;
    const fields = { partition: held.partition, why: "broken", ...troubleFields(error), stack };
    this.#say("error", "partition_stopped", fields);
  }

  #say(level: WorkerEvent["level"], event: string, fields: WorkerEvent["fields"]): void {
    this.#options.onEvent({ level, event, fields });
  }
}

function noteFailure(held: HeldPartition, error: unknown): void {
  held.failuresTotal++;
  held.lastFailure = error instanceof Error ? error.message : String(error);
}

function troubleFields(error: unknown): WorkerEvent["fields"] {
  if (!(error instanceof Error)) return { error: String(error) };
  const { hint } = error as { hint?: string };
  return { error: error.message, ...(hint === undefined ? {} : { hint }) };
}
