/**
 * The core under test, in five verbs: process a reading, a tick or any record, read the gaps, read
 * everything else. Times are written as on a clock that began at `BASE_MS`: "10:30", "10:30:00.001",
 * "-0:30" before it, "34:30" on the second day; "2099" is the beginning of that year.
 */
import { emptyOutputs, type GapAlert, type Outputs } from "../../src/core/outputs.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { Processor } from "../../src/core/processor.ts";
import { RULES } from "../../src/core/rules/rules.ts";
import { readConfig } from "../../src/config.ts";
import { processorOptions } from "../../src/judging.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";

export const BASE_MS = Date.UTC(2024, 0, 1);
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Without CAPACITY: most tests give values that no connection carries. */
export const PLAIN_RULES = RULES.filter(({ name }) => name !== "CAPACITY");

/** The rules that follow slots, as they are where nothing is set. */
export const SLOT_RULES = processorOptions(readConfig(null, () => undefined), 0, null).slotRules;

/** The defaults that semantics.md names. */
export const DEFAULTS: ProcessorOptions = {
  partition: 3,
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: HOUR_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 7 * DAY_MS,
  forgetAfterMs: 400 * DAY_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  intervalMsByMeter: new Map(),
  learningReadings: 48,
  zone: UTC_ZONE,
  revisions: "first",
  metersMax: 2_000_000,
  minTimestampMs: Date.UTC(2005, 0),
  maxKwh: 100_000,
  maxFutureMs: HOUR_MS,
  rules: PLAIN_RULES,
  slotRules: [],
  maxKw: 48,
  negative: "reject",
  nowMs: null,
  rejectedRawBytesMax: 1024,
};

/** A time of the clock, or epoch milliseconds as they are. */
export type At = string | number;

/** Epoch milliseconds of a time of the clock. */
export function ms(at: At): number {
  if (typeof at === "number") return at;
  if (/^\d{4}$/.test(at)) return Date.UTC(Number(at), 0);
  const match = /^(-?)(\d+):(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?$/.exec(at);
  if (match === null) throw new Error(`no time of the clock: ${at}`);
  const [hours, minutes, seconds, fractionMs] = match.slice(2).map((part) => Number(part ?? 0));
  const size = hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000 + fractionMs;
  return BASE_MS + (match[1] === "-" ? -size : size);
}

/** The other way round. */
export function clock(atMs: number): string {
  const size = Math.abs(atMs - BASE_MS);
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(size / MINUTE_MS);
  const rest = size % MINUTE_MS;
  const seconds = rest === 0 ? "" : `:${two(Math.floor(rest / 1000))}`;
  const fraction = rest % 1000 === 0 ? "" : `.${String(rest % 1000).padStart(3, "0")}`;
  const sign = atMs < BASE_MS ? "-" : "";
  return `${sign}${Math.floor(minutes / 60)}:${two(minutes % 60)}${seconds}${fraction}`;
}

/** `CLOSED M1@0:30 0:30..1:30 2`, with `rejected 1` when there are any. */
export function showGap(gap: GapAlert): string {
  const rejected = gap.rejectedIntervals === 0 ? "" : ` rejected ${gap.rejectedIntervals}`;
  return `${gap.state} ${gap.meterId}@${clock(gap.idMs)} ${clock(gap.missingFromMs)}..` +
    `${clock(gap.missingToMs)} ${gap.missingIntervals}${rejected}`;
}

/** What was said of one record: `OK`, `LATE 60 TIME_SHIFT`, `TOO_LATE 3600.001`, `FUTURE`, `tick`. */
function showDisposition({ validated, late, rejected }: Outputs): string {
  const count = validated.length + late.length + rejected.length;
  if (count > 1) throw new Error(`${count} dispositions of one record`);
  for (const { status, delayMs, flags } of validated) {
    return [status, ...(status === "LATE" ? [delayMs / 1000] : []), ...flags].join(" ");
  }
  for (const { delayMs } of late) return `TOO_LATE ${delayMs / 1000}`;
  for (const { reason } of rejected) return reason;
  return "tick";
}

export type Harness = ReturnType<typeof startHarness>;

const encoder = new TextEncoder();

/** A processor with the defaults, but for `changes`. Every record is a commit of its own. */
export function startHarness(
  changes: Partial<ProcessorOptions> = {},
  processor = new Processor({ ...DEFAULTS, ...changes }),
) {
  let outputs = emptyOutputs();
  const record = (
    raw: string | Uint8Array,
    recordTime: At = NaN,
    replayStart: At = NaN,
  ): string => {
    const bytes = typeof raw === "string" ? encoder.encode(raw) : raw;
    const offset = processor.state.nextOffset;
    processor.record({
      bytes,
      start: 0,
      end: bytes.length,
      offset,
      timeMs: ms(recordTime),
      replayStartMs: ms(replayStart),
    });
    const said = processor.takeOutputs();
    outputs.validated.push(...said.validated);
    outputs.gaps.push(...said.gaps);
    outputs.late.push(...said.late);
    outputs.rejected.push(...said.rejected);
    outputs.metrics.push(...said.metrics);
    return showDisposition(said);
  };
  const readOutputs = (): Outputs => {
    const read = outputs;
    outputs = emptyOutputs();
    return read;
  };
  return {
    processor,
    record,
    readOutputs,
    /** Processes a reading; `rest` is more of its JSON. Returns what was said of it. */
    reading(
      meterId: string,
      at: At,
      kwh: number | string = 1,
      rest = "",
      recordTime: At = NaN,
      replayStart: At = NaN,
    ) {
      return record(
        `{"meter_id":"${meterId}","timestamp":"${iso(at)}","consumption_kwh":${kwh}${rest}}`,
        recordTime,
        replayStart,
      );
    },
    tick(at: At, { final = false, recordTime = NaN as At, replayStart = NaN as At } = {}): string {
      const rest = final ? `,"final":true` : "";
      const text = `{"type":"tick","timestamp":"${iso(at)}"${rest}}`;
      return record(text, recordTime, replayStart);
    },
    /** The gaps announced since they, or the outputs, were last read. */
    readGaps: (): string[] => readOutputs().gaps.map(showGap),
    watermark: (): string | null =>
      processor.watermarkMs === null ? null : clock(processor.watermarkMs),
  };
}

/** A time as it is written in a record. */
export function iso(at: At): string {
  return new Date(ms(at)).toISOString().replace(".000Z", "Z");
}
