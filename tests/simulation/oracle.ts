/**
 * The specification as plain, slow code: what Gridwatch must answer for the records of one
 * partition. A history is the list of what came; slots, learned interval and missing runs are
 * computed anew from the whole list after every record. Nothing here is shared with `src/core`.
 */
import type { Ledger } from "../../src/core/ledger.ts";
import type { GapState, RejectReason } from "../../src/core/outputs.ts";

export type OracleOptions = {
  readonly watermarkScope: "partition" | "meter";
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  readonly gapGraceMs: number;
  /** null: a tenth of the interval. */
  readonly timeToleranceMs: number | null;
  readonly stateTtlMs: number;
  readonly expectedIntervalMs: number | "auto";
  readonly learningReadings: number;
  readonly intervalMsByMeter: ReadonlyMap<string, number>;
  readonly maxKwh: number;
  readonly maxFutureMs: number;
  readonly negative: "reject" | "flag";
  /** The wall clock, for records that bring no clock of their own; null: none. */
  readonly nowMs: number | null;
};

export type OracleGap = {
  gapId: string;
  meterId: string;
  missingFromMs: number;
  missingToMs: number;
  missingIntervals: number;
  rejectedIntervals: number;
  state: GapState;
};

export type OracleDisposition = {
  offset: number;
  disposition: "ok" | "late" | "too_late" | "duplicate" | "rejected" | "tick";
  reason: RejectReason | null;
  delayMs: number;
  flags: string[];
  meterId: string | null;
  timestampMs: number | null;
};

export type OracleAnswer = {
  dispositions: OracleDisposition[];
  gaps: OracleGap[];
  ledger: Ledger;
  watermarkMs: number | null;
};

const ISO = new RegExp(
  "^([1-9]\\d{3})-(\\d\\d)-(\\d\\d)" + // date
    "(?:[Tt ](\\d\\d):(\\d\\d)(?::(\\d\\d)(?:[.,](\\d+))?)?" + // time
    "(?:[Zz]|([+-])(\\d\\d)(?::?(\\d\\d))?)?)?$", // offset
);
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Epoch milliseconds of a JSON timestamp, or null. */
export function parseTimestampMs(json: unknown): number | null {
  if (typeof json === "number") return epochMs(json);
  if (typeof json !== "string") return null;
  const text = json.replace(/^ +| +$/g, "");
  if (/^\d{9,13}$/.test(text)) return epochMs(Number(text));
  const match = ISO.exec(text);
  if (match === null) return null;
  const field = (index: number): number => Number(match[index] ?? "0");
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(field);
  const offsetSign = match[8] === "-" ? -1 : 1;
  if (hour > 23 || minute > 59 || second > 59 || field(9) > 23 || field(10) > 59) return null;
  const midnight = new Date(Date.UTC(year, month - 1, day));
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return null;
  const fractionMs = Number((match[7] ?? "").slice(0, 3).padEnd(3, "0"));
  const minutes = hour * 60 + minute - offsetSign * (field(9) * 60 + field(10));
  return midnight.getTime() + (minutes * 60 + second) * 1000 + fractionMs;
}

function epochMs(value: number): number | null {
  if (!Number.isFinite(value) || value < 0) return null;
  const ms = value < 1e11 ? Math.round(value * 1000) : Math.trunc(value);
  return ms > Date.UTC(9999, 11, 31, 23, 59, 59, 999) ? null : ms + 0;
}

function parseMeterId(json: unknown): string | null {
  if (typeof json === "number") return Number.isSafeInteger(json) ? String(json) : null;
  if (typeof json !== "string") return null;
  const id = json.replace(/^ +| +$/g, "");
  const control = [...id].some((char) =>
    char <= "\u001f" || (char >= "\u007f" && char <= "\u009f")
  );
  return id.length < 1 || id.length > 256 || control ? null : id;
}

function parseKwh(json: unknown): number | null {
  const kwh = typeof json === "string" && NUMBER.test(json.trim()) ? Number(json) : json;
  return typeof kwh === "number" && Number.isFinite(kwh) ? kwh : null;
}

type Parsed = ReturnType<typeof parseFields>;
/** What can be read of a record, whether or not it is a usable one. */
function parseFields(world: World, record: Record<string, unknown>, recordMs: number | null) {
  const { maxFutureMs, nowMs } = world.options;
  const tick = record.type === "tick";
  const atMs = parseTimestampMs(record.timestamp);
  const clocksMs = [recordMs, nowMs].filter((ms) => ms !== null);
  const latestMs = clocksMs.length > 0 ? Math.max(...clocksMs) : replayClockMs(world) ?? Infinity;
  const receivedMs = tick ? null : parseTimestampMs(record.received_at);
  const believed = receivedMs === null || receivedMs <= latestMs + maxFutureMs;
  const clockMs = tick
    ? recordMs ?? nowMs
    : (believed ? receivedMs : null) ?? replayClockMs(world) ?? recordMs ?? nowMs;
  return {
    tick,
    meterId: tick ? null : parseMeterId(record.meter_id),
    atMs,
    kwh: parseKwh(record.consumption_kwh),
    future: !believed || (atMs !== null && clockMs !== null && atMs > clockMs + maxFutureMs),
  };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && !Array.isArray(json) ? json : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function rejectReason(
  { tick, meterId, atMs, kwh, future }: Parsed,
  record: Record<string, unknown> | null,
  { negative, maxKwh }: OracleOptions,
): RejectReason | null {
  if (record === null) return "MALFORMED";
  const fields = tick ? ["timestamp"] : ["meter_id", "timestamp", "consumption_kwh"];
  if (fields.some((field) => !Object.hasOwn(record, field))) return "MISSING_FIELD";
  if (!tick && meterId === null) return "BAD_METER_ID";
  if (atMs === null) return "BAD_TIMESTAMP";
  if (!tick && kwh === null) return "BAD_VALUE";
  if (!tick && kwh! < 0 && negative === "reject") return "NEGATIVE";
  if (!tick && kwh! > maxKwh) return "TOO_LARGE";
  return future ? "FUTURE" : null;
}

/** The latest tick, while the ticks are a replay's: not the wall clock's, nor is it over. */
function replayClockMs({ ticks, options }: World): number | null {
  if (ticks.length === 0) return null;
  const { atMs, recordMs, final } = ticks[ticks.length - 1];
  if (final) return null;
  const replay = recordMs === null || Math.abs(recordMs - atMs) > options.maxFutureMs;
  return replay ? Math.max(...ticks.map((tick) => tick.atMs)) : null;
}

/** A reading that was accepted, or (`kwh` null) an unusable one that was not too late. */
type Arrival = { atMs: number; kwh: number | null };

type Layout = ReturnType<typeof firstSlot>;
/** The slots of one reading. Ordinals count slots; `lastMs` is the latest reading's time. */
function firstSlot({ atMs, kwh }: Arrival, intervalMs: number) {
  return {
    intervalMs,
    firstOrdinal: 0,
    lastOrdinal: 0,
    lastMs: atMs,
    taken: new Map([[0, kwh!]]),
    /** The times of the slots between readings that nobody took. */
    emptyMs: new Map<number, number>(),
    /** Slots for which an unusable reading came. */
    marked: new Set<number>(),
  };
}

/** The slots after all arrivals; null before the first and while the interval is being learned. */
function layOut(arrivals: Arrival[], meterId: string, options: OracleOptions): Layout | null {
  if (arrivals.length === 0) return null;
  let intervalMs = options.intervalMsByMeter.get(meterId) ?? options.expectedIntervalMs;
  if (intervalMs === "auto") {
    const readings = arrivals.filter(({ kwh }) => kwh !== null);
    if (readings.length < options.learningReadings) return null;
    const learning = readings.slice(0, options.learningReadings);
    const after = arrivals.slice(arrivals.indexOf(learning[learning.length - 1]) + 1);
    learning.sort((a, b) => a.atMs - b.atMs);
    intervalMs = learnIntervalMs(learning);
    arrivals = [...learning, ...after];
  }
  const layout = firstSlot(arrivals[0], intervalMs);
  for (const arrival of arrivals.slice(1)) apply(layout, arrival, options.stateTtlMs);
  return layout;
}

function learnIntervalMs(sorted: readonly Arrival[]): number {
  const candidatesMs = [1, 5, 10, 15, 30, 60, 1440].map((minutes) => minutes * 60_000);
  // Array.sort is stable, so the smaller candidate comes first among equals.
  const snappedMs = sorted.slice(1).map(({ atMs }, index) => {
    const step = atMs - sorted[index].atMs;
    return [...candidatesMs].sort((a, b) => Math.abs(a - step) - Math.abs(b - step))[0];
  });
  const votes = (candidate: number) => snappedMs.filter((step) => step === candidate).length;
  return candidatesMs.sort((a, b) => votes(b) - votes(a))[0];
}

const stepsFromLast = ({ lastMs, intervalMs }: Layout, atMs: number): number =>
  Math.round((atMs - lastMs) / intervalMs);

function apply(layout: Layout, { atMs, kwh }: Arrival, stateTtlMs: number): void {
  const { intervalMs, firstOrdinal, lastOrdinal, lastMs, taken, emptyMs } = layout;
  const k = stepsFromLast(layout, atMs);
  const ordinal = lastOrdinal + k;
  if (taken.has(ordinal)) return;
  if (kwh === null) {
    if (ordinal > firstOrdinal && k * intervalMs <= stateTtlMs) layout.marked.add(ordinal);
    return;
  }
  taken.set(ordinal, kwh);
  emptyMs.delete(ordinal);
  layout.marked.delete(ordinal);
  layout.firstOrdinal = Math.min(firstOrdinal, ordinal);
  layout.lastOrdinal = Math.max(lastOrdinal, ordinal);
  if (k >= 1) layout.lastMs = atMs;
  for (let o = layout.firstOrdinal; o < layout.lastOrdinal; o++) {
    const isNew = !taken.has(o) && !emptyMs.has(o);
    if (isNew) emptyMs.set(o, lastMs + (o - lastOrdinal) * intervalMs);
  }
}

/** Adjacent missing slots: first and last ordinal, and the time of the first. */
type Run = { first: number; last: number; fromMs: number };
type LiveGap = { run: Run; shown: OracleGap };

function missingRuns(layout: Layout, clockMs: number, gapGraceMs: number): Run[] {
  const runs: Run[] = [];
  const add = (ordinal: number, slotMs: number): void => {
    const run = runs[runs.length - 1];
    if (run !== undefined && run.last === ordinal - 1) run.last = ordinal;
    else runs.push({ first: ordinal, last: ordinal, fromMs: slotMs });
  };
  for (let ordinal = layout.firstOrdinal; ordinal < layout.lastOrdinal; ordinal++) {
    const slotMs = layout.emptyMs.get(ordinal);
    if (slotMs !== undefined && clockMs >= slotMs + gapGraceMs) add(ordinal, slotMs);
  }
  for (let i = 1; clockMs >= layout.lastMs + i * layout.intervalMs + gapGraceMs; i++) {
    add(layout.lastOrdinal + i, layout.lastMs + i * layout.intervalMs);
  }
  return runs;
}

/** Compares what is missing at `clockMs` with the gaps known before, and carries their ids over. */
function judge(world: World, meterId: string, layout: Layout, clockMs: number): void {
  const history = world.histories.get(meterId)!;
  const runs = missingRuns(layout, clockMs, world.options.gapGraceMs);
  const firstPart = (gap: LiveGap): Run | undefined =>
    runs.find((run) => run.first <= gap.run.last && run.last >= gap.run.first);
  for (const gap of history.gaps.filter((gap) => firstPart(gap) === undefined)) {
    const missingToMs = gap.shown.missingFromMs;
    const nothing = { missingToMs, missingIntervals: 0, rejectedIntervals: 0 };
    world.gaps.set(gap.shown.gapId, { ...gap.shown, ...nothing, state: "FILLED" });
  }
  history.gaps = runs.map((run) => {
    const before = history.gaps.find((gap) => firstPart(gap) === run)?.shown;
    const missingIntervals = run.last - run.first + 1;
    const iso = new Date(run.fromMs).toISOString().replace(".000", "");
    const shown: OracleGap = {
      gapId: before?.gapId ?? `${meterId}@${iso}`,
      meterId,
      missingFromMs: run.fromMs,
      missingToMs: run.fromMs + missingIntervals * layout.intervalMs,
      missingIntervals,
      rejectedIntervals: [...layout.marked].filter((o) => o >= run.first && o <= run.last).length,
      state: run.last > layout.lastOrdinal ? "OPEN" : "CLOSED",
    };
    // Consumers upsert by id: should two histories use one id, the latest change stands.
    if (JSON.stringify(shown) !== JSON.stringify(before)) world.gaps.set(shown.gapId, shown);
    return { run, shown };
  });
}

type History = { arrivals: Arrival[]; gaps: LiveGap[]; ticksBefore: number };
type World = ReturnType<typeof newWorld>;
/** Everything that happened so far: nothing. */
function newWorld(options: OracleOptions) {
  return {
    options,
    acceptedMs: [] as number[],
    ticks: [] as { atMs: number; recordMs: number | null; final: boolean }[],
    histories: new Map<string, History>(),
    gaps: new Map<string, OracleGap>(),
  };
}

function readingTimesMs(history: History | undefined): number[] {
  return (history?.arrivals ?? []).filter(({ kwh }) => kwh !== null).map(({ atMs }) => atMs);
}

/** What a reading of the meter is late against; −Infinity when nothing came yet. */
function watermarkMs({ options, acceptedMs, ticks, histories }: World, meterId: string): number {
  const timesMs = options.watermarkScope === "partition"
    ? [...acceptedMs, ...ticks.map(({ atMs }) => atMs)]
    : readingTimesMs(histories.get(meterId));
  return Math.max(-Infinity, ...timesMs) - options.outOfOrdernessMs;
}

/**
 * What the meter's silence is judged by. By meter, the ticks' clock counts once it has moved since
 * the meter's history began.
 */
function silenceClockMs(world: World, meterId: string): number {
  const latest = (ticks: World["ticks"]) => Math.max(-Infinity, ...ticks.map(({ atMs }) => atMs));
  let tickMs = latest(world.ticks);
  const before = world.histories.get(meterId)?.ticksBefore ?? 0;
  const hasMoved = tickMs > latest(world.ticks.slice(0, before));
  if (world.options.watermarkScope === "meter" && !hasMoved) tickMs = -Infinity;
  return Math.max(watermarkMs(world, meterId), tickMs - world.options.outOfOrdernessMs);
}

/** Expires the meter if it is due at the clock. */
function expire(world: World, meterId: string, clockMs: number): void {
  const history = world.histories.get(meterId);
  if (history === undefined) return;
  const layout = layOut(history.arrivals, meterId, world.options);
  const lastMs = layout?.lastMs ?? Math.max(...readingTimesMs(history));
  const expiryMs = lastMs + world.options.stateTtlMs;
  if (clockMs < expiryMs) return;
  if (layout !== null) {
    judge(world, meterId, layout, expiryMs);
    const tail = history.gaps.find(({ shown }) => shown.state === "OPEN");
    if (tail !== undefined) world.gaps.set(tail.shown.gapId, { ...tail.shown, state: "EXPIRED" });
  }
  world.histories.delete(meterId);
}

/** Puts a reading into its history and flags it, or says why not when its slot is taken. */
function take(world: World, meterId: string, atMs: number, kwh: number, flags: string[]) {
  const { options, histories } = world;
  const history = histories.get(meterId) ??
    { arrivals: [], gaps: [], ticksBefore: world.ticks.length };
  const layout = layOut(history.arrivals, meterId, options);
  const k = layout === null ? 0 : stepsFromLast(layout, atMs);
  const takenKwh = layout === null
    ? history.arrivals.find((arrival) => arrival.kwh !== null && arrival.atMs === atMs)?.kwh
    : layout.taken.get(layout.lastOrdinal + k);
  if (takenKwh !== undefined) return takenKwh === kwh ? "DUPLICATE" : "CONFLICT";
  histories.set(meterId, history);
  history.arrivals.push({ atMs, kwh });
  if (kwh < 0) flags.push("NEGATIVE");
  if (layout === null) return null;
  const shiftMs = Math.abs(atMs - (layout.lastMs + k * layout.intervalMs));
  if (shiftMs > (options.timeToleranceMs ?? layout.intervalMs / 10)) flags.push("TIME_SHIFT");
  return null;
}

function takeRecord(world: World, text: string, offset: number, recordMs: number | null) {
  const record = parseObject(text);
  const parsed = parseFields(world, record ?? {}, recordMs);
  const reason = rejectReason(parsed, record, world.options);
  const { tick, meterId, atMs, kwh, future } = parsed;
  const known = { offset, delayMs: 0, flags: [] as string[], meterId, timestampMs: atMs };
  const rejected = { ...known, disposition: "rejected", reason } as const;
  if (tick && reason === null) {
    world.ticks.push({ atMs: atMs!, recordMs, final: record?.final === true });
    return { ...known, disposition: "tick", reason } as const;
  }
  if (tick || meterId === null || atMs === null) return rejected;
  const behindMs = watermarkMs(world, meterId) - atMs;
  const tooLate = behindMs > world.options.allowedLatenessMs;
  if (reason !== null) {
    // Meter and time are known, so only the value is unusable: not silence.
    if (!future && !tooLate) world.histories.get(meterId)?.arrivals.push({ atMs, kwh: null });
    return rejected;
  }
  const delayMs = Math.max(0, behindMs);
  if (tooLate) return { ...known, disposition: "too_late", reason, delayMs } as const;
  const clockMs = Math.max(silenceClockMs(world, meterId), atMs - world.options.outOfOrdernessMs);
  expire(world, meterId, clockMs);
  const taken = take(world, meterId, atMs, kwh!, known.flags);
  if (taken !== null) return { ...known, disposition: "duplicate", reason: taken } as const;
  world.acceptedMs.push(atMs);
  return { ...known, disposition: delayMs > 0 ? "late" : "ok", reason, delayMs } as const;
}

/**
 * The whole answer for the records of one partition, in order: JSON texts or any garbage. Gaps are
 * sorted by id and stand as they are after the last record. `recordTimesMs` null: none has a time.
 */
export function oracle(
  records: readonly string[],
  recordTimesMs: readonly (number | null)[] | null,
  options: OracleOptions,
): OracleAnswer {
  const world = newWorld(options);
  const ledger = { raw: 0, ok: 0, late: 0, too_late: 0, duplicate: 0, rejected: 0, tick: 0 };
  const dispositions = records.map((text, offset) => {
    const disposition = takeRecord(world, text, offset, recordTimesMs?.[offset] ?? null);
    for (const meterId of [...world.histories.keys()]) {
      const clockMs = silenceClockMs(world, meterId);
      expire(world, meterId, clockMs);
      const layout = layOut(world.histories.get(meterId)?.arrivals ?? [], meterId, options);
      if (layout !== null) judge(world, meterId, layout, clockMs);
    }
    ledger.raw += 1;
    ledger[disposition.disposition] += 1;
    return disposition;
  });
  const highestMs = Math.max(-Infinity, ...world.acceptedMs, ...world.ticks.map((t) => t.atMs));
  return {
    dispositions,
    gaps: [...world.gaps.values()].sort((a, b) => a.gapId < b.gapId ? -1 : 1),
    ledger,
    watermarkMs: highestMs === -Infinity ? null : highestMs - options.outOfOrdernessMs,
  };
}
