/**
 * The specification as plain, slow code: what Gridwatch must answer for the records of one
 * partition (semantics.md). The past of a series is kept whole; what is missing is found anew in
 * all of it after every record. Nothing here is shared with the algorithms of `src/core`.
 */
import type { Ledger } from "../../src/core/ledger.ts";
import type { GapState } from "../../src/core/outputs.ts";
import {
  advance,
  endHistory,
  fixedIntervalMs,
  judge,
  newWorld,
  reach,
  silenceClockMs,
  watermarkMs,
  type World,
} from "./gaps.ts";
import type { Interval } from "./grid.ts";
import { type OracleReason, type ParsedRecord, parseRecord } from "./record.ts";
import { contraryStepMs, countSlots, currentPiece, markSlot, type Series } from "./series.ts";
import { changeInterval, takeReading } from "./take.ts";

export type OracleOptions = {
  readonly watermarkScope: "partition" | "meter";
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  readonly gapGraceMs: number;
  /** null: a tenth of the interval. */
  readonly timeToleranceMs: number | null;
  readonly stateTtlMs: number;
  /** A meter silent for this long has left: its next reading begins a history. */
  readonly forgetAfterMs: number;
  readonly expectedIntervalMs: number | "auto";
  readonly learningReadings: number;
  readonly intervalMsByMeter: ReadonlyMap<string, number>;
  /** Whether the first or the last of two values for a slot stands. */
  readonly revisions: "first" | "last";
  /** How many series a partition has a state of. */
  readonly metersMax: number;
  readonly maxKwh: number;
  readonly maxFutureMs: number;
  readonly minTimestampMs: number;
  readonly negative: "reject" | "flag";
  /** The wall clock, for records whose log has no time; null: none. */
  readonly nowMs: number | null;
};

export type OracleGap = {
  gapId: string;
  meterId: string;
  missingFromMs: number;
  missingToMs: number;
  missingIntervals: number;
  /** Of a FILLED gap: the most slots that it ever had; else null. */
  filledIntervals: number | null;
  rejectedIntervals: number;
  state: GapState;
};

export type OracleDisposition = {
  offset: number;
  disposition: "ok" | "late" | "too_late" | "duplicate" | "rejected" | "tick";
  reason: OracleReason | null;
  delayMs: number;
  flags: string[];
  meterId: string | null;
  timestampMs: number | null;
  /** The value that was there before: of a duplicate the holder's, of a revision the old one. */
  heldKwh: number | null;
};

export type MeterStatus =
  | "retired"
  | "silent"
  | "gap"
  | "unusable"
  | "unjudged"
  | "late"
  | "healthy";

export type IntervalChange = { meterId: string; atMs: number; from: Interval; to: Interval };

/** Due slots that hold a reading, and due slots. */
export type SlotCounts = { valid: number; expected: number };

/** Slots between a piece's first and last: with a reading, without, and never expected. */
export type PieceCounts = {
  interval: Interval;
  firstOrdinal: number;
  lastOrdinal: number;
  present: number;
  missing: number;
  withdrawn: number;
};

export type OracleAnswer = {
  dispositions: OracleDisposition[];
  /** As they are after the last record, sorted by id. */
  gaps: OracleGap[];
  /** How often which case of the contract was met. */
  reached: Map<string, number>;
  /** Ids that a second gap got, which only a history begun anew can do. */
  reusedGapIds: Set<string>;
  /** How many slots each gap had when it was last said. */
  saidIntervals: Map<string, number>;
  ledger: Ledger;
  watermarkMs: number | null;
  intervalChanges: IntervalChange[];
  /** Meters of a fixed interval whose readings came in another for twelve steps. */
  contradicted: Set<string>;
  status: Map<string, MeterStatus>;
  /** The pieces of each history that goes on, one an interval. */
  series: Map<string, { pieces: PieceCounts[] }>;
  completeness: SlotCounts;
  /** Without the meters that are silent, left in silence, or were retired. */
  completenessReporting: SlotCounts;
};

type Verdict = Omit<OracleDisposition, "offset" | "meterId" | "timestampMs">;

const verdict = (of: Partial<Verdict> & Pick<Verdict, "disposition">): Verdict => ({
  ...{ reason: null, delayMs: 0, flags: [], heldKwh: null },
  ...of,
});

type RecordTimes = { recordMs: number | null; replayStartMs: number | null };

function parse(world: World, text: string, { recordMs, replayStartMs }: RecordTimes) {
  const ticks = world.ticks.filter((tick) => tick.replayStartMs === replayStartMs);
  return parseRecord(text, {
    logMs: recordMs ?? world.options.nowMs,
    replayStartMs,
    replayTickMs: ticks.length === 0 ? null : Math.max(...ticks.map(({ atMs }) => atMs)),
  }, world.options);
}

/** The disposition of a record, and all that it changes. */
function takeRecord(world: World, parsed: ParsedRecord, replayStartMs: number | null): Verdict {
  const { kind, meterId, atMs, reason } = parsed;
  if (kind !== "reading") {
    if (reason !== null) return verdict({ disposition: "rejected", reason });
    if (kind === "tick") world.ticks.push({ atMs: atMs!, replayStartMs });
    else retire(world, meterId!);
    return verdict({ disposition: "tick" });
  }
  if (meterId === null || parsed.outOfTime) {
    if (meterId !== null) world.unusable.add(meterId);
    return verdict({ disposition: "rejected", reason });
  }
  const behindMs = watermarkMs(world, meterId) - atMs!;
  if (behindMs === 0) reach(world, "edge t == W");
  if (behindMs === world.options.allowedLatenessMs) reach(world, "edge t == horizon");
  const tooLate = behindMs > world.options.allowedLatenessMs;
  const series = world.histories.get(meterId);
  if (series !== undefined) noteForward(series, atMs!);
  if (reason !== null) {
    world.unusable.add(meterId);
    if (series !== undefined && !tooLate) markSlot(series, atMs!, world.options.stateTtlMs);
    return verdict({ disposition: "rejected", reason });
  }
  const delayMs = Math.max(0, behindMs);
  const said = tooLate
    ? verdict({ disposition: "too_late", delayMs })
    : takeUsable(world, meterId, { ...parsed, atMs: atMs!, kwh: parsed.kwh!, delayMs });
  if (said.disposition === "rejected") world.unusable.add(meterId);
  else if (said.disposition !== "duplicate") {
    world.lastCame.set(meterId, said.disposition === "ok" ? "ok" : "late");
  }
  return said;
}

function retire(world: World, meterId: string): void {
  const clockMs = silenceClockMs(world, meterId);
  const history = world.histories.get(meterId);
  reach(world, `retired ${history === undefined ? "unknown" : statusOf(world, meterId)}`);
  if (history !== undefined) endHistory(world, meterId, clockMs);
  world.left.set(meterId, "retired");
}

/** Notes the time of a reading after all others, whatever becomes of it. */
function noteForward({ forwardMs }: Series, atMs: number): void {
  if (atMs > (forwardMs.at(-1) ?? -Infinity)) forwardMs.push(atMs);
}

type Usable = { atMs: number; kwh: number; interval: Interval | null; delayMs: number };

/** A usable reading that is not too late by the watermark. */
function takeUsable(world: World, meterId: string, reading: Usable): Verdict {
  const { options, histories } = world;
  const { atMs, delayMs } = reading;
  advance(
    world,
    meterId,
    Math.max(silenceClockMs(world, meterId), atMs - options.outOfOrdernessMs),
  );
  if (!histories.has(meterId) && histories.size >= options.metersMax) {
    return verdict({ disposition: "rejected", reason: "TOO_MANY_METERS" });
  }
  const taken = takeReading(world, meterId, reading);
  if (taken.kind === "forgotten") reach(world, "slot forgotten");
  if (taken.kind === "forgotten") return verdict({ disposition: "too_late", delayMs });
  const { kind: reason, heldKwh, flags } = taken;
  const series = histories.get(meterId)!;
  if (reason === "accepted") {
    series.acceptedMs.push(atMs);
    world.acceptedMs.push(atMs);
    world.left.delete(meterId);
  }
  const stepMs = series.forwardMs.at(-1) === atMs ? contraryStepMs(series) : null;
  if (stepMs !== null && fixedIntervalMs(world.options, meterId) !== null) {
    world.contradicted.add(meterId);
  } else if (stepMs !== null) {
    // The record is judged by the old grid in every respect, and only then the new one begins.
    judge(world, meterId, silenceClockMs(world, meterId));
    const holderKwh = reason === "accepted" ? reading.kwh : heldKwh!;
    changeInterval(world, meterId, { atMs, kwh: holderKwh, interval: stepMs });
  }
  if (reason !== "accepted") return verdict({ disposition: "duplicate", reason, heldKwh });
  return verdict({ disposition: delayMs > 0 ? "late" : "ok", delayMs, flags, heldKwh });
}

function statusOf(world: World, meterId: string): MeterStatus {
  const left = world.left.get(meterId);
  if (left !== undefined) return left;
  const history = world.histories.get(meterId);
  if (history?.silent) return "silent";
  if (history?.gaps.some(({ shown }) => shown.state === "OPEN")) return "gap";
  const came = world.lastCame.get(meterId);
  if (came === undefined) return "unusable";
  if (history !== undefined && currentPiece(history) === null) return "unjudged";
  return came === "ok" ? "healthy" : "late";
}

const sum = (counts: readonly SlotCounts[]): SlotCounts => ({
  valid: counts.reduce((total, { valid }) => total + valid, 0),
  expected: counts.reduce((total, { expected }) => total + expected, 0),
});

function completenessOf(world: World, meterId: string): SlotCounts {
  const past = world.past.get(meterId) ?? [];
  const history = world.histories.get(meterId);
  if (history === undefined) return sum(past);
  const clockMs = silenceClockMs(world, meterId);
  return sum([...past, countSlots(history, clockMs, world.options.gapGraceMs)]);
}

/**
 * The whole answer for the records of one partition, in order: JSON texts or any garbage.
 * `recordTimesMs` null: no record has a time of the log; `replayStartsMs` null: all are live, else
 * when the replay began that wrote the record.
 */
export function oracle(
  records: readonly string[],
  recordTimesMs: readonly (number | null)[] | null,
  options: OracleOptions,
  replayStartsMs: readonly (number | null)[] | null = null,
): OracleAnswer {
  const world = newWorld(options);
  const ledger = { raw: 0, ok: 0, late: 0, too_late: 0, duplicate: 0, rejected: 0, tick: 0 };
  const dispositions = records.map((text, offset): OracleDisposition => {
    const replayStartMs = replayStartsMs?.[offset] ?? null;
    const parsed = parse(world, text, { recordMs: recordTimesMs?.[offset] ?? null, replayStartMs });
    const said = takeRecord(world, parsed, replayStartMs);
    for (const meterId of [...world.histories.keys()]) {
      const clockMs = silenceClockMs(world, meterId);
      advance(world, meterId, clockMs);
      judge(world, meterId, clockMs);
    }
    ledger.raw += 1;
    ledger[said.disposition] += 1;
    return { offset, ...said, meterId: parsed.meterId, timestampMs: parsed.atMs };
  });
  return { dispositions, ledger, ...standing(world) };
}

function countPieces({ pieces }: Series): { pieces: PieceCounts[] } {
  return {
    pieces: pieces.map(({ grid, firstOrdinal, lastOrdinal, taken, withdrawn, slotsMs }) => ({
      interval: grid.interval,
      firstOrdinal,
      lastOrdinal,
      present: taken.size,
      missing: [...slotsMs.keys()].filter((o) => !taken.has(o) && !withdrawn.has(o)).length,
      withdrawn: withdrawn.size,
    })),
  };
}

function standing(world: World): Omit<OracleAnswer, "dispositions" | "ledger"> {
  const { options, acceptedMs, ticks, histories, left, lastCame, unusable } = world;
  const highestMs = Math.max(-Infinity, ...acceptedMs, ...ticks.map(({ atMs }) => atMs));
  const meterIds = new Set([...histories.keys(), ...left.keys(), ...lastCame.keys(), ...unusable]);
  const status = new Map([...meterIds].map((meterId) => [meterId, statusOf(world, meterId)]));
  const counts = [...meterIds].map((meterId) => ({ meterId, ...completenessOf(world, meterId) }));
  return {
    gaps: [...world.gaps.values()].sort((a, b) => a.gapId < b.gapId ? -1 : 1),
    reached: world.reached,
    reusedGapIds: world.reusedGapIds,
    saidIntervals: world.said,
    watermarkMs: highestMs === -Infinity ? null : highestMs - options.outOfOrdernessMs,
    intervalChanges: world.intervalChanges,
    contradicted: world.contradicted,
    status,
    series: new Map([...histories].map(([meterId, series]) => [meterId, countPieces(series)])),
    completeness: sum(counts),
    completenessReporting: sum(counts.filter(({ meterId }) => {
      const stands = status.get(meterId);
      return stands !== "silent" && stands !== "retired";
    })),
  };
}
