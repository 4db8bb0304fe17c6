import {
  bytesAdded,
  CELLS_STRIDE,
  type CsvReader,
  type CsvRows,
  newCsvReader,
  newCsvRows,
  readRows,
  roomForBytes,
} from "../formats/csv.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import type { InputFile, ReplayFiles } from "./files.ts";
import { parseTimestampBytes } from "../core/time.ts";
import type { Zone } from "../core/zone.ts";
import { BLOCK_RECORDS_MAX, newBlock, type RecordBlock, type RecordSource } from "./block.ts";
import {
  type FileReading,
  type FileStamp,
  newFileReading,
  PIECE_BYTES,
  takePiece,
} from "./file_stamp.ts";
import { appendRow, arrivalMs, type RowPlace } from "./row_record.ts";

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
  readonly zone: Zone;
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

/** A row's times into `place`; `place.keyMs` holds the key of the row before it. */
export function placeRow(csv: CsvFile, row: number, zone: Zone, place: RowPlace): void {
  const { cells } = csv.rows;
  const { bytes } = csv.reader;
  const base = row * CELLS_STRIDE;
  const hasReceived = cells[base + 7] > 0;
  place.eventMs = parseTimestampBytes(bytes, cells[base + 2], cells[base + 3], zone);
  place.receivedMs = hasReceived
    ? parseTimestampBytes(bytes, cells[base + 6], cells[base + 7], zone)
    : NaN;
  place.keyMs = arrivalMs(place.eventMs, place.receivedMs, place.keyMs);
}

/** A file's place before its first row. */
export function firstPlace(file: number, partitions: number): RowPlace {
  return { file, partitions, eventMs: NaN, receivedMs: NaN, keyMs: -Infinity };
}

export type CsvSourceOptions = CsvFileOptions & {
  readonly path: string;
  /** The file's index among all. */
  readonly fileIndex: number;
  readonly partitions: number;
};

/** A file's rows as records, in the order they stand in. */
export function csvSource(options: CsvSourceOptions): RecordSource {
  const { path, zone } = options;
  let csv: CsvFile | null = null;
  let isClosed = false;
  const place = firstPlace(options.fileIndex, options.partitions);
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
      placeRow(csv, row, zone, place);
      appendRow(block, csv.reader.bytes, csv.rows, row, place);
    }
    return block;
  };
  return { next, close };
}
