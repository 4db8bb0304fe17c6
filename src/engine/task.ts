import {
  applyChanges,
  decodeTask,
  encodeAll,
  encodeChanges,
  encodeTask,
  finishRestore,
} from "../core/codec.ts";
import type { ProcessorOptions } from "../core/options.ts";
import { Processor } from "../core/processor.ts";
import { judgedToMs } from "../core/watermark.ts";
import type { RawRecord } from "../core/wire/raw_record.ts";
import type { Commit, CommitStore } from "./ports.ts";

export { FencedError } from "./ports.ts";
export type { Commit, CommitStore, Snapshot } from "./ports.ts";
export type { RawRecord } from "../core/wire/raw_record.ts";

/** Bytes of changelog written before it is folded into a snapshot, at least. */
const CHANGELOG_BYTES_MIN = 4 << 20;
/** The same as a multiple of the last snapshot. */
const CHANGELOG_GROWTH = 4;
/** Of a snapshot, for each meter, about. */
const METER_BYTES = 100;
/** A snapshot's payloads are about this share of `changelogBytesMin`. */
const SNAPSHOT_PARTS = 4;

/**
 * One partition's state and its unit of commit. It may fold on while a commit is under way, but
 * only one may be: whoever gets an error, or no answer, drops the task and opens another.
 */
export class Task {
  readonly processor: Processor;
  readonly #changelogBytesMin: number;
  #committedOffset: number;
  #changelogBytes = 0;
  #snapshotBytes = 0;
  /** A part of a tick is folded, and not committed. */
  #hasPart = false;

  private constructor(processor: Processor, changelogBytesMin: number) {
    this.processor = processor;
    this.#changelogBytesMin = changelogBytesMin;
    this.#committedOffset = processor.state.nextOffset;
  }

  /**
   * Restores the task of a partition from what the store holds of it. It folds its changelog into a
   * snapshot after `changelogBytesMin` bytes at the earliest; tests make that early.
   */
  static async open(
    options: ProcessorOptions,
    store: CommitStore,
    { changelogBytesMin = CHANGELOG_BYTES_MIN }: { readonly changelogBytesMin?: number } = {},
  ): Promise<Task> {
    const snapshot = await store.load(options.partition);
    if (snapshot === null) return new Task(new Processor(options), changelogBytesMin);
    const processor = new Processor(options, decodeTask(snapshot.task));
    let bytes = 0;
    for await (const payload of snapshot.changelog) {
      applyChanges(payload, processor);
      bytes += payload.length;
    }
    finishRestore(processor);
    const task = new Task(processor, changelogBytesMin);
    // How much of it was the snapshot is not known: about as much as there are meters.
    task.#snapshotBytes = Math.min(bytes, processor.meters.count * METER_BYTES);
    task.#changelogBytes = bytes - task.#snapshotBytes;
    return task;
  }

  get partition(): number {
    return this.processor.options.partition;
  }

  /** The offset of the next record to fold. */
  get nextOffset(): number {
    return this.processor.state.nextOffset;
  }

  /** Folds the next record; in a log with holes its offset may be beyond `nextOffset`. */
  fold(record: Readonly<RawRecord>): void {
    this.processor.record(record);
  }

  /**
   * Folds the next record, or the next part of a tick by which more meters are due than `metersMax`.
   * False: commit, and fold the same record again.
   */
  foldPart(record: Readonly<RawRecord>, metersMax: number): boolean {
    const isWhole = this.processor.recordPart(record, metersMax);
    this.#hasPart ||= !isWhole;
    return isWhole;
  }

  /** Takes everything since the last call as one commit; null when nothing was folded. */
  takeCommit(): Commit | null {
    const { processor } = this;
    const fromOffset = this.#committedOffset;
    if (processor.state.nextOffset === fromOffset && !this.#hasPart) return null;
    this.#hasPart = false;
    const outputs = processor.takeOutputs();
    const changes = encodeChanges(processor);
    this.#changelogBytes += changes.length;
    const limit = Math.max(this.#changelogBytesMin, CHANGELOG_GROWTH * this.#snapshotBytes);
    const compacts = this.#changelogBytes > limit;
    let changelog = changes.length === 0 ? [] : [changes];
    if (compacts) {
      changelog = [...encodeAll(processor, this.#changelogBytesMin / SNAPSHOT_PARTS)];
      this.#snapshotBytes = changelog.reduce((sum, part) => sum + part.length, 0);
      this.#changelogBytes = 0;
    }
    this.#committedOffset = processor.state.nextOffset;
    return {
      partition: this.partition,
      fromOffset,
      nextOffset: processor.state.nextOffset,
      outputs,
      changelog,
      compacts,
      task: encodeTask(processor),
      watermarkMs: processor.watermarkMs,
      judgedToMs: judgedToMs(processor),
      ledger: { ...processor.state.ledger },
      stateTtlMs: processor.options.stateTtlMs,
    };
  }
}
