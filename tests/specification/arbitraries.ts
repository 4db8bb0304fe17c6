/**
 * Generators of options and of raw record streams. A stream is a list of small actions ("the fleet
 * reports", "a reading exactly at the horizon", "a tick up to the time to live") played by plain
 * code from integers alone, so that fast-check shrinks it action by action and to round numbers.
 */
import fc from "fast-check";
import type { OracleOptions } from "./oracle.ts";
import {
  METER_IDS,
  poisonRecords,
  unusableValues,
  writeMeterId,
  writeReading,
  writeTime,
} from "./record_texts.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RECORDS_MAX = 100;
const ACTIONS_MAX = 60;

/** The event time at which every stream begins. */
export const BASE_MS = Date.UTC(2024, 0, 1);

/** Options whose intervals, graces and lateness are multiples of each other: edges collide. */
export const optionsArbitrary: fc.Arbitrary<OracleOptions> = fc.record({
  scope: fc.constantFrom("partition" as const, "meter" as const),
  interval: fc.constantFrom(30, 10),
  auto: weighted([1, false], [1, true]),
  learningReadings: fc.constantFrom(8, 10, 12, 48),
  outOfOrderness: fc.constantFrom(0, 10),
  lateness: fc.constantFrom(60, 0, 120, 180),
  grace: fc.constantFrom(15, 0, 5, 45),
  toleranceMs: weighted<number | null>([4, null], [1, 0], [1, MINUTE_MS]),
  ttlSlots: fc.oneof(fc.integer({ min: 8, max: 12 }), fc.constant(null)),
  forgetTtls: fc.constantFrom(3, 2),
  revisions: fc.constantFrom("first" as const, "last" as const),
  metersMax: weighted([4, 1000], [1, 2], [1, 1]),
  oldest: weighted([2, Date.UTC(2005, 0, 1)], [1, BASE_MS - 6 * HOUR_MS], [1, BASE_MS]),
  registered: weighted([3, []], [1, [["M2", 60]]], [1, [["M1", 10], ["7", 30]]]),
  maxFuture: weighted([4, 30 * 24 * 60], [1, 60], [1, 6 * 60]),
  negative: fc.constantFrom("reject" as const, "flag" as const),
  nowMs: weighted<number | null>([8, null], [1, BASE_MS + 2 * DAY_MS]),
}).map((drawn) => ({
  watermarkScope: drawn.scope,
  outOfOrdernessMs: drawn.outOfOrderness * MINUTE_MS,
  allowedLatenessMs: drawn.lateness * MINUTE_MS,
  gapGraceMs: drawn.grace * MINUTE_MS,
  timeToleranceMs: drawn.toleranceMs,
  ...livesMs(drawn),
  expectedIntervalMs: drawn.auto ? "auto" : drawn.interval * MINUTE_MS,
  learningReadings: drawn.learningReadings,
  revisions: drawn.revisions,
  metersMax: drawn.metersMax,
  minTimestampMs: drawn.oldest,
  intervalMsByMeter: new Map(
    (drawn.registered as [string, number][]).map(([id, minutes]) => [id, minutes * MINUTE_MS]),
  ),
  maxKwh: 100,
  maxFutureMs: drawn.maxFuture * MINUTE_MS,
  negative: drawn.negative,
  nowMs: drawn.nowMs,
}));

type Lives = { ttlSlots: number | null; interval: number; forgetTtls: number };

/** Short ones, so that a stream of a day sees silence, return and the end of a history. */
function livesMs({ ttlSlots, interval, forgetTtls }: Lives) {
  const stateTtlMs = ttlSlots === null ? 7 * DAY_MS : ttlSlots * interval * MINUTE_MS;
  return { stateTtlMs, forgetAfterMs: forgetTtls * stateTtlMs };
}

/**
 * Options without a wall clock, that no last tick of a stream is ahead of it, and without the one
 * rule that depends on how meters lie in partitions.
 */
export const endingOptionsArbitrary: fc.Arbitrary<OracleOptions> = optionsArbitrary.map((
  drawn,
) => ({
  ...drawn,
  nowMs: null,
  metersMax: 1000,
}));

function weighted<T>(...choices: [weight: number, value: T][]): fc.Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
}

const meter = fc.nat(METER_IDS.length - 1);
/** How a record is written: timestamp format, value format, field order. Mostly plain. */
const form = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(9999));
/** An index into `jitterMs`. Mostly none. */
const jitter = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(13));
/** One millisecond before, on and after an edge. */
const nudge = fc.constantFrom(0, -1, 1);
const kwh = fc.nat(3);

/** How far a meter is off its slot, reading by reading of a run; in parts of half an interval. */
const PATTERNS = {
  none: [0],
  alternating: [0, 0.93, -0.93],
  random: [0.4, -0.7, 0.1, -0.2, 0.8, -0.8, 0.5, -0.1, 0.7],
  steady: [0.3],
  drift: Array.from({ length: 30 }, (_, i) => i * 0.011),
  backward: Array.from({ length: 30 }, (_, i) => -i * 0.03),
} as const;
const WHICH_PATTERN = Object.keys(PATTERNS) as (keyof typeof PATTERNS)[];

/** `null`: the meter's own. */
const stepMinutes = fc.constantFrom(null, 15, 30, 10, 20, 60, 45, 5, 1440);

const actions = {
  /** Readings in a row, perhaps in another interval, off their slots in one of the ways. */
  run: fc.record({
    meter,
    count: fc.oneof(
      { weight: 2, arbitrary: fc.integer({ min: 13, max: 15 }) },
      { weight: 1, arbitrary: fc.integer({ min: 5, max: 12 }) },
    ),
    minutes: stepMinutes,
    /** Seven readings of the meter's own interval go before, so that it is known. */
    isLed: fc.boolean(),
    pattern: fc.oneof(
      { weight: 4, arbitrary: fc.constant("none" as const) },
      { weight: 1, arbitrary: fc.constantFrom(...WHICH_PATTERN) },
    ),
    /** Every so manieth is unusable; 0: none. */
    unusable: weighted([5, 0], [1, 1], [1, 3]),
    kwh,
  }),
  /** A reading that says its interval. */
  said: fc.record({
    meter,
    steps: fc.integer({ min: -2, max: 4 }),
    /** Then one comes late for the first slot that it passed. */
    isFilled: fc.boolean(),
    minutes: fc.oneof(stepMinutes, fc.constantFrom(0, -5, 7.5, "20", " 15 ", "x", 21, 43_200)),
    kwh,
    form,
  }),
  /** A reading, at the edge of a life or some slots beyond it. */
  back: fc.record({
    meter,
    life: fc.constantFrom("ttl" as const, "forget" as const),
    slots: fc.integer({ min: -2, max: 6 }),
    minutes: weighted<number | null>([4, null], [1, 15], [1, 60]),
    nudge,
    kwh,
    form,
  }),
  /** A late reading among the slots that went missing last, as a meter back from silence sends. */
  lateBack: fc.record({ meter, nudge, back: fc.integer({ min: 0, max: 3 }), kwh, form }),
  /** The slots of a silence one by one, from its beginning. */
  refill: fc.record({ meter, isSilent: fc.boolean(), count: fc.integer({ min: 1, max: 12 }), kwh }),
  retire: fc.record({ meter, isSilent: fc.boolean(), minutes: fc.constantFrom(0, -60, 30), form }),
  /** A reading, or a tick, at the oldest time there is, or just before. */
  old: fc.record({ meter, nudge, isTick: fc.boolean() }),

  /** Every meter of the mask reports its next slot. */
  round: fc.record({ mask: fc.integer({ min: 1, max: 15 }), jitter, kwh, form }),
  next: fc.record({
    meter,
    steps: fc.oneof(
      { weight: 4, arbitrary: fc.constant(1) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 25 }) },
    ),
    jitter,
    kwh,
    form,
  }),
  /** A reading some slots behind the meter's latest: fills a gap, or repeats. */
  fill: fc.record({ meter, back: fc.integer({ min: 1, max: 12 }), jitter, kwh, form }),
  /** A reading on an edge of the lateness. */
  edge: fc.record({ meter, horizon: fc.boolean(), nudge, kwh, form }),
  /** A reading before the meter's first. */
  before: fc.record({ meter, back: fc.integer({ min: 1, max: 8 }), jitter, kwh, form }),
  /** An earlier reading again, in another spelling, perhaps with another value. */
  again: fc.record({ pick: fc.nat(59), shiftMs: fc.constantFrom(0, 0, 1000), kwh, form }),
  tick: fc.record({ minutes: fc.constantFrom(1, 10, 30, 45, 60, -30), form }),
  /** A tick on the edge at which a slot goes missing, or the meter expires. */
  tickDue: fc.record({
    meter,
    slots: fc.oneof(
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 2, arbitrary: fc.constantFrom("ttl" as const, "forget" as const) },
    ),
    nudge,
    form,
  }),
  tickFar: fc.record({ ttls: fc.integer({ min: 1, max: 3 }), form }),
  /** A reading without a usable value, some slots from the meter's latest; it may move on. */
  unusable: fc.record({
    meter,
    steps: fc.integer({ min: -6, max: 9 }),
    jitter,
    value: fc.nat(unusableValues().length - 1),
    form,
  }),
  /** A reading at the edge of the future, or one millisecond beyond. */
  future: fc.record({ meter, nudge, receivedAt: fc.boolean() }),
  /** A `received_at` on the edge of what is believed of it, or far beyond; perhaps with its timestamp. */
  claim: fc.record({ meter, nudge, far: fc.boolean(), both: fc.boolean(), usable: fc.boolean() }),
  poison: fc.record({ pick: fc.nat(poisonRecords().length - 1) }),
};

type Actions = { [Kind in keyof typeof actions]: (typeof actions)[Kind] };
type Action = {
  [Kind in keyof Actions]: Actions[Kind] extends fc.Arbitrary<infer Fields>
    ? Fields & { kind: Kind }
    : never;
}[keyof Actions];

const WEIGHTS: Record<keyof Actions, number> = {
  run: 6,
  said: 4,
  back: 3,
  lateBack: 3,
  refill: 2,
  retire: 2,
  old: 1,
  round: 10,
  next: 10,
  fill: 8,
  edge: 4,
  before: 2,
  again: 3,
  tick: 3,
  tickDue: 3,
  tickFar: 1,
  unusable: 4,
  future: 1,
  claim: 1,
  poison: 2,
};

const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  ...(Object.keys(WEIGHTS) as (keyof Actions)[]).map((kind) => ({
    weight: WEIGHTS[kind],
    arbitrary: (actions[kind] as fc.Arbitrary<object>).map((fields) =>
      ({ kind, ...fields }) as Action
    ),
  })),
);

/** Streams of 1 to 100 records of 1 to 4 meters, made to meet the edges of the options. */
export function streamArbitrary(options: OracleOptions): fc.Arbitrary<string[]> {
  return fc.record({
    metersMax: fc.constantFrom(1, 1, 1, 2, 2, 3, METER_IDS.length),
    learnedMinutes: fc.constantFrom(30, 10, 15, 60),
    driftMs: weighted([4, 0], [1, 61_000], [1, -90_000], [1, 170_500]),
    actions: fc.array(actionArbitrary, { minLength: 1, maxLength: ACTIONS_MAX, size: "max" }),
  }).map((drawn) => {
    const intervalsMs = METER_IDS.map((id, index) => {
      const intervalMs = options.intervalMsByMeter.get(id) ?? options.expectedIntervalMs;
      if (intervalMs !== "auto") return intervalMs;
      // Learned ones are of any kind, and a fleet has several.
      return (index % 2 === 0 ? drawn.learnedMinutes : 30) * MINUTE_MS;
    });
    const play = newPlay(options, intervalsMs, drawn.metersMax, drawn.driftMs);
    for (const action of drawn.actions) playAction(play, action);
    return play.records.slice(0, RECORDS_MAX);
  });
}

/** Record times beside a stream: none, or a wall clock near the base with holes. */
export function recordTimesArbitrary(records: readonly string[]) {
  const minutes = fc.array(fc.option(fc.integer({ min: -60, max: 90 }), { freq: 5 }), {
    minLength: records.length,
    maxLength: records.length,
  });
  const timed = fc.tuple(fc.constantFrom(0, 30, 24 * 60), minutes).map(([pace, drawn]) =>
    drawn.map((at, index) => at === null ? null : BASE_MS + (index * pace + at) * MINUTE_MS)
  );
  return fc.oneof(fc.constant(null), timed) as fc.Arbitrary<(number | null)[] | null>;
}

/** The start of the replay that wrote each record; null: none did. */
export function replaysArbitrary(records: readonly string[]) {
  const start = fc.constantFrom(null, BASE_MS, BASE_MS + 400 * DAY_MS, BASE_MS + 401 * DAY_MS);
  const mixed = fc.array(start, { minLength: records.length, maxLength: records.length });
  const whole = fc.constantFrom(BASE_MS, BASE_MS + 400 * DAY_MS).map((startMs) =>
    records.map(() => startMs)
  );
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    { weight: 2, arbitrary: whole },
    { weight: 1, arbitrary: mixed },
  ) as fc.Arbitrary<(number | null)[] | null>;
}

/** What the player remembers; its idea of the watermark is close, not exact. */
type Play = ReturnType<typeof newPlay>;

function newPlay(
  options: OracleOptions,
  intervalsMs: readonly number[],
  metersMax: number,
  driftMs: number,
) {
  return {
    options,
    intervalsMs: [...intervalsMs],
    metersMax,
    driftMs,
    records: [] as string[],
    firstMs: new Map<number, number>(),
    lastMs: new Map<number, number>(),
    highestMs: BASE_MS,
    tickMs: null as number | null,
    sent: [] as { meter: number; atMs: number; kwh: number }[],
  };
}

function playAction(play: Play, action: Action): void {
  if (action.kind === "poison") return void play.records.push(poisonRecords()[action.pick]);
  const { options, highestMs } = play;
  const meter = "meter" in action ? action.meter % play.metersMax : 0;
  const intervalMs = play.intervalsMs[meter];
  const lastMs = play.lastMs.get(meter) ?? gridBelow(highestMs, intervalMs) - intervalMs;
  const offMs = "jitter" in action ? jitterMs(action.jitter, intervalMs, options) : 0;
  switch (action.kind) {
    case "run":
      return playRun(play, meter, action);
    case "said":
    case "back":
    case "lateBack":
    case "refill":
    case "retire":
    case "old":
      return playLife(play, { meter, lastMs, intervalMs }, action);
    case "round":
      for (let m = 0; m < play.metersMax; m++) {
        if ((action.mask & (1 << m)) !== 0) {
          const stepMs = nextStepMs(play, m) + play.driftMs;
          send(play, m, stepMs + jitterMs(action.jitter, play.intervalsMs[m], options), action);
        }
      }
      return;
    case "next":
      return send(play, meter, lastMs + action.steps * intervalMs + play.driftMs + offMs, action);
    case "fill":
      return send(play, meter, lastMs - action.back * intervalMs + offMs, action);
    case "edge": {
      const clockMs = options.watermarkScope === "meter" ? lastMs : highestMs;
      const edgeMs = clockMs - options.outOfOrdernessMs -
        (action.horizon ? options.allowedLatenessMs : 0);
      return send(play, meter, edgeMs + action.nudge, action);
    }
    case "before": {
      const firstMs = play.firstMs.get(meter) ?? lastMs;
      return send(play, meter, firstMs - action.back * intervalMs + offMs, action);
    }
    case "again": {
      if (play.sent.length === 0) return;
      const sent = play.sent[action.pick % play.sent.length];
      const kwh = action.kwh === 3 ? sent.kwh + 1 : sent.kwh;
      return send(play, sent.meter, sent.atMs + action.shiftMs, { kwh, form: action.form });
    }
    case "tick":
      return tick(play, highestMs + action.minutes * MINUTE_MS, action.form);
    case "tickDue": {
      const dueMs = typeof action.slots === "string"
        ? lifeMs(options, action.slots)
        : action.slots * intervalMs + options.gapGraceMs;
      return tick(play, lastMs + dueMs + options.outOfOrdernessMs + action.nudge, action.form);
    }
    case "tickFar":
      return tick(play, highestMs + action.ttls * options.stateTtlMs, action.form);
    case "unusable": {
      const atMs = lastMs + action.steps * intervalMs + offMs;
      const head = `"meter_id":${writeMeterId(meter, 0)},"timestamp":${writeTime(atMs, 0)}`;
      return void play.records.push(`{${head}${unusableValues()[action.value]}}`);
    }
    case "future": {
      const receivedMs = action.receivedAt || play.tickMs === null ? highestMs : null;
      const onEdge = action.nudge === 0 && options.maxFutureMs < options.stateTtlMs;
      const atMs = (receivedMs ?? play.tickMs!) + options.maxFutureMs + (onEdge ? 0 : 1);
      const received = receivedMs === null ? "" : `,"received_at":${writeTime(receivedMs, 0)}`;
      if (onEdge) play.highestMs = Math.max(highestMs, atMs);
      const text = writeReading(meter, atMs, 1, 0);
      return void play.records.push(text.replace(/}$/, `${received}}`));
    }
    case "claim":
      return claim(play, meter, action);
    default:
      action satisfies never;
  }
}

/** Where nothing is known to hold it against it is believed, so it stays near the fleet there. */
function claim(
  play: Play,
  meter: number,
  { nudge, far, both, usable }: { nudge: number; far: boolean; both: boolean; usable: boolean },
): void {
  const { nowMs, maxFutureMs } = play.options;
  const clockMs = nowMs ?? play.tickMs;
  const beyondMs = far && clockMs !== null ? 75 * 365 * DAY_MS : nudge;
  const receivedMs = (clockMs ?? play.highestMs) + maxFutureMs + beyondMs;
  const atMs = both && beyondMs > 0 && clockMs !== null ? receivedMs : nextStepMs(play, meter);
  const text = writeReading(meter, atMs, 1, 0).replace(
    /}$/,
    `,"received_at":"${isoOf(receivedMs)}"}`,
  );
  play.records.push(usable ? text : text.replace(/"consumption_kwh":1/, `"consumption_kwh":null`));
}

function isoOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

const lifeMs = (options: OracleOptions, life: "ttl" | "forget"): number =>
  life === "ttl" ? options.stateTtlMs : options.forgetAfterMs;

/** Readings step by step; from then on the meter's interval is that one. */
function playRun(play: Play, meter: number, action: Extract<Action, { kind: "run" }>): void {
  const { count, minutes, pattern, unusable, isLed } = action;
  if (isLed) {
    for (let i = 0; i < 7; i++) send(play, meter, nextStepMs(play, meter), { kwh: i % 3, form: 0 });
  }
  if (minutes !== null) play.intervalsMs[meter] = minutes * MINUTE_MS;
  const stepMs = play.intervalsMs[meter];
  const startMs = play.lastMs.get(meter) ?? gridBelow(play.highestMs, stepMs) - stepMs;
  for (let i = 1; i <= count; i++) {
    const off = PATTERNS[pattern][i % PATTERNS[pattern].length];
    const atMs = startMs + i * stepMs + Math.round(off * stepMs / 2 / 1000) * 1000;
    if (unusable === 0 || i % unusable > 0) {
      send(play, meter, atMs, { kwh: (action.kwh + i) % 5, form: 0 });
      continue;
    }
    const head = `"meter_id":${writeMeterId(meter, 0)},"timestamp":${writeTime(atMs, 0)}`;
    play.records.push(`{${head},"consumption_kwh":null}`);
  }
}

/** Lets the last record say its interval. */
function say(play: Play, minutes: unknown): void {
  const said = `,"interval_minutes":${JSON.stringify(minutes)}}`;
  play.records.push(play.records.pop()!.replace(/ ?}$/, said));
}

type LifeAction = Extract<
  Action,
  { kind: "said" | "back" | "lateBack" | "refill" | "retire" | "old" }
>;
type Spot = { meter: number; lastMs: number; intervalMs: number };

/** What happens to a meter between one silence and the next. */
function playLife(play: Play, { meter, lastMs, intervalMs }: Spot, action: LifeAction): void {
  const { options } = play;
  if ("isSilent" in action && action.isSilent) {
    tick(play, lastMs + options.stateTtlMs + options.outOfOrdernessMs, 0);
  }
  const { highestMs } = play;
  switch (action.kind) {
    case "said": {
      const minutes = Number(action.minutes);
      send(play, meter, lastMs + action.steps * intervalMs, action);
      say(play, action.minutes ?? intervalMs / MINUTE_MS);
      if (action.isFilled) send(play, meter, lastMs + intervalMs, { kwh: action.kwh, form: 0 });
      if (action.steps > 0 && minutes >= 5) play.intervalsMs[meter] = minutes * MINUTE_MS;
      return;
    }
    case "back": {
      const edgeMs = lastMs + lifeMs(options, action.life) + options.outOfOrdernessMs;
      send(play, meter, edgeMs + action.slots * intervalMs + action.nudge, action);
      if (action.minutes === null) return;
      say(play, action.minutes);
      play.intervalsMs[meter] = action.minutes * MINUTE_MS;
      return;
    }
    case "lateBack": {
      const horizonMs = highestMs - options.outOfOrdernessMs - options.allowedLatenessMs;
      return send(play, meter, horizonMs + action.back * intervalMs + action.nudge, action);
    }
    case "refill":
      for (let i = 1; i <= action.count; i++) {
        send(play, meter, lastMs + i * intervalMs, { kwh: action.kwh, form: 0 });
      }
      return;
    case "retire": {
      const atMs = highestMs + action.minutes * MINUTE_MS;
      const id = writeMeterId(meter, action.form);
      const text = `{"type":"retire","timestamp":${writeTime(atMs, action.form)},"meter_id":${id}}`;
      play.firstMs.delete(meter);
      return void play.records.push(text);
    }
    case "old": {
      const atMs = options.minTimestampMs + action.nudge;
      const text = `{"type":"tick","timestamp":${writeTime(atMs, 0)}}`;
      return void play.records.push(action.isTick ? text : writeReading(meter, atMs, 1, 0));
    }
    default:
      action satisfies never;
  }
}

function gridBelow(atMs: number, intervalMs: number): number {
  return BASE_MS + Math.floor((atMs - BASE_MS) / intervalMs) * intervalMs;
}

/** The meter's next slot that is not far behind the fleet. */
function nextStepMs(play: Play, meter: number): number {
  const intervalMs = play.intervalsMs[meter];
  const lastMs = play.lastMs.get(meter);
  if (lastMs === undefined) return gridBelow(play.highestMs, intervalMs);
  const steps = Math.max(1, Math.ceil((play.highestMs - lastMs) / intervalMs - 0.5));
  return lastMs + steps * intervalMs;
}

function jitterMs(index: number, intervalMs: number, options: OracleOptions): number {
  const toleranceMs = options.timeToleranceMs ?? intervalMs / 10;
  const halfMs = intervalMs / 2;
  const sizes = [0, 1000, toleranceMs, toleranceMs + 1, halfMs, halfMs - 1, intervalMs / 3];
  return (index < 7 ? 1 : -1) * sizes[index % 7];
}

function send(
  play: Play,
  meter: number,
  atMs: number,
  { kwh, form }: { kwh: number; form: number },
): void {
  play.records.push(writeReading(meter, atMs, kwh, form));
  play.sent.push({ meter, atMs, kwh });
  play.firstMs.set(meter, Math.min(atMs, play.firstMs.get(meter) ?? atMs));
  play.lastMs.set(meter, Math.max(atMs, play.lastMs.get(meter) ?? atMs));
  play.highestMs = Math.max(play.highestMs, atMs);
}

function tick(play: Play, atMs: number, form: number): void {
  const final = form % 5 === 4 ? `,"final":true` : "";
  play.records.push(`{"type":"tick","timestamp":${writeTime(atMs, form)}${final}}`);
  play.tickMs = Math.max(atMs, play.tickMs ?? atMs);
  play.highestMs = Math.max(play.highestMs, atMs);
}
