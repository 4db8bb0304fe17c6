/**
 * Fixed raw streams and what is said of them, frozen as the messages' bytes. They are changed by
 * `GRIDWATCH_UPDATE_GOLDEN=1 deno task test tests/golden`, and then read line by line against the
 * contract: a golden file that nobody read proves nothing.
 */
import assert from "node:assert/strict";
import { JsonWriter } from "../../src/core/wire/output_json.ts";
import type { Ledger } from "../../src/core/ledger.ts";
import type { Outputs } from "../../src/core/outputs.ts";
import { formatTimestamp } from "../../src/core/time.ts";
import type { OracleOptions } from "../specification/oracle.ts";

const MINUTE_MS = 60_000;

const DEFAULTS: OracleOptions = {
  watermarkScope: "partition",
  outOfOrdernessMs: 0,
  allowedLatenessMs: 60 * MINUTE_MS,
  gapGraceMs: 15 * MINUTE_MS,
  timeToleranceMs: null,
  stateTtlMs: 7 * 24 * 60 * MINUTE_MS,
  forgetAfterMs: 400 * 24 * 60 * MINUTE_MS,
  expectedIntervalMs: 30 * MINUTE_MS,
  learningReadings: 3,
  intervalMsByMeter: new Map(),
  revisions: "first",
  metersMax: 1000,
  maxKwh: 100_000,
  maxFutureMs: 60 * MINUTE_MS,
  minTimestampMs: Date.UTC(2005, 0, 1),
  negative: "reject",
  nowMs: null,
};

/** The streams by directory, with the options they are folded with. */
export const GOLDEN: Readonly<Record<string, OracleOptions>> = {
  household: DEFAULTS,
  export: {
    ...DEFAULTS,
    watermarkScope: "meter",
    expectedIntervalMs: "auto",
    negative: "flag",
  },
  // Jitter, late, double, silent, another interval: as the product judges where nothing is set.
  series: {
    ...DEFAULTS,
    expectedIntervalMs: "auto",
    learningReadings: 48,
    metersMax: 2_000_000,
  },
};

/** What is frozen: the messages of each topic, a line each, and where the partition stands. */
export type GoldenFile =
  | "validated"
  | "gap_alerts"
  | "late_events"
  | "rejected"
  | "validation"
  | "metrics"
  | "position";

/** Everything but the counts per commit, which are where the commits are. */
export const MESSAGE_FILES: readonly GoldenFile[] = [
  ...["validated", "gap_alerts", "late_events", "rejected", "validation", "position"] as const,
];

const UPDATES = Deno.env.get("GRIDWATCH_UPDATE_GOLDEN") === "1";
const decoder = new TextDecoder();

function pathOf(name: string, file: string): URL {
  return new URL(`./${name}/${file}.jsonl`, import.meta.url);
}

/** The raw records of a stream, in order. */
export async function readRaw(name: string): Promise<string[]> {
  return (await Deno.readTextFile(pathOf(name, "raw"))).split("\n").slice(0, -1);
}

/** The frozen bytes, as text. */
export async function readGolden(name: string, file: GoldenFile): Promise<string> {
  return await Deno.readTextFile(pathOf(name, file));
}

/** Freezes the straight run's bytes anew, where that is asked for. */
export async function updateGolden(
  name: string,
  lines: Readonly<Record<GoldenFile, string>>,
): Promise<void> {
  if (!UPDATES) return;
  for (const [file, text] of Object.entries(lines)) {
    await Deno.writeTextFile(pathOf(name, file), text);
  }
}

/** Messages as the topics carry them, a line each. */
export function messageLines(
  outputs: Outputs,
  partition: number,
): Record<Exclude<GoldenFile, "position">, string> {
  const write = (fill: (writer: JsonWriter) => void): string => {
    const writer = new JsonWriter();
    fill(writer);
    return writer.ends.map((end, m) =>
      `${decoder.decode(writer.bytes.subarray(writer.ends[m - 1] ?? 0, end))}\n`
    ).join("");
  };
  return {
    validated: write((to) => outputs.validated.forEach((it) => to.validated(it))),
    gap_alerts: write((to) => outputs.gaps.forEach((it) => to.gap(it))),
    late_events: write((to) => outputs.late.forEach((it) => to.late(it))),
    rejected: write((to) => outputs.rejected.forEach((it) => to.rejected(it, partition))),
    validation: write((to) => outputs.findings.forEach((it) => to.finding(it))),
    metrics: write((to) => outputs.metrics.forEach((it) => to.metric(it))),
  };
}

/** Where a partition stands, in one line. */
export function positionLine(
  { nextOffset, watermarkMs, ledger }: {
    nextOffset: number;
    watermarkMs: number | null;
    ledger: Readonly<Ledger>;
  },
): string {
  const watermark = watermarkMs === null ? null : formatTimestamp(watermarkMs);
  return `${JSON.stringify({ next_offset: nextOffset, watermark, ...ledger })}\n`;
}

/** Requires frozen bytes; the message shows the first line that differs. */
export function assertGolden(actual: string, expected: string, context: string): void {
  if (actual === expected) return;
  assert.deepEqual(actual.split("\n"), expected.split("\n"), context);
  assert.fail(`${context}: the lines are the same, the bytes are not`);
}
