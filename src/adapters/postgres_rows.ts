import { rawText } from "../core/json.ts";
import { FencedError } from "../engine/ports.ts";
import type { SinkCommit, SinkKind, SinkRun } from "../engine/sink_ports.ts";
import { MessageRows } from "../formats/message_rows.ts";
import { type TableRows, UPSERTS } from "../formats/output_rows.ts";
import { copyInto, type Transaction } from "./postgres_database.ts";
import { isRefusal } from "./postgres_errors.ts";

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
};

/** How much was written. */
export type Written = { readonly rows: number; readonly refused: number };

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
  return { kind, tables: rows.tables(), refused, span: rows.spanMs };
}

/**
 * Moves the topics' positions on from where the commit begins, before anything else: whoever comes
 * second waits here for the first, and then finds the place taken.
 *
 * @throws {FencedError} when one of them stands elsewhere
 */
export async function movePositions(tx: Transaction, { moves }: SinkCommit): Promise<void> {
  const { count } = await tx.unsafe(
    `UPDATE sink_positions AS p SET next_offset = m."to", written_at = now()
     FROM jsonb_to_recordset($1::text::jsonb)
       AS m (topic text, partition integer, "from" bigint, "to" bigint)
     WHERE p.topic = m.topic AND p.partition = m.partition AND p.next_offset = m."from"`,
    [JSON.stringify(moves)],
  );
  if (count === moves.length) return;
  const [{ topic, partition, from }] = moves;
  throw new FencedError(`${topic}/${partition} does not stand at ${from} in the database any more`);
}

/** Writes rows and what became none. */
export async function writeRows(
  tx: Transaction,
  encoded: readonly EncodedRows[],
): Promise<Written> {
  const written = { rows: 0, refused: 0 };
  for (const { kind, tables, refused } of encoded) {
    for (const rows of tables) await writeTable(tx, rows);
    await keepRefused(tx, refused);
    written.rows += rowsOf(kind, tables);
    written.refused += refused.length;
  }
  return written;
}

/** The same for messages of which the server refuses some: halves them until it is known which. */
export async function writeHalves(
  tx: Transaction,
  run: SinkRun,
  partition: number,
): Promise<Written> {
  const encoded = encodeKind([run], partition);
  try {
    return await tx.savepoint(async (inner) => await writeRows(inner, [encoded]));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (run.end - run.first === 1) {
      const { message, code } = error;
      await keepRefused(tx, [{ run, place: run.first, error: message, sqlstate: code ?? null }]);
      return { rows: 0, refused: 1 };
    }
  }
  const middle = (run.first + run.end) >> 1;
  const left = await writeHalves(tx, { ...run, end: middle }, partition);
  const right = await writeHalves(tx, { ...run, first: middle }, partition);
  return { rows: left.rows + right.rows, refused: left.refused + right.refused };
}

/** Writes the task's account of its partition; one read again, of an earlier state, changes nothing. */
export async function writeAccount(
  tx: Transaction,
  { partition, account }: SinkCommit,
): Promise<void> {
  if (account === null) return;
  const { raw, ok, late, too_late, duplicate, rejected, tick } = account.ledger;
  await tx.unsafe(
    `INSERT INTO ledger AS l VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (partition) DO UPDATE SET raw = excluded.raw, ok = excluded.ok,
       late = excluded.late, too_late = excluded.too_late, duplicate = excluded.duplicate,
       rejected = excluded.rejected, tick = excluded.tick
     WHERE l.raw <= excluded.raw`,
    [partition, raw, ok, late, too_late, duplicate, rejected, tick],
  );
  const watermark = account.watermarkMs === null ? null : new Date(account.watermarkMs);
  await tx.unsafe(
    `INSERT INTO positions AS p VALUES ($1, $2, $3)
     ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset,
       watermark = excluded.watermark
     WHERE p.next_offset <= excluded.next_offset`,
    [partition, account.nextOffset, watermark],
  );
}

async function writeTable(tx: Transaction, { table, columns, bytes }: TableRows): Promise<void> {
  const upsert = UPSERTS[table];
  if (upsert === undefined) return await copyInto(tx, { table, columns }, bytes);
  const stage = `${table}_stage`;
  await tx.unsafe(
    `CREATE TEMPORARY TABLE IF NOT EXISTS ${stage} (LIKE ${table}) ON COMMIT DELETE ROWS`,
  );
  await copyInto(tx, { table: stage, columns }, bytes);
  await tx.unsafe(upsert);
  await tx.unsafe(`DELETE FROM ${stage}`);
}

/** The fleet's days are sums, no rows of messages. */
function rowsOf(kind: SinkKind, tables: readonly TableRows[]): number {
  const isSum = ({ table }: TableRows) => kind === "validated" && table === "readings_fleet_daily";
  return tables.reduce((sum, rows) => sum + (isSum(rows) ? 0 : rows.rows), 0);
}

async function keepRefused(tx: Transaction, refused: readonly Refused[]): Promise<void> {
  if (refused.length === 0) return;
  const errors = refused.map(({ run: { batch }, place, error, sqlstate }) => {
    const start = Math.max(0, batch.values.starts[place]);
    const value = batch.bytes.subarray(start, Math.max(start, batch.values.ends[place]));
    const { text, encoding } = rawText(value);
    const { topic, partition, offsets } = batch;
    return { topic, partition, offset: offsets[place], error, sqlstate, value: text, encoding };
  });
  await tx.unsafe(
    `INSERT INTO sink_errors (topic, partition, "offset", error, sqlstate, value, value_encoding)
     SELECT topic, partition, "offset", error, sqlstate, value, encoding
     FROM jsonb_to_recordset($1::text::jsonb) AS r (topic text, partition integer,
       "offset" bigint, error text, sqlstate text, value text, encoding text)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(errors)],
  );
}
