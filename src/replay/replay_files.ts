import { LATEST_MS } from "../core/time.ts";
import {
  HAS_RECEIVED,
  IS_JSON,
  IS_USABLE,
  type RecordBlock,
  type RecordSource,
  startOf,
} from "./block.ts";
import { checkReplayOptions } from "./check_options.ts";
import {
  addRecord,
  addTick,
  type ChunkBuilder,
  isFull,
  newChunkBuilder,
  takeChunk,
} from "./chunk.ts";
import { type Defect, defectDrawer } from "../generate/defects.ts";
import {
  type DelayQueue,
  hasRoom,
  holdRecord,
  newDelayQueue,
  nextDelayedMs,
  takeDelayed,
} from "./delay_queue.ts";
import { gatherRecords, spillDirectory } from "./gather.ts";
import type { Inspection, ReplayChunk, ReplayOptions } from "./records.ts";
import { newTickClock, noteArrival, takeTick, type TickClock } from "./ticks.ts";

/** Where a replay stands. */
type Replay = {
  readonly options: ReplayOptions;
  readonly source: RecordSource;
  readonly draw: () => Defect;
  readonly queue: DelayQueue;
  readonly clock: TickClock;
  readonly chunk: ChunkBuilder;
  block: RecordBlock | null;
  index: number;
  /** Rows drawn so far. */
  serial: number;
  /** Latest event time of a usable row. */
  lastUsableMs: number;
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
  let source: RecordSource | null = null;
  try {
    source = await gatherRecords(inspection, options, directory);
    const replay = newReplay(source, options);
    while (!replay.isDone) {
      options.signal?.throwIfAborted();
      fillChunk(replay);
      if (replay.chunk.count > 0 || replay.chunk.rowsRead > 0) {
        yield takeChunk(replay.chunk, finiteOrNaN(replay.clock.lastArrivalMs));
      }
    }
  } finally {
    source?.close();
    directory.remove();
  }
}

function newReplay(source: RecordSource, options: ReplayOptions): Replay {
  const silenceMs = options.stateTtlMs + options.judgedAfterMs + options.tickMs;
  return {
    options,
    source,
    draw: defectDrawer(options),
    queue: newDelayQueue(),
    clock: newTickClock(options.tickMs, silenceMs),
    chunk: newChunkBuilder(),
    block: source.next(),
    index: 0,
    serial: 0,
    lastUsableMs: -Infinity,
    isDone: false,
  };
}

function finiteOrNaN(ms: number): number {
  return Number.isFinite(ms) ? ms : NaN;
}

/** Adds ticks, delayed records and rows, one each turn, until the chunk is full or all is sent. */
function fillChunk(replay: Replay): void {
  const { chunk, queue, clock } = replay;
  const { nowMs } = replay.options;
  while (!isFull(chunk)) {
    const rowMs = replay.block === null ? Infinity : replay.block.keysMs[replay.index];
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
  const { chunk, options, queue } = replay;
  const block = replay.block!;
  const i = replay.index;
  const start = startOf(block, i);
  const end = block.ends[i];
  const keyMs = block.keysMs[i];
  const eventMs = block.eventsMs[i];
  const flags = block.flags[i];
  const partition = block.partitions[i];
  chunk.rowsRead++;
  replay.serial++;
  const isOfNow = eventMs <= options.nowMs && keyMs <= options.nowMs;
  if ((flags & IS_USABLE) !== 0 && isOfNow && eventMs > replay.lastUsableMs) {
    replay.lastUsableMs = eventMs;
  }
  const { isGap, delayMs, isDuplicate } = replay.draw();
  const arrivalMs = keyMs + delayMs;
  if (isGap) chunk.gaps++;
  else if (delayMs > 0 && mayBeHeld(keyMs, arrivalMs, options) && hasRoom(queue, end - start)) {
    chunk.delays++;
    const withReceived = (flags & IS_JSON) !== 0 ? flags | HAS_RECEIVED : flags;
    const bytes = block.bytes.slice(start, end);
    const { serial } = replay;
    holdRecord(queue, { arrivalMs, bytes, partition, flags: withReceived, isDuplicate, serial });
  } else {
    const record = { partition, flags, arrivalMs: keyMs };
    addRecord(chunk, block.bytes, start, end, record);
    if (isDuplicate) repeat(chunk, block.bytes, start, end, record);
  }
  if (++replay.index < block.count) return;
  replay.block = replay.source.next();
  replay.index = 0;
}

/** A row is never held back beyond now: the core would not believe that it arrived then. */
function mayBeHeld(keyMs: number, arrivalMs: number, options: ReplayOptions): boolean {
  return keyMs !== -Infinity && arrivalMs <= options.nowMs && arrivalMs <= LATEST_MS;
}

function sendDelayed(replay: Replay): void {
  const { chunk } = replay;
  const record = takeDelayed(replay.queue);
  addRecord(chunk, record.bytes, 0, record.bytes.length, record);
  if (record.isDuplicate) repeat(chunk, record.bytes, 0, record.bytes.length, record);
}

function repeat(
  chunk: ChunkBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  record: { readonly partition: number; readonly flags: number; readonly arrivalMs: number },
): void {
  addRecord(chunk, bytes, start, end, record);
  chunk.duplicates++;
}

function endStream(replay: Replay): void {
  const { options, chunk, lastUsableMs } = replay;
  replay.isDone = true;
  if (options.finalTick && lastUsableMs !== -Infinity) {
    addTick(chunk, Math.min(lastUsableMs + options.judgedAfterMs, LATEST_MS), true);
  }
}
