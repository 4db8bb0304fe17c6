import { grown } from "../core/timers.ts";

/**
 * The values of every series in the order they came, beside their times in a `TimeLog`: the n-th value
 * of a series is that of its n-th time. NaN: it has none.
 *
 * Those of a series stand in chunks, each with the number of the next one beside it.
 */
export type ValueLog = {
  firstChunk: Int32Array;
  /** Where a series' next value goes. */
  ends: Int32Array;
  totals: Int32Array;
  /** The chunk that follows each. */
  links: Int32Array;
  readonly pages: Float64Array[];
  chunks: number;
};

/** Small, so that many series with few values take little. */
const CHUNK_VALUES = 16;
const PAGE_BITS = 18;
const PAGE_VALUES = 1 << PAGE_BITS;

/** A log of nothing. */
export function newValueLog(capacity = 256): ValueLog {
  return {
    firstChunk: new Int32Array(capacity),
    ends: new Int32Array(capacity),
    totals: new Int32Array(capacity),
    links: new Int32Array(capacity),
    pages: [],
    chunks: 0,
  };
}

/** Notes the next value of a series. */
export function noteValue(log: ValueLog, series: number, value: number): void {
  if (series >= log.totals.length) growLog(log, series);
  let at = log.ends[series];
  if ((at & (CHUNK_VALUES - 1)) === 0) at = nextChunk(log, series);
  log.pages[at >>> PAGE_BITS][at & (PAGE_VALUES - 1)] = value;
  log.ends[series] = at + 1;
  log.totals[series]++;
}

function nextChunk(log: ValueLog, series: number): number {
  const chunk = log.chunks++;
  if (chunk === log.links.length) log.links = grown(log.links, chunk * 2);
  const at = chunk * CHUNK_VALUES;
  if (at % PAGE_VALUES === 0) log.pages.push(new Float64Array(PAGE_VALUES));
  if (log.totals[series] === 0) log.firstChunk[series] = chunk;
  else log.links[log.ends[series] / CHUNK_VALUES - 1] = chunk;
  return at;
}

function growLog(log: ValueLog, series: number): void {
  const capacity = Math.max(series + 1, log.totals.length * 2);
  log.firstChunk = grown(log.firstChunk, capacity);
  log.ends = grown(log.ends, capacity);
  log.totals = grown(log.totals, capacity);
}

/** The values of a series in the order they came. */
export function loggedValues(log: ValueLog, series: number): Float64Array {
  const values = new Float64Array(log.totals[series] ?? 0);
  let chunk = log.firstChunk[series];
  for (let n = 0; n < values.length; n += CHUNK_VALUES) {
    const at = chunk * CHUNK_VALUES;
    const page = log.pages[at >>> PAGE_BITS];
    const start = at & (PAGE_VALUES - 1);
    const count = Math.min(CHUNK_VALUES, values.length - n);
    for (let v = 0; v < count; v++) values[n + v] = page[start + v];
    chunk = log.links[chunk];
  }
  return values;
}
