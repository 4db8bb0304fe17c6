import type {
  GapAlert,
  LateEvent,
  Metric,
  RejectedReading,
  ValidatedReading,
  ValidationFinding,
} from "../outputs.ts";
import { kwhOf } from "../rules/energy.ts";
import { utf8Text } from "../text.ts";
import { formatTimestamp, writeTimestamp } from "../time.ts";
import { writeDecimal } from "./decimal.ts";

/**
 * The messages as JSON, written by hand into one growing buffer: the shapes are fixed, and this is
 * the hot path. Each `write…` appends one message; `ends` marks where each stops.
 */
export class JsonWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  readonly ends: number[] = [];

  constructor(capacity = 1 << 16) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Forgets what was written; the buffer stays. */
  reset(): void {
    this.length = 0;
    this.ends.length = 0;
  }

  validated(reading: ValidatedReading): void {
    this.#reserve(reading.meterId.length * 6 + 320 + (reading.quality?.length ?? 0) * 6);
    this.#head(METER, reading.meterId);
    this.#ascii(TIMESTAMP);
    this.length = writeTimestamp(reading.timestampMs, this.bytes, this.length);
    this.#ascii(VALUE);
    this.#number(reading.consumptionKwh);
    this.#ascii(reading.status === "OK" ? STATUS_OK : STATUS_LATE);
    for (let f = 0; f < reading.flags.length; f++) {
      if (f > 0) this.bytes[this.length++] = 0x2c;
      this.#string(reading.flags[f]);
    }
    this.bytes[this.length++] = 0x5d;
    if (reading.status === "LATE") {
      this.#ascii(DELAY);
      this.#number(reading.delayMs / 1000);
    }
    if (reading.revisesKwh !== undefined) {
      this.#ascii(REVISES);
      this.#number(reading.revisesKwh);
    }
    if (reading.receivedMs !== undefined) {
      this.#ascii(RECEIVED);
      this.length = writeTimestamp(reading.receivedMs, this.bytes, this.length);
      this.bytes[this.length++] = 0x22;
    }
    if (reading.quality !== undefined) {
      this.#ascii(QUALITY);
      this.#string(reading.quality);
    }
    this.#close();
  }

  gap(gap: GapAlert): void {
    this.#reserve(gap.meterId.length * 12 + 512);
    const minutes = (gap.missingToMs - gap.missingFromMs) / 60_000;
    this.#ascii(GAP_ID);
    this.#string(gapId(gap));
    this.#ascii(NEXT_METER);
    this.#string(gap.meterId);
    this.#plain(`,"missing_from":"${formatTimestamp(gap.missingFromMs)}"`);
    this.#plain(`,"missing_to":"${formatTimestamp(gap.missingToMs)}"`);
    this.#plain(`,"gap_minutes":${minutes},"missing_intervals":${gap.missingIntervals}`);
    if (gap.filledIntervals !== undefined) {
      this.#plain(`,"filled_intervals":${gap.filledIntervals}`);
    }
    this.#plain(`,"rejected_intervals":${gap.rejectedIntervals},"state":"${gap.state}"`);
    this.#plain(`,"detected_at":"${formatTimestamp(gap.detectedAtMs)}"`);
    this.#close();
  }

  late(late: LateEvent): void {
    this.#reserve(late.meterId.length * 6 + 256);
    this.#head(METER, late.meterId);
    this.#ascii(TIMESTAMP);
    this.length = writeTimestamp(late.timestampMs, this.bytes, this.length);
    this.#ascii(VALUE);
    this.#number(late.consumptionKwh);
    this.#plain(`,"delay_seconds":${late.delayMs / 1000}`);
    this.#close();
  }

  rejected(rejected: RejectedReading, partition: number): void {
    const { text, encoding } = rawText(rejected.raw);
    this.#json({
      reason: rejected.reason,
      detail: rejected.detail,
      raw: text,
      ...(encoding === "utf8" ? {} : { raw_encoding: encoding }),
      partition,
      offset: rejected.offset,
      ...(rejected.source === undefined ? {} : { source: rejected.source }),
      ...(rejected.meterId === null ? {} : { meter_id: rejected.meterId }),
      ...(rejected.timestampMs === null
        ? {}
        : { timestamp: formatTimestamp(rejected.timestampMs) }),
      ...(rejected.consumptionKwh === null ? {} : { consumption_kwh: rejected.consumptionKwh }),
      ...(rejected.slotMs === undefined ? {} : { slot: formatTimestamp(rejected.slotMs) }),
      ...(rejected.heldKwh === undefined ? {} : { held_kwh: rejected.heldKwh }),
      // Where the timestamp does not say when: the clock that the record was judged by.
      ...(rejected.atMs === rejected.timestampMs
        ? {}
        : { judged_at: formatTimestamp(rejected.atMs) }),
    });
  }

  metric(metric: Metric): void {
    this.#json({
      metric_type: metric.metricType,
      meter_id: metric.meterId,
      timestamp: formatTimestamp(metric.timestampMs),
      value: metric.value,
      tags: metric.tags,
    });
  }

  finding(finding: ValidationFinding): void {
    const { meterId, rule, severity, fromMs, toMs, slots, value, limit, detail } = finding;
    this.#json({
      meter_id: meterId,
      rule,
      severity,
      from: formatTimestamp(fromMs),
      to: formatTimestamp(toMs),
      slots,
      value: kwhOf(value),
      ...(Number.isNaN(limit) ? {} : { limit: kwhOf(limit) }),
      detail,
    });
  }

  #head(prefix: Uint8Array, meterId: string): void {
    this.#ascii(prefix);
    this.#string(meterId);
  }

  #close(): void {
    this.bytes[this.length++] = 0x7d;
    this.ends.push(this.length);
  }

  #json(value: unknown): void {
    const text = JSON.stringify(value);
    this.#reserve(text.length * 3);
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written;
    this.ends.push(this.length);
  }

  /** A JSON string; short ASCII without escapes, as ids are, goes byte by byte. */
  #string(text: string): void {
    const start = this.length;
    const { bytes } = this;
    let at = start;
    bytes[at++] = 0x22;
    for (let p = 0; p < text.length; p++) {
      const code = text.charCodeAt(p);
      if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) {
        const quoted = JSON.stringify(text);
        this.length += encoder.encodeInto(quoted, bytes.subarray(start)).written;
        return;
      }
      bytes[at++] = code;
    }
    bytes[at++] = 0x22;
    this.length = at;
  }

  #plain(text: string): void {
    const { bytes } = this;
    let at = this.length;
    for (let p = 0; p < text.length; p++) bytes[at++] = text.charCodeAt(p);
    this.length = at;
  }

  #ascii(text: Uint8Array): void {
    const { bytes } = this;
    let at = this.length;
    for (let p = 0; p < text.length; p++) bytes[at++] = text[p];
    this.length = at;
  }

  #number(value: number): void {
    this.length = writeDecimal(value, this.bytes, this.length);
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + bytes));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

/** The id of a gap: stable for its life, consumers upsert by it. */
export function gapId(gap: Pick<GapAlert, "meterId" | "idMs">): string {
  return `${gap.meterId}@${formatTimestamp(gap.idMs)}`;
}

/** Raw bytes as text: as they are where they are UTF-8 that any database keeps, else in base64. */
export function rawText(raw: Uint8Array): { text: string; encoding: "utf8" | "base64" } {
  const text = utf8Text(raw);
  if (text !== null && !text.includes("\0")) return { text, encoding: "utf8" };
  let binary = "";
  for (const byte of raw) binary += String.fromCharCode(byte);
  return { text: btoa(binary), encoding: "base64" };
}

const encoder = new TextEncoder();
const METER = encoder.encode('{"meter_id":');
const TIMESTAMP = encoder.encode(',"timestamp":"');
const VALUE = encoder.encode('","consumption_kwh":');
const STATUS_OK = encoder.encode(',"status":"OK","flags":[');
const STATUS_LATE = encoder.encode(',"status":"LATE","flags":[');
const DELAY = encoder.encode(',"delay_seconds":');
const REVISES = encoder.encode(',"revises_kwh":');
const RECEIVED = encoder.encode(',"received_at":"');
const QUALITY = encoder.encode(',"quality":');
const GAP_ID = encoder.encode('{"gap_id":');
const NEXT_METER = encoder.encode(',"meter_id":');
