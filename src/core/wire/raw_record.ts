import { readQuality } from "./delivered_quality.ts";
import type { RejectReason } from "../outputs.ts";
import { asciiBytes, utf8Text, writeBytes } from "../text.ts";
import {
  type LocalNote,
  parseEpochNumber,
  parseTimestamp,
  parseTimestampBytes,
  writeTimestamp,
} from "../time.ts";
import { MONTH } from "../calendar.ts";
import { INTERVAL_MS_MAX } from "../grid.ts";
import { isMeterId, METER_ID_LENGTH_MAX, trimMeterId } from "../meter_id.ts";
import type { Zone } from "../zone.ts";
import { MONTH_MINUTES } from "./file_fields.ts";
import { decimalEnd, parseDecimal, parseNumberText } from "./decimal.ts";
import { preview } from "./preview.ts";
import { readTags } from "./registration.ts";

/**
 * A raw record in its place: `bytes[start..end)`. The core keeps none of it but copies, so that a
 * caller may fill one of these again and again.
 */
export type RawRecord = {
  bytes: Uint8Array;
  start: number;
  end: number;
  /** Its place in the log. */
  offset: number;
  /** When the log took it, epoch milliseconds; NaN: not known, as any that no timestamp can say. */
  timeMs: number;
  /** When the replay began that wrote it; NaN: it is live. Replays are told apart by it. */
  replayStartMs: number;
};

/** A raw record of nothing, to be filled. */
export function newRawRecord(): RawRecord {
  return { bytes: new Uint8Array(0), start: 0, end: 0, offset: 0, timeMs: NaN, replayStartMs: NaN };
}

/** A raw record as read; one of these is filled again and again, so copy what must last. */
export type ParsedRecord = LocalNote & {
  kind: "reading" | "tick" | "retire" | "registration" | "unusable";
  /** The id as bytes of the record (`idEnd` > 0), or else as `meterId`. */
  idStart: number;
  idEnd: number;
  meterId: string | null;
  /** NaN: not known. Kept of an unusable reading too, as far as it could be read. */
  timestampMs: number;
  consumptionKwh: number;
  /** The interval that the reading says its series has from it on; 0: none. */
  saidIntervalMs: number;
  /** How many slots right before the reading its source's clock never had. */
  skippedIntervals: number;
  /** The quality code that it was delivered with, as it came; null: none. */
  quality: string | null;
  /** Where its row came from; null: not said. */
  source: string | null;
  /** When it arrived at the head end; NaN: not said. */
  receivedMs: number;
  /** Of a tick: it ends a finite input. */
  final: boolean;
  tags: Readonly<Record<string, string>>;
  /** Of an unusable record. */
  reason: RejectReason;
  detail: string;
  /** A field is absent, rather than wrong. */
  valueMissing: boolean;
};

/** An empty record to read into. */
export function newParsedRecord(): ParsedRecord {
  return {
    kind: "unusable",
    ...{ idStart: 0, idEnd: 0, meterId: null },
    ...{ timestampMs: NaN, consumptionKwh: NaN, laterMs: NaN },
    isSkipped: false,
    saidIntervalMs: 0,
    skippedIntervals: 0,
    ...{ quality: null, source: null },
    receivedMs: NaN,
    final: false,
    tags: {},
    reason: "MALFORMED",
    detail: "",
    valueMissing: false,
  };
}

const SOURCE_LENGTH_MAX = 512;
const MINUTE_MS = 60_000;
const SKIPPED_INTERVALS_MAX = 1_000_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const METER = asciiBytes('{"meter_id":"');
const TIMESTAMP = asciiBytes('","timestamp":"');
const VALUE = asciiBytes('","consumption_kwh":');
const RECEIVED = asciiBytes(',"received_at":"');
const TICK = asciiBytes('{"type":"tick","timestamp":"');
const FINAL = asciiBytes(',"final":true}');
const TIMESTAMP_BYTES_MAX = 24;

/** The fields of a reading as whoever writes one begins them, up to the value. */
export const METER_FIELD = asciiBytes('"meter_id":');
/** The same of its event time. */
export const TIMESTAMP_FIELD = asciiBytes('"timestamp":');
/** The same of its energy. */
export const VALUE_FIELD = asciiBytes('"consumption_kwh":');
/** The most bytes that `writeReceivedAt` writes. */
export const RECEIVED_BYTES_MAX = RECEIVED.length + TIMESTAMP_BYTES_MAX + 1;
/** The most bytes that `writeTick` writes. */
export const TICK_BYTES_MAX = TICK.length + TIMESTAMP_BYTES_MAX + 1 + FINAL.length;
/** Where the meter's id begins in a record that Gridwatch wrote: see `ownMeterEnd`. */
export const OWN_METER_START = METER.length;

/** Writes `received_at` as the next field of a record that is still open; returns where it ends. */
export function writeReceivedAt(receivedMs: number, bytes: Uint8Array, at: number): number {
  const isFirst = bytes[at - 1] === OPEN;
  const timeAt = writeBytes(isFirst ? RECEIVED.subarray(1) : RECEIVED, bytes, at);
  const end = writeTimestamp(receivedMs, bytes, timeAt);
  bytes[end] = QUOTE;
  return end + 1;
}

/** Writes a tick at `at`; returns where it ends. `isFinal`: the last of a replay. */
export function writeTick(
  timestampMs: number,
  isFinal: boolean,
  bytes: Uint8Array,
  at: number,
): number {
  let end = writeTimestamp(timestampMs, bytes, writeBytes(TICK, bytes, at));
  bytes[end++] = QUOTE;
  if (isFinal) return writeBytes(FINAL, bytes, end);
  bytes[end] = CLOSE;
  return end + 1;
}

/** A tick as a raw record; `isFinal`: the last of a replay. */
export function encodeTick(timestampMs: number, isFinal = false): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TICK_BYTES_MAX);
  return bytes.subarray(0, writeTick(timestampMs, isFinal, bytes, 0));
}

/** Whether the tick that ends at `end` is written as the last of a replay. */
export function isFinalTick(bytes: Uint8Array, end: number): boolean {
  return end >= FINAL.length && hasAt(bytes, end - FINAL.length, end, FINAL);
}

/** Where the meter's id ends in a reading that Gridwatch wrote without escapes in it; else 0. */
export function ownMeterEnd(bytes: Uint8Array, start: number, end: number): number {
  if (!hasAt(bytes, start, end, METER)) return 0;
  for (let p = start + METER.length; p < end; p++) {
    if (bytes[p] === BACKSLASH) return 0;
    if (bytes[p] === QUOTE) return p;
  }
  return 0;
}

/**
 * Reads a raw record: the shape Gridwatch writes straight from the bytes, any other JSON through
 * `JSON.parse`. Both give the same answer where both can read it. The value is not judged here.
 *
 * Never throws: what cannot be read is `unusable` with the first reason that holds.
 */
export function parseRecord(
  bytes: Uint8Array,
  start: number,
  end: number,
  zone: Zone,
  into: ParsedRecord,
): void {
  into.receivedMs = NaN;
  into.idEnd = 0;
  into.meterId = null;
  into.final = false;
  into.valueMissing = false;
  into.laterMs = NaN;
  into.isSkipped = false;
  into.saidIntervalMs = into.skippedIntervals = 0;
  into.source = into.quality = null;
  if (parseOwnReading(bytes, start, end, zone, into)) return;
  if (parseOwnTick(bytes, start, end, zone, into)) return;
  parseAnyJson(bytes, start, end, zone, into);
}

/** `{"meter_id":"…","timestamp":"…","consumption_kwh":1.5}`, perhaps with `received_at`. */
function parseOwnReading(
  bytes: Uint8Array,
  start: number,
  end: number,
  zone: Zone,
  into: ParsedRecord,
): boolean {
  if (!hasAt(bytes, start, end, METER)) return false;
  const idStart = start + METER.length;
  const idEnd = plainTextEnd(bytes, idStart, end);
  if (idEnd < 0 || idEnd - idStart > METER_ID_LENGTH_MAX || idEnd === idStart) return false;
  if (bytes[idStart] === 0x20 || bytes[idEnd - 1] === 0x20) return false;
  if (!hasAt(bytes, idEnd, end, TIMESTAMP)) return false;
  const timeStart = idEnd + TIMESTAMP.length;
  const timeEnd = plainTextEnd(bytes, timeStart, end);
  if (timeEnd < 0 || !hasAt(bytes, timeEnd, end, VALUE)) return false;
  const timestampMs = parseTimestampBytes(bytes, timeStart, timeEnd, zone, into);
  if (Number.isNaN(timestampMs)) return false;
  const valueStart = timeEnd + VALUE.length;
  const valueEnd = decimalEnd(bytes, valueStart, end);
  const consumptionKwh = parseDecimal(bytes, valueStart, valueEnd);
  if (Number.isNaN(consumptionKwh)) return false;
  if (bytes[valueEnd] === CLOSE) {
    if (valueEnd + 1 !== end) return false;
  } else {
    if (!hasAt(bytes, valueEnd, end, RECEIVED)) return false;
    const receivedStart = valueEnd + RECEIVED.length;
    const receivedEnd = plainTextEnd(bytes, receivedStart, end);
    if (receivedEnd < 0 || receivedEnd + 2 !== end || bytes[receivedEnd + 1] !== CLOSE) {
      return false;
    }
    into.receivedMs = parseTimestampBytes(bytes, receivedStart, receivedEnd, zone);
  }
  into.kind = "reading";
  into.idStart = idStart;
  into.idEnd = idEnd;
  into.timestampMs = timestampMs;
  into.consumptionKwh = consumptionKwh;
  return true;
}

function parseOwnTick(
  bytes: Uint8Array,
  start: number,
  end: number,
  zone: Zone,
  into: ParsedRecord,
): boolean {
  if (!hasAt(bytes, start, end, TICK)) return false;
  const timeStart = start + TICK.length;
  const timeEnd = plainTextEnd(bytes, timeStart, end);
  if (timeEnd < 0) return false;
  const final = bytes[timeEnd + 1] === COMMA;
  if (final) {
    if (!hasAt(bytes, timeEnd + 1, end, FINAL) || timeEnd + 1 + FINAL.length !== end) return false;
  } else if (bytes[timeEnd + 1] !== CLOSE || timeEnd + 2 !== end) return false;
  const timestampMs = parseTimestampBytes(bytes, timeStart, timeEnd, zone);
  if (Number.isNaN(timestampMs)) return false;
  into.kind = "tick";
  into.timestampMs = timestampMs;
  into.consumptionKwh = NaN;
  into.final = final;
  return true;
}

function parseAnyJson(
  bytes: Uint8Array,
  start: number,
  end: number,
  zone: Zone,
  into: ParsedRecord,
): void {
  into.timestampMs = into.consumptionKwh = NaN;
  let record: unknown;
  try {
    // Of what is not UTF-8 no text is JSON.
    record = JSON.parse(utf8Text(bytes.subarray(start, end)) ?? "");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return unusable(into, "MALFORMED", end === start ? "empty record" : "not JSON");
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    return unusable(into, "MALFORMED", `not an object: ${preview(record)}`);
  }
  const fields = record as Record<string, unknown>;
  if (fields.type === "tick") return readTick(fields, zone, into);
  if (fields.type === "retire" || fields.type === "meter") return readOfMeter(fields, zone, into);
  readFields(fields, zone, into);
}

function readTick(fields: Record<string, unknown>, zone: Zone, into: ParsedRecord): void {
  if (!Object.hasOwn(fields, "timestamp")) {
    return unusable(into, "MISSING_FIELD", "a tick without timestamp");
  }
  into.timestampMs = readTimestamp(fields.timestamp, zone);
  if (Number.isNaN(into.timestampMs)) {
    return unusable(into, "BAD_TIMESTAMP", `timestamp of a tick is ${preview(fields.timestamp)}`);
  }
  into.receivedMs = NaN;
  into.final = fields.final === true;
  into.kind = "tick";
}

/** `{"type":"retire","timestamp":"…","meter_id":"…"}`: it has left; `"meter"`: what it is. */
function readOfMeter(fields: Record<string, unknown>, zone: Zone, into: ParsedRecord): void {
  const isLeaving = fields.type === "retire";
  const what = isLeaving ? "a retirement" : "a registration";
  into.meterId = readMeterId(fields.meter_id);
  into.timestampMs = readTimestamp(fields.timestamp, zone);
  const absent = ["meter_id", "timestamp"].find((name) => !Object.hasOwn(fields, name));
  if (absent !== undefined) return unusable(into, "MISSING_FIELD", `${what} without ${absent}`);
  if (into.meterId === null) {
    return unusable(into, "BAD_METER_ID", `meter_id is ${preview(fields.meter_id)}`);
  }
  if (Number.isNaN(into.timestampMs)) {
    return unusable(into, "BAD_TIMESTAMP", `time of ${what} is ${preview(fields.timestamp)}`);
  }
  const tags = isLeaving ? {} : readTags(fields);
  if (tags === null) return unusable(into, "MALFORMED", "a registration without a version");
  into.tags = tags;
  into.kind = isLeaving ? "retire" : "registration";
}

function readFields(fields: Record<string, unknown>, zone: Zone, into: ParsedRecord): void {
  const { meter_id: id, timestamp, consumption_kwh: value } = fields;
  into.meterId = readMeterId(id);
  into.timestampMs = readTimestamp(timestamp, zone, into);
  into.consumptionKwh = readNumber(value);
  into.receivedMs = readTimestamp(fields.received_at, zone);
  into.saidIntervalMs = readInterval(fields.interval_minutes);
  into.skippedIntervals = wholeNumber(fields.skipped_intervals, SKIPPED_INTERVALS_MAX);
  into.quality = readQuality(fields.quality);
  into.source = readSource(fields.source);
  for (const name of ["meter_id", "timestamp", "consumption_kwh"]) {
    if (Object.hasOwn(fields, name)) continue;
    into.valueMissing = name === "consumption_kwh";
    return unusable(into, "MISSING_FIELD", `no ${name}`);
  }
  if (into.meterId === null) {
    return unusable(into, "BAD_METER_ID", `meter_id is ${preview(id)}`);
  }
  if (Number.isNaN(into.timestampMs)) {
    const skipped = into.isSkipped ? `, a local time that ${zone.name} skips` : "";
    return unusable(into, "BAD_TIMESTAMP", `timestamp is ${preview(timestamp)}${skipped}`);
  }
  if (Number.isNaN(into.consumptionKwh)) {
    return unusable(into, "BAD_VALUE", `consumption_kwh is ${preview(value)}`);
  }
  into.kind = "reading";
}

/** A usable id, trimmed; a whole number stands for its decimal text. */
function readMeterId(value: unknown): string | null {
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : null;
  if (typeof value !== "string") return null;
  const id = trimMeterId(value);
  return isMeterId(id) ? id : null;
}

/** An interval in whole minutes, as milliseconds; 0: none. */
function readInterval(value: unknown): number {
  const minutes = wholeNumber(value, MONTH_MINUTES);
  if (minutes === MONTH_MINUTES) return MONTH;
  return minutes * MINUTE_MS <= INTERVAL_MS_MAX ? minutes * MINUTE_MS : 0;
}

/** A whole number from 1 on, also one written as text; 0: none, or more than it can be. */
function wholeNumber(value: unknown, max: number): number {
  const number = readNumber(value);
  return Number.isInteger(number) && number >= 1 && number <= max ? number : 0;
}

function readSource(value: unknown): string | null {
  return typeof value === "string" ? value.slice(0, SOURCE_LENGTH_MAX) : null;
}

function readTimestamp(value: unknown, zone: Zone, note?: LocalNote): number {
  if (typeof value === "number") return parseEpochNumber(value);
  return typeof value === "string" ? parseTimestamp(value, zone, note) : NaN;
}

/** A finite number, also one written as text; NaN: none. */
function readNumber(value: unknown): number {
  if (typeof value === "string") return parseNumberText(value);
  return typeof value === "number" && Number.isFinite(value) ? value : NaN;
}

function unusable(into: ParsedRecord, reason: RejectReason, detail: string): void {
  into.kind = "unusable";
  into.reason = reason;
  into.detail = detail;
}

/** End of a JSON string of printable ASCII without escapes, at its closing quote; -1: another. */
function plainTextEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let p = start; p < end; p++) {
    const byte = bytes[p];
    if (byte === QUOTE) return p;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1;
  }
  return -1;
}

function hasAt(bytes: Uint8Array, at: number, end: number, expected: Uint8Array): boolean {
  if (at + expected.length > end) return false;
  for (let p = 0; p < expected.length; p++) if (bytes[at + p] !== expected[p]) return false;
  return true;
}
