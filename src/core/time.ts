import { laterInstantMs, localToUtcMs, type Zone } from "./zone.ts";

/**
 * Timestamps as text. Everything is epoch milliseconds inside; NaN is "no timestamp", so that a bad
 * one costs no allocation.
 *
 * The caches here are memos of pure functions: they change the speed of an answer, never the answer.
 */

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** 1000-01-01T00:00:00Z: the earliest that four digits of a year can say. */
const EARLIEST_MS = -30_610_224_000_000;
/** 9999-12-31T23:59:59.999Z: the latest. */
export const LATEST_MS = 253_402_300_799_999;
/** An epoch number below this is seconds, else milliseconds. */
const EPOCH_SECONDS_END = 1e11;

const SPACE = 0x20;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const COMMA = 0x2c;
const ZERO = 0x30;
const COLON = 0x3a;
const UPPER_T = 0x54;
const UPPER_Z = 0x5a;
const LOWER_T = 0x74;
const LOWER_Z = 0x7a;

/** What is special about a local time where its zone puts the clock: filled in by the parser. */
export type LocalNote = {
  /** The later of its two instants; NaN: it has one. */
  laterMs: number;
  /** The clock is put forward over it: it is no time at all. */
  isSkipped: boolean;
};

/**
 * Reads a timestamp: `YYYY-MM-DD` (midnight in the zone), or a date, one of `T`, `t` or a space,
 * `HH:MM[:SS[.fraction]]` (or with a comma, as ISO 8601 has it), and an offset `Z`, `±HH:MM`, `±HHMM`
 * or `±HH`; without one it is in `zone`. `24:00` is the next midnight. 9 to 13 digits are an epoch.
 * Surrounding spaces are dropped, fractions cut to milliseconds. Anything else is NaN: slashes and
 * month names are never guessed at. So is a local time that its zone skips; of one that comes twice
 * the answer is the earlier instant. `note`, where there is one, says so.
 */
export function parseTimestamp(text: string, zone: Zone, note?: LocalNote): number {
  const length = text.length;
  const bytes = length <= scratch.length ? scratch : new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return NaN;
    bytes[i] = code;
  }
  return parseTimestampBytes(bytes, 0, length, zone, note);
}

const scratch = new Uint8Array(64);

/** `parseTimestamp` over ASCII bytes `[start, end)`, without an allocation. */
export function parseTimestampBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  zone: Zone,
  note?: LocalNote,
): number {
  while (start < end && bytes[start] === SPACE) start++;
  while (end > start && bytes[end - 1] === SPACE) end--;
  const length = end - start;
  if (length < 10 || bytes[start + 4] !== DASH) return parseEpochDigits(bytes, start, end);
  const dayMs = parseDay(bytes, start);
  if (dayMs !== dayMs || length === 10) return within(localToUtcMs(zone, dayMs));

  const separator = bytes[start + 10];
  if (separator !== UPPER_T && separator !== SPACE && separator !== LOWER_T) return NaN;
  if (length < 16 || bytes[start + 13] !== COLON) return NaN;
  const hour = twoDigits(bytes, start + 11);
  const minute = twoDigits(bytes, start + 14);
  if (hour < 0 || hour > 24 || minute < 0 || minute > 59) return NaN;
  let localMs = dayMs + (hour * 60 + minute) * MINUTE_MS;
  let at = start + 16;
  let isWhole = minute === 0;
  if (at < end && bytes[at] === COLON) {
    if (at + 3 > end) return NaN;
    const second = twoDigits(bytes, at + 1);
    if (second < 0 || second > 59) return NaN;
    localMs += second * 1000;
    isWhole &&= second === 0;
    at += 3;
    if (at < end && (bytes[at] === DOT || bytes[at] === COMMA)) {
      const fractionEnd = digitsEnd(bytes, at + 1, end);
      if (fractionEnd === at + 1) return NaN;
      localMs += fractionMs(bytes, at + 1, fractionEnd);
      isWhole &&= hour < 24 || isAllZeros(bytes, at + 1, fractionEnd);
      at = fractionEnd;
    }
  }
  if (hour === 24 && !isWhole) return NaN;
  if (at === end) return within(instantOf(zone, localMs, note));
  return within(localMs - parseOffset(bytes, at, end));
}

/** The instant of a local time, the earlier of two; NaN: its zone skips it. */
function instantOf(zone: Zone, localMs: number, note: LocalNote | undefined): number {
  if (zone.localBoundsMs.length === 0) return localToUtcMs(zone, localMs);
  const laterMs = laterInstantMs(zone, localMs);
  if (note !== undefined) {
    note.isSkipped = laterMs === Infinity;
    note.laterMs = laterMs === Infinity ? NaN : laterMs;
  }
  return laterMs === Infinity ? NaN : localToUtcMs(zone, localMs);
}

/** NaN unless the year has four digits in UTC too, so that every timestamp can be written back. */
function within(ms: number): number {
  return ms >= EARLIEST_MS && ms <= LATEST_MS ? ms : NaN;
}

/** Two digits as 0..99, or -1. Both bytes must exist. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at] - ZERO;
  const ones = bytes[at + 1] - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

let lastDate = -1;
let lastDayMs = NaN;

/** `YYYY-MM-DD` at `at` as the epoch milliseconds of its midnight in UTC, or NaN. */
function parseDay(bytes: Uint8Array, at: number): number {
  const century = twoDigits(bytes, at);
  const ofCentury = twoDigits(bytes, at + 2);
  const month = twoDigits(bytes, at + 5);
  const day = twoDigits(bytes, at + 8);
  if (century < 10 || ofCentury < 0 || month < 1 || month > 12 || day < 1) return NaN;
  if (bytes[at + 4] !== DASH || bytes[at + 7] !== DASH) return NaN;
  const date = ((century * 100 + ofCentury) * 100 + month) * 100 + day;
  if (date === lastDate) return lastDayMs;
  const year = century * 100 + ofCentury;
  if (day > daysInMonth(year, month)) return NaN;
  lastDate = date;
  lastDayMs = daysFromCivil(year, month, day) * DAY_MS;
  return lastDayMs;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's days_from_civil). */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) +
    dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] >= ZERO && bytes[at] <= ZERO + 9) at++;
  return at;
}

function isAllZeros(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end && bytes[at] === ZERO) at++;
  return at === end;
}

function fractionMs(bytes: Uint8Array, at: number, end: number): number {
  let ms = 0;
  for (let i = 0; i < 3; i++) ms = ms * 10 + (at + i < end ? bytes[at + i] - ZERO : 0);
  return ms;
}

/** The offset that fills `[at, end)`, in milliseconds, or NaN. */
function parseOffset(bytes: Uint8Array, at: number, end: number): number {
  const sign = bytes[at];
  const length = end - at;
  if (length === 1) return sign === UPPER_Z || sign === LOWER_Z ? 0 : NaN;
  if (sign !== PLUS && sign !== DASH) return NaN;
  if (length !== 3 && length !== 5 && (length !== 6 || bytes[at + 3] !== COLON)) return NaN;
  const hour = twoDigits(bytes, at + 1);
  const minute = length === 3 ? 0 : twoDigits(bytes, end - 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return NaN;
  const ms = (hour * 60 + minute) * MINUTE_MS;
  return sign === DASH ? -ms : ms;
}

function parseEpochDigits(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 9 || length > 13 || digitsEnd(bytes, start, end) !== end) return NaN;
  let value = 0;
  for (let i = start; i < end; i++) value = value * 10 + (bytes[i] - ZERO);
  return parseEpochNumber(value);
}

/** A JSON number as a timestamp: seconds below 1e11, else milliseconds; NaN when out of range. */
export function parseEpochNumber(n: number): number {
  if (!(n >= 0) || n > LATEST_MS) return NaN;
  return n < EPOCH_SECONDS_END ? Math.round(n * 1000) + 0 : Math.trunc(n);
}

const TWO_DIGITS = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, "0"));
let lastTextDay = NaN;
let lastTextDate = "";

/** Writes `2013-01-01T10:30:00Z`, with `.mmm` only when there are milliseconds. */
export function formatTimestamp(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastTextDay) {
    const text = new Date(day * DAY_MS).toISOString();
    lastTextDate = text.slice(0, text.indexOf("T") + 1);
    lastTextDay = day;
  }
  const ofDayMs = (ms - day * DAY_MS) | 0;
  const seconds = (ofDayMs / 1000) | 0;
  const minutes = (seconds / 60) | 0;
  const time = `${TWO_DIGITS[(minutes / 60) | 0]}:${TWO_DIGITS[minutes % 60]}:${
    TWO_DIGITS[seconds % 60]
  }`;
  const fraction = ofDayMs % 1000;
  const tail = fraction === 0 ? "Z" : `.${String(fraction).padStart(3, "0")}Z`;
  return lastTextDate + time + tail;
}

const lastDateBytes = new Uint8Array(11);
let lastBytesDay = NaN;

/**
 * `formatTimestamp` into `target` at `at`; returns the position after it. There must be room for
 * 24 bytes, and the year must have four digits, as that of every parsed timestamp has.
 */
export function writeTimestamp(ms: number, target: Uint8Array, at: number): number {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastBytesDay) {
    const text = new Date(day * DAY_MS).toISOString();
    for (let i = 0; i < 11; i++) lastDateBytes[i] = text.charCodeAt(i);
    lastBytesDay = day;
  }
  for (let i = 0; i < 11; i++) target[at + i] = lastDateBytes[i];
  const ofDayMs = (ms - day * DAY_MS) | 0;
  const seconds = (ofDayMs / 1000) | 0;
  const minutes = (seconds / 60) | 0;
  writeTwoDigits((minutes / 60) | 0, target, at + 11);
  target[at + 13] = COLON;
  writeTwoDigits(minutes % 60, target, at + 14);
  target[at + 16] = COLON;
  writeTwoDigits(seconds % 60, target, at + 17);
  const fraction = ofDayMs % 1000;
  if (fraction === 0) {
    target[at + 19] = UPPER_Z;
    return at + 20;
  }
  target[at + 19] = DOT;
  target[at + 20] = ZERO + ((fraction / 100) | 0);
  writeTwoDigits(fraction % 100, target, at + 21);
  target[at + 23] = UPPER_Z;
  return at + 24;
}

function writeTwoDigits(value: number, target: Uint8Array, at: number): void {
  const tens = (value / 10) | 0;
  target[at] = ZERO + tens;
  target[at + 1] = ZERO + (value - tens * 10);
}
