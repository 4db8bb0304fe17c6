import { DISPOSITIONS, type Ledger } from "../../core/ledger.ts";
import { rawText } from "../../core/wire/output_json.ts";
import { FencedError } from "../../engine/ports.ts";
import type { SinkCommit, SinkKind, SinkRun } from "../../engine/sink/ports.ts";
import { MessageRows } from "../../tables/message_rows.ts";
import type { CopyWriter } from "../../tables/copy.ts";
import { COLUMNS, type TableRows, UPSERTS } from "../../tables/output_rows.ts";
import { joinTold, type Told } from "../../tables/incident_stage.ts";
import { type DigestedTable, LAYOUTS } from "../../tables/table_digests.ts";
import { toMsOrNull } from "../../tables/values.ts";
import type { Transaction } from "./database.ts";
import type { DigestBook } from "./digest_book.ts";
import { isRefusal } from "./errors.ts";

/** A message that became no row: where it stands, and why. */
type Refused = {
  readonly run: SinkRun;
  readonly place: number;
  readonly error: string;
  readonly sqlstate: string | null;
};

/** Messages of one kind as rows. */
export type EncodedRows = {
  readonly kind: SinkKind;
  readonly tables: readonly TableRows[];
  readonly refused: readonly Refused[];
  /** Event times of the rows. */
  readonly span: { readonly first: number; readonly last: number } | null;
  readonly told: Told;
};

/** How much was written, and what it tells of incidents. */
export type Written = { readonly rows: number; readonly refused: number; readonly told: Told };

const NO_ORIGIN = "the message does not say which raw record it came from";

/** A commit's messages as rows, kind by kind. */
export function encodeRuns(runs: readonly SinkRun[], partition: number): EncodedRows[] {
  const kinds = new Set(runs.map(({ kind }) => kind));
  return [...kinds].map((kind) => encodeKind(runs.filter((run) => run.kind === kind), partition));
}

function encodeKind(runs: readonly SinkRun[], partition: number): EncodedRows {
  const { kind } = runs[0];
  const count = runs.reduce((sum, { first, end }) => sum + end - first, 0);
  const rows = new MessageRows(kind, partition, count);
  const refused: Refused[] = [];
  for (const run of runs) {
    const { bytes, values, origins, timesMs } = run.batch;
    for (let place = run.first; place < run.end; place++) {
      const source = { offset: origins?.offsets[place] ?? -1, timeMs: timesMs[place] };
      const start = Math.max(0, values.starts[place]);
      const error = source.offset < 0
        ? NO_ORIGIN
        : rows.add(bytes, start, Math.max(start, values.ends[place]), source);
      if (error !== null) refused.push({ run, place, error, sqlstate: null });
    }
  }
  return { kind, tables: rows.tables(), refused, span: rows.spanMs, told: rows.told };
}

/**
 * Moves the topics' positions on from where the commit begins, before anything else: whoever comes
 * second waits here for the first, and then finds the place taken.
 *
 * @throws {FencedError} when one of them stands elsewhere
 */
export async function movePositions(
  tx: Transaction,
  { moves }: SinkCommit,
  book: DigestBook,
): Promise<void> {
  const { rows, touched } = await tx.query(
    `UPDATE sink_positions AS p SET next_offset = m."to",
       messages = p.messages + m.messages, written_at = now()
     FROM jsonb_to_recordset($1::text::jsonb)
       AS m (topic text, partition integer, "from" bigint, "to" bigint, messages bigint)
     WHERE p.topic = m.topic AND p.partition = m.partition AND p.next_offset = m."from"
     RETURNING p.topic, p.partition, m."from", m."to", p.messages, m.messages AS moved`,
    [JSON.stringify(moves)],
  );
  const stood = rows.map((row) =>
    positionRow(row, Number(row.from), Number(row.messages) - Number(row.moved))
  );
  book.add("sink_positions", stood, -1);
  book.add(
    "sink_positions",
    rows.map((row) => positionRow(row, Number(row.to), Number(row.messages))),
  );
  if (touched === moves.length) return;
  const [{ topic, partition, from }] = moves;
  throw new FencedError(`${topic}/${partition} does not stand at ${from} in the database any more`);
}

/** Where a topic's partition stands, as the row that digests know. */
export function positionRow(
  { topic, partition }: Record<string, unknown>,
  nextOffset: number,
  messages: number,
): (writer: CopyWriter) => void {
  return (writer) => {
    writer.row(4);
    writer.int32(Number(partition));
    writer.text(String(topic));
    writer.int64(nextOffset);
    writer.int64(messages);
  };
}

/** Writes rows and what became none. */
export async function writeRows(
  tx: Transaction,
  encoded: readonly EncodedRows[],
  book: DigestBook,
): Promise<Written> {
  const written = { rows: 0, refused: 0 };
  for (const { tables, refused } of encoded) {
    for (const rows of tables) await writeTable(tx, rows, book);
    await keepRefused(tx, refused, book);
    written.rows += rowsOf(tables);
    written.refused += refused.length;
  }
  return { ...written, told: joinTold(encoded.map(({ told }) => told)) };
}

/** Messages that are tried together once it is known that some of a commit are refused. */
const TRIED_MAX = 512;

/** The same for messages of which the server refuses some: finds out which. */
export async function writeAccepted(
  tx: Transaction,
  { runs, partition }: SinkCommit,
  book: DigestBook,
): Promise<Written> {
  const written = { rows: 0, refused: 0 };
  const told: Told[] = [];
  for (const run of runs) {
    const accepted: SinkRun[] = [];
    for (let first = run.first; first < run.end; first += TRIED_MAX) {
      const end = Math.min(run.end, first + TRIED_MAX);
      const into = { partition, accepted, book };
      written.refused += await trySpan(tx, { ...run, first, end }, into);
    }
    if (accepted.length === 0) continue;
    const encoded = encodeKind(accepted, partition);
    told.push(encoded.told);
    written.rows += rowsOf(encoded.tables);
    for (const rows of encoded.tables) if (isSum(rows)) await writeTable(tx, rows, book);
  }
  return { ...written, told: joinTold(told) };
}

/** Writes what the server accepts of a span; gives how many messages became no row. */
async function trySpan(
  tx: Transaction,
  run: SinkRun,
  into: {
    readonly partition: number;
    readonly accepted: SinkRun[];
    readonly book: DigestBook;
  },
): Promise<number> {
  if (run.first === run.end) return 0;
  const { tables, refused } = encodeKind([run], into.partition);
  const book = into.book.ofAttempt();
  try {
    await tx.attempt(async () => {
      for (const rows of tables) if (!isSum(rows)) await writeTable(tx, rows, book);
      await keepRefused(tx, refused, book);
    });
    into.accepted.push(run);
    into.book.added.take(book.added);
    return refused.length;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (run.end - run.first === 1) {
      const { message, code } = error;
      const refusal = { run, place: run.first, error: message, sqlstate: code ?? null };
      await keepRefused(tx, [refusal], into.book);
      return 1;
    }
    // What stands before the message that it stumbled over, that message, and what comes after it.
    const at = stumbledAt(error, run, refused);
    const cuts = at === null ? [(run.first + run.end) >> 1] : [at, at + 1];
    let sum = 0;
    let first = run.first;
    for (const end of [...cuts, run.end]) {
      sum += await trySpan(tx, { ...run, first, end }, into);
      first = end;
    }
    return sum;
  }
}

/** Which message a COPY stumbled over, by its line; null: the server does not say. */
function stumbledAt(error: Error, run: SinkRun, unread: readonly Refused[]): number | null {
  const where = String((error as { where?: unknown }).where ?? "");
  const [, table, line] = /^COPY (\w+), line (\d+)/.exec(where) ?? [];
  if (line === undefined || /_stage_\d+$/.test(table)) return null;
  const isUnread = new Set(unread.map(({ place }) => place));
  for (let place = run.first, rows = 0; place < run.end; place++) {
    if (!isUnread.has(place) && ++rows === Number(line)) return place;
  }
  return null;
}

/** Writes the task's account of its partition; one read again, of an earlier state, changes nothing. */
export async function writeAccount(
  tx: Transaction,
  { partition, account }: SinkCommit,
  { gapGraceMs, book }: { readonly gapGraceMs: number; readonly book: DigestBook },
): Promise<void> {
  if (account === null) return;
  const { ledger, nextOffset, watermarkMs } = account;
  await writeLedger(tx, { partition, ledger }, book);
  const times = watermarkMs === null
    ? [null, null]
    : [new Date(watermarkMs), new Date(watermarkMs - gapGraceMs)];
  const { rows: [row] } = await tx.query(
    `INSERT INTO positions AS p VALUES ($1, $2, $3, $4)
     ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset,
       watermark = coalesce(excluded.watermark, p.watermark),
       judged_to = coalesce(excluded.judged_to, p.judged_to)
     WHERE p.next_offset <= excluded.next_offset
     RETURNING p.watermark, p.judged_to`,
    [partition, nextOffset, ...times],
  );
  if (row === undefined) return;
  bookPosition(book, partition, {
    nextOffset: account.nextOffset,
    timesMs: [toMsOrNull(row.watermark), toMsOrNull(row.judged_to)],
  });
}

/** Says to the digests how a partition stands now. */
export function bookPosition(
  book: DigestBook,
  partition: number,
  { nextOffset, timesMs }: {
    readonly nextOffset: number;
    /** The watermark, and up to where slots are judged. */
    readonly timesMs: readonly (number | null)[];
  },
): void {
  book.set({ table: "positions", partition }, [(writer) => {
    writer.row(2 + timesMs.length);
    writer.int32(partition);
    writer.int64(nextOffset);
    for (const ms of timesMs) {
      if (ms === null) writer.null();
      else writer.timestamp(ms);
    }
  }]);
}

/** Writes a partition's ledger; an earlier one changes nothing. */
export async function writeLedger(
  tx: Transaction,
  { partition, ledger }: { readonly partition: number; readonly ledger: Readonly<Ledger> },
  book: DigestBook,
): Promise<void> {
  const { raw, ok, late, too_late, duplicate, rejected, tick } = ledger;
  const { touched } = await tx.query(
    `INSERT INTO ledger AS l VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (partition) DO UPDATE SET raw = excluded.raw, ok = excluded.ok,
       late = excluded.late, too_late = excluded.too_late, duplicate = excluded.duplicate,
       rejected = excluded.rejected, tick = excluded.tick
     WHERE l.raw <= excluded.raw`,
    [partition, raw, ok, late, too_late, duplicate, rejected, tick],
  );
  if (touched === 0) return;
  book.set({ table: "ledger", partition }, [(writer) => {
    writer.row(2 + DISPOSITIONS.length);
    writer.int32(partition);
    for (const name of ["raw", ...DISPOSITIONS] as const) writer.int64(ledger[name]);
  }]);
}

/** Writes rows of one table: by COPY, and over what is there where they are written over. */
export async function writeTable(
  tx: Transaction,
  { table, columns, rows, bytes }: TableRows,
  book: DigestBook,
): Promise<void> {
  const upsert = UPSERTS[table];
  if (upsert === undefined) {
    await tx.copy({ table, columns }, bytes);
    if (table in LAYOUTS) book.added.addCopy(table as DigestedTable, bytes);
    return;
  }
  // A pooler keeps the table for other clients, of other versions too: their columns may be fewer.
  const stage = `${table}_stage_${columns.length}`;
  await tx.query(
    `CREATE TEMPORARY TABLE IF NOT EXISTS ${stage} (LIKE ${table}) ON COMMIT DELETE ROWS`,
  );
  await tx.copy({ table: stage, columns }, bytes);
  const replaced = table === "gap_alerts" || table === "validation_records" ? table : null;
  if (replaced !== null) await takeReplaced(tx, { table: replaced, stage }, book);
  const { touched } = await tx.query(upsert.replaceAll(`${table}_stage`, stage));
  if (replaced !== null) {
    if (touched === rows) book.added.addCopy(replaced, bytes);
    else await addReplacing(tx, { table: replaced, stage }, book);
  }
  await tx.query(`DELETE FROM ${stage}`);
}

/** Tables whose rows are replaced by later ones of the same key. */
type Replaced = "gap_alerts" | "validation_records";
/** One of them, and the table where its new rows wait. */
type Staged = { readonly table: Replaced; readonly stage: string };

const KEYS: Readonly<Record<Replaced, readonly string[]>> = {
  gap_alerts: ["meter_id", "time", "source_partition"],
  validation_records: ["meter_id", "channel", "rule", '"from"', "source_partition"],
};

/** The rows that stand where those of the stage belong. */
function staged({ table, stage }: Staged): string {
  const columns = COLUMNS[table].map((name) => `g.${name}`).join(", ");
  const on = KEYS[table].map((name) => `g.${name} = s.${name}`).join(" AND ");
  return `SELECT ${columns} FROM ${stage} s JOIN ${table} g ON ${on}`;
}

/** Takes the rows as they stand, which those of the stage are to replace, out of their digest. */
async function takeReplaced(tx: Transaction, of: Staged, book: DigestBook): Promise<void> {
  await tx.copyOut(
    `${staged(of)} AND g.source_offset <= s.source_offset`,
    (rows) => book.added.addRows(of.table, rows, -1),
  );
}

/** Adds those of the stage that are there now: some were told of later before. */
async function addReplacing(tx: Transaction, of: Staged, book: DigestBook): Promise<void> {
  await tx.copyOut(
    `${staged(of)} AND g.source_offset = s.source_offset`,
    (rows) => book.added.addRows(of.table, rows),
  );
}

/** Meters' days are sums, no rows of messages. */
function isSum({ table }: TableRows): boolean {
  return table === "readings_meter_daily";
}

function rowsOf(tables: readonly TableRows[]): number {
  return tables.reduce((sum, rows) => sum + (isSum(rows) ? 0 : rows.rows), 0);
}

async function keepRefused(
  tx: Transaction,
  refused: readonly Refused[],
  book: DigestBook,
): Promise<void> {
  if (refused.length === 0) return;
  const errors = refused.map(({ run: { batch }, place, error, sqlstate }) => {
    const start = Math.max(0, batch.values.starts[place]);
    const value = batch.bytes.subarray(start, Math.max(start, batch.values.ends[place]));
    const { text, encoding } = rawText(value);
    const { topic, partition, offsets } = batch;
    return { topic, partition, offset: offsets[place], error, sqlstate, value: text, encoding };
  });
  const { rows } = await tx.query(
    `INSERT INTO sink_errors
       (time, topic, partition, "offset", error, sqlstate, value, value_encoding)
     SELECT date_trunc('milliseconds', now()), topic, partition, "offset", error, sqlstate, value,
       encoding
     FROM jsonb_to_recordset($1::text::jsonb) AS r (topic text, partition integer,
       "offset" bigint, error text, sqlstate text, value text, encoding text)
     ON CONFLICT DO NOTHING
     RETURNING time, topic, partition, "offset", error, sqlstate, value, value_encoding`,
    [JSON.stringify(errors)],
  );
  book.add("sink_errors", rows.map(errorRow));
}

function errorRow(row: Record<string, unknown>): (writer: CopyWriter) => void {
  return (writer) => {
    writer.row(8);
    writer.timestamp((row.time as Date).getTime());
    writer.text(String(row.topic));
    writer.int32(Number(row.partition));
    writer.int64(Number(row.offset));
    writer.text(String(row.error));
    if (row.sqlstate === null) writer.null();
    else writer.text(String(row.sqlstate));
    writer.text(String(row.value));
    writer.text(String(row.value_encoding));
  };
}
