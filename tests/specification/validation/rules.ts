/**
 * The specification of the validation rules: each judges one whole series, slot by slot in the order
 * of time. Plain and slow; nothing here is shared with `src/core`.
 *
 * Energy is in whole milliwatt-hours. Where the definitions leave two readings, `CHOICE` says which
 * was taken, and why.
 */
export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const HISTORY_DAYS = 28;
const HISTORY_DAYS_MIN = 7;
/** 2²⁴ − 1 Wh: what a register of 24 bits says when it has no value. */
const SENTINEL_MWH = 16_777_215_000;

/** Consecutive slots of one interval; null: missing. The first begins at `startMs`. */
export type Slots = {
  readonly startMs: number;
  readonly intervalMs: number;
  readonly mwh: readonly (number | null)[];
};

export type RuleName =
  | "NEGATIVE"
  | "CAPACITY"
  | "SPIKE"
  | "HIGH_DAY"
  | "LOW_DAY"
  | "UNIT_SCALE"
  | "ZERO_RUN"
  | "STUCK"
  | "STRAIGHT_LINE"
  | "REPEATED_DAY";

/** One run or episode. `value` and `limit` are milliwatt-hours, but for the number of slots. */
export type ValidationRecord = {
  readonly rule: RuleName;
  readonly fromMs: number;
  /** The first slot after it. */
  readonly toMs: number;
  readonly slots: number;
};

export type RuleOptions = { readonly maxKw: number; readonly direction: "import" | "export" };
export const DOMESTIC: RuleOptions = { maxKw: 48, direction: "import" };

/** What is remembered of a UTC calendar day once the next one has begun. */
type Day = {
  readonly readings: number;
  readonly zeros: number;
  /** The highest reading, each counted as its limit where it is a spike. */
  readonly highest: number;
  /** Of a complete day its sum, counted as its limit where it is high or low; else null. */
  readonly sum: number | null;
  readonly complete: readonly number[] | null;
};

/** kWh → mWh, as every comparison takes it. */
export function toMwh(kwh: number): number {
  return Math.floor(kwh * 1e6 + 0.5);
}

/** Every record of a series, by rule and then by time. */
export function judgeSeries(slots: Slots, options: RuleOptions = DOMESTIC): ValidationRecord[] {
  const { startMs, intervalMs } = slots;
  const perHour = HOUR_MS / intervalMs;
  const perDay = DAY_MS / intervalMs;
  /** The energy of so many kW over one interval. */
  const energyOf = (kw: number) => (kw * 1e6) / perHour;
  const atMs = (i: number) => startMs + i * intervalMs;
  const dayOf = (i: number) => Math.floor(atMs(i) / DAY_MS);
  const records: ValidationRecord[] = [];
  const say = (rule: RuleName, from: number, to: number) =>
    records.push({ rule, fromMs: atMs(from), toMs: atMs(to), slots: to - from });

  // NEGATIVE and CAPACITY. What no reading can be (below 0, a sentinel) is missing for the others.
  // CHOICE: what is only too much is a value for them: else no day × 1000 could be UNIT_SCALE.
  const valid = slots.mwh.map((mwh, i) => {
    if (mwh === null) return null;
    const isNegative = mwh < 0 && options.direction === "import";
    const isTooMuch = mwh > energyOf(options.maxKw) || mwh >= SENTINEL_MWH;
    if (isNegative) say("NEGATIVE", i, i + 1);
    else if (isTooMuch) say("CAPACITY", i, i + 1);
    return isNegative || mwh >= SENTINEL_MWH ? null : mwh;
  });
  const validAt = (i: number) => valid[i] ?? null;

  const days = new Map<number, Day>();
  const history = (day: number) => {
    const found: Day[] = [];
    for (let d = day - HISTORY_DAYS; d < day; d++) {
      const of = days.get(d);
      if (of !== undefined && of.readings > 0) found.push(of);
    }
    return found;
  };

  /** The slots of a day that lie in the series: [from, to). */
  const slotsOf = (day: number): [number, number] => {
    const first = Math.ceil((day * DAY_MS - startMs) / intervalMs);
    return [Math.max(0, first), Math.min(valid.length, first + perDay)];
  };

  /** The limit that a reading exceeds as a spike; null: it is none. */
  function spikeLimit(i: number, mwh: number, before: readonly Day[]): number | null {
    if (before.length < HISTORY_DAYS_MIN) return null;
    const highest = Math.max(...before.map((day) => day.highest));
    const low = 1.5 * Math.max(highest, energyOf(1));
    const high = 2 * Math.max(highest, energyOf(3));
    const neighbours = [validAt(i - 1), validAt(i + 1)].filter((x) => x !== null);
    // CHOICE: without a valid neighbour there is none that it does not tower over.
    if (mwh > low && neighbours.every((x) => mwh > 3 * x)) return low;
    return mwh > high ? high : null;
  }

  let spikeFrom = -1; // an episode of spikes in a row
  let highFrom = -1;
  let lowFrom = -1;
  let scaledFrom = -1;
  const endRun = (rule: RuleName, from: number, to: number): number => {
    if (from >= 0) say(rule, from, to);
    return -1;
  };
  for (let day = dayOf(0); day <= dayOf(valid.length - 1); day++) {
    const before = history(day);
    const [from, to] = slotsOf(day);
    let readings = 0, zeros = 0, highest = 0, sum = 0;
    for (let i = from; i < to; i++) {
      const mwh = validAt(i);
      const limit = mwh === null ? null : spikeLimit(i, mwh, before);
      if (limit === null) spikeFrom = endRun("SPIKE", spikeFrom, i);
      else if (spikeFrom < 0) spikeFrom = i;
      if (mwh === null) continue;
      readings++;
      sum += mwh;
      if (mwh === 0) zeros++;
      const most = Math.min(mwh, limit ?? mwh, energyOf(options.maxKw));
      highest = Math.max(highest, Math.floor(most + 0.5));
    }
    const isComplete = readings === perDay;
    const sums = before.map((day) => day.sum).filter((sum) => sum !== null);
    const total = sums.reduce((a, b) => a + b, 0);
    const count = sums.length;
    const isJudged = isComplete && count >= HISTORY_DAYS_MIN && total >= 500_000 * count;
    const isScaledUp = isJudged && sum * count > 100 * total;
    const isScaledDown = isJudged && sum * count * 100 < total && zeros * 4 <= perDay * 3;
    const isHigh = isJudged && sum * count > 5 * total;
    const isLow = isJudged && sum * count * 5 < total && options.direction === "import";
    if (!isHigh) highFrom = endRun("HIGH_DAY", highFrom, from);
    else if (highFrom < 0) highFrom = from;
    if (!isLow) lowFrom = endRun("LOW_DAY", lowFrom, from);
    else if (lowFrom < 0) lowFrom = from;
    if (!isScaledUp && !isScaledDown) scaledFrom = endRun("UNIT_SCALE", scaledFrom, from);
    else if (scaledFrom < 0) scaledFrom = from;
    // CHOICE: a low day counts as its limit, too: else 9 high days of the 81 London meters are 10.
    // CHOICE: of a scaled day that is neither, as the limit of that.
    let counted = sum;
    if (isHigh) counted = 5 * total / count;
    else if (isLow) counted = total / count / 5;
    else if (isScaledUp) counted = 100 * total / count;
    else if (isScaledDown) counted = total / count / 100;
    counted = Math.floor(counted + 0.5);
    const complete = isComplete ? valid.slice(from, to).map((x) => x ?? 0) : null;
    days.set(day, { readings, zeros, highest, sum: isComplete ? counted : null, complete });
  }
  const [, end] = slotsOf(dayOf(valid.length - 1));
  endRun("SPIKE", spikeFrom, end);
  endRun("HIGH_DAY", highFrom, end);
  endRun("LOW_DAY", lowFrom, end);
  endRun("UNIT_SCALE", scaledFrom, end);

  // ZERO_RUN and STUCK: the same value again and again.
  for (let i = 0, next = 0; i < valid.length; i = next) {
    next = i + 1;
    if (validAt(i) === null) continue;
    while (validAt(next) === valid[i]) next++;
    const count = next - i;
    if (valid[i] !== 0) {
      if (count >= 16 && count >= 8 * perHour) say("STUCK", i, next);
      continue;
    }
    const before = history(dayOf(i));
    const readings = before.reduce((sum, day) => sum + day.readings, 0);
    const zeros = before.reduce((sum, day) => sum + day.zeros, 0);
    const isUnusual = readings >= HISTORY_DAYS_MIN * perDay && zeros * 10 <= readings;
    if (count >= 7 * 24 * perHour || (count >= 12 * perHour && isUnusual)) say("ZERO_RUN", i, next);
  }

  // STRAIGHT_LINE: equal steps of one sign. CHOICE: each step is within 1 Wh of the run's first.
  for (let i = 0; i + 1 < valid.length;) {
    const [first, second] = [validAt(i), validAt(i + 1)];
    if (first === null || second === null || first === second) {
      i++;
      continue;
    }
    const step = second - first;
    let last = i + 1;
    for (;; last++) {
      const [here, next] = [validAt(last), validAt(last + 1)];
      if (here === null || next === null) break;
      if (Math.sign(next - here) !== Math.sign(step)) break;
      if (Math.abs(next - here - step) > 1000) break;
    }
    const rise = Math.abs((validAt(last) ?? 0) - first);
    const isLine = last - i + 1 >= 6 && rise >= 20_000;
    if (isLine) say("STRAIGHT_LINE", i, last + 1);
    i = isLine ? last : i + 1;
  }

  // REPEATED_DAY: a complete day equal to one of the 28 before it, slot for slot.
  for (const [day, { complete }] of days) {
    if (complete === null) continue;
    const changes = complete.filter((mwh, i) => i > 0 && mwh !== complete[i - 1]).length;
    if (changes < 12) continue;
    const isRepeated = history(day).some((before) =>
      before.complete !== null && before.complete.every((mwh, i) => mwh === complete[i])
    );
    if (isRepeated) say("REPEATED_DAY", ...slotsOf(day));
  }
  return records;
}
