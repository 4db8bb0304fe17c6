/**
 * When ticks are due: one each `tickMs` of event time, up to every arrival. In a silence they go on
 * until `silenceMs` after the last arrival, when every meter has expired, and then jump to the next.
 */
export type TickClock = {
  readonly tickMs: number;
  readonly silenceMs: number;
  /** -Infinity: none was sent yet. */
  nextTickMs: number;
  lastArrivalMs: number;
};

/** A clock before the first arrival. */
export function newTickClock(tickMs: number, silenceMs: number): TickClock {
  return { tickMs, silenceMs, nextTickMs: -Infinity, lastArrivalMs: -Infinity };
}

/**
 * The tick to send before an arrival at `arrivalMs`, or NaN when none is left. The caller sends it
 * and asks again.
 */
export function takeTick(clock: TickClock, arrivalMs: number): number {
  if (clock.nextTickMs > arrivalMs) return NaN;
  const { tickMs } = clock;
  const lastMs = Math.floor(arrivalMs / tickMs) * tickMs;
  const isSilent = clock.nextTickMs - tickMs >= clock.lastArrivalMs + clock.silenceMs;
  const dueMs = isSilent || clock.nextTickMs === -Infinity ? lastMs : clock.nextTickMs;
  clock.nextTickMs = dueMs + tickMs;
  return dueMs;
}

/** Notes that something arrived. */
export function noteArrival(clock: TickClock, arrivalMs: number): void {
  if (arrivalMs > clock.lastArrivalMs) clock.lastArrivalMs = arrivalMs;
}
