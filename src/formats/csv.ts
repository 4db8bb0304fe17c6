import { countLines, isRepeatedHeader, readHeader } from "./csv_head.ts";
import { CSV_FIELDS, type CsvColumns, type CsvLayout } from "./csv_header.ts";

/** A longer record is cut: one broken quote must swallow neither the file nor the memory. */
export const RECORD_BYTES_MAX = 1 << 20;

/** Positions a row takes in `CsvRows.cells`: start and end of each of the four CSV_FIELDS. */
export const CELLS_STRIDE = 8;
const VALUE_FIELD = CSV_FIELDS.indexOf("value");
/** Where in a row's cells its time begins. */
const TIME_AT = 2 * CSV_FIELDS.indexOf("time");

/**
 * Rows as ranges of `CsvReader.bytes`, valid until the reader is next given bytes.
 *
 * Row i's field f is `[cells[8i + 2f], cells[8i + 2f + 1])`; empty: the cell is empty or missing. A
 * row with `isCut[i]` could not be taken apart: its first range is the raw text of its first line.
 */
export type CsvRows = {
  count: number;
  readonly cells: Int32Array;
  readonly isCut: Uint8Array;
  /** The line each row begins in; the header is line 1. */
  readonly lines: Int32Array;
};

/** Room for `rowsMax` rows. */
export function newCsvRows(rowsMax: number): CsvRows {
  return {
    count: 0,
    cells: new Int32Array(rowsMax * CELLS_STRIDE),
    isCut: new Uint8Array(rowsMax),
    lines: new Int32Array(rowsMax),
  };
}

export type CsvReaderOptions = {
  /** The file's name, for errors. */
  readonly file: string;
  readonly columns?: CsvColumns;
  readonly recordBytesMax?: number;
};

/** A CSV file on its way through: the bytes not yet read, and what is known of its columns. */
export type CsvReader = {
  readonly options: CsvReaderOptions;
  readonly recordBytesMax: number;
  /** null until the header line has been read. */
  layout: CsvLayout | null;
  /** Each byte's part in the grammar, under this layout's delimiter. */
  readonly kinds: Uint8Array;
  bytes: Uint8Array<ArrayBuffer>;
  start: number;
  end: number;
  /** No more bytes will come. */
  isEnded: boolean;
  /** The rest of a cut line is being passed over. */
  isSkipping: boolean;
  /** The line at `start`, from 1 on. */
  line: number;
  /** Rows passed over because they are the header once more, as in files put end to end. */
  repeatedHeaders: number;
};

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLAIN = 0;
const IS_DELIMITER = 1;
const IS_LF = 2;
const IS_QUOTE = 3;

/** A reader at the start of a file. */
export function newCsvReader(options: CsvReaderOptions): CsvReader {
  const kinds = new Uint8Array(256);
  kinds[LF] = IS_LF;
  kinds[QUOTE] = IS_QUOTE;
  return {
    options,
    recordBytesMax: options.recordBytesMax ?? RECORD_BYTES_MAX,
    layout: null,
    kinds,
    bytes: new Uint8Array(0),
    start: 0,
    end: 0,
    isEnded: false,
    isSkipping: false,
    line: 1,
    repeatedHeaders: 0,
  };
}

/**
 * Room for `bytesMax` more bytes: fill its front and say how much with `bytesAdded`. Moves what is
 * not yet read, so all rows read before are void.
 */
export function roomForBytes(reader: CsvReader, bytesMax: number): Uint8Array<ArrayBuffer> {
  const unread = reader.end - reader.start;
  if (unread + bytesMax > reader.bytes.length) {
    const grown = new Uint8Array(Math.max(unread + bytesMax, reader.bytes.length * 2));
    grown.set(reader.bytes.subarray(reader.start, reader.end));
    reader.bytes = grown;
  } else if (reader.start > 0) {
    reader.bytes.copyWithin(0, reader.start, reader.end);
  }
  reader.start = 0;
  reader.end = unread;
  return reader.bytes.subarray(unread, unread + bytesMax);
}

/** Says how many bytes were put into `roomForBytes`; null: the file has ended. */
export function bytesAdded(reader: CsvReader, count: number | null): void {
  if (count === null) reader.isEnded = true;
  else reader.end += count;
}

/**
 * Reads rows into `rows`, from its start, `rowsMax` at most. 0 rows: more bytes are needed, or the file has ended.
 * Blank lines are passed over. Rows do not depend on how the file was cut into chunks.
 *
 * @throws {ReadError} when the header line cannot be used.
 */
export function readRows(
  reader: CsvReader,
  rows: CsvRows,
  rowsMax = rows.isCut.length,
): number {
  rows.count = 0;
  if (reader.layout === null) {
    if (!readHeader(reader)) return 0;
    reader.kinds[reader.layout!.delimiter] = IS_DELIMITER;
  }
  if (reader.isSkipping && !skipLine(reader)) return 0;
  while (scanPlainRows(reader, rows, rowsMax) && scanOddRow(reader, rows));
  return rows.count;
}

/**
 * Reads rows without quotes, up to one that needs `scanOddRow`: true then; false when `rows` is full
 * or more bytes are needed. The hot loop: one table look-up a byte.
 */
function scanPlainRows(reader: CsvReader, rows: CsvRows, rowsMax: number): boolean {
  const { bytes, end, kinds, recordBytesMax } = reader;
  const { cells, isCut, lines } = rows;
  const { fieldOfColumn, timeNameByte } = reader.layout!;
  const columnCount = fieldOfColumn.length;
  let rowStart = reader.start;
  let count = rows.count;
  let line = reader.line;
  let isOdd = false;
  while (count < rowsMax) {
    const base = count * CELLS_STRIDE;
    for (let i = 0; i < CELLS_STRIDE; i++) cells[base + i] = 0;
    let position = rowStart;
    let cellStart = rowStart;
    let column = 0;
    let surplusStart = 0;
    let kind = PLAIN;
    for (;;) {
      while (position < end && (kind = kinds[bytes[position]]) === PLAIN) position++;
      if (position >= end || kind === IS_QUOTE) break;
      const field = column < columnCount ? fieldOfColumn[column] : -1;
      if (field >= 0) setCell(bytes, cellStart, position, cells, base + 2 * field);
      if (kind === IS_LF) break;
      cellStart = ++position;
      if (++column === columnCount) surplusStart = position;
    }
    if (position >= end || kind === IS_QUOTE || position - rowStart > recordBytesMax) {
      isOdd = true;
      break;
    }
    if (column >= columnCount) takeSurplus(reader, surplusStart, position, cells, base);
    const isRow = column > 0 || !isBlank(bytes, rowStart, position);
    const mayBeHeader = bytes[cells[base + TIME_AT]] === timeNameByte;
    if (isRow && !(mayBeHeader && isRepeatedHeader(reader, rows, base))) {
      lines[count] = line;
      isCut[count++] = 0;
    }
    rowStart = position + 1;
    line++;
  }
  reader.line = line;
  reader.start = rowStart;
  rows.count = count;
  return isOdd;
}

/**
 * A row with more cells than the header has columns, and something in them: a delimiter stands in a
 * cell, as a decimal comma does. Its value then goes to the row's end, and is none.
 */
function takeSurplus(
  { bytes, layout }: CsvReader,
  surplusStart: number,
  rowEnd: number,
  cells: Int32Array,
  base: number,
): void {
  const { delimiter } = layout!;
  let position = surplusStart;
  while (position < rowEnd && (bytes[position] === delimiter || isBlankByte(bytes[position]))) {
    position++;
  }
  const value = base + 2 * VALUE_FIELD;
  if (position < rowEnd && cells[value] < cells[value + 1]) {
    setCell(bytes, cells[value], rowEnd, cells, value);
  }
}

/** Sets a cell's range without its blanks; an empty one stays 0..0. */
function setCell(
  bytes: Uint8Array,
  start: number,
  end: number,
  cells: Int32Array,
  at: number,
): void {
  while (start < end && isBlankByte(bytes[start])) start++;
  while (end > start && isBlankByte(bytes[end - 1])) end--;
  if (start === end) return;
  cells[at] = start;
  cells[at + 1] = end;
}

function isBlankByte(byte: number): boolean {
  return byte === SPACE || byte === CR || byte === TAB;
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  while (start < end && isBlankByte(bytes[start])) start++;
  return start === end;
}

/**
 * Reads the row at the front: one with quotes, too long, or the last without a line end. False when
 * more bytes are needed first. The row's bytes change: doubled quotes are undoubled in place, which
 * is why it happens only when the whole row is here.
 */
function scanOddRow(reader: CsvReader, rows: CsvRows): boolean {
  const { bytes, start, end } = reader;
  if (start === end) return false;
  const delimiter = reader.layout!.delimiter;
  // A row may fill recordBytesMax, so its line end may be the byte after that.
  const limit = Math.min(end, start + reader.recordBytesMax + 1);
  const isWhole = reader.isEnded && end - start <= reader.recordBytesMax;
  let rowEnd = findRowEnd(bytes, start, limit, delimiter);
  if (rowEnd === BROKEN) return cutRow(reader, rows);
  if (rowEnd === limit && isWhole) rowEnd = end;
  else if (rowEnd === limit || rowEnd < 0) {
    if (end - start <= reader.recordBytesMax && !reader.isEnded) return false;
    return cutRow(reader, rows);
  }
  const line = reader.line;
  reader.start = Math.min(rowEnd + 1, end);
  reader.line += countLines(bytes, start, reader.start);
  if (isBlank(bytes, start, rowEnd) && !bytes.subarray(start, rowEnd).includes(delimiter)) {
    return true;
  }
  const base = rows.count * CELLS_STRIDE;
  rows.cells.fill(0, base, base + CELLS_STRIDE);
  splitRow(reader, start, rowEnd, rows.cells, base);
  const mayBeHeader = bytes[rows.cells[base + TIME_AT]] === reader.layout!.timeNameByte;
  if (mayBeHeader && isRepeatedHeader(reader, rows, base)) return true;
  rows.lines[rows.count] = line;
  rows.isCut[rows.count++] = 0;
  return true;
}

/** A quote is not closed in its own line: what follows are other rows. */
const BROKEN = -2;

/**
 * The row's line end; `limit` when there is none before it, -1 when a quote is open there, `BROKEN`
 * when one is not closed before the line ends.
 */
function findRowEnd(bytes: Uint8Array, start: number, limit: number, delimiter: number): number {
  let position = start;
  let isCellStart = true;
  while (position < limit) {
    const byte = bytes[position];
    if (byte === LF) return position;
    if (byte === QUOTE && isCellStart) {
      position = quotedEnd(bytes, position + 1, limit);
      if (position < 0) return position;
      isCellStart = false;
      continue;
    }
    isCellStart = byte === delimiter || (isCellStart && isBlankByte(byte));
    position++;
  }
  return limit;
}

/**
 * The position after the quote that closes a cell opened before `position`; -1: none closes it,
 * `BROKEN`: none does in this line.
 */
function quotedEnd(bytes: Uint8Array, position: number, limit: number): number {
  for (; position < limit; position++) {
    if (bytes[position] === LF) return BROKEN;
    if (bytes[position] !== QUOTE) continue;
    if (position + 1 < limit && bytes[position + 1] === QUOTE) position++;
    else return position + 1;
  }
  return -1;
}

function splitRow(
  reader: CsvReader,
  start: number,
  rowEnd: number,
  cells: Int32Array,
  base: number,
): void {
  const { bytes } = reader;
  const { delimiter, fieldOfColumn } = reader.layout!;
  let surplusStart = rowEnd;
  for (let column = 0, position = start; position <= rowEnd; column++, position++) {
    if (column === fieldOfColumn.length) surplusStart = position;
    let cellStart = position;
    while (position < rowEnd && isBlankByte(bytes[position]) && bytes[position] !== delimiter) {
      position++;
    }
    let contentEnd = -1;
    if (position < rowEnd && bytes[position] === QUOTE) {
      cellStart = position + 1;
      position = quotedEnd(bytes, cellStart, rowEnd);
      contentEnd = undoubleQuotes(bytes, cellStart, position - 1);
    }
    const tail = position;
    while (position < rowEnd && bytes[position] !== delimiter) position++;
    if (contentEnd < 0) contentEnd = position;
    else if (!isBlank(bytes, tail, position)) {
      bytes.copyWithin(contentEnd, tail, position);
      contentEnd += position - tail;
    }
    const field = column < fieldOfColumn.length ? fieldOfColumn[column] : -1;
    if (field >= 0) setCell(bytes, cellStart, contentEnd, cells, base + 2 * field);
  }
  takeSurplus(reader, surplusStart, rowEnd, cells, base);
}

/** Writes `""` as `"` within the range; returns the new end. */
function undoubleQuotes(bytes: Uint8Array, start: number, end: number): number {
  let to = start;
  for (let from = start; from < end; from++) {
    bytes[to++] = bytes[from];
    if (bytes[from] === QUOTE) from++;
  }
  return to;
}

/** Hands on the first line at the front as it stands, cut to the limit, and goes on after it. */
function cutRow(reader: CsvReader, rows: CsvRows): boolean {
  const { bytes, start, end } = reader;
  const cut = Math.min(end, start + reader.recordBytesMax);
  let lineEnd = start;
  while (lineEnd < cut && bytes[lineEnd] !== LF) lineEnd++;
  const isLineEnd = lineEnd < end && bytes[lineEnd] === LF;
  reader.start = isLineEnd ? lineEnd + 1 : lineEnd;
  const base = rows.count * CELLS_STRIDE;
  rows.cells.fill(0, base, base + CELLS_STRIDE);
  setCell(bytes, start, lineEnd, rows.cells, base);
  if (rows.cells[base] < rows.cells[base + 1]) {
    rows.lines[rows.count] = reader.line;
    rows.isCut[rows.count++] = 1;
  }
  if (isLineEnd) reader.line++;
  if (isLineEnd || lineEnd === end && reader.isEnded) return true;
  reader.isSkipping = true;
  return skipLine(reader);
}

/** Passes over the rest of a cut line; false when it goes on beyond the bytes here. */
function skipLine(reader: CsvReader): boolean {
  const lineEnd = reader.bytes.subarray(0, reader.end).indexOf(LF, reader.start);
  reader.start = lineEnd < 0 ? reader.end : lineEnd + 1;
  reader.isSkipping = lineEnd < 0;
  if (lineEnd >= 0) reader.line++;
  return lineEnd >= 0;
}
