import { type AsyncBuffer, parquetMetadataAsync, parquetRead } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { formatTimestamp } from "../core/time.ts";
import { ReadError } from "./read_error.ts";

/** What is made of a file is kept as text: more than this is not. */
const TEXT_BYTES_MAX = 1 << 30;
/** So many rows are taken apart at a time. */
const ROWS_AT_ONCE = 1 << 16;

/** A column as its cells are written. */
type Column = { readonly name: string; readonly isLocal: boolean };

/**
 * Makes CSV of a Parquet file: its columns by their names, times in ISO 8601, nested ones left out.
 *
 * @throws {ReadError} when it is damaged, or too big
 */
export async function parquetText(
  path: string,
  file: AsyncBuffer,
): Promise<readonly Uint8Array[]> {
  try {
    const metadata = await parquetMetadataAsync(file);
    const columns = columnsOf(metadata.schema);
    const rows = Number(metadata.num_rows);
    const pieces = [encoder.encode(`${columns.map(({ name }) => csvCell(name)).join(",")}\n`)];
    let sizeBytes = 0;
    for (let rowStart = 0; rowStart < rows; rowStart += ROWS_AT_ONCE) {
      await parquetRead({
        file,
        metadata,
        compressors,
        columns: columns.map(({ name }) => name),
        rowStart,
        rowEnd: Math.min(rows, rowStart + ROWS_AT_ONCE),
        onComplete: (table: unknown[][]) => {
          const piece = encoder.encode(table.map((row) => lineOf(row, columns)).join(""));
          sizeBytes += piece.length;
          pieces.push(piece);
        },
      });
      if (sizeBytes > TEXT_BYTES_MAX) throw tooBig(path);
    }
    return pieces;
  } catch (cause) {
    if (cause instanceof ReadError || !(cause instanceof Error)) throw cause;
    throw new ReadError(
      `Cannot read "${path}": its Parquet data end too early, or are damaged (${cause.message})`,
      "copy or download it again",
      { cause },
    );
  }
}

const encoder = new TextEncoder();

type Schema = Awaited<ReturnType<typeof parquetMetadataAsync>>["schema"];

/** The columns at the top of a schema that hold one value a row. */
function columnsOf(schema: Schema): Column[] {
  const columns: Column[] = [];
  for (let at = 1; at < schema.length;) {
    const { name, num_children, repetition_type, logical_type } = schema[at];
    const isNested = (num_children ?? 0) > 0;
    const isLocal = logical_type?.type === "TIMESTAMP" && !logical_type.isAdjustedToUTC;
    if (!isNested && repetition_type !== "REPEATED") columns.push({ name, isLocal });
    at = endOf(schema, at);
  }
  return columns;
}

function endOf(schema: Schema, at: number): number {
  let end = at + 1;
  for (let child = 0; child < (schema[at].num_children ?? 0); child++) end = endOf(schema, end);
  return end;
}

function lineOf(row: readonly unknown[], columns: readonly Column[]): string {
  return `${row.map((value, c) => csvCell(textOf(value, columns[c]))).join(",")}\n`;
}

function textOf(value: unknown, { isLocal }: Column): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) return "";
    const text = formatTimestamp(ms);
    return isLocal ? text.replace("T", " ").replace("Z", "") : text;
  }
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replace(/[\r\n]+/g, " ").replaceAll('"', '""')}"` : text;
}

function tooBig(path: string): ReadError {
  return new ReadError(
    `Cannot read "${path}": it makes more than ${TEXT_BYTES_MAX >> 20} MiB of text`,
    "write it as CSV first, with DuckDB: COPY (FROM 'a.parquet') TO 'a.csv'",
  );
}
