import { CodecError } from "../../core/bytes.ts";
import { decodeAccount } from "../../core/codec.ts";
import type { Clock, Commit, CommitStore, Snapshot } from "../ports.ts";
import { type ChangelogRecord, changelogRecords, concatenate, readChangelog } from "./changelog.ts";
import type { GroupOffset, LogAdmin, LogCommitter, LogReader, Membership } from "./ports.ts";
import { outputRecords, type Topics } from "./records.ts";

/** What the store of one partition needs. */
export type LogStoreOptions = {
  readonly partition: number;
  readonly topics: Topics;
  readonly group: string;
  readonly membership: () => Membership | null;
  readonly committer: LogCommitter;
  readonly admin: LogAdmin;
  /** A reader of committed records with their keys; closed after the restore. */
  readonly openReader: () => LogReader;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Hears how far the changelog is read. */
  readonly onRestore: (nextOffset: number) => void;
};

const RESTORE_WAIT_MS = 500;

/**
 * Commits of one partition as transactions of a log: outputs, changed states and the next offset.
 * The states stand in the changelog, which the next owner restores from.
 */
export class LogStore implements CommitStore {
  readonly #options: LogStoreOptions;
  /** Changes in the changelog since its latest snapshot. */
  #changes = 0;

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** Takes the partition over, and reads what its last owner committed. */
  async load(partition: number): Promise<Snapshot | null> {
    const { committer, admin, topics, signal } = this.#options;
    signal.throwIfAborted();
    await committer.open();
    signal.throwIfAborted();
    const ref = { topic: topics.changelog, partition };
    const [{ offset: start }] = await admin.listOffsets([ref], "start");
    const [{ offset: end }] = await admin.listOffsets([ref], "committedEnd");
    let task: Uint8Array | null = null;
    let restoreFrom = start;
    this.#changes = 0;
    for await (const { kind, value, offset } of this.#read(start, end)) {
      if (kind === "task") task = value.slice();
      else if (kind === "change") this.#changes++;
      else if (kind === "snapshot") {
        restoreFrom = offset;
        this.#changes = 0;
      }
    }
    if (task === null) return null;
    const { nextOffset } = decodeAccount(task);
    return { nextOffset, task, changelog: this.#payloads(restoreFrom, end) };
  }

  /** @throws as `LogCommitter.commit` */
  async commit(commit: Commit): Promise<void> {
    const { topics, partition, group, membership, committer, clock } = this.#options;
    const nowMs = clock.nowMs();
    const groupOffset: GroupOffset = {
      topic: topics.raw,
      partition,
      group,
      nextOffset: commit.nextOffset,
      metadata: "",
      membership,
    };
    const records = outputRecords(commit.outputs, { topics, partition, nowMs });
    if (commit.compacts) this.#changes = 0;
    records.push(
      changelogRecords(commit, { topic: topics.changelog, changes: this.#changes, nowMs }),
    );
    if (!commit.compacts) this.#changes += commit.changelog.length;
    await committer.commit({ records, groupOffset });
  }

  async *#payloads(start: number, end: number): AsyncGenerator<Uint8Array> {
    let pieces: Uint8Array[] = [];
    for await (const { kind, value, offset } of this.#read(start, end)) {
      if (kind === "task") continue;
      if (kind === null) throw new CodecError(`an unknown key in the changelog, offset ${offset}`);
      if (kind !== "piece" && pieces.length > 0) {
        yield concatenate(pieces);
        pieces = [];
      }
      pieces.push(value);
    }
    if (pieces.length > 0) yield concatenate(pieces);
  }

  /** The committed records of the changelog from `start` up to the offset `end`. */
  async *#read(start: number, end: number): AsyncGenerator<ChangelogRecord> {
    if (start >= end) return;
    const { topics, partition, openReader, signal, onRestore } = this.#options;
    const reader = openReader();
    try {
      reader.assign({ topic: topics.changelog, partition, offset: start });
      for (let next = start; next < end;) {
        signal.throwIfAborted();
        const batch = await reader.next(RESTORE_WAIT_MS, signal);
        if (batch === null) continue;
        for (const record of readChangelog(batch)) if (record.offset < end) yield record;
        next = batch.nextOffset;
        onRestore(next);
      }
    } finally {
      await reader.close();
    }
  }
}
