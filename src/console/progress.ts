import { formatSeconds } from "../core/duration.js";
import { formatTimestamp } from "../core/time.ts";

/** What a progress line is told once. */
export type ProgressOptions = {
  /** What is being done: `replaying`. */
  readonly verb: string;
  /** Null: not known, so no share and no time left. Asked at each redraw, where it is a function. */
  readonly rowsTotal: number | null | (() => number | null);
  /** Rows done before this process began: they count as done, not in the rate. */
  readonly rowsAtStart?: number;
  /** A monotonic clock, such as `performance.now`. */
  readonly nowMs: () => number;
  /** Writes to stderr. */
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  /** Asked at each redraw; 80 when it is not given or says 0. */
  readonly columns?: () => number;
  /** For `--json` and `--quiet`: writes nothing, ever. */
  readonly isSilent?: boolean;
};

/** A progress line. `update` may be called as often as one likes: most calls only look at the clock. */
export type Progress = {
  /** `rowsDone` counts from the very start; `eventTimeMs` is where the data stand. */
  readonly update: (rowsDone: number, eventTimeMs?: number | null) => void;
  /** Takes the line away, before other text is written or when something else says the end. */
  readonly clear: () => void;
  /** Writes the last state for good, with the mean rate. */
  readonly finish: () => void;
};

/** At most ten redraws a second on a terminal; elsewhere a line of a log every ten seconds. */
const REDRAW_MS = 100;
const LOG_MS = 10_000;
/** The rate shown is that of the last seconds. */
const RATE_WINDOW_MS = 5_000;

type Sample = { readonly atMs: number; readonly rows: number };

/** A progress line on stderr: rows done, share, rate, time left, event time. */
export function createProgress(options: ProgressOptions): Progress {
  const { isTerminal, write, nowMs } = options;
  if (options.isSilent) return { update: () => {}, clear: () => {}, finish: () => {} };
  const start: Sample = { atMs: nowMs(), rows: options.rowsAtStart ?? 0 };
  let samples: Sample[] = [start];
  let rows = start.rows;
  let eventTimeMs: number | null = null;
  let drawnAtMs = isTerminal ? -Infinity : start.atMs;
  let drawnChars = 0;

  const line = (since: Sample, atMs: number): string => {
    const seconds = (atMs - since.atMs) / 1000;
    const rate = seconds > 0 ? (rows - since.rows) / seconds : null;
    const { verb, rowsTotal: total } = options;
    const rowsTotal = typeof total === "function" ? total() : total;
    return formatProgress({ verb, rowsTotal, rows, rate, eventTimeMs });
  };
  const draw = (text: string): void => {
    if (!isTerminal) return write(text + "\n");
    // One column short of the edge: a full line would make some terminals scroll. A terminal that
    // does not know its width says 0.
    const columns = options.columns?.() || 80;
    const cut = [...text].slice(0, columns - 1).join("");
    write("\r" + cut.padEnd(drawnChars));
    drawnChars = cut.length;
  };
  const update = (rowsDone: number, timeMs: number | null = null): void => {
    rows = rowsDone;
    eventTimeMs = timeMs ?? eventTimeMs;
    const atMs = nowMs();
    if (atMs - drawnAtMs < (isTerminal ? REDRAW_MS : LOG_MS)) return;
    drawnAtMs = atMs;
    const oldest = samples.findLastIndex((sample) => atMs - sample.atMs >= RATE_WINDOW_MS);
    samples = samples.slice(Math.max(0, oldest));
    draw(line(samples[0], atMs));
    samples.push({ atMs, rows });
  };
  const clear = (): void => {
    if (drawnChars > 0) write("\r" + " ".repeat(drawnChars) + "\r");
    drawnChars = 0;
  };
  const finish = (): void => {
    draw(line(start, nowMs()));
    if (isTerminal) write("\n");
    drawnChars = 0;
  };
  return { update, clear, finish };
}

type ProgressState = {
  readonly verb: string;
  readonly rowsTotal: number | null;
  readonly rows: number;
  /** Rows a second; null: no time has passed. */
  readonly rate: number | null;
  readonly eventTimeMs: number | null;
};

function formatProgress({ verb, rowsTotal, rows, rate, eventTimeMs }: ProgressState): string {
  const parts = [`${verb} ${formatCount(rows)}`];
  if (rowsTotal === null) parts[0] += " rows";
  else parts[0] += ` of ${formatCount(rowsTotal)} rows`;
  if (rowsTotal !== null && rowsTotal > 0) {
    parts.push(`${Math.floor(100 * Math.min(1, rows / rowsTotal))} %`);
  }
  if (rate !== null) parts.push(`${formatCount(Math.round(rate))}/s`);
  if (rowsTotal !== null && rate !== null && rate > 0 && rows < rowsTotal) {
    parts.push(`${formatSeconds(Math.ceil((rowsTotal - rows) / rate))} left`);
  }
  if (eventTimeMs !== null) parts.push(`at ${formatTimestamp(eventTimeMs)}`);
  return parts.join("  ");
}

/** A count as people read it: `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

const BYTE_UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** A size as people read it, in powers of 1000: `12.3 MB`. */
export function formatBytes(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < BYTE_UNITS.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size.toFixed(unit === 0 || size >= 100 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}
