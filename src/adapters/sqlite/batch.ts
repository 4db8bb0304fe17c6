import { gapId, rawText } from "../../core/wire/output_json.ts";
import type { Ledger } from "../../core/ledger.ts";
import {
  findingKey,
  type GapAlert,
  type LateEvent,
  type Metric,
  type Outputs,
  type RejectedReading,
  type ValidatedReading,
  type ValidationFinding,
} from "../../core/outputs.ts";
import { kwhOf } from "../../core/rules/energy.ts";
import { withoutNul } from "../../core/text.ts";
import { formatTimestamp } from "../../core/time.ts";
import type { Commit } from "../../engine/ports.ts";
import type { HashedValue } from "../../tables/digest.ts";
import { type StageInput, stageInput } from "../../tables/incident_stage.ts";

/** Accepted readings in columns, which go to another thread without being copied. */
export type ReadingColumns = {
  readonly count: number;
  /** The texts that `meters`, `flags` and `quality` count in; the first of the latter two says nothing. */
  readonly meterIds: readonly string[];
  readonly flagSets: readonly (readonly string[])[];
  readonly qualities: readonly string[];
  readonly meters: Int32Array<ArrayBuffer>;
  readonly flags: Int32Array<ArrayBuffer>;
  readonly quality: Int32Array<ArrayBuffer>;
  readonly timesMs: Float64Array<ArrayBuffer>;
  readonly kwh: Float64Array<ArrayBuffer>;
  readonly offsets: Float64Array<ArrayBuffer>;
  /** NaN: on time. */
  readonly delaysMs: Float64Array<ArrayBuffer>;
  /** The values that they replace; NaN: none. */
  readonly revisesKwh: Float64Array<ArrayBuffer>;
  /** When they arrived, where they say so; NaN: they do not. */
  readonly receivedMs: Float64Array<ArrayBuffer>;
};

/** A row of one of the plain tables, in the order of its columns. */
export type PlainRow = HashedValue[];

/** The tables whose rows are stored as they are. */
export const PLAIN_COLUMNS = {
  late_readings: [
    ...["time", "meter_id", "consumption_kwh", "delay_seconds"],
    ...["source_partition", "source_offset", "channel"],
  ],
  gap_alerts: [
    ...["time", "meter_id", "missing_from", "missing_to", "gap_minutes", "missing_intervals"],
    ...["rejected_intervals", "state", "gap_id", "detected_at"],
    ...["source_partition", "source_offset", "filled_intervals", "channel"],
  ],
  late_events: [
    ...["time", "meter_id", "event_timestamp", "consumption_kwh", "delay_seconds"],
    ...["source_partition", "source_offset", "channel"],
  ],
  rejected_readings: [
    ...["time", "reason", "detail", "raw", "raw_encoding", "meter_id", "event_timestamp"],
    ...["consumption_kwh", "source_partition", "source_offset", "source", "slot", "held_kwh"],
    "channel",
  ],
  validation_records: [
    ...["meter_id", "channel", "rule", "severity", '"from"', '"to"', "slots", "value", '"limit"'],
    ...["detail", "source_partition", "source_offset"],
  ],
  metrics: [
    ...["time", "metric_type", "meter_id", "value", "tags", "source_partition", "source_offset"],
  ],
} as const satisfies Record<string, readonly string[]>;

export type PlainTable = keyof typeof PLAIN_COLUMNS;

/** A commit as its thread takes it. */
export type CommitBatch = {
  readonly partition: number;
  readonly fromOffset: number;
  readonly nextOffset: number;
  readonly readings: ReadingColumns;
  readonly rows: Readonly<Record<PlainTable, readonly PlainRow[]>>;
  readonly changelog: readonly Uint8Array[];
  readonly compacts: boolean;
  readonly task: Uint8Array;
  readonly watermark: string | null;
  readonly judgedTo: string | null;
  readonly ledger: Readonly<Ledger>;
  readonly stage: StageInput;
};

const NO_CHANNEL = "";

/** A commit for the writer's thread, and the buffers that are handed over with it. */
export function batchOf(
  commit: Commit,
): { readonly batch: CommitBatch; readonly transfer: Transferable[] } {
  const { partition, outputs } = commit;
  const readings = readingColumns(outputs.validated);
  const batch: CommitBatch = {
    partition,
    fromOffset: commit.fromOffset,
    nextOffset: commit.nextOffset,
    readings,
    rows: plainRows(outputs, partition),
    changelog: commit.changelog,
    compacts: commit.compacts,
    task: commit.task,
    watermark: timestampOrNull(commit.watermarkMs),
    judgedTo: timestampOrNull(commit.judgedToMs),
    ledger: commit.ledger,
    stage: stageInput(outputs, { partition, silentAfterMs: commit.stateTtlMs }),
  };
  const { meters, flags, quality, timesMs, kwh, offsets, delaysMs, revisesKwh } = readings;
  const columns = [
    ...[meters, flags, quality],
    ...[timesMs, kwh, offsets, delaysMs, revisesKwh, readings.receivedMs],
  ];
  return { batch, transfer: columns.map(({ buffer }) => buffer) };
}

function timestampOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : formatTimestamp(ms);
}

function readingColumns(validated: readonly ValidatedReading[]): ReadingColumns {
  const count = validated.length;
  const columns = {
    meters: new Int32Array(count),
    flags: new Int32Array(count),
    quality: new Int32Array(count),
    timesMs: new Float64Array(count),
    kwh: new Float64Array(count),
    offsets: new Float64Array(count),
    delaysMs: new Float64Array(count),
    revisesKwh: new Float64Array(count),
    receivedMs: new Float64Array(count),
  };
  const meterIds: string[] = [];
  const places = new Map<string, number>();
  const qualities = [""];
  const flagSets: (readonly string[])[] = [[]];
  const flagPlaces = new Map<string, number>();
  for (let r = 0; r < count; r++) {
    const reading = validated[r];
    let meter = places.get(reading.meterId);
    if (meter === undefined) {
      places.set(reading.meterId, meter = meterIds.length);
      meterIds.push(reading.meterId);
    }
    columns.meters[r] = meter;
    columns.timesMs[r] = reading.timestampMs;
    columns.kwh[r] = reading.consumptionKwh;
    columns.offsets[r] = reading.offset;
    columns.delaysMs[r] = reading.status === "LATE" ? reading.delayMs : NaN;
    columns.revisesKwh[r] = reading.revisesKwh ?? NaN;
    columns.receivedMs[r] = reading.receivedMs ?? NaN;
    if (reading.quality !== undefined) {
      const known = qualities.indexOf(reading.quality);
      columns.quality[r] = known >= 0 ? known : qualities.push(reading.quality) - 1;
    }
    if (reading.flags.length > 0) {
      const key = JSON.stringify(reading.flags);
      let set = flagPlaces.get(key);
      if (set === undefined) {
        flagPlaces.set(key, set = flagSets.length);
        flagSets.push(reading.flags);
      }
      columns.flags[r] = set;
    }
  }
  return { count, meterIds, flagSets, qualities, ...columns };
}

function plainRows(outputs: Outputs, partition: number): CommitBatch["rows"] {
  // A gap, or a finding, that a commit tells of several times stands as it was told last.
  const gaps = new Map(outputs.gaps.map((gap) => [gapId(gap), gap]));
  const findings = new Map(outputs.findings.map((finding) => [findingKey(finding), finding]));
  const late = outputs.validated.filter(({ status }) => status === "LATE");
  return {
    late_readings: late.map((reading) => lateReadingRow(reading, partition)),
    gap_alerts: [...gaps.values()].map((gap) => gapRow(gap, partition)),
    late_events: outputs.late.map((late) => lateRow(late, partition)),
    rejected_readings: outputs.rejected.map((rejected) => rejectedRow(rejected, partition)),
    validation_records: [...findings.values()].map((finding) => findingRow(finding, partition)),
    metrics: outputs.metrics.map((metric) => metricRow(metric, partition)),
  };
}

function lateReadingRow(reading: ValidatedReading, partition: number): PlainRow {
  const { timestampMs, meterId, consumptionKwh, delayMs, offset } = reading;
  const time = formatTimestamp(timestampMs);
  return [time, meterId, consumptionKwh, delayMs / 1000, partition, offset, NO_CHANNEL];
}

function gapRow(gap: GapAlert, partition: number): PlainRow {
  return [
    formatTimestamp(gap.idMs),
    gap.meterId,
    formatTimestamp(gap.missingFromMs),
    formatTimestamp(gap.missingToMs),
    (gap.missingToMs - gap.missingFromMs) / 60_000,
    gap.missingIntervals,
    gap.rejectedIntervals,
    gap.state,
    gapId(gap),
    formatTimestamp(gap.detectedAtMs),
    partition,
    gap.offset,
    gap.filledIntervals ?? null,
    NO_CHANNEL,
  ];
}

function lateRow(late: LateEvent, partition: number): PlainRow {
  return [
    formatTimestamp(late.timestampMs + late.delayMs),
    late.meterId,
    formatTimestamp(late.timestampMs),
    late.consumptionKwh,
    late.delayMs / 1000,
    partition,
    late.offset,
    NO_CHANNEL,
  ];
}

function rejectedRow(rejected: RejectedReading, partition: number): PlainRow {
  const { text, encoding } = rawText(rejected.raw);
  const { reason, meterId, timestampMs, consumptionKwh, source, slotMs, heldKwh } = rejected;
  return [
    formatTimestamp(rejected.atMs),
    reason,
    withoutNul(rejected.detail),
    text,
    encoding,
    meterId === null ? null : withoutNul(meterId),
    timestampOrNull(timestampMs),
    consumptionKwh,
    partition,
    rejected.offset,
    source === undefined ? null : withoutNul(source),
    timestampOrNull(slotMs),
    heldKwh ?? null,
    NO_CHANNEL,
  ];
}

function findingRow(finding: ValidationFinding, partition: number): PlainRow {
  const { meterId, rule, severity, fromMs, toMs, slots, value, limit, detail, offset } = finding;
  return [
    ...[meterId, NO_CHANNEL, rule, severity, formatTimestamp(fromMs), formatTimestamp(toMs), slots],
    kwhOf(value),
    Number.isNaN(limit) ? null : kwhOf(limit),
    ...[withoutNul(detail), partition, offset],
  ];
}

function metricRow(metric: Metric, partition: number): PlainRow {
  return [
    formatTimestamp(metric.timestampMs),
    metric.metricType,
    metric.meterId,
    metric.value,
    JSON.stringify(Object.fromEntries(Object.entries(metric.tags).sort())),
    partition,
    metric.offset,
  ];
}
