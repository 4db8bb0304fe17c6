import { type Random, randomInteger } from "./random.ts";

/** What happens to the values of a series that a rule is to find. */
export const VALUE_DEFECTS = [
  ...["times_5", "times_10", "spike_5_kwh", "spike_10_kwh", "slot_times_1000"],
  ...["day_times_10", "day_by_10", "day_times_4", "day_times_1000", "day_by_1000"],
  ...["zeros_12_h", "zeros_24_h", "stuck_8_h", "straight_line", "repeated_day"],
] as const;
export type ValueDefect = typeof VALUE_DEFECTS[number];

/** The slots that a defect has spoiled: from the first to before `to`. */
export type Spoiled = { readonly from: number; readonly to: number };

/**
 * Puts a defect into the values of a series (kWh a slot), on the day (UTC) whose first slot is
 * `dayFrom`; null: the day has no place for it. Whole watt-hours, as meters say them.
 */
export function spoil(
  kwh: (number | null)[],
  kind: ValueDefect,
  { dayFrom, perDay, random }: {
    readonly dayFrom: number;
    readonly perDay: number;
    readonly random: Random;
  },
): Spoiled | null {
  const dayTo = dayFrom + perDay;
  const day = kwh.slice(dayFrom, dayTo);
  if (day.some((value) => value === null)) return null;
  const scale = (factor: number): Spoiled => change(kwh, dayFrom, dayTo, (x) => x * factor);
  const peak = dayFrom + day.indexOf(Math.max(...day.map((value) => value ?? 0)));
  const any = dayFrom + randomInteger(random, 0, perDay - 1);
  // Nothing spoils what nobody used.
  if (kind.startsWith("slot_") && kwh[any] === 0) return null;
  if (kind.startsWith("zeros_") && kwh.slice(any, any + perDay / 2).every((x) => !x)) return null;
  switch (kind) {
    case "times_5":
      return change(kwh, peak, peak + 1, (x) => x * 5);
    case "times_10":
      return change(kwh, peak, peak + 1, (x) => x * 10);
    case "spike_5_kwh":
      return change(kwh, any, any + 1, () => 5);
    case "spike_10_kwh":
      return change(kwh, any, any + 1, () => 10);
    case "slot_times_1000":
      return change(kwh, any, any + 1, (x) => x * 1000);
    case "day_times_10":
      return scale(10);
    case "day_by_10":
      return scale(1 / 10);
    case "day_times_4":
      return scale(4);
    case "day_times_1000":
      return scale(1000);
    case "day_by_1000":
      return scale(1 / 1000);
    case "zeros_12_h":
      return change(kwh, any, any + perDay / 2, () => 0);
    case "zeros_24_h":
      return change(kwh, any, any + perDay, () => 0);
    case "stuck_8_h": {
      const value = Math.max(0.001, kwh[any] ?? 0);
      return change(kwh, any, any + Math.max(16, perDay / 3), () => value);
    }
    case "straight_line":
      return fillIn(kwh, any, randomInteger(random, 6, 16));
    case "repeated_day": {
      const source = dayFrom - perDay * randomInteger(random, 1, 7);
      const copied = kwh.slice(source, source + perDay);
      if (source < 0 || copied.some((value) => value === null)) return null;
      for (let i = 0; i < perDay; i++) kwh[dayFrom + i] = copied[i];
      return { from: dayFrom, to: dayTo };
    }
    default:
      return kind satisfies never;
  }
}

function change(
  kwh: (number | null)[],
  from: number,
  to: number,
  valueOf: (kwh: number) => number,
): Spoiled {
  for (let i = from; i < Math.min(to, kwh.length); i++) {
    const value = kwh[i];
    if (value !== null) kwh[i] = Math.round(valueOf(value) * 1000) / 1000;
  }
  return { from, to };
}

/** A line from the reading before some slots to the one behind them, as somebody draws it. */
function fillIn(kwh: (number | null)[], from: number, slots: number): Spoiled | null {
  const [left, right] = [kwh[from - 1] ?? null, kwh[from + slots] ?? null];
  if (left === null || right === null) return null;
  const step = (right - left) / (slots + 1);
  for (let i = 0; i < slots; i++) kwh[from + i] = Math.round((left + step * (i + 1)) * 1e6) / 1e6;
  return { from, to: from + slots };
}
