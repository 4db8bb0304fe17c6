import type { CsvColumns } from "./csv_header.ts";

/* What is said of a file that cannot be read. */

/** How a file is named in what a person can do: as a word of a shell. */
export type FileNames = {
  readonly file: string;
  /** The same with another ending, for what is made of it: `made(".csv")`. */
  readonly made: (ending: string) => string;
};

/** What is known of a file besides its beginning. */
export type Look = {
  readonly names: FileNames;
  readonly columns: CsvColumns;
  /** Whether the head is the whole file. */
  readonly isWhole: boolean;
};

/** Why a file cannot be read, and what to do. */
export type Unread = {
  /** Stands behind `Cannot read "x": `. */
  readonly reason: string;
  /** Lines: what a person can do first. */
  readonly ways: readonly string[];
  /** How the command is given again, when that is done; null: it is not known. */
  readonly again: Again | null;
};

/** The command that was given, with options more, and with a file that was made of this one. */
export type Again = {
  readonly add: readonly string[];
  /** Its ending, as `FileNames.made` takes it; null: the file itself. */
  readonly made: string | null;
};

/** Something that keeps a text from being read as it is. */
export type Fact = {
  /** Stands behind "this is CSV with": `decimal commas (0,5)`. */
  readonly what: string;
  /** A command that rights it, from stdin to stdout; null: there is none so short. */
  readonly filter: string | null;
  /** What to do where there is no filter. */
  readonly note?: string;
  /** It says what the whole is: `a wide file: …`. */
  readonly isWhole?: boolean;
};

/** What is read today. */
export const ROWS = "what is read: CSV with a row a reading, meter_id,timestamp,consumption_kwh";
