import { OtherLogError } from "../../engine/ports.ts";
import {
  type SinkCommit,
  type SinkCommitted,
  type SinkPosition,
  type SinkStart,
  type SinkStore,
  StoreAwayError,
} from "../../engine/sink/ports.ts";
import { splitCommit } from "../../engine/sink/split.ts";
import { isPlayedInto } from "../../tables/migrations.ts";
import type { DigestedFrom } from "../../tables/table_digests.ts";
import { answered, type Answering, transacted } from "./answered.ts";
import type { PostgresDatabase, Transaction } from "./database.ts";
import { DigestBook, readDigestedFrom } from "./digest_book.ts";
import { isRefusal, isTooMuch } from "./errors.ts";
import { writeIncidentsOf } from "./incidents.ts";
import {
  type EncodedRows,
  encodeRuns,
  movePositions,
  positionRow,
  writeAccepted,
  writeAccount,
  writeRows,
  type Written,
} from "./rows.ts";
import {
  AGGREGATES,
  EVER,
  findStaleWindows,
  refreshWindow,
  touch,
  type Touched,
} from "./timescale.ts";

/**
 * The tables on PostgreSQL. A commit is one SQL transaction: it moves the positions of its topics on
 * from where they stand, or else changes nothing; so no row can be there twice, and COPY goes
 * straight into the tables. Only gaps and meters' days, which are written over, take a detour.
 */
export class PostgresSink implements SinkStore {
  readonly #to: Answering;
  readonly #gapGraceMs: number;
  readonly #stateTtlMs: number;
  /** Event times written since the aggregates were last refreshed. */
  readonly #touched: Touched = new Map();
  /** It never changes once the schema is there. */
  #digestedFrom: DigestedFrom | null = null;

  constructor(
    database: PostgresDatabase,
    { answerMsMax, gapGraceMs, stateTtlMs }: {
      readonly answerMsMax: number;
      /** The processor's: slots up to so long before the watermark are judged. */
      readonly gapGraceMs: number;
      /** The processor's: a meter without a reading for so long is silent. */
      readonly stateTtlMs: number;
    },
  ) {
    this.#to = { database, answerMsMax };
    this.#gapGraceMs = gapGraceMs;
    this.#stateTtlMs = stateTtlMs;
  }

  /**
   * In the topics' order, which is that of each commit's tables: two commits must not cross.
   *
   * @throws {OtherLogError} when `gridwatch run` plays files into this database, or a topic was made
   * anew since its rows were written
   */
  async load(starts: readonly SinkStart[]): Promise<SinkPosition[]> {
    const { rows } = await transacted(this.#to, async (tx) => {
      const answer = await tx.query(
        `WITH given AS (
           SELECT * FROM jsonb_to_recordset($1::text::jsonb)
             AS g (topic text, partition integer, "offset" bigint, "topicId" uuid)
         ), named AS (
           UPDATE sink_positions AS p SET topic_id = g."topicId" FROM given g
           WHERE p.topic = g.topic AND p.partition = g.partition AND p.topic_id IS NULL
         ), added AS (
           INSERT INTO sink_positions (topic, partition, next_offset, topic_id)
           SELECT topic, partition, "offset", "topicId" FROM given ON CONFLICT DO NOTHING
           RETURNING topic, partition
         )
         SELECT g.topic, g.partition, coalesce(p.next_offset, g."offset") AS next_offset,
                coalesce(p.messages, 0) AS messages, a.topic IS NOT NULL AS is_new,
                coalesce(p.topic_id <> g."topicId", false) AS is_other
         FROM given g LEFT JOIN sink_positions p USING (topic, partition)
         LEFT JOIN added a USING (topic, partition)
         ORDER BY topic, partition`,
        [JSON.stringify(starts)],
      );
      const book = await this.#openBook(tx);
      const added = answer.rows.filter(({ is_new: isNew }) => isNew);
      book.add("sink_positions", added.map((row) => positionRow(row, Number(row.next_offset), 0)));
      await book.save(tx);
      if (await isPlayedInto(tx)) {
        throw new OtherLogError("files are played into the database by `gridwatch run`");
      }
      const other = answer.rows.find(({ is_other }) => is_other);
      if (other !== undefined) throw topicMadeAnew(String(other.topic));
      return answer;
    });
    for (const aggregate of AGGREGATES) touch(this.#touched, aggregate, EVER);
    return rows.map((row) => ({
      topic: String(row.topic),
      partition: Number(row.partition),
      offset: Number(row.next_offset),
      messages: Number(row.messages),
      isNew: Boolean(row.is_new),
    }));
  }

  /** A commit that is too much for the server at once is written in parts, one after another. */
  async commit(commit: SinkCommit): Promise<SinkCommitted> {
    const encoded = encodeRuns(commit.runs, commit.partition);
    const write = (tx: Transaction, book: DigestBook) => writeRows(tx, encoded, book);
    try {
      const written = await this.#write(commit, write).catch((error) => {
        if (!isRefusal(error.cause)) throw error;
        return this.#write(commit, (tx, book) => writeAccepted(tx, commit, book));
      });
      this.#touch(encoded);
      return written;
    } catch (error) {
      const parts = error instanceof StoreAwayError && isTooMuch(error.cause)
        ? splitCommit(commit)
        : null;
      if (parts === null) throw error;
      const first = await this.commit(parts[0]);
      const rest = await this.commit(parts[1]);
      return {
        rows: first.rows + rest.rows,
        refused: first.refused + rest.refused,
        incidents: [...first.incidents, ...rest.incidents],
      };
    }
  }

  /** One window at a time; of those that cannot be computed now the first says why. */
  async settle(): Promise<void> {
    if (this.#touched.size === 0) return;
    const windows = await answered(
      this.#to,
      (database) => findStaleWindows(database, this.#touched),
    );
    const troubles: unknown[] = [];
    for (const window of windows) {
      await answered(this.#to, (database) => refreshWindow(database, this.#touched, window))
        .catch((trouble) => troubles.push(trouble));
    }
    if (troubles.length > 0) throw troubles[0];
  }

  async #write(
    commit: SinkCommit,
    rows: (tx: Transaction, book: DigestBook) => Promise<Written>,
  ): Promise<SinkCommitted> {
    return await transacted(this.#to, async (tx) => {
      const book = await this.#openBook(tx);
      await movePositions(tx, commit, book);
      const counts = await rows(tx, book);
      await writeAccount(tx, commit, { gapGraceMs: this.#gapGraceMs, book });
      await book.save(tx);
      const { rows: written, refused, told } = counts;
      const { partition } = commit;
      const stage = { ...told, partition, silentAfterMs: this.#stateTtlMs };
      return { rows: written, refused, incidents: await writeIncidentsOf(tx, stage) };
    });
  }

  async #openBook(tx: Transaction): Promise<DigestBook> {
    this.#digestedFrom ??= await readDigestedFrom(tx);
    return new DigestBook(this.#digestedFrom);
  }

  #touch(encoded: readonly EncodedRows[]): void {
    for (const { kind, span } of encoded) {
      const aggregate = AGGREGATES.find((one) => one.kind === kind);
      if (aggregate === undefined || span === null) continue;
      touch(this.#touched, aggregate, span);
    }
  }
}

function topicMadeAnew(topic: string): OtherLogError {
  return new OtherLogError(
    `Cannot write on: "${topic}" was deleted and made anew since the tables were written from it`,
    {
      hint: "--database URL of an empty database, whose tables `gridwatch migrate` makes; or " +
        "another kafka.topic_prefix, and a database for it",
    },
  );
}
