import { fetchV13, type Reader } from "@platformatic/kafka";
import type { LogReaderOptions } from "../../engine/log/ports.ts";
import { ByteCursor } from "./bytes.ts";
import type { KafkaConnections } from "./connections.ts";
import type { AbortedTransaction, FetchedPartition } from "./decode.ts";
import { brokerError } from "./errors.ts";

type Connection = Awaited<ReturnType<KafkaConnections["get"]>>;

export type FetchFrom = {
  readonly topic: string;
  /** A topic made anew has another, and nothing of it is fetched. */
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
};

const FETCH = 1;
/** The first that names topics by their identity. */
const VERSION = 13;
const COMMITTED = 1;
const NO_SESSION = { id: 0, epoch: -1 };

/**
 * Fetches from one broker. The library sends and receives; its own parser, which makes objects of
 * every record and drops aborted ones wrongly, is passed over.
 */
export function fetchRecords(
  connection: Connection,
  from: readonly FetchFrom[],
  { isolation, partitionBytesMax, pollMs, answerBytesMax }:
    & Pick<LogReaderOptions, "isolation" | "partitionBytesMax" | "pollMs">
    & { readonly answerBytesMax: number },
): Promise<FetchedPartition[]> {
  const topics = [...Map.groupBy(from, ({ topicId }) => topicId)].map(([topicId, partitions]) => ({
    topicId,
    partitions: partitions.map(({ partition, offset, leaderEpoch }) => ({
      partition,
      currentLeaderEpoch: leaderEpoch,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: partitionBytesMax,
    })),
  }));
  const request = () =>
    fetchV13.createRequest(
      pollMs,
      1,
      answerBytesMax,
      isolation === "committed" ? COMMITTED : 0,
      NO_SESSION.id,
      NO_SESSION.epoch,
      topics,
      [],
      "",
    );
  const names = new Map(from.map(({ topicId, topic }) => [topicId, topic]));
  const read = (_correlation: number, _key: number, _version: number, reader: Reader) =>
    readAnswer(new ByteCursor(reader.buffer.slice(reader.position)), names);
  return new Promise((resolve, reject) => {
    connection.send<FetchedPartition[]>(FETCH, VERSION, request, read, true, true, (
      error,
      answer,
    ) => error === null || error === undefined ? resolve(answer ?? []) : reject(error));
  });
}

/** The answer's body, as the protocol guide has it for version 13. */
function readAnswer(cursor: ByteCursor, names: ReadonlyMap<string, string>): FetchedPartition[] {
  cursor.int32(); // throttle time
  const errorCode = cursor.int16();
  if (errorCode !== 0) throw brokerError(errorCode);
  cursor.int32(); // session
  const fetched: FetchedPartition[] = [];
  for (let topics = cursor.unsignedVarint() - 1; topics > 0; topics--) {
    const topic = names.get(cursor.uuid()) ?? "";
    for (let partitions = cursor.unsignedVarint() - 1; partitions > 0; partitions--) {
      fetched.push(readPartition(cursor, topic));
    }
    cursor.skipTags();
  }
  return fetched;
}

function readPartition(cursor: ByteCursor, topic: string): FetchedPartition {
  const partition = cursor.int32();
  const errorCode = cursor.int16();
  const logEndOffset = cursor.int64();
  const lastStableOffset = cursor.int64();
  const logStartOffset = cursor.int64();
  const aborted: AbortedTransaction[] = [];
  for (let count = cursor.unsignedVarint() - 1; count > 0; count--) {
    aborted.push({ producerId: cursor.bigInt64(), firstOffset: cursor.int64() });
    cursor.skipTags();
  }
  cursor.int32(); // preferred replica
  const length = Math.max(0, cursor.unsignedVarint() - 1);
  const start = cursor.at;
  const end = start + length;
  cursor.at = end;
  cursor.skipTags();
  const { bytes } = cursor;
  return {
    topic,
    partition,
    errorCode,
    logEndOffset,
    lastStableOffset,
    logStartOffset,
    aborted,
    bytes,
    start,
    end,
  };
}
