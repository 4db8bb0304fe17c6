import type { ProcessorOptions } from "../core/options.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import type { Found } from "../formats/found.ts";
import type { Zone } from "../core/zone.ts";
import type { ReplayFiles } from "./files.ts";
import type { FileStamp } from "./file_stamp.ts";
import type { Fault } from "./row_place.ts";
import type { Repeats, WholeSeries } from "./whole_series.ts";

/**
 * Raw records in arrival order. Record i is `bytes[ends[i-1]..ends[i])`; every count is this
 * chunk's own. Rows read = readings + gaps - duplicates, less those still held back by a delay.
 */
export type ReplayChunk = {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
  /** The partition of the meter; -1: a tick, for every partition. */
  readonly partitions: Int16Array;
  readonly count: number;
  /** Records that are no ticks. */
  readonly readings: number;
  /** The latest arrival so far, for pacing and progress; NaN: none yet. */
  readonly lastEventTimeMs: number;
  /** Rows taken from the files. */
  readonly rowsRead: number;
  /** Rows left out, rows sent later and rows sent twice, by the probabilities. */
  readonly gaps: number;
  readonly delays: number;
  readonly duplicates: number;
};

/** What the file of this path was found to be; null: plain CSV. */
export type FileFormats = (path: string) => Found | null;

/** What readings will be judged by, as far as a replay looks at that itself. */
export type ReplayJudging = Pick<
  ProcessorOptions,
  | "expectedIntervalMs"
  | "intervalMsByMeter"
  | "gapGraceMs"
  | "allowedLatenessMs"
  | "minTimestampMs"
  | "maxFutureMs"
  | "maxKwh"
  | "negative"
>;

/** What a replay is told. Probabilities are from 0 to 1. */
export type ReplayOptions = {
  readonly files: ReplayFiles;
  readonly partitions: number;
  /** The zone of timestamps written without an offset. */
  readonly zone: Zone;
  readonly judging: ReplayJudging;
  /** Wall clock of the replay: rows dated later are sent, and move no clock. */
  readonly nowMs: number;
  /** A tick each of these of event time. */
  readonly tickMs: number;
  /** After a silence of stateTtlMs + judgedAfterMs + tickMs every meter has expired: no ticks then. */
  readonly stateTtlMs: number;
  /** A slot is judged once the clock is so far beyond it. */
  readonly judgedAfterMs: number;
  readonly gapProbability: number;
  readonly delayProbability: number;
  /** Delays are whole seconds, up to this. */
  readonly maxDelayMs: number;
  readonly duplicateProbability: number;
  readonly seed: number;
  /** Where runs are spilled; what is put there is removed at the end. */
  readonly temporaryDirectory: string;
  /** Memory for sorting files that are not in order. */
  readonly sortBytesMax: number;
  /** Whether a last tick is sent, at the latest event time + judgedAfterMs. */
  readonly finalTick: boolean;
  readonly columns?: CsvColumns;
  /** What files were found to be; null: plain CSV. */
  readonly formats?: FileFormats;
  readonly recordBytesMax?: number;
  /** Aborted: the replay throws its reason, also while it still sorts. */
  readonly signal?: AbortSignal;
  /** Sources merged at once; more are merged in steps. */
  readonly fanInMax?: number;
};

/** Rows that will be rejected for one reason, with the first of them. */
export type Problem = {
  readonly problem: string;
  /** 0: none that a row is rejected for. */
  readonly fault: Fault;
  rows: number;
  readonly file: string;
  /** Where it begins in the file; the header is line 1. */
  readonly line: number;
  readonly example: string;
  /** A warning says the same. */
  readonly isWarned: boolean;
};

/** The names of warnings are public: only add to them. */
export type WarningCode =
  | "sent_again"
  | "two_channels"
  | "register"
  | "day_month_swapped"
  | "all_rejected"
  | "no_rows"
  | "interval_mismatch"
  | "interval_changed"
  | "unjudged"
  | "no_offset"
  | "clock_artefact"
  | "too_old_rows"
  | "look_alike_ids"
  | "damaged_ids"
  | "settings_changed";

/** What a person should know, in one line; `meters`: the first of those that it is about. */
export type Warning = {
  readonly code: WarningCode;
  readonly text: string;
  readonly meters?: readonly string[];
};

/** What one pass over a file found. */
export type FileInspection = {
  readonly path: string;
  readonly sizeBytes: number;
  readonly rows: number;
  /** Its rows arrive in the order they stand in. */
  readonly isOrdered: boolean;
  /** Rows passed over because they are the header once more. */
  readonly repeatedHeaders: number;
  /** By which the replay knows that it plays the same bytes. */
  readonly stamp: FileStamp;
  /** What in it could not be read, and what was though it is out of order. */
  readonly faults: readonly string[];
  readonly notes: readonly string[];
};

/** What one pass over all files found, in the order they were named. */
export type Inspection = {
  readonly files: readonly FileInspection[];
  readonly rows: number;
  readonly sizeBytes: number;
  /** Over rows dated neither after now nor before our days; null: there is none with a timestamp. */
  readonly firstEventTimeMs: number | null;
  readonly lastEventTimeMs: number | null;
  /** Every file by itself is in order: nothing will be sorted or spilled. */
  readonly isOrdered: boolean;
  /** The latest time that any row has, whatever it is worth; null: none. */
  readonly latestTimeMs: number | null;
  readonly futureRows: number;
  readonly unusableTimestampRows: number;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
  /** Of the meters that have any, by their ids. */
  readonly repeats: ReadonlyMap<string, Repeats>;
  /** What only the whole of the files shows, for the replay to say with the readings. */
  readonly whole: WholeSeries;
};
