/**
 * The specification of gaps and silence (semantics.md §3, §4): by which clock a meter is judged,
 * what is missing by it, which gap that is, and when a silence ends a history.
 */
import type { IntervalChange, OracleGap, OracleOptions, SlotCounts } from "./oracle.ts";
import { DAY_MS, slotMsOf } from "./grid.ts";
import {
  countSlots,
  currentPiece,
  forgetSlots,
  latestMs,
  missingRuns,
  type Run,
  type Series,
} from "./series.ts";

/** A gap that is not filled: its slots as they are now, and what its row shows. */
type LiveGap = {
  run: Run;
  shown: OracleGap;
  /** The most slots that it ever had. */
  onceWas: number;
  /** Its count of unusable readings, once a time to live has passed over it. */
  frozenRejected: number | null;
};

export type History = Series & { gaps: LiveGap[]; readonly ticksBefore: number };

export type World = ReturnType<typeof newWorld>;

/** Everything that happened so far: nothing. */
export function newWorld(options: OracleOptions) {
  return {
    options,
    acceptedMs: [] as number[],
    ticks: [] as { atMs: number; replayStartMs: number | null }[],
    histories: new Map<string, History>(),
    gaps: new Map<string, OracleGap>(),
    reusedGapIds: new Set<string>(),
    said: new Map<string, number>(),
    intervalChanges: [] as IntervalChange[],
    contradicted: new Set<string>(),
    unusable: new Set<string>(),
    /** Meters without a history, and how the last one ended. */
    left: new Map<string, "silent" | "retired">(),
    /** What the histories that ended counted. */
    past: new Map<string, SlotCounts[]>(),
    /** How often which case of the contract was met: tests require that all are. */
    reached: new Map<string, number>(),
    lastCame: new Map<string, "ok" | "late">(),
  };
}

/** Counts a case of the contract that was met. */
export function reach(world: World, label: string): void {
  world.reached.set(label, (world.reached.get(label) ?? 0) + 1);
}

/** The interval that nothing changes; null: it is learned, or said by readings. */
export function fixedIntervalMs(options: OracleOptions, meterId: string): number | null {
  const intervalMs = options.intervalMsByMeter.get(meterId) ?? options.expectedIntervalMs;
  return intervalMs === "auto" ? null : intervalMs;
}

/** What a reading of the meter is late against; −Infinity when nothing came yet. */
export function watermarkMs(world: World, meterId: string): number {
  const { options, acceptedMs, ticks, histories } = world;
  const timesMs = options.watermarkScope === "partition"
    ? [...acceptedMs, ...ticks.map(({ atMs }) => atMs)]
    : histories.get(meterId)?.acceptedMs ?? [];
  return Math.max(-Infinity, ...timesMs) - options.outOfOrdernessMs;
}

/**
 * What the meter's silence is judged by. By meter, the ticks' clock counts once it has moved since
 * the meter's history began.
 */
export function silenceClockMs(world: World, meterId: string): number {
  const latest = (ticks: World["ticks"]) => Math.max(-Infinity, ...ticks.map(({ atMs }) => atMs));
  let tickMs = latest(world.ticks);
  const before = world.histories.get(meterId)?.ticksBefore ?? 0;
  const hasMoved = tickMs > latest(world.ticks.slice(0, before));
  if (world.options.watermarkScope === "meter" && !hasMoved) tickMs = -Infinity;
  return Math.max(watermarkMs(world, meterId), tickMs - world.options.outOfOrdernessMs);
}

/** When the meter becomes silent: not before a slot of it is missing, and calendar ones wait two. */
function expiryMs(history: History, { stateTtlMs, gapGraceMs }: OracleOptions): number {
  const { grid } = currentPiece(history)!;
  const isCalendar = grid.interval === "month" || grid.interval === DAY_MS;
  const twoSlotsMs = slotMsOf(grid, grid.ordinal + 2) - grid.slotMs;
  const ttlMs = isCalendar ? Math.max(stateTtlMs, twoSlotsMs) : stateTtlMs;
  return Math.max(latestMs(history) + ttlMs, slotMsOf(grid, grid.ordinal + 1) + gapGraceMs);
}

/** Lets the time to live pass over the meter, or the time to forget it, if they are due. */
export function advance(world: World, meterId: string, clockMs: number): void {
  const history = world.histories.get(meterId);
  if (history === undefined) return;
  const { options } = world;
  const isLearning = currentPiece(history) === null;
  const silentMs = isLearning ? -Infinity : expiryMs(history, options);
  if (!isLearning && !history.silent && clockMs >= silentMs) {
    judge(world, meterId, silentMs);
    forgetSlots(history, silentMs, options.gapGraceMs);
    history.silent = true;
    if (clockMs === silentMs) reach(world, "edge W == last + time to live");
    for (const gap of history.gaps) {
      gap.frozenRejected = gap.shown.rejectedIntervals;
      if (gap.run.isTail) show(world, gap, { ...gap.shown, state: "EXPIRED" });
    }
  }
  const forgottenMs = Math.max(latestMs(history) + options.forgetAfterMs, silentMs);
  if (clockMs < forgottenMs) return;
  reach(world, isLearning ? "forgotten while learning" : "forgotten");
  if (clockMs === forgottenMs) reach(world, "edge W == last + forget");
  endHistory(world, meterId, forgottenMs);
  world.left.set(meterId, "silent");
}

/** Ends a history at a clock: a gap that is open or silent is sent once more, as long as it is. */
export function endHistory(world: World, meterId: string, clockMs: number): void {
  const { histories, past, options } = world;
  const history = histories.get(meterId)!;
  judge(world, meterId, clockMs);
  const tail = history.gaps.find(({ run }) => run.isTail);
  if (tail !== undefined) {
    const { last, first, toMs } = tail.run;
    const length = { missingIntervals: last - first + 1, missingToMs: toMs };
    show(world, tail, { ...tail.shown, ...length, state: "EXPIRED" });
  }
  const counts = countSlots(history, clockMs, options.gapGraceMs);
  past.set(meterId, [...past.get(meterId) ?? [], counts]);
  histories.delete(meterId);
}

/** Compares what is missing at the clock with the gaps known before, and carries their ids over. */
export function judge(world: World, meterId: string, clockMs: number): void {
  const history = world.histories.get(meterId);
  if (history === undefined) return;
  const clocks = { clockMs, tailMs: clockMs, graceMs: world.options.gapGraceMs };
  const runs = missingRuns(history, clocks);
  const firstPart = ({ run }: LiveGap): Run | undefined =>
    runs.find((now) => now.piece === run.piece && now.first <= run.last && now.last >= run.first);
  for (const gap of history.gaps.filter((gap) => firstPart(gap) === undefined)) {
    const { missingFromMs: missingToMs } = gap.shown;
    const filledIntervals = gap.onceWas;
    const nothing = { missingToMs, missingIntervals: 0, rejectedIntervals: 0, filledIntervals };
    show(world, gap, { ...gap.shown, ...nothing, state: "FILLED" });
  }
  history.gaps = runs.map((run) => {
    const before = history.gaps.find((gap) => firstPart(gap) === run);
    if (clockMs === run.fromMs + clocks.graceMs) reach(world, "edge slot + grace == W");
    return judgeRun(world, meterId, run, before);
  });
}

function judgeRun(world: World, meterId: string, run: Run, before: LiveGap | undefined): LiveGap {
  const missingIntervals = run.last - run.first + 1;
  const iso = new Date(run.fromMs).toISOString().replace(".000", "");
  const frozenRejected = before?.frozenRejected ?? null;
  const marks = [...run.piece.marked].filter((o) => o >= run.first && o <= run.last).length;
  const rejectedIntervals = Math.min(frozenRejected ?? marks, missingIntervals);
  const gap: LiveGap = {
    run,
    shown: {
      gapId: before?.shown.gapId ?? `${meterId}@${iso}`,
      meterId,
      missingFromMs: run.fromMs,
      missingToMs: run.toMs,
      missingIntervals,
      filledIntervals: null,
      rejectedIntervals,
      state: run.isTail ? "OPEN" : "CLOSED",
    },
    onceWas: Math.max(missingIntervals, before?.onceWas ?? 0),
    frozenRejected,
  };
  if (before === undefined && world.gaps.has(gap.shown.gapId)) {
    world.reusedGapIds.add(gap.shown.gapId);
  }
  // A silent meter's row stays as it was at the time to live, however long the silence is now.
  const isSilent = run.isTail && world.histories.get(meterId)!.silent;
  if (isSilent && before !== undefined) gap.shown = before.shown;
  else if (JSON.stringify(gap.shown) !== JSON.stringify(before?.shown)) {
    show(world, gap, gap.shown);
  }
  return gap;
}

/** Shows a gap as it stands; an OPEN one that only grew is said again when it has doubled. */
function show(world: World, gap: LiveGap, shown: OracleGap): void {
  const { gapId, missingIntervals, missingFromMs, state } = shown;
  const before = world.gaps.get(gapId);
  const said = world.said.get(gapId) ?? 0;
  gap.shown = shown;
  reach(world, `gap ${before?.state ?? "none"} to ${state}`);
  // Consumers upsert by id: should two histories use one id, the latest change stands.
  world.gaps.set(gapId, shown);
  const grew = state === "OPEN" && before?.state === "OPEN" &&
    before.missingFromMs === missingFromMs && missingIntervals >= said;
  if (!grew || missingIntervals >= 2 * said) world.said.set(gapId, missingIntervals);
}
