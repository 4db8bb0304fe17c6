import type {
  GapAlert,
  LateEvent,
  Metric,
  RejectReason,
  ValidatedReading,
  ValidationFinding,
} from "../outputs.ts";
import { mwhOf } from "../rules/energy.ts";
import { asciiBytes } from "../text.ts";
import { parseTimestamp, parseTimestampBytes } from "../time.ts";
import { UTC_ZONE } from "../zone.ts";
import { parseDecimal } from "./decimal.ts";

/** A message that is not what its topic holds; says what is wrong with it. */
export class MessageError extends Error {
  override name = "MessageError";
}

/** Where the parts of a reading in its plainest form stand; one of these is filled again and again. */
export type PlainReading = {
  idStart: number;
  idEnd: number;
  timestampMs: number;
  consumptionKwh: number;
  /** NaN: it does not say. */
  receivedMs: number;
};

const METER = asciiBytes('{"meter_id":"');
const TIMESTAMP = asciiBytes('","timestamp":"');
const VALUE = asciiBytes('","consumption_kwh":');
const PLAIN = asciiBytes(',"status":"OK","flags":[]');
const RECEIVED = asciiBytes(',"received_at":"');
const PLAIN_LENGTH_MIN = METER.length + TIMESTAMP.length + VALUE.length + PLAIN.length + 1;
const COMMA = 0x2c;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Reads an accepted reading as `JsonWriter` writes most of them: on time, no flags, no escape in the
 * id, up to 15 digits. False where it is anything else, which `parseMessage` reads.
 */
export function parsePlainReading(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: PlainReading,
): boolean {
  into.idStart = start + METER.length;
  if (end - start < PLAIN_LENGTH_MIN || !matches(bytes, start, METER)) return false;
  let at = into.idStart;
  for (; at < end && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) return false;
  into.idEnd = at;
  if (!matches(bytes, at, TIMESTAMP)) return false;
  const timeStart = at += TIMESTAMP.length;
  while (at < end && bytes[at] !== QUOTE) at++;
  const timeEnd = at;
  if (!matches(bytes, at, VALUE)) return false;
  const valueStart = at + VALUE.length;
  at = valueStart;
  while (at < end && bytes[at] !== COMMA) at++;
  const valueEnd = at;
  if (valueEnd === valueStart || !matches(bytes, valueEnd, PLAIN)) return false;
  at += PLAIN.length;
  into.receivedMs = NaN;
  if (bytes[at] === COMMA) {
    if (!matches(bytes, at, RECEIVED)) return false;
    const receivedStart = at += RECEIVED.length;
    while (at < end && bytes[at] !== QUOTE) at++;
    into.receivedMs = parseTimestampBytes(bytes, receivedStart, at, UTC_ZONE);
    if (Number.isNaN(into.receivedMs)) return false;
    at++;
  }
  if (bytes[at] !== CLOSE || at + 1 !== end) return false;
  into.consumptionKwh = parseDecimal(bytes, valueStart, valueEnd);
  into.timestampMs = parseTimestampBytes(bytes, timeStart, timeEnd, UTC_ZONE);
  return !Number.isNaN(into.consumptionKwh) && !Number.isNaN(into.timestampMs);
}

function matches(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let p = 0; p < expected.length; p++) if (bytes[at + p] !== expected[p]) return false;
  return true;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads `bytes[start..end)` as the JSON of any message. Throws `MessageError`. */
export function parseMessage(bytes: Uint8Array, start: number, end: number): MessageFields {
  try {
    return new MessageFields(JSON.parse(decoder.decode(bytes.subarray(start, end))));
  } catch (cause) {
    // Not JSON, or not UTF-8.
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new MessageError(cause.message, { cause });
  }
}

/** A message's fields, each read as what it must be. */
export class MessageFields {
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

function readingOf(fields: MessageFields, offset: number) {
  return {
    offset,
    meterId: fields.text("meter_id"),
    timestampMs: fields.timeMs("timestamp"),
    consumptionKwh: fields.number("consumption_kwh"),
  };
}

/** Reads a reading behind the allowed lateness. Throws `MessageError`. */
export function readLate(fields: MessageFields, offset: number): LateEvent {
  return { ...readingOf(fields, offset), ...delayOf(fields) };
}

function delayOf(fields: MessageFields) {
  return { delayMs: Math.round(fields.number("delay_seconds") * 1000) };
}

/** Reads an accepted reading; `offset` is the raw record it came from. Throws `MessageError`. */
export function readValidated(fields: MessageFields, offset: number): ValidatedReading {
  const status = fields.text("status");
  if (status !== "OK" && status !== "LATE") throw new MessageError("status is not OK or LATE");
  return {
    ...readingOf(fields, offset),
    status,
    flags: fields.texts("flags"),
    ...(status === "LATE" ? delayOf(fields) : { delayMs: 0 }),
    ...(fields.has("revises_kwh") ? { revisesKwh: fields.number("revises_kwh") } : {}),
    ...(fields.has("received_at") ? { receivedMs: fields.timeMs("received_at") } : {}),
    ...(fields.has("quality") ? { quality: fields.text("quality") } : {}),
  };
}

const GAP_STATES: readonly string[] = ["OPEN", "CLOSED", "FILLED", "EXPIRED"];

/** Reads a gap as it stood then. Throws `MessageError`. */
export function readGap(fields: MessageFields, offset: number): GapAlert {
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
    ...(fields.has("filled_intervals")
      ? { filledIntervals: fields.count("filled_intervals") }
      : {}),
    rejectedIntervals: fields.count("rejected_intervals"),
    state: state as GapAlert["state"],
    detectedAtMs: fields.timeMs("detected_at"),
  };
}

/**
 * Reads a rejected record. `timeMs`, the message's own, is its place in time where it says none.
 * Throws `MessageError`.
 */
export function readRejected(fields: MessageFields, offset: number, timeMs: number) {
  const timestampMs = fields.has("timestamp") ? fields.timeMs("timestamp") : null;
  const atMs = fields.has("judged_at") ? fields.timeMs("judged_at") : timestampMs ?? timeMs;
  return {
    offset,
    ...(fields.has("source") ? { source: fields.text("source") } : {}),
    reason: fields.text("reason") as RejectReason,
    detail: fields.text("detail"),
    text: fields.text("raw"),
    encoding: fields.has("raw_encoding") ? "base64" : "utf8",
    meterId: fields.has("meter_id") ? fields.text("meter_id") : null,
    timestampMs,
    consumptionKwh: fields.has("consumption_kwh") ? fields.number("consumption_kwh") : null,
    ...(fields.has("slot") ? { slotMs: fields.timeMs("slot") } : {}),
    ...(fields.has("held_kwh") ? { heldKwh: fields.number("held_kwh") } : {}),
    atMs,
  } as const;
}

/** Reads what a rule has found. Throws `MessageError`. */
export function readFinding(fields: MessageFields, offset: number): ValidationFinding {
  const severity = fields.text("severity");
  if (severity !== "warn" && severity !== "error") {
    throw new MessageError("severity is not warn or error");
  }
  return {
    offset,
    meterId: fields.text("meter_id"),
    rule: fields.text("rule"),
    severity,
    fromMs: fields.timeMs("from"),
    toMs: fields.timeMs("to"),
    slots: fields.count("slots"),
    value: mwhOf(fields.number("value")),
    limit: fields.has("limit") ? mwhOf(fields.number("limit")) : NaN,
    detail: fields.text("detail"),
  };
}

/** Reads a figure. Throws `MessageError`. */
export function readMetric(fields: MessageFields, offset: number): Metric {
  return {
    offset,
    metricType: fields.text("metric_type"),
    meterId: fields.has("meter_id") ? fields.text("meter_id") : null,
    timestampMs: fields.timeMs("timestamp"),
    value: fields.number("value"),
    tags: fields.tags("tags"),
  };
}
