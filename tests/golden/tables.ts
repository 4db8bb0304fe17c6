import { emptyLedger } from "../../src/core/ledger.ts";
import type { GapState, Outputs, RejectReason } from "../../src/core/outputs.ts";
import { mwhOf } from "../../src/core/rules/energy.ts";
import { type GoldenFile, messageLines, positionLine } from "./golden.ts";

type Row = Record<string, unknown>;

/** Tables to read, on whichever database. */
type Tables = { query(sql: string, params?: readonly unknown[]): Promise<{ rows: Row[] }> };

const ms = (value: unknown): number =>
  value instanceof Date ? value.getTime() : Date.parse(String(value));
/** Lists and objects are JSON text on SQLite. */
const json = (value: unknown): unknown => typeof value === "string" ? JSON.parse(value) : value;
const msOrNull = (value: unknown): number | null => value === null ? null : ms(value);
const numberOrNull = (value: unknown): number | null => value === null ? null : Number(value);
const textOrNull = (value: unknown): string | null => value === null ? null : String(value);

/** What the tables hold of a partition, in the messages' form: each gap as it stands, by id. */
export async function readTables(
  store: Tables,
  partition: number,
): Promise<Record<GoldenFile, string>> {
  const outputs = await readOutputs(store, partition);
  const { rows: [position] } = await store.query(
    "SELECT * FROM positions JOIN ledger USING (partition) WHERE partition = $1",
    [partition],
  );
  const ledger = emptyLedger();
  for (const key of Object.keys(ledger) as (keyof typeof ledger)[]) {
    ledger[key] = Number(position[key]);
  }
  const nextOffset = Number(position.next_offset);
  const watermarkMs = msOrNull(position.watermark);
  return {
    ...messageLines(outputs, partition),
    position: positionLine({ nextOffset, watermarkMs, ledger }),
  };
}

/** The rows of a partition as the outputs they were written from. */
export async function readOutputs(store: Tables, partition: number): Promise<Outputs> {
  const select = async (table: string, order: string): Promise<Row[]> => {
    const sql = `SELECT * FROM ${table} WHERE source_partition = $1 ORDER BY ${order}`;
    return (await store.query(sql, [partition])).rows;
  };
  return {
    validated: (await select("validated_readings", "source_offset")).map((row) => ({
      offset: Number(row.source_offset),
      meterId: String(row.meter_id),
      timestampMs: ms(row.time),
      consumptionKwh: Number(row.consumption_kwh),
      status: row.status as "OK" | "LATE",
      flags: json(row.flags) as string[],
      delayMs: Math.round(Number(row.delay_seconds) * 1000),
      ...(row.revises_kwh === null ? {} : { revisesKwh: Number(row.revises_kwh) }),
      ...(row.received_at === null ? {} : { receivedMs: ms(row.received_at) }),
      ...(row.quality === null ? {} : { quality: String(row.quality) }),
    })),
    gaps: byId(await select("gap_alerts", "gap_id")).map((row) => ({
      offset: Number(row.source_offset),
      meterId: String(row.meter_id),
      idMs: ms(row.time),
      missingFromMs: ms(row.missing_from),
      missingToMs: ms(row.missing_to),
      missingIntervals: Number(row.missing_intervals),
      ...(row.filled_intervals === null ? {} : { filledIntervals: Number(row.filled_intervals) }),
      rejectedIntervals: Number(row.rejected_intervals),
      state: row.state as GapState,
      detectedAtMs: ms(row.detected_at),
    })),
    late: (await select("late_events", "source_offset")).map((row) => ({
      offset: Number(row.source_offset),
      meterId: String(row.meter_id),
      timestampMs: ms(row.event_timestamp),
      consumptionKwh: Number(row.consumption_kwh),
      delayMs: Math.round(Number(row.delay_seconds) * 1000),
    })),
    rejected: (await select("rejected_readings", "source_offset")).map((row) => ({
      offset: Number(row.source_offset),
      reason: row.reason as RejectReason,
      detail: String(row.detail),
      raw: rawBytes(row),
      meterId: textOrNull(row.meter_id),
      timestampMs: msOrNull(row.event_timestamp),
      consumptionKwh: numberOrNull(row.consumption_kwh),
      ...(row.source === null ? {} : { source: String(row.source) }),
      ...(row.slot === null ? {} : { slotMs: ms(row.slot) }),
      ...(row.held_kwh === null ? {} : { heldKwh: Number(row.held_kwh) }),
      atMs: ms(row.time),
    })),
    findings: (await select("validation_records", "source_offset, meter_id, rule")).map((row) => ({
      offset: Number(row.source_offset),
      meterId: String(row.meter_id),
      rule: String(row.rule),
      severity: row.severity as "warn" | "error",
      fromMs: ms(row.from),
      toMs: ms(row.to),
      slots: Number(row.slots),
      value: mwhOf(Number(row.value)),
      limit: row.limit === null ? NaN : mwhOf(Number(row.limit)),
      detail: String(row.detail),
    })),
    metrics: (await select("metrics", "source_offset, metric_type, value")).map((row) => ({
      offset: Number(row.source_offset),
      metricType: String(row.metric_type),
      meterId: textOrNull(row.meter_id),
      timestampMs: ms(row.time),
      value: Number(row.value),
      tags: json(row.tags) as Record<string, string>,
    })),
  };
}

/** In the order of their UTF-16 units, which each database's own order may not be. */
function byId(rows: Row[]): Row[] {
  return rows.sort((a, b) => String(a.gap_id) < String(b.gap_id) ? -1 : 1);
}

function rawBytes({ raw, raw_encoding: encoding }: Row): Uint8Array {
  const text = String(raw);
  return encoding === "base64" ? Uint8Array.fromBase64(text) : new TextEncoder().encode(text);
}
