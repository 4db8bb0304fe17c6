import type { ByteReader, ByteWriter } from "../bytes.ts";
import type { ProcessorOptions } from "../options.ts";
import type { ValidatedReading } from "../outputs.ts";
import type { Severity } from "./slot_rule.ts";

/** How an accepted reading lies on the slots of its series; one of these is filled again and again. */
export type Placing = {
  /** After its slot, or (below 0) before it; 0 where there is no slot to compare with. */
  offSlotMs: number;
  /** The same of the latest reading before it that went forward. */
  offBeforeMs: number;
  /** The interval of its series, of a calendar one that day's or month's; 0 while it is learned. */
  intervalMs: number;
};

/**
 * A rule of validation: it judges each accepted reading once, in the order of the log, and what
 * fails carries its name among the flags.
 *
 * Pure: the answer hangs on the arguments alone, so that a replay of the log gives the same.
 */
export type Rule<Memory = unknown> = {
  /** The flag, and the name of its section in the state: public, never changed. */
  readonly name: string;
  /**
   * It looks at nothing but how a reading lies, and passes one that lies as the one before did: a
   * run of such readings need not be asked for.
   */
  readonly looksAtPlaceOnly?: true;
  /** How bad it is; absent: the flag says it all, and it is no finding. */
  readonly severity?: Severity;
  /** Whether it judges by these options at all; absent: by any. */
  isOn?(options: ProcessorOptions): boolean;
  /**
   * Whether the reading, which has no flags yet, fails. `remembered` is what the rule keeps of the
   * reading's series, to be changed in place; undefined for a rule without a memory.
   */
  fails(
    reading: ValidatedReading,
    placing: Readonly<Placing>,
    options: ProcessorOptions,
    remembered: Memory,
  ): boolean;
  /** The energy that a reading is held against, milliwatt-hours; absent or NaN: there is none to name. */
  limitOf?(placing: Readonly<Placing>, options: ProcessorOptions): number;
  /** Absent: it remembers nothing. */
  readonly memory?: RuleMemory<Memory>;
};

/**
 * What a rule keeps of each series from its first accepted reading on, until the series' state is
 * dropped. It is written with the state of the meter, in a section of its own.
 */
export type RuleMemory<Memory> = {
  /** The version that `write` writes, 1 to 255; `read` reads it and every one before. */
  readonly version: number;
  /** What is remembered of a series before its first reading. */
  begin(): Memory;
  write(writer: ByteWriter, remembered: Memory): void;
  /** Must read exactly the bytes that `write` of this version wrote. */
  read(reader: ByteReader, version: number): Memory;
};
