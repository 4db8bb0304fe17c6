import { brokerErrorOf } from "../adapters/kafka/errors.ts";
import type { KafkaLog } from "../adapters/kafka/log.ts";
import { type StoredReplay, storedReplay } from "../engine/log/player.ts";
import type { LogAdmin, LogCommitter } from "../engine/log/ports.ts";
import { UsageError } from "../console/errors.ts";
import { hashOf, type Input } from "./input.ts";

/** What a replay into the topic keeps with its position: its first clock, and the bytes it plays. */
export type ReplayNote = {
  /** Wall clock of the first start, epoch milliseconds. */
  readonly nowMs: number;
  /** Null: begun by an older version, which kept none. */
  readonly content: string | null;
};

/** The note as the text that is kept. */
export function formatNote({ nowMs, content }: ReplayNote): string {
  return content === null ? String(nowMs) : `${nowMs} ${content}`;
}

/** The note of a replay that has begun; null where there is none that can be read. */
export function readNote(stored: StoredReplay | null): ReplayNote | null {
  const [nowMs, content] = (stored?.note ?? "").split(" ");
  if (nowMs === "" || !Number.isFinite(Number(nowMs))) return null;
  return { nowMs: Number(nowMs), content: content ?? null };
}

/** A replay, and what it needs of the log to claim its files. */
export type Claim = {
  readonly command: string;
  readonly topic: string;
  readonly partitions: number;
  /** What every group of a replay begins with. */
  readonly prefix: string;
  /** The group of this replay. */
  readonly group: string;
  readonly admin: LogAdmin;
  readonly committer: (transactionalId: string) => LogCommitter;
};

/** How long the transaction of a replay that still runs may hide its position. */
const HIDDEN_MS_MAX = 5_000;

/**
 * What a replay's group keeps of it; null: the replay has not begun.
 *
 * A replay that was killed leaves a transaction, which hides its position until the broker gives it
 * up (`kafka.transaction_timeout_ms`, a minute). Whoever goes on takes the replay over anyhow, so
 * that this one ends the transaction at once.
 */
export async function readReplay(
  log: KafkaLog,
  { topic, partitions, group, admin, committer }: Omit<Claim, "command" | "prefix">,
): Promise<StoredReplay | null> {
  const replay = { topic, partitions, group };
  const hasty = log.admin({ deadlineMs: HIDDEN_MS_MAX });
  try {
    return await storedReplay({ ...replay, admin: hasty });
  } catch (error) {
    if (brokerErrorOf(error) !== "UNSTABLE_OFFSET_COMMIT") throw error;
  } finally {
    await hasty.close();
  }
  for (let partition = 0; partition < partitions; partition++) {
    const former = committer(writerId(group, partition));
    await former.open();
    await former.close();
  }
  return await storedReplay({ ...replay, admin });
}

/** Who writes a replay's records into a partition. */
export function writerId(group: string, partition: number): string {
  return `${group}-${partition}`;
}

/**
 * Refuses to go on with files that hold other bytes than those whose records the topic has.
 *
 * @throws {UsageError} when they do
 */
export function refuseOtherContent(note: ReplayNote | null, input: Input, claim: Claim): void {
  const before = note?.content ?? null;
  if (before !== null && before !== input.stream) throw otherReplay(input, claim);
}

/**
 * Notes, before its first record, which replay plays the files of these names: a file that changed
 * makes another replay, which must not be sent behind the first part of the one before.
 *
 * @throws {UsageError} when another replay of these files was begun and is not finished
 */
export async function claimFiles(input: Input, claim: Claim): Promise<void> {
  const { topic, partitions, prefix, group, admin, committer } = claim;
  const paths = await Promise.all(input.paths.map((path) => Deno.realPath(path)));
  const names = await hashOf(new TextEncoder().encode(paths.join("\n")));
  const ofFiles = `${prefix}of-${names.slice(0, 16)}`;
  const [{ nextOffset, metadata: former }] = await admin.groupOffsets(ofFiles, [{
    topic,
    partition: 0,
  }]);
  if (nextOffset >= 0 && former !== group) {
    const replay = await storedReplay({ topic, partitions, group: former, admin });
    if (replay !== null && !replay.isFinished) throw otherReplay(input, claim);
  }
  const owner = committer(ofFiles);
  try {
    await owner.open();
    const groupOffset = { topic, partition: 0, group: ofFiles, nextOffset: 0, metadata: group };
    await owner.commit({ records: [], groupOffset });
  } finally {
    await owner.close();
  }
}

function otherReplay({ description }: Input, { command, topic }: Claim): UsageError {
  return new UsageError(
    `Cannot ${command} ${description} into ${topic}: a part of it is there, ` +
      "with other options or other bytes in its files",
    "play that to its end first, with the same options and its files as they were, or use " +
      "topics of another kafka.topic_prefix",
  );
}
