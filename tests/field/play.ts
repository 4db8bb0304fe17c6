/** Files from their text to what the core says of them, by the defaults that users have. */
import { readConfig, variableOf } from "../../src/config.ts";
import type { GapAlert, Outputs } from "../../src/core/outputs.ts";
import { Processor } from "../../src/core/processor.ts";
import { formatTimestamp } from "../../src/core/time.ts";
import { newRawRecord } from "../../src/core/wire/raw_record.ts";
import { processorOptions } from "../../src/judging.ts";
import { inspectFiles } from "../../src/replay/inspect.ts";
import type { Inspection, ReplayOptions } from "../../src/replay/records.ts";
import { replayFiles } from "../../src/replay/replay_files.ts";
import type { Key } from "../../src/settings.ts";
import { inDirectory, PLAIN, writeFiles } from "../replay/fixture.ts";

export type PlayOptions = {
  readonly settings?: Partial<Record<Key, string>>;
  readonly partitions?: number;
  /** Of the replay, such as its defects. */
  readonly replay?: Partial<ReplayOptions>;
};

/** What came of files. */
export type Played = {
  readonly inspection: Inspection;
  /** The records as they were sent. */
  readonly records: string[];
  /** How many readings of each disposition, `OK`, `LATE`, `TOO_LATE`, and of each reject reason. */
  readonly counts: Record<string, number>;
  /** `A@2013-05-01T02:30:00Z 1 CLOSED`, by their ids; with ` rejected 1` where there are any. */
  readonly gaps: string[];
  readonly validated: { readonly meterId: string; readonly at: string; readonly kwh: number }[];
  readonly rejected: {
    readonly reason: string;
    readonly at: string | null;
    readonly raw: string;
  }[];
  readonly metrics: readonly string[];
  /** Each gap as it was said last, by its id. */
  readonly alerts: ReadonlyMap<string, GapAlert>;
};

/** Plays files into the core. */
export function playTexts(texts: readonly string[], options: PlayOptions = {}): Promise<Played> {
  return inDirectory(async (directory) => {
    const paths = writeFiles(directory, texts);
    return await playFiles(paths, { ...options, temporaryDirectory: `${directory}/spill` });
  });
}

/** Plays files that are there. */
export async function playFiles(
  paths: readonly string[],
  { settings = {}, partitions = 1, replay, temporaryDirectory }: PlayOptions & {
    readonly temporaryDirectory: string;
  },
): Promise<Played> {
  const byVariable = new Map(
    Object.entries(settings).map(([key, value]) => [variableOf(key), value]),
  );
  const config = readConfig(null, (name) => byVariable.get(name));
  const judging = processorOptions(config, 0, PLAIN.nowMs);
  const all = {
    ...PLAIN,
    nowMs: Date.parse("2026-06-01T00:00:00Z"),
    judging,
    zone: judging.zone,
    partitions,
    finalTick: true,
    temporaryDirectory,
    ...replay,
  };
  const inspection = await inspectFiles(paths, all);
  const processors = Array.from(
    { length: partitions },
    (_, partition) => new Processor({ ...judging, partition, nowMs: all.nowMs }),
  );
  const records: string[] = [];
  const record = newRawRecord();
  for await (const chunk of replayFiles(inspection, all)) {
    record.bytes = chunk.bytes;
    for (let r = 0; r < chunk.count; r++) {
      record.start = r === 0 ? 0 : chunk.ends[r - 1];
      record.end = chunk.ends[r];
      records.push(new TextDecoder().decode(chunk.bytes.subarray(record.start, record.end)));
      for (const [p, processor] of processors.entries()) {
        if (chunk.partitions[r] !== -1 && chunk.partitions[r] !== p) continue;
        record.offset = processor.state.nextOffset;
        processor.record(record);
      }
    }
  }
  return { inspection, records, ...show(processors.map((one) => one.takeOutputs())) };
}

function show(outputs: readonly Outputs[]): Omit<Played, "inspection" | "records"> {
  const counts: Record<string, number> = {};
  const count = (name: string) => counts[name] = (counts[name] ?? 0) + 1;
  const gaps = new Map<string, string>();
  const alerts = new Map<string, GapAlert>();
  const validated = [];
  const rejected = [];
  const metrics: string[] = [];
  for (const output of outputs) {
    for (const { status, meterId, timestampMs, consumptionKwh: kwh } of output.validated) {
      count(status);
      validated.push({ meterId, at: formatTimestamp(timestampMs), kwh });
    }
    for (const _ of output.late) count("TOO_LATE");
    for (const { reason, timestampMs, raw } of output.rejected) {
      count(reason);
      const at = timestampMs === null ? null : formatTimestamp(timestampMs);
      rejected.push({ reason, at, raw: new TextDecoder().decode(raw) });
    }
    for (const alert of output.gaps) {
      const { meterId, idMs, missingIntervals, rejectedIntervals, state } = alert;
      const id = `${meterId}@${formatTimestamp(idMs)}`;
      const unusable = rejectedIntervals === 0 ? "" : ` rejected ${rejectedIntervals}`;
      alerts.set(id, alert);
      gaps.set(id, `${id} ${missingIntervals} ${state}${unusable}`);
    }
    metrics.push(...output.metrics.map(({ metricType }) => metricType));
  }
  return { counts, gaps: [...gaps.values()].sort(), validated, rejected, metrics, alerts };
}

const FIELD = new URL("../../../shared/data/field/", import.meta.url);

/** Whether the field cases are here. */
export const hasField = (() => {
  try {
    return Deno.statSync(FIELD).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
})();

/** A field case as it stands. */
export function fieldCase(name: string): string {
  return Deno.readTextFileSync(new URL(`${name}.csv`, FIELD));
}
