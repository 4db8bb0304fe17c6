import { LATEST_MS } from "../core/time.ts";
import { HAS_RECEIVED, IS_JSON, IS_TIMELY, IS_USABLE, startOf } from "./block.ts";
import { checkReplayOptions } from "./check_options.ts";
import {
  addRecord,
  addTick,
  type ChunkBuilder,
  isFull,
  newChunkBuilder,
  type RecordTail,
  takeChunk,
} from "./chunk.ts";
import { type Defect, defectDrawer } from "../generate/defects.ts";
import {
  type DelayedRecord,
  type DelayQueue,
  hasRoom,
  holdRecord,
  newDelayQueue,
  nextDelayedMs,
  takeDelayed,
} from "./delay_queue.ts";
import { gatherRecords, spillDirectory } from "./gather.ts";
import type { RecordCursor } from "./merge.ts";
import type { Inspection, ReplayChunk, ReplayOptions } from "./records.ts";
import { heldUntilMs, newSayingState, type SayingState, takeSayings } from "./sayings.ts";
import { newTickClock, noteArrival, takeTick, type TickClock } from "./ticks.ts";

/** What of a record decides how it is sent. */
type Sent = Omit<DelayedRecord, "bytes" | "serial">;

/** Where a replay stands. */
type Replay = {
  readonly options: ReplayOptions;
  readonly rows: RecordCursor;
  readonly draw: () => Defect;
  readonly queue: DelayQueue;
  readonly clock: TickClock;
  readonly chunk: ChunkBuilder;
  readonly saying: SayingState;
  /** The row being sent, and what is added to it: one object for all of them. */
  readonly row: { -readonly [Field in keyof Sent]: Sent[Field] };
  readonly tail: { -readonly [Field in keyof RecordTail]: RecordTail[Field] };
  /** Rows drawn so far. */
  serial: number;
  /** Latest event time of a usable row, or of one that only its value makes unusable. */
  lastTimelyMs: number;
  isDone: boolean;
};

/**
 * Every row of the inspected files as a raw record, in order of arrival, with ticks between them and
 * the defects asked for. The same files and options give the same chunks, byte for byte.
 *
 * Nothing vanishes: readings sent = rows + duplicates - gaps. Whoever stops early must end the
 * generator (`for await` does), which removes the spilled runs.
 *
 * @throws {ReadError} when a file cannot be read any more, or is another than the inspected one.
 * @throws {RangeError} for an option out of its range.
 */
export async function* replayFiles(
  inspection: Inspection,
  options: ReplayOptions,
): AsyncGenerator<ReplayChunk> {
  checkReplayOptions(options);
  const directory = spillDirectory(options.temporaryDirectory, options.files);
  let rows: RecordCursor | null = null;
  try {
    rows = await gatherRecords(inspection, options, directory);
    const replay = newReplay(rows, inspection, options);
    while (!replay.isDone) {
      options.signal?.throwIfAborted();
      fillChunk(replay);
      if (replay.chunk.count > 0 || replay.chunk.rowsRead > 0) {
        yield takeChunk(replay.chunk, finiteOrNaN(replay.clock.lastArrivalMs));
      }
    }
  } finally {
    rows?.close();
    directory.remove();
  }
}

function newReplay(
  rows: RecordCursor,
  { whole }: Inspection,
  options: ReplayOptions,
): Replay {
  const silenceMs = options.stateTtlMs + options.judgedAfterMs + options.tickMs;
  return {
    options,
    rows,
    draw: defectDrawer(options),
    queue: newDelayQueue(),
    clock: newTickClock(options.tickMs, silenceMs),
    chunk: newChunkBuilder(),
    saying: newSayingState(whole),
    row: { partition: 0, series: 0, eventMs: NaN, flags: 0, arrivalMs: NaN, isDuplicate: false },
    tail: { partition: 0, flags: 0, arrivalMs: NaN, sayings: { minutes: 0, skipped: 0 } },
    serial: 0,
    lastTimelyMs: -Infinity,
    isDone: false,
  };
}

function finiteOrNaN(ms: number): number {
  return Number.isFinite(ms) ? ms : NaN;
}

/** Adds ticks, delayed records and rows, one each turn, until the chunk is full or all is sent. */
function fillChunk(replay: Replay): void {
  const { chunk, queue, clock, rows } = replay;
  const { nowMs } = replay.options;
  while (!isFull(chunk)) {
    const rowMs = rows.block === null ? Infinity : rows.block.keysMs[rows.index];
    const delayedMs = nextDelayedMs(queue);
    const isDelayed = delayedMs <= rowMs;
    if (isDelayed && delayedMs === Infinity) {
      endStream(replay);
      return;
    }
    const arrivalMs = isDelayed ? delayedMs : rowMs;
    // A row dated after now, or before everything, moves no clock.
    if (arrivalMs <= nowMs && arrivalMs !== -Infinity) {
      const tickMs = takeTick(clock, arrivalMs);
      if (tickMs === tickMs) {
        addTick(chunk, tickMs, false);
        continue;
      }
      noteArrival(clock, arrivalMs);
    }
    if (isDelayed) sendDelayed(replay);
    else takeRow(replay);
  }
}

/** Takes the next row from the files: sends it, holds it back, or leaves it out. */
function takeRow(replay: Replay): void {
  const { chunk, options, rows } = replay;
  const block = rows.block!;
  const i = rows.index;
  const keyMs = block.keysMs[i];
  const eventMs = block.eventsMs[i];
  const flags = block.flags[i];
  chunk.rowsRead++;
  replay.serial++;
  if ((flags & IS_TIMELY) !== 0 && eventMs > replay.lastTimelyMs) replay.lastTimelyMs = eventMs;
  const { isGap, delayMs, isDuplicate } = replay.draw();
  if (isGap) chunk.gaps++;
  else {
    const isDelayed = delayMs > 0 && mayBeHeld(keyMs, keyMs + delayMs, options);
    const untilMs = isDelayed ? keyMs + delayMs : waitsUntilMs(replay);
    if (untilMs === untilMs && hold(replay, untilMs, { isDelayed, isDuplicate })) {
      if (isDelayed) chunk.delays++;
    } else {
      const { row } = replay;
      row.partition = block.partitions[i];
      row.series = block.series[i];
      row.eventMs = eventMs;
      row.flags = flags;
      row.arrivalMs = keyMs;
      row.isDuplicate = isDuplicate;
      send(replay, block.bytes, startOf(block, i), block.ends[i], row);
    }
  }
  rows.advance();
}

/** A row is never held back beyond now: the core would not believe that it arrived then. */
function mayBeHeld(keyMs: number, arrivalMs: number, options: ReplayOptions): boolean {
  return keyMs !== -Infinity && arrivalMs <= options.nowMs && arrivalMs <= LATEST_MS;
}

/**
 * A row off the grid, whose slot a later one on it has, comes right behind that; NaN: it is none.
 * What says when it arrived came in that order.
 */
function waitsUntilMs({ rows: { block, index: i }, saying }: Replay): number {
  const { flags, series, eventsMs } = block!;
  if ((flags[i] & (IS_USABLE | HAS_RECEIVED)) !== IS_USABLE) return NaN;
  return heldUntilMs(saying, series[i], eventsMs[i]) + 1;
}

/** Holds the row at hand back; false where there is no room. */
function hold(
  { rows: { block, index }, queue, serial }: Replay,
  arrivalMs: number,
  { isDelayed, isDuplicate }: { readonly isDelayed: boolean; readonly isDuplicate: boolean },
): boolean {
  const { bytes, ends, partitions, series, eventsMs, flags } = block!;
  const start = startOf(block!, index);
  const end = ends[index];
  if (!hasRoom(queue, end - start)) return false;
  const saysArrival = isDelayed && (flags[index] & IS_JSON) !== 0;
  holdRecord(queue, {
    arrivalMs,
    bytes: bytes.slice(start, end),
    partition: partitions[index],
    series: series[index],
    eventMs: eventsMs[index],
    flags: saysArrival ? flags[index] | HAS_RECEIVED : flags[index],
    isDuplicate,
    serial,
  });
  return true;
}

function sendDelayed(replay: Replay): void {
  const record = takeDelayed(replay.queue);
  send(replay, record.bytes, 0, record.bytes.length, record);
}

/** Sends a record, with what it is to say of its series; twice where a defect wants that. */
function send(
  { chunk, saying, tail, options }: Replay,
  bytes: Uint8Array,
  start: number,
  end: number,
  { partition, series, eventMs, flags, arrivalMs, isDuplicate }: Sent,
): void {
  const { sayings } = tail;
  const isTooLate = arrivalMs - eventMs > options.judging.allowedLatenessMs;
  if ((flags & IS_USABLE) !== 0) takeSayings(saying, series, { eventMs, isTooLate }, sayings);
  else sayings.minutes = sayings.skipped = 0;
  tail.partition = partition;
  tail.flags = flags;
  tail.arrivalMs = arrivalMs;
  addRecord(chunk, bytes, start, end, tail);
  if (!isDuplicate) return;
  addRecord(chunk, bytes, start, end, tail);
  chunk.duplicates++;
}

function endStream(replay: Replay): void {
  const { options, chunk, lastTimelyMs } = replay;
  replay.isDone = true;
  if (options.finalTick && lastTimelyMs !== -Infinity) {
    addTick(chunk, Math.min(lastTimelyMs + options.judgedAfterMs, LATEST_MS), true);
  }
}
