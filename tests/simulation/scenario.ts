/** What a seed of the swarm draws: options, a stream and its logs, and how much goes wrong. */
import fc from "fast-check";
import type { ProcessorOptions } from "../../src/core/options.ts";
import { partitionOf } from "../../src/replay/partitioner.ts";
import { newParsedRecord, parseRecord } from "../../src/core/wire/raw_record.ts";
import { UTC_ZONE } from "../../src/core/zone.ts";
import {
  createRandom,
  type Random,
  randomInteger,
  randomLogUniform,
} from "../../src/generate/random.ts";
import { endingOptionsArbitrary, streamArbitrary } from "../specification/arbitraries.ts";
import { fleetStream } from "./fleet_stream.ts";
import { coreOptions } from "./fold.ts";
import { oracle, type OracleOptions } from "../specification/oracle.ts";
import { type LogRecord, type RawRecord, toLogs } from "./playback.ts";

export type Scenario = {
  readonly seed: number;
  /** One process that plays all partitions, or workers that share them. */
  readonly isPipeline: boolean;
  readonly random: Random;
  readonly settings: OracleOptions;
  readonly options: readonly ProcessorOptions[];
  /** The stream as a pipeline reads it, and as the logs of its partitions. */
  readonly records: readonly RawRecord[];
  readonly logs: readonly (readonly LogRecord[])[];
  /** Disturbances end after so many steps. */
  readonly stepsMax: number;
  readonly changelogBytesMin: number;
  /** How likely an I/O step fails. */
  readonly faultProbability: number;
  /** How likely, at a step of the scheduler, a partition is given to another worker. */
  readonly rebalanceProbability: number;
};

const PARTITIONS_MAX = 6;
const METERS_MAX = 50;
const RECORDS_MAX = 3000;
const STEPS_MAX = 3000;

/** The scenario of a seed; `stepsMax` null: drawn, too. */
export function newScenario(seed: number, stepsMax: number | null): Scenario {
  const random = createRandom(seed);
  const [settings] = fc.sample(endingOptionsArbitrary, { seed, numRuns: 1 });
  const partitionCount = randomInteger(random, 1, PARTITIONS_MAX);
  const records = random() < 0.25
    ? edgeRecords(seed, settings, partitionCount)
    : fleetStream(random, {
      settings,
      partitionCount,
      meterCount: randomInteger(random, 1, METERS_MAX),
      recordsMax: Math.round(randomLogUniform(random, 50, RECORDS_MAX)),
    });
  const isPipeline = random() < 0.4;
  let logs: readonly LogRecord[][] = toLogs(records, partitionCount);
  if (!isPipeline && random() < 0.5) logs = logs.map((log) => timed(random, log));
  if (!isPipeline && random() < 0.5) logs = logs.map((log) => withHoles(random, log));
  return {
    seed,
    isPipeline,
    random,
    settings,
    options: Array.from({ length: partitionCount }, (_, p) => coreOptions(settings, p)),
    records,
    logs,
    stepsMax: stepsMax ?? Math.round(randomLogUniform(random, 50, STEPS_MAX)),
    changelogBytesMin: [0, 300, 3000, 1 << 22][randomInteger(random, 0, 3)],
    faultProbability: [0, 0.005, 0.02, 0.1][randomInteger(random, 0, 3)],
    rebalanceProbability: [0.003, 0.01, 0.05][randomInteger(random, 0, 2)],
  };
}

const encoder = new TextEncoder();

/** A short stream at the edges of the options, as the oracle's own tests have it. */
function edgeRecords(
  seed: number,
  settings: OracleOptions,
  partitionCount: number,
): RawRecord[] {
  const [texts] = fc.sample(streamArbitrary(settings), { seed, numRuns: 1 });
  const { dispositions } = oracle(texts, null, settings);
  return texts.map((text, r) => {
    const { disposition, meterId } = dispositions[r];
    const key = encoder.encode(meterId ?? String(r));
    // A retirement counts as a tick, and goes to its meter's partition all the same.
    const isForAll = disposition === "tick" && meterId === null;
    return { partition: isForAll ? -1 : partitionOf(key, partitionCount), text };
  });
}

const parsed = newParsedRecord();
const FAR_AHEAD_MS = 31 * 86_400_000;

/** Records with times of their log: mostly near their own, some far behind it, some none. */
function timed(random: Random, log: readonly LogRecord[]): LogRecord[] {
  return log.map((record) => {
    const bytes = encoder.encode(record.text);
    parseRecord(bytes, 0, bytes.length, UTC_ZONE, parsed);
    const draw = random();
    if (draw < 0.2 || Number.isNaN(parsed.timestampMs)) return record;
    const nearMs = parsed.timestampMs + randomInteger(random, 0, 300_000);
    return { ...record, timeMs: nearMs - (draw < 0.25 ? FAR_AHEAD_MS : 0) };
  });
}

/** A log as transactions leave it: their markers have offsets, too. */
function withHoles(random: Random, log: readonly LogRecord[]): LogRecord[] {
  let offset = 0;
  return log.map((record) => {
    if (random() < 0.1) offset += randomInteger(random, 1, 3);
    return { ...record, offset: offset++ };
  });
}
