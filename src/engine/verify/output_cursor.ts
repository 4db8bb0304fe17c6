import type { ProcessorOptions } from "../../core/options.ts";
import type { Judging } from "../log/judging.ts";
import type { LogAdmin, LogBatch, LogReader, LogRecords } from "../log/ports.ts";
import type { Topics } from "../log/records.ts";

export type VerifyOptions = {
  readonly partition: number;
  readonly topics: Topics;
  readonly processorOptions: ProcessorOptions;
  /** What those options are made of, to hold against what the partition was judged by. */
  readonly judging: Judging;
  readonly admin: LogAdmin;
  /** A reader of committed records with their keys and origins. */
  readonly openReader: () => LogReader;
  /** Also gives the account as it is before the raw record of this offset; null: no. */
  readonly accountAt: number | null;
  readonly signal: AbortSignal;
  readonly onProgress: (records: number) => void;
};

/** One thing that is not as the raw log says it must be. */
export type LogDifference = {
  readonly partition: number;
  readonly topic: string;
  /** The raw record it is about; null: the sum of all. */
  readonly inputOffset: number | null;
  readonly problem: "missing" | "extra" | "different" | "ledger";
  readonly expected: string | null;
  readonly found: string | null;
};

const DIFFERENCES_MAX = 20;
const WAIT_MS = 500;
/** After so many waits without an answer, though the log has more, reading fails. */
const WAITS_MAX = 240;
const NO_BYTES = new Uint8Array(0);
const TEXT_LENGTH_MAX = 300;
const decoder = new TextDecoder();

/**
 * The committed records of a partition, up to `end` or else to where it ends now. Transactions under
 * way are waited for: a commit is decided before each partition it wrote to has been told.
 */
export async function* readCommittedRecords(
  ref: { topic: string; partition: number },
  { admin, openReader, signal }: VerifyOptions,
  end = Infinity,
): AsyncGenerator<LogBatch> {
  const [{ offset: start }] = await admin.listOffsets([ref], "start");
  const [{ offset: logEnd }] = await admin.listOffsets([ref], "end");
  const stop = Math.min(end, logEnd);
  if (start >= stop) return;
  const reader = openReader();
  try {
    reader.assign({ ...ref, offset: start });
    for (let next = start, waits = 0; next < stop;) {
      signal.throwIfAborted();
      const batch = await reader.next(WAIT_MS, signal);
      if (batch === null) {
        if (++waits > WAITS_MAX) throw new Error(`${ref.topic}/${ref.partition} stops at ${next}`);
        continue;
      }
      waits = 0;
      next = batch.nextOffset;
      yield batch;
    }
  } finally {
    await reader.close();
  }
}

type Found = { readonly offset: number; readonly index: number; readonly value: Uint8Array };

/** The records of one output topic, one by one, as far as the committed input goes. */
export class OutputCursor {
  readonly #topic: string;
  readonly #partition: number;
  readonly #nextInputOffset: number;
  readonly #batches: AsyncGenerator<LogBatch>;
  #batch: LogBatch | null = null;
  #at = 0;
  #current: Found | null = null;

  private constructor(
    { topic, partition }: { topic: string; partition: number },
    nextInputOffset: number,
    batches: AsyncGenerator<LogBatch>,
  ) {
    this.#topic = topic;
    this.#partition = partition;
    this.#nextInputOffset = nextInputOffset;
    this.#batches = batches;
  }

  static async open(
    topic: string,
    nextInputOffset: number,
    options: VerifyOptions,
  ): Promise<OutputCursor> {
    const ref = { topic, partition: options.partition };
    const batches = readCommittedRecords(ref, options);
    const cursor = new OutputCursor(ref, nextInputOffset, batches);
    await cursor.advance();
    return cursor;
  }

  get current(): Found | null {
    return this.#current;
  }

  /** Goes to the next record, passing over those of input that was not committed at the start. */
  async advance(): Promise<void> {
    do {
      while (this.#batch === null || this.#at >= this.#batch.count) {
        const { value, done } = await this.#batches.next();
        if (done) {
          this.#current = null;
          return;
        }
        this.#batch = value;
        this.#at = 0;
      }
      this.#current = foundAt(this.#batch, this.#at++, this.#partition);
    } while (this.#current.offset >= this.#nextInputOffset);
  }

  /** Compares the next records with those expected. */
  async compare(expected: LogRecords, differences: Differences): Promise<void> {
    const offsets = expected.origins?.offsets ?? [];
    const indexes = expected.origins?.indexes ?? [];
    for (let r = 0, start = 0; r < expected.count; start = expected.valueEnds[r++]) {
      const value = expected.values.subarray(start, expected.valueEnds[r]);
      let order = orderOf(this.#current, offsets[r], indexes[r]);
      while (order < 0) {
        this.extra(differences);
        await this.advance();
        order = orderOf(this.#current, offsets[r], indexes[r]);
      }
      const base = { topic: this.#topic, inputOffset: offsets[r] };
      if (order > 0) {
        const text = textOf(value);
        differences.add({ ...base, problem: "missing", expected: text, found: null });
        continue;
      }
      if (!isSame(value, this.#current?.value)) {
        const found = textOf(this.#current?.value ?? null);
        differences.add({ ...base, problem: "different", expected: textOf(value), found });
      }
      await this.advance();
    }
  }

  /** Reports the records that are left: none of them is expected. */
  async end(differences: Differences): Promise<void> {
    while (this.#current !== null) {
      this.extra(differences);
      await this.advance();
    }
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }

  /** Reports the current record as one that is not expected. */
  extra(differences: Differences): void {
    if (this.#current === null) return;
    const { offset, value } = this.#current;
    const inputOffset = offset < 0 ? null : offset;
    const found = textOf(value);
    differences.add({ topic: this.#topic, inputOffset, problem: "extra", expected: null, found });
  }
}

/** Record r. One without an origin in this partition's input sorts before all others. */
function foundAt({ bytes, values, origins }: LogBatch, r: number, partition: number): Found {
  const start = values.starts[r];
  const value = start < 0 ? NO_BYTES : bytes.subarray(start, values.ends[r]);
  const isOurs = origins !== null && origins.partitions[r] === partition;
  return {
    offset: isOurs ? origins.offsets[r] : -1,
    index: isOurs ? origins.indexes[r] : -1,
    value,
  };
}

/** Below 0: the record found comes before the expected one. Above 0: it comes later, or is absent. */
function orderOf(found: Found | null, offset: number, index: number): number {
  if (found === null) return 1;
  return found.offset - offset || found.index - index;
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  if (b === undefined || a.length !== b.length) return false;
  for (let p = 0; p < a.length; p++) if (a[p] !== b[p]) return false;
  return true;
}

function textOf(value: Uint8Array | null): string | null {
  return value === null ? null : decoder.decode(value.subarray(0, TEXT_LENGTH_MAX));
}

/** The first differences, and how many there are. */
export class Differences {
  readonly #partition: number;
  readonly #kept: LogDifference[] = [];
  #more = 0;

  constructor(partition: number) {
    this.#partition = partition;
  }

  add(difference: Omit<LogDifference, "partition">): void {
    if (this.#kept.length >= DIFFERENCES_MAX) this.#more++;
    else this.#kept.push({ partition: this.#partition, ...difference });
  }

  all(): { differences: readonly LogDifference[]; moreDifferences: number } {
    return { differences: this.#kept, moreDifferences: this.#more };
  }
}
