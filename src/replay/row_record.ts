import { meterIdOfCell } from "../core/meter_id.ts";
import { writeBytes } from "../core/text.ts";
import { writeTimestamp } from "../core/time.ts";
import { CELLS_FIELD, SOURCE_FIELD } from "../core/wire/file_fields.ts";
import { METER_FIELD, TIMESTAMP_FIELD, VALUE_FIELD } from "../core/wire/raw_record.ts";
import { CELLS_STRIDE, type CsvReader, type CsvRows } from "../formats/csv.ts";
import {
  blockLength,
  copyBytes,
  HAS_RECEIVED,
  IS_JSON,
  IS_TIMELY,
  IS_USABLE,
  type RecordBlock,
  reserve,
} from "./block.ts";
import { partitionOf } from "./partitioner.ts";
import { FAULT, type RowPlace } from "./row_place.ts";
import { idStart, seriesId, type SeriesTable } from "./series_table.ts";

/** Which partition each series is of, and how many there are. */
export type MeterPartitions = {
  readonly table: SeriesTable;
  readonly partitions: number;
  readonly ofSeries: Int16Array;
};

/** The partitions of all series of a table. */
export function meterPartitions(table: SeriesTable, partitions: number): MeterPartitions {
  const ofSeries = new Int16Array(table.count);
  for (let series = 0; series < table.count && partitions > 1; series++) {
    const start = idStart(table, series);
    // Of several channels the name that the record has is another than what stands in the table.
    ofSeries[series] = table.names.has(series)
      ? partitionOf(encoder.encode(seriesId(table, series)), partitions)
      : partitionOf(table.ids, partitions, start, table.ends[series]);
  }
  return { table, partitions, ofSeries };
}

/** A file whose rows are written as records. */
type RowSource = {
  readonly path: string;
  readonly reader: Pick<CsvReader, "bytes">;
  readonly rows: CsvRows;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const OPEN = 0x7b;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
/** Of a byte at most: a control character as `\u0001`. */
const ESCAPED_BYTES_MAX = 6;
const FIXED_BYTES_MAX = 128;

/**
 * Appends row `row` as a record: `{"meter_id":"…","timestamp":"…","consumption_kwh":0.219`, without
 * the last brace. Cells that are not there are left out; what is no timestamp or no number goes as
 * the text it is. A row that is of no use also says where it stands, and its cells as they are. A
 * cut row goes as its raw text.
 */
export function appendRow(
  block: RecordBlock,
  csv: RowSource,
  row: number,
  place: RowPlace,
  meters: MeterPartitions,
): void {
  const { reader: { bytes: source }, rows: { cells, isCut } } = csv;
  const base = row * CELLS_STRIDE;
  const lengths = cells[base + 1] - cells[base] + cells[base + 3] - cells[base + 2] +
    cells[base + 5] - cells[base + 4];
  const isGood = place.fault === FAULT.none;
  reserve(block, isGood ? lengths * ESCAPED_BYTES_MAX + FIXED_BYTES_MAX : sizeMax(csv, base));
  const start = blockLength(block);
  const { bytes } = block;
  if (isCut[row] === 1) {
    copyBytes(source, cells[base], bytes, start, lengths);
    return finish(block, start + lengths, place, 0, 0);
  }
  let flags = IS_JSON;
  let at = start;
  bytes[at++] = OPEN;
  let partition = 0;
  if (cells[base + 1] > 0) {
    at = writeBytes(METER_FIELD, bytes, at);
    if (place.series >= 0) {
      partition = meters.ofSeries[place.series];
      at = writeSeries(meters.table, place.series, bytes, at);
    } else {
      const id = meterIdOfCell(decoder.decode(source.subarray(cells[base], cells[base + 1])));
      partition = partitionOf(encoder.encode(id), meters.partitions);
      at = writeJson(id, bytes, at);
    }
  }
  if (cells[base + 3] > 0) {
    if (at > start + 1) bytes[at++] = COMMA;
    at = writeBytes(TIMESTAMP_FIELD, bytes, at);
    at = writeTime(source, cells[base + 2], cells[base + 3], place.eventMs, bytes, at);
  }
  if (cells[base + 5] > 0) {
    if (at > start + 1) bytes[at++] = COMMA;
    at = writeBytes(VALUE_FIELD, bytes, at);
    at = writeValue(source, cells[base + 4], cells[base + 5], place.isJsonNumber, bytes, at);
  }
  if (isGood) flags |= IS_USABLE;
  else at = writeOrigin(csv, row, bytes, at);
  if (place.isTimely) flags |= IS_TIMELY;
  if (place.receivedMs === place.receivedMs) flags |= HAS_RECEIVED;
  finish(block, at, place, partition, flags);
}

/** The most bytes of the record of a row that is of no use. */
function sizeMax({ path, rows: { cells } }: RowSource, base: number): number {
  let lengths = 0;
  for (let at = base; at < base + CELLS_STRIDE; at += 2) lengths += cells[at + 1] - cells[at];
  return (2 * lengths + path.length) * ESCAPED_BYTES_MAX + 2 * FIXED_BYTES_MAX;
}

/** Writes where a row stands, and its cells as they are. */
function writeOrigin(
  { path, reader, rows: { cells, lines } }: RowSource,
  row: number,
  bytes: Uint8Array,
  at: number,
): number {
  if (bytes[at - 1] !== OPEN) bytes[at++] = COMMA;
  at = writeJson(`${path}:${lines[row]}`, bytes, writeBytes(SOURCE_FIELD, bytes, at));
  bytes[at++] = COMMA;
  const base = row * CELLS_STRIDE;
  const texts: string[] = [];
  for (let cell = base; cell < base + CELLS_STRIDE; cell += 2) {
    texts.push(decoder.decode(reader.bytes.subarray(cells[cell], cells[cell + 1])));
  }
  // Few files say when a row arrived.
  if (texts[texts.length - 1] === "") texts.pop();
  return writeJson(texts, bytes, writeBytes(CELLS_FIELD, bytes, at));
}

function writeSeries(table: SeriesTable, series: number, bytes: Uint8Array, at: number): number {
  const { ids, ends, isPlain } = table;
  const start = series === 0 ? 0 : ends[series - 1];
  const end = ends[series];
  if (isPlain[series] === 0) return writeJson(seriesId(table, series), bytes, at);
  bytes[at++] = QUOTE;
  for (let p = start; p < end; p++) bytes[at++] = ids[p];
  bytes[at++] = QUOTE;
  return at;
}

function writeJson(value: string | readonly string[], bytes: Uint8Array, at: number): number {
  return at + encoder.encodeInto(JSON.stringify(value), bytes.subarray(at)).written;
}

function finish(
  block: RecordBlock,
  end: number,
  place: RowPlace,
  partition: number,
  flags: number,
): void {
  const n = block.count;
  block.ends[n] = end;
  block.keysMs[n] = place.keyMs;
  block.eventsMs[n] = place.eventMs;
  block.files[n] = place.file;
  block.series[n] = place.series;
  block.partitions[n] = partition;
  block.flags[n] = flags;
  block.count = n + 1;
}

function writeTime(
  source: Uint8Array,
  start: number,
  end: number,
  eventMs: number,
  bytes: Uint8Array,
  at: number,
): number {
  if (eventMs !== eventMs) return writeText(source, start, end, bytes, at);
  bytes[at] = QUOTE;
  const timeEnd = writeTimestamp(eventMs, bytes, at + 1);
  bytes[timeEnd] = QUOTE;
  return timeEnd + 1;
}

function writeValue(
  source: Uint8Array,
  start: number,
  end: number,
  isJsonNumber: boolean,
  bytes: Uint8Array,
  at: number,
): number {
  if (!isJsonNumber) return writeText(source, start, end, bytes, at);
  copyBytes(source, start, bytes, at, end - start);
  return at + end - start;
}

/** Writes a JSON string; invalid UTF-8 becomes replacement characters. Returns its end. */
function writeText(
  source: Uint8Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  at: number,
): number {
  const textStart = at;
  bytes[at++] = QUOTE;
  for (let i = start; i < end; i++) {
    const byte = source[i];
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) {
      const text = JSON.stringify(decoder.decode(source.subarray(start, end)));
      return textStart + encoder.encodeInto(text, bytes.subarray(textStart)).written;
    }
    bytes[at++] = byte;
  }
  bytes[at++] = QUOTE;
  return at;
}
