import { gapId } from "../../src/core/wire/output_json.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import type { GapAlert, Outputs } from "../../src/core/outputs.ts";
import type { Processor } from "../../src/core/processor.ts";
import type { RawRecord } from "../../src/core/wire/raw_record.ts";
import { PLAIN_RULES, SLOT_RULES } from "../core/harness.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import type { OracleDisposition, OracleGap, OracleOptions } from "../specification/oracle.ts";

const encoder = new TextEncoder();

/** The core's options for one partition, from what the oracle is told. */
export function coreOptions(options: OracleOptions, partition = 0): ProcessorOptions {
  return {
    ...options,
    partition,
    zone: UTC_ZONE,
    rules: PLAIN_RULES,
    slotRules: SLOT_RULES,
    maxKw: 48,
    rejectedRawBytesMax: 1024,
  };
}

/** A record of a raw log; without a time of its own, and live, unless that is given. */
export function rawOf(
  value: string | Uint8Array,
  offset: number,
  timeMs = NaN,
  replayStartMs = NaN,
): RawRecord {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return { bytes, start: 0, end: bytes.length, offset, timeMs, replayStartMs };
}

/** Folds raw texts one by one; a record without a time of its own has none. */
export function foldRecords(
  processor: Processor,
  records: readonly string[],
  recordTimesMs: readonly (number | null)[] | null = null,
  replayStartsMs: readonly (number | null)[] | null = null,
): void {
  records.forEach((text, r) => {
    const [timeMs, startMs] = [recordTimesMs?.[r] ?? NaN, replayStartsMs?.[r] ?? NaN];
    processor.record(rawOf(text, processor.state.nextOffset, timeMs, startMs));
  });
}

/** What the core said of each record that was not a tick, by offset. */
export function dispositionsOf(outputs: Outputs): Map<number, OracleDisposition> {
  const said = new Map<number, OracleDisposition>();
  const say = (disposition: OracleDisposition) => {
    if (said.has(disposition.offset)) throw new Error(`two for offset ${disposition.offset}`);
    said.set(disposition.offset, disposition);
  };
  for (const v of outputs.validated) {
    say({
      offset: v.offset,
      disposition: v.status === "OK" ? "ok" : "late",
      reason: null,
      delayMs: v.delayMs,
      flags: [...v.flags],
      meterId: v.meterId,
      timestampMs: v.timestampMs,
      heldKwh: null,
    });
  }
  for (const l of outputs.late) {
    say({ ...l, disposition: "too_late", reason: null, flags: [], heldKwh: null });
  }
  for (const r of outputs.rejected) {
    const duplicate = r.reason === "DUPLICATE" || r.reason === "CONFLICT";
    say({
      offset: r.offset,
      disposition: duplicate ? "duplicate" : "rejected",
      reason: r.reason,
      delayMs: 0,
      flags: [],
      meterId: r.meterId,
      timestampMs: r.timestampMs,
      heldKwh: null,
    });
  }
  return said;
}

/** The gaps as they stand: the last message of each id wins. */
export function gapTable(gaps: readonly GapAlert[]): Map<string, GapAlert> {
  return new Map(gaps.map((gap) => [gapId(gap), gap]));
}

/** A gap as the oracle writes it. */
export function plainGap(gap: GapAlert): OracleGap {
  return {
    gapId: gapId(gap),
    meterId: gap.meterId,
    missingFromMs: gap.missingFromMs,
    missingToMs: gap.missingToMs,
    missingIntervals: gap.missingIntervals,
    filledIntervals: (gap as { filledIntervals?: number }).filledIntervals ?? null,
    rejectedIntervals: gap.rejectedIntervals,
    state: gap.state,
  };
}
