import { gapId, rawText } from "../core/json.ts";
import type { GapAlert, Outputs } from "../core/outputs.ts";
import { CopyWriter } from "./pg_copy.ts";

/** Rows of one table, ready for `COPY table (columns) FROM … (FORMAT binary)`. */
export type TableRows = {
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
};

const SOURCE = ["source_partition", "source_offset"];
const VALIDATED_COLUMNS = [
  ...["time", "meter_id", "consumption_kwh", "status", "flags", "delay_seconds"],
  ...SOURCE,
];
const GAP_COLUMNS = [
  ...["time", "meter_id", "missing_from", "missing_to", "gap_minutes", "missing_intervals"],
  ...["rejected_intervals", "state", "gap_id", "detected_at"],
  ...SOURCE,
];
const LATE_COLUMNS = [
  ...["time", "meter_id", "event_timestamp", "consumption_kwh", "delay_seconds"],
  ...SOURCE,
];
const REJECTED_COLUMNS = [
  ...["time", "reason", "detail", "raw", "raw_encoding", "meter_id", "event_timestamp"],
  ...["consumption_kwh"],
  ...SOURCE,
];
const METRIC_COLUMNS = ["time", "metric_type", "meter_id", "value", "tags", ...SOURCE];

/**
 * A partition's outputs as rows of the tables, tables without rows left out. `gap_alerts` holds each
 * gap once, as it was last announced: it is to be upserted by its primary key.
 */
export function outputRows(outputs: Outputs, partition: number): TableRows[] {
  const tables: TableRows[] = [];
  const add = (table: string, columns: readonly string[], writer: CopyWriter) => {
    if (writer.rows > 0) tables.push({ table, columns, rows: writer.rows, bytes: writer.finish() });
  };
  add("validated_readings", VALIDATED_COLUMNS, validatedRows(outputs, partition));
  add("gap_alerts", GAP_COLUMNS, gapRows(outputs, partition));
  add("late_events", LATE_COLUMNS, lateRows(outputs, partition));
  add("rejected_readings", REJECTED_COLUMNS, rejectedRows(outputs, partition));
  add("metrics", METRIC_COLUMNS, metricRows(outputs, partition));
  return tables;
}

function validatedRows(outputs: Outputs, partition: number): CopyWriter {
  const writer = new CopyWriter(outputs.validated.length * 112 + 64);
  for (const reading of outputs.validated) {
    writer.row(VALIDATED_COLUMNS.length);
    writer.timestamp(reading.timestampMs);
    writer.text(reading.meterId);
    writer.float64(reading.consumptionKwh);
    writer.text(reading.status);
    writer.textArray(reading.flags);
    if (reading.status === "LATE") writer.float64(reading.delayMs / 1000);
    else writer.null();
    writer.int32(partition);
    writer.int64(reading.offset);
  }
  return writer;
}

function gapRows(outputs: Outputs, partition: number): CopyWriter {
  const latest = new Map<string, GapAlert>();
  for (const gap of outputs.gaps) latest.set(gapId(gap), gap);
  const writer = new CopyWriter(latest.size * 192 + 64);
  for (const [id, gap] of latest) {
    writer.row(GAP_COLUMNS.length);
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
  }
  return writer;
}

function lateRows(outputs: Outputs, partition: number): CopyWriter {
  const writer = new CopyWriter(outputs.late.length * 96 + 64);
  for (const late of outputs.late) {
    writer.row(LATE_COLUMNS.length);
    writer.timestamp(late.timestampMs + late.delayMs);
    writer.text(late.meterId);
    writer.timestamp(late.timestampMs);
    writer.float64(late.consumptionKwh);
    writer.float64(late.delayMs / 1000);
    writer.int32(partition);
    writer.int64(late.offset);
  }
  return writer;
}

function rejectedRows(outputs: Outputs, partition: number): CopyWriter {
  const writer = new CopyWriter(outputs.rejected.length * 256 + 64);
  for (const rejected of outputs.rejected) {
    const { text, encoding } = rawText(rejected.raw);
    writer.row(REJECTED_COLUMNS.length);
    writer.timestamp(rejected.atMs);
    writer.text(rejected.reason);
    writer.text(rejected.detail);
    writer.text(text);
    writer.text(encoding);
    if (rejected.meterId === null) writer.null();
    else writer.text(rejected.meterId);
    if (rejected.timestampMs === null) writer.null();
    else writer.timestamp(rejected.timestampMs);
    if (rejected.consumptionKwh === null) writer.null();
    else writer.float64(rejected.consumptionKwh);
    writer.int32(partition);
    writer.int64(rejected.offset);
  }
  return writer;
}

function metricRows(outputs: Outputs, partition: number): CopyWriter {
  const writer = new CopyWriter(outputs.metrics.length * 128 + 64);
  for (const metric of outputs.metrics) {
    writer.row(METRIC_COLUMNS.length);
    writer.timestamp(metric.timestampMs);
    writer.text(metric.metricType);
    if (metric.meterId === null) writer.null();
    else writer.text(metric.meterId);
    writer.float64(metric.value);
    writer.jsonb(metric.tags);
    writer.int32(partition);
    writer.int64(metric.offset);
  }
  return writer;
}
