/**
 * The specification of one record (semantics.md §1, §2): what can be read of it, and the first
 * reason for which it is no usable one. Plain and slow; nothing here is shared with `src/core`.
 */
import type { RejectReason } from "../../src/core/outputs.ts";
import { type Interval, INTERVAL_MS_MAX, MINUTE_MS } from "./grid.ts";

export type OracleReason = RejectReason | "TOO_OLD" | "TOO_MANY_METERS";

/** What decides over a record by itself. */
export type RecordRules = {
  readonly maxKwh: number;
  readonly maxFutureMs: number;
  readonly minTimestampMs: number;
  readonly negative: "reject" | "flag";
};

/** The clocks beside a record; null: there is none. */
export type RecordClocks = {
  /** The time of the log, or the wall clock where the log has none. */
  readonly logMs: number | null;
  /** When the replay began that wrote the record. */
  readonly replayStartMs: number | null;
  /** The latest tick of that replay. */
  readonly replayTickMs: number | null;
};

const ISO = new RegExp(
  "^([1-9]\\d{3})-(\\d\\d)-(\\d\\d)" + // date
    "(?:[Tt ](\\d\\d):(\\d\\d)(?::(\\d\\d)(?:[.,](\\d+))?)?" + // time
    "(?:[Zz]|([+-])(\\d\\d)(?::?(\\d\\d))?)?)?$", // offset
);
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** Epoch milliseconds of a JSON timestamp, or null. */
export function parseTimestampMs(json: unknown): number | null {
  if (typeof json === "number") return epochMs(json);
  if (typeof json !== "string") return null;
  const text = json.replace(/^ +| +$/g, "");
  if (/^\d{9,13}$/.test(text)) return epochMs(Number(text));
  const match = ISO.exec(text);
  if (match === null) return null;
  const field = (index: number): number => Number(match[index] ?? "0");
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(field);
  const offsetSign = match[8] === "-" ? -1 : 1;
  // 24:00 is the next midnight, and no later moment of that hour is anything.
  const isEndOfDay = hour === 24 && minute === 0 && second === 0 && /^0*$/.test(match[7] ?? "");
  if (hour > 23 && !isEndOfDay) return null;
  if (minute > 59 || second > 59 || field(9) > 23 || field(10) > 59) return null;
  const midnight = new Date(Date.UTC(year, month - 1, day));
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return null;
  const fractionMs = Number((match[7] ?? "").slice(0, 3).padEnd(3, "0"));
  const minutes = hour * 60 + minute - offsetSign * (field(9) * 60 + field(10));
  return midnight.getTime() + (minutes * 60 + second) * 1000 + fractionMs;
}

function epochMs(value: number): number | null {
  if (!Number.isFinite(value) || value < 0) return null;
  const ms = value < 1e11 ? Math.round(value * 1000) : Math.trunc(value);
  return ms > Date.UTC(9999, 11, 31, 23, 59, 59, 999) ? null : ms + 0;
}

/** White space of any kind, byte order marks and zero-width characters: seen by nobody. */
const INVISIBLE = /^[\p{White_Space}\ufeff\u180e\u200b-\u200d\u2060]$/u;

/** A meter id without what surrounds it unseen, or null. */
export function parseMeterId(json: unknown): string | null {
  if (typeof json === "number") return Number.isSafeInteger(json) ? String(json) : null;
  if (typeof json !== "string") return null;
  const chars = [...json];
  const isSeen = (char: string): boolean => !INVISIBLE.test(char);
  const id = chars.slice(chars.findIndex(isSeen), chars.findLastIndex(isSeen) + 1).join("");
  const isControl = (char: string) => char <= "\u001f" || (char >= "\u007f" && char <= "\u009f");
  if (id.length < 1 || id.length > 256 || !id.isWellFormed()) return null;
  return [...id].some(isControl) ? null : id;
}

function parseKwh(json: unknown): number | null {
  const kwh = typeof json === "string" && NUMBER.test(json.trim()) ? Number(json) : json;
  return typeof kwh === "number" && Number.isFinite(kwh) ? kwh : null;
}

/** What `interval_minutes` says of months: 30 days. */
const MONTH_MINUTES = 43_200;
/** A whole number of minutes, as milliseconds; anything else says nothing. */
function parseInterval(json: unknown): Interval | null {
  const minutes = parseKwh(json);
  if (minutes === MONTH_MINUTES) return "month";
  const isInterval = minutes !== null && Number.isInteger(minutes) && minutes > 0 &&
    minutes * MINUTE_MS <= INTERVAL_MS_MAX;
  return isInterval ? minutes * MINUTE_MS : null;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && !Array.isArray(json) ? json : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

export type RecordKind = "tick" | "retire" | "reading";

export type ParsedRecord = {
  kind: RecordKind;
  meterId: string | null;
  atMs: number | null;
  kwh: number | null;
  interval: Interval | null;
  /** Its time is of no use, whatever else is wrong with it. */
  outOfTime: boolean;
  /** Null: it is a usable one. */
  reason: OracleReason | null;
};

/** What can be read of a record, whether or not it is a usable one. */
export function parseRecord(
  text: string,
  clocks: RecordClocks,
  rules: RecordRules,
): ParsedRecord {
  const object = parseObject(text);
  const record = object ?? {};
  const isControl = record.type === "tick" || record.type === "retire";
  const kind = isControl ? record.type as RecordKind : "reading";
  const atMs = parseTimestampMs(record.timestamp);
  const future = atMs !== null && isFuture(atMs, kind, record, { clocks, rules });
  const old = atMs !== null && atMs < rules.minTimestampMs;
  const parsed = {
    kind,
    meterId: kind === "tick" ? null : parseMeterId(record.meter_id),
    atMs,
    kwh: kind === "reading" ? parseKwh(record.consumption_kwh) : null,
    interval: parseInterval(record.interval_minutes),
    outOfTime: atMs === null || future || old,
  };
  return { ...parsed, reason: rejectReason({ object, ...parsed, future, old }, rules) };
}

function isFuture(
  atMs: number,
  kind: RecordKind,
  record: Record<string, unknown>,
  { clocks, rules }: { clocks: RecordClocks; rules: RecordRules },
): boolean {
  const { logMs, replayStartMs, replayTickMs } = clocks;
  const { maxFutureMs } = rules;
  const latestMs = logMs === null && replayStartMs === null
    ? Infinity
    : Math.max(logMs ?? -Infinity, replayStartMs ?? -Infinity);
  if (kind !== "reading") return atMs > latestMs + maxFutureMs;
  const receivedMs = parseTimestampMs(record.received_at);
  if (receivedMs !== null) {
    return receivedMs > latestMs + maxFutureMs || atMs > receivedMs + maxFutureMs;
  }
  const clockMs = replayStartMs === null ? latestMs : replayTickMs ?? latestMs;
  return atMs > clockMs + maxFutureMs;
}

type Judged = {
  object: Record<string, unknown> | null;
  kind: RecordKind;
  meterId: string | null;
  atMs: number | null;
  kwh: number | null;
  future: boolean;
  old: boolean;
};

const FIELDS = {
  tick: ["timestamp"],
  retire: ["meter_id", "timestamp"],
  reading: ["meter_id", "timestamp", "consumption_kwh"],
};

function rejectReason(
  { object, kind, meterId, atMs, kwh, future, old }: Judged,
  { negative, maxKwh }: RecordRules,
): OracleReason | null {
  if (object === null) return "MALFORMED";
  if (FIELDS[kind].some((field) => !Object.hasOwn(object, field))) return "MISSING_FIELD";
  if (kind !== "tick" && meterId === null) return "BAD_METER_ID";
  if (atMs === null) return "BAD_TIMESTAMP";
  if (kind === "reading" && kwh === null) return "BAD_VALUE";
  if (kwh !== null && kwh < 0 && negative === "reject") return "NEGATIVE";
  if (kwh !== null && kwh > maxKwh) return "TOO_LARGE";
  if (old) return "TOO_OLD";
  return future ? "FUTURE" : null;
}
