import type { ProcessorOptions } from "./options.ts";
import type { TaskState } from "./task_state.ts";

/** What is known of a record's arrival. */
export type Arrival = {
  /** The clock that the record is judged by, epoch milliseconds; NaN: none. */
  arrivedMs: number;
  /** How far its `received_at` is ahead of the latest clock known; NaN: one of them is not known. */
  aheadMs: number;
};

/** The record claims to have arrived in the future: its `received_at` says nothing of its time. */
export function isUnbelievable(arrival: Readonly<Arrival>, options: ProcessorOptions): boolean {
  return arrival.aheadMs > options.maxFutureMs;
}

/** The clocks beside a record; NaN: it has none of that kind. */
export type RecordClocks = {
  /** When the log took it. */
  readonly loggedMs: number;
  /** When the replay began that wrote it. */
  readonly replayStartMs: number;
};

/**
 * The time at which a record was written, at the latest: the later of the log's time (where that has
 * none, of the wall clock) and the replay's start. NaN: nothing tells the time.
 */
export function latestClockMs(
  { loggedMs, replayStartMs }: RecordClocks,
  { nowMs }: ProcessorOptions,
): number {
  const wallMs = Number.isNaN(loggedMs) ? nowMs ?? NaN : loggedMs;
  return Number.isNaN(wallMs) || replayStartMs > wallMs ? replayStartMs : wallMs;
}

/**
 * Finds the clock that a reading is judged by, and whether its own can be believed. Without an own
 * one it is the latest tick of the replay that wrote it, or else the latest clock known.
 */
export function findArrival(
  arrival: Arrival,
  receivedMs: number,
  clocks: RecordClocks,
  { state, options }: { readonly state: TaskState; readonly options: ProcessorOptions },
): void {
  const latestMs = latestClockMs(clocks, options);
  const isSaid = !Number.isNaN(receivedMs);
  arrival.aheadMs = isSaid ? receivedMs - latestMs : NaN;
  if (isSaid && !isUnbelievable(arrival, options)) arrival.arrivedMs = receivedMs;
  else if (Number.isNaN(clocks.replayStartMs)) arrival.arrivedMs = latestMs;
  else arrival.arrivedMs = state.replayTicks.get(clocks.replayStartMs) ?? latestMs;
}

/** Replays whose ticks are remembered: the latest ones. */
const REPLAYS_MAX = 16;

/** Notes a tick of a replay, by which the records of that replay are judged. */
export function noteReplayTick(
  { replayTicks }: TaskState,
  replayStartMs: number,
  timestampMs: number,
): void {
  if (Number.isNaN(replayStartMs)) return;
  const beforeMs = replayTicks.get(replayStartMs) ?? -Infinity;
  replayTicks.set(replayStartMs, Math.max(beforeMs, timestampMs));
  if (replayTicks.size > REPLAYS_MAX) replayTicks.delete(Math.min(...replayTicks.keys()));
}

/**
 * Keeps the latest arrival that can be believed: that of an accepted reading, or the log's. A live
 * record ends the say of a replay whose last tick never came, as of one that was killed.
 */
export function noteClock(
  state: Pick<TaskState, "clockMs" | "replaying">,
  receivedMs: number,
  { loggedMs, replayStartMs }: RecordClocks,
): void {
  if (receivedMs > state.clockMs) state.clockMs = receivedMs;
  if (!Number.isNaN(replayStartMs)) return;
  state.replaying = false;
  if (loggedMs > state.clockMs) state.clockMs = loggedMs;
}
