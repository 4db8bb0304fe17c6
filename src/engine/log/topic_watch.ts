import type { Clock } from "../ports.ts";
import { otherPartitions } from "./mark.ts";
import { isTransient, type LogAdmin } from "./ports.ts";
import type { Topics } from "./records.ts";

const WATCH_MS = 10_000;

/**
 * Looks every few seconds at what the topics are: one that was made anew under a producer, or a raw
 * topic that got more partitions, would otherwise be noticed when somebody joins, or never.
 */
export class TopicWatch {
  readonly #admin: Pick<LogAdmin, "identify">;
  readonly #options: { readonly topics: Topics; readonly clock: Clock };
  #dueAtMs: number;
  #isLooking = false;
  #partitions: number | null = null;
  #refusal: unknown = null;

  constructor(
    admin: Pick<LogAdmin, "identify">,
    options: { readonly topics: Topics; readonly clock: Clock },
  ) {
    this.#admin = admin;
    this.#options = options;
    this.#dueAtMs = options.clock.nowMs();
  }

  /**
   * Looks, when it is time to; nobody waits for the answer.
   *
   * @throws {LogRefusedError} The last look found other topics, or more partitions.
   */
  turn(): void {
    if (this.#refusal !== null) throw this.#refusal;
    const nowMs = this.#options.clock.nowMs();
    if (this.#isLooking || nowMs < this.#dueAtMs) return;
    this.#dueAtMs = nowMs + WATCH_MS;
    this.#isLooking = true;
    this.#look().catch((error) => {
      if (!isTransient(error)) this.#refusal = error;
    }).finally(() => this.#isLooking = false);
  }

  async #look(): Promise<void> {
    const { topics } = this.#options;
    const found = await this.#admin.identify(Object.values(topics));
    const now = found.find(({ name }) => name === topics.raw)?.partitions ?? 0;
    const before = this.#partitions ??= now;
    if (before !== now) throw otherPartitions(topics.raw, { before, now });
  }
}
