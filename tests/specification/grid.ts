/**
 * The specification of slots (semantics.md §4): the grid with a phase, calendar days and months,
 * and what an interval is learned from. Plain and slow; nothing here is shared with `src/core`.
 */
export const MINUTE_MS = 60_000;
export const DAY_MS = 1440 * MINUTE_MS;
/** The longest interval there is, but a month. */
export const INTERVAL_MS_MAX = 35_791 * MINUTE_MS;

/** Milliseconds; a day is a calendar day, and a month has no length of its own. */
export type Interval = number | "month";

/** Least and greatest residual; nothing yet: Infinity and -Infinity. */
type Span = { lo: number; hi: number };
const nothing = (): Span => ({ lo: Infinity, hi: -Infinity });

export type Grid = {
  readonly interval: Interval;
  /** The slot of the latest reading that went forward. */
  ordinal: number;
  slotMs: number;
  /** That reading was so far off its slot: its time is `slotMs + prevMs`. */
  prevMs: number;
  now: Span;
  before: Span;
  calls: number;
};

const isCalendar = (interval: Interval): boolean => interval === "month" || interval === DAY_MS;

const monthStartMs = (month: number): number => Date.UTC(1970, month, 1);

/** Counts calendar days or months from 1970 on: the nearest to `atMs`, the later of two. */
function nearestDate(interval: Interval, atMs: number): number {
  if (interval === DAY_MS) return Math.floor(atMs / DAY_MS + 0.5);
  const date = new Date(atMs);
  const month = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
  return atMs - monthStartMs(month) < monthStartMs(month + 1) - atMs ? month : month + 1;
}

const dateMs = (interval: Interval, date: number): number =>
  interval === "month" ? monthStartMs(date) : date * DAY_MS;

/** When a slot begins, as the grid lies now. */
export function slotMsOf(grid: Grid, ordinal: number): number {
  const { interval, slotMs } = grid;
  const steps = ordinal - grid.ordinal;
  if (!isCalendar(interval)) return slotMs + steps * (interval as number);
  return dateMs(interval, nearestDate(interval, slotMs) + steps);
}

/** The grid of a series, or of a piece of it, that begins with a reading at `atMs`. */
export function startGrid(interval: Interval, atMs: number, graceMs: number): Grid {
  const grid = { interval, ordinal: 0, slotMs: atMs, prevMs: 0, now: nothing(), before: nothing() };
  const started: Grid = { ...grid, calls: 0 };
  if (isCalendar(interval)) {
    started.slotMs = dateMs(interval, nearestDate(interval, atMs));
  } else if (DAY_MS % (interval as number) === 0) {
    const wallMs = Math.round(atMs / (interval as number)) * (interval as number);
    if (Math.abs(atMs - wallMs) <= graceMs) started.slotMs = wallMs;
  }
  follow(started, atMs - started.slotMs);
  return started;
}

/** How many slots after the latest one `atMs` lies, and how far off that slot. */
export function placeOf(grid: Grid, atMs: number): { k: number; residualMs: number } {
  const { interval, slotMs, prevMs } = grid;
  if (isCalendar(interval)) {
    const date = nearestDate(interval, atMs);
    const k = date - nearestDate(interval, slotMs);
    return { k, residualMs: atMs - dateMs(interval, date) };
  }
  const T = interval as number;
  const d = atMs - slotMs;
  let k = Math.floor((d + T / 2) / T);
  if (k === 0 && d >= T / 2 - T / 8 && d - prevMs >= T / 2) k = 1;
  else if (k === 2 && d <= 3 * T / 2 + T / 32) k = 1;
  return { k, residualMs: d - k * T };
}

/** Moves the grid on to the reading that went `k` >= 1 slots forward. */
export function goForward(grid: Grid, k: number, residualMs: number): void {
  grid.slotMs = slotMsOf(grid, grid.ordinal + k);
  grid.ordinal += k;
  if (k > 16) [grid.now, grid.before, grid.calls] = [nothing(), nothing(), 0];
  follow(grid, residualMs);
}

function follow(grid: Grid, r: number): void {
  grid.prevMs = r;
  if (isCalendar(grid.interval)) return;
  const { now, before } = grid;
  now.lo = Math.min(now.lo, r);
  now.hi = Math.max(now.hi, r);
  const m = Math.trunc((Math.min(now.lo, before.lo) + Math.max(now.hi, before.hi)) / 32);
  grid.slotMs += m;
  grid.prevMs -= m;
  for (const span of [now, before]) [span.lo, span.hi] = [span.lo - m, span.hi - m];
  grid.calls += 1;
  if (grid.calls % 16 === 0) [grid.before, grid.now] = [now, nothing()];
}

const LISTED_MS = [5, 10, 15, 30, 60, 1440].map((minutes) => minutes * MINUTE_MS);
const STEPS_MIN = 6;

/**
 * The interval of a series of which these times are known, ascending; null: not yet.
 * `readingsMax` is how many readings it is learned from at the latest.
 */
export function learnInterval(
  timesMs: readonly number[],
  { readingsMax, graceMs }: { readingsMax: number; graceMs: number },
): Interval | null {
  const stepsMs = timesMs.slice(1).map((atMs, index) => atMs - timesMs[index]);
  const isMonth = (step: number) => step >= 28 * DAY_MS && step <= 31 * DAY_MS;
  if (stepsMs.length === 3 && stepsMs.every(isMonth)) return "month";
  const whole = stepsMs.filter((step) => step % MINUTE_MS === 0 && step <= INTERVAL_MS_MAX);
  const votes = (step: number) => whole.filter((other) => other === step).length;
  const ranked = [...new Set(whole)].sort((a, b) => votes(b) - votes(a) || b - a);
  if (stepsMs.length === STEPS_MIN && votes(ranked[0]) >= 0.75 * STEPS_MIN) return ranked[0];
  if (timesMs.length < readingsMax) return null;
  const candidates = [...new Set([...ranked.slice(0, 3), ...LISTED_MS])].sort((a, b) => b - a);
  const costs = candidates.map((interval) => costOf(timesMs, interval, graceMs));
  return candidates[costs.indexOf(Math.min(...costs))];
}

/** 8 × conflicts + holes of the times on a grid of that interval. */
function costOf(timesMs: readonly number[], interval: Interval, graceMs: number): number {
  const grid = startGrid(interval, timesMs[0], graceMs);
  const taken = new Set([0]);
  let conflicts = 0;
  for (const atMs of timesMs.slice(1)) {
    const { k, residualMs } = placeOf(grid, atMs);
    if (taken.has(grid.ordinal + k)) conflicts += 1;
    else taken.add(grid.ordinal + k);
    if (k >= 1) goForward(grid, k, residualMs);
  }
  return 8 * conflicts + Math.max(...taken) - Math.min(...taken) + 1 - taken.size;
}
