import { gapId, rawText } from "../core/wire/output_json.ts";
import {
  findingKey,
  type GapAlert,
  type LateEvent,
  type Metric,
  type Outputs,
  type RejectedReading,
  type ValidatedReading,
  type ValidationFinding,
} from "../core/outputs.ts";
import { kwhOf } from "../core/rules/energy.ts";
import { withoutNul } from "../core/text.ts";
import { METER_DAY_COLUMNS, type MeterDayReading, MeterDays } from "./meter_days.ts";
import { CopyWriter } from "./copy.ts";

/** The tables that outputs become rows of. */
export type OutputTable =
  | "validated_readings"
  | "readings_meter_daily"
  | "gap_alerts"
  | "late_events"
  | "rejected_readings"
  | "validation_records"
  | "metrics";

/** Rows of one table, ready for `COPY table (columns) FROM … (FORMAT binary)`. */
export type TableRows = {
  readonly table: OutputTable;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
};

const SOURCE = ["source_partition", "source_offset"];

/** The columns of each table, in the order its rows are written. */
export const COLUMNS: Readonly<Record<OutputTable, readonly string[]>> = {
  validated_readings: [
    ...["time", "meter_id", "consumption_kwh", "status", "flags", "delay_seconds"],
    ...SOURCE,
    ...["revises_kwh", "received_at", "quality"],
  ],
  readings_meter_daily: METER_DAY_COLUMNS,
  gap_alerts: [
    ...["time", "meter_id", "missing_from", "missing_to", "gap_minutes", "missing_intervals"],
    ...["rejected_intervals", "state", "gap_id", "detected_at"],
    ...SOURCE,
    "filled_intervals",
  ],
  late_events: [
    ...["time", "meter_id", "event_timestamp", "consumption_kwh", "delay_seconds"],
    ...SOURCE,
  ],
  rejected_readings: [
    ...["time", "reason", "detail", "raw", "raw_encoding", "meter_id", "event_timestamp"],
    ...["consumption_kwh"],
    ...SOURCE,
    ...["source", "slot", "held_kwh"],
  ],
  validation_records: [
    ...["meter_id", "channel", "rule", "severity", '"from"', '"to"', "slots", "value", '"limit"'],
    "detail",
    ...SOURCE,
  ],
  metrics: ["time", "metric_type", "meter_id", "value", "tags", ...SOURCE],
};

/**
 * Tables whose rows are written over or added up: COPY knows no ON CONFLICT, so their rows go
 * through a table of the same columns, `<table>_stage`.
 */
export const UPSERTS: Readonly<Partial<Record<OutputTable, string>>> = {
  gap_alerts: `INSERT INTO gap_alerts AS g SELECT * FROM gap_alerts_stage
ON CONFLICT (meter_id, time, source_partition) DO UPDATE SET
  missing_from = excluded.missing_from, missing_to = excluded.missing_to,
  gap_minutes = excluded.gap_minutes, missing_intervals = excluded.missing_intervals,
  rejected_intervals = excluded.rejected_intervals, state = excluded.state,
  gap_id = excluded.gap_id, detected_at = excluded.detected_at,
  source_offset = excluded.source_offset, filled_intervals = excluded.filled_intervals
  WHERE g.source_offset <= excluded.source_offset`,
  validation_records: `INSERT INTO validation_records AS g SELECT * FROM validation_records_stage
ON CONFLICT (meter_id, channel, rule, "from", source_partition) DO UPDATE SET
  severity = excluded.severity, "to" = excluded."to", slots = excluded.slots,
  value = excluded.value, "limit" = excluded."limit", detail = excluded.detail,
  source_offset = excluded.source_offset
  WHERE g.source_offset <= excluded.source_offset`,
  readings_meter_daily:
    `INSERT INTO readings_meter_daily AS d SELECT * FROM readings_meter_daily_stage
ON CONFLICT (meter_id, bucket, source_partition) DO UPDATE SET
  readings = d.readings + excluded.readings,
  late_readings = d.late_readings + excluded.late_readings,
  flagged_readings = d.flagged_readings + excluded.flagged_readings,
  consumption_kwh = (d.consumption_mwh + excluded.consumption_mwh) / 1e6::double precision,
  first_at = least(d.first_at, excluded.first_at),
  last_at = greatest(d.last_at, excluded.last_at),
  revised_readings = d.revised_readings + excluded.revised_readings,
  consumption_mwh = d.consumption_mwh + excluded.consumption_mwh,
  last_offset = greatest(d.last_offset, excluded.last_offset),
  last_late_offset = greatest(d.last_late_offset, excluded.last_late_offset)`,
};

/**
 * A partition's outputs as rows of the tables, tables without rows left out. `gap_alerts` holds each
 * gap once, as it was last announced, and `validation_records` each finding; they and
 * `readings_meter_daily` are to be upserted.
 */
export function outputRows(outputs: Outputs, partition: number): TableRows[] {
  const validated = new CopyWriter(outputs.validated.length * 112 + 64);
  const days = new MeterDays();
  for (const reading of outputs.validated) {
    validatedRow(validated, reading, partition);
    days.add(reading.meterId, dayReadingOf(reading));
  }
  const gaps = new LatestGaps();
  for (const gap of outputs.gaps) gaps.add(gap);
  const late = new CopyWriter(outputs.late.length * 96 + 64);
  for (const event of outputs.late) lateRow(late, event, partition);
  const rejected = new CopyWriter(outputs.rejected.length * 256 + 64);
  for (const reading of outputs.rejected) {
    const detail = withoutNul(reading.detail);
    const meterId = reading.meterId === null ? null : withoutNul(reading.meterId);
    rejectedRow(rejected, { ...reading, detail, meterId, ...rawText(reading.raw) }, partition);
  }
  const findings = new LatestFindings();
  for (const finding of outputs.findings) findings.add(finding);
  const metrics = new CopyWriter(outputs.metrics.length * 128 + 64);
  for (const metric of outputs.metrics) metricRow(metrics, metric, partition);
  return [
    tableRows("validated_readings", validated),
    meterDayRows(days, partition),
    tableRows("gap_alerts", gaps.rows(partition)),
    tableRows("late_events", late),
    tableRows("rejected_readings", rejected),
    tableRows("validation_records", findings.rows(partition)),
    tableRows("metrics", metrics),
  ].filter(({ rows }) => rows > 0);
}

/** Ends a writer's rows as those of a table. */
export function tableRows(table: OutputTable, writer: CopyWriter): TableRows {
  return { table, columns: COLUMNS[table], rows: writer.rows, bytes: writer.finish() };
}

/** Meters' days as rows of `readings_meter_daily`. */
export function meterDayRows(days: MeterDays, partition: number): TableRows {
  const writer = new CopyWriter(days.size * 128 + 64);
  return tableRows("readings_meter_daily", days.write(writer, partition));
}

/** What a meter's day takes of a reading. */
export function dayReadingOf(
  { timestampMs, consumptionKwh, revisesKwh, offset, status, flags }: ValidatedReading,
): MeterDayReading {
  return {
    timestampMs,
    kwh: consumptionKwh,
    revisesKwh: revisesKwh ?? null,
    offset,
    isLate: status === "LATE",
    isFlagged: flags.length > 0,
  };
}

/** Gaps as they were last announced: an upsert takes a row at most once. */
export class LatestGaps {
  readonly #latest = new Map<string, GapAlert>();

  add(gap: GapAlert): void {
    this.#latest.set(gapId(gap), gap);
  }

  /** Each as it was told of last. */
  get all(): GapAlert[] {
    return [...this.#latest.values()];
  }

  rows(partition: number): CopyWriter {
    const writer = new CopyWriter(this.#latest.size * 192 + 64);
    for (const [id, gap] of this.#latest) {
      writer.row(COLUMNS.gap_alerts.length);
      writer.timestamp(gap.idMs);
      writer.text(gap.meterId);
      writer.timestamp(gap.missingFromMs);
      writer.timestamp(gap.missingToMs);
      writer.float64((gap.missingToMs - gap.missingFromMs) / 60_000);
      writer.int32(gap.missingIntervals);
      writer.int32(gap.rejectedIntervals);
      writer.text(gap.state);
      writer.text(id);
      writer.timestamp(gap.detectedAtMs);
      writer.int32(partition);
      writer.int64(gap.offset);
      if (gap.filledIntervals === undefined) writer.null();
      else writer.int32(gap.filledIntervals);
    }
    return writer;
  }
}

/** What rules have found, as it was told last. */
export class LatestFindings {
  readonly #latest = new Map<string, ValidationFinding>();

  add(finding: ValidationFinding): void {
    this.#latest.set(findingKey(finding), finding);
  }

  rows(partition: number): CopyWriter {
    const writer = new CopyWriter(this.#latest.size * 128 + 64);
    for (const finding of this.#latest.values()) {
      writer.row(COLUMNS.validation_records.length);
      writer.text(finding.meterId);
      writer.text(""); // the channel
      writer.text(finding.rule);
      writer.text(finding.severity);
      writer.timestamp(finding.fromMs);
      writer.timestamp(finding.toMs);
      writer.int32(finding.slots);
      writer.float64(kwhOf(finding.value));
      if (Number.isNaN(finding.limit)) writer.null();
      else writer.float64(kwhOf(finding.limit));
      writer.text(withoutNul(finding.detail));
      writer.int32(partition);
      writer.int64(finding.offset);
    }
    return writer;
  }
}

/** Writes an accepted reading as a row. */
export function validatedRow(
  writer: CopyWriter,
  reading: ValidatedReading,
  partition: number,
): void {
  writer.row(COLUMNS.validated_readings.length);
  writer.timestamp(reading.timestampMs);
  writer.text(reading.meterId);
  writer.float64(reading.consumptionKwh);
  writer.text(reading.status);
  writer.textArray(reading.flags);
  if (reading.status === "LATE") writer.float64(reading.delayMs / 1000);
  else writer.null();
  writer.int32(partition);
  writer.int64(reading.offset);
  if (reading.revisesKwh === undefined) writer.null();
  else writer.float64(reading.revisesKwh);
  if (reading.receivedMs === undefined) writer.null();
  else writer.timestamp(reading.receivedMs);
  if (reading.quality === undefined) writer.null();
  else writer.text(withoutNul(reading.quality));
}

/** Writes a too-late reading as a row. */
export function lateRow(writer: CopyWriter, late: LateEvent, partition: number): void {
  writer.row(COLUMNS.late_events.length);
  writer.timestamp(late.timestampMs + late.delayMs);
  writer.text(late.meterId);
  writer.timestamp(late.timestampMs);
  writer.float64(late.consumptionKwh);
  writer.float64(late.delayMs / 1000);
  writer.int32(partition);
  writer.int64(late.offset);
}

/** A rejected record with its raw bytes as the text that is kept of them. */
export type RejectedText = Omit<RejectedReading, "raw"> & {
  readonly text: string;
  readonly encoding: "utf8" | "base64";
};

/** Writes a rejected record as a row. */
export function rejectedRow(writer: CopyWriter, rejected: RejectedText, partition: number): void {
  writer.row(COLUMNS.rejected_readings.length);
  writer.timestamp(rejected.atMs);
  writer.text(rejected.reason);
  writer.text(rejected.detail);
  writer.text(rejected.text);
  writer.text(rejected.encoding);
  if (rejected.meterId === null) writer.null();
  else writer.text(rejected.meterId);
  if (rejected.timestampMs === null) writer.null();
  else writer.timestamp(rejected.timestampMs);
  if (rejected.consumptionKwh === null) writer.null();
  else writer.float64(rejected.consumptionKwh);
  writer.int32(partition);
  writer.int64(rejected.offset);
  if (rejected.source === undefined) writer.null();
  else writer.text(withoutNul(rejected.source));
  if (rejected.slotMs === undefined) writer.null();
  else writer.timestamp(rejected.slotMs);
  if (rejected.heldKwh === undefined) writer.null();
  else writer.float64(rejected.heldKwh);
}

/** Writes a figure as a row. */
export function metricRow(writer: CopyWriter, metric: Metric, partition: number): void {
  writer.row(COLUMNS.metrics.length);
  writer.timestamp(metric.timestampMs);
  writer.text(metric.metricType);
  if (metric.meterId === null) writer.null();
  else writer.text(metric.meterId);
  writer.float64(metric.value);
  writer.jsonb(metric.tags);
  writer.int32(partition);
  writer.int64(metric.offset);
}
