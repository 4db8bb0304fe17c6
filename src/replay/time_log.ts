import { grown } from "../core/timers.ts";

/**
 * The times of every series in the order they came, small: equal steps are a count, and any other
 * costs a few bytes. What a file holds in order is nearly nothing, a shuffled one some 4 bytes a row.
 *
 * A series' bytes stand in chunks, each with the number of the next one at its front.
 */
export type TimeLog = {
  /** The latest time that came, NaN: none; and the step to it, with how often it came in a row. */
  lastMs: Float64Array;
  stepMs: Float64Array;
  counts: Int32Array;
  /** Of the last step: its readings have no usable value. */
  isFaulty: Uint8Array;
  /** How many times of the series came. */
  totals: Int32Array;
  firstChunk: Int32Array;
  /** Where its next byte goes. */
  ends: Float64Array;
  pages: Uint8Array[];
  chunks: number;
};

const CHUNK_BYTES = 32;
const LINK_BYTES = 4;
const PAGE_BITS = 14;
const PAGE_CHUNKS = 1 << PAGE_BITS;
const MINUTE_MS = 60_000;
/** How a step is written: in minutes, seconds or milliseconds; of a faulty reading; with a count. */
const UNITS_MS = [MINUTE_MS, 1000, 1];
const FAULTY = 4;
const REPEATED = 8;
const CODE_BITS = 16;

/** A log of nothing. */
export function newTimeLog(capacity = 256): TimeLog {
  return {
    lastMs: new Float64Array(capacity).fill(NaN),
    stepMs: new Float64Array(capacity),
    counts: new Int32Array(capacity),
    isFaulty: new Uint8Array(capacity),
    totals: new Int32Array(capacity),
    firstChunk: new Int32Array(capacity),
    ends: new Float64Array(capacity),
    pages: [],
    chunks: 0,
  };
}

/** Notes a time of a series; `isFaulty` 1: its value is none. */
export function noteTime(log: TimeLog, series: number, ms: number, isFaulty: number): void {
  if (series >= log.lastMs.length) growLog(log, series);
  const lastMs = log.lastMs[series];
  log.lastMs[series] = ms;
  log.totals[series]++;
  const stepMs = lastMs === lastMs ? ms - lastMs : ms;
  if (stepMs === log.stepMs[series] && isFaulty === log.isFaulty[series] && lastMs === lastMs) {
    log.counts[series]++;
    return;
  }
  flushStep(log, series);
  log.stepMs[series] = stepMs;
  log.isFaulty[series] = isFaulty;
  log.counts[series] = 1;
}

function growLog(log: TimeLog, series: number): void {
  const capacity = Math.max(series + 1, log.lastMs.length * 2);
  const known = log.lastMs.length;
  log.lastMs = grown(log.lastMs, capacity).fill(NaN, known);
  log.stepMs = grown(log.stepMs, capacity);
  log.counts = grown(log.counts, capacity);
  log.isFaulty = grown(log.isFaulty, capacity);
  log.totals = grown(log.totals, capacity);
  log.firstChunk = grown(log.firstChunk, capacity);
  log.ends = grown(log.ends, capacity);
}

function flushStep(log: TimeLog, series: number): void {
  const count = log.counts[series];
  if (count === 0) return;
  const stepMs = log.stepMs[series];
  const unit = UNITS_MS.findIndex((unitMs) => stepMs % unitMs === 0);
  const steps = Math.abs(stepMs) / UNITS_MS[unit];
  const zigzag = stepMs < 0 ? steps * 2 - 1 : steps * 2;
  const code = unit | (log.isFaulty[series] === 1 ? FAULTY : 0) | (count > 1 ? REPEATED : 0);
  putNumber(log, series, zigzag * CODE_BITS + code);
  if (count > 1) putNumber(log, series, count);
}

/** Seven bits a byte, the lowest first. */
function putNumber(log: TimeLog, series: number, number: number): void {
  let at = log.ends[series];
  if (at % CHUNK_BYTES === 0) at = nextChunk(log, series, at);
  let page = log.pages[Math.floor(at / PAGE_BYTES)];
  // Most numbers are small, and cheap to take apart as such.
  for (; number >= SMALL_MAX; number = Math.floor(number / 0x80)) {
    page[at++ % PAGE_BYTES] = number % 0x80 | 0x80;
    if (at % CHUNK_BYTES !== 0) continue;
    at = nextChunk(log, series, at);
    page = log.pages[Math.floor(at / PAGE_BYTES)];
  }
  let small = number | 0;
  let offset = at % PAGE_BYTES;
  for (; small >= 0x80; small >>>= 7) {
    page[offset++] = small & 0x7f | 0x80;
    at++;
    if ((offset & (CHUNK_BYTES - 1)) !== 0) continue;
    at = nextChunk(log, series, at);
    page = log.pages[Math.floor(at / PAGE_BYTES)];
    offset = at % PAGE_BYTES;
  }
  page[offset] = small;
  log.ends[series] = at + 1;
}

const SMALL_MAX = 2 ** 31;
const PAGE_BYTES = PAGE_CHUNKS * CHUNK_BYTES;

/** Begins the next chunk of a series, whose bytes end at `at`; returns where its first byte goes. */
function nextChunk(log: TimeLog, series: number, at: number): number {
  const chunk = log.chunks++;
  if (chunk % PAGE_CHUNKS === 0) log.pages.push(new Uint8Array(PAGE_BYTES));
  if (at === 0) log.firstChunk[series] = chunk;
  else writeLink(log, at / CHUNK_BYTES - 1, chunk);
  return chunk * CHUNK_BYTES + LINK_BYTES;
}

function writeLink({ pages }: TimeLog, chunk: number, next: number): void {
  const page = pages[Math.floor(chunk / PAGE_CHUNKS)];
  const at = (chunk % PAGE_CHUNKS) * CHUNK_BYTES;
  for (let b = 0; b < LINK_BYTES; b++) page[at + b] = next >>> (8 * b);
}

function readLink({ pages }: TimeLog, chunk: number): number {
  const page = pages[Math.floor(chunk / PAGE_CHUNKS)];
  const at = (chunk % PAGE_CHUNKS) * CHUNK_BYTES;
  let next = 0;
  for (let b = 0; b < LINK_BYTES; b++) next |= page[at + b] << (8 * b);
  return next;
}

/** The times of a series, each as `2 · time + (its value is none ? 1 : 0)`. */
export type LoggedTimes = { readonly times: Float64Array; readonly isSorted: boolean };

/**
 * The times of a series, ascending: so that of two equal ones a good one comes before a faulty one.
 * See `LoggedTimes`.
 */
export function sortedTimes(log: TimeLog, series: number): Float64Array {
  const { times, isSorted } = loggedTimes(log, series);
  return isSorted ? times : times.sort();
}

/** The times of a series in the order they came. */
export function loggedTimes(log: TimeLog, series: number): LoggedTimes {
  if (series >= log.totals.length) return { times: new Float64Array(0), isSorted: true };
  flushStep(log, series);
  log.counts[series] = 0;
  const times = new Float64Array(log.totals[series]);
  const at = { chunk: log.firstChunk[series], byte: LINK_BYTES };
  let isSorted = true;
  let ms = 0;
  let last = -Infinity;
  for (let n = 0; n < times.length;) {
    const number = takeNumber(log, at);
    const code = number % CODE_BITS;
    const zigzag = Math.floor(number / CODE_BITS);
    const steps = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    const stepMs = steps * UNITS_MS[code % 4];
    const faulty = (code & FAULTY) === 0 ? 0 : 1;
    for (let count = (code & REPEATED) === 0 ? 1 : takeNumber(log, at); count > 0; count--) {
      ms += stepMs;
      const time = ms * 2 + faulty;
      if (time < last) isSorted = false;
      times[n++] = last = time;
    }
  }
  return { times, isSorted };
}

function takeNumber(log: TimeLog, at: { chunk: number; byte: number }): number {
  let number = 0;
  for (let scale = 1;; scale *= 0x80) {
    if (at.byte === CHUNK_BYTES) {
      at.chunk = readLink(log, at.chunk);
      at.byte = LINK_BYTES;
    }
    const page = log.pages[at.chunk >>> PAGE_BITS];
    const byte = page[(at.chunk & (PAGE_CHUNKS - 1)) * CHUNK_BYTES + at.byte++];
    number += (byte & 0x7f) * scale;
    if (byte < 0x80) return number;
  }
}
