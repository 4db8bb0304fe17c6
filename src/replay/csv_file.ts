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
};

export type CsvFileOptions = {
  readonly files: ReplayFiles;
  readonly columns?: CsvColumns;
  readonly recordBytesMax?: number;
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
  const file = options.files.open(path);
  return {
    path,
    file,
    reading: newFileReading(file, expected),
    reader: newCsvReader({ file: path, columns, recordBytesMax }),
    rows: newCsvRows(BLOCK_RECORDS_MAX),
  };
}

/** Reads the next rows into `csv.rows`; 0: the file has ended. */
export function nextRows(csv: CsvFile): number {
  for (;;) {
    const count = readRows(csv.reader, csv.rows);
    if (count > 0 || csv.reader.isEnded) return count;
    const room = roomForBytes(csv.reader, PIECE_BYTES);
    bytesAdded(csv.reader, readPiece(csv.file, csv.reading, room));
  }
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
  const place = firstPlace(options.fileIndex, options.laterRows);
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
