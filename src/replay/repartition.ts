import { newParsedRecord, type ParsedRecord, parseRecord } from "../core/wire/raw_record.ts";
import type { Zone } from "../core/zone.ts";
import { concatenate } from "../engine/log/changelog.ts";
import type { LogBatch, LogProducer, LogReader, LogRecords } from "../engine/log/ports.ts";
import { partitionOf } from "./partitioner.ts";

/** A partition to copy from: its records from `start` up to the offset `end`. */
export type CopiedPartition = {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
};

export type RepartitionOptions = {
  readonly from: { readonly topic: string; readonly partitions: readonly CopiedPartition[] };
  readonly to: { readonly topic: string; readonly partitions: number };
  /** Of committed records, with their keys and replays. */
  readonly reader: LogReader;
  readonly producer: LogProducer;
  readonly zone: Zone;
  readonly signal: AbortSignal;
  readonly onProgress: (records: number) => void;
};

/** What was copied. */
export type Repartitioned = {
  /** All but the ticks. */
  readonly records: number;
  /** Each stands in every partition of the new topic. */
  readonly ticks: number;
};

/** A partition on its way, standing at its next record. */
type Head = {
  readonly partition: number;
  readonly end: number;
  nextOffset: number;
  batch: LogBatch | null;
  /** The record of `batch` at which it stands. */
  r: number;
  timeMs: number;
  /** When the replay began that wrote it; NaN: it is live. */
  replayStartMs: number;
  /** NaN: it is no tick. */
  tickMs: number;
  isFinal: boolean;
  /** Of a record that is no tick: where it belongs. */
  to: number;
  /** The last tick that it passed of each replay. */
  readonly passedMs: Map<number, number>;
};

const WAIT_MS = 500;
/** Records held before they are written. */
const HELD_MAX = 50_000;
/** Partitions of one commit of a replay are written within the time that a transaction may take. */
const REPLAY_SKEW_MS = 60_000;

/**
 * Copies a raw topic into one with other partitions: every record as it stands, with its key, its
 * time and the mark of its replay, to where its meter's id belongs.
 *
 * The order is that of the times in the log. A tick speaks of its own partition, and so it goes out,
 * once, to all new partitions, when no other partition is still behind it: else readings of meters
 * that were in another partition would come after the tick that says they are missing.
 *
 * @throws The signal's reason when that aborts; what was copied stays.
 */
export async function repartition(options: RepartitionOptions): Promise<Repartitioned> {
  const { from, to, producer, zone, signal, onProgress } = options;
  const parsed = newParsedRecord();
  const heads = from.partitions.map(newHead);
  const outlet = new Outlet(to);
  const sentTicks = new Map<number, { tickMs: number; isFinal: boolean }>();
  let records = 0;
  let ticks = 0;
  const stand = async (head: Head) => {
    if (await nextBatch(head, options)) readHead(head, parsed, { zone, partitions: to.partitions });
  };
  for (const head of heads) await stand(head);
  for (;;) {
    const head = nextHead(heads);
    if (head === null) break;
    if (Number.isNaN(head.tickMs)) {
      outlet.add(head, head.to);
      records++;
    } else {
      head.passedMs.set(head.replayStartMs, head.tickMs);
      const sent = sentTicks.get(head.replayStartMs) ?? { tickMs: -Infinity, isFinal: false };
      if (head.tickMs > sent.tickMs || (head.isFinal && !sent.isFinal)) {
        for (let partition = 0; partition < to.partitions; partition++) outlet.add(head, partition);
        const tickMs = Math.max(head.tickMs, sent.tickMs);
        sentTicks.set(head.replayStartMs, { tickMs, isFinal: head.isFinal || sent.isFinal });
        ticks++;
      }
    }
    head.r++;
    if (head.r === head.batch?.count) await stand(head);
    else readHead(head, parsed, { zone, partitions: to.partitions });
    if (outlet.held < HELD_MAX) continue;
    signal.throwIfAborted();
    await producer.send(outlet.take());
    onProgress(records);
  }
  await producer.send(outlet.take());
  return { records, ticks };
}

function newHead({ partition, start, end }: CopiedPartition): Head {
  return {
    ...{ partition, end, nextOffset: start, batch: null, r: 0 },
    ...{ timeMs: NaN, replayStartMs: NaN, tickMs: NaN, isFinal: false, to: 0 },
    passedMs: new Map(),
  };
}

/** Reads on where a batch is used up; false at the end. One partition at a time is read. */
async function nextBatch(
  head: Head,
  { from, reader, signal }: RepartitionOptions,
): Promise<boolean> {
  const ref = { topic: from.topic, partition: head.partition };
  head.batch = null;
  reader.assign({ ...ref, offset: head.nextOffset });
  try {
    while (head.nextOffset < head.end) {
      signal.throwIfAborted();
      const batch = await reader.next(WAIT_MS, signal);
      if (batch === null) continue;
      head.nextOffset = batch.nextOffset;
      // What came after this began is not copied.
      const { count } = batch;
      const last = batch.offsets.subarray(0, count).findIndex((offset) => offset >= head.end);
      const kept = last < 0 ? count : last;
      if (kept === 0) continue;
      head.batch = { ...batch, count: kept };
      head.r = 0;
      return true;
    }
    return false;
  } finally {
    reader.unassign(ref);
  }
}

/** Looks at the record at which a head stands. */
function readHead(
  head: Head,
  parsed: ParsedRecord,
  { zone, partitions }: { readonly zone: Zone; readonly partitions: number },
): void {
  const { batch, r } = head;
  if (batch === null) return;
  const [start, end] = spanOf(batch.values, r);
  parseRecord(batch.bytes, start, end, zone, parsed);
  head.timeMs = batch.timesMs[r];
  head.replayStartMs = batch.replayStartsMs?.[r] ?? NaN;
  head.tickMs = parsed.kind === "tick" ? parsed.timestampMs : NaN;
  head.isFinal = parsed.final;
  if (parsed.idEnd > 0) {
    head.to = partitionOf(batch.bytes, partitions, parsed.idStart, parsed.idEnd);
  } else if (parsed.meterId !== null) {
    head.to = partitionOf(new TextEncoder().encode(parsed.meterId), partitions);
  } else {
    const [keyStart, keyEnd] = batch.keys === null ? [0, 0] : spanOf(batch.keys, r);
    head.to = keyEnd > keyStart ? partitionOf(batch.bytes, partitions, keyStart, keyEnd) : 0;
  }
}

/** A null value is as long as an empty one. */
function spanOf({ starts, ends }: LogBatch["values"], r: number): [number, number] {
  return starts[r] < 0 ? [0, 0] : [starts[r], ends[r]];
}

/** The head whose record goes next; null: all are at their end. */
function nextHead(heads: readonly Head[]): Head | null {
  let next: Head | null = null;
  const readings = heads.filter(({ batch, tickMs }) => batch !== null && Number.isNaN(tickMs));
  for (const head of heads) {
    if (head.batch === null || (next !== null && !isBefore(head, next))) continue;
    if (readings.some((other) => isHeldBy(head, other))) continue;
    next = head;
  }
  return next;
}

/** Ticks of one replay go by what they say, everything else by when the log took it. */
function isBefore(one: Head, other: Head): boolean {
  const isOneReplay = one.replayStartMs === other.replayStartMs;
  if (isOneReplay && one.tickMs !== other.tickMs) {
    if (one.tickMs < other.tickMs) return true;
    if (one.tickMs > other.tickMs) return false;
  }
  return one.timeMs < other.timeMs;
}

/** Whether a replay's tick waits for a partition that has not come so far in the same replay. */
function isHeldBy({ tickMs, replayStartMs, timeMs }: Head, other: Head): boolean {
  if (Number.isNaN(tickMs) || Number.isNaN(replayStartMs)) return false;
  const passedMs = other.passedMs.get(replayStartMs) ?? -Infinity;
  return passedMs < tickMs && other.timeMs <= timeMs + REPLAY_SKEW_MS;
}

/** Records of one new partition and one replay, in their order. */
type Run = {
  readonly partition: number;
  readonly replayStartMs: number;
  readonly values: Uint8Array[];
  readonly keys: Uint8Array[];
  readonly timesMs: number[];
};

/** Records that wait to be written. */
class Outlet {
  readonly #to: RepartitionOptions["to"];
  #runs: Run[] = [];
  /** The run of each partition that goes on. */
  #open: (Run | undefined)[] = [];
  held = 0;

  constructor(to: RepartitionOptions["to"]) {
    this.#to = to;
  }

  add({ batch, r, timeMs, replayStartMs }: Head, partition: number): void {
    if (batch === null) return;
    let run = this.#open[partition];
    if (run === undefined || !Object.is(run.replayStartMs, replayStartMs)) {
      run = { partition, replayStartMs, values: [], keys: [], timesMs: [] };
      this.#runs.push(run);
      this.#open[partition] = run;
    }
    run.values.push(batch.bytes.subarray(...spanOf(batch.values, r)));
    const [keyStart, keyEnd] = batch.keys === null ? [0, 0] : spanOf(batch.keys, r);
    run.keys.push(batch.bytes.subarray(keyStart, keyEnd));
    run.timesMs.push(timeMs);
    this.held++;
  }

  take(): LogRecords[] {
    const records = this.#runs.map(({ partition, replayStartMs, values, keys, timesMs }) => ({
      ...{ topic: this.#to.topic, partition, count: values.length },
      ...{ values: concatenate(values), valueEnds: endsOf(values) },
      ...{ keys: concatenate(keys), keyEnds: endsOf(keys) },
      ...{ timesMs: Float64Array.from(timesMs), origins: null },
      ...(Number.isNaN(replayStartMs) ? {} : { replayStartMs }),
    }));
    this.#runs = [];
    this.#open = [];
    this.held = 0;
    return records;
  }
}

function endsOf(parts: readonly Uint8Array[]): number[] {
  let end = 0;
  return parts.map(({ length }) => end += length);
}
