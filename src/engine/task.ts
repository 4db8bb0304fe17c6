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
import type { Commit, CommitStore } from "./ports.ts";

/** Bytes of changelog written before it is folded into a snapshot, at least. */
const CHANGELOG_BYTES_MIN = 4 << 20;
/** ... and as a multiple of the last snapshot. */
const CHANGELOG_GROWTH = 4;
const SNAPSHOT_PART_BYTES = 1 << 20;

/**
 * One partition's state and its unit of commit. It may fold on while a commit is under way, but
 * only one may be: whoever gets an error, or no answer, drops the task and opens another.
 */
export class Task {
  readonly processor: Processor;
  #committedOffset: number;
  #changelogBytes = 0;
  #snapshotBytes = 0;

  private constructor(processor: Processor) {
    this.processor = processor;
    this.#committedOffset = processor.state.nextOffset;
  }

  /** Restores the task of a partition from what the store holds of it. */
  static async open(options: ProcessorOptions, store: CommitStore): Promise<Task> {
    const snapshot = await store.load(options.partition);
    if (snapshot === null) return new Task(new Processor(options));
    const processor = new Processor(options, decodeTask(snapshot.task));
    let bytes = 0;
    for await (const payload of snapshot.changelog) {
      applyChanges(payload, processor);
      bytes += payload.length;
    }
    finishRestore(processor);
    const task = new Task(processor);
    task.#changelogBytes = bytes;
    return task;
  }

  get partition(): number {
    return this.processor.options.partition;
  }

  /** The offset of the next record to fold. */
  get nextOffset(): number {
    return this.processor.state.nextOffset;
  }

  /** Folds the next record. */
  fold(bytes: Uint8Array, start: number, end: number, recordTimeMs: number): void {
    this.processor.record(bytes, start, end, this.nextOffset, recordTimeMs);
  }

  /** Takes everything since the last call as one commit; null when nothing was folded. */
  takeCommit(): Commit | null {
    const { processor } = this;
    const fromOffset = this.#committedOffset;
    if (processor.state.nextOffset === fromOffset) return null;
    const outputs = processor.takeOutputs();
    const changes = encodeChanges(processor);
    this.#changelogBytes += changes.length;
    const limit = Math.max(CHANGELOG_BYTES_MIN, CHANGELOG_GROWTH * this.#snapshotBytes);
    const compacts = this.#changelogBytes > limit;
    let changelog = changes.length === 0 ? [] : [changes];
    if (compacts) {
      changelog = [...encodeAll(processor, SNAPSHOT_PART_BYTES)];
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
      task: encodeTask(processor.state),
      watermarkMs: processor.watermarkMs,
      ledger: { ...processor.state.ledger },
    };
  }
}
