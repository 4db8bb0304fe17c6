import type { GapAlert, RejectReason } from "../core/outputs.ts";
import { parseTimestamp, parseTimestampBytes, UTC_ZONE } from "../core/time.ts";
import { MeterDays } from "./meter_days.ts";
import {
  COLUMNS,
  dayReadingOf,
  lateRow,
  LatestGaps,
  meterDayRows,
  metricRow,
  rejectedRow,
  type TableRows,
  tableRows,
  validatedRow,
} from "./output_rows.ts";
import { CopyWriter } from "./copy.ts";

/** The kinds of messages that become rows. */
export type MessageKind = "validated" | "gap" | "late" | "rejected" | "metric";

/** Where a message stands, and what it came from. */
export type MessageSource = {
  /** Of the raw record. */
  readonly offset: number;
  /** The message's own time in its topic. */
  readonly timeMs: number;
};

/** A message that is not what its topic holds. */
class MessageError extends Error {}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Messages of one kind and partition as rows of the tables: the inverse of `core/json.ts`. */
export class MessageRows {
  readonly #kind: MessageKind;
  readonly #partition: number;
  readonly #writer: CopyWriter;
  readonly #days = new MeterDays();
  readonly #gaps = new LatestGaps();
  #firstMs = Infinity;
  #lastMs = -Infinity;

  constructor(kind: MessageKind, partition: number, countExpected = 0) {
    this.#kind = kind;
    this.#partition = partition;
    this.#writer = new CopyWriter(countExpected * 112 + 64);
  }

  /** Takes a message; what is wrong with it, or null. A message that is wrong leaves no row. */
  add(bytes: Uint8Array, start: number, end: number, source: MessageSource): string | null {
    if (this.#kind === "validated" && this.#addPlain(bytes, start, end, source.offset)) return null;
    try {
      const fields = new Fields(JSON.parse(decoder.decode(bytes.subarray(start, end))));
      this.#addFields(fields, source);
      return null;
    } catch (error) {
      const isKnown = error instanceof MessageError || error instanceof SyntaxError ||
        error instanceof TypeError; // not UTF-8
      if (!isKnown) throw error;
      return error.message;
    }
  }

  /** Event times of the first and the last row, by the column `time`; null without rows. */
  get spanMs(): { readonly first: number; readonly last: number } | null {
    return this.#firstMs > this.#lastMs ? null : { first: this.#firstMs, last: this.#lastMs };
  }

  /** The rows taken, tables without rows left out; this object is of no use afterwards. */
  tables(): TableRows[] {
    const partition = this.#partition;
    switch (this.#kind) {
      case "validated":
        return withRows([
          tableRows("validated_readings", this.#writer),
          meterDayRows(this.#days, partition),
        ]);
      case "gap":
        return withRows([tableRows("gap_alerts", this.#gaps.rows(partition))]);
      case "late":
        return withRows([tableRows("late_events", this.#writer)]);
      case "rejected":
        return withRows([tableRows("rejected_readings", this.#writer)]);
      case "metric":
        return withRows([tableRows("metrics", this.#writer)]);
      default:
        return this.#kind satisfies never;
    }
  }

  #addFields(fields: Fields, { offset, timeMs }: MessageSource): void {
    const partition = this.#partition;
    switch (this.#kind) {
      case "validated": {
        const reading = validatedOf(fields, offset);
        validatedRow(this.#writer, reading, partition);
        this.#days.add(reading.meterId, dayReadingOf(reading));
        return this.#touch(reading.timestampMs);
      }
      case "gap": {
        const gap = gapOf(fields, offset);
        this.#gaps.add(gap);
        return this.#touch(gap.idMs);
      }
      case "late": {
        const late = { ...readingOf(fields, offset), ...delayOf(fields) };
        lateRow(this.#writer, late, partition);
        return this.#touch(late.timestampMs + late.delayMs);
      }
      case "rejected": {
        const rejected = rejectedOf(fields, offset, timeMs);
        rejectedRow(this.#writer, rejected, partition);
        return this.#touch(rejected.atMs);
      }
      case "metric": {
        const metric = metricOf(fields, offset);
        metricRow(this.#writer, metric, partition);
        return this.#touch(metric.timestampMs);
      }
      default:
        return this.#kind satisfies never;
    }
  }

  #touch(ms: number): void {
    if (ms < this.#firstMs) this.#firstMs = ms;
    if (ms > this.#lastMs) this.#lastMs = ms;
  }

  /**
   * An accepted reading as `core/json.ts` writes most of them: on time, no flags, no escape in the
   * id, up to 15 digits. False, and nothing written, where it is anything else.
   */
  #addPlain(bytes: Uint8Array, start: number, end: number, offset: number): boolean {
    const idStart = start + METER.length;
    if (end - start < PLAIN_LENGTH_MIN || !matches(bytes, start, METER)) return false;
    let at = idStart;
    for (; at < end && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) return false;
    const idEnd = at;
    if (!matches(bytes, at, TIMESTAMP)) return false;
    const timeStart = at += TIMESTAMP.length;
    while (at < end && bytes[at] !== QUOTE) at++;
    const timeEnd = at;
    if (!matches(bytes, at, VALUE)) return false;
    const valueStart = at + VALUE.length;
    const valueEnd = end - PLAIN_END.length;
    if (valueEnd <= valueStart || !matches(bytes, valueEnd, PLAIN_END)) return false;
    const kwh = parseDecimal(bytes, valueStart, valueEnd);
    const timestampMs = parseTimestampBytes(bytes, timeStart, timeEnd, UTC_ZONE);
    if (kwh !== kwh || timestampMs !== timestampMs) return false;
    const writer = this.#writer;
    writer.row(COLUMNS.validated_readings.length);
    writer.timestamp(timestampMs);
    writer.utf8(bytes, idStart, idEnd);
    writer.float64(kwh);
    writer.fields(OK_WITHOUT_FLAGS);
    writer.int32(this.#partition);
    writer.int64(offset);
    const reading = { timestampMs, kwh, isLate: false, isFlagged: false };
    this.#days.addUtf8(bytes, idStart, idEnd, reading);
    this.#touch(timestampMs);
    return true;
  }
}

const ascii = (text: string) => new TextEncoder().encode(text);
const METER = ascii('{"meter_id":"');
const TIMESTAMP = ascii('","timestamp":"');
const VALUE = ascii('","consumption_kwh":');
const PLAIN_END = ascii(',"status":"OK","flags":[]}');
const PLAIN_LENGTH_MIN = METER.length + TIMESTAMP.length + VALUE.length + PLAIN_END.length;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The fields `status`, `flags` and `delay_seconds` of most readings, in binary COPY's form. */
const OK_WITHOUT_FLAGS = (() => {
  const writer = new CopyWriter();
  writer.text("OK");
  writer.textArray([]);
  writer.null();
  const framed = writer.finish(); // a header of 19 bytes before, an end of 2 behind
  return framed.slice(19, framed.length - 2);
})();

function matches(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let p = 0; p < expected.length; p++) if (bytes[at + p] !== expected[p]) return false;
  return true;
}

const POWERS = Array.from({ length: 16 }, (_, power) => 10 ** power);

/**
 * A decimal of at most 15 digits, or NaN. Both the digits and the power of ten are exact doubles, so
 * their quotient is the double nearest to the text (Clinger's fast path).
 */
function parseDecimal(bytes: Uint8Array, start: number, end: number): number {
  let digits = 0;
  let value = 0;
  let pointAt = -1;
  for (let at = start; at < end; at++) {
    const code = bytes[at];
    if (code === 0x2e && pointAt < 0 && at > start) pointAt = at;
    else if (code >= 0x30 && code <= 0x39) {
      value = value * 10 + (code - 0x30);
      digits++;
    } else return NaN;
  }
  if (digits === 0 || digits > 15) return NaN;
  return pointAt < 0 ? value : value / POWERS[end - pointAt - 1];
}

/** A message's fields, each read as what it must be. */
class Fields {
  readonly #fields: Record<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new MessageError("not a JSON object");
    }
    this.#fields = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    const value = this.#fields[name];
    return value !== undefined && value !== null;
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw new MessageError(`${name} is not a text`);
    return value;
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value !== "number") throw new MessageError(`${name} is not a number`);
    return value;
  }

  /** A whole number that a column of 32 bits holds. */
  count(name: string): number {
    const value = this.number(name);
    if ((value | 0) !== value) throw new MessageError(`${name} is not a whole number`);
    return value;
  }

  timeMs(name: string): number {
    return timeOf(this.text(name), name);
  }

  texts(name: string): string[] {
    const value = this.#fields[name];
    const isList = Array.isArray(value) && value.every((one) => typeof one === "string");
    if (!isList) throw new MessageError(`${name} is not a list of texts`);
    return value;
  }

  tags(name: string): Record<string, string> {
    const value = this.#fields[name];
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new MessageError(`${name} is not an object`);
    }
    return value as Record<string, string>;
  }
}

function timeOf(text: string, name: string): number {
  const ms = parseTimestamp(text, UTC_ZONE);
  if (Number.isNaN(ms)) throw new MessageError(`${name} is not a time`);
  return ms;
}

function readingOf(fields: Fields, offset: number) {
  return {
    offset,
    meterId: fields.text("meter_id"),
    timestampMs: fields.timeMs("timestamp"),
    consumptionKwh: fields.number("consumption_kwh"),
  };
}

function delayOf(fields: Fields) {
  return { delayMs: Math.round(fields.number("delay_seconds") * 1000) };
}

function validatedOf(fields: Fields, offset: number) {
  const status = fields.text("status");
  if (status !== "OK" && status !== "LATE") throw new MessageError("status is not OK or LATE");
  return {
    ...readingOf(fields, offset),
    status,
    flags: fields.texts("flags"),
    ...(status === "LATE" ? delayOf(fields) : { delayMs: 0 }),
  } as const;
}

const GAP_STATES: readonly string[] = ["OPEN", "CLOSED", "FILLED", "EXPIRED"];

function gapOf(fields: Fields, offset: number): GapAlert {
  const id = fields.text("gap_id");
  const state = fields.text("state");
  if (!GAP_STATES.includes(state)) throw new MessageError("state is not that of a gap");
  return {
    offset,
    meterId: fields.text("meter_id"),
    idMs: timeOf(id.slice(id.lastIndexOf("@") + 1), "gap_id"),
    missingFromMs: fields.timeMs("missing_from"),
    missingToMs: fields.timeMs("missing_to"),
    missingIntervals: fields.count("missing_intervals"),
    rejectedIntervals: fields.count("rejected_intervals"),
    state: state as GapAlert["state"],
    detectedAtMs: fields.timeMs("detected_at"),
  };
}

function rejectedOf(fields: Fields, offset: number, timeMs: number) {
  const timestampMs = fields.has("timestamp") ? fields.timeMs("timestamp") : null;
  const atMs = fields.has("judged_at") ? fields.timeMs("judged_at") : timestampMs ?? timeMs;
  return {
    offset,
    reason: fields.text("reason") as RejectReason,
    detail: fields.text("detail"),
    text: fields.text("raw"),
    encoding: fields.has("raw_encoding") ? "base64" : "utf8",
    meterId: fields.has("meter_id") ? fields.text("meter_id") : null,
    timestampMs,
    consumptionKwh: fields.has("consumption_kwh") ? fields.number("consumption_kwh") : null,
    atMs,
  } as const;
}

function metricOf(fields: Fields, offset: number) {
  return {
    offset,
    metricType: fields.text("metric_type"),
    meterId: fields.has("meter_id") ? fields.text("meter_id") : null,
    timestampMs: fields.timeMs("timestamp"),
    value: fields.number("value"),
    tags: fields.tags("tags"),
  };
}

function withRows(tables: TableRows[]): TableRows[] {
  return tables.filter(({ rows }) => rows > 0);
}
