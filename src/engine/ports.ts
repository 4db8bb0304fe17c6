import type { Ledger } from "../core/ledger.ts";
import type { Outputs } from "../core/outputs.ts";

/** What a partition's owner needs to go on: null on the first start. */
export type Snapshot = {
  readonly nextOffset: number;
  /** The processor's own state (watermark, clocks, ledger), encoded by `core/codec.ts`. */
  readonly task: Uint8Array;
  /** Changelog payloads, oldest first. */
  readonly changelog: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
};

/** One atomic step of one partition: all of it becomes visible, or none. */
export type Commit = {
  readonly partition: number;
  /** The offset the batch began at; a store refuses a commit that does not follow the last one. */
  readonly fromOffset: number;
  readonly nextOffset: number;
  readonly outputs: Outputs;
  /** Changed meter states, packed by `core/codec.ts`; empty when none changed. */
  readonly changelog: readonly Uint8Array[];
  /** True: `changelog` holds every meter, and older payloads may be forgotten. */
  readonly compacts: boolean;
  readonly task: Uint8Array;
  readonly watermarkMs: number | null;
  /** Slots up to here are judged, of every meter: a slot's grace before the watermark. */
  readonly judgedToMs: number | null;
  readonly ledger: Readonly<Ledger>;
  /** A meter without a reading for so long was silent: it starts no gap of an incident. */
  readonly stateTtlMs: number;
};

/** Time outside the core: for pacing, rates and durations. */
export type Clock = {
  /** Wall clock, epoch milliseconds. */
  nowMs(): number;
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
};

/** Where commits go. `commit` rejects with `FencedError` when another owner has taken over. */
export type CommitStore = {
  load(partition: number): Promise<Snapshot | null>;
  commit(commit: Commit): Promise<void>;
};

/** Another owner has committed this partition since it was loaded: drop the task, restore. */
export class FencedError extends Error {
  override name = "FencedError";
}

/** The tables are written from another log: a position says nothing of a log that it does not count. */
export class OtherLogError extends Error {
  override name = "OtherLogError";
  readonly hint: string | undefined;
  constructor(message: string, options: { hint?: string } = {}) {
    super(message);
    this.hint = options.hint;
  }
}

/** One replayed input: what was played into a store, from which offsets on. */
export type StoredInput = {
  readonly id: number;
  readonly fingerprint: string;
  readonly description: string;
  readonly baseOffsets: readonly number[];
  readonly nowMs: number;
  readonly finished: boolean;
};

/** A store that inputs are played into, and that knows how far each has come. */
export type InputStore = CommitStore & {
  /** The input played last, finished or not. */
  lastInput(): Promise<StoredInput | null>;
  beginInput(input: StoredInput): Promise<void>;
  finishInput(inputId: number): Promise<void>;
  /** What was fixed when the store was first used. */
  settings(): Promise<Record<string, string>>;
  saveSettings(settings: Readonly<Record<string, string>>): Promise<void>;
};

/** Raw records in arrival order, of all partitions. Record i is `bytes[ends[i-1]..ends[i])`. */
export type RecordChunk = {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
  /** Each record's partition; -1: a tick, for every partition. */
  readonly partitions: Int16Array;
  readonly count: number;
  /** Rows of the input that this chunk took, and the event time reached (NaN: none): for progress. */
  readonly rowsRead: number;
  readonly lastEventTimeMs: number;
};
