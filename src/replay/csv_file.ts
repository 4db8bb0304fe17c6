import { ReadError } from "../formats/read_error.ts";
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
import { parseTimestampBytes, type Zone } from "../core/time.ts";
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
  readonly file: Deno.FsFile;
  readonly reading: FileReading;
  readonly reader: CsvReader;
  readonly rows: CsvRows;
};

export type CsvFileOptions = {
  readonly zone: Zone;
  readonly columns?: CsvColumns;
  readonly recordBytesMax?: number;
  /** What the file was seen to be, and must still be. */
  readonly expected?: FileStamp;
};

/**
 * Opens a CSV file. Reading is synchronous: a page already in the cache is here sooner than a
 * promise is, and 81 files are read in turns.
 *
 * @throws {ReadError} when there is no such file, or it may not be read.
 */
export function openCsvFile(path: string, options: CsvFileOptions): CsvFile {
  const { columns, recordBytesMax, expected } = options;
  const file = openFile(path);
  return {
    path,
    file,
    reading: newFileReading(path, { modified: file.statSync().mtime, expected }),
    reader: newCsvReader({ file: path, columns, recordBytesMax }),
    rows: newCsvRows(BLOCK_RECORDS_MAX),
  };
}

/** Opens a file to read; says in words why it cannot. */
export function openFile(path: string): Deno.FsFile {
  try {
    const file = Deno.openSync(path);
    if (file.statSync().isFile) return file;
    file.close();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ReadError(`Cannot read "${path}": there is no such file`, undefined, { cause });
    }
    if (cause instanceof Error) {
      throw new ReadError(`Cannot read "${path}": ${cause.message}`, undefined, { cause });
    }
    throw cause;
  }
  throw new ReadError(`Cannot read "${path}": it is not a file`, "name the files in it");
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

/** Reads some bytes; null: the file has ended. */
export function readFrom(file: Deno.FsFile, path: string, into: Uint8Array): number | null {
  try {
    return file.readSync(into);
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new ReadError(`Cannot read "${path}": ${cause.message}`, undefined, { cause });
  }
}

/** Fills `piece` with the next bytes of a reading, short at the file's end; null: it has ended. */
export function readPiece(
  file: Deno.FsFile,
  reading: FileReading,
  piece: Uint8Array,
): number | null {
  let length = 0;
  while (length < piece.length) {
    const count = readFrom(file, reading.path, piece.subarray(length));
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
