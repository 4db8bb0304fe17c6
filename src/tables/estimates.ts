/**
 * Estimates of missing energy. Pure, and only + − × ÷ in a fixed order, rounded to 1 Wh: the same
 * bits anywhere. Energies are in kWh.
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days before the gap's first one, of which its profile is made. */
export const PROFILE_DAYS = 28;
/** Values of a slot, without which it has no profile. */
const PROFILE_VALUES_MIN = 3;
const LINEAR_MS_MAX = HOUR_MS;
const LINEAR_WITHOUT_HISTORY_MS_MAX = 2 * HOUR_MS;
const GAP_DAYS_MAX = 14;
/** The level beside the gap counts three quarters, the profile's own one. */
const LEVEL_SHARE = 3 / 4;
const LEVEL_MIN = 0.1;
const LEVEL_MAX = 4;

/** Missing slots of one series: from the first to before `toMs`. */
export type MissingSpan = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly intervalMs: number;
  readonly isExport: boolean;
};

/** The valid reading of the slot that begins at a time, kWh; NaN: there is none. */
export type ValidReading = (slotMs: number) => number;

export type EstimateMethod = "LINEAR" | "PROFILE";
export type EstimateRefusal = "NO_HISTORY" | "TOO_LONG";

/** The estimates of a span's slots in turn, or why there are none. */
export type Estimate =
  | { readonly method: EstimateMethod; readonly kwh: readonly number[] }
  | { readonly refusal: EstimateRefusal };

/**
 * Estimates every slot of a span.
 *
 * LINEAR for at most an hour between two valid readings (two hours of an export channel, or where
 * there is no profile). Else PROFILE: x̂ᵢ = max(0, r·P + e_L/2ⁱ + e_R/2ⁿ⁺¹⁻ⁱ), with P the mean of the
 * same slot on like days (workdays or weekends) of the 28 before the gap's first day; r = ¼ + ¾·A/Q
 * within [0.1, 4], A the readings and Q the profile of the 24 hours on either side; e = neighbour −
 * r·P.
 */
export function estimate(span: MissingSpan, validAt: ValidReading): Estimate {
  const { fromMs, toMs, intervalMs, isExport } = span;
  if (toMs - fromMs > GAP_DAYS_MAX * DAY_MS) return { refusal: "TOO_LONG" };
  const left = validAt(fromMs - intervalMs);
  const right = validAt(toMs);
  const hasNeighbours = !Number.isNaN(left) && !Number.isNaN(right);
  const linearMsMax = isExport ? LINEAR_WITHOUT_HISTORY_MS_MAX : LINEAR_MS_MAX;
  if (hasNeighbours && toMs - fromMs <= linearMsMax) return linear(span, left, right);
  const profile = profileOf(span, validAt);
  const isKnown = slotsOf(span).every((atMs) => !Number.isNaN(profile(atMs)));
  if (isKnown) return byProfile(span, validAt, profile);
  const isShort = toMs - fromMs <= LINEAR_WITHOUT_HISTORY_MS_MAX;
  return hasNeighbours && isShort ? linear(span, left, right) : { refusal: "NO_HISTORY" };
}

function slotsOf({ fromMs, toMs, intervalMs }: MissingSpan): number[] {
  const count = Math.round((toMs - fromMs) / intervalMs);
  return Array.from({ length: count }, (_, i) => fromMs + i * intervalMs);
}

function linear(span: MissingSpan, left: number, right: number): Estimate {
  const slots = slotsOf(span);
  const step = (right - left) / (slots.length + 1);
  return { method: "LINEAR", kwh: slots.map((_, i) => toWh(left + step * (i + 1))) };
}

/** The mean of a slot's time of day on like days before the span, kWh; NaN: too few values. */
function profileOf({ fromMs }: MissingSpan, validAt: ValidReading): (slotMs: number) => number {
  const gapDay = Math.floor(fromMs / DAY_MS);
  const means = new Map<number, number>();
  const mean = (sinceMidnightMs: number, isWeekend: boolean): number => {
    let sum = 0;
    let count = 0;
    for (let day = gapDay - PROFILE_DAYS; day < gapDay; day++) {
      if (isWeekendDay(day) !== isWeekend) continue;
      const kwh = validAt(day * DAY_MS + sinceMidnightMs);
      if (Number.isNaN(kwh)) continue;
      sum += kwh;
      count++;
    }
    return count < PROFILE_VALUES_MIN ? NaN : sum / count;
  };
  return (slotMs) => {
    const day = Math.floor(slotMs / DAY_MS);
    const sinceMidnightMs = slotMs - day * DAY_MS;
    const isWeekend = isWeekendDay(day);
    const key = sinceMidnightMs * 2 + (isWeekend ? 1 : 0);
    const known = means.get(key) ?? mean(sinceMidnightMs, isWeekend);
    means.set(key, known);
    return known;
  };
}

/** Saturday or Sunday; day 0 was a Thursday. */
function isWeekendDay(day: number): boolean {
  const ofWeek = (day + 4) % 7;
  return ofWeek === 0 || ofWeek === 6;
}

function byProfile(
  span: MissingSpan,
  validAt: ValidReading,
  profile: (slotMs: number) => number,
): Estimate {
  const { fromMs, toMs, intervalMs } = span;
  const level = levelBeside(span, validAt, profile);
  const errorAt = (slotMs: number): number => {
    const error = validAt(slotMs) - level * profile(slotMs);
    return Number.isNaN(error) ? 0 : error;
  };
  const leftError = errorAt(fromMs - intervalMs);
  const rightError = errorAt(toMs);
  const slots = slotsOf(span);
  const kwh = slots.map((slotMs, k) => {
    const i = k + 1;
    const near = leftError / 2 ** i + rightError / 2 ** (slots.length + 1 - i);
    return toWh(Math.max(0, level * profile(slotMs) + near));
  });
  return { method: "PROFILE", kwh };
}

/** By how much the readings of the 24 hours on either side are more than their profile. */
function levelBeside(
  { fromMs, toMs, intervalMs }: MissingSpan,
  validAt: ValidReading,
  profile: (slotMs: number) => number,
): number {
  let readings = 0;
  let expected = 0;
  const add = (slotMs: number): void => {
    const kwh = validAt(slotMs);
    const usual = profile(slotMs);
    if (Number.isNaN(kwh) || Number.isNaN(usual)) return;
    readings += kwh;
    expected += usual;
  };
  for (let slotMs = fromMs - DAY_MS; slotMs < fromMs; slotMs += intervalMs) add(slotMs);
  for (let slotMs = toMs; slotMs < toMs + DAY_MS; slotMs += intervalMs) add(slotMs);
  if (!(expected > 0)) return 1;
  const level = 1 - LEVEL_SHARE + LEVEL_SHARE * readings / expected;
  return Math.min(LEVEL_MAX, Math.max(LEVEL_MIN, level));
}

function toWh(kwh: number): number {
  return Math.floor(kwh * 1000 + 0.5) / 1000;
}
