import { denoFiles } from "../../src/adapters/deno/files.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import { inspectFiles } from "../../src/replay/inspect.ts";
import type { ReplayChunk, ReplayJudging, ReplayOptions } from "../../src/replay/records.ts";
import { replayFiles } from "../../src/replay/replay_files.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const HEADER = "meter_id,timestamp,consumption_kwh\n";

/** By the defaults, but half an hour is fixed: records say nothing of their series. */
export const JUDGING: ReplayJudging = {
  expectedIntervalMs: 30 * MINUTE_MS,
  intervalMsByMeter: new Map(),
  gapGraceMs: 15 * MINUTE_MS,
  allowedLatenessMs: HOUR_MS,
  minTimestampMs: Date.parse("2005-01-01T00:00:00Z"),
  maxFutureMs: HOUR_MS,
  maxKwh: 100_000,
  negative: "reject",
};

/** Options of a plain replay: no defects, no last tick, one partition. */
export const PLAIN: ReplayOptions = {
  files: denoFiles,
  partitions: 1,
  zone: UTC_ZONE,
  judging: JUDGING,
  nowMs: Date.parse("2020-01-01T00:00:00Z"),
  tickMs: MINUTE_MS,
  stateTtlMs: 7 * DAY_MS,
  judgedAfterMs: 15 * MINUTE_MS,
  gapProbability: 0,
  delayProbability: 0,
  maxDelayMs: 300_000,
  duplicateProbability: 0,
  seed: 1,
  temporaryDirectory: "",
  sortBytesMax: 1 << 20,
  finalTick: false,
};

/** Runs `body` in a directory of its own, which is removed afterwards. */
export async function inDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = Deno.makeTempDirSync({ prefix: "gridwatch-test-" });
  try {
    return await body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Writes the files as `0.csv`, `1.csv`, …; returns their paths. */
export function writeFiles(directory: string, files: readonly (string | Uint8Array)[]): string[] {
  return files.map((content, i) => {
    const path = `${directory}/${i}.csv`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  });
}

/** A whole stream, put together. */
export type Stream = {
  records: string[];
  partitions: number[];
  chunks: number;
  readings: number;
  rowsRead: number;
  gaps: number;
  delays: number;
  duplicates: number;
  lastEventTimeMs: number;
};

/** Reads a stream to its end. */
export async function collect(chunks: AsyncIterable<ReplayChunk>): Promise<Stream> {
  const stream: Stream = {
    records: [],
    partitions: [],
    chunks: 0,
    readings: 0,
    rowsRead: 0,
    gaps: 0,
    delays: 0,
    duplicates: 0,
    lastEventTimeMs: NaN,
  };
  for await (const chunk of chunks) {
    for (let i = 0; i < chunk.count; i++) {
      const start = i === 0 ? 0 : chunk.ends[i - 1];
      stream.records.push(new TextDecoder().decode(chunk.bytes.subarray(start, chunk.ends[i])));
      stream.partitions.push(chunk.partitions[i]);
    }
    stream.chunks++;
    for (const key of ["readings", "rowsRead", "gaps", "delays", "duplicates"] as const) {
      stream[key] += chunk[key];
    }
    stream.lastEventTimeMs = chunk.lastEventTimeMs;
  }
  return stream;
}

/** Inspects and replays files given by their content. */
export function replayTexts(
  files: readonly (string | Uint8Array)[],
  options: Partial<ReplayOptions> = {},
): Promise<Stream> {
  return inDirectory(async (directory) => {
    const paths = writeFiles(directory, files);
    const all = { ...PLAIN, ...options, temporaryDirectory: `${directory}/spill` };
    return await collect(replayFiles(await inspectFiles(paths, all), all));
  });
}

/** A record without where its row stands, which depends on the test's directory. */
export function withoutOrigin(record: string): string {
  return record.replace(/,?"source":"(?:[^"\\]|\\.)*","cells":\[.*\]/s, "");
}

/** The records that are no ticks. */
export function readingsOf(stream: Stream): string[] {
  return stream.records.filter((_, i) => stream.partitions[i] !== -1);
}

/** The ticks' timestamps, with `!` behind a final one. */
export function ticksOf(stream: Stream): string[] {
  return stream.records.filter((_, i) => stream.partitions[i] === -1).map((record) => {
    const { timestamp, final } = JSON.parse(record);
    return final === true ? `${timestamp}!` : timestamp;
  });
}
