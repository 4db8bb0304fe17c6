import type { Outputs } from "../../core/outputs.ts";
import {
  type Commit,
  FencedError,
  type InputStore,
  OtherLogError,
  type Snapshot,
  type StoredInput,
} from "../../engine/ports.ts";
import { StoreAwayError } from "../../engine/sink/ports.ts";
import type { CopyWriter } from "../../tables/copy.ts";
import { stageInput } from "../../tables/incident_stage.ts";
import { outputRows } from "../../tables/output_rows.ts";
import type { DigestedFrom } from "../../tables/table_digests.ts";
import { answered, type Answering, transacted } from "./answered.ts";
import type { Answer, PostgresDatabase, Transaction } from "./database.ts";
import { awayOf } from "./errors.ts";
import { DigestBook, readDigestedFrom } from "./digest_book.ts";
import { holdLock } from "./lock.ts";
import { writeIncidentsOf } from "./incidents.ts";
import { bookPosition, writeLedger, writeTable } from "./rows.ts";
import {
  AGGREGATES,
  EVER,
  findStaleWindows,
  refreshWindow,
  touch,
  type Touched,
} from "./timescale.ts";

/** One run at a time in a database: "gridwrun" in ASCII. */
const LOCK = "7454136213473228142";
const LOCK_NOT_AVAILABLE = "55P03";

/** Payloads of a changelog that are read at a time. */
const PAYLOADS_MAX = 16;

/**
 * The embedded pipeline's store on PostgreSQL or TimescaleDB: a commit is one SQL transaction, which
 * moves its partition's position on from where the commit begins, or else changes nothing. The
 * database must have two connections: one holds the lock that keeps other runs out, until the
 * database is closed; should it be lost, the positions still do.
 */
export class PostgresStore implements InputStore {
  readonly #to: Answering;
  /** Event times written since the aggregates were last refreshed. */
  readonly #touched: Touched = new Map();
  /** It never changes once the schema is there. */
  #digestedFrom: DigestedFrom | null = null;

  private constructor(to: Answering) {
    this.#to = to;
    for (const aggregate of AGGREGATES) touch(this.#touched, aggregate, EVER);
  }

  /**
   * Takes a database over whose schema is the newest. It waits up to `lockMsMax` for the one before:
   * the server may still be at the last statement of a run that was killed.
   *
   * @throws {FencedError} when another process plays into it
   * @throws {StoreAwayError} when it does not answer
   */
  static async open(
    database: PostgresDatabase,
    { answerMsMax, lockMsMax }: { readonly answerMsMax: number; readonly lockMsMax: number },
  ): Promise<PostgresStore> {
    const to = { database, answerMsMax };
    await answered(to, () => holdLock(database, LOCK, { waitMsMax: lockMsMax })).catch((error) => {
      const isHeld = error instanceof StoreAwayError &&
        (error.cause as { code?: unknown }).code === LOCK_NOT_AVAILABLE;
      throw isHeld ? new FencedError("another process plays into the database") : error;
    });
    return new PostgresStore(to);
  }

  async load(partition: number): Promise<Snapshot | null> {
    const { rows: [row] } = await this.query(
      "SELECT p.next_offset, t.state FROM positions p JOIN task_state t USING (partition) " +
        "WHERE partition = $1",
      [partition],
    );
    if (row === undefined) return null;
    return {
      nextOffset: Number(row.next_offset),
      task: row.state as Uint8Array,
      changelog: this.#changelog(partition),
    };
  }

  /**
   * @throws {FencedError} when the partition does not stand where the commit begins
   * @throws {StoreAwayError} when the database is away, full, or refuses a row
   */
  async commit(commit: Commit): Promise<void> {
    const { partition, outputs, stateTtlMs } = commit;
    const tables = outputRows(outputs, partition);
    await this.#write(async (tx, book) => {
      await movePosition(tx, commit, book);
      for (const rows of tables) await writeTable(tx, rows, book);
      await writeLedger(tx, { partition, ledger: commit.ledger }, book);
      await writeState(tx, commit, book);
      await writeIncidentsOf(tx, stageInput(outputs, { partition, silentAfterMs: stateTtlMs }));
    });
    this.#touch(outputs);
  }

  async lastInput(): Promise<StoredInput | null> {
    const { rows: [row] } = await this.query("SELECT * FROM inputs ORDER BY id DESC LIMIT 1");
    return row === undefined ? null : inputOf(row);
  }

  /**
   * Sinks that begin meanwhile wait for the table's lock, and find the input.
   *
   * @throws {OtherLogError} when sinks write into the database
   * @throws {FencedError} when another process has begun an input
   */
  async beginInput(input: StoredInput): Promise<void> {
    const { id, fingerprint, description, baseOffsets, nowMs, finished } = input;
    await this.#write(async (tx, book) => {
      await tx.query("LOCK TABLE sink_positions IN SHARE MODE");
      await refuseSinks(tx);
      const { touched } = await tx.query(
        `INSERT INTO inputs (id, fingerprint, description, base_offsets, now_at, finished)
         VALUES ($1, $2, $3, $4::text::bigint[], $5, $6) ON CONFLICT DO NOTHING`,
        [id, fingerprint, description, `{${baseOffsets.join(",")}}`, new Date(nowMs), finished],
      );
      if (touched === 0) throw new FencedError("another process has begun to play");
      book.add("inputs", [inputRow(input)]);
    });
  }

  /** Computes TimescaleDB's aggregates before, for as long as it takes. */
  async finishInput(inputId: number): Promise<void> {
    const { database } = this.#to;
    try {
      for (const window of await findStaleWindows(database, this.#touched)) {
        await refreshWindow(database, this.#touched, window);
      }
    } catch (error) {
      throw awayOf(error);
    }
    await this.#write(async (tx, book) => {
      const { rows } = await tx.query(
        "SELECT * FROM inputs WHERE id = $1 AND NOT finished FOR UPDATE",
        [inputId],
      );
      await tx.query("UPDATE inputs SET finished = true WHERE id = $1", [inputId]);
      const inputs = rows.map(inputOf);
      book.add("inputs", inputs.map(inputRow), -1);
      book.add("inputs", inputs.map((input) => inputRow({ ...input, finished: true })));
    });
  }

  async settings(): Promise<Record<string, string>> {
    const { rows } = await this.query("SELECT key, value FROM settings");
    return Object.fromEntries(rows.map(({ key, value }) => [String(key), String(value)]));
  }

  async saveSettings(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#write(async (tx, book) => {
      const { rows } = await tx.query("SELECT key, value FROM settings FOR UPDATE");
      await tx.query(
        `INSERT INTO settings SELECT key, value FROM jsonb_each_text($1::text::jsonb)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        [JSON.stringify(settings)],
      );
      const replaced = rows.filter(({ key }) => Object.hasOwn(settings, String(key)));
      book.add(
        "settings",
        replaced.map(({ key, value }) => settingRow(String(key), String(value))),
        -1,
      );
      const written = Object.entries(settings);
      book.add("settings", written.map(([key, value]) => settingRow(key, value)));
    });
  }

  /** Runs one statement between two commits. */
  async query(sql: string, params: readonly unknown[] = []): Promise<Answer> {
    return await answered(this.#to, (database) => database.query(sql, params));
  }

  /** Writes in one transaction rows and their digests. */
  async #write(write: (tx: Transaction, book: DigestBook) => Promise<void>): Promise<void> {
    await transacted(this.#to, async (tx) => {
      this.#digestedFrom ??= await readDigestedFrom(tx);
      const book = new DigestBook(this.#digestedFrom);
      await write(tx, book);
      await book.save(tx);
    });
  }

  async *#changelog(partition: number): AsyncGenerator<Uint8Array> {
    let after: unknown[] = [-1, -1];
    while (true) {
      const { rows } = await this.query(
        `SELECT next_offset, part, payload FROM state_changelog WHERE partition = $1
           AND (next_offset, part) > ($2, $3) ORDER BY next_offset, part LIMIT ${PAYLOADS_MAX}`,
        [partition, ...after],
      );
      for (const row of rows) yield row.payload as Uint8Array;
      if (rows.length < PAYLOADS_MAX) return;
      const last = rows[rows.length - 1];
      after = [last.next_offset, last.part];
    }
  }

  #touch(outputs: Outputs): void {
    const timesMs = {
      gap: outputs.gaps.map(({ idMs }) => idMs),
      late: outputs.late.map(({ timestampMs, delayMs }) => timestampMs + delayMs),
      metric: outputs.metrics.map(({ timestampMs }) => timestampMs),
      validated: outputs.validated.map(({ timestampMs }) => timestampMs),
      rejected: [],
      finding: [],
    };
    for (const aggregate of AGGREGATES) {
      const span = spanOf(timesMs[aggregate.kind]);
      if (span !== null) touch(this.#touched, aggregate, span);
    }
  }
}

/**
 * Refuses a database that sinks write, as far as it has been migrated.
 *
 * @throws {OtherLogError} when there are positions of theirs in it
 */
export async function refuseSinks(tx: Pick<PostgresDatabase, "query">): Promise<void> {
  const { rows: [{ found }] } = await tx.query(
    "SELECT to_regclass('sink_positions') IS NOT NULL AS found",
  );
  if (!found) return;
  const { rows } = await tx.query("SELECT topic FROM sink_positions LIMIT 1");
  if (rows.length > 0) throw new OtherLogError("sinks write into the database from Kafka");
}

/** Moves the position on, before anything else: whoever comes second waits here for the first. */
async function movePosition(tx: Transaction, commit: Commit, book: DigestBook): Promise<void> {
  const { partition, fromOffset, nextOffset, watermarkMs, judgedToMs } = commit;
  const times = [watermarkMs, judgedToMs].map((ms) => ms === null ? null : new Date(ms));
  const { touched } = fromOffset === 0
    ? await tx.query(
      "INSERT INTO positions VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      [partition, nextOffset, ...times],
    )
    : await tx.query(
      `UPDATE positions SET next_offset = $2, watermark = $3, judged_to = $4
       WHERE partition = $1 AND next_offset = $5`,
      [partition, nextOffset, ...times, fromOffset],
    );
  if (touched !== 1) {
    throw new FencedError(`partition ${partition} does not stand at ${fromOffset} any more`);
  }
  bookPosition(book, partition, { nextOffset, timesMs: [watermarkMs, judgedToMs] });
}

async function writeState(tx: Transaction, commit: Commit, book: DigestBook): Promise<void> {
  const { partition, nextOffset, task, changelog, compacts } = commit;
  await tx.query(
    `INSERT INTO task_state VALUES ($1, $2)
     ON CONFLICT (partition) DO UPDATE SET state = excluded.state`,
    [partition, task],
  );
  book.set({ table: "task_state", partition }, [(writer) => {
    writer.row(2);
    writer.int32(partition);
    writer.bytes(task);
  }]);
  if (compacts) await tx.query("DELETE FROM state_changelog WHERE partition = $1", [partition]);
  for (const [part, payload] of changelog.entries()) {
    await tx.query("INSERT INTO state_changelog VALUES ($1, $2, $3, $4)", [
      ...[partition, nextOffset, part],
      payload,
    ]);
  }
  const rows = changelog.map((payload, part) => (writer: CopyWriter) => {
    writer.row(4);
    writer.int32(partition);
    writer.int64(nextOffset);
    writer.int32(part);
    writer.bytes(payload);
  });
  if (compacts) book.set({ table: "state_changelog", partition }, rows);
  else book.add("state_changelog", rows);
}

function inputOf(row: Record<string, unknown>): StoredInput {
  return {
    id: Number(row.id),
    fingerprint: String(row.fingerprint),
    description: String(row.description),
    baseOffsets: (row.base_offsets as unknown[]).map(Number),
    nowMs: (row.now_at as Date).getTime(),
    finished: row.finished === true,
  };
}

function inputRow(
  { id, fingerprint, description, baseOffsets, nowMs, finished }: StoredInput,
): (writer: CopyWriter) => void {
  return (writer) => {
    writer.row(6);
    writer.int32(id);
    writer.text(fingerprint);
    writer.text(description);
    writer.text(`{${baseOffsets.join(",")}}`);
    writer.timestamp(nowMs);
    writer.int32(finished ? 1 : 0);
  };
}

function settingRow(key: string, value: string): (writer: CopyWriter) => void {
  return (writer) => {
    writer.row(2);
    writer.text(key);
    writer.text(value);
  };
}

function spanOf(timesMs: readonly number[]): { first: number; last: number } | null {
  if (timesMs.length === 0) return null;
  const span = { first: Infinity, last: -Infinity };
  for (const ms of timesMs) {
    if (ms < span.first) span.first = ms;
    if (ms > span.last) span.last = ms;
  }
  return span;
}
