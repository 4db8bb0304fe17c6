import type { KafkaLog } from "../adapters/kafka/log.ts";
import { PostgresDatabase } from "../adapters/postgres/database.ts";
import type { LogAdmin, ReadFrom } from "../engine/log/ports.ts";
import type { Clock } from "../engine/ports.ts";
import type { SinkStatus } from "../engine/sink/sink.ts";

/** What is looked at, and where it is noted. */
export type RawEndsOptions = {
  readonly log: Pick<KafkaLog, "admin" | "reader">;
  /** The raw topic. */
  readonly topic: string;
  /** Of the database. */
  readonly url: string;
  /** The partitions that this sink holds now, each with its messages that are not written yet. */
  readonly partitions: () => readonly Pick<SinkStatus, "partition" | "lagRecords">[];
  readonly everyMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** A look that takes longer is given up: the next one may do better. */
const ANSWER_MS_MAX = 5000;
/** Fewer offsets than this may be markers of transactions, and no records: they are looked through. */
const MARKERS_MAX = 100;

/**
 * Notes in the table `raw_ends` how far the raw topic goes, until the signal. A look that fails is
 * told by its absence: whoever reads the table sees how old the last one is.
 */
export async function watchRawEnds(options: RawEndsOptions): Promise<void> {
  const { log, url, everyMs, clock, signal } = options;
  const admin = log.admin({ deadlineMs: ANSWER_MS_MAX });
  const database = new PostgresDatabase(url, {
    connections: 1,
    name: "gridwatch sink, health",
    statementMsMax: ANSWER_MS_MAX,
  });
  try {
    while (!signal.aborted) {
      await look(options, admin, database).catch(() => {});
      await clock.sleep(everyMs, signal);
    }
  } finally {
    await admin.close();
    await database.close();
  }
}

type End = {
  readonly partition: number;
  readonly end: number;
  readonly stable: number;
  readonly waiting: number;
  readonly unwritten: number;
};

async function look(
  options: RawEndsOptions,
  admin: LogAdmin,
  database: PostgresDatabase,
): Promise<void> {
  const { topic, partitions } = options;
  const held = new Map(partitions().map((one) => [one.partition, one.lagRecords]));
  const refs = [...held.keys()].map((partition) => ({ topic, partition }));
  if (refs.length === 0) return;
  const [ends, stable] = await Promise.all([
    admin.listOffsets(refs, "end"),
    admin.listOffsets(refs, "committedEnd"),
  ]);
  const { rows } = await database.query("SELECT partition, next_offset FROM positions");
  const written = new Map(rows.map((row) => [Number(row.partition), Number(row.next_offset)]));
  const starts = await admin.listOffsets(refs, "start");
  const seen: End[] = [];
  for (const [i, { partition, offset: end }] of ends.entries()) {
    const offset = Math.max(starts[i].offset, written.get(partition) ?? 0);
    const behind = Math.max(0, end - offset);
    const waiting = behind === 0 || behind > MARKERS_MAX
      ? behind
      : await countRecords(options, { topic, partition, offset }, end);
    const unwritten = held.get(partition) ?? 0;
    seen.push({ partition, end, stable: stable[i].offset, waiting, unwritten });
  }
  await database.query(
    `INSERT INTO raw_ends AS r
     SELECT s.partition, s."end", s.stable, s.waiting, coalesce(p.next_offset, 0), s.unwritten,
            now(), now()
     FROM jsonb_to_recordset($1::text::jsonb)
       AS s (partition integer, "end" bigint, stable bigint, waiting bigint, unwritten bigint)
     LEFT JOIN positions p USING (partition)
     ON CONFLICT (partition) DO UPDATE SET end_offset = excluded.end_offset,
       stable_offset = excluded.stable_offset, waiting = excluded.waiting,
       next_offset = excluded.next_offset, unwritten = excluded.unwritten, seen_at = excluded.seen_at,
       moved_at = CASE WHEN excluded.waiting = 0 OR excluded.next_offset <> r.next_offset
                       THEN excluded.moved_at ELSE r.moved_at END`,
    [JSON.stringify(seen)],
  );
}

/** Records between two offsets: markers of transactions are none. */
async function countRecords(
  { log, signal }: RawEndsOptions,
  from: ReadFrom,
  end: number,
): Promise<number> {
  const reader = log.reader({
    isolation: "all",
    keys: false,
    origins: false,
    bufferBytesMax: 1 << 20,
    partitionBytesMax: 1 << 20,
    pollMs: 100,
  });
  try {
    reader.assign(from);
    let count = 0;
    for (let next = from.offset; next < end;) {
      const batch = await reader.next(ANSWER_MS_MAX, signal);
      if (batch === null) throw new Error("the log did not answer in time");
      count += batch.count;
      next = batch.nextOffset;
    }
    return count;
  } finally {
    await reader.close();
  }
}
