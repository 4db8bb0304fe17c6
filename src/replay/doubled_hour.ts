import { nextTransitionMs, type Zone } from "../core/zone.ts";

/**
 * A row whose local time comes twice, where a clock is put back. It has no offset: which of the two
 * instants it means, the order of its series' rows says.
 */
export type DoubledRow = {
  readonly file: number;
  readonly series: number;
  /** Its number in the file. */
  readonly row: number;
  /** The same for rows between which the series has no other ones. */
  readonly stretch: number;
  readonly earlierMs: number;
  readonly laterMs: number;
  /** NaN: none. */
  readonly kwh: number;
  /** It is ordered by its time, not by when it was received. */
  readonly isOrderedBy: boolean;
  /** What the rows right before it and after it are ordered by; NaN: that is not known yet. */
  readonly beforeMs: number;
  afterMs: number;
};

/** A file's rows run from the oldest to the newest (1), the other way (-1), or neither way (0). */
export type Direction = 1 | -1 | 0;

/** An hour of its clock that a source shows once, though it came twice. */
export type SkippedHour = {
  readonly series: number;
  /** When the clock was put back, and when it again was as late as before. */
  readonly fromMs: number;
  readonly toMs: number;
};

/** What the doubled hours of all files are. */
export type DoubledHours = {
  /** The rows that mean the later instant, a file each, ascending. */
  readonly laterRows: readonly Int32Array[];
  /** The rows, as they are decided, are not in the order of their times. */
  readonly isDisordered: readonly boolean[];
  readonly skipped: readonly SkippedHour[];
  /** Series of rows whose order does not say which hour they are of; and how many rows those are. */
  readonly unresolvedSeries: ReadonlySet<number>;
  readonly unresolvedRows: number;
};

/** Decides which instant each of the rows means; `directions` has one for each file. */
export function resolveDoubledRows(
  doubled: readonly DoubledRow[],
  directions: readonly Direction[],
  zone: Zone,
): DoubledHours {
  const laterRows: number[][] = directions.map(() => []);
  const skipped: SkippedHour[] = [];
  const unresolvedSeries = new Set<number>();
  let unresolvedRows = 0;
  for (const hour of hoursOf(doubled, zone)) {
    const { file } = hour.series[0][0];
    const once: number[] = [];
    let isOnce = true;
    for (const rows of hour.series) {
      const { isLater, isKnown } = resolveRows(rows, directions[file]);
      if (!isKnown) {
        unresolvedSeries.add(rows[0].series);
        unresolvedRows += rows.length;
      }
      if (isLater.includes(true)) isOnce = false;
      else once.push(rows[0].series);
      rows.forEach(({ row }, r) => isLater[r] && laterRows[file].push(row));
    }
    // What another series shows twice the source has: it is missing then, not skipped.
    if (!isOnce) continue;
    const { fromMs, toMs } = hour;
    for (const series of once) skipped.push({ series, fromMs, toMs });
  }
  const sorted = laterRows.map((rows) => Int32Array.from(rows).sort());
  return {
    laterRows: sorted,
    isDisordered: disorders(doubled, sorted),
    skipped,
    unresolvedSeries,
    unresolvedRows,
  };
}

/** Of each file whether its doubled rows, as decided, break the order of its rows. */
function disorders(doubled: readonly DoubledRow[], laterRows: readonly Int32Array[]): boolean[] {
  const isDisordered = laterRows.map(() => false);
  const isLater = laterRows.map((rows) => new Set(rows));
  let last: { readonly file: number; readonly ms: number } = { file: -1, ms: NaN };
  for (const { file, row, earlierMs, laterMs, beforeMs, afterMs, isOrderedBy } of doubled) {
    if (!isOrderedBy) continue;
    const ms = isLater[file].has(row) ? laterMs : earlierMs;
    const leastMs = beforeMs === beforeMs ? beforeMs : last.file === file ? last.ms : -Infinity;
    if (ms < leastMs || ms > afterMs) isDisordered[file] = true;
    last = { file, ms };
  }
  return isDisordered;
}

/** An hour of a file that came twice, and the rows in it, a list for each series. */
type Hour = { readonly fromMs: number; readonly toMs: number; readonly series: DoubledRow[][] };

function hoursOf(doubled: readonly DoubledRow[], zone: Zone): Iterable<Hour> {
  const hours = new Map<string, Hour>();
  let series: DoubledRow[] = [];
  let last = "";
  const inOrder = [...doubled].sort((a, b) =>
    a.file - b.file || a.series - b.series || a.earlierMs - b.earlierMs
  );
  for (const row of inOrder) {
    const fromMs = nextTransitionMs(zone, row.earlierMs);
    const key = `${row.file} ${fromMs}`;
    const hour = hours.get(key) ??
      { fromMs, toMs: fromMs + row.laterMs - row.earlierMs, series: [] };
    hours.set(key, hour);
    if (last !== `${key} ${row.series}`) hour.series.push(series = []);
    last = `${key} ${row.series}`;
    series.push(row);
  }
  for (const hour of hours.values()) {
    for (const rows of hour.series) rows.sort((a, b) => a.row - b.row);
  }
  return hours.values();
}

/** Which of a series' rows in one hour, in the order of the file, are of its second time. */
function resolveRows(
  rows: readonly DoubledRow[],
  direction: Direction,
): { isLater: boolean[]; isKnown: boolean } {
  const repeated = repeatedLabels(rows);
  if (repeated.size === 0 && direction === 0) return { isLater: allEarlier(rows), isKnown: true };
  const most = new Set(rows.map(({ earlierMs }) => earlierMs)).size + repeated.size;
  const byStretch = direction === 0 ? null : inStretches(rows, direction);
  if (byStretch !== null && countInstants(rows, byStretch) === most) {
    return { isLater: byStretch, isKnown: true };
  }
  // Every repeat has the same value: the rows were sent again, and their hour stands there once.
  if ([...repeated.values()].every((values) => values.size === 1)) {
    return { isLater: byStretch ?? allEarlier(rows), isKnown: true };
  }
  const asOne = direction === 0 ? null : inHours(rows, direction);
  if (asOne !== null && countInstants(rows, asOne) === most) {
    return { isLater: asOne, isKnown: true };
  }
  return { isLater: byOccurrence(rows), isKnown: false };
}

function allEarlier(rows: readonly DoubledRow[]): boolean[] {
  return rows.map(() => false);
}

/** The local times that come more than once, each with its values. */
function repeatedLabels(rows: readonly DoubledRow[]): Map<number, Set<number>> {
  const values = new Map<number, number[]>();
  for (const { earlierMs, kwh } of rows) {
    const known = values.get(earlierMs);
    if (known === undefined) values.set(earlierMs, [kwh]);
    else known.push(kwh);
  }
  return new Map(
    [...values].filter(([, kwhs]) => kwhs.length > 1).map((
      [label, kwhs],
    ) => [label, new Set(kwhs)]),
  );
}

/** How many instants the rows are of, so decided. */
function countInstants(rows: readonly DoubledRow[], isLater: readonly boolean[]): number {
  return new Set(rows.map((row, r) => isLater[r] ? row.laterMs : row.earlierMs)).size;
}

/** Each stretch decided by itself; null: one of them cannot be. */
function inStretches(rows: readonly DoubledRow[], direction: 1 | -1): boolean[] | null {
  const isLater: boolean[] = [];
  for (let start = 0; start < rows.length;) {
    let end = start + 1;
    while (end < rows.length && rows[end].stretch === rows[start].stretch) end++;
    const decided = inHours(rows.slice(start, end), direction);
    if (decided === null) return null;
    isLater.push(...decided);
    start = end;
  }
  return isLater;
}

/**
 * Cuts rows into the first hour and the second, where their times go back once; where they do not,
 * at the one time that has two values. Null: they go back more than once.
 */
function inHours(rows: readonly DoubledRow[], direction: 1 | -1): boolean[] | null {
  const inTime = direction === 1 ? rows : rows.toReversed();
  let cut = inTime.length;
  for (let r = 1; r < inTime.length; r++) {
    if (inTime[r].earlierMs >= inTime[r - 1].earlierMs) continue;
    if (cut < inTime.length) return null;
    cut = r;
  }
  if (cut === inTime.length) {
    const repeated = [...repeatedLabels(inTime)];
    const [label, values] = repeated.length === 1 ? repeated[0] : [NaN, new Set()];
    const second = inTime.findIndex((row, r) =>
      r > 0 && row.earlierMs === label && row.kwh !== inTime[r - 1].kwh
    );
    if (values.size > 1 && second > 0) cut = second;
  }
  const isLater = inTime.map((_, r) => r >= cut);
  return direction === 1 ? isLater : isLater.toReversed();
}

/** The first value of a local time is of the first hour, another one of the second. */
function byOccurrence(rows: readonly DoubledRow[]): boolean[] {
  const first = new Map<number, number>();
  const repeated = repeatedLabels(rows);
  return rows.map(({ earlierMs, kwh }) => {
    const before = first.get(earlierMs);
    if (before === undefined) {
      first.set(earlierMs, kwh);
      return false;
    }
    return repeated.get(earlierMs)?.size === 1 || !Object.is(before, kwh);
  });
}
