import { CodecError } from "../../core/bytes.ts";
import { decodeAccount } from "../../core/codec.ts";
import type { Clock, Commit, CommitStore, Snapshot } from "../ports.ts";
import {
  type ChangelogRecord,
  changelogRecords,
  concatenate,
  readChangelog,
  stateRecordsOf,
} from "./changelog.ts";
import { findOtherSetting, type Judging } from "./judging.ts";
import {
  type CommitMark,
  formatMark,
  isOfTopics,
  markTopics,
  otherPartitions,
  readMark,
  stateNotWhole,
} from "./mark.ts";
import {
  type GroupOffset,
  type LogAdmin,
  type LogCommitter,
  type LogReader,
  LogRefusedError,
  type Membership,
  type StoredOffset,
} from "./ports.ts";
import { outputRecords, type Topics } from "./records.ts";

/** What the store of one partition needs. */
export type LogStoreOptions = {
  readonly partition: number;
  readonly topics: Topics;
  readonly group: string;
  readonly judging: Judging;
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

/** The last commit of a partition, as the changelog has it. */
type LastCommit = {
  readonly task: Uint8Array;
  /** Null: an older version wrote it. */
  readonly mark: CommitMark | null;
  /** Where the state begins, as far as it is known. */
  readonly stateFrom: number;
};

const RESTORE_WAIT_MS = 500;
const decoder = new TextDecoder();

/**
 * Commits of one partition as transactions of a log: outputs, changed states and the next offset.
 * The states stand in the changelog, which the next owner restores from. Each commit says what logs
 * it is of and how much state there is (`mark.ts`); a restore that finds others, or less, is refused.
 */
export class LogStore implements CommitStore {
  readonly #options: LogStoreOptions;
  /** What the topics are, as their marks have it. */
  #topics: readonly string[] = [];
  #partitions = 0;
  /** Changes in the changelog since its latest snapshot. */
  #changes = 0;
  /** Records of the state there, the snapshot's with them. */
  #stateRecords = 0;
  #stateFrom = 0;
  /** The changelog's end, as far as it is known. */
  #end = 0;
  /** The changelog says by what readings are judged. */
  #hasSettings = false;

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /**
   * Takes the partition over, and reads what its last owner committed.
   *
   * @throws {LogRefusedError} It counts in another log, is not whole, or was judged by other settings.
   */
  async load(partition: number): Promise<Snapshot | null> {
    const { committer, admin, topics, signal } = this.#options;
    signal.throwIfAborted();
    await committer.open();
    signal.throwIfAborted();
    const identities = await admin.identify(Object.values(topics));
    this.#topics = markTopics(identities.map(({ id }) => id));
    this.#partitions = identities.find(({ name }) => name === topics.raw)?.partitions ?? 0;
    const ref = { topic: topics.changelog, partition };
    const [{ offset: start }] = await admin.listOffsets([ref], "start");
    const [{ offset: end }] = await admin.listOffsets([ref], "committedEnd");
    const stored = await this.#readGroup(partition);
    this.#changes = this.#stateRecords = 0;
    this.#stateFrom = this.#end = end;
    this.#hasSettings = false;
    const told = readMark(stored.metadata);
    if (told !== null && !isOfTopics(told, topics, this.#topics)) return null;
    const last = await this.#findLast(told?.commitFrom ?? start, end);
    this.#refuseBehind(stored, last);
    if (last === null) return null;
    const { task, mark } = last;
    if (mark !== null && !isOfTopics(mark, topics, this.#topics)) return null;
    if (mark !== null) await this.#refuseOtherSettings(mark, { start, end });
    const stateFrom = Math.max(start, mark?.stateFrom ?? last.stateFrom);
    const { nextOffset } = decodeAccount(task);
    return { nextOffset, task, changelog: this.#payloads({ stateFrom, end, mark }) };
  }

  /** @throws as `LogCommitter.commit` */
  async commit(commit: Commit): Promise<void> {
    const { topics, partition, group, judging, membership, committer, clock } = this.#options;
    const nowMs = clock.nowMs();
    const { compacts } = commit;
    if (compacts) {
      this.#changes = this.#stateRecords = 0;
      this.#stateFrom = this.#end;
    }
    this.#stateRecords += stateRecordsOf(commit);
    const mark = formatMark({
      topics: this.#topics,
      partitions: this.#partitions,
      stateFrom: this.#stateFrom,
      commitFrom: this.#end,
      stateRecords: this.#stateRecords,
      settings: judging.hash,
    });
    const groupOffset: GroupOffset = {
      topic: topics.raw,
      partition,
      group,
      nextOffset: commit.nextOffset,
      metadata: mark,
      membership,
    };
    const settings = compacts || !this.#hasSettings ? JSON.stringify(judging.values) : null;
    const state = changelogRecords(commit, {
      ...{ topic: topics.changelog, changes: this.#changes, mark, settings, nowMs },
    });
    if (!compacts) this.#changes += commit.changelog.length;
    const records = [...state, ...outputRecords(commit.outputs, { topics, partition, nowMs })];
    const [firstOffset] = await committer.commit({ records, groupOffset });
    const written = state.reduce((sum, { count }) => sum + count, 0);
    this.#end = Math.max(this.#end, firstOffset + written);
    this.#hasSettings = true;
  }

  /**
   * Where the group stands in a partition.
   *
   * @throws {LogRefusedError} Any partition was judged when the raw topic had another number of them.
   */
  async #readGroup(partition: number): Promise<StoredOffset> {
    const { admin, topics, group } = this.#options;
    const { raw: topic } = topics;
    const now = this.#partitions;
    const refs = Array.from({ length: now }, (_, partition) => ({ topic, partition }));
    const stored = await admin.groupOffsets(group, refs);
    for (const { metadata } of stored) {
      const mark = readMark(metadata);
      if (mark === null || mark.partitions === now) continue;
      if (!isOfTopics(mark, topics, this.#topics)) continue;
      throw otherPartitions(topic, { before: mark.partitions, now });
    }
    return stored.find((one) => one.partition === partition) ??
      { topic, partition, nextOffset: -1, metadata: "" };
  }

  /** The last commit between two offsets, and where the latest snapshot begins of those between. */
  async #findLast(from: number, end: number): Promise<LastCommit | null> {
    let task: Uint8Array | null = null;
    let mark: CommitMark | null = null;
    let stateFrom = from;
    for await (const { kind, value, offset } of this.#read(from, end)) {
      if (kind === "task") {
        task = value.slice();
        mark = null; // it follows
      } else if (kind === "mark") mark = readMark(decoder.decode(value));
      else if (kind === "snapshot") stateFrom = offset;
    }
    return task === null ? null : { task, mark, stateFrom };
  }

  /** The changelog and the group's offset are written together: neither is behind the other. */
  #refuseBehind({ nextOffset, metadata }: StoredOffset, last: LastCommit | null): void {
    const { topics, partition } = this.#options;
    const judgedTo = last === null ? 0 : decodeAccount(last.task).nextOffset;
    // Somebody may have moved the group's offset back, with a tool that leaves no mark there.
    if (nextOffset === judgedTo || (readMark(metadata) === null && nextOffset < judgedTo)) return;
    const why = `it is judged to raw offset ${judgedTo}, and the group stands at ${nextOffset}`;
    throw stateNotWhole(topics.changelog, partition, why);
  }

  async #refuseOtherSettings(
    mark: CommitMark,
    { start, end }: { start: number; end: number },
  ): Promise<void> {
    const { judging, partition } = this.#options;
    this.#hasSettings = mark.settings === judging.hash;
    if (this.#hasSettings) return;
    let before: Record<string, string> = {};
    for await (const { kind, value } of this.#read(start, end)) {
      if (kind === "settings") before = JSON.parse(decoder.decode(value));
    }
    const other = findOtherSetting(judging, before);
    if (other === null) return;
    const { name, value, before: was } = other;
    throw new LogRefusedError(
      `Cannot judge partition ${partition} on with ${name}=${value}: it was judged with ${was}`,
      {
        hint: `set ${name} to ${was}; or \`gridwatch repartition --to PREFIX\`: all is ` +
          "judged anew in topics of that kafka.topic_prefix, for an empty database",
      },
    );
  }

  /** The payloads of the state, counted. */
  async *#payloads(
    { stateFrom, end, mark }: {
      stateFrom: number;
      end: number;
      mark: CommitMark | null;
    },
  ): AsyncGenerator<Uint8Array> {
    let pieces: Uint8Array[] = [];
    for await (const { kind, value, offset } of this.#read(stateFrom, end)) {
      if (kind === "task" || kind === "mark" || kind === "settings") continue;
      if (kind === null) throw new CodecError(`an unknown key in the changelog, offset ${offset}`);
      if (kind !== "piece" && pieces.length > 0) {
        yield concatenate(pieces);
        pieces = [];
      }
      if (kind === "change") this.#changes++;
      this.#stateRecords++;
      pieces.push(value);
    }
    if (pieces.length > 0) yield concatenate(pieces);
    this.#stateFrom = stateFrom;
    if (mark === null || mark.stateRecords === this.#stateRecords) return;
    const why =
      `${mark.stateRecords} records of it were written, and ${this.#stateRecords} are there`;
    throw stateNotWhole(this.#options.topics.changelog, this.#options.partition, why);
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
