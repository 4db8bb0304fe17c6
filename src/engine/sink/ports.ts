import type { TaskAccount } from "../../core/task_state.ts";
import type { LogBatch, PartitionOffset, PartitionRef } from "../log/ports.ts";

/** The kinds of messages that the tables are written from. */
export type SinkKind = "validated" | "gap" | "late" | "rejected" | "finding" | "metric";

/** Messages `first` up to `end` of a batch, in order. */
export type SinkRun = {
  readonly kind: SinkKind;
  readonly batch: LogBatch;
  readonly first: number;
  readonly end: number;
};

/** How far a topic's partition was written, and how far it is once this commit is. */
export type SinkMove = PartitionRef & {
  readonly from: number;
  readonly to: number;
  /** Messages between the two. */
  readonly messages: number;
};

/** One atomic step of one partition: rows, the places they came from, and the account of them. */
export type SinkCommit = {
  readonly partition: number;
  readonly moves: readonly SinkMove[];
  readonly runs: readonly SinkRun[];
  readonly account: TaskAccount | null;
};

/** Something that became of a shared outage, for the log. */
export type SinkIncident = {
  readonly change: string;
  readonly incident_id: string;
  readonly meters: number;
  readonly expected: number;
};

/**
 * Rows written, messages that the tables refused and that are kept with their reason, and what became
 * of incidents.
 */
export type SinkCommitted = {
  readonly rows: number;
  readonly refused: number;
  readonly incidents: readonly SinkIncident[];
};

/** Where a topic's partition begins, and which topic that is: one made anew has another id. */
export type SinkStart = PartitionOffset & { readonly topicId: string };

/** Where a topic's partition stands in the store. */
export type SinkPosition = PartitionOffset & {
  /** Messages written up to there. */
  readonly messages: number;
  /** The store has not seen it before. */
  readonly isNew: boolean;
};

/** Where a sink writes. */
export type SinkStore = {
  /**
   * Where each partition stands; one never seen before stands at `offset`.
   *
   * @throws {OtherLogError} What is written came from another topic of this name.
   */
  load(starts: readonly SinkStart[]): Promise<SinkPosition[]>;
  /**
   * All of it becomes visible, or none.
   *
   * @throws {FencedError} A topic does not stand where the commit begins: load again.
   * @throws {StoreAwayError} The store is away, or full, or busy; what became of the commit is not
   * known. Load again, later.
   */
  commit(commit: SinkCommit): Promise<SinkCommitted>;
  /** Called when all that was read is written and nothing has come for a while. */
  settle(): Promise<void>;
};

/**
 * The store does not take anything now. `hint` names a way out; `sqlstate` says that it answers, and
 * why it refuses; null: it is away.
 */
export class StoreAwayError extends Error {
  override name = "StoreAwayError";
  readonly hint: string | undefined;
  readonly sqlstate: string | null;
  constructor(
    message: string,
    options: { hint?: string; sqlstate?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.sqlstate = options.sqlstate ?? null;
  }
}
