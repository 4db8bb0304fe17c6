import {
  bytesAdded,
  type CsvReader,
  type CsvRows,
  newCsvReader,
  newCsvRows,
  readRows,
  roomForBytes,
} from "../formats/csv.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import type { Found, Opened } from "../formats/found.ts";
import { forgetLines, lineOf } from "../formats/row_writer.ts";
import type { FileFormats } from "./records.ts";
import type { InputFile, ReplayFiles } from "./files.ts";
import { BLOCK_RECORDS_MAX, newBlock, type RecordBlock, type RecordSource } from "./block.ts";
import {
  type FileReading,
  type FileStamp,
  newFileReading,
  PIECE_BYTES,
  takePiece,
} from "./file_stamp.ts";
import { firstPlace, placeRow, type RowReading } from "./row_place.ts";
import { appendRow, type MeterPartitions } from "./row_record.ts";

/** A CSV file being read, a batch of rows at a time. */
export type CsvFile = {
  readonly path: string;
  readonly file: InputFile;
  readonly reading: FileReading;
  readonly reader: CsvReader;
  readonly rows: CsvRows;
  /** What it was found to be; null: plain CSV. */
  readonly found: Found | null;
  /** The way to plain CSV; null: it is that. */
  readonly opened: Opened | null;
};

export type CsvFileOptions = {
  readonly files: ReplayFiles;
  readonly columns?: CsvColumns;
  readonly recordBytesMax?: number;
  readonly formats?: FileFormats;
  /** What the file was seen to be, and must still be. */
  readonly expected?: FileStamp;
};

/**
 * Opens a CSV file.
 *
 * @throws {ReadError} when there is no such file, or it may not be read.
 */
export function openCsvFile(path: string, options: CsvFileOptions): CsvFile {
  const { columns, recordBytesMax, expected } = options;
  const found = options.formats?.(path) ?? null;
  const opened = found?.open?.() ?? null;
  const file = options.files.open(path);
  return {
    path,
    file,
    found,
    opened,
    reading: newFileReading(file, expected),
    reader: newCsvReader({
      file: path,
      columns: opened === null ? columns : undefined,
      recordBytesMax,
    }),
    rows: newCsvRows(BLOCK_RECORDS_MAX),
  };
}

/** Reads the next rows into `csv.rows`, so many at most; 0: the file has ended. */
export function nextRows(csv: CsvFile, rowsMax = BLOCK_RECORDS_MAX): number {
  for (;;) {
    const count = readRows(csv.reader, csv.rows, rowsMax);
    if (count > 0 && csv.opened !== null) nameLines(csv.opened, csv.rows);
    if (count > 0 || csv.reader.isEnded) return count;
    if (csv.opened !== null) pushPiece(csv, csv.opened);
    else {
      const room = roomForBytes(csv.reader, PIECE_BYTES);
      bytesAdded(csv.reader, readPiece(csv.file, csv.reading, room));
    }
  }
}

/** Sends the file's next bytes the way to plain CSV. */
function pushPiece({ file, reading, reader }: CsvFile, { stage }: Opened): void {
  const piece = new Uint8Array(PIECE_BYTES);
  const length = readPiece(file, reading, piece);
  stage.push(piece.subarray(0, length ?? 0), length === null, (bytes) => {
    roomForBytes(reader, bytes.length).set(bytes);
    bytesAdded(reader, bytes.length);
  });
  if (length === null) bytesAdded(reader, null);
}

/** The header of what a stage hands on is its line 1, and every row is one line of it. */
const FIRST_ROW_LINE = 2;

/** Says of rows in which line of the file they stand, not in which of what was made of it. */
function nameLines({ writer: { map } }: Opened, { lines, count }: CsvRows): void {
  const next = lines[count - 1] - FIRST_ROW_LINE + 1;
  for (let row = 0; row < count; row++) lines[row] = lineOf(map, lines[row] - FIRST_ROW_LINE);
  forgetLines(map, next);
}

/** Fills `piece` with the next bytes of a reading, short at the file's end; null: it has ended. */
export function readPiece(
  file: InputFile,
  reading: FileReading,
  piece: Uint8Array,
): number | null {
  let length = 0;
  while (length < piece.length) {
    const count = file.read(piece.subarray(length));
    if (count === null) break;
    length += count;
  }
  takePiece(reading, piece.subarray(0, length));
  return length === 0 ? null : length;
}

/** How far a file's times stand behind the beginning of their intervals. */
export function labelMsOf(path: string, { formats }: Pick<CsvFileOptions, "formats">): number {
  return formats?.(path)?.labelMs ?? 0;
}

export type CsvSourceOptions = CsvFileOptions & {
  readonly path: string;
  /** The file's index among all. */
  readonly fileIndex: number;
  readonly reading: RowReading;
  /** Its rows that are of the second of two equal hours. */
  readonly laterRows: Int32Array;
  /** Which partition a meter is of. */
  readonly meters: MeterPartitions;
};

/** A file's rows as records, in the order they stand in. */
export function csvSource(options: CsvSourceOptions): RecordSource {
  const { path, reading, meters } = options;
  let csv: CsvFile | null = null;
  let isClosed = false;
  const place = firstPlace(options.fileIndex, options.laterRows, labelMsOf(path, options));
  const block: RecordBlock = newBlock(BLOCK_RECORDS_MAX, PIECE_BYTES);
  const close = () => {
    if (!isClosed) csv?.file.close();
    isClosed = true;
  };
  const next = (): RecordBlock | null => {
    if (isClosed) return null;
    csv ??= openCsvFile(path, options);
    const count = nextRows(csv);
    if (count === 0) {
      close();
      return null;
    }
    block.count = 0;
    for (let row = 0; row < count; row++) {
      placeRow(csv.reader, csv.rows, row, place, reading);
      appendRow(block, csv, row, place, meters);
    }
    return block;
  };
  return { next, close };
}
